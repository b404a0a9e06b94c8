//! Locks between processes that share a layout directory.

use std::fs::{File, Metadata, TryLockError};
use std::path::Path;

use longshore_store::{Error, Result};

use crate::files;

/// A lock that is held until it is dropped, or until the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until nobody holds the lock alone; others may share it.
    pub(crate) fn shared(path: &Path) -> Result<Self> {
        Self::wait(path, File::try_lock_shared, File::lock_shared)
    }

    /// Waits until nobody else holds the lock.
    pub(crate) fn exclusive(path: &Path) -> Result<Self> {
        Self::wait(path, File::try_lock, File::lock)
    }

    /// Takes the lock alone, or fails with [`Error::Busy`], naming `what`.
    pub(crate) fn try_exclusive(path: &Path, what: &Path) -> Result<Self> {
        let file = files::open_or_create(path)?;
        take(&file, what)?;
        Ok(Self { _file: file })
    }

    fn wait(
        path: &Path,
        attempt: fn(&File) -> Result<(), TryLockError>,
        wait: fn(&File) -> std::io::Result<()>,
    ) -> Result<Self> {
        let file = files::open_or_create(path)?;
        if let Err(TryLockError::WouldBlock) = attempt(&file) {
            tracing::debug!(path = %path.display(), "waiting for another process");
        }
        wait(&file).map_err(Error::io("lock", path.display()))?;
        Ok(Self { _file: file })
    }
}

/// Tells whether an open file is still what its path leads to: it may have been renamed between
/// being opened and being locked.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let same = |a: &Metadata, b: &Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    matches!((file.metadata(), path.metadata()), (Ok(a), Ok(b)) if same(&a, &b))
}

/// Locks `file` alone, or fails with [`Error::Busy`], naming `what`.
pub(crate) fn take(file: &File, what: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::Busy { what: what.display().to_string() }),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", what.display())(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_taken_away_or_replaced_is_no_longer_at_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("part");
        let file = files::open_or_create(&path).unwrap();
        assert!(is_at(&file, &path));
        files::remove(&path).unwrap();
        assert!(!is_at(&file, &path));
        let other = files::open_or_create(&path).unwrap();
        assert!(is_at(&other, &path) && !is_at(&file, &path));
    }

    #[test]
    fn a_lock_excludes_and_is_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let shared = [Lock::shared(&path).unwrap(), Lock::shared(&path).unwrap()];
        let refused = Lock::try_exclusive(&path, &path);
        assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
        drop(shared);
        drop(Lock::try_exclusive(&path, &path).unwrap());
        drop(Lock::exclusive(&path).unwrap());
    }
}
