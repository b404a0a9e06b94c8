//! The guard of a delta that comes through a pipe into a layout.

use std::sync::{Mutex, PoisonError};

use longshore_layout::StreamObserver;
use longshore_spec::Descriptor;
use longshore_store::{Error, Result, Source, in_parallel};

use super::BaseGap;
use crate::{RECORD, Record};

/// Looks for all that a bundle takes for granted while it comes through a pipe into a layout: as soon as its record is
/// there, which stands before its blobs, so that nothing is written of a bundle that is not taken. (A bundle that
/// another tool has packed anew may have its record behind; then [`Import::check`](super::Import::check) finds out.)
pub struct StreamGuard<'a> {
    content: &'a dyn Source,
    jobs: usize,
    observe: &'a (dyn Fn(u64) + Sync),
    gaps: Mutex<Vec<BaseGap>>,
}

impl<'a> StreamGuard<'a> {
    /// Returns the guard of a layout: `content` is all of it, and is asked with up to `jobs` requests at once;
    /// `observe` is given the number of bytes that have come since its last call.
    pub fn new(content: &'a dyn Source, jobs: usize, observe: &'a (dyn Fn(u64) + Sync)) -> Self {
        Self { content, jobs, observe, gaps: Mutex::default() }
    }

    /// Returns what was looked for and is not there, sorted. If there is any, reading ended with an error.
    pub fn into_gaps(self) -> Vec<BaseGap> {
        self.gaps.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StreamObserver for StreamGuard<'_> {
    fn arrived(&self, bytes: u64) {
        (self.observe)(bytes);
    }

    fn file(&self, name: &str, content: &[u8]) -> Result<()> {
        if name != RECORD {
            return Ok(());
        }
        // One that cannot be believed is refused when the bundle is opened.
        let Ok(record) = Record::parse(content) else { return Ok(()) };
        let found = in_parallel(record.assumed(), self.jobs, |blob| {
            let untyped = "application/octet-stream";
            self.content.has_content(&Descriptor::new(untyped, blob.digest.clone(), blob.size))
        });
        let mut gaps = Vec::new();
        for (blob, found) in record.assumed().iter().zip(found) {
            if !found? {
                let (digest, size) = (blob.digest.clone(), blob.size);
                gaps.push(BaseGap { digest, size, repository: None });
            }
        }
        if gaps.is_empty() {
            return Ok(());
        }
        gaps.sort_unstable();
        *self.gaps.lock().unwrap_or_else(PoisonError::into_inner) = gaps;
        Err(Error::Cancelled)
    }
}
