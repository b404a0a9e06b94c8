//! A bundle is the same for as long as its lock is, and what has changed in the registry is noticed.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use longshore_fixture::Draft;
use longshore_spec::{Descriptor, Digest};

use super::Outcome;
use super::ground::{Ground, failed};
use super::stock::digests;
use super::stock::{Stock, stocked};
use crate::run::shown;
use crate::server::Server;

/// Makes the bundle with few and with many jobs, and again when the registry is not what it was.
pub(super) fn check(ground: &Ground<'_>) -> Result<Outcome> {
    let near = ground.distribution()?;
    let stock = stocked(ground, &near)?;
    let stock = |name| stock.iter().find(|stock| stock.name == name).context("no such stock");
    ground.ours(&["lock", "-q"])?;
    for (jobs, bundle) in [("1", "one.tar"), ("16", "sixteen.tar")] {
        let export = ["export", "-q", "-f", "bundle.yaml", "--locked", "-o", bundle];
        ground.ours(&[&export[..], &["--jobs", jobs]].concat())?;
    }
    let [one, sixteen] = ["one.tar", "sixteen.tar"].map(|bundle| ground.sha256(bundle));
    let (one, sixteen) = (one?, sixteen?);
    ensure!(one == sixteen, "--jobs 1 made {one}, and --jobs 16 {sixteen}");
    same(ground)?;

    let chart = &stock("charts/shop")?.tags["1.4.0"];
    let chart =
        stock("charts/shop")?.below(vec![chart.clone()]).remove(chart).context("no chart")?;
    let layer = digests(&chart, "layers").next().context("a chart without a layer")?;
    for digest in [&layer, &stock("modules/filter")?.tags["0.3"]] {
        changed(ground, digest).with_context(|| format!("{digest} was changed"))?;
    }
    moved(ground, &near, stock("library/base")?)?;
    rebuilt(ground, &near, stock("team/tool")?)?;
    gone(ground, &near, stock("team/built")?)?;
    Ok(Outcome::Passed(format!(
        "{one} for --jobs 1 and 16; noticed: a byte of a layer and of a manifest in the registry's storage, a tag \
         that moved, an index without a platform, an image and an index that are gone"
    )))
}

/// Exports what is locked to a file that is not there yet.
fn again(ground: &Ground<'_>) -> Result<Command> {
    for file in ["again.tar", "again.tar.partial", "again.tar.partial.journal"] {
        if ground.path(file).exists() {
            fs::remove_file(ground.path(file))?;
        }
    }
    Ok(ground.command(&["export", "-q", "-f", "bundle.yaml", "--locked", "-o", "again.tar"]))
}

fn compare(ground: &Ground<'_>) -> Command {
    ground.command(&["export", "-f", "bundle.yaml", "--locked", "--check", "-o", "one.tar"])
}

/// Fails unless nothing has changed for anybody.
fn same(ground: &Ground<'_>) -> Result<()> {
    told(&mut compare(ground), 0, "it is the same, to the byte")?;
    told(&mut ground.command(&["lock", "--check"]), 0, "are as they were locked")
}

/// Fails unless what is locked can be had as it was.
fn is_still_had(ground: &Ground<'_>) -> Result<()> {
    told(&mut again(ground)?, 0, "")?;
    let [before, after] = [ground.sha256("one.tar")?, ground.sha256("again.tar")?];
    ensure!(before == after, "one lock made {before}, and then {after}");
    told(&mut compare(ground), 0, "it is the same, to the byte")
}

/// Fails unless what is locked cannot be had, for a reason that is told.
fn is_not_had(ground: &Ground<'_>, reason: &str) -> Result<()> {
    failed(&mut again(ground)?, 1, reason)?;
    ensure!(!ground.path("again.tar").exists(), "again.tar is there all the same");
    failed(&mut compare(ground), 1, reason)
}

/// Changes one digit of some content where the registry keeps it, and changes it back.
fn changed(ground: &Ground<'_>, digest: &Digest) -> Result<()> {
    let path = stored(ground, digest);
    let right = fs::read(&path)?;
    let mut wrong = right.clone();
    // A digit of what a manifest refers to, so that it is one still.
    let at = right.windows(7).position(|window| window == b"sha256:").map(|at| at + 7);
    let at = at.unwrap_or(right.len() / 2);
    wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
    fs::write(&path, wrong)?;
    is_not_had(ground, &digest.to_string())?;
    fs::write(&path, right)?;
    same(ground)
}

/// Lets a tag stand for an older image, and then for what it was.
fn moved(ground: &Ground<'_>, near: &Server, base: &Stock) -> Result<()> {
    let place = near.place(base.name);
    let before = &base.tags["3.20"];
    let now = ground.ours(&["digest", &format!("{place}:3.19")])?;
    ground.ours(&["tag", &format!("{place}:3.19"), "3.20"])?;
    let line = format!("moved  {place}:3.20: {before} is {} now\n", now.trim());
    told(&mut ground.command(&["lock", "--check"]), 3, &line)?;
    is_still_had(ground)?;
    let mut unlocked = ground.command(&["export", "-f", "bundle.yaml", "--check", "-o", "one.tar"]);
    told(&mut unlocked, 3, "it is another bundle")?;
    ground.ours(&["tag", &format!("{place}@{before}"), "3.20"])?;
    same(ground)
}

/// Rebuilds an index without one of its platforms; then the old one goes.
fn rebuilt(ground: &Ground<'_>, near: &Server, tool: &Stock) -> Result<()> {
    let place = near.place(tool.name);
    let before = &tool.tags["2"];
    let index = serde_json::from_slice::<serde_json::Value>(tool.bytes(before))?;
    let entries: Vec<Descriptor> = serde_json::from_value(index["manifests"].clone())?;
    let mut content = tool.content.clone();
    content.entries.clear();
    let rebuilt = content.manifest(&Draft::index(&entries[..1]));
    content.tag(&rebuilt, "2");
    ground.layout("rebuilt", &content)?;
    ground.copied("oci:rebuilt", &place)?;
    let line = format!("moved  {place}:2: {before} is {} now\n", rebuilt.digest);
    told(&mut ground.command(&["lock", "--check"]), 3, &line)?;
    is_still_had(ground)?;
    ground.ours(&["delete", "-q", &format!("{place}@{before}")])?;
    is_not_had(ground, &before.to_string())?;
    // As it was, for what comes next.
    ground.copied("oci:team-tool", &place)?;
    same(ground)
}

/// Takes the image away that an index lists.
fn gone(ground: &Ground<'_>, near: &Server, built: &Stock) -> Result<()> {
    let place = near.place(built.name);
    let index = serde_json::from_slice(built.bytes(&built.tags["1.0"]))?;
    let image = digests(&index, "manifests").next().context("an index of nothing")?;
    ground.ours(&["delete", "-q", &format!("{place}@{image}")])?;
    told(
        &mut ground.command(&["lock", "--check"]),
        3,
        &format!("moved  {place}:1.0: other platforms"),
    )?;
    is_not_had(ground, "not as locked: moved")
}

/// Returns where `docker-registry` keeps some content.
fn stored(ground: &Ground<'_>, digest: &Digest) -> PathBuf {
    let hex = digest.encoded();
    let path = format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
    ground.path("distribution").join("store").join(path)
}

/// Fails unless a command ends with an exit code and prints something.
fn told(command: &mut Command, code: i32, expected: &str) -> Result<()> {
    let line = shown(command);
    let output = command.output().with_context(|| format!("cannot run `{line}`"))?;
    let [said, complaint] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    ensure!(
        output.status.code() == Some(code) && said.contains(expected),
        "`{line}` was to end with {code} and \"{expected}\"; {}, and it said\n{said}{complaint}",
        output.status
    );
    Ok(())
}
