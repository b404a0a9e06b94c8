//! Bodies of responses.

use std::io::{self, Read as _};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use longshore_spec::{Descriptor, RepositoryName};
use longshore_store::{Place, Reader};

/// The size of the pieces in which content is read and sent.
pub(crate) const PIECE: usize = 256 << 10;

/// The body of a response: nothing, bytes, or a range of a blob that is read while it is sent.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    Bytes(Bytes),
    Blob(Box<Part>),
}

/// A range of a blob.
#[derive(Debug)]
pub(crate) struct Part {
    pub place: Arc<dyn Place>,
    pub repository: RepositoryName,
    pub blob: Descriptor,
    pub start: u64,
    pub length: u64,
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self(Kind::Bytes(Bytes::new()))
    }

    pub(crate) fn blob(part: Part) -> Self {
        Self(Kind::Blob(Box::new(part)))
    }

    /// Returns how many bytes will be sent.
    pub fn length(&self) -> u64 {
        match &self.0 {
            Kind::Bytes(bytes) => bytes.len() as u64,
            Kind::Blob(part) => part.length,
        }
    }

    /// Returns the body if it is in memory, else the range of a blob that it is.
    pub(crate) fn try_into_bytes(self) -> Result<Bytes, Box<Part>> {
        match self.0 {
            Kind::Bytes(bytes) => Ok(bytes),
            Kind::Blob(part) => Err(part),
        }
    }

    /// Hands the body to `send`, piece by piece, on this thread. Fails if `send` does, or if content is
    /// missing; the sender must not let that look like the end.
    pub fn send(self, mut send: impl FnMut(Bytes) -> io::Result<()>) -> io::Result<()> {
        match self.0 {
            Kind::Bytes(bytes) if bytes.is_empty() => Ok(()),
            Kind::Bytes(bytes) => send(bytes),
            Kind::Blob(part) => part.pieces(0, |_, read| {
                send(read(PIECE)?)?;
                Ok(true)
            }),
        }
    }

    /// Returns the whole body.
    pub fn into_bytes(self) -> io::Result<Bytes> {
        let mut all = BytesMut::new();
        self.send(|piece| {
            all.extend_from_slice(&piece);
            Ok(())
        })?;
        Ok(all.freeze())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Bytes(bytes))
    }
}

/// Reads so many bytes, or the rest if that is less.
pub(crate) type Read<'a> = &'a mut dyn FnMut(usize) -> io::Result<Bytes>;

impl Part {
    /// Opens the range after its first `done` bytes and calls `each`, on this thread, until all is read
    /// or `each` returns false. `each` gets the number of bytes that are left, and a function to read the
    /// next piece. Fails if `each` does, or if content is missing.
    pub(crate) fn pieces(
        &self,
        done: u64,
        mut each: impl FnMut(u64, Read<'_>) -> io::Result<bool>,
    ) -> io::Result<()> {
        let repository = self.place.repository(&self.repository)?;
        let mut content = repository.open(&self.blob, self.start + done)?;
        let mut left = self.length - done;
        while left > 0 {
            let mut count = 0;
            let goes_on = each(left, &mut |wanted| {
                let piece = read_piece(&mut content, left, wanted)?;
                count = piece.len() as u64;
                Ok(piece)
            })?;
            if !goes_on {
                return Ok(());
            }
            left -= count;
        }
        Ok(())
    }
}

/// Reads the next piece of content that has `left` more bytes.
fn read_piece(content: &mut Reader<'_>, left: u64, wanted: usize) -> io::Result<Bytes> {
    let wanted = usize::try_from(left).unwrap_or(wanted).min(wanted);
    let mut piece = vec![0; wanted];
    content.read_exact(&mut piece)?;
    Ok(piece.into())
}
