//! Blobs, read.

use std::io::{self, Read};

use http::header::{CONTENT_RANGE, RANGE};
use http::{Method, StatusCode};
use longshore_spec::Descriptor;
use longshore_store::{Error, Reader, Result};

use super::Remote;
use crate::http::{Answer, Call, Url};

/// How often in a row a blob is asked for again without one byte more having come.
const MOST_STALLS: u32 = 5;

/// How much is read at once to get past bytes that were not asked for.
const SKIPPED_AT_ONCE: usize = 64 << 10;

impl Remote {
    /// Opens a blob. What its descriptor says about other places is tried where the registry does
    /// not have it (row B-06).
    pub(super) fn open_blob(&self, blob: &Descriptor, offset: u64) -> Result<Reader<'_>> {
        if offset > 0 && offset >= blob.size {
            return Ok(Box::new(io::empty()));
        }
        let registry = self.registry.url(&format!("{}/blobs/{}", self.name, blob.digest));
        let elsewhere = blob.urls.iter().filter_map(|url| Url::parse(url).ok());
        let elsewhere = elsewhere.filter(|url| matches!(url.scheme(), "http" | "https"));
        let mut refusal = None;
        for url in std::iter::once(registry).chain(elsewhere) {
            let mut reader = BlobReader {
                remote: self,
                url,
                blob: blob.clone(),
                position: offset,
                answer: None,
                stalls: 0,
            };
            match reader.ask() {
                Ok(()) => return Ok(Box::new(reader)),
                Err(error) if error.is_not_found() || refusal.is_some() => {
                    refusal.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(refusal.unwrap_or_else(|| Error::not_found(&blob.digest, self)))
    }
}

/// A blob that goes on where a connection was cut (row E-28). What comes is not proven.
struct BlobReader<'a> {
    remote: &'a Remote,
    url: Url,
    blob: Descriptor,
    /// How many bytes of the blob have been handed out, or were not asked for.
    position: u64,
    answer: Option<Answer<'a>>,
    stalls: u32,
}

impl BlobReader<'_> {
    /// Asks for what follows the position.
    fn ask(&mut self) -> Result<()> {
        let digest = &self.blob.digest;
        let call = Call::new(Method::GET, self.url.clone(), "read", digest).bulk();
        let ranged = match self.position {
            0 => call,
            position => call.header(RANGE, &format!("bytes={position}-")),
        };
        let answer = self.remote.read(&ranged)?;
        let (mut answer, start) = match answer.status() {
            StatusCode::PARTIAL_CONTENT if first_byte(&answer) == Some(self.position) => {
                (answer, self.position)
            }
            StatusCode::OK => (answer, 0),
            // Another part than the one that was asked for, or none: from the first byte, then.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE
                if self.position > 0 =>
            {
                let whole = Call::new(Method::GET, self.url.clone(), "read", digest).bulk();
                let answer = self.remote.read(&whole)?;
                if answer.status() != StatusCode::OK {
                    return Err(self.remote.refused(&whole, answer));
                }
                (answer, 0)
            }
            _ => return Err(self.remote.refused(&ranged, answer)),
        };
        skip(&mut answer, self.position - start).map_err(Error::io("read", digest))?;
        self.answer = Some(answer);
        Ok(())
    }
}

impl BlobReader<'_> {
    /// Lets go of a connection that failed. Fails too if that has happened too often.
    fn stalled(&mut self, error: io::Error) -> io::Result<()> {
        self.answer = None;
        if self.stalls >= MOST_STALLS {
            return Err(error);
        }
        tracing::debug!(digest = %self.blob.digest, position = self.position, %error, "cut off");
        self.remote.registry.http().wait(self.stalls);
        self.stalls += 1;
        Ok(())
    }
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let Some(answer) = &mut self.answer else {
                match self.ask() {
                    Ok(()) => continue,
                    Err(error @ Error::Connection { .. }) => self.stalled(error.into())?,
                    Err(error) => return Err(error.into()),
                }
                continue;
            };
            match answer.read(buffer) {
                // Where the answer said how long it is, its end is the content's: shorter content is
                // for others to judge.
                Ok(0) if self.position >= self.blob.size || answer.has_known_end() => return Ok(0),
                Ok(0) => self.stalled(io::ErrorKind::UnexpectedEof.into())?,
                Ok(count) => {
                    self.position += count as u64;
                    self.stalls = 0;
                    return Ok(count);
                }
                Err(error) => self.stalled(error)?,
            }
        }
    }
}

/// Returns where the part begins that came, if the answer says so.
fn first_byte(answer: &Answer<'_>) -> Option<u64> {
    let range = answer.header(CONTENT_RANGE)?.strip_prefix("bytes ")?;
    range.trim_start().split_once('-')?.0.parse().ok()
}

/// Reads past the first `count` bytes.
fn skip(answer: &mut Answer<'_>, count: u64) -> io::Result<()> {
    let mut buffer = vec![0; SKIPPED_AT_ONCE];
    let mut left = count;
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        match answer.read(&mut buffer[..wanted])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => left -= count as u64,
        }
    }
    Ok(())
}
