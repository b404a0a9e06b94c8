//! A layout carried to an archive and back, and compared at every stop.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use longshore_fixture::{Node, Tree};
use longshore_spec::Digest;
use serde_json::Value;

use super::ground::{Ground, selected, text};

/// What was carried, and where it is now.
pub(super) struct Carried {
    pub(super) roots: usize,
    pub(super) blobs: u64,
    /// The archive on the way, as a place.
    pub(super) archive: String,
    /// The directory at the end, as a place.
    pub(super) directory: String,
}

/// Carries all of `place` to an archive, to a directory and to an archive again, whose names begin
/// with `stem`.
///
/// At every stop the same must be listed, every root must be shown, all must be verified, and every
/// listed manifest must have the same bytes. The two archives must be the same file.
pub(super) fn carry(ground: &Ground<'_>, place: &str, stem: &str) -> Result<Carried> {
    let [first, second] = [format!("{stem}.tar"), format!("{stem}-again.tar")];
    let archive = format!("oci-archive:{first}");
    let directory = format!("oci:{stem}-back");
    let listed = ground.listed(place)?;
    let blobs = ground.verified(place)?;
    let raw = manifests(ground, place, &listed)?;

    ground.copied(place, &archive)?;
    ground.copied(&archive, &directory)?;
    ground.copied(&directory, &format!("oci-archive:{second}"))?;
    for stop in [&archive, &directory] {
        same_list(ground, place, &listed, stop)?;
        let there = ground.verified(stop)?;
        ensure!(there == blobs, "{place} has {blobs} blobs, {stop} has {there}");
        for (line, (before, after)) in
            listed.iter().zip(raw.iter().zip(&manifests(ground, stop, &listed)?))
        {
            let what = selected(stop, line);
            ensure!(before == after, "`longshore inspect --raw {what}` is not that of {place}");
        }
    }
    let [before, after] = [ground.sha256(&first)?, ground.sha256(&second)?];
    ensure!(before == after, "{first} is {before}, {second} is {after}: they should be one file");
    Ok(Carried { roots: listed.len(), blobs, archive, directory })
}

/// Fails unless `stop` lists what `place` does.
pub(super) fn same_list(
    ground: &Ground<'_>,
    place: &str,
    listed: &[Value],
    stop: &str,
) -> Result<()> {
    let there = ground.listed(stop)?;
    for line in listed {
        let key =
            |other: &&Value| other["name"] == line["name"] && other["digest"] == line["digest"];
        match there.iter().find(key) {
            Some(other) if other == line => {}
            Some(other) => bail!("{place} lists {line}\n{stop} lists {other}"),
            None => bail!("{place} lists {line}\n{stop} does not list it"),
        }
    }
    let (here, there) = (listed.len(), there.len());
    ensure!(here == there, "{place} lists {here} entries, {stop} lists {there}");
    Ok(())
}

/// Shows every root in every way, and returns the bytes of the manifests.
fn manifests(ground: &Ground<'_>, place: &str, listed: &[Value]) -> Result<Vec<String>> {
    let show = |line: &Value| {
        let one = selected(place, line);
        for command in ["inspect", "tree"] {
            let shown = ground.ours(&[command, &one])?;
            ensure!(!shown.is_empty(), "`longshore {command} {one}` printed nothing");
        }
        let raw = ground.ours(&["inspect", "--raw", &one])?;
        let digest: Digest = text(line, "digest").context("a line without a digest")?.parse()?;
        let mut hasher = digest.hasher().with_context(|| format!("cannot compute {digest}"))?;
        hasher.update(raw.as_bytes());
        let found = hasher.finish();
        ensure!(found == digest, "`longshore inspect --raw {one}` printed {found}, not {digest}");
        Ok(raw)
    };
    listed.iter().map(show).collect()
}

/// Fails unless every blob of the layout in `after` is in `before` too, with the same bytes, and
/// they are `count`. What nothing refers to is not carried along.
pub(super) fn same_blobs(before: &Path, after: &Path, count: u64) -> Result<()> {
    let [before, after] = [before, after].map(|path| Tree::read(&path.join("blobs")));
    let (before, after) = (before?, after?);
    for (path, node) in after.nodes() {
        let Node::File(bytes) = node else { bail!("blobs/{path} is no file, but {node:?}") };
        let same = before.bytes(path).is_some_and(|other| other == bytes);
        ensure!(same, "blobs/{path} was not there before with these bytes");
    }
    let there = after.nodes().len();
    ensure!(there as u64 == count, "{count} blobs were verified, {there} are files");
    Ok(())
}
