//! Blobs that lie in parts, each read once: from its first part to its last, from volume to volume.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use longshore_layout::ArchiveWriter;
use longshore_spec::{Digest, Hasher};
use longshore_store::{Blob, Error, OutlinePart, Result};
use longshore_sync::{Action, Arrival, Failure, Observer, Report, SealedPlan, Side, Transfer};

use crate::Record;

/// How much is read at once.
const PIECE: usize = 256 << 10;

/// The blobs of a bundle that lie in parts, as they are read.
pub(super) struct CutReads(HashMap<Digest, Mutex<CutRead>>);

/// How far a blob was read.
struct CutRead {
    /// What has seen all parts so far; `None` once all of it is proven, or if it can never be.
    before: Option<Hasher>,
    /// The digests of the parts so far.
    digests: Vec<Digest>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Read,
    /// It could not be read.
    Lost,
    /// It proved wrong, and so may each of its parts.
    Wrong,
}

impl CutReads {
    /// Begins to read the blobs of a record that lie in parts.
    pub(super) fn new(record: &Record) -> Self {
        let cut = record.blobs.iter().filter(|blob| !blob.parts.is_empty());
        let read = |digest: &Digest| CutRead {
            before: digest.hasher(),
            digests: Vec::new(),
            state: State::Read,
        };
        Self(cut.map(|blob| (blob.digest.clone(), Mutex::new(read(&blob.digest)))).collect())
    }

    /// Reads the next part of a blob: into the archive that it goes to, or only to know its digest.
    pub(super) fn read(
        &self,
        part: &OutlinePart,
        plan: &SealedPlan<'_>,
        archive: Option<&ArchiveWriter>,
        observer: &dyn Observer,
    ) -> Report {
        let mut report = Report::default();
        let Some(mut read) = self.0.get(&part.blob).map(lock) else { return report };
        if read.state != State::Read {
            return report;
        }
        let blob = plan.blob(&part.blob, observer);
        let done = match &blob {
            Some(blob) => read_part(blob, part, read.before.take(), archive, observer),
            None => Err(Error::not_found(&part.blob, "the plan")),
        };
        report.bytes = blob.as_ref().map_or(0, Transfer::read);
        match done {
            Ok((digest, after)) => {
                read.digests.push(digest);
                if after.is_none() {
                    let size = blob.as_ref().map_or(0, |blob| blob.descriptor().size);
                    observer.finished(&part.blob, size, Arrival::Moved);
                    report.moved = 1;
                }
                read.before = after;
            }
            Err(error) => {
                read.state = if error.is_corruption() { State::Wrong } else { State::Lost };
                let side = blob.as_ref().map_or(Side::Source, |blob| blob.side(&error));
                let failure = Failure::new(side, Action::Copy, part.blob.to_string(), error);
                observer.failed(&failure);
                report.failures.push(failure);
            }
        }
        report
    }

    /// Returns the digests of all parts that were read, by blob.
    pub(super) fn digests(&self) -> HashMap<Digest, Vec<Digest>> {
        let digests = self.0.iter().map(|(blob, read)| (blob.clone(), lock(read).digests.clone()));
        digests.collect()
    }

    /// Returns the blobs that proved wrong.
    pub(super) fn wrong(&self) -> HashSet<Digest> {
        let wrong = self.0.iter().filter(|(_, read)| lock(read).state == State::Wrong);
        wrong.map(|(blob, _)| blob.clone()).collect()
    }
}

fn lock(read: &Mutex<CutRead>) -> MutexGuard<'_, CutRead> {
    read.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads one part; returns its digest, and what has seen all bytes up to its end.
fn read_part(
    blob: &Transfer<'_>,
    part: &OutlinePart,
    before: Option<Hasher>,
    archive: Option<&ArchiveWriter>,
    observer: &dyn Observer,
) -> Result<(Digest, Option<Hasher>)> {
    let unverifiable = || Error::Unverifiable { digest: part.blob.clone() };
    let before = before.ok_or_else(unverifiable)?;
    if before.count() == 0 {
        observer.began(None, &part.blob, blob.descriptor().size);
    }
    match archive {
        Some(archive) => archive.push_part(blob, part.number, before),
        None => hash_part(blob, part.size, before),
    }
}

fn hash_part(blob: &dyn Blob, size: u64, before: Hasher) -> Result<(Digest, Option<Hasher>)> {
    let mut own = Hasher::sha256();
    let mut reader = blob.open(Some(before))?;
    let mut buffer = vec![0; usize::try_from(size).unwrap_or(PIECE).clamp(1, PIECE)];
    while own.count() < size {
        let left = usize::try_from(size - own.count()).unwrap_or(PIECE).min(buffer.len());
        let read = reader.read(&mut buffer[..left]);
        let count =
            read.map_err(|error| Error::from_io("read", &blob.descriptor().digest, error))?;
        own.update(&buffer[..count]);
    }
    let after = reader.prefix();
    Ok((own.finish(), after))
}
