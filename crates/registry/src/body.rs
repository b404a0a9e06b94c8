//! Bodies of responses.

use std::io::{self, Read as _};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use longshore_spec::{Descriptor, RepositoryName};
use longshore_store::{Place, Reader};

/// Content is read and sent in pieces of so many bytes.
pub(crate) const PIECE: usize = 256 << 10;

/// The body of a response: nothing, bytes, or a part of a blob that is read when it is sent.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    Bytes(Bytes),
    Blob(Box<Part>),
}

/// A part of a blob.
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

    /// Returns the body if it is in memory already, else itself.
    pub fn try_into_bytes(self) -> Result<Bytes, Self> {
        match self.0 {
            Kind::Bytes(bytes) => Ok(bytes),
            Kind::Blob(_) => Err(self),
        }
    }

    /// Gives the body to `send`, piece by piece, on this thread. Fails if `send` does, and if there
    /// is less content than there should be; whoever sends must not let that look like an end.
    pub fn send(self, mut send: impl FnMut(Bytes) -> io::Result<()>) -> io::Result<()> {
        match self.0 {
            Kind::Bytes(bytes) if bytes.is_empty() => Ok(()),
            Kind::Bytes(bytes) => send(bytes),
            Kind::Blob(part) => {
                let repository = part.place.repository(&part.repository)?;
                let mut content = repository.open(&part.blob, part.start)?;
                let mut left = part.length;
                while left > 0 {
                    let piece = read_piece(&mut content, left)?;
                    left -= piece.len() as u64;
                    send(piece)?;
                }
                Ok(())
            }
        }
    }

    /// Returns all of the body.
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

/// Reads the next piece of content of which `left` bytes are still to come.
fn read_piece(content: &mut Reader<'_>, left: u64) -> io::Result<Bytes> {
    let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
    let mut piece = vec![0; wanted];
    content.read_exact(&mut piece)?;
    Ok(piece.into())
}
