//! `export --check`: the archive that would be written, compared with the one that is there.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longshore_bundle::{INVENTORY, MAX_RECORD, RECORD, Record};
use longshore_layout::{Archive, ArchiveOptions, ArchiveStream, open_file};
use longshore_store::Error;

use crate::location::{Location, Where};
use crate::problem::{Exit, Problem};

/// How much of the file is read at once.
const PIECE: usize = 256 << 10;

/// A comparison that goes on while the archive comes.
pub(super) struct Comparison {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

struct State {
    file: BufReader<File>,
    /// How many bytes were the same so far.
    same: u64,
    differs: bool,
}

impl Comparison {
    /// Opens the archive that is there.
    pub(super) fn open(place: &Location) -> Result<Self, Problem> {
        let Where::Archive(path) = &place.place else {
            return Err(Problem::new(Exit::Usage, format!("{place} is no archive")));
        };
        if place.is_pipe() {
            return Err(Problem::new(Exit::Usage, "--check compares with a file, not with a pipe"));
        }
        let file = open_file(path).map_err(Problem::of)?;
        let file = BufReader::with_capacity(PIECE, file);
        let state = Arc::new(Mutex::new(State { file, same: 0, differs: false }));
        Ok(Self { path: path.clone(), state })
    }

    /// Opens the archive that is there, if one is and it says what bundle it is.
    pub(super) fn with_bundle(place: &Location) -> Option<Self> {
        let comparison = Self::open(place).ok()?;
        comparison.record().is_some().then_some(comparison)
    }

    /// Tells whether the archive that is there has this record.
    pub(super) fn has(&self, record: &Record) -> bool {
        self.record().is_some_and(|there| there == record.to_bytes())
    }

    fn record(&self) -> Option<Vec<u8>> {
        let options = ArchiveOptions { inventory: Some(INVENTORY), ..ArchiveOptions::default() };
        let archive = Archive::open(&self.path, &options).ok()?;
        archive.extra_file(RECORD, MAX_RECORD).ok().flatten()
    }

    /// Returns an archive that is compared as it comes, and goes nowhere.
    pub(super) fn stream(&self) -> ArchiveStream {
        let (path, state) = (self.path.clone(), Arc::clone(&self.state));
        ArchiveStream::new(Box::new(Compared { path, state }))
    }

    /// Tells whether the archive that is there may have this record; if not, nothing need be fetched.
    /// What cannot be opened is compared byte by byte.
    pub(super) fn may_have(&self, record: &Record) -> bool {
        let archive = Archive::open(&self.path, &ArchiveOptions::default());
        let there = archive.and_then(|archive| archive.extra_file(RECORD, MAX_RECORD));
        there.map_or(true, |there| there.is_some_and(|there| there == record.to_bytes()))
    }

    /// Returns the first byte that differs, counted from 0, once all has come or something has failed;
    /// `complete` says which. An archive that goes on behind the end differs there.
    pub(super) fn differs_at(&self, complete: bool) -> Option<u64> {
        let mut state = lock(&self.state);
        let is_longer = complete && !matches!(state.file.read(&mut [0]), Ok(0));
        (state.differs || is_longer).then_some(state.same)
    }
}

/// Takes an archive and compares it with the file.
struct Compared {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

impl Write for Compared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
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
