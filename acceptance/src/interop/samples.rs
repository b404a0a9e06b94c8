//! Layouts that other tools have made, where they lie beside the checkout.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::Outcome;
use super::carry::{carry, same_blobs};
use super::ground::Ground;
use crate::run::root;

/// How deep layouts are looked for.
const DEPTH: usize = 6;

/// Carries every sample to an archive and back.
pub(super) fn check(ground: &Ground<'_>) -> Result<Outcome> {
    let beside = || root().parent().map(|parent| parent.join("shared/samples"));
    let Some(samples) = ground.samples.clone().or_else(beside).filter(|path| path.is_dir()) else {
        let reason = "there is no folder of samples beside the checkout; --samples names another";
        return Ok(Outcome::Skipped(reason.to_owned()));
    };
    let mut layouts = Vec::new();
    find(&samples, DEPTH, &mut layouts)?;
    ensure!(!layouts.is_empty(), "no layout lies in the folder of samples");
    layouts.sort();

    let mut told = Vec::new();
    for (number, layout) in layouts.iter().enumerate() {
        let name = layout.strip_prefix(&samples).unwrap_or(layout).display().to_string();
        // A link keeps the names of other people's folders out of what is printed.
        let link = format!("sample-{number}");
        let copy = ground.path(&link);
        std::os::unix::fs::symlink(fs::canonicalize(layout)?, &copy)?;
        let place = format!("oci:{link}");
        let carried = carry(ground, &place, &format!("carried-{number}"))
            .with_context(|| format!("the sample {name}, here {link}"))?;
        let back = ground.path(&format!("carried-{number}-back"));
        same_blobs(&copy, &back, carried.blobs).with_context(|| format!("the sample {name}"))?;
        let referrers: usize = ground
            .listed(&carried.directory)?
            .iter()
            .filter_map(|line| line["referrers"].as_array().map(Vec::len))
            .sum();
        told.push(format!(
            "{name}: {} roots, {} blobs, {referrers} referrers",
            carried.roots, carried.blobs
        ));
    }
    Ok(Outcome::Passed(told.join("; ")))
}

/// Finds directories that hold `oci-layout` beside `index.json`.
fn find(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if ["oci-layout", "index.json"].iter().all(|name| directory.join(name).is_file()) {
        found.push(directory.to_owned());
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find(&entry.path(), depth - 1, found)?;
        }
    }
    Ok(())
}
