//! Answers: a status, headers, and a body that its reader pulls.

use std::fmt;
use std::io::{self, Read as _};
use std::time::Instant;

use bytes::{Buf as _, Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, StatusCode};
use longshore_store::{ConnectionFailure, Error, Flaw, Refusal, Result, Subject};
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

use super::failure::failure;
use super::meter::{Meter, Speed};
use super::pace;
use super::refusal;
use super::transport::Transport;
use super::{AttemptError, Reach, Retry, public};
use crate::text::one_line;
use crate::url::Url;

/// The size of the pieces of a body: waking the runtime costs more than copying.
const PIECE: usize = 256 << 10;

/// How much is read of a body that explains a refusal, or may be anything.
const BEGINNING: u64 = 64 << 10;

/// An answer whose body has not been read.
pub(crate) struct Answer<'a> {
    transport: &'a Transport,
    response: reqwest::Response,
    /// The address that answered, after all redirects.
    url: Url,
    /// Measures how fast the body comes.
    meter: Meter,
    /// The part of the last chunk that was not handed out.
    rest: Bytes,
    /// The error behind the bytes that were handed out. The connection reports it only once.
    failed: Option<io::Error>,
    /// Whether nothing follows `rest`.
    over: bool,
    /// Keeps the upload open if the answer came before its end. Closing the upload would close the
    /// connection before the answer is read.
    _upload: Option<Sender<Bytes>>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(
        transport: &'a Transport,
        response: reqwest::Response,
        url: Url,
        upload: Option<Sender<Bytes>>,
    ) -> Self {
        let (rest, meter) = (Bytes::new(), transport.meter());
        Self { transport, response, url, meter, rest, failed: None, over: false, _upload: upload }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns the first value of a header, if it is text.
    pub(crate) fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.headers().get(name.into())?.to_str().ok().map(str::trim)
    }

    /// Returns the address that answered, after all redirects.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the host that answered.
    pub(crate) fn host(&self) -> String {
        self.url.host()
    }

    /// Returns the hosts to which this host may send the client with a secret: a public host may name
    /// only public hosts. Behind a proxy, nobody knows which kind of host this is.
    pub(crate) fn may_name(&self) -> Reach {
        match self.response.remote_addr() {
            Some(address) if public::is_public(address.ip()) => Reach::Public,
            _ => Reach::Anywhere,
        }
    }

    /// Tells whether the answer announced its length, so that a body that was cut off can be told from a
    /// complete one.
    pub(crate) fn has_known_end(&self) -> bool {
        self.headers().contains_key(CONTENT_LENGTH)
            || self.headers().contains_key(TRANSFER_ENCODING)
    }

    /// Reads the whole body into memory, so that a body that is cut off is noticed while the request can
    /// still be repeated.
    pub(super) fn complete(&mut self, what: impl ToString, limit: u64) -> Result<(), AttemptError> {
        let all = self.all(what, limit).map_err(|error| match error {
            Error::Connection { why: ConnectionFailure::Slow, .. } => AttemptError::lasting(error),
            Error::Connection { why: ConnectionFailure::Silent(_), .. } => {
                AttemptError { error, retry: Retry::Once }
            }
            Error::Connection { .. } => AttemptError::passing(error),
            error => AttemptError::lasting(error),
        })?;
        (self.rest, self.over) = (all, true);
        Ok(())
    }

    /// Returns the whole body, of at most `limit` bytes.
    pub(crate) fn into_bytes(mut self, what: impl ToString, limit: u64) -> Result<Bytes> {
        if self.over { Ok(self.rest) } else { self.all(what, limit) }
    }

    fn all(&mut self, what: impl ToString, limit: u64) -> Result<Bytes> {
        let what = what.to_string();
        let over = || Error::Limit { what: what.clone(), limit: format!("{limit} bytes") };
        self.meter = self.transport.meter_of_documents();
        let announced = self.response.content_length().unwrap_or(0);
        if announced > limit {
            return Err(over());
        }
        // An announced length is no reason to allocate memory before the bytes come.
        let room = usize::try_from(announced).unwrap_or(PIECE).min(PIECE);
        let mut all = BytesMut::with_capacity(room);
        let mut buffer = vec![0; PIECE];
        loop {
            let count = self.read(&mut buffer).map_err(Error::io("read", &what))?;
            if count == 0 {
                return self.decoded(all.freeze(), &what, limit);
            }
            if all.len() as u64 + count as u64 > limit {
                return Err(over());
            }
            all.extend_from_slice(&buffer[..count]);
        }
    }

    /// Returns the encoding that the answer names, although none was asked for.
    pub(crate) fn encoding(&self) -> Option<String> {
        let named = self.header(CONTENT_ENCODING)?.to_ascii_lowercase();
        (!named.is_empty() && named != "identity").then(|| one_line(&named))
    }

    /// Returns a document without its encoding. All documents are JSON or HTML, so their first byte shows
    /// whether they are encoded, whatever the header says.
    fn decoded(&self, raw: Bytes, what: &str, limit: u64) -> Result<Bytes> {
        let Some(encoding) = self.encoding() else { return Ok(raw) };
        if raw.trim_ascii_start().first().is_none_or(|first| b"{[<".contains(first)) {
            return Ok(raw);
        }
        let mut document = Vec::new();
        if is_gzip(&encoding)
            && MultiGzDecoder::new(&raw[..]).take(limit + 1).read_to_end(&mut document).is_ok()
        {
            if document.len() as u64 > limit {
                let limit = format!("{limit} bytes");
                return Err(Error::Limit { what: what.to_owned(), limit });
            }
            return Ok(document.into());
        }
        Err(unexpected_encoding(what, &encoding))
    }

    /// Reads the beginning of the body, as far as it comes soon.
    pub(crate) fn beginning(&mut self) -> Vec<u8> {
        self.meter = self.transport.meter_of_explanations();
        let mut all = Vec::new();
        let mut buffer = vec![0; PIECE];
        while (all.len() as u64) < BEGINNING {
            match self.read(&mut buffer) {
                Ok(count) if count > 0 => all.extend_from_slice(&buffer[..count]),
                _ => break,
            }
        }
        all
    }

    /// Returns the refusal that the answer is.
    pub(crate) fn into_refusal(mut self) -> Refusal {
        let body = self.beginning();
        refusal::refusal(self.status(), &body)
    }

    /// Returns the error of an answer that refuses to `action` `what`.
    pub(crate) fn into_error(mut self, action: &'static str, what: &Subject) -> Error {
        let body = self.beginning();
        let host = self.host();
        if !self.url().is_encrypted() && refusal::wants_tls(self.status(), &body) {
            return Error::unreachable(host, ConnectionFailure::SpeaksTls);
        }
        refusal::refused(refusal::refusal(self.status(), &body), &host, action, what)
    }
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({} of {})", self.status(), self.host())
    }
}

/// Tells whether an encoding is one that can be decoded here.
pub(crate) fn is_gzip(encoding: &str) -> bool {
    matches!(encoding, "gzip" | "x-gzip")
}

/// Returns the error of an answer in an encoding that nobody asked for.
pub(crate) fn unexpected_encoding(what: impl ToString, encoding: &str) -> Error {
    let reason = format!("it comes encoded as `{encoding}`, which was not asked for");
    Error::malformed(what, Flaw::Answer(reason))
}

/// Waits for at least one byte, unless the body is over.
impl io::Read for Answer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(PIECE);
        let Self { transport, response, meter, rest, failed, over, .. } = self;
        let mut filled = take(rest, &mut buffer[..wanted]);
        if filled > 0 && failed.is_some() || *over {
            return Ok(filled);
        }
        if let Some(error) = failed.take() {
            return Err(error);
        }
        let error = transport.runtime().block_on(async {
            while filled < wanted {
                let begun = Instant::now();
                let come = match timeout(meter.patience(), response.chunk()).await {
                    Ok(Ok(Some(chunk))) => chunk,
                    Ok(Ok(None)) => break,
                    Ok(Err(error)) => return Some(failure(error).into()),
                    Err(_) => Bytes::new(),
                };
                let speed = meter.note(begun.elapsed(), come.len() as u64);
                // Whoever is not read from for a while sends no more: TCP tells it.
                pace::keep(transport.receiving(), come.len() as u64).await;
                *rest = come;
                filled += take(rest, &mut buffer[filled..wanted]);
                match speed {
                    Speed::Fair => {}
                    Speed::Slow => return Some(ConnectionFailure::Slow.into()),
                    Speed::Silent => {
                        return Some(ConnectionFailure::Silent(transport.idle()).into());
                    }
                }
            }
            None
        });
        match error {
            Some(error) if filled == 0 => Err(error),
            error => {
                *failed = error;
                Ok(filled)
            }
        }
    }
}

/// Tells whether a body is an HTML page, as web servers send it that are not registries.
pub(crate) fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// Returns why the connection failed, if that is what the error is about.
pub(crate) fn failure_of(error: &io::Error) -> Option<&ConnectionFailure> {
    let inner = error.get_ref()?;
    inner.downcast_ref().or_else(|| match inner.downcast_ref()? {
        Error::Connection { why, .. } => Some(why),
        _ => None,
    })
}

fn take(rest: &mut Bytes, buffer: &mut [u8]) -> usize {
    let count = rest.len().min(buffer.len());
    rest.copy_to_slice(&mut buffer[..count]);
    count
}
