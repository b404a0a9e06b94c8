//! oras reads our layouts, archives and registry and writes to them, referrers too.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Outcome;
use super::carry::carry;
use super::clients::{OURS, Scene};
use super::ground::Ground;

/// Copies every artifact with its referrers on every way that oras has.
pub(super) fn copies(ground: &Ground<'_>) -> Result<Outcome> {
    let scene = Scene::new(ground)?;
    let [ours, theirs, again] =
        [OURS, "theirs", "again"].map(|repository| scene.server.place(repository));
    for (name, digest) in scene.artifacts() {
        let ways: [(&str, &str, &str, &str, String); 5] = [
            (
                "--from-oci-layout",
                "ours",
                "--to-oci-layout",
                "copied",
                format!("oci:copied:{name}"),
            ),
            (
                "--from-oci-layout",
                "ours.tar",
                "--to-oci-layout",
                "read",
                format!("oci:read:{name}"),
            ),
            ("--from-oci-layout", "ours", "--to-plain-http", &theirs, format!("{theirs}:{name}")),
            ("--from-plain-http", &ours, "--to-oci-layout", "pulled", format!("oci:pulled:{name}")),
            ("--from-plain-http", &ours, "--to-plain-http", &again, format!("{again}:{name}")),
        ];
        for (source, from, target, to, place) in ways {
            let (from, to) = (format!("{from}:{name}"), format!("{to}:{name}"));
            scene.client("oras", &["cp", "--no-tty", "-r", source, target, &from, &to])?;
            scene.arrived(digest, &place)?;
        }
    }
    scene.tagged("theirs")?;
    scene.tagged("again")?;
    let mut told = Vec::new();
    for layout in ["copied", "read", "pulled"] {
        let carried = carry(ground, &format!("oci:{layout}"), &format!("{layout}-carried"))?;
        told.push(format!("{layout}: {} entries, {} blobs", carried.roots, carried.blobs));
    }
    let (count, blobs) = (scene.artifacts().count(), scene.close()?);
    Ok(Outcome::Passed(format!(
        "{count} names on five ways; layouts of oras carried on ({}); {blobs} blobs in our registry",
        told.join("; ")
    )))
}

/// Attaches referrers with oras, in a layout of ours and in our registry, and carries them over.
pub(super) fn referrers(ground: &Ground<'_>) -> Result<Outcome> {
    let scene = Scene::new(ground)?;
    fs::write(ground.path("note.txt"), "seen\n")?;
    let repository = scene.server.place(OURS);
    let mut told = Vec::new();
    for name in ["app", "chart"] {
        let mut made = None;
        for (place, target) in [
            ("oci:ours", Target::Layout("ours".to_owned())),
            (&repository, Target::Registry(repository.clone())),
        ] {
            let before = discovered(&scene, &target, name)?;
            attach(&scene, &target, name)?;
            let attached = discovered(&scene, &target, name)?;
            ensure!(
                attached.is_superset(&before) && attached.len() == before.len() + NOTES.len(),
                "oras discovered {before:?} at {place}:{name}, and now {attached:?}"
            );
            let same = made.get_or_insert_with(|| before.clone()) == &before;
            ensure!(same, "oras discovered {before:?} at {place}:{name}, and elsewhere {made:?}");
            // Through us to an archive, and from it to a layout and a registry, where oras looks.
            let stem = format!("{name}-{}", told.len());
            let far = scene.server.place(&stem);
            let archive = format!("oci-archive:{stem}.tar:{name}");
            let copy = |from: &str, to: &str| {
                ground.ours(&["copy", "--quiet", "--referrers", from, to]).map(drop)
            };
            copy(&format!("{place}:{name}"), &archive)?;
            copy(&archive, &format!("oci:{stem}:{name}"))?;
            copy(&archive, &format!("{far}:{name}"))?;
            for target in [Target::Layout(stem), Target::Registry(far)] {
                let there = discovered(&scene, &target, name)?;
                ensure!(
                    there == attached,
                    "oras discovers {there:?} at {target:?}, and {attached:?} at {place}:{name}"
                );
            }
            told.push(attached.len().to_string());
        }
    }
    scene.close()?;
    Ok(Outcome::Passed(format!(
        "attached in a layout and in our registry; {} referrers found by oras behind our copies",
        told.join(", ")
    )))
}

/// The types of what is attached.
const NOTES: [&str; 2] = ["application/vnd.example.note", "application/vnd.example.other"];

/// A layout's directory or a repository, as oras is told of them.
#[derive(Debug)]
enum Target {
    Layout(String),
    Registry(String),
}

impl Target {
    /// Returns the flag, and the artifact of a name.
    fn named(&self, name: &str) -> (&'static str, String) {
        match self {
            Self::Layout(directory) => ("--oci-layout", format!("{directory}:{name}")),
            Self::Registry(place) => ("--plain-http", format!("{place}:{name}")),
        }
    }
}

fn attach(scene: &Scene<'_>, target: &Target, name: &str) -> Result<()> {
    let (flag, one) = target.named(name);
    for note in NOTES {
        let args = ["attach", "--no-tty", flag, "--artifact-type", note, &one];
        scene.client("oras", &[&args[..], &["note.txt:text/plain"]].concat())?;
    }
    Ok(())
}

/// Returns the digests that oras finds to refer to an artifact, to those that do, and so on.
fn discovered(scene: &Scene<'_>, target: &Target, name: &str) -> Result<BTreeSet<String>> {
    let (flag, one) = target.named(name);
    let printed = scene.client("oras", &["discover", "--format", "json", flag, &one])?;
    let document: Value = serde_json::from_str(&printed)?;
    let mut found = BTreeSet::new();
    gather(&document, &mut found)
        .with_context(|| format!("`oras discover {one}` printed {printed}"))?;
    Ok(found)
}

/// Adds all that `oras discover` says to refer to something.
pub(super) fn gather(node: &Value, found: &mut BTreeSet<String>) -> Result<()> {
    for referrer in node["referrers"].as_array().into_iter().flatten() {
        let digest = referrer["digest"].as_str().context("a referrer without a digest")?;
        found.insert(digest.to_owned());
        gather(referrer, found)?;
    }
    Ok(())
}
