//! Archives that are written one after another, as one place.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longshore_spec::{Descriptor, RepositoryName};
use longshore_store::{
    Atomicity, Blob, Held, Order, Outline, OutlinePart, Pushed, Result, Target, TargetPlace,
};

use super::target::{ArchiveTarget, Sink};
use super::unannounced;
use super::writer::ArchiveWriter;

/// Archives that are written one after another, as one place: what comes goes to the one that is open. None
/// gets its name here, since all are to appear together: [`TargetPlace::commit`] keeps what has come in the
/// partial archive.
#[derive(Default)]
pub struct ArchiveSeries {
    open: Mutex<Option<Open>>,
}

/// An archive that is being written.
#[derive(Debug, Clone)]
struct Open {
    archive: Arc<ArchiveWriter>,
    /// Parts of blobs that are announced to it beside what an outline says.
    parts: Vec<OutlinePart>,
}

impl ArchiveSeries {
    /// Lets what comes go to `archive`, and returns it. `parts` are announced to it with all else, and brought
    /// to it by the caller.
    pub fn open(&self, archive: ArchiveWriter, parts: Vec<OutlinePart>) -> Arc<ArchiveWriter> {
        let archive = Arc::new(archive);
        *self.current() = Some(Open { archive: Arc::clone(&archive), parts });
        archive
    }

    /// Lets go of the archive that is open. Nothing may come until another is opened.
    pub fn close(&self) {
        *self.current() = None;
    }

    /// Returns all of it as one repository.
    pub fn whole(&self) -> ArchiveTarget<'_> {
        ArchiveTarget(self)
    }

    fn current(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn archive(&self) -> Result<Arc<ArchiveWriter>> {
        let archive = self.current().as_ref().map(|open| Arc::clone(&open.archive));
        archive.ok_or_else(|| unannounced("no archive".to_owned(), "is open to be written"))
    }
}

impl TargetPlace for ArchiveSeries {
    fn target(&self, _: &RepositoryName) -> Result<Box<dyn Target + '_>> {
        Ok(Box::new(self.whole()))
    }

    fn prepare(&self, outline: &Outline) -> Result<Option<u64>> {
        let parts = self.current().as_ref().map(|open| open.parts.clone()).unwrap_or_default();
        self.archive()?.prepare(&outline.clone().with_parts(parts))
    }

    fn atomicity(&self) -> Atomicity {
        Atomicity::AllOrNothing
    }

    fn order(&self) -> Order {
        Order::Outline
    }

    fn commit(&self) -> Result<()> {
        self.archive()?.commit_partial()
    }

    fn commit_partial(&self) -> Result<()> {
        self.archive()?.commit_partial()
    }
}

impl Sink for ArchiveSeries {
    fn held(&self, descriptor: &Descriptor) -> Result<Held> {
        self.archive()?.held(descriptor)
    }

    fn push(&self, blob: &dyn Blob) -> Result<Pushed> {
        self.archive()?.push(blob)
    }
}

impl fmt::Debug for ArchiveSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.current() {
            Some(open) => open.archive.fmt(f),
            None => f.write_str("ArchiveSeries"),
        }
    }
}
