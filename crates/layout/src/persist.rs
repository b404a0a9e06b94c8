//! The one place where a file appears under its final name.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use longshore_store::{Error, Result};

use crate::dir::{Dir, no_directory};

/// When it becomes durable that a file has its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// At once.
    Now,
    /// When the caller calls [`sync_directory`], once for many files, before anything refers to
    /// them. Until then a power cut may take the name away, but never leave half a file under it.
    Batched,
}

/// A name in a directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) directory: &'a Dir,
    pub(crate) name: &'a OsStr,
}

impl<'a> Named<'a> {
    pub(crate) fn new(directory: &'a Dir, name: &'a (impl AsRef<OsStr> + ?Sized)) -> Self {
        Self { directory, name: name.as_ref() }
    }

    /// Returns what errors call it.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join(self.name)
    }
}

/// Makes `target` appear with what `write` puts into `file`, which lies at `partial`.
///
/// In this order: write (and verify, which is the business of `write`), sync the file, rename it,
/// sync the directory. `target` is there whole or not at all. After a failure `partial` is left as
/// it is, except where the disk failed to take it: then nothing tells which bytes of it are on the
/// disk, though they read back well from memory, and it is removed. Each step is a tracing event,
/// so that a test can hold the order.
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

/// Writes a small file of the user's, in place of one that may be there: whole, or not at all. What is
/// written lies under a name that nobody can know before until it is whole.
pub fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    use std::io::Write as _;
    // Nobody knows the other name.
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

/// Fails if a file cannot get the name `path`, as far as that can be told without making it: whoever
/// writes one after hours of work wants to know before.
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

/// Gives a file of one name another.
#[expect(clippy::disallowed_methods, reason = "this is the one place where a file gets its name")]
pub(crate) fn rename(partial: Named<'_>, target: Named<'_>) -> Result<()> {
    rustix::fs::renameat(partial.directory, partial.name, target.directory, target.name).map_err(
        |error| Error::io("rename a finished file to", target.path().display())(error.into()),
    )
}

/// Makes durable what is in a directory.
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
