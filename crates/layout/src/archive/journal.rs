//! The journal of a partial archive, from which a run continues after a kill.
//!
//! A journal is a text file: first a line with the archive's fingerprint, then a line for everything that
//! is on the disk, `SLOT BYTES` or `SLOT done`. A line is appended only after the data is synced. A last
//! line that was cut off is ignored.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use longshore_spec::Digest;
use longshore_store::{Error, Flaw, Result};

use crate::dir::Part;
use crate::files;
use crate::open_file;
use crate::persist::Named;

/// Data is synced and the journal is written after so many bytes for each writer. A kill can lose twice
/// as much, since others write while one syncs.
const INTERVAL: u64 = 4 << 20;

/// A longer file is not a journal, and is not read.
const MAX_JOURNAL: u64 = 1 << 30;

/// The progress of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// So many bytes are on the disk.
    Bytes(u64),
    /// The whole blob is on the disk and verified.
    Done,
}

/// The journal of an archive that is being written.
pub(super) struct Journal {
    path: PathBuf,
    /// Held while syncing, so that lines never precede their data. `None` after a failed sync: a later
    /// sync of the same data proves nothing.
    file: Mutex<Option<File>>,
    unsynced: Mutex<Unsynced>,
    writers: AtomicU64,
}

/// The progress since the last sync.
#[derive(Default)]
struct Unsynced {
    progress: BTreeMap<u32, Progress>,
    bytes: u64,
}

impl Journal {
    /// Opens or creates the journal. Returns the progress of an earlier run with the archive of this
    /// `fingerprint`; a journal of another archive is discarded. Fails with [`Error::Malformed`] if the
    /// file is not ours, since its content is trusted.
    pub(super) fn open(
        named: Named<'_>,
        fingerprint: &Digest,
    ) -> Result<(Self, HashMap<u32, Progress>)> {
        let path = named.path();
        let first = first_line(fingerprint);
        let (mut file, _) = open_part(named)?;
        let bytes = files::read(&file, &path, MAX_JOURNAL)?;
        let (known, whole) = if let Some(lines) = bytes.strip_prefix(first.as_bytes()) {
            // A line that was cut off must not become the beginning of the next one.
            let end = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            (parse(&lines[..end]), first.len() + end)
        } else {
            let begin = file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0)));
            let begin = begin.and_then(|_| file.write_all(first.as_bytes()));
            begin.map_err(Error::io("write", path.display()))?;
            (HashMap::new(), first.len())
        };
        let trim = file.set_len(whole as u64).and_then(|()| file.seek(SeekFrom::End(0)));
        trim.map_err(Error::io("write", path.display()))?;
        let journal = Self {
            path,
            file: Mutex::new(Some(file)),
            unsynced: Mutex::default(),
            writers: AtomicU64::new(0),
        };
        Ok((journal, known))
    }

    /// Returns the progress of an earlier run with the archive of this `fingerprint`, from the bytes of
    /// its journal.
    pub(super) fn known(bytes: &[u8], fingerprint: &Digest) -> HashMap<u32, Progress> {
        bytes.strip_prefix(first_line(fingerprint).as_bytes()).map(parse).unwrap_or_default()
    }

    /// Counts one more writer while `work` runs.
    pub(super) fn writing<T>(&self, work: impl FnOnce() -> T) -> T {
        self.writers.fetch_add(1, Ordering::Relaxed);
        let result = work();
        self.writers.fetch_sub(1, Ordering::Relaxed);
        result
    }

    /// Records the progress of a slot, after `bytes` more. Syncs `data` when it is time.
    pub(super) fn note(
        &self,
        data: &File,
        slot: u32,
        progress: Progress,
        bytes: u64,
    ) -> Result<()> {
        let due = {
            let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
            unsynced.progress.insert(slot, progress);
            unsynced.bytes += bytes;
            unsynced.bytes >= INTERVAL * self.writers.load(Ordering::Relaxed).max(1)
        };
        if due { self.sync(data) } else { Ok(()) }
    }

    /// Makes the recorded progress durable: first the data, then the lines about it.
    pub(super) fn sync(&self, data: &File) -> Result<()> {
        let mut lines_go_to = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Unsynced { progress, .. } =
            std::mem::take(&mut *self.unsynced.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(file) = lines_go_to.as_mut().filter(|_| !progress.is_empty()) else {
            return Ok(());
        };
        if let Err(error) = data.sync_data() {
            *lines_go_to = None;
            return Err(Error::io("sync", self.path.display())(error));
        }
        let line = |(slot, progress): (u32, Progress)| match progress {
            Progress::Bytes(bytes) => format!("{slot} {bytes}\n"),
            Progress::Done => format!("{slot} done\n"),
        };
        let lines: String = progress.into_iter().map(line).collect();
        file.write_all(lines.as_bytes()).map_err(Error::io("write", self.path.display()))
    }
}

/// Whether an earlier run left the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    Something,
}

/// Opens or creates a partial archive or its journal. Fails with [`Error::Malformed`] if the file is not
/// ours, and writes nothing to it.
pub(super) fn open_part(named: Named<'_>) -> Result<(File, Left)> {
    let Named { directory, name } = named;
    let what = || named.path().display().to_string();
    match directory.part(name)? {
        Part::Ours(file) => Ok((file, Left::Something)),
        Part::Foreign { reason } => Err(Error::malformed(what(), Flaw::NotOurs(reason))),
        // If it exists now, another process has just begun the same archive.
        Part::Absent => match directory.create_new(name)? {
            Some(file) => Ok((file, Left::Nothing)),
            None => Err(Error::Busy { what: what() }),
        },
    }
}

/// Reads the bytes of a journal without changing it.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    files::read(&open_file(path)?, path, MAX_JOURNAL)
}

fn first_line(fingerprint: &Digest) -> String {
    format!("longshore journal 1 {fingerprint}\n")
}

/// Parses whole lines. Invalid lines, as a power cut may leave them, are ignored.
fn parse(lines: &[u8]) -> HashMap<u32, Progress> {
    let mut known = HashMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let line = str::from_utf8(line).ok();
        let Some((slot, progress)) = line.and_then(|line| line.split_once(' ')) else { continue };
        let progress = if progress == "done" {
            Some(Progress::Done)
        } else {
            progress.parse().ok().map(Progress::Bytes)
        };
        if let (Ok(slot), Some(progress)) = (slot.parse(), progress) {
            known.insert(slot, progress);
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::Dir;

    #[test]
    fn what_was_synced_is_known_to_the_next_run_and_a_torn_line_is_not() {
        let scene = tempfile::tempdir().unwrap();
        let path = scene.path().join("journal");
        let directory = Dir::open(scene.path()).unwrap();
        let named = Named::new(&directory, "journal");
        let data = tempfile::tempfile().unwrap();
        let fingerprint = Digest::sha256("this");
        let (journal, known) = Journal::open(named, &fingerprint).unwrap();
        assert!(known.is_empty());
        journal.note(&data, 3, Progress::Bytes(70), 70).unwrap();
        assert_eq!(
            std::fs::read(&path).unwrap(),
            format!("longshore journal 1 {fingerprint}\n").as_bytes(),
            "not synced yet"
        );
        journal.sync(&data).unwrap();
        journal.note(&data, 3, Progress::Done, INTERVAL).unwrap();
        journal.note(&data, 4, Progress::Bytes(5), 5).unwrap();
        journal.sync(&data).unwrap();
        drop(journal);
        let file = File::options().append(true).open(&path).unwrap();
        (&file).write_all(b"4 9").unwrap();

        let expected = HashMap::from([(3, Progress::Done), (4, Progress::Bytes(5))]);
        let (journal, known) = Journal::open(named, &fingerprint).unwrap();
        assert_eq!(known, expected);
        journal.note(&data, 5, Progress::Done, 0).unwrap();
        journal.sync(&data).unwrap();
        let (_, known) = Journal::open(named, &fingerprint).unwrap();
        assert_eq!(known.len(), 3, "the torn line did not swallow the next");

        let garbage = b"\xff\xfe\0\n7\n7 \n7 -1\n x\n99999999999 done\n6 done\n\xff\xff\xff 8";
        let file = File::options().append(true).open(&path).unwrap();
        (&file).write_all(garbage).unwrap();
        let (journal, known) = Journal::open(named, &fingerprint).unwrap();
        assert_eq!((known.len(), known[&6]), (4, Progress::Done), "garbage says nothing");
        journal.note(&data, 8, Progress::Done, 0).unwrap();
        journal.sync(&data).unwrap();
        let (_, known) = Journal::open(named, &fingerprint).unwrap();
        assert_eq!(known.len(), 5, "nor does it swallow what follows it");
        let (_, known) = Journal::open(named, &Digest::sha256("other")).unwrap();
        assert!(known.is_empty(), "another archive has another fingerprint");
    }
}
