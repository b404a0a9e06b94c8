//! Uploads in chunks (rows E-46 to E-55).

use http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use http::{Method, StatusCode};
use longshore_store::{Blob, Error, Flaw, Result};

use super::{
    OCTETS, PushResult, RemoteRepository, Session, UploadMethod, prove_empty, refuses_method,
};
use crate::http::{Answer, AttemptError, BlobRange, Body, Request, Retry};
use crate::url::with_query;

/// Chunks that are too long for a registry are halved, down to this size in bytes.
const SHORTEST_CHUNK: u64 = 64 << 10;

/// How often in a row a chunk is sent again without much progress.
const MOST_STALLS: u32 = 5;

/// So many bytes are progress: with a smaller bound, a registry that takes one byte of each chunk would
/// get the chunk again and again.
const PROGRESS: u64 = 64 << 10;

/// An upload in chunks.
pub(super) struct Chunked<'a> {
    pub(super) remote: &'a RemoteRepository,
    pub(super) blob: &'a dyn Blob,
    pub(super) session: Session,
    /// Whether all of the blob is one chunk, without a range.
    pub(super) is_whole: bool,
    pub(super) stalls: u32,
}

impl Chunked<'_> {
    pub(super) fn run(&mut self) -> Result<PushResult, AttemptError> {
        let size = self.blob.descriptor().size;
        if size == 0 {
            prove_empty(self.blob)?; // no chunk is sent at all (row E-58)
        }
        let chunk = self.remote.registry.chunk_size().max(self.session.least_chunk);
        let mut length = if self.is_whole { size } else { chunk };
        let mut chunk = BlobRange::whole(self.blob);
        let mut received = 0;
        while received < size {
            chunk.move_to(received, length)?;
            received = match self.send(&chunk)? {
                ChunkResult::Received(received) => received,
                ChunkResult::TooLong(_) if self.may_be_halved(&chunk) => {
                    length = (chunk.end() - chunk.start()).div_ceil(2).max(SHORTEST_CHUNK);
                    self.remote.registry.shorten_chunks(length);
                    received
                }
                ChunkResult::TooLong(error) => return Err((*error).into()),
                ChunkResult::Refused(error) => {
                    return Ok(PushResult::Refused(error, UploadMethod::Chunks));
                }
            };
        }
        self.close().map(|()| PushResult::Done)
    }

    /// Tells whether a shorter chunk may be accepted: proxies limit the size of a request, some to 1 MiB
    /// by default.
    fn may_be_halved(&self, chunk: &BlobRange<'_>) -> bool {
        let length = chunk.end() - chunk.start();
        length > SHORTEST_CHUNK && length.div_ceil(2) >= self.session.least_chunk
    }

    /// Sends a chunk.
    fn send(&mut self, chunk: &BlobRange<'_>) -> Result<ChunkResult, AttemptError> {
        let digest = chunk.digest();
        let (position, end) = (chunk.start(), chunk.end());
        let mut request = Request::new(Method::PATCH, self.session.url.clone(), "push", digest)
            .header(CONTENT_TYPE, OCTETS)
            .body(Body::Streamed(chunk))
            .http1();
        if !(self.is_whole && position == 0) {
            request = request.header(CONTENT_RANGE, &format!("{position}-{}", end - 1));
        }
        let received = match self.remote.push_attempt(&request) {
            Ok(answer) if answer.status().is_success() => {
                self.moved_to(&answer)?;
                match received(&answer) {
                    Received::Bytes(count) => count,
                    // Without a range, the registry says only that it took the chunk.
                    Received::Unknown => end,
                    Received::NoneOrOne if end == 1 => end,
                    Received::NoneOrOne => return Err(AttemptError::passing(self.out_of_step(0))),
                }
            }
            Ok(answer)
                if self.is_whole
                    && (answer.status() == StatusCode::PAYLOAD_TOO_LARGE
                        || refuses_method(answer.status().as_u16())) =>
            {
                return Ok(ChunkResult::Refused(self.remote.push_error(&request, answer).into()));
            }
            Ok(answer) if answer.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                return Ok(ChunkResult::TooLong(self.remote.push_error(&request, answer).into()));
            }
            Ok(answer) if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE => self.status()?,
            Ok(answer) => return Err(self.remote.push_error(&request, answer).into()),
            Err(AttemptError { error, retry: Retry::Never }) => return Err(error.into()),
            // After a silence, the registry is asked only once.
            Err(trouble) if trouble.retry == Retry::Once && self.stalls > 0 => return Err(trouble),
            Err(AttemptError { error, .. }) if self.stalls < MOST_STALLS => {
                tracing::debug!(%digest, %error, "asking how much has come");
                self.remote.registry.http().wait(self.stalls);
                self.status()?
            }
            Err(trouble) => return Err(trouble),
        };
        // Bytes that were not sent cannot have been received.
        if received > end {
            return Err(self.out_of_step(received).into());
        }
        if received == end || received >= position.saturating_add(PROGRESS) {
            self.stalls = 0;
        } else if self.stalls < MOST_STALLS {
            self.stalls += 1;
        } else {
            return Err(self.out_of_step(received).into());
        }
        Ok(ChunkResult::Received(received))
    }

    /// Asks how many bytes the registry has received (row E-53).
    fn status(&mut self) -> Result<u64, AttemptError> {
        let digest = &self.blob.descriptor().digest;
        let request = Request::new(Method::GET, self.session.url.clone(), "push", digest);
        let answer = self.remote.push_attempt(&request)?;
        if !answer.status().is_success() {
            // The upload is gone. A new one may do better.
            return Err(AttemptError::passing(self.remote.push_error(&request, answer)));
        }
        self.moved_to(&answer)?;
        match received(&answer) {
            Received::Bytes(count) => Ok(count),
            // A new upload is better than a guess.
            Received::Unknown | Received::NoneOrOne => {
                Err(AttemptError::passing(self.out_of_step(0)))
            }
        }
    }

    /// Records the new location of the upload (row E-50).
    fn moved_to(&mut self, answer: &Answer<'_>) -> Result<()> {
        if let Some(location) = answer.header(LOCATION) {
            self.session.url = answer.url().follow(location)?;
        }
        Ok(())
    }

    fn close(&self) -> Result<(), AttemptError> {
        let digest = &self.blob.descriptor().digest;
        let url = with_query(self.session.url.clone(), "digest", &digest.to_string());
        let request = Request::new(Method::PUT, url, "push", digest).header(CONTENT_TYPE, OCTETS);
        let answer = self.remote.push_attempt(&request)?;
        match answer.status().as_u16() {
            201 | 204 => Ok(()),
            200 | 202 => self.remote.check_stored(digest, answer.status()),
            416 => Err(AttemptError::passing(self.remote.push_error(&request, answer))),
            _ => Err(self.remote.push_error(&request, answer).into()),
        }
    }

    fn out_of_step(&self, received: u64) -> Error {
        let what = format!("what {} says of an upload", self.remote);
        let reason = format!("it has {received} bytes, whatever is sent");
        Error::malformed(what, Flaw::Answer(reason))
    }
}

/// The result of sending a chunk.
enum ChunkResult {
    /// The registry has so many bytes of the blob now.
    Received(u64),
    /// The registry refuses chunks of this size.
    TooLong(Box<Error>),
    /// The registry refuses chunks.
    Refused(Box<Error>),
}

/// How many bytes the registry has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Received {
    Bytes(u64),
    /// `0-0`: one byte, or none (row E-54).
    NoneOrOne,
    Unknown,
}

/// Reads how many bytes the registry has received from `Range`: `0-` and the last byte.
fn received(answer: &Answer<'_>) -> Received {
    answer.header(RANGE).map_or(Received::Unknown, parse_received)
}

fn parse_received(range: &str) -> Received {
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let last = range.strip_prefix("0-").and_then(|last| last.trim().parse::<u64>().ok());
    match last {
        Some(0) => Received::NoneOrOne,
        last => {
            last.and_then(|last| last.checked_add(1)).map_or(Received::Unknown, Received::Bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Received, parse_received};

    #[test]
    fn e51_a_range_says_how_much_has_come() {
        for (range, expected) in [
            ("0-99", Received::Bytes(100)),
            ("bytes=0-99", Received::Bytes(100)),
            ("0-0", Received::NoneOrOne),
            ("5-99", Received::Unknown),
            ("0-18446744073709551615", Received::Unknown),
            ("0--1", Received::Unknown),
            ("", Received::Unknown),
        ] {
            assert_eq!(parse_received(range), expected, "{range}");
        }
    }
}
