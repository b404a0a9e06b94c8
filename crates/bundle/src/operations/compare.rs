//! Comparing a bundle that would be written with the one that is there.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longshore_layout::{Archive, ArchiveOptions, ArchiveStream, Layout, open_file};
use longshore_spec::Digest;
use longshore_store::{Error, ExtraFile, Result};
use longshore_sync::Failure;

use super::export::Bundle;
use super::verify::Verified;
use crate::{
    DOCKER_MANIFEST, Difference, INVENTORY, MAX_DOCKER_MANIFEST, MAX_RECORD, RECORD, Record,
};

/// How much of a file is read at once.
const PIECE: usize = 256 << 10;

/// An archive that is there, compared with one as that comes.
#[derive(Debug)]
pub struct ArchiveComparison {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    file: BufReader<File>,
    /// How many bytes were the same so far.
    same: u64,
    differs: bool,
}

/// A way in which a layout is not the bundle that would be written.
#[derive(Debug)]
pub enum BundleDifference {
    /// A file beside the content is not there.
    NoFile(String),
    /// A file beside the content is another.
    OtherFile(String),
    /// A file beside the content is there, and would not be written.
    UnwantedFile(String),
    /// Some of the content is not there, or damaged.
    Broken(Failure),
    /// What is listed or needed is not what the record says.
    Record(Difference),
    /// Content is there, and nothing needs it.
    Orphan(Digest),
}

impl ArchiveComparison {
    /// Opens the archive that is there.
    pub fn open(path: &Path) -> Result<Self> {
        let file = BufReader::with_capacity(PIECE, open_file(path)?);
        let state = Arc::new(Mutex::new(State { file, same: 0, differs: false }));
        Ok(Self { path: path.to_owned(), state })
    }

    /// Opens the archive that is there, if one is and it says what bundle it is.
    pub fn with_bundle(path: &Path) -> Option<Self> {
        let comparison = Self::open(path).ok()?;
        comparison.record().is_some().then_some(comparison)
    }

    /// Tells whether the archive that is there has this record.
    pub fn has(&self, record: &Record) -> bool {
        self.record().is_some_and(|there| record.is_written_as(&there))
    }

    /// Tells whether it is as long as its record makes it, and has each blob where it must be; content is
    /// not read.
    pub fn is_as_recorded(&self) -> bool {
        self.archive().is_some_and(|archive| archive.is_as_recorded())
    }

    fn record(&self) -> Option<Vec<u8>> {
        self.archive()?.extra_file(RECORD, MAX_RECORD).ok().flatten()
    }

    fn archive(&self) -> Option<Archive> {
        let options = ArchiveOptions { inventory: Some(INVENTORY), ..ArchiveOptions::default() };
        Archive::open(&self.path, &options).ok()
    }

    /// Returns an archive that is compared as it comes, and goes nowhere.
    pub fn stream(&self) -> ArchiveStream {
        let (path, state) = (self.path.clone(), Arc::clone(&self.state));
        ArchiveStream::new(Box::new(Compared { path, state }))
    }

    /// Tells whether the archive that is there may have this record; if not, nothing need be fetched.
    /// What cannot be opened is compared byte by byte.
    pub fn may_have(&self, record: &Record) -> bool {
        let archive = Archive::open(&self.path, &ArchiveOptions::default());
        let there = archive.and_then(|archive| archive.extra_file(RECORD, MAX_RECORD));
        there.map_or(true, |there| there.is_some_and(|there| record.is_written_as(&there)))
    }

    /// Returns the first byte that differs, counted from 0, once all has come. An archive that goes on
    /// behind the end differs there.
    pub fn differs_at(&self) -> Option<u64> {
        let mut state = lock(&self.state);
        let is_longer = !matches!(state.file.read(&mut [0]), Ok(0));
        (state.differs || is_longer).then_some(state.same)
    }

    /// Returns the first byte that differs among those that have come, where something has failed.
    pub fn differs_so_far_at(&self) -> Option<u64> {
        let state = lock(&self.state);
        state.differs.then_some(state.same)
    }
}

impl Bundle<'_> {
    /// Returns every file beside the content of a layout that is not as it would be written.
    pub fn different_files(&self, layout: &dyn Layout) -> Result<Vec<BundleDifference>> {
        let mut found = Vec::new();
        for ExtraFile { name, content } in self.outline().files() {
            match layout.extra_file(name, content.len() as u64) {
                Ok(Some(there)) if there == content[..] => {}
                Ok(None) => found.push(BundleDifference::NoFile(name.clone())),
                Ok(Some(_)) | Err(Error::Limit { .. }) => {
                    found.push(BundleDifference::OtherFile(name.clone()));
                }
                Err(error) => return Err(error),
            }
        }
        if self.record().docker_manifest.is_none()
            && !matches!(layout.extra_file(DOCKER_MANIFEST, MAX_DOCKER_MANIFEST), Ok(None))
        {
            found.push(BundleDifference::UnwantedFile(DOCKER_MANIFEST.to_owned()));
        }
        Ok(found)
    }

    /// Returns every way in which the content of a layout, all of which was verified, is not what would
    /// be written. Content of the right digest is what the source has under it, so that none of it need
    /// be fetched.
    pub fn different_content(&self, layout: Verified<'_>) -> Result<Vec<BundleDifference>> {
        let differences = layout.differences_from(self.record());
        let orphans = layout.orphans()?;
        let broken = layout.into_failures().map(BundleDifference::Broken);
        let differences = differences.into_iter().map(BundleDifference::Record);
        let orphans = orphans.into_iter().map(BundleDifference::Orphan);
        Ok(broken.chain(differences).chain(orphans).collect())
    }
}

impl fmt::Display for BundleDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile(name) => write!(f, "`{name}` is not there"),
            Self::OtherFile(name) => write!(f, "`{name}` is another"),
            Self::UnwantedFile(name) => write!(f, "`{name}` is there, and would not be"),
            Self::Broken(failure) => failure.fmt(f),
            Self::Record(difference) => difference.fmt(f),
            Self::Orphan(digest) => write!(f, "{digest} is there, and needed by nothing"),
        }
    }
}

/// Takes an archive and compares it with the file.
struct Compared {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

impl Write for Compared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A file beside the content comes as one piece.
        let bytes = &bytes[..bytes.len().min(PIECE)];
        let mut state = lock(&self.state);
        let mut there = vec![0; bytes.len()];
        let mut count = 0;
        while count < there.len() {
            match state.file.read(&mut there[count..]) {
                Ok(0) => break,
                Ok(read) => count += read,
                Err(error) => {
                    return Err(Error::io("read", self.path.display())(error).into());
                }
            }
        }
        let same =
            bytes.iter().zip(&there[..count]).take_while(|(one, other)| one == other).count();
        state.same += same as u64;
        if same < bytes.len() {
            state.differs = true;
            return Err(io::Error::other("the archive that is there is another"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
