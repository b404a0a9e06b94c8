//! The one function that gives a file its final name.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use longshore_store::{Error, Result};

use crate::dir::{Dir, no_directory};

/// When the name of a file becomes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// At once.
    Now,
    /// When the caller calls [`sync_directory`], once for many files, before anything refers to them.
    /// Until then a power cut may remove the name, but never leave a partial file under it.
    Batched,
}

/// A name in an open directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) directory: &'a Dir,
    pub(crate) name: &'a OsStr,
}

impl<'a> Named<'a> {
    pub(crate) fn new(directory: &'a Dir, name: &'a (impl AsRef<OsStr> + ?Sized)) -> Self {
        Self { directory, name: name.as_ref() }
    }

    /// Returns the path, for errors.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join(self.name)
    }
}

/// Gives `file`, which is at `partial`, the name `target` after `write` has written it.
///
/// The order is: write and verify, sync the file, rename it, sync the directory. `target` is complete or
/// does not exist. After a failure `partial` stays, unless the sync failed: then nobody knows which bytes
/// are on the disk, although memory still has them, and it is removed. Each step is traced, so that tests
/// can check the order.
pub(crate) fn persist<T>(
    file: &File,
    partial: Named<'_>,
    target: Named<'_>,
    durable: Durable,
    write: impl FnOnce(&File) -> Result<T>,
) -> Result<T> {
    step("write", &target.path());
    let written = write(file)?;
    step("sync", &target.path());
    if let Err(error) = file.sync_all() {
        partial.directory.remove(partial.name)?;
        return Err(Error::io("sync", partial.path().display())(error));
    }
    step("rename", &target.path());
    rename(partial, target)?;
    if durable == Durable::Now {
        sync_directory(target.directory)?;
    }
    Ok(written)
}

/// Writes a small file that the user named, as a whole or not at all. An existing file is replaced. The
/// content is written under a random name first.
pub fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    use std::io::Write as _;
    // The user does not know the random name.
    let of_target = |error| match error {
        Error::Io { action, source, .. } => Error::io(action, path.display())(source),
        error => error,
    };
    let (directory, name) = Dir::of_file(path)?;
    let (partial, file) = directory.create_unique(".longshore-partial-").map_err(of_target)?;
    let (partial, target) = (Named::new(&directory, &partial), Named::new(&directory, name));
    let written = persist(&file, partial, target, Durable::Now, |mut file| {
        file.write_all(content).map_err(Error::io("write", path.display()))
    });
    written.or_else(|error| {
        directory.remove(partial.name)?;
        Err(of_target(error))
    })
}

/// Fails if `path` cannot be created, as far as that can be seen without creating it. Call it before
/// hours of work.
pub fn check_writable(path: &Path) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if path.is_dir() {
        return Err(Error::Exists { what: path.display().to_string() });
    }
    // It has no name, and goes when it is closed.
    tempfile::tempfile_in(directory.unwrap_or(Path::new("."))).map(drop).map_err(
        |error| match error.kind() {
            io::ErrorKind::NotFound => no_directory(path),
            _ => Error::io("write", path.display())(error),
        },
    )
}

/// Renames a file.
#[expect(clippy::disallowed_methods, reason = "this is the one place where a file gets its name")]
pub(crate) fn rename(partial: Named<'_>, target: Named<'_>) -> Result<()> {
    rustix::fs::renameat(partial.directory, partial.name, target.directory, target.name).map_err(
        |error| Error::io("rename a finished file to", target.path().display())(error.into()),
    )
}

/// Syncs a directory.
pub(crate) fn sync_directory(directory: &Dir) -> Result<()> {
    step("sync directory", directory.path());
    directory.sync()
}

fn step(step: &str, path: &Path) {
    tracing::trace!(target: "longshore::persist", step, path = %path.display());
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use longshore_fixture::steps;

    use super::*;

    fn run(write: impl FnOnce(&File) -> Result<()>) -> (Vec<String>, bool, bool) {
        let directory = tempfile::tempdir().unwrap();
        let opened = Dir::open(directory.path()).unwrap();
        let file = opened.create_new("partial").unwrap().unwrap();
        let [partial, target] = ["partial", "target"].map(|name| Named::new(&opened, name));
        let mut result = Ok(());
        let steps = steps(|| result = persist(&file, partial, target, Durable::Now, write));
        let steps = steps.into_iter().map(|step| step.name).collect();
        assert_eq!(partial.path().exists(), result.is_err());
        (steps, result.is_ok(), target.path().exists())
    }

    #[test]
    fn a19_a_file_is_written_synced_named_and_then_its_directory_synced() {
        let write = |mut file: &File| file.write_all(b"content").map_err(Error::io("write", "it"));
        let (steps, done, there) = run(write);
        assert_eq!(steps, ["write", "sync", "rename", "sync directory"]);
        assert!(done && there);
    }

    #[test]
    fn a_failed_write_leaves_no_name() {
        let (steps, done, there) = run(|_| Err(Error::not_found("it", "here")));
        assert_eq!(steps, ["write"]);
        assert!(!done && !there);
    }
}
