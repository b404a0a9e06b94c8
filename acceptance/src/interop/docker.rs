//! What reads the archives of Docker reads a bundle with `manifest.json` too.

use anyhow::{Context, Result, ensure};
use longshore_fixture::{Content, artifacts};
use serde_json::Value;

use super::Outcome;
use super::ground::Ground;
use crate::run::capture;
use crate::server::ANY_PORT;

/// The platform that is wanted.
const PLATFORM: &str = "linux/amd64";

/// skopeo and podman take an index, a plain image and one with layers in zstd out of a bundle; the
/// chart beside them stays unseen, and the bundle is one still.
pub(super) fn check(ground: &Ground<'_>) -> Result<Outcome> {
    let mut content = Content::new();
    let index = artifacts::multi_platform(&mut content, 1);
    content.tag(&index, "team/index:v1");
    let image = artifacts::image(&mut content, 2);
    content.tag(&image, "team/image:v1");
    let zstd = artifacts::zstd_image(&mut content, 3);
    content.tag(&zstd, "team/zstd:v1");
    let chart = artifacts::helm_chart(&mut content, 4);
    content.tag(&chart, "team/chart:v1");
    ground.layout("images", &content)?;
    let server = ground.serve("images", ANY_PORT, &[])?;
    let images = ["index", "image", "zstd"].map(|name| server.place(&format!("team/{name}:v1")));
    let chart = server.place("team/chart:v1");
    let flag = format!("--docker-manifest={PLATFORM}");
    let refs: Vec<&str> = images.iter().chain([&chart]).map(String::as_str).collect();
    ground.ours(&[&["export", "-q", "-o", "b.tar", &flag], &refs[..]].concat())?;
    ground.ours(&["verify", "-q", "oci-archive:b.tar"])?;

    // What skopeo takes out by name is what was wanted.
    for place in &images {
        let from = format!("docker-archive:b.tar:{place}");
        let seen: Value = serde_json::from_str(&ground.theirs("skopeo", &["inspect", &from])?)?;
        let arch = seen["Architecture"].as_str().context("skopeo names no architecture")?;
        ensure!(arch == "amd64", "{place} is for {arch}");
        ground.theirs("skopeo", &["copy", "-q", &from, "oci:taken:it"])?;
        ground.ours(&["copy", "-q", "--platform", PLATFORM, place, "oci:wanted:it"])?;
        // It writes the config in its own order; the layers in it tell that it is the same image.
        let config = |layout: &str| -> Result<Value> {
            Ok(serde_json::from_str(&ground.ours(&["inspect", "--config", layout])?)?)
        };
        let [taken, wanted] = [config("oci:taken:it")?, config("oci:wanted:it")?];
        let layers = &taken["rootfs"]["diff_ids"];
        ensure!(layers.is_array(), "{place} has no layers: {taken}");
        ensure!(*layers == wanted["rootfs"]["diff_ids"], "skopeo took another {place}: {taken}");
    }
    let unseen = format!("docker-archive:b.tar:{chart}");
    ensure!(
        ground.theirs("skopeo", &["inspect", &unseen]).is_err(),
        "skopeo sees {chart}, which is no image"
    );

    // Another platform than most machines have, which only the index is for.
    ground.ours(
        &[&["export", "-q", "-o", "arm.tar", "--docker-manifest=linux/arm64"], &refs[..]].concat(),
    )?;
    let arm = format!("docker-archive:arm.tar:{}", images[0]);
    let seen: Value = serde_json::from_str(&ground.theirs("skopeo", &["inspect", &arm])?)?;
    ensure!(seen["Architecture"] == "arm64", "skopeo takes something else: {seen}");

    let [root, state] = ["root", "state"].map(|name| ground.path(name).display().to_string());
    let podman = |args: &[&str]| {
        let store = ["--storage-driver", "vfs", "--root", &root, "--runroot", &state];
        capture(&mut ground.peer_command("podman", &[&store[..], args].concat()))
    };
    podman(&["load", "--quiet", "--input", "b.tar"])?;
    let loaded = podman(&["images", "--format", "{{.Repository}}:{{.Tag}}"])?;
    for place in &images {
        ensure!(loaded.contains(place.as_str()), "podman has not loaded {place}: {loaded}");
    }
    drop(server);
    Ok(Outcome::Passed(format!("{} images taken by skopeo and podman", images.len())))
}
