//! A bundle of many artifacts.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use longshore_fixture::{Content, Draft, artifacts};
use longshore_spec::MediaType;
use serde_json::json;

use super::{JOBS, bounded, dir, rate, sparse_files, tar, watched};
use crate::measure::{Usage, mib};
use crate::peers;
use crate::run::capture;
use crate::server::{ANY_PORT, Server};

const REPOSITORIES: usize = 50;
/// How many artifacts each has.
const EACH: usize = 10;
/// One in so many has a list of its parts.
const LISTED: usize = 5;
/// The host in the names of the layout that it comes from.
const HOST: &str = "harbour.example";

/// 500 artifacts, each with a layer of `size` bytes, go from our registry into a bundle, which is
/// verified and imported into Debian's registry, or where that is not, into another of ours.
///
/// The layers are holes, and what was written becomes one again: the disk holds one copy at a time.
pub(super) fn run(program: &Path, work: &Path, size: u64) -> Result<()> {
    const COUNT: usize = REPOSITORIES * EACH;
    let total = COUNT as u64 * size;
    println!("\n== a bundle of {COUNT} artifacts, {:.1} MiB", mib(total));
    let (near, far) = (work.join("bundle-near"), work.join("bundle-far"));
    let (archive, list) = (work.join("bundle.tar"), work.join("bundle.yaml"));
    write(&near, size)?;

    let server = serve(program, &near, &[])?;
    let mut wanted = "artifacts:\n".to_owned();
    for repository in 0..REPOSITORIES {
        let _ = writeln!(wanted, "  - repository: {}/{}", server.address(), path(repository));
    }
    fs::write(&list, wanted)?;
    let place = tar(&archive);
    let mut export = longshore(program, &["export", "-o", &place]);
    let (usage, peak) = watched(work, &near, || bounded(export.arg("-f").arg(&list)))?;
    told(&usage, total, "the bundle", peak);
    let length = archive.metadata()?.len();
    ensure!(peak <= length + (1 << 20), "the disk held more than one copy");
    println!("  our registry: {:.1} MiB of memory", mib(server.peak_memory()?));
    sparse_files::dig(&archive)?;

    let usage = bounded(longshore(program, &["verify"]).arg(tar(&archive)))?;
    rate(&usage, total);

    let (registry, kind) = if peers::required("docker-registry")?.is_some() {
        (Server::distribution(&far, ANY_PORT, false)?, "docker-registry")
    } else {
        (serve(program, &far, &["--writable"])?, "another registry of ours")
    };
    let mut import = longshore(program, &["import"]);
    let usage = bounded(import.arg(&archive).arg(registry.address()))?;
    told(&usage, total, kind, sparse_files::used(&far)?);
    for repository in 0..REPOSITORIES {
        let path = path(repository);
        let tags = registry.tags(&path)?;
        // What refers to something goes by a tag, too, where a registry cannot list it.
        let tags: Vec<_> = tags.iter().filter(|tag| !tag.starts_with("sha256-")).collect();
        ensure!(tags.len() == EACH, "{path} has {} tags, not {EACH}: {tags:?}", tags.len());
        let digest = |server: &Server| {
            let place = server.place(&format!("{path}:v0"));
            capture(Command::new(program).args(["digest", &place]))
        };
        ensure!(digest(&registry)? == digest(&server)?, "{path}:v0 arrived as something else");
    }
    drop((server, registry));
    for directory in [near, far] {
        fs::remove_dir_all(directory)?;
    }
    fs::remove_file(list)?;
    Ok(fs::remove_file(archive)?)
}

/// Writes a layout with all of it, whose names are full references.
fn write(layout: &Path, size: u64) -> Result<()> {
    let layers = sparse_files::blobs(layout, REPOSITORIES * EACH, size)?;
    let mut content = Content::new();
    for (number, layer) in layers.into_iter().enumerate() {
        let config = json!({ "architecture": "amd64", "os": "linux", "author": number.to_string(),
            "rootfs": { "type": "layers", "diff_ids": [] } });
        let config = content.json(MediaType::IMAGE_CONFIG, &config);
        let image = content.manifest(&Draft::image(&config, &[layer]));
        let (repository, tag) = (path(number / EACH), number % EACH);
        content.tag(&image, &format!("{HOST}/{repository}:v{tag}"));
        if number % LISTED == 0 {
            let parts = artifacts::spdx(&mut content, &image, number as u64);
            content.untagged(&parts);
        }
    }
    Ok(content.write_directory(layout)?)
}

fn path(repository: usize) -> String {
    format!("team-{repository}/app")
}

fn longshore(program: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words).args(["--quiet", "--jobs", JOBS]);
    command
}

fn serve(program: &Path, layout: &Path, more: &[&str]) -> Result<Server> {
    let mut command = Command::new(program);
    command.args(["serve", "--json", "--listen", ANY_PORT]).args(more).arg(dir(layout));
    Server::ours(&mut command, &layout.with_extension("log"))
}

fn told(usage: &Usage, total: u64, where_to: &str, used: u64) {
    rate(usage, total);
    println!("  {where_to}: {:.1} MiB of disk", mib(used));
}
