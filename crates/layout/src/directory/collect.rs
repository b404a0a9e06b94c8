//! Garbage collection.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::time::Duration;

use longshore_spec::Digest;
use longshore_store::Result;
use rustix::fs::FileType;

use super::blobs::OWN_PART_SEPARATOR;
use super::entries::{digest_of, digests_in, directories_in, is_younger};
use super::uploads::{UPLOADS, is_upload};
use super::{Directory, PARTIAL};
use crate::dir::Dir;

/// The result of a collection: what was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Blobs, by digest and size in bytes, sorted.
    pub blobs: Vec<(Digest, u64)>,
    /// Entries of `index.json` that are no longer needed.
    pub entries: Vec<Digest>,
    /// How many partial blobs and uploads were abandoned.
    pub parts: usize,
    /// How many blobs are not needed but too young.
    pub young: usize,
}

/// What becomes of what is found to be unneeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcMode {
    /// It is removed.
    Remove,
    /// It is only reported.
    DryRun,
}

impl Directory {
    /// Removes every blob and every entry without a name that is not in `keep`, and partial blobs. Only
    /// files older than `age` are removed. A blob that was pushed or mounted within `age` is young,
    /// however old its file is.
    ///
    /// The directory must have been opened with [`Directory::open_alone`]. Files that are not blobs stay
    /// (rows ), and nothing is removed through a link.
    pub fn collect(&self, keep: &HashSet<Digest>, age: Duration, mode: GcMode) -> Result<GcReport> {
        let dry_run = mode == GcMode::DryRun;
        self.write_changes()?;
        self.writing()?;
        let mut collected = GcReport::default();
        let _lock = self.lock_index()?;
        let before = self.listed_alone()?;
        let index = before.filtered(|entry| {
            let digest = &entry.descriptor().digest;
            let kept = entry.name().is_some() || keep.contains(digest);
            if !kept {
                collected.entries.push(digest.clone());
            }
            kept
        });
        // The entry goes before the blob.
        if !collected.entries.is_empty() && !dry_run {
            self.write_index(&index)?;
        }
        let root = self.there()?;
        let lately = self.marked_lately(age)?;
        if let Some(blobs) = root.below("blobs")? {
            for (directory, digest, name) in blobs_in(&blobs)? {
                if keep.contains(&digest) {
                    continue;
                }
                // Another program may have removed it.
                let Some(found) = directory.stat(&name)? else { continue };
                if is_younger(&found, age) || lately.contains(&digest) {
                    collected.young += 1;
                    continue;
                }
                if !dry_run {
                    directory.remove(&name)?;
                }
                collected.blobs.push((digest, u64::try_from(found.st_size).unwrap_or(0)));
            }
        }
        if let Some(partials) = root.below(PARTIAL)? {
            collected.parts = collect_parts(&partials, age, dry_run)?;
        }
        if !dry_run {
            self.collect_marks(age)?;
        }
        collected.blobs.sort_unstable();
        Ok(collected)
    }
}

/// Returns every file with the path of a blob, and its directory.
fn blobs_in(blobs: &Dir) -> Result<Vec<(Arc<Dir>, Digest, OsString)>> {
    let mut found = Vec::new();
    for (name, directory) in directories_in(blobs)? {
        let (Some(algorithm), directory) = (name.to_str(), Arc::new(directory)) else { continue };
        let digests = digests_in(&directory, algorithm)?.into_iter();
        found.extend(digests.map(|(digest, name)| (Arc::clone(&directory), digest, name)));
    }
    Ok(found)
}

/// Removes partial blobs older than `age`, and all uploads: nobody else is writing, so they are
/// abandoned. Returns how many.
fn collect_parts(partials: &Dir, age: Duration, dry_run: bool) -> Result<usize> {
    let mut count = 0;
    for (kind, directory) in directories_in(partials)? {
        for (name, found) in directory.entries()? {
            let is_ours = found != FileType::Directory && is_part(&kind, &name);
            let Some(found) = directory.stat(&name)?.filter(|_| is_ours) else { continue };
            if kind == UPLOADS || !is_younger(&found, age) {
                count += 1;
                if !dry_run {
                    directory.remove(&name)?;
                }
            }
        }
    }
    Ok(count)
}

/// Tells whether a name in this directory is that of a partial blob or upload.
fn is_part(directory: &OsStr, name: &OsStr) -> bool {
    let (Some(directory), Some(name)) = (directory.to_str(), name.to_str()) else { return false };
    if directory == UPLOADS {
        return is_upload(name);
    }
    let encoded = name.split(OWN_PART_SEPARATOR).next().unwrap_or(name);
    digest_of(directory, encoded).is_some()
}
