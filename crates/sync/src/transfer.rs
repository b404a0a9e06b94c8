//! A piece of content on its way.

use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use longshore_spec::{Descriptor, Hasher};
use longshore_store::{Blob, Error, MountSource, Reader, Result, Source, Verifying};

use crate::{Observer, Side};

/// A blob of a source, as a target is given it. Counts what is read, and remembers whether it was
/// the source that failed: a target sees both sides' errors through one reader.
pub struct Transfer<'a> {
    source: &'a dyn Source,
    descriptor: Descriptor,
    observer: &'a dyn Observer,
    allow_unverified: bool,
    /// Where the target's registry has it already.
    arrived: Option<MountSource>,
    read: AtomicU64,
    /// Up to where whoever watches was told of it: what is read once more has not come once more.
    told: AtomicU64,
    source_failed: AtomicBool,
}

impl<'a> Transfer<'a> {
    pub(crate) fn new(
        source: &'a dyn Source,
        descriptor: Descriptor,
        observer: &'a dyn Observer,
        allow_unverified: bool,
    ) -> Self {
        let [read, told] = [0, 0].map(AtomicU64::new);
        let source_failed = AtomicBool::new(false);
        let arrived = None;
        Self { source, descriptor, observer, allow_unverified, arrived, read, told, source_failed }
    }

    /// The same, which need not be read if the target takes it over from where it has `arrived`.
    pub(crate) fn or_from(self, arrived: Option<MountSource>) -> Self {
        Self { arrived, ..self }
    }

    /// Returns how many bytes were read from the source.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Returns the side that an error of the transfer came from. Wrong content is the source's.
    pub fn side(&self, error: &Error) -> Side {
        let source = error.is_corruption()
            || matches!(error, Error::Unverifiable { .. })
            || self.source_failed.load(Ordering::Relaxed);
        if source { Side::Source } else { Side::Target }
    }

    fn failed(&self, error: Error) -> Error {
        self.source_failed.store(true, Ordering::Relaxed);
        error
    }
}

impl Blob for Transfer<'_> {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn location(&self) -> Option<MountSource> {
        self.arrived.clone().or_else(|| self.source.location())
    }

    fn open(&self, prefix: Option<Hasher>) -> Result<Verifying<'_>> {
        let offset = prefix.as_ref().map_or(0, Hasher::count);
        // Whoever opens again has got over what went wrong before.
        self.source_failed.store(false, Ordering::Relaxed);
        // What is wrong with embedded content is no reason not to ask for it.
        let inner: Reader<'_> = match self.descriptor.embedded() {
            Ok(Some(content)) => {
                let mut content = Cursor::new(content);
                content.set_position(offset);
                Box::new(content)
            }
            Ok(None) | Err(_) => {
                self.source.open(&self.descriptor, offset).map_err(|error| self.failed(error))?
            }
        };
        // What a run before has left is there already.
        self.told.fetch_max(offset, Ordering::Relaxed);
        let counted: Reader<'_> = Box::new(Counted { inner, at: offset, of: self });
        match prefix {
            Some(prefix) => Ok(Verifying::resume(counted, &self.descriptor, prefix)),
            None if self.allow_unverified && self.descriptor.digest.hasher().is_none() => {
                Ok(Verifying::unverified(counted, &self.descriptor))
            }
            None => Verifying::new(counted, &self.descriptor),
        }
    }
}

struct Counted<'a> {
    inner: Reader<'a>,
    at: u64,
    of: &'a Transfer<'a>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.of.observer.is_cancelled() {
            self.of.source_failed.store(true, Ordering::Relaxed);
            return Err(Error::Cancelled.into());
        }
        let result = self.inner.read(buffer);
        match &result {
            Ok(count) => {
                self.of.read.fetch_add(*count as u64, Ordering::Relaxed);
                self.at += *count as u64;
                let told = self.of.told.fetch_max(self.at, Ordering::Relaxed);
                if let more @ 1.. = self.at.saturating_sub(told) {
                    self.of.observer.advanced(more);
                }
            }
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.of.source_failed.store(true, Ordering::Relaxed);
            }
            Err(_) => {}
        }
        result
    }
}
