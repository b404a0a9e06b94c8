//! Collecting what a layout directory no longer needs.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use longshore_spec::Digest;
use longshore_store::{Error, Result};
use walkdir::{DirEntry, WalkDir};

use super::uploads::uploads;
use super::{Directory, own};
use crate::files;
use crate::names;
use crate::view::Contents as _;

/// What a collection removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs, by digest and size in bytes, sorted.
    pub blobs: Vec<(Digest, u64)>,
    /// Entries of `index.json` that nothing needs any more.
    pub entries: Vec<Digest>,
    /// Parts of blobs that no run came back for: how many.
    pub parts: usize,
    /// Blobs that nothing needs but that are younger than asked for: how many.
    pub young: usize,
}

impl Directory {
    /// Removes every blob that is not in `keep` and older than `age`, every unnamed entry that is
    /// not in `keep`, and parts of blobs older than `age`. With `dry_run` it only says so. What was
    /// pushed to a repository or mounted there since `age` ago is young, however old its file is.
    ///
    /// The directory must have been opened with [`Directory::open_alone`]. Files that are no blobs
    /// are left alone (rows ).
    pub fn collect(
        &self,
        keep: &HashSet<Digest>,
        age: Duration,
        dry_run: bool,
    ) -> Result<Collected> {
        self.flush()?;
        self.writing()?;
        let mut collected = Collected::default();
        let _lock = self.lock_index()?;
        let before = self.read_index()?;
        let mut index = before.clone();
        index.manifests.retain(|entry| {
            let kept = names::is_named(entry) || keep.contains(&entry.digest);
            if !kept {
                collected.entries.push(entry.digest.clone());
            }
            kept
        });
        // First nothing points to it any more, then it goes.
        if index != before && !dry_run {
            self.write("index.json", &self.index_bytes(&index)?)?;
        }
        let lately = self.marked_lately(age)?;
        for (digest, entry) in self.blobs()? {
            if keep.contains(&digest) {
                continue;
            }
            if is_younger(&entry, age) || lately.contains(&digest) {
                collected.young += 1;
                continue;
            }
            let size = entry.metadata().map_or(0, |found| found.len());
            if !dry_run {
                files::remove(entry.path())?;
            }
            collected.blobs.push((digest, size));
        }
        for entry in below(&own(&self.root).join("partial"))? {
            // Nobody else is writing, so uploads are those of the dead.
            if entry.path().starts_with(uploads(&self.root)) || !is_younger(&entry, age) {
                collected.parts += 1;
                if !dry_run {
                    files::remove(entry.path())?;
                }
            }
        }
        if !dry_run {
            self.collect_marks(age)?;
        }
        collected.blobs.sort_unstable();
        Ok(collected)
    }

    /// Returns every file that lies where a blob would (row A-11), with its digest.
    pub fn stored(&self) -> Result<Vec<Digest>> {
        Ok(self.blobs()?.into_iter().map(|(digest, _)| digest).collect())
    }

    fn blobs(&self) -> Result<Vec<(Digest, DirEntry)>> {
        let digest = |entry: DirEntry| {
            let encoded = entry.file_name().to_str()?;
            let algorithm = entry.path().parent()?.file_name()?.to_str()?;
            Some((format!("{algorithm}:{encoded}").parse().ok()?, entry))
        };
        let found = below(&self.root.join("blobs"))?;
        Ok(found.into_iter().filter(|entry| entry.depth() == 2).filter_map(digest).collect())
    }
}

/// Returns every file below a directory, which need not be there.
pub(super) fn below(directory: &Path) -> Result<Vec<DirEntry>> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in WalkDir::new(directory) {
        let entry = entry.map_err(|error| {
            let what = error.path().unwrap_or(directory).display().to_string();
            let source =
                error.into_io_error().unwrap_or_else(|| std::io::Error::other("links form a loop"));
            Error::io("look into", what)(source)
        })?;
        if !entry.file_type().is_dir() {
            found.push(entry);
        }
    }
    Ok(found)
}

/// Tells whether a file was written less than `age` ago, or after now as the clock has it.
pub(super) fn is_younger(entry: &DirEntry, age: Duration) -> bool {
    let Some(limit) = SystemTime::now().checked_sub(age) else { return true };
    let written = entry.metadata().ok().and_then(|found| found.modified().ok());
    written.is_none_or(|written| age > Duration::ZERO && written > limit)
}
