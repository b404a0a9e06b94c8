//! What every layout that is read has in common.

use std::collections::HashMap;

use longshore_spec::Digest;
use longshore_store::{Error, Result, Source, SourcePlace};

/// A layout that is read: a directory, an archive, or what came through a pipe.
pub trait Layout: SourcePlace {
    /// Returns all of it as one repository; names are those of its entries.
    fn whole(&self) -> Box<dyn Source + '_>;

    /// Returns a file that lies beside the content (row A-14), `name` without a directory; `None` if it is
    /// not there. Fails with [`Error::Limit`] if it has more than
    /// `limit` bytes.
    fn extra_file(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>>;

    /// Returns the digest of every blob that is stored, in no order.
    fn blob_digests(&self) -> Result<Vec<Digest>>;

    /// Returns what came through the pipe, if it came through one.
    fn stream_stats(&self) -> Option<&StreamStats> {
        None
    }

    /// Tells whether it was written once and as a whole, so that nothing earlier is left in it.
    fn is_written_once(&self) -> bool {
        false
    }
}

/// What came through the pipe.
#[derive(Debug, Default)]
pub struct StreamStats {
    /// How many blobs were not there before.
    pub written: u64,
    /// How many bytes were read.
    pub bytes: u64,
    /// Content that is not what its name says and was not kept, by that name. It may have come once more
    /// as it should be.
    pub damaged: Vec<(Digest, Error)>,
    /// Content that was taken without proof.
    pub unverified: Vec<Digest>,
    /// The size of each blob that is stored.
    pub(crate) blobs: HashMap<Digest, u64>,
}

impl StreamStats {
    /// Returns the digest of every blob that is stored, in no order.
    pub fn blobs(&self) -> impl Iterator<Item = &Digest> {
        self.blobs.keys()
    }
}
