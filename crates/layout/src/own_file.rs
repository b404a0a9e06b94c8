//! Small files that longshore reads and replaces as a whole, one process at a time.

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use longshore_store::{Error, Result};

use crate::dir::Dir;
use crate::directory::{Directory, OWN};
use crate::files;
use crate::lock::Lock;
use crate::persist::{Durable, Named, persist};

/// A file that longshore alone writes: one that the user named, or one in `.longshore/` of a layout directory.
/// It need not exist. It is never a link.
#[derive(Debug)]
pub struct OwnFile<'a> {
    location: Location<'a>,
}

#[derive(Debug)]
enum Location<'a> {
    Path(PathBuf),
    /// A name in `.longshore/`.
    In(&'a Directory, &'static str),
}

/// A file that no other process changes, nor locks, until this is dropped.
#[derive(Debug)]
pub struct LockedFile {
    directory: Dir,
    name: OsString,
    _lock: Lock,
}

impl OwnFile<'static> {
    /// Returns the file that the user named.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { location: Location::Path(path.into()) }
    }
}

impl<'a> OwnFile<'a> {
    /// Returns a file in `.longshore/` of a layout directory, which goes wherever the layout goes. `gc` and
    /// servers leave it alone.
    pub fn of_layout(layout: &'a Directory, name: &'static str) -> Self {
        Self { location: Location::In(layout, name) }
    }

    /// Returns the file's path, for messages.
    pub fn path(&self) -> PathBuf {
        match &self.location {
            Location::Path(path) => path.clone(),
            Location::In(layout, name) => layout.path().join(OWN).join(name),
        }
    }

    /// Reads the file, up to `limit` bytes. Returns `None` if it does not exist. Nothing is locked: it is as it
    /// was last replaced.
    ///
    /// # Errors
    ///
    /// It is a link or not a regular file, is longer, or cannot be read.
    pub fn read(&self, limit: u64) -> Result<Option<Vec<u8>>> {
        match &self.location {
            Location::Path(path) => {
                let (directory, name) = Dir::of_file(path)?;
                read(&directory, name, limit)
            }
            Location::In(layout, name) => match layout.own_directory()? {
                Some(directory) => read(&directory, OsStr::new(name), limit),
                None => Ok(None),
            },
        }
    }

    /// Locks the file, through an empty file beside it with `.lock` at the end of its name, which stays. A
    /// layout must exist.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] if another process has locked it; or nothing can be written there.
    pub fn lock(&self) -> Result<LockedFile> {
        let (directory, name) = match &self.location {
            Location::Path(path) => {
                let (directory, name) = Dir::of_file(path)?;
                (directory, name.to_owned())
            }
            Location::In(layout, name) => (layout.create_own_directory()?, OsString::from(name)),
        };
        let lock = Lock::try_exclusive(&directory, with(&name, ".lock"), &self.path())?;
        Ok(LockedFile { directory, name, _lock: lock })
    }
}

impl LockedFile {
    /// Reads the file as [`OwnFile::read`] does.
    ///
    /// # Errors
    ///
    /// It is a link or not a regular file, is longer, or cannot be read.
    pub fn read(&self, limit: u64) -> Result<Option<Vec<u8>>> {
        read(&self.directory, &self.name, limit)
    }

    /// Replaces the file as a whole, or not at all.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn replace(&self, content: &[u8]) -> Result<()> {
        // Only who holds the lock uses this name.
        let partial = with(&self.name, ".new");
        let file = self.directory.create_anew(&partial)?;
        let partial = Named::new(&self.directory, &partial);
        let target = Named::new(&self.directory, &self.name);
        let written = persist(&file, partial, target, Durable::Now, |mut file| {
            file.write_all(content).map_err(Error::io("write", target.path().display()))
        });
        written.or_else(|error| {
            self.directory.remove(partial.name)?;
            Err(error)
        })
    }
}

fn read(directory: &Dir, name: &OsStr, limit: u64) -> Result<Option<Vec<u8>>> {
    let path = directory.path().join(name);
    match directory.read_own(name) {
        Ok(Some(file)) => files::read(&file, &path, limit).map(Some),
        Ok(None) => Ok(None),
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn with(name: &OsStr, end: &str) -> OsString {
    let mut longer = name.to_owned();
    longer.push(end);
    longer
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const LIMIT: u64 = 100;

    fn holds(file: &OwnFile<'_>, path: &Path) {
        assert_eq!(file.path(), path);
        assert_eq!(file.read(LIMIT).unwrap(), None);
        let locked = file.lock().unwrap();
        let refused = file.lock();
        assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
        locked.replace(b"one").unwrap();
        // What a killed process left is no obstacle.
        std::fs::write(path.with_extension("json.new"), "half").unwrap();
        locked.replace(b"two").unwrap();
        assert_eq!(locked.read(LIMIT).unwrap().unwrap(), b"two");
        drop(locked);
        assert_eq!(file.read(LIMIT).unwrap().unwrap(), b"two");
        assert!(matches!(file.read(2), Err(Error::Limit { .. })));
        drop(file.lock().unwrap());
        std::fs::remove_file(path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
        assert!(matches!(file.read(1 << 20), Err(Error::Malformed { .. })));
    }

    #[test]
    fn a_named_file_is_replaced_by_one_process_at_a_time() {
        let scene = tempfile::tempdir().unwrap();
        let path = scene.path().join("state.json");
        holds(&OwnFile::at(&path), &path);
        assert!(OwnFile::at(scene.path().join("no/state.json")).read(LIMIT).is_err());
    }

    #[test]
    fn so_is_one_in_a_layout() {
        let scene = tempfile::tempdir().unwrap();
        let path = scene.path().join("site");
        let layout = Directory::create(&path).unwrap();
        let file = OwnFile::of_layout(&layout, "state.json");
        assert_eq!(file.read(LIMIT).unwrap(), None);
        assert!(!path.exists(), "nothing is created for a look");
        std::fs::create_dir(&path).unwrap();
        holds(&file, &path.join(".longshore/state.json"));
    }
}
