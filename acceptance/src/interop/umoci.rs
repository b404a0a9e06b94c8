//! umoci makes and changes images that the program reads, and unpacks those that the program writes.

use std::fs;

use anyhow::{Context, Result, ensure};
use longshore_fixture::{Content, artifacts};

use super::Outcome;
use super::carry::{carry, same_blobs};
use super::ground::Ground;

/// A file that the images of the fixture have.
const RELEASE: &str = "rootfs/etc/os-release";

/// Lets umoci make images.
pub(super) fn writes(ground: &Ground<'_>) -> Result<Outcome> {
    let umoci = |args: &[&str]| ground.theirs("umoci", args).map(drop);
    umoci(&["init", "--layout", "made"])?;
    // A layout without an image is one too.
    ensure!(ground.verified("oci:made")? == 0, "an empty layout of umoci holds nothing");
    umoci(&["new", "--image", "made:empty"])?;
    umoci(&["new", "--image", "made:app"])?;
    umoci(&["config", "--image", "made:app", "--config.user", "1000", "--author", "somebody"])?;
    fs::create_dir_all(ground.path("files/bin"))?;
    fs::write(ground.path("files/bin/app"), "#!/bin/sh\necho app\n")?;
    umoci(&["insert", "--rootless", "--image", "made:app", "files", "/opt/files"])?;
    umoci(&["tag", "--image", "made:app", "v1.0"])?;
    let carried = carry(ground, "oci:made", "carried")?;
    same_blobs(&ground.path("made"), &ground.path("carried-back"), carried.blobs)?;
    unpack(ground, "carried-back:v1.0", "bundle")?;
    let app = ground.path("bundle/rootfs/opt/files/bin/app");
    ensure!(app.is_file(), "umoci unpacked carried-back:v1.0 without opt/files/bin/app");
    Ok(Outcome::Passed(format!(
        "{} names, {} blobs, carried to an archive and back, unpacked by umoci",
        carried.roots, carried.blobs
    )))
}

/// Lets umoci read, unpack, change and clean a directory of ours.
pub(super) fn reads(ground: &Ground<'_>) -> Result<Outcome> {
    let mut content = Content::tagged("app", |content| artifacts::image(content, 1));
    let other = artifacts::zstd_image(&mut content, 2);
    content.tag(&other, "docker.io/library/other:2");
    ground.layout("fixture", &content)?;
    ground.copied("oci:fixture", "oci-archive:ours.tar")?;
    ground.copied("oci-archive:ours.tar", "oci:ours")?;
    let before = ground.listed("oci:ours")?;

    let names = ground.theirs("umoci", &["ls", "--layout", "ours"])?;
    let mut names: Vec<_> = names.lines().collect();
    names.sort_unstable();
    ensure!(names == ["app", "docker.io/library/other:2"], "`umoci ls` lists {names:?}");
    let stat = ground.theirs("umoci", &["stat", "--json", "--image", "ours:app"])?;
    let stat: serde_json::Value = serde_json::from_str(&stat)?;
    let history = stat["history"].as_array().context("`umoci stat` shows no history")?;
    ensure!(history.len() == 2, "`umoci stat` shows not two layers: {history:?}");
    unpack(ground, "ours:app", "bundle")?;
    let release = fs::read_to_string(ground.path("bundle").join(RELEASE))
        .with_context(|| format!("umoci unpacked ours:app without {RELEASE}"))?;
    ensure!(release == "ID=linux\n", "umoci unpacked ours:app, and {RELEASE} holds {release:?}");

    // What umoci removes is what nothing needs; ours it leaves alone.
    ground.theirs("umoci", &["gc", "--layout", "ours"])?;
    let after = ground.listed("oci:ours")?;
    ensure!(before == after, "`umoci gc` changed {before:?}\nto {after:?}");
    ground.verified("oci:ours")?;
    ground.theirs(
        "umoci",
        &["config", "--image", "ours:app", "--tag", "changed", "--author", "me"],
    )?;
    ground.theirs("umoci", &["tag", "--image", "ours:app", "same"])?;
    let carried = carry(ground, "oci:ours", "carried")?;
    ensure!(carried.roots == 4, "of 4 names after umoci's work, {} are listed", carried.roots);
    Ok(Outcome::Passed("listed, shown, unpacked, cleaned and changed by umoci".to_owned()))
}

fn unpack(ground: &Ground<'_>, image: &str, bundle: &str) -> Result<()> {
    ground.theirs("umoci", &["unpack", "--rootless", "--image", image, bundle]).map(drop)
}
