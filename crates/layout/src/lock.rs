//! Locks between processes that share a layout directory.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use longshore_store::{Error, Result};

use crate::dir::Dir;

/// After this time, a warning says which lock is waited for.
const SHORT: Duration = Duration::from_secs(2);

/// How often the lock is tried until then.
const PAUSE: Duration = Duration::from_millis(5);

/// A lock that is held until it is dropped, or until the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for a lock that is shared with others.
    pub(crate) fn shared(directory: &Dir, name: &str) -> Result<Self> {
        Self::wait(directory, name, File::try_lock_shared, File::lock_shared)
    }

    /// Waits for a lock that nobody else holds.
    pub(crate) fn exclusive(directory: &Dir, name: &str) -> Result<Self> {
        Self::wait(directory, name, File::try_lock, File::lock)
    }

    /// Takes the lock alone, or fails with [`Error::Busy`], naming `what`.
    pub(crate) fn try_exclusive(
        directory: &Dir,
        name: impl AsRef<Path>,
        what: &Path,
    ) -> Result<Self> {
        let file = directory.open_or_create(name)?;
        take(&file, what)?;
        Ok(Self { _file: file })
    }

    fn wait(
        directory: &Dir,
        name: &str,
        attempt: fn(&File) -> Result<(), TryLockError>,
        wait: fn(&File) -> std::io::Result<()>,
    ) -> Result<Self> {
        let file = directory.open_or_create(name)?;
        let path = directory.path().join(name);
        let began = Instant::now();
        while let Err(TryLockError::WouldBlock) = attempt(&file) {
            if began.elapsed() >= SHORT {
                tracing::warn!("waiting for another process, which holds {}", path.display());
                break;
            }
            thread::sleep(PAUSE);
        }
        wait(&file).map_err(Error::io("lock", path.display()))?;
        Ok(Self { _file: file })
    }
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
    fn a_file_that_was_taken_away_or_replaced_no_longer_has_its_name() {
        let scene = tempfile::tempdir().unwrap();
        let directory = Dir::open(scene.path()).unwrap();
        let file = directory.open_or_create("part").unwrap();
        assert!(directory.has(&file, "part"));
        directory.remove("part").unwrap();
        assert!(!directory.has(&file, "part"));
        let other = directory.open_or_create("part").unwrap();
        assert!(directory.has(&other, "part") && !directory.has(&file, "part"));
    }

    #[test]
    fn a_lock_excludes_and_is_given_back() {
        let scene = tempfile::tempdir().unwrap();
        let directory = Dir::open(scene.path()).unwrap();
        let shared = [(); 2].map(|()| Lock::shared(&directory, "lock").unwrap());
        let refused = Lock::try_exclusive(&directory, "lock", scene.path());
        assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
        drop(shared);
        drop(Lock::try_exclusive(&directory, "lock", scene.path()).unwrap());
        drop(Lock::exclusive(&directory, "lock").unwrap());
    }
}
