//! Parts of blobs that wait for the others.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_spec::Digest;
use longshore_store::{Blob, Error, Pushed, Reader, Result};

use crate::dir::{Dir, Part};
use crate::files::Region;
use crate::lock;
use crate::persist::{Durable, Named, persist};
use crate::resume::{self, Partial};

/// A directory with parts of blobs that wait for the others: a file for each, which has its name once it is
/// verified. It is no place, since a part is no blob; nothing is made before the first part comes.
#[derive(Debug, Clone)]
pub struct PartStore {
    root: PathBuf,
    below: PathBuf,
}

impl PartStore {
    /// Returns the store at `below` in a directory that the user named, or that is a layout. No link is followed
    /// below `root`.
    pub fn new(root: impl Into<PathBuf>, below: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), below: below.into() }
    }

    /// Returns where the parts are.
    pub fn path(&self) -> PathBuf {
        self.root.join(&self.below)
    }

    /// Returns the size of a part that is there, in bytes; `None` too if it cannot be looked at. Parts are counted
    /// from 1.
    pub fn part_size(&self, blob: &Digest, number: u32) -> Option<u64> {
        let found = self.directory(blob).ok()??.stat(name_of(blob, number)).ok()??;
        u64::try_from(found.st_size).ok()
    }

    /// Opens a part at `offset`, unverified. Fails with [`Error::NotFound`].
    pub fn open_part(&self, blob: &Digest, number: u32, offset: u64) -> Result<Reader<'_>> {
        let file = match self.directory(blob)? {
            Some(directory) => directory.read_own(name_of(blob, number))?,
            None => None,
        };
        let what = || self.path().display().to_string();
        let file = file.ok_or_else(|| Error::not_found(blob, what()))?;
        let size = file.metadata().map_err(Error::io("open", what()))?.len();
        Ok(Box::new(Region::new(Arc::new(file), 0, size).after(offset)))
    }

    /// Writes a part of `blob`, continuing after what an earlier run left. `part` has the digest of the part.
    ///
    /// # Errors
    ///
    /// All that reading and writing a blob fails with, and [`Error::Busy`] while another process writes it.
    pub fn push(&self, blob: &Digest, number: u32, part: &dyn Blob) -> Result<Pushed> {
        if self.part_size(blob, number) == Some(part.descriptor().size) {
            return Ok(Pushed::Existed);
        }
        let root = Dir::create(&self.root)?;
        let directory = root.create_below(self.below.join(blob.algorithm()))?;
        let name = name_of(blob, number);
        let partial = format!("{name}.partial");
        let busy = || Error::Busy { what: directory.path().join(&partial).display().to_string() };
        let file = match directory.part(&partial)? {
            Part::Ours(file) => file,
            Part::Absent => directory.create_new(&partial)?.ok_or_else(busy)?,
            // Nothing is written to a file of somebody else.
            Part::Foreign { .. } => directory.create_anew(&partial)?,
        };
        lock::take(&file, directory.path())?;
        if !directory.has(&file, &partial) {
            return Err(busy());
        }
        let (partial, target) =
            (Named::new(&directory, &partial), Named::new(&directory, name.as_str()));
        let written = persist(&file, partial, target, Durable::Now, |file| {
            let mut writing = PartFile { file, path: partial.path() };
            let there = file.metadata().map_err(Error::io("read", writing.path.display()))?.len();
            let prefix = resume::hash_prefix(&writing, part.descriptor(), there)?;
            resume::fill(&mut writing, part, prefix)
        });
        if written.as_ref().is_err_and(Error::is_corruption) {
            directory.remove(partial.name)?;
        }
        written.map(Pushed::Written)
    }

    /// Removes the first so many parts of a blob, as far as they are there.
    pub fn remove(&self, blob: &Digest, count: u32) -> Result<()> {
        let Some(directory) = self.directory(blob)? else { return Ok(()) };
        for number in 1..=count {
            directory.remove(name_of(blob, number))?;
        }
        directory.sync()?;
        if let Some(above) = Dir::open(&self.root)?.below(&self.below)? {
            above.remove_empty(blob.algorithm());
        }
        Ok(())
    }

    /// Opens the directory of the parts of a blob, if it is there.
    fn directory(&self, blob: &Digest) -> Result<Option<Dir>> {
        if !self.root.is_dir() {
            return Ok(None);
        }
        Dir::open(&self.root)?.below(self.below.join(blob.algorithm()))
    }
}

/// Returns the name of a part in its directory. The grammar of digests keeps it there.
fn name_of(blob: &Digest, number: u32) -> String {
    format!("{}.{number:04}", blob.encoded())
}

/// The file of a part that is being written.
struct PartFile<'a> {
    file: &'a File,
    path: PathBuf,
}

impl Partial for PartFile<'_> {
    fn file(&self) -> &File {
        self.file
    }

    fn offset(&self) -> u64 {
        0
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn keep(&mut self, length: u64) -> Result<()> {
        self.file.set_len(length).map_err(Error::io("write", self.path.display()))
    }
}
