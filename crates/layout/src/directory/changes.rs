//! What a layout directory lists, as others change it, and the changes of this process.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use longshore_store::{Error, Flaw, Result};

use super::blobs::blobs_of;
use super::{Directory, INDEX};
use crate::dir::Found;
use crate::files;
use crate::index::{Change, IndexJson};
use crate::listing::Listing;
use crate::lock::Lock;
use crate::persist::sync_directory;

/// Changes to `index.json` wait at least this long while more are coming: writing it for every one
/// of thousands of manifests would cost more than their content.
const INDEX_INTERVAL: Duration = Duration::from_secs(1);

/// They wait so many times as long as it took to write it last, where that is longer: of a list that
/// grows and grows, writing takes a tenth of the time at most.
const INDEX_SHARE: u32 = 10;

/// An `index.json` of fewer bytes is written with every change, also where there may be a journal:
/// writing it costs no more.
pub(super) const SHORT_INDEX: u64 = 64 << 10;

/// Some programs write `index.json` in place. What cannot be read may be half of it, for at most
/// this long; what stood there before counts until then.
const HALF_WRITTEN: Duration = Duration::from_secs(1);

/// A file that was changed so shortly before it was read may be changed again without its time
/// telling, by as much as the coarsest clock of a file system that keeps more than seconds.
const TICK: Duration = Duration::from_millis(20);

/// What a writer holds.
pub(super) struct Writing {
    /// Taken when the first thing is written: until then nothing is created.
    pub(super) lock: Mutex<Option<Lock>>,
    pending: Mutex<Pending>,
    /// Told when a thread has written what was pending, or failed to.
    written: Condvar,
}

/// What is not durable yet.
struct Pending {
    /// Changes to `index.json`.
    changes: Vec<Change>,
    /// By how many bytes they make it longer, at most.
    length: u64,
    /// How many bytes it has without them, at most, if somebody looked since it was written.
    length_when_written: Option<u64>,
    /// Directories of the layout in which files have appeared since they were synced.
    appeared: BTreeSet<PathBuf>,
    /// How many times something was noted here.
    noted: u64,
    /// How many of those are durable.
    done: u64,
    /// Whether a thread writes just now, for all who wait.
    is_writing: bool,
    /// When `index.json` was written last.
    written: Instant,
    /// How long that took.
    took: Duration,
}

/// What was read of `index.json` and its journal, and when it is to be read again.
pub(super) struct Seen {
    stamps: Stamps,
    /// Held open: as long as they are, no other file has their numbers.
    files: Files,
    listing: Arc<Listing>,
    /// Whether equal stamps prove that nothing has changed.
    is_settled: bool,
}

/// The files that say what is listed, as they lie there at one moment.
struct Files {
    index: File,
    journal: Option<File>,
}

/// What tells one state of the files from another without reading them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamps {
    index: Stamp,
    journal: Option<Stamp>,
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { inode: found.ino(), length: found.len(), modified: found.modified().ok() }
    }

    /// Tells whether the file was changed less than `time` ago, or after now as the clock has it.
    fn is_younger(&self, time: Duration) -> bool {
        let age = self.modified.and_then(|modified| modified.elapsed().ok());
        age.is_none_or(|age| age < time)
    }
}

impl Stamps {
    fn of(files: &Files) -> io::Result<Self> {
        let stamp = |file: &File| file.metadata().map(|found| Stamp::of(&found));
        let journal = files.journal.as_ref().map(stamp).transpose()?;
        Ok(Self { index: stamp(&files.index)?, journal })
    }

    /// Returns how many bytes the journal has.
    fn journal_length(&self) -> u64 {
        self.journal.map_or(0, |journal| journal.length)
    }
}

/// What an `index.json` is that cannot be read, and was written a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HalfWritten {
    /// What was read before counts.
    IsAsBefore,
    IsMalformed,
}

/// Where changes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Went {
    IntoIndex,
    IntoJournal,
}

impl Writing {
    pub(super) fn new(lock: Option<Lock>) -> Self {
        let pending = Pending {
            changes: Vec::new(),
            length: 0,
            length_when_written: None,
            appeared: BTreeSet::new(),
            noted: 0,
            done: 0,
            is_writing: false,
            written: Instant::now(),
            took: Duration::ZERO,
        };
        Self { lock: Mutex::new(lock), pending: Mutex::new(pending), written: Condvar::new() }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends when a thread has written, or has panicked: others go on then.
struct Turn<'a>(&'a Writing);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.pending().is_writing = false;
        self.0.written.notify_all();
    }
}

impl Directory {
    /// Returns what `index.json` lists now. The same value as before as long as nobody changes it.
    pub(super) fn listed(&self) -> Result<Arc<Listing>> {
        // Whoever changed something is told that it cannot be written. Whoever only looks, on a disk
        // that is full, sees what is there.
        if let Err(error) = self.write_changes() {
            tracing::warn!(%error, "changes of what is listed cannot be written yet");
        }
        self.listed_by_now()
    }

    /// Returns what `index.json` lists, without the changes that are not written yet: nobody is waited
    /// for.
    pub(super) fn listed_by_now(&self) -> Result<Arc<Listing>> {
        if self.writing.is_none() {
            self.look_again();
        } else if !self.is_laid_out()? {
            return Ok(Arc::new(Listing::new(IndexJson::default())));
        }
        self.look_at_index(HalfWritten::IsAsBefore)
    }

    /// Returns what is listed in the `index.json` that is there, and its journal.
    fn look_at_index(&self, half_written: HalfWritten) -> Result<Arc<Listing>> {
        let mut seen = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = self.find_files()?;
        let mut stamps = self.stamps(&files)?;
        loop {
            if let Some(seen) = &*seen
                && seen.stamps == stamps
                && seen.is_settled
            {
                return Ok(Arc::clone(&seen.listing));
            }
            // A journal that was taken away meanwhile belongs to an older `index.json`.
            let files_by_now = self.find_files()?;
            let stamps_by_now = self.stamps(&files_by_now)?;
            if stamps.journal.map(|journal| journal.inode)
                == stamps_by_now.journal.map(|journal| journal.inode)
            {
                break;
            }
            (files, stamps) = (files_by_now, stamps_by_now);
        }
        let index = match (self.parse_index(&files.index), &*seen) {
            (Err(Error::Malformed { .. }), Some(before))
                if half_written == HalfWritten::IsAsBefore
                    && stamps.index.is_younger(HALF_WRITTEN) =>
            {
                return Ok(Arc::clone(&before.listing));
            }
            (index, _) => index?,
        };
        let (listing, is_whole) = match &files.journal {
            None => {
                let before = seen.take().map(|seen| seen.listing);
                let before = before.filter(|before| before.is(&index));
                (before.unwrap_or_else(|| Arc::new(Listing::new(index))), true)
            }
            Some(journal) => {
                let (listing, is_whole) = self.with_changes_of(journal, Listing::new(index))?;
                (Arc::new(listing), is_whole)
            }
        };
        let is_settled = is_whole && !stamps.index.is_younger(TICK);
        let listed = Arc::clone(&listing);
        *seen = Some(Box::new(Seen { stamps, files, listing: listed, is_settled }));
        Ok(listing)
    }

    /// Returns what `index.json` lists now, which nobody else changes: its lock is held.
    pub(super) fn listed_alone(&self) -> Result<Arc<Listing>> {
        // What another tool is writing in place must not be replaced before it is there.
        let until = Instant::now() + HALF_WRITTEN;
        loop {
            match self.look_at_index(HalfWritten::IsMalformed) {
                Err(Error::Malformed { .. }) if Instant::now() < until => thread::sleep(TICK),
                listed => return listed,
            }
        }
    }

    /// Opens the files that say what is listed. The journal first: what it has that `index.json` has,
    /// too, does no harm.
    fn find_files(&self) -> Result<Files> {
        let journal = self.find_journal()?;
        let found = self.there()?.read(INDEX, self.links)?;
        let Some(Found { file: index, .. }) = found else {
            return Err(Error::malformed(self.root.display(), Flaw::NoIndex));
        };
        Ok(Files { index, journal })
    }

    fn parse_index(&self, file: &File) -> Result<IndexJson> {
        let path = self.index_path();
        let bytes = files::read(file, &path, self.max_index)?;
        IndexJson::parse(&bytes, &path.display().to_string())
    }

    fn stamps(&self, files: &Files) -> Result<Stamps> {
        Stamps::of(files).map_err(Error::io("open", self.index_path().display()))
    }

    /// Replaces `index.json`, whose lock is held. It has what the journal had.
    pub(super) fn write_index(&self, listing: &Listing) -> Result<File> {
        self.check_listing(listing)?;
        let file = self.write_with(INDEX, |file| listing.write_to(file))?;
        self.remove_journal()?;
        Ok(file)
    }

    /// Takes note of changes to `index.json`; writes it now and then.
    pub(super) fn note_changes(&self, changes: Vec<Change>) -> Result<()> {
        let length = self.check_changes(&changes)?;
        let is_due = {
            let mut pending = self.begin()?.pending();
            pending.length += length;
            pending.changes.extend(changes);
            pending.noted += 1;
            pending.written.elapsed() >= INDEX_INTERVAL.max(pending.took * INDEX_SHARE)
        };
        if is_due { self.write_changes() } else { Ok(()) }
    }

    /// Returns by how many bytes the changes that wait make `index.json` longer, at most.
    pub(super) fn pending_length(&self) -> u64 {
        let pending = self.writing.as_ref().map(Writing::pending);
        pending.map_or(0, |pending| pending.length)
    }

    /// Returns how many bytes `index.json` had, at most, when somebody looked since this process wrote it.
    /// One that others made longer is refused when it is written.
    pub(super) fn length_when_written(&self, look: impl FnOnce() -> Result<u64>) -> Result<u64> {
        let Some(writing) = &self.writing else { return look() };
        let done = {
            let pending = writing.pending();
            if let Some(length) = pending.length_when_written {
                return Ok(length);
            }
            pending.done
        };
        let length = look()?;
        let mut pending = writing.pending();
        if pending.done == done {
            pending.length_when_written = Some(length);
        }
        Ok(length)
    }

    /// Takes note that a file has appeared in a directory of the layout, which is to be synced. One sync
    /// for many blobs: with one for each, they would cost more than the blobs.
    pub(super) fn appeared(&self, directory: PathBuf) -> Result<()> {
        let mut pending = self.writing()?.pending();
        pending.appeared.insert(directory);
        pending.noted += 1;
        Ok(())
    }

    /// Makes durable what was noted before this was called. Threads that come while one writes wait
    /// together, and the first of them to wake writes for all. (With a mutex around the writing, those
    /// whose changes were written would queue for it behind newcomers, who write one change each.)
    pub(super) fn write_changes(&self) -> Result<()> {
        let Some(writing) = &self.writing else { return Ok(()) };
        let mut pending = writing.pending();
        let goal = pending.noted;
        while pending.done < goal && pending.is_writing {
            pending = writing.written.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
        if pending.done >= goal {
            return Ok(());
        }
        let noted = pending.noted;
        let changes = std::mem::take(&mut pending.changes);
        let length = std::mem::take(&mut pending.length);
        let appeared = std::mem::take(&mut pending.appeared);
        pending.is_writing = true;
        drop(pending);
        let turn = Turn(writing);
        let began = Instant::now();
        let written = self.sync_and_apply(&appeared, &changes);
        let mut pending = writing.pending();
        let went = match written {
            Ok(went) => went,
            Err(error) => {
                // It may be tried again, before what was noted since. A new `index.json` may be there
                // by then, and only its directory not synced.
                pending.changes.splice(..0, changes);
                pending.length += length;
                pending.appeared.extend(appeared);
                pending.appeared.insert(PathBuf::from("."));
                drop(pending);
                drop(turn);
                return Err(error);
            }
        };
        pending.done = noted;
        pending.length_when_written = None;
        if went != Some(Went::IntoJournal) {
            pending.written = Instant::now();
            pending.took = began.elapsed();
        }
        drop(pending);
        drop(turn);
        Ok(())
    }

    fn sync_and_apply(
        &self,
        appeared: &BTreeSet<PathBuf>,
        changes: &[Change],
    ) -> Result<Option<Went>> {
        // What is named must be there before its name is, also where another process brought it,
        // which may have been killed before it came to this.
        let named = changes.iter().filter_map(Change::named).map(blobs_of);
        let directories: BTreeSet<_> = appeared.iter().cloned().chain(named).collect();
        let root = self.opened()?;
        for directory in directories {
            let root = root.as_ref().map(|root| root.read_directory(directory, self.links));
            if let Some(directory) = root.transpose()?.flatten() {
                sync_directory(&directory)?;
            }
        }
        if changes.is_empty() {
            return Ok(None);
        }
        self.begin()?;
        self.apply(changes)
    }

    /// Writes changes into `index.json` or its journal: what is there is looked at under a lock, so that
    /// nothing that another process wrote meanwhile is lost (row A-19). Returns where they went, `None`
    /// if they change nothing.
    fn apply(&self, changes: &[Change]) -> Result<Option<Went>> {
        let _lock = self.lock_index()?;
        let before = self.listed_alone()?;
        let Some(listing) = before.changed(changes) else { return Ok(None) };
        let listing = Arc::new(listing);
        let mut seen = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = &mut *seen
            && seen.is_settled
            && Arc::ptr_eq(&seen.listing, &before)
            && self.journal_from.is_some_and(|from| seen.stamps.index.length >= from)
            && self.check_listing(&listing).is_ok()
            && let Some(journal) = self.append(seen.stamps.journal_length(), changes, &before)?
        {
            seen.files.journal = Some(journal);
            // That of `index.json` stays: who wrote it since did so without a lock.
            seen.stamps.journal = self.stamps(&seen.files)?.journal;
            self.membership.follow(&listing);
            seen.listing = listing;
            return Ok(Some(Went::IntoJournal));
        }
        drop(seen);
        self.replace_index(listing)?;
        Ok(Some(Went::IntoIndex))
    }

    /// Writes `index.json` with what is in its journal, if there is one.
    pub(super) fn take_in_journal(&self) -> Result<()> {
        // What cannot be opened as a directory holds no changes of ours.
        let is_laid_out = self.is_laid_out().unwrap_or(false);
        if self.writing.is_none() || !is_laid_out || self.find_journal()?.is_none() {
            return Ok(());
        }
        self.begin()?;
        let _lock = self.lock_index()?;
        let listing = self.listed_alone()?;
        self.replace_index(listing)
    }

    /// Replaces `index.json`, whose lock is held, and remembers what it says.
    fn replace_index(&self, listing: Arc<Listing>) -> Result<()> {
        let file = self.write_index(&listing)?;
        // What was written need not be read again, unless another file lies there by now.
        let files = Files { index: file, journal: None };
        let stamps = self.stamps(&files)?;
        self.membership.follow(&listing);
        let mut seen = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some(Box::new(Seen { stamps, files, listing, is_settled: true }));
        Ok(())
    }
}
