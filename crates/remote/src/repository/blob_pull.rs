//! Pulling blobs.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{Method, StatusCode};
use longshore_spec::{Descriptor, Digest};
use longshore_store::{ConnectionFailure, Error, Flaw, Reader, Result};

use super::RemoteRepository;
use crate::ForeignUrls;
use crate::http::{Answer, Reach, Request, failure_of, is_gzip, unexpected_encoding};
use crate::url::Url;

/// How often in a row a blob is requested again without much progress.
const MOST_STALLS: u32 = 5;

/// The same after a silence.
const MOST_SILENCES: u32 = 1;

/// So many bytes are progress. With a smaller bound, a host that sends a few bytes and hangs up would be
/// asked forever.
const PROGRESS: u64 = 16 << 10;

/// How often the bytes of a blob may be sent again: a server without ranges starts from the first byte
/// after each cut.
const MOST_IN_VAIN: u64 = 16;

/// How many `urls` of a descriptor are tried: there may be any number.
const MOST_FOREIGN: usize = 8;

/// How many bytes are skipped at once.
const SKIPPED_AT_ONCE: usize = 64 << 10;

impl RemoteRepository {
    /// Opens a blob. The `urls` of its descriptor are tried if the registry does not have it (row B-06).
    /// Their failures do not hide that error.
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
            let opened = self
                .foreign_url(text)
                .and_then(|url| self.open_at(url, Reach::Foreign, blob, offset));
            match opened {
                Ok(reader) => return Ok(reader),
                Err(error) => {
                    tracing::warn!("{} is not in {self}, nor elsewhere: {error}", blob.digest);
                }
            }
        }
        Err(lacking)
    }

    /// Returns one of the `urls` of a descriptor, if it may be followed.
    fn foreign_url(&self, text: &str) -> Result<Url> {
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

/// A blob that continues where a connection was cut (row E-28). Its content is not verified.
struct BlobReader<'a> {
    remote: &'a RemoteRepository,
    url: Url,
    reach: Reach,
    blob: Descriptor,
    /// The position in the blob.
    position: u64,
    content: Option<Content<'a>>,
    /// How often in a row the connection was cut, and the position of the first time.
    stalls: u32,
    stalled_at: u64,
    /// How many bytes were sent again.
    in_vain: u64,
}

impl BlobReader<'_> {
    /// Requests the content from the position on.
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
            // The answer is another range than the requested one, or none: request the whole blob.
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
            Some(encoding) => return Err(unexpected_encoding(digest, &encoding)),
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

    /// Returns the encoding of an answer, although none was asked for. Object stores name an encoding for
    /// content that is itself compressed; such an answer has the length of the content, or a type that
    /// says so.
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

/// The body of an answer.
enum Content<'a> {
    Plain(Box<Answer<'a>>),
    /// A body that is encoded as gzip, of the blob with this digest.
    Gzip(Box<MultiGzDecoder<Answer<'a>>>, Digest),
}

impl Content<'_> {
    fn has_known_end(&self) -> bool {
        match self {
            Self::Plain(answer) => answer.has_known_end(),
            // gzip marks its own end.
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
                    return unexpected_encoding(digest, "gzip").into();
                }
                error
            }),
        }
    }
}

impl BlobReader<'_> {
    /// Drops a connection that failed. Returns the error if that has happened too often.
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
                // If the answer announced its length, its end is that of the content. Whether the content
                // is too short, the caller decides.
                Ok(0) if self.position >= self.blob.size || content.has_known_end() => {
                    return Ok(0);
                }
                Ok(0) => self.stalled(io::ErrorKind::UnexpectedEof.into())?,
                Ok(count) => {
                    self.position += count as u64;
                    return Ok(count);
                }
                // The whole blob has come, whatever length the answer announced.
                Err(_) if self.position >= self.blob.size => return Ok(0),
                Err(error) if is_lasting(&error) => return Err(error),
                Err(error) => self.stalled(error)?,
            }
        }
    }
}

/// Tells whether another request would get the same error.
fn is_lasting(error: &io::Error) -> bool {
    let carried = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(carried, Some(Error::Malformed { .. }))
}

/// Returns the first byte of the range that the answer names.
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
