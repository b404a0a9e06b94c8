//! The trait of layouts that can be read.

use std::collections::HashMap;
use std::sync::Arc;

use longshore_spec::Digest;
use longshore_store::{Error, Reader, Result, Source, SourcePlace};

/// A layout that can be read: a directory, an archive, or an archive from a pipe.
pub trait Layout: SourcePlace {
    /// Returns the whole layout as one repository, whose names are those of the entries.
    fn whole(&self) -> Box<dyn Source + '_>;

    /// Returns a file beside the content (row A-14). `name` has no directory. Returns `None` if the file
    /// does not exist. Fails with [`Error::Limit`] if it has more than `limit` bytes.
    fn extra_file(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>>;

    /// Returns the digest of every blob, in no order.
    fn blob_digests(&self) -> Result<Vec<Digest>>;

    /// Opens a stored blob at `offset`, unverified. Fails with
    /// [`Error::NotFound`](longshore_store::Error::NotFound).
    fn open_blob(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>>;

    /// Returns the size in bytes of a part of a blob that lies here, while the rest lies in other layouts. They are
    /// counted from 1.
    fn part_size(&self, blob: &Digest, number: u32) -> Option<u64> {
        let _ = (blob, number);
        None
    }

    /// Opens a part of a blob at `offset`, unverified. Fails with
    /// [`Error::NotFound`](longshore_store::Error::NotFound).
    fn open_part(&self, blob: &Digest, number: u32, offset: u64) -> Result<Reader<'_>> {
        let _ = (number, offset);
        Err(Error::not_found(blob, format!("{self:?}")))
    }

    /// Returns what came through the pipe, if the layout is from one.
    fn stream_stats(&self) -> Option<&StreamStats> {
        None
    }

    /// Tells whether the layout was written once and as a whole, so that it contains nothing older.
    fn is_written_once(&self) -> bool {
        false
    }
}

impl<L: Layout + ?Sized> Layout for &L {
    fn whole(&self) -> Box<dyn Source + '_> {
        (**self).whole()
    }

    fn extra_file(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        (**self).extra_file(name, limit)
    }

    fn blob_digests(&self) -> Result<Vec<Digest>> {
        (**self).blob_digests()
    }

    fn open_blob(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>> {
        (**self).open_blob(digest, offset)
    }

    fn part_size(&self, blob: &Digest, number: u32) -> Option<u64> {
        (**self).part_size(blob, number)
    }

    fn open_part(&self, blob: &Digest, number: u32, offset: u64) -> Result<Reader<'_>> {
        (**self).open_part(blob, number, offset)
    }

    fn stream_stats(&self) -> Option<&StreamStats> {
        (**self).stream_stats()
    }

    fn is_written_once(&self) -> bool {
        (**self).is_written_once()
    }
}

impl<L: Layout + ?Sized> Layout for Arc<L> {
    fn whole(&self) -> Box<dyn Source + '_> {
        (**self).whole()
    }

    fn extra_file(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        (**self).extra_file(name, limit)
    }

    fn blob_digests(&self) -> Result<Vec<Digest>> {
        (**self).blob_digests()
    }

    fn open_blob(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>> {
        (**self).open_blob(digest, offset)
    }

    fn part_size(&self, blob: &Digest, number: u32) -> Option<u64> {
        (**self).part_size(blob, number)
    }

    fn open_part(&self, blob: &Digest, number: u32, offset: u64) -> Result<Reader<'_>> {
        (**self).open_part(blob, number, offset)
    }

    fn stream_stats(&self) -> Option<&StreamStats> {
        (**self).stream_stats()
    }

    fn is_written_once(&self) -> bool {
        (**self).is_written_once()
    }
}

/// What came through a pipe.
#[derive(Debug, Default)]
pub struct StreamStats {
    /// How many blobs were new.
    pub written: u64,
    /// How many bytes were read.
    pub bytes: u64,
    /// Blobs that were left out because their content has another digest, by the digest of their name.
    /// The right content may have come as well.
    pub damaged: Vec<(Digest, Error)>,
    /// Blobs that were not verified.
    pub unverified: Vec<Digest>,
    /// The size of each blob.
    pub(crate) blobs: HashMap<Digest, u64>,
}

impl StreamStats {
    /// Returns the digest of every blob, in no order.
    pub fn blobs(&self) -> impl Iterator<Item = &Digest> {
        self.blobs.keys()
    }
}
