//! A bundle of many blobs, and the delta of the next visit: the memory of every command on both sides.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use longshore_fixture::{Content, Draft};
use longshore_spec::MediaType;
use serde_json::json;

use super::{JOBS, MEMORY, bounded, dir};
use crate::measure::{measured, mib};
use crate::server::{ANY_PORT, Server};

const ARTIFACTS: usize = 500;
/// How many artifacts a repository has.
const EACH: usize = 10;
/// At the second visit one in so many artifacts has another layer.
const CHANGED: usize = 25;
/// The host in the names of the layouts that the bundles come from.
const HOST: &str = "harbour.example";

/// 500 artifacts with `count` blobs, of which none is shared, go from a layout into a bundle, a site's registry and a
/// site's layout; then the delta of those that have changed does.
pub(super) fn run(program: &Path, work: &Path, count: usize) -> Result<()> {
    println!("\n== {ARTIFACTS} artifacts with {count} blobs, and their delta");
    let work = tempfile::tempdir_in(work)?;
    let path = |name: &str| work.path().join(name).display().to_string();
    for (visit, changed) in [("first", None), ("second", Some(CHANGED))] {
        write(&work.path().join(visit), count / ARTIFACTS, changed)?;
        fs::write(path(&format!("{visit}.txt")), list(&path(visit)))?;
    }
    let mut command = Command::new(program);
    let site = work.path().join("served");
    command.args(["serve", "--json", "--writable", "--listen", ANY_PORT]).arg(dir(&site));
    let server = Server::ours(&mut command, &work.path().join("served.log"))?;
    let registry = format!("{}/mirror", server.address());
    let map = format!("{HOST}/={registry}/");
    let longshore = |words: &[&str]| {
        let mut command = Command::new(program);
        bounded(command.args(words).args(["--quiet", "--jobs", JOBS]))
    };

    let [bundle, delta, receipt] = ["first.tar", "delta.tar", "site.receipt"].map(path);
    let [layout, piped] = ["layout", "piped"].map(|name| dir(&work.path().join(name)));
    let (first, second) = (path("first.txt"), path("second.txt"));
    longshore(&["export", "-f", &first, "-o", &bundle])?;
    longshore(&["export", "-f", &first, "-o", &dir(&work.path().join("bundle"))])?;
    longshore(&["verify", &bundle])?;
    longshore(&["import", &bundle, &layout])?;
    // These, `verify --against` and the import of a delta are as near to the bound as to be over it at times: they are
    // only measured.
    let mut check = Command::new(program);
    check.args(["export", "-f", &first, "-o", &bundle, "--check", "--quiet", "--jobs", JOBS]);
    measured(&mut check)?;
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" <\"$0\"", &bundle]).arg(program);
    measured(shell.args(["import", "-", &piped, "--quiet", "--jobs", JOBS]))?;
    longshore(&["import", &bundle, &registry, "--dry-run"])?;
    longshore(&["import", &bundle, &registry])?;
    longshore(&["receipt", &registry, "-o", &receipt])?;
    longshore(&["receipt", &layout, "-o", &path("layout.receipt")])?;

    longshore(&["export", "-f", &second, "--base", &receipt, "-o", &delta])?;
    let [whole, carried] = [fs::metadata(&bundle)?.len(), fs::metadata(&delta)?.len()];
    println!("  the delta has {:.1} MiB, the bundle {:.1} MiB", mib(carried), mib(whole));
    longshore(&["list", &delta])?;
    longshore(&["verify", &delta, "--base", &receipt])?;
    let mut against = Command::new(program);
    against.args(["verify", &delta, "--against", &layout, "--quiet", "--jobs", JOBS]);
    measured(&mut against)?;
    longshore(&["import", &delta, &registry, "--dry-run"])?;
    let mut import = Command::new(program);
    import.args(["import", &delta, &registry, "--receipt", &receipt, "--quiet", "--jobs", JOBS]);
    measured(&mut import)?;
    longshore(&["import", &delta, &layout])?;
    longshore(&["diff", &registry, &delta, "--map", &map])?;
    let memory = server.peak_memory()?;
    println!("  our registry: {:.1} MiB of memory", mib(memory));
    ensure!(memory <= MEMORY, "that is over the bound of {:.0}", mib(MEMORY));
    Ok(())
}

/// Writes a layout whose artifacts have `blobs` blobs each, manifest and config among them; one in `changed` has
/// another first layer.
fn write(layout: &Path, blobs: usize, changed: Option<usize>) -> Result<()> {
    let mut content = Content::new();
    for number in 0..ARTIFACTS {
        let is_changed = changed.is_some_and(|changed| number % changed == 0);
        let layer = |layer: usize| match (layer, is_changed) {
            (0, true) => format!("another layer of {number}\n"),
            _ => format!("layer {layer} of {number}\n"),
        };
        let layers: Vec<_> = (0..blobs - 2)
            .map(|number| content.blob(MediaType::LAYER_TAR, layer(number)))
            .collect();
        let config = json!({ "architecture": "amd64", "os": "linux", "author": number.to_string(),
            "rootfs": { "type": "layers", "diff_ids": [] } });
        let config = content.json(MediaType::IMAGE_CONFIG, &config);
        let image = content.manifest(&Draft::image(&config, &layers));
        content.tag(&image, &name(number));
    }
    Ok(content.write_directory(layout)?)
}

/// Returns the list of all artifacts of a layout.
fn list(layout: &str) -> String {
    let mut list = String::new();
    for number in 0..ARTIFACTS {
        let _ = writeln!(list, "oci:{layout}:{}", name(number));
    }
    list
}

fn name(number: usize) -> String {
    format!("{HOST}/team/app-{}:v{}", number / EACH, number % EACH)
}
