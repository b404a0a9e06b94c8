//! skopeo makes layouts and archives that the program reads, and reads those that the program makes.

use anyhow::{Result, bail, ensure};
use longshore_fixture::{Content, artifacts, typed};
use serde_json::Value;

use super::Outcome;
use super::carry::{carry, same_blobs};
use super::ground::{Ground, refused, text};

/// What is copied with skopeo, by its names in [`typed()`].
const COPIED: [&str; 9] =
    ["app", "bottle", "built", "bundle", "chart", "exact", "model", "module", "rules"];

/// Lets skopeo write a directory.
pub(super) fn writes(ground: &Ground<'_>) -> Result<Outcome> {
    ground.layout("fixture", &typed())?;
    for name in COPIED {
        copy(ground, &format!("oci:fixture:{name}"), &format!("oci:made:{name}"))?;
    }
    copy(ground, "oci:made:app", "oci:made:docker.io/library/app:1")?;
    let carried = carry(ground, "oci:made", "carried")?;
    same_blobs(&ground.path("made"), &ground.path("carried-back"), carried.blobs)?;
    let names: Vec<_> = COPIED.into_iter().chain(["docker.io/library/app:1"]).collect();
    for place in ["oci:made", &carried.archive, &carried.directory] {
        for name in &names {
            same_manifest(ground, &format!("{place}:{name}"))?;
        }
    }
    let told =
        format!("{} names, {} blobs, carried to an archive and back", names.len(), carried.blobs);
    Ok(Outcome::Passed(told))
}

/// Lets skopeo write archives, each with one name, as it does.
pub(super) fn archives(ground: &Ground<'_>) -> Result<Outcome> {
    ground.layout("fixture", &typed())?;
    let named = [("app", "app"), ("chart", "v1.0"), ("exact", "docker.io/library/exact:1")];
    let mut blobs = 0;
    for (number, (from, name)) in named.into_iter().enumerate() {
        let archive = format!("oci-archive:made-{number}.tar");
        copy(ground, &format!("oci:fixture:{from}"), &format!("{archive}:{name}"))?;
        let carried = carry(ground, &archive, &format!("carried-{number}"))?;
        ensure!(carried.roots == 1, "{archive} has one name, and {} are listed", carried.roots);
        for place in [&archive, &carried.archive, &carried.directory] {
            same_manifest(ground, &format!("{place}:{name}"))?;
        }
        blobs += carried.blobs;
    }
    Ok(Outcome::Passed(format!("{} archives, {blobs} blobs, carried on", named.len())))
}

/// Lets skopeo write the archives of Docker, which are no layouts, and turn one into a layout.
pub(super) fn docker_archive(ground: &Ground<'_>) -> Result<Outcome> {
    let content = Content::tagged("app", |content| artifacts::image(content, 1));
    ground.layout("fixture", &content)?;
    let docker = "docker-archive:docker.tar";
    skopeo(ground, &["copy", "-q", "oci:fixture:app", &format!("{docker}:library/app:1")])?;
    let is_docker = "it is a Docker archive, not an OCI one";
    let hint = "`skopeo copy docker-archive:FILE oci:DIR`";
    for said in [is_docker, hint] {
        refused(&mut ground.command(&["list", "oci-archive:docker.tar"]), said)?;
    }
    refused(&mut ground.command(&["list", docker]), "files are not OCI layouts")?;
    let mut copy = ground.command(&["copy", "--all", "oci-archive:docker.tar", "oci:never"]);
    refused(&mut copy, is_docker)?;
    ensure!(!ground.path("never").exists(), "a refused copy has left its target behind");
    skopeo(ground, &["copy", "-q", "oci:fixture:app", "dir:plain"])?;
    refused(&mut ground.command(&["list", "dir:plain"]), "copy to `oci:DIR` with skopeo first")?;

    // What the hint says must work.
    skopeo(ground, &["copy", "-q", docker, "oci:made:app"])?;
    let carried = carry(ground, "oci:made", "carried")?;
    same_manifest(ground, &format!("{}:app", carried.directory))?;
    Ok(Outcome::Passed(format!("refused, then {} blobs as skopeo turns it", carried.blobs)))
}

/// Names that skopeo can be asked for, too (row A-23). None has the digest of other content behind it:
/// whoever asks for a digest is given that and nothing else.
const NAMES: [&str; 7] = [
    "A:b",
    "a+b",
    "a--b",
    "v1.0-rc.1",
    "x@y",
    "docker.io/library/app:1",
    "localhost:5000/team/app:2",
];

/// Tags that are no names by the grammar of the image specification, which only we take.
const OTHERS: [&str; 6] = ["_x", "a..b", "a._b", "a__b", "v1-", "v1_"];

/// What skopeo 1.9.3 is not able to copy, by name, with what it says. A later skopeo may be.
const NOT_COPIED: [(&str, &str); 2] = [
    ("release", "received a manifest list instead of a manifest for a single image"),
    ("strong", "saved with digest sha256"),
];

/// Lets skopeo read a directory and an archive of ours, by every name.
pub(super) fn reads(ground: &Ground<'_>) -> Result<Outcome> {
    let mut content = typed();
    for (seed, name) in (100..).zip(NAMES.into_iter().chain(OTHERS)) {
        let root = artifacts::image(&mut content, seed);
        content.tag(&root, name);
    }
    ground.layout("fixture", &content)?;
    ground.copied("oci:fixture", "oci:ours")?;
    ground.copied("oci:ours", "oci-archive:ours.tar")?;
    let listed = ground.listed("oci:ours")?;
    let mut tally = Tally::default();
    for line in &listed {
        if let Some(name) = text(line, "name") {
            read(ground, line, name, &mut tally)?;
        }
    }
    let Tally { read, copied, refused, unseen } = tally;
    ensure!(read > 0 && copied > 0 && refused > 0, "nothing was compared: {listed:?}");
    Ok(Outcome::Passed(format!(
        "{read} names read and {copied} copied out of our archive; {refused} refused by skopeo as no names, \
         {unseen} unseen by it as not OCI, all of them fine with us"
    )))
}

#[derive(Default)]
struct Tally {
    read: usize,
    copied: usize,
    refused: usize,
    unseen: usize,
}

/// Reads one name at both places with skopeo, and copies it out of the archive.
fn read(ground: &Ground<'_>, line: &Value, name: &str, tally: &mut Tally) -> Result<()> {
    let [directory, archive] =
        ["oci:ours", "oci-archive:ours.tar"].map(|place| format!("{place}:{name}"));
    for place in [&directory, &archive] {
        let digest = ground.ours(&["digest", place])?;
        ensure!(
            digest.trim() == text(line, "digest").unwrap_or_default(),
            "`longshore digest {place}` printed {digest}, and {line} is listed"
        );
        if !is_name(name) {
            refused(
                &mut ground.peer_command("skopeo", &["inspect", "--raw", place]),
                "Invalid image",
            )?;
            continue;
        }
        if let Err(error) = same_manifest(ground, place) {
            let is_docker = text(line, "mediaType").is_some_and(|text| text.contains("docker"));
            // skopeo 1.9.3 passes over entries of `index.json` that are Docker's.
            if !is_docker || !error.to_string().contains("no descriptor found") {
                return Err(error);
            }
            tally.unseen += 1;
            return Ok(());
        }
    }
    if !is_name(name) {
        tally.refused += 1;
        return Ok(());
    }
    tally.read += 1;
    let target = format!("oci:skopeo:{name}");
    match (copy(ground, &archive, &target), NOT_COPIED.iter().find(|(known, _)| *known == name)) {
        (Ok(()), _) => {}
        (Err(error), Some((_, said))) if error.to_string().contains(said) => return Ok(()),
        (Err(error), _) => return Err(error),
    }
    tally.copied += 1;
    let digest = ground.ours(&["digest", &target])?;
    if Some(digest.trim()) != text(line, "digest") {
        bail!("skopeo copied {archive} to {target}, which is {digest}, and {line} is listed");
    }
    Ok(())
}

/// Copies with skopeo, all platforms and without a change to what is copied.
fn copy(ground: &Ground<'_>, from: &str, to: &str) -> Result<()> {
    skopeo(ground, &["copy", "--quiet", "--all", "--preserve-digests", from, to])
}

fn skopeo(ground: &Ground<'_>, args: &[&str]) -> Result<()> {
    ground.theirs("skopeo", args).map(drop)
}

/// Fails unless skopeo and the program print the same bytes for a manifest.
fn same_manifest(ground: &Ground<'_>, place: &str) -> Result<()> {
    let args = ["inspect", "--raw", place];
    let theirs = ground.theirs("skopeo", &args)?;
    let ours = ground.ours(&args)?;
    ensure!(ours == theirs, "for {place}, skopeo prints\n{theirs}\nand longshore prints\n{ours}");
    Ok(())
}

/// Tells whether a text is a `ref.name` by the grammar of the image specification, which skopeo
/// holds names to: words of letters and digits with one separator, or `--`, between them.
fn is_name(text: &str) -> bool {
    text.split('/').all(|component| {
        let words = component.replace("--", "-");
        let mut words = words.split(['-', '.', '_', ':', '@', '+']);
        words.all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a23_names_are_told_from_other_tags() {
        assert!(NAMES.into_iter().all(is_name), "{NAMES:?}");
        assert!(!OTHERS.into_iter().any(is_name), "{OTHERS:?}");
    }
}
