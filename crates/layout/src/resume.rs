//! Writing a blob after the prefix that an earlier run left.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use longshore_spec::{Descriptor, Hasher};
use longshore_store::{Blob, Error, Result, Verifying};

use crate::files::{self, Region};

/// A file, or a range of one, that receives the bytes of one blob.
pub(crate) trait Partial {
    fn file(&self) -> &File;

    /// Returns the position of the blob's first byte in the file.
    fn offset(&self) -> u64;

    /// Returns the path of the file, for errors.
    fn path(&self) -> &Path;

    /// Keeps the first `length` bytes of the blob. No later run may continue after more.
    fn keep(&mut self, length: u64) -> Result<()>;

    /// Records that the first `length` bytes of the blob are written, the last `count` of them just now.
    fn wrote(&mut self, length: u64, count: u64) -> Result<()> {
        let _ = (length, count);
        Ok(())
    }
}

/// Hashes the first `length` bytes of `partial`, so that the source can continue after them. Returns
/// `None` if there are none, if they are more than the whole blob, or if its digest cannot be computed.
pub(crate) fn hash_prefix(
    partial: &impl Partial,
    blob: &Descriptor,
    length: u64,
) -> Result<Option<Hasher>> {
    let Descriptor { digest, size, .. } = blob;
    let Some(hasher) = digest.hasher().filter(|_| (1..=*size).contains(&length)) else {
        return Ok(None);
    };
    let prefix = Region::new(partial.file(), partial.offset(), length);
    files::hash(prefix, length, hasher, Error::io("read the part of", digest)).map(Some)
}

/// Writes a blob from its source, after the bytes that `prefix` has seen. Returns how many bytes were
/// read from the source.
pub(crate) fn fill(
    partial: &mut impl Partial,
    blob: &dyn Blob,
    prefix: Option<Hasher>,
) -> Result<u64> {
    let is_resumed = prefix.is_some();
    match append_rest(partial, blob, prefix) {
        // The prefix may be damaged: start again from the first byte.
        Err(error) if error.is_corruption() && is_resumed => append_rest(partial, blob, None),
        result => result,
    }
}

fn append_rest(partial: &mut impl Partial, blob: &dyn Blob, prefix: Option<Hasher>) -> Result<u64> {
    let descriptor = blob.descriptor();
    let start = prefix.as_ref().map_or(0, Hasher::count);
    partial.keep(start)?;
    let reader = match prefix {
        // All bytes are there, and only the name is missing. A source need not know how to send no bytes.
        Some(whole) if start == descriptor.size => {
            Verifying::resume(Box::new(std::io::empty()), descriptor, whole)
        }
        prefix => blob.open(prefix)?,
    };
    append(partial, reader, descriptor, start)
}

/// Writes the bytes of `reader` from byte `start` of the blob on, and returns their number. If they prove
/// wrong, nothing of the blob is kept.
pub(crate) fn append(
    partial: &mut impl Partial,
    reader: Verifying<'_>,
    blob: &Descriptor,
    start: u64,
) -> Result<u64> {
    let mut done = start;
    let left = blob.size.saturating_sub(start);
    let written = files::each_piece(reader, left, Error::io("read", &blob.digest), |piece| {
        let at = partial.offset() + done;
        let wrote = partial.file().write_all_at(piece, at);
        wrote.map_err(|error| Error::io("write", partial.path().display())(error))?;
        done += piece.len() as u64;
        partial.wrote(done, piece.len() as u64)
    });
    if written.as_ref().is_err_and(Error::is_corruption) {
        partial.keep(0)?;
    }
    written.map(|()| done - start)
}
