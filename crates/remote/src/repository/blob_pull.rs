//! Blobs, read.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{Method, StatusCode};
use longshore_spec::{Descriptor, Digest};
use longshore_store::{ConnectionFailure, Error, Flaw, Reader, Result};

use super::RemoteRepository;
use crate::ForeignUrls;
use crate::http::{Answer, Reach, Request, failure_of, is_gzip, unasked};
use crate::url::Url;

/// How often in a row a blob is asked for again without much more having come.
const MOST_STALLS: u32 = 5;

/// The same, where nothing came for as long as anybody may be silent.
const MOST_SILENCES: u32 = 1;

/// So many more bytes are progress. With less, whoever sends some and hangs up would be asked for ever.
const PROGRESS: u64 = 16 << 10;

/// How often the bytes of a blob may come in vain: a server without ranges sends all of it again behind
/// each cut.
const MOST_IN_VAIN: u64 = 16;

/// How many of the addresses in a descriptor are tried: it may hold any number.
const MOST_FOREIGN: usize = 8;

/// How much is read at once to get past bytes that were not asked for.
const SKIPPED_AT_ONCE: usize = 64 << 10;

impl RemoteRepository {
    /// Opens a blob. What its descriptor says about other places is tried where the registry says
    /// that it does not have it (row B-06), and no failure there hides that.
    pub(super) fn open_blob(&self, blob: &Descriptor, offset: u64) -> Result<Reader<'_>> {
        if offset > 0 && offset >= blob.size {
            return Ok(Box::new(io::empty()));
        }
        let registry = self.registry.url(&format!("{}/blobs/{}", self.name, blob.digest));
        let lacking = match self.open_at(registry, Reach::Anywhere, blob, offset) {
            Err(error) if error.is_not_found() => error,
            result => return result,
        };
        let urls = blob.more.iter().flat_map(|more| &more.urls);
        for text in urls.take(MOST_FOREIGN) {
            let opened =
                self.foreign(text).and_then(|url| self.open_at(url, Reach::Foreign, blob, offset));
            match opened {
                Ok(reader) => return Ok(reader),
                Err(error) => {
                    tracing::warn!("{} is not in {self}, nor elsewhere: {error}", blob.digest);
                }
            }
        }
        Err(lacking)
    }

    /// Returns an address that a descriptor names, if it may be gone to.
    fn foreign(&self, text: &str) -> Result<Url> {
        let malformed =
            |reason: String| Error::malformed("an address in its descriptor", Flaw::Answer(reason));
        if self.registry.http().foreign_urls() == ForeignUrls::Refused {
            return Err(malformed("such addresses are not to be gone to".to_owned()));
        }
        let url = Url::parse(text).map_err(malformed)?;
        if url.is_encrypted() {
            return Ok(url);
        }
        Err(malformed(format!("nothing is encrypted at {}", url.host())))
    }

    fn open_at(
        &self,
        url: Url,
        reach: Reach,
        blob: &Descriptor,
        offset: u64,
    ) -> Result<Reader<'_>> {
        let mut reader = BlobReader {
            remote: self,
            url,
            reach,
            blob: blob.clone(),
            position: offset,
            content: None,
            stalls: 0,
            stalled_at: offset,
            in_vain: 0,
        };
        reader.ask()?;
        Ok(Box::new(reader))
    }
}

/// A blob that goes on where a connection was cut (row E-28). What comes is not proven.
struct BlobReader<'a> {
    remote: &'a RemoteRepository,
    url: Url,
    reach: Reach,
    blob: Descriptor,
    /// How many bytes of the blob have been handed out, or were not asked for.
    position: u64,
    content: Option<Content<'a>>,
    /// How often in a row it was cut off, and where the first time was.
    stalls: u32,
    stalled_at: u64,
    /// How many bytes came that had been there before.
    in_vain: u64,
}

impl BlobReader<'_> {
    /// Asks for what follows the position.
    fn ask(&mut self) -> Result<()> {
        let digest = &self.blob.digest;
        let request = || {
            Request::new(Method::GET, self.url.clone(), "read", digest).http1().reach(self.reach)
        };
        let ranged = match self.position {
            0 => request(),
            position => request().header(RANGE, &format!("bytes={position}-")),
        };
        let answer = self.remote.read(&ranged)?;
        let rest = self.blob.size.saturating_sub(self.position);
        let (answer, start) = match answer.status() {
            StatusCode::PARTIAL_CONTENT
                if first_byte(&answer) == Some(self.position)
                    && self.encoding(&answer, rest).is_none() =>
            {
                (answer, self.position)
            }
            StatusCode::OK => (answer, 0),
            // Another part than the one that was asked for, or none: from the first byte, then.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE
                if self.position > 0 =>
            {
                let whole = request();
                let answer = self.remote.read(&whole)?;
                if answer.status() != StatusCode::OK {
                    return Err(self.remote.refused(&whole, answer));
                }
                (answer, 0)
            }
            _ => return Err(self.remote.refused(&ranged, answer)),
        };
        let mut content = match self.encoding(&answer, self.blob.size.saturating_sub(start)) {
            None => Content::Plain(Box::new(answer)),
            Some(encoding) if is_gzip(&encoding) => {
                Content::Gzip(Box::new(MultiGzDecoder::new(answer)), digest.clone())
            }
            Some(encoding) => return Err(unasked(digest, &encoding)),
        };
        self.in_vain += self.position - start;
        if self.in_vain > self.blob.size.saturating_mul(MOST_IN_VAIN) {
            let what = format!("{digest}, which comes from its first byte after each cut,");
            return Err(Error::Limit { what, limit: format!("{MOST_IN_VAIN} times its size") });
        }
        skip(&mut content, self.position - start).map_err(Error::io("read", digest))?;
        self.content = Some(content);
        Ok(())
    }

    /// Returns how what comes is encoded, although nobody asked for that. Object stores say of what is
    /// compressed itself that it is encoded: then it has the length that is wanted, or a type that says so.
    fn encoding(&self, answer: &Answer<'_>, length: u64) -> Option<String> {
        let encoding = answer.encoding()?;
        let media_type = self.blob.media_type.as_str();
        let is_content = match answer.header(CONTENT_LENGTH).map(str::parse::<u64>) {
            Some(Ok(sent)) => length == sent,
            _ => media_type.ends_with("gzip") || media_type.ends_with("zstd"),
        };
        (!is_content).then_some(encoding)
    }
}

/// What comes of a blob.
enum Content<'a> {
    Plain(Box<Answer<'a>>),
    /// It is encoded, and a part of what has this digest.
    Gzip(Box<MultiGzDecoder<Answer<'a>>>, Digest),
}

impl Content<'_> {
    fn has_known_end(&self) -> bool {
        match self {
            Self::Plain(answer) => answer.has_known_end(),
            // It has one of its own.
            Self::Gzip(..) => true,
        }
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(answer) => answer.read(buffer),
            Self::Gzip(decoder, digest) => decoder.read(buffer).map_err(|error| {
                use io::ErrorKind::{InvalidData, InvalidInput};
                if matches!(error.kind(), InvalidData | InvalidInput) {
                    return unasked(digest, "gzip").into();
                }
                error
            }),
        }
    }
}

impl BlobReader<'_> {
    /// Lets go of a connection that failed. Fails too if that has happened too often.
    fn stalled(&mut self, error: io::Error) -> io::Result<()> {
        self.content = None;
        if self.position >= self.stalled_at.saturating_add(PROGRESS) {
            self.stalls = 0;
        }
        if self.stalls == 0 {
            self.stalled_at = self.position;
        }
        let most = match failure_of(&error) {
            // A new connection would be as slow.
            Some(ConnectionFailure::Slow) => 0,
            Some(ConnectionFailure::Silent(_)) => MOST_SILENCES,
            _ => MOST_STALLS,
        };
        if self.stalls >= most {
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
            let Some(content) = &mut self.content else {
                match self.ask() {
                    Ok(()) => continue,
                    Err(error @ Error::Connection { .. }) => self.stalled(error.into())?,
                    Err(error) => return Err(error.into()),
                }
                continue;
            };
            match content.read(buffer) {
                // Where the answer said how long it is, its end is the content's: shorter content is
                // for others to judge.
                Ok(0) if self.position >= self.blob.size || content.has_known_end() => {
                    return Ok(0);
                }
                Ok(0) => self.stalled(io::ErrorKind::UnexpectedEof.into())?,
                Ok(count) => {
                    self.position += count as u64;
                    return Ok(count);
                }
                // All has come that was to come, whatever length the answer said.
                Err(_) if self.position >= self.blob.size => return Ok(0),
                Err(error) if is_lasting(&error) => return Err(error),
                Err(error) => self.stalled(error)?,
            }
        }
    }
}

/// Tells whether what comes would be the same another time.
fn is_lasting(error: &io::Error) -> bool {
    let carried = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(carried, Some(Error::Malformed { .. }))
}

/// Returns where the part begins that came, if the answer says so.
fn first_byte(answer: &Answer<'_>) -> Option<u64> {
    let range = answer.header(CONTENT_RANGE)?.strip_prefix("bytes ")?;
    range.trim_start().split_once('-')?.0.parse().ok()
}

/// Reads past the first `count` bytes.
fn skip(content: &mut Content<'_>, count: u64) -> io::Result<()> {
    let mut buffer = vec![0; SKIPPED_AT_ONCE];
    let mut left = count;
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        match content.read(&mut buffer[..wanted])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => left -= count as u64,
        }
    }
    Ok(())
}
