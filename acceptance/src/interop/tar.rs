//! GNU tar lists and extracts our archives, and makes archives that the program reads.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use longshore_fixture::{Content, Tree, artifacts, typed};

use super::Outcome;
use super::carry::same_list;
use super::ground::Ground;
use crate::run::shown;

/// Lets tar list and extract an archive of ours, with names over 100 bytes.
pub(super) fn reads(ground: &Ground<'_>) -> Result<Outcome> {
    ground.layout("fixture", &typed())?;
    ground.copied("oci:fixture", "oci:ours")?;
    ground.copied("oci:ours", "oci-archive:ours.tar")?;

    let verbose = silent(&mut ground.peer_command("tar", &["-tvf", "ours.tar"]))?;
    let listed = silent(&mut ground.peer_command("tar", &["-tf", "ours.tar"]))?;
    let same = verbose.lines().zip(listed.lines()).all(|(line, name)| line.ends_with(name));
    ensure!(same, "`tar -tvf` and `tar -tf` differ:\n{verbose}\n{listed}");
    let longest = listed.lines().map(str::len).max().unwrap_or(0);
    ensure!(
        longest > 100,
        "the archive was to have a sha512 in it; its longest name has {longest} bytes"
    );

    fs::create_dir(ground.path("extracted"))?;
    silent(&mut ground.peer_command("tar", &["-xf", "ours.tar", "-C", "extracted"]))?;
    let extracted = Tree::read(&ground.path("extracted"))?;
    let files: BTreeSet<_> = listed.lines().filter(|name| !name.ends_with('/')).collect();
    let found: BTreeSet<_> = extracted.nodes().keys().map(String::as_str).collect();
    ensure!(files == found, "tar lists {files:?}\nand extracts {found:?}");
    let ours = Tree::read(&ground.path("ours/blobs"))?;
    let blobs = Tree::read(&ground.path("extracted/blobs"))?;
    ensure!(ours == blobs, "the blobs that tar extracts are not those of oci:ours");
    same_list(ground, "oci:ours", &ground.listed("oci:ours")?, "oci:extracted")?;
    let checked = ground.verified("oci:extracted")?;
    ground.copied("oci:extracted", "oci-archive:again.tar")?;
    let [before, after] = [ground.sha256("ours.tar")?, ground.sha256("again.tar")?];
    ensure!(before == after, "ours.tar is {before}; extracted and archived again it is {after}");
    Ok(Outcome::Passed(format!(
        "{} members listed, extracted without a word, {checked} blobs verified; longest name {longest} bytes",
        listed.lines().count()
    )))
}

/// What a remade archive holds: ustar and v7 have no room for the name of a sha512.
#[derive(Clone, Copy)]
enum Holds {
    Everything,
    NoSha512,
}

/// How tar is told to write, and what its format has room for.
const FORMATS: [(&[&str], Holds); 7] = [
    (&["--format=gnu"], Holds::Everything),
    (&["--format=pax"], Holds::Everything),
    (&["--format=ustar"], Holds::NoSha512),
    (&["--format=v7"], Holds::NoSha512),
    (&["--format=oldgnu"], Holds::Everything),
    (&["--format=pax", "--pax-option=comment=global"], Holds::Everything),
    (
        &["--format=pax", "--xattrs", "--owner=somebody:12345678", "--mtime=@-1", "-b", "1"],
        Holds::Everything,
    ),
];

/// In which order the members come: sorted, with `./` before each name, and backwards with
/// `index.json` last.
const ORDERS: [&[&str]; 3] = [
    &["--sort=name", "blobs", "index.json", "oci-layout"],
    &["."],
    &["--no-recursion", "--files-from=../backwards"],
];

/// Lets tar make archives in every way.
pub(super) fn writes(ground: &Ground<'_>) -> Result<Outcome> {
    prepare(ground)?;
    let mut made = 0;
    for (format, holds) in FORMATS {
        for order in ORDERS {
            made += 1;
            let name = format!("made-{made}.tar");
            let out = format!("../{name}");
            let args: Vec<&str> = [&["-cf", &out], format, order].concat();
            remade(ground, holds, &name, &mut tar(ground, holds, &args))?;
        }
    }
    Ok(Outcome::Passed(format!(
        "{made} archives of {} forms read, verified and copied",
        FORMATS.len()
    )))
}

/// Pipes archives through gzip.
pub(super) fn gzip(ground: &Ground<'_>) -> Result<Outcome> {
    compressed(ground, &["gzip -1", "gzip -9 -n"])
}

/// Pipes archives through zstd.
pub(super) fn zstd(ground: &Ground<'_>) -> Result<Outcome> {
    compressed(ground, &["zstd -q -1", "zstd -q --ultra -22 --long=27 --no-check"])
}

fn compressed(ground: &Ground<'_>, compressors: &[&str]) -> Result<Outcome> {
    prepare(ground)?;
    for (number, compressor) in compressors.iter().enumerate() {
        let name = format!("made-{number}.tar");
        let script = format!("tar -cf - --format=gnu . | {compressor} >../{name}");
        let mut shell = ground.peer_command("sh", &["-c", &script]);
        shell.current_dir(ground.path(directory(Holds::Everything)));
        remade(ground, Holds::Everything, &name, &mut shell)?;
    }
    Ok(Outcome::Passed(format!(
        "archives through {} read, verified and copied",
        compressors.join(", ")
    )))
}

/// Writes the layouts that are archived, and the list of their members backwards.
fn prepare(ground: &Ground<'_>) -> Result<()> {
    let mut plain = Content::tagged("app", |content| artifacts::multi_platform(content, 1));
    let chart = artifacts::helm_chart(&mut plain, 2);
    plain.tag(&chart, "docker.io/library/chart:1");
    for (holds, content) in [(Holds::Everything, &typed()), (Holds::NoSha512, &plain)] {
        ground.layout(directory(holds), content)?;
    }
    Ok(())
}

fn directory(holds: Holds) -> &'static str {
    match holds {
        Holds::Everything => "everything",
        Holds::NoSha512 => "no-sha512",
    }
}

/// Returns a command for tar that runs in a layout.
fn tar(ground: &Ground<'_>, holds: Holds, args: &[&str]) -> Command {
    let mut command = ground.peer_command("tar", args);
    command.current_dir(ground.path(directory(holds)));
    command
}

/// Runs what makes the archive `name` of a layout, and reads it.
fn remade(ground: &Ground<'_>, holds: Holds, name: &str, command: &mut Command) -> Result<()> {
    let layout = directory(holds);
    let tree = Tree::read(&ground.path(layout))?;
    let backwards: Vec<_> = tree.nodes().keys().rev().map(String::as_str).collect();
    fs::write(ground.path("backwards"), backwards.join("\n"))?;
    silent(command)?;
    read(ground, &format!("oci:{layout}"), name)
        .with_context(|| format!("{name} was made of {layout} with `{}`", shown(command)))
}

/// Reads, verifies and copies an archive that was made of `layout`.
fn read(ground: &Ground<'_>, layout: &str, name: &str) -> Result<()> {
    let archive = format!("oci-archive:{name}");
    same_list(ground, layout, &ground.listed(layout)?, &archive)?;
    let [before, after] = [ground.verified(layout)?, ground.verified(&archive)?];
    ensure!(before == after, "{layout} has {before} blobs, {archive} has {after}");
    let copies = [(layout, "expected.tar"), (&*archive, "copied.tar")];
    for (from, to) in copies {
        ground.ours(&["copy", "-q", "--force", "--all", from, &format!("oci-archive:{to}")])?;
    }
    let [before, after] = [ground.sha256("expected.tar")?, ground.sha256("copied.tar")?];
    ensure!(before == after, "of {layout} we make {before}, of {archive} {after}");
    Ok(())
}

/// Runs a command that must not complain.
fn silent(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let output = command.output().with_context(|| format!("cannot run `{line}`"))?;
    if !output.status.success() || !output.stderr.is_empty() {
        bail!("`{line}`: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` did not print UTF-8"))
}
