//! Entries of a layout's directories: their digests and ages.

use std::ffi::OsString;
use std::time::{Duration, SystemTime};

use longshore_spec::Digest;
use longshore_store::Result;
use rustix::fs::{FileType, Stat};

use crate::dir::Dir;

/// Returns every file whose name is the encoded part of a digest.
pub(super) fn digests_in(directory: &Dir, algorithm: &str) -> Result<Vec<(Digest, OsString)>> {
    let digest = |(name, kind): (OsString, FileType)| {
        let digest = digest_of(algorithm, name.to_str()?)?;
        (kind != FileType::Directory).then_some((digest, name))
    };
    Ok(directory.entries()?.into_iter().filter_map(digest).collect())
}

/// Returns the digest that a directory and a file name stand for.
pub(super) fn digest_of(algorithm: &str, encoded: &str) -> Option<Digest> {
    format!("{algorithm}:{encoded}").parse().ok()
}

/// Opens every directory directly in a directory. Links are skipped.
pub(super) fn directories_in(directory: &Dir) -> Result<Vec<(OsString, Dir)>> {
    let mut found = Vec::new();
    for (name, kind) in directory.entries()? {
        if kind == FileType::Directory
            && let Some(below) = directory.below(&name)?
        {
            found.push((name, below));
        }
    }
    Ok(found)
}

/// Tells whether a file was written less than `age` ago, or in the future of the clock.
pub(super) fn is_younger(found: &Stat, age: Duration) -> bool {
    let Some(limit) = SystemTime::now().checked_sub(age) else { return true };
    let seconds = u64::try_from(found.st_mtime).unwrap_or(0);
    let nanoseconds = u32::try_from(found.st_mtime_nsec).unwrap_or(0);
    let written = SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds));
    written.is_none_or(|written| age > Duration::ZERO && written > limit)
}
