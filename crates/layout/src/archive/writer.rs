//! Writing a planned archive to a file, in parallel.

mod parts;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use longshore_spec::{Descriptor, Digest, RepositoryName};
use longshore_store::{
    Atomicity, Blob, Error, Flaw, Held, Order, Outline, Pushed, Result, Target, TargetPlace,
    Verifying,
};

use super::journal::{self, Journal, Left, Progress, open_part};
use super::tar_layout::{self, END, Slot, TarLayout};
use super::target::{ArchiveTarget, Sink};
use super::{INCOMPLETE, unannounced};
use crate::dir::{Dir, no_directory, parent};
use crate::files::{self, Region};
use crate::lock;
use crate::persist::{Durable, Named, persist, rename, sync_directory};
use crate::resume::{self, Partial};

/// An archive that is being written: first planned, then filled by many workers at once.
///
/// [`TargetPlace::prepare`] computes where everything goes, so the size is known before the first byte of
/// content, and the bytes do not depend on the order in which workers write. Content is written once, to
/// `NAME.partial`; a journal lets the next run continue after a kill. `NAME` appears only when everything
/// is there, verified and synced.
pub struct ArchiveWriter {
    path: PathBuf,
    partial: PathBuf,
    journal: PathBuf,
    replace: bool,
    /// `None` until [`TargetPlace::prepare`] is called.
    filling: Mutex<Option<Arc<Filling>>>,
}

/// The partial archive of a plan.
struct Filling {
    layout: TarLayout,
    /// The directory of the partial archive and of the final one.
    directory: Dir,
    file: Arc<File>,
    journal: Journal,
    /// Content that was written for an earlier plan of the same run.
    earlier: Option<Earlier>,
    /// The state of each slot.
    states: Mutex<Vec<State>>,
    /// Notified whenever a state changes.
    changed: Condvar,
}

/// The state of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes at its beginning are written; 0 if none.
    Begun(u64),
    /// A writer is filling the slot.
    Coming,
    There,
}

/// Content that was written for a plan that was then replaced by another. Its file has no name any more.
struct Earlier {
    file: Arc<File>,
    /// The offset of each complete blob.
    there: HashMap<Digest, u64>,
}

/// The right to write to a slot. Dropping it sets the slot's state and wakes those that wait for the
/// slot, even if the writer panicked.
struct Claim<'a> {
    filling: &'a Filling,
    number: u32,
    slot: Slot,
    /// The path of the partial archive, for errors.
    path: &'a Path,
    /// The state that the slot gets when the claim is dropped.
    state: State,
}

impl ArchiveWriter {
    /// Content takes whole blocks of so many bytes; a directory takes one.
    pub const BLOCK: u64 = tar_layout::DIRECTORY;

    /// Returns a writer for the archive at `path`. It is an error if an archive is there.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self> {
        Self::at(path.into(), false)
    }

    /// Returns a writer for the archive at `path`. An archive that is there stays until the new one is
    /// complete.
    pub fn replacing(path: impl Into<PathBuf>) -> Result<Self> {
        Self::at(path.into(), true)
    }

    fn at(path: PathBuf, replace: bool) -> Result<Self> {
        // Nobody wants a device, pipe or socket to be replaced by a file.
        if path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            return Err(Error::malformed(path.display(), Flaw::NotAFile));
        }
        if path.is_dir() || (!replace && path.exists()) {
            return Err(Error::Exists { what: path.display().to_string() });
        }
        // The caller should learn this before asking a source for anything.
        if !parent(&path).exists() {
            return Err(no_directory(&path));
        }
        let [partial, journal] =
            [".partial", ".partial.journal"].map(|suffix| beside(&path, suffix));
        Ok(Self { path, partial, journal, replace, filling: Mutex::default() })
    }

    fn label(&self) -> String {
        self.path.display().to_string()
    }

    /// Returns the archive as one repository, whose names are those of the entries.
    pub fn whole(&self) -> ArchiveTarget<'_> {
        ArchiveTarget(self)
    }

    /// Returns how long the archive of `outline` is, in bytes. Fails with [`Error::Limit`] if no file
    /// can be that long.
    pub fn length(outline: &Outline) -> Result<u64> {
        TarLayout::new(outline).map(|layout| layout.length)
    }

    /// Returns how long a file beside the content is in an archive, with its header, in bytes.
    pub fn length_of_file(name: &str, size: u64) -> u64 {
        tar_layout::file_length(name, size)
    }

    /// Returns how long a blob is in an archive, with its header, in bytes.
    pub fn length_of_blob(digest: &Digest, size: u64) -> u64 {
        tar_layout::blob_length(digest, size)
    }

    /// Returns how long the header of a part of a blob is at most, in bytes. Its content takes whole blocks of
    /// [`ArchiveWriter::BLOCK`] bytes behind it.
    pub fn longest_part_header(blob: &Digest) -> u64 {
        tar_layout::longest_part_header(blob)
    }

    /// Returns how many bytes of the content of `outline` an earlier run left for this one to continue
    /// with: 0 if its files are not ours or belong to another plan. Changes nothing.
    pub fn left_of(&self, outline: &Outline) -> Result<u64> {
        let layout = TarLayout::new(outline)?;
        let (Ok(there), Ok(bytes)) = (self.partial.metadata(), journal::read(&self.journal)) else {
            return Ok(0);
        };
        let known = Journal::known(&bytes, &layout.fingerprint);
        let of = |(number, progress): (u32, Progress)| {
            let slot = layout.slots.get(number as usize)?;
            let bytes = match progress {
                Progress::Done => slot.size,
                Progress::Bytes(bytes) => bytes.min(slot.size),
            };
            (slot.content + bytes <= there.len()).then_some(bytes)
        };
        Ok(known.into_iter().filter_map(of).sum())
    }

    /// Returns how many bytes are free for the archive, including those of its partial file.
    pub fn room(&self) -> Result<u64> {
        let free = files::room(parent(&self.path))?;
        Ok(free.saturating_add(self.allocated()))
    }

    /// Fails with [`Error::NoSpace`] unless there is room for archives in one directory, each with its length in
    /// bytes, beside what their partial files occupy.
    pub fn check_room_for<'w>(archives: impl IntoIterator<Item = (&'w Self, u64)>) -> Result<()> {
        let (mut needed, mut directory) = (0_u64, None);
        for (archive, length) in archives {
            needed = needed.saturating_add(length.saturating_sub(archive.allocated()));
            directory = Some(parent(&archive.path));
        }
        directory.map_or(Ok(()), |directory| files::check_room(directory, needed))
    }

    /// Returns the path that the archive will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the archive while it is incomplete.
    pub fn partial(&self) -> &Path {
        &self.partial
    }

    fn filling(&self) -> Result<Arc<Filling>> {
        let what = "is an archive, and must be told what will come before it comes";
        self.current().clone().ok_or_else(|| unannounced(self.label(), what))
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Filling>>> {
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails unless there is room for the rest of the partial archive.
    fn check_room(&self, length: u64) -> Result<()> {
        files::check_room(parent(&self.path), length.saturating_sub(self.allocated()))
    }

    /// Returns how many bytes the partial archive occupies on the disk.
    fn allocated(&self) -> u64 {
        use std::os::unix::fs::MetadataExt as _;
        const SECTOR: u64 = 512;
        self.partial.symlink_metadata().map_or(0, |found| found.blocks() * SECTOR)
    }

    fn begin(&self, mut layout: TarLayout) -> Result<Filling> {
        let (directory, name) = Dir::of_file(&self.partial)?;
        let (file, left) = open_part(Named::new(&directory, name))?;
        lock::take(&file, &self.partial)?;
        // The process that held the lock before may have renamed the file to its final name.
        if !directory.has(&file, name) {
            return Err(Error::Busy { what: self.partial.display().to_string() });
        }
        self.check_free()?;
        let journal_name = self.journal.file_name().unwrap_or_default();
        if left == Left::Nothing {
            directory.remove(journal_name)?;
        }
        let journal = Named::new(&directory, journal_name);
        let (journal, known) = Journal::open(journal, &layout.fingerprint)?;
        let there = file.metadata().map_err(self.writing())?.len();
        if known.is_empty() && there > 0 {
            file.set_len(0).map_err(self.writing())?;
        }
        if let Err(error) = reserve(&file, layout.length) {
            if known.is_empty() {
                directory.remove(name)?;
                directory.remove(journal_name)?;
            }
            return Err(self.no_room(error, layout.length));
        }
        // The head has `bundle.json`, which may be large. It is written here and not needed again.
        let head = std::mem::take(&mut layout.head);
        let mut at = 0;
        for piece in head.pieces() {
            file.write_all_at(piece, at).map_err(self.writing())?;
            at += piece.len() as u64;
        }
        let mut states = vec![State::Begun(0); layout.slots.len()];
        for (number, progress) in known {
            // Bytes beyond the end of the file were never written, whatever the journal says.
            let Some(slot) = layout.slots.get(number as usize) else { continue };
            match progress {
                Progress::Done if slot.content + slot.size <= there => {
                    states[number as usize] = State::There;
                }
                Progress::Bytes(bytes) if bytes <= slot.size && slot.content + bytes <= there => {
                    states[number as usize] = State::Begun(bytes);
                }
                _ => {}
            }
        }
        let states = Mutex::new(states);
        let (file, changed) = (Arc::new(file), Condvar::new());
        Ok(Filling { layout, directory, file, journal, earlier: None, states, changed })
    }

    /// Removes the name of a partial archive whose plan is replaced, and returns its complete blobs for
    /// the next plan. Returns `None` if the disk has no room for both files, or if the name belongs to
    /// another file by now.
    fn set_aside(&self, filling: &Filling) -> Option<Earlier> {
        let Filling { layout, directory, file, states, .. } = filling;
        let states = states.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = |number: &u32| states[*number as usize] == State::There;
        let there = layout.by_digest.iter().filter(|(_, number)| is_there(number));
        let there =
            there.map(|(digest, number)| (digest.clone(), layout.slots[*number as usize].content));
        let there = there.collect();
        self.check_room(layout.length.saturating_add(self.allocated())).ok()?;
        let name = self.partial.file_name()?;
        if !directory.has(file, name) {
            return None;
        }
        directory.remove(name).ok()?;
        Some(Earlier { file: Arc::clone(file), there })
    }

    /// Fails with [`Error::Exists`] if there is an archive that must not be replaced.
    fn check_free(&self) -> Result<()> {
        if !self.replace && self.path.exists() {
            return Err(Error::Exists { what: self.path.display().to_string() });
        }
        Ok(())
    }

    fn writing(&self) -> impl FnOnce(std::io::Error) -> Error {
        Error::io("write", self.partial.display().to_string())
    }

    fn no_room(&self, error: std::io::Error, needed: u64) -> Error {
        match self.check_room(needed) {
            Err(no_room @ Error::NoSpace { .. }) => no_room,
            _ => self.writing()(error),
        }
    }
}

impl TargetPlace for ArchiveWriter {
    fn target(&self, _: &RepositoryName) -> Result<Box<dyn Target + '_>> {
        Ok(Box::new(self.whole()))
    }

    /// Computes where everything goes and reserves room for it. Fails with [`Error::NoSpace`] before
    /// anything is written, and with [`Error::Busy`] while another process writes the same archive. A
    /// second plan starts a new archive, which takes over the blobs written for the first.
    fn prepare(&self, outline: &Outline) -> Result<Option<u64>> {
        self.check_free()?;
        let layout = TarLayout::new(outline)?;
        // This releases the lock of an earlier plan, and keeps its blobs for this one.
        let earlier = self.current().take().and_then(|filling| self.set_aside(&filling));
        self.check_room(layout.length)?;
        let filling = Filling { earlier, ..self.begin(layout)? };
        let there = filling.there();
        *self.current() = Some(Arc::new(filling));
        Ok(Some(there))
    }

    fn atomicity(&self) -> Atomicity {
        Atomicity::AllOrNothing
    }

    fn order(&self) -> Order {
        Order::Outline
    }

    /// Renames the archive to its final name. Fails if content is missing.
    fn commit(&self) -> Result<()> {
        self.commit_partial()?;
        let filling = self.filling()?;
        if filling.states().iter().any(|state| *state != State::There) {
            return Err(unannounced(self.label(), INCOMPLETE));
        }
        let directory = &filling.directory;
        let [partial, path, journal] = [&self.partial, &self.path, &self.journal]
            .map(|path| Named::new(directory, path.file_name().unwrap_or_default()));
        persist(&filling.file, partial, path, Durable::Batched, |file| {
            let length = filling.layout.length;
            file.write_all_at(&END, length - END.len() as u64)
                .and_then(|()| file.set_len(length))
                .map_err(self.writing())
        })?;
        if let Err(error) = sync_directory(directory) {
            // The next run could not continue: it would find the final name taken.
            if !self.replace {
                rename(path, partial)?;
            }
            return Err(error);
        }
        directory.remove(journal.name)
    }

    /// Keeps the partial archive for the next run.
    fn commit_partial(&self) -> Result<()> {
        let filling = self.filling()?;
        filling.journal.sync(&filling.file)
    }
}

impl Filling {
    fn states(&self) -> MutexGuard<'_, Vec<State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many bytes of content are written.
    fn there(&self) -> u64 {
        let of = |(slot, state): (&Slot, &State)| match state {
            State::There => slot.size,
            State::Begun(bytes) => *bytes,
            State::Coming => 0,
        };
        self.layout.slots.iter().zip(&*self.states()).map(of).sum()
    }

    /// Claims a slot, after waiting for another writer that is filling it. Returns `None` if the content
    /// is complete by then.
    fn claim<'a>(&'a self, number: u32, slot: Slot, path: &'a Path) -> Option<Claim<'a>> {
        let coming = |states: &mut Vec<State>| states[number as usize] == State::Coming;
        let mut states =
            self.changed.wait_while(self.states(), coming).unwrap_or_else(PoisonError::into_inner);
        let state = std::mem::replace(&mut states[number as usize], State::Coming);
        if state == State::There {
            states[number as usize] = state;
            return None;
        }
        Some(Claim { filling: self, number, slot, path, state })
    }
}

impl Claim<'_> {
    /// Writes a blob into its slot, after the bytes that are there already.
    fn fill(&mut self, blob: &dyn Blob) -> Result<Pushed> {
        let Descriptor { digest, size, .. } = blob.descriptor();
        let Self { filling: Filling { file, .. }, slot, path, .. } = *self;
        let write = |bytes: &[u8], at| {
            file.write_all_at(bytes, at).map_err(Error::io("write", path.display()))
        };
        write(&tar_layout::blob_header(digest, *size), slot.header)?;
        let there = if let State::Begun(there) = self.state { there } else { 0 };
        let prefix = resume::hash_prefix(self, blob.descriptor(), there)?;
        let pushed = if prefix.is_none() && self.take_over(blob)? {
            Pushed::Existed
        } else {
            Pushed::Written(resume::fill(self, blob, prefix)?)
        };
        write(slot.padding(), slot.content + slot.size)?;
        self.state = State::There;
        Ok(pushed)
    }

    /// Writes a blob from the file of an earlier plan. Returns false if the blob is not there, or
    /// damaged.
    fn take_over(&mut self, blob: &dyn Blob) -> Result<bool> {
        let Descriptor { digest, size, .. } = blob.descriptor();
        let Some(Earlier { file, there }) = &self.filling.earlier else { return Ok(false) };
        let Some(at) = there.get(digest).filter(|_| digest.hasher().is_some()) else {
            return Ok(false);
        };
        let region = Region::new(&**file, *at, *size);
        let reader = Verifying::new(Box::new(region), blob.descriptor())?;
        match resume::append(self, reader, blob.descriptor(), 0) {
            Ok(_) => Ok(true),
            Err(error) if error.is_corruption() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Partial for Claim<'_> {
    fn file(&self) -> &File {
        &self.filling.file
    }

    fn offset(&self) -> u64 {
        self.slot.content
    }

    fn path(&self) -> &Path {
        self.path
    }

    fn keep(&mut self, length: u64) -> Result<()> {
        let Self { filling: Filling { file, journal, .. }, number, .. } = *self;
        let before = std::mem::replace(&mut self.state, State::Begun(length));
        match before {
            State::Begun(there) if there > length => {
                journal.note(file, number, Progress::Bytes(length), 0)
            }
            _ => Ok(()),
        }
    }

    fn wrote(&mut self, length: u64, count: u64) -> Result<()> {
        let Self { filling: Filling { file, journal, .. }, number, slot, .. } = *self;
        self.state = State::Begun(length);
        // The last piece is recorded together with the whole blob.
        if length == slot.size {
            return Ok(());
        }
        journal.note(file, number, Progress::Bytes(length), count)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.filling.states()[self.number as usize] = self.state;
        self.filling.changed.notify_all();
    }
}

impl Sink for ArchiveWriter {
    fn held(&self, descriptor: &Descriptor) -> Result<Held> {
        let filling = self.filling()?;
        let Some((number, _)) = filling.layout.slot(&descriptor.digest) else {
            return Ok(Held::Nothing);
        };
        Ok(match filling.states()[number as usize] {
            State::There => Held::Whole,
            State::Begun(bytes @ 1..) => Held::Prefix(bytes),
            State::Begun(0) | State::Coming => Held::Nothing,
        })
    }

    fn push(&self, blob: &dyn Blob) -> Result<Pushed> {
        let filling = self.filling()?;
        let Descriptor { digest, size, .. } = blob.descriptor();
        let found = filling.layout.slot(digest).filter(|(_, slot)| slot.size == *size);
        let (number, slot) = found.ok_or_else(|| {
            unannounced(
                self.label(),
                format!("is an archive, and {digest} was not announced to it"),
            )
        })?;
        let claim = filling.claim(number, slot, &self.partial);
        let Some(mut claim) = claim else { return Ok(Pushed::Existed) };
        let pushed = filling.journal.writing(|| claim.fill(blob))?;
        // `wrote` does not record the last piece, since the blob is complete only here.
        let rest = (*size).min(files::PIECE as u64);
        filling.journal.note(&filling.file, number, Progress::Done, rest)?;
        Ok(pushed)
    }
}

impl fmt::Debug for ArchiveWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArchiveWriter({})", self.path.display())
    }
}

/// Reserves disk space without making the file longer, so that a full disk is noticed now. If the file
/// system does not support that, only the earlier check of the free space helps.
fn reserve(file: &File, length: u64) -> std::io::Result<()> {
    use rustix::io::Errno;
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, length) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
