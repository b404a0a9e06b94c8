//! Bodies of requests that are read while they are sent.

use std::cell::Cell;
use std::io::{self, Read as _};
use std::ops::ControlFlow;

use bytes::Bytes;
use longshore_spec::{Digest, Hasher};
use longshore_store::{Blob, Error, Result, Verifying};

/// The size of a piece: waking the runtime costs more than copying.
const PIECE: usize = 256 << 10;

/// A body that is too long to be held in memory.
pub(crate) trait StreamBody {
    /// Returns its length in bytes.
    fn len(&self) -> u64;

    /// Reads the body from its first byte, and hands out pieces until the body ends or `take` breaks.
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

/// A range of a blob, or all of it. It is read while it is sent, so a request can be repeated without
/// holding the bytes.
pub(crate) struct BlobRange<'a> {
    blob: &'a dyn Blob,
    start: u64,
    length: u64,
    /// The hasher that has seen the bytes before the range, if there is one.
    before: Option<Hasher>,
    /// The content after the last range that was sent, if that range was read to its end.
    content: Cell<Option<Verifying<'a>>>,
}

impl<'a> BlobRange<'a> {
    /// Returns the range of the whole blob.
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

    /// Returns the position after the last byte of the range.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.length
    }

    /// Moves to the range of at most `most` bytes at `start`. Nothing is read twice if the last range
    /// ended there.
    pub(crate) fn move_to(&mut self, start: u64, most: u64) -> Result<()> {
        let content = self.open_at(start)?;
        self.before = content.prefix();
        self.content.set(Some(content));
        self.start = start;
        self.length = most.min(self.blob.descriptor().size.saturating_sub(start));
        Ok(())
    }

    /// Opens the blob at a position, or continues the open content if it is there.
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

/// Reads until a piece is full or the content is at `end`. Content that ends earlier reports an error by
/// itself.
fn read_piece(content: &mut Verifying<'_>, end: u64) -> io::Result<Bytes> {
    let left = usize::try_from(end - content.position()).unwrap_or(usize::MAX);
    let mut piece = vec![0; left.min(PIECE)];
    content.read_exact(&mut piece)?;
    Ok(piece.into())
}
