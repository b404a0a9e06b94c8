//! Parts of blobs, as requests carry them.

use std::cell::Cell;
use std::io::{self, Read as _};
use std::ops::ControlFlow;

use bytes::Bytes;
use longshore_spec::{Digest, Hasher};
use longshore_store::{Blob, Error, Result, Verifying};

/// How much is handed over at once: waking the runtime costs more than copying.
const PIECE: usize = 256 << 10;

/// What a request carries that is too long to be held.
pub(crate) trait StreamBody {
    /// Returns how many bytes it has.
    fn len(&self) -> u64;

    /// Reads it from its first byte, and hands it out in pieces until there are no more or `take`
    /// has enough.
    fn for_each_piece(&self, take: &mut dyn FnMut(Bytes) -> ControlFlow<()>) -> Result<()>;
}

impl StreamBody for Bytes {
    fn len(&self) -> u64 {
        self.as_ref().len() as u64
    }

    fn for_each_piece(&self, take: &mut dyn FnMut(Bytes) -> ControlFlow<()>) -> Result<()> {
        let mut rest = self.clone();
        while !rest.is_empty() {
            if take(rest.split_to(rest.as_ref().len().min(PIECE))).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// A part of a blob, all of it or less. It is read when it is sent, so that a request can be made
/// again without a byte being held for it.
pub(crate) struct BlobRange<'a> {
    blob: &'a dyn Blob,
    start: u64,
    length: u64,
    /// What has seen the bytes before the part, where that can be.
    before: Option<Hasher>,
    /// What was sent last, if it was read to the end of the part.
    content: Cell<Option<Verifying<'a>>>,
}

impl<'a> BlobRange<'a> {
    /// Returns the part that is the whole of a blob.
    pub(crate) fn whole(blob: &'a dyn Blob) -> Self {
        let (length, content) = (blob.descriptor().size, Cell::default());
        Self { blob, start: 0, length, before: None, content }
    }

    pub(crate) fn digest(&self) -> &Digest {
        &self.blob.descriptor().digest
    }

    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Returns where the part ends: the first byte behind it.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.length
    }

    /// Makes it the part of at most `most` bytes that begins at `start`. Nothing is read twice if
    /// that is where the part ended that was sent before.
    pub(crate) fn move_to(&mut self, start: u64, most: u64) -> Result<()> {
        let content = self.open_at(start)?;
        self.before = content.prefix();
        self.content.set(Some(content));
        self.start = start;
        self.length = most.min(self.blob.descriptor().size.saturating_sub(start));
        Ok(())
    }

    /// Opens the blob at a byte, by going on with what is open if that is there.
    fn open_at(&self, position: u64) -> Result<Verifying<'a>> {
        if let Some(content) = self.content.take().filter(|open| open.position() == position) {
            return Ok(content);
        }
        let before = self.before.clone().filter(|before| before.count() <= position);
        let mut content = self.blob.open(before)?;
        let skipped = position - content.position();
        io::copy(&mut (&mut content).take(skipped), &mut io::sink())
            .map_err(|error| Error::from_io("read", self.digest(), error))?;
        Ok(content)
    }
}

impl StreamBody for BlobRange<'_> {
    fn len(&self) -> u64 {
        self.length
    }

    fn for_each_piece(&self, take: &mut dyn FnMut(Bytes) -> ControlFlow<()>) -> Result<()> {
        let mut content = self.open_at(self.start)?;
        while content.position() < self.end() {
            let piece = read_piece(&mut content, self.end())
                .map_err(|error| Error::from_io("read", self.digest(), error))?;
            if take(piece).is_break() {
                return Ok(());
            }
        }
        self.content.set(Some(content));
        Ok(())
    }
}

/// Reads until a piece is full or the content has been read to `end`. A content that is over before
/// fails by itself.
fn read_piece(content: &mut Verifying<'_>, end: u64) -> io::Result<Bytes> {
    let left = usize::try_from(end - content.position()).unwrap_or(usize::MAX);
    let mut piece = vec![0; left.min(PIECE)];
    content.read_exact(&mut piece)?;
    Ok(piece.into())
}
