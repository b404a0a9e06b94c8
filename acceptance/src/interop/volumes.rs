//! Bundles that were cut into volumes: what other tools read of each, and imports stick by stick.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use longshore_fixture::{Content, Draft, Random};
use longshore_spec::{MediaType, keys};
use serde_json::Value;

use super::Outcome;
use super::bundles::Exported;
use super::ground::Ground;
use crate::run::capture;
use crate::server::{ANY_PORT, Server};

/// The lengths of volumes, each with its number of bytes; the last is that of imports.
const SIZES: [(&str, u64); 5] = [
    ("300kB", 300_000),
    ("400kB", 400_000),
    ("700kB", 700_000),
    ("1MB", 1_000_000),
    ("500kB", 500_000),
];
/// How long the large blob is, in bytes: three volumes of the last size.
const LARGE: usize = 1_400_000;
/// In how many orders volumes are imported into a layout, and into a registry.
const ORDERS: [usize; 2] = [12, 4];
/// What `import` ends with while volumes are to come.
const TO_COME: i32 = 4;

/// Cuts a bundle of thirteen repositories in five ways, and imports one of the sets in many orders.
pub(super) fn check(ground: &Ground<'_>) -> Result<Outcome> {
    let exported = Exported::new(ground)?;
    let mut large = Content::new();
    let mut bytes = vec![0; LARGE];
    Random::new(11).fill(&mut bytes);
    let layer = large.blob(MediaType::LAYER_TAR, bytes);
    let config = large.empty();
    let draft = Draft::image(&config, &[layer]).artifact_type("application/vnd.example.large.v1");
    let root = large.manifest(&draft);
    large.tag(&root, "large");
    ground.layout("large", &large)?;
    let place = exported.near.place("models/large:1");
    ground.ours(&["copy", "-q", "oci:large:large", &place])?;
    let wanted = fs::read_to_string(ground.path("bundle.yaml"))?;
    fs::write(ground.path("bundle.yaml"), format!("{wanted}  - ref: {place}\n"))?;
    ground.ours(&["export", "-q", "-f", "bundle.yaml", "-o", "whole.tar"])?;

    let (mut read, mut volumes) = (0, Vec::new());
    for (size, most) in SIZES {
        volumes = cut(ground, size, most)?;
        for volume in &volumes {
            read += read_by_others(ground, volume)?;
        }
    }
    let mut random = Random::new(5);
    for number in 0..ORDERS[0] {
        let to = format!("oci:layout-{number}");
        random.shuffle(&mut volumes);
        import_all(ground, &volumes, &to, &[], |_| Ok(()))?;
        ground.verified(&to)?;
        ground.ours(&["diff", &to, "whole.tar"])?;
    }
    for number in 0..ORDERS[1] {
        random.shuffle(&mut volumes);
        into_registry(ground, &exported, &volumes, number)?;
    }
    let [layouts, registries] = ORDERS;
    Ok(Outcome::Passed(format!(
        "{read} roots that are whole in a volume read by skopeo and oras, of {} sizes; {} volumes imported one by \
         one in {layouts} orders into layouts, and in {registries} into a registry that collects garbage between",
        SIZES.len(),
        volumes.len()
    )))
}

/// Exports volumes, none of which may be longer than was said; returns their names.
fn cut(ground: &Ground<'_>, size: &str, most: u64) -> Result<Vec<String>> {
    let stem = format!("cut-{size}");
    let out = format!("{stem}.tar");
    ground.ours(&["export", "-q", "-f", "bundle.yaml", "--volume-size", size, "-o", &out])?;
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(ground.path("."))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&format!("{stem}.v")) {
            let length = entry.metadata()?.len();
            ensure!(length <= most, "{name} has {length} bytes, more than {size}");
            names.push(name);
        }
    }
    names.sort();
    ensure!(names.len() > 1, "{size} makes {} volumes", names.len());
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    ground.ours(&[&["verify", "-q"], &words[..]].concat())?;
    Ok(names)
}

/// Lets skopeo and oras read every root that `index.json` of a volume names; returns how many those are.
fn read_by_others(ground: &Ground<'_>, volume: &str) -> Result<usize> {
    let index = ground.theirs("tar", &["-xOf", volume, "index.json"])?;
    let index: Value = serde_json::from_str(&index)?;
    let mut read = 0;
    for entry in index["manifests"].as_array().context("an index without manifests")? {
        let Some(name) = entry["annotations"][keys::REF_NAME].as_str() else { continue };
        let digest = entry["digest"].as_str().context("an entry without digest")?;
        let raw = ground.client(
            "oras",
            &["manifest", "fetch", "--oci-layout", &format!("{volume}@{digest}")],
        )?;
        ensure!(
            longshore_spec::Digest::sha256(&raw).to_string() == digest
                || !digest.starts_with("sha256:"),
            "oras reads something else as {name} of {volume}"
        );
        // skopeo 1.9.3 passes over entries that are Docker's.
        if entry["mediaType"].as_str().is_some_and(|of| of.starts_with("application/vnd.oci.")) {
            let archive = format!("oci-archive:{volume}:{name}");
            let shown = ground.client("skopeo", &["inspect", "--raw", &archive])?;
            ensure!(shown == raw, "skopeo reads something else as {name} of {volume}");
        }
        read += 1;
    }
    Ok(read)
}

/// Imports volumes one by one, and again what the target lost meanwhile, until nothing is to come.
fn import_all(
    ground: &Ground<'_>,
    volumes: &[String],
    to: &str,
    more: &[&str],
    mut between: impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    const ROUNDS: usize = 4;
    for _ in 0..ROUNDS {
        for volume in volumes {
            let mut import = ground.command(&["import", "-q", volume, to]);
            let output = import.args(more).output()?;
            match output.status.code() {
                Some(0) => return Ok(()),
                Some(TO_COME) => between(volume)?,
                code => {
                    let said = String::from_utf8_lossy(&output.stderr);
                    bail!("`import {volume}` ended with {code:?}: {said}");
                }
            }
        }
    }
    bail!("after {ROUNDS} rounds volumes are still to come")
}

/// Imports volumes into Debian's registry, which is ended and collects garbage after every second one.
fn into_registry(
    ground: &Ground<'_>,
    exported: &Exported,
    volumes: &[String],
    number: usize,
) -> Result<()> {
    let directory = ground.path(&format!("site-{number}"));
    let scratch = format!("scratch-{number}");
    fs::create_dir(ground.path(&scratch))?;
    let mut server = Some(Server::distribution(&directory, ANY_PORT, true)?);
    let address = server.as_ref().context("it was started")?.address().to_owned();
    let mut imported = 0;
    let collect = |directory: &PathBuf| {
        let mut collect = Command::new("docker-registry");
        capture(collect.args(["garbage-collect", "config.yml"]).current_dir(directory)).map(drop)
    };
    let to = format!("{address}/site");
    import_all(ground, volumes, &to, &["--scratch", &scratch], |_| {
        imported += 1;
        if imported % 2 == 0 && imported < volumes.len() {
            drop(server.take());
            collect(&directory)?;
            server = Some(Server::distribution(&directory, &address, true)?);
        }
        Ok(())
    })?;
    let server = server.context("it was started again")?;
    exported.arrived(&server, "site/")?;
    let large = |server: &Server, prefix: &str| {
        ground.ours(&["digest", &server.place(&format!("{prefix}models/large:1"))])
    };
    ensure!(large(&server, "site/")? == large(&exported.near, "")?, "the large one is another");
    ground.ours(&["verify", "-q", &server.place("site/models/large:1")])?;
    let left = fs::read_dir(ground.path(&scratch).join("longshore-parts"));
    let left = left.map_or(0, Iterator::count);
    ensure!(left == 0, "{left} directories of parts are left");
    Ok(())
}
