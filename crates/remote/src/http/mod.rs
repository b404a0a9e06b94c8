//! HTTP: the only module that knows how requests travel.
//!
//! The caller's thread makes a request and waits; a small runtime moves the bytes. This module decides
//! about redirects, waits and retries. What is requested, and with which credential, is decided
//! elsewhere.

mod answer;
mod client;
mod failure;
pub(crate) mod headers;
mod meter;
mod pace;
mod proxy;
mod public;
mod refusal;
mod stream_body;
mod throttle;
mod tls;
mod transport;
mod upload;

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use longshore_store::{Error, Flaw, Subject};

use crate::url::{Url, without_secrets};

pub(crate) use self::answer::{Answer, failure_of, is_gzip, is_page, unexpected_encoding};
pub(crate) use self::client::Http;
pub(crate) use self::headers::{next_page, outside_quotes, unquote};
pub(crate) use self::stream_body::{BlobRange, StreamBody};

/// How many redirects in a row are followed (row E-05).
const MOST_REDIRECTS: usize = 10;

/// How often and after which wait a host is tried again that accepts no connection. Whoever mistyped a
/// name should not have to wait long.
const BRIEF_RETRIES: u32 = 2;
const BRIEF_WAIT: Duration = Duration::from_millis(300);

/// One request, with the action and subject that its errors name.
#[derive(Clone)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body<'a>,
    pub(crate) protocol: Protocol,
    pub(crate) reach: Reach,
    /// The limit of the answer in bytes, if the answer is to be read as a whole.
    pub(crate) whole: Option<u64>,
    /// The verb in errors.
    pub(crate) action: &'static str,
    /// The subject in errors.
    pub(crate) what: Subject,
}

/// The body of a request.
#[derive(Clone)]
pub(crate) enum Body<'a> {
    Nothing,
    Bytes(Bytes),
    /// A body that goes only to the server that the request is for, and follows no redirect to another
    /// one.
    Secret(Bytes),
    Streamed(&'a dyn StreamBody),
}

/// The protocols that a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/2 or HTTP/1.1: best for many small answers.
    Negotiated,
    /// Only HTTP/1.1: it moves long bodies at almost half the cost.
    Http1,
}

/// The hosts that a request may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All: the user named the host, or a host that the user named did.
    Anywhere,
    /// Hosts on the public internet: another public host named this one.
    Public,
    /// Hosts that a descriptor may name. The request carries no credentials.
    Foreign,
}

/// An error of one attempt, and whether to try again.
#[derive(Debug)]
pub(crate) struct AttemptError {
    pub(crate) error: Error,
    pub(crate) retry: Retry,
}

/// Whether another attempt may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    Never,
    /// After a backoff.
    Perhaps,
    /// After a backoff, but only once: the failure itself took long.
    Once,
    /// After a short wait, but only a few times: nobody accepted the connection.
    Briefly,
    /// After the time that the host asked for.
    Rested,
}

impl<'a> Request<'a> {
    pub(crate) fn new(
        method: Method,
        url: Url,
        action: &'static str,
        what: impl Into<Subject>,
    ) -> Self {
        let what = what.into();
        let (body, protocol, reach) = (Body::Nothing, Protocol::Negotiated, Reach::Anywhere);
        let headers = HeaderMap::new();
        Self { method, url, headers, body, protocol, reach, whole: None, action, what }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        // A value that a header cannot hold is left out; the server says what it misses.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }

    pub(crate) fn body(mut self, body: Body<'a>) -> Self {
        self.body = body;
        self
    }

    /// Reads the answer as a whole, of at most `limit` bytes.
    pub(crate) fn whole(mut self, limit: u64) -> Self {
        self.whole = Some(limit);
        self
    }

    pub(crate) fn http1(mut self) -> Self {
        self.protocol = Protocol::Http1;
        self
    }

    pub(crate) fn reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }
}

impl Body<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Bytes(bytes) | Self::Secret(bytes) => bytes.len() as u64,
            Self::Streamed(content) => content.len(),
        }
    }
}

impl AttemptError {
    /// An error that another attempt would meet again.
    pub(crate) fn lasting(error: Error) -> Self {
        Self { error, retry: Retry::Never }
    }

    /// An error that another attempt may avoid.
    pub(crate) fn passing(error: Error) -> Self {
        Self { error, retry: Retry::Perhaps }
    }
}

impl From<Error> for AttemptError {
    fn from(error: Error) -> Self {
        Self::lasting(error)
    }
}

impl Http {
    /// Makes the request once, follows redirects, and returns the answer unless another attempt may help.
    ///
    /// `authorization` goes to the origin of the request and nowhere else (row E-05).
    pub(crate) fn attempt(
        &self,
        request: &Request<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer<'_>, AttemptError> {
        let mut answer = self.follow(request, authorization)?;
        let status = answer.status();
        let host = answer.host();
        for text in headers::warnings(answer.headers()) {
            self.warn(&host, &text);
        }
        if !is_passing(status) {
            self.throttle.answered(&host);
            if let Some(limit) = request.whole.filter(|_| status.is_success()) {
                answer.complete(&request.what, limit)?;
            }
            return Ok(answer);
        }
        let rest = headers::retry_after(answer.headers(), SystemTime::now());
        if rest.is_some() || matches!(status.as_u16(), 429 | 503) {
            self.throttle.slow_down(&host, rest.filter(|rest| *rest <= throttle::LONGEST_WAIT));
        }
        let retry = match rest {
            None => Retry::Perhaps,
            Some(rest) if rest > throttle::LONGEST_WAIT => {
                self.warn_once(&format!(
                    "{host} asks to be left alone for {} s, which is longer than is waited here",
                    rest.as_secs()
                ));
                Retry::Never
            }
            Some(rest) => {
                if rest >= throttle::TOLD_WAIT {
                    self.warn_once(&format!(
                        "{host} asks to be left alone for {} s",
                        rest.as_secs()
                    ));
                }
                Retry::Rested
            }
        };
        Err(AttemptError { error: answer.into_error(request.action, &request.what), retry })
    }

    /// Repeats `work` until it succeeds, fails for good, or has been tried often enough.
    pub(crate) fn persist<T>(
        &self,
        mut work: impl FnMut() -> Result<T, AttemptError>,
    ) -> Result<T, Error> {
        let mut attempt = 0;
        loop {
            let AttemptError { error, retry } = match work() {
                Ok(done) => return Ok(done),
                Err(trouble) => trouble,
            };
            let (most, wait) = match retry {
                Retry::Never => return Err(error),
                Retry::Once => (self.retries().min(1), self.backoff(attempt)),
                Retry::Perhaps => (self.retries(), self.backoff(attempt)),
                Retry::Briefly => (self.retries().min(BRIEF_RETRIES), BRIEF_WAIT),
                // The next request to the host waits for as long as the host asked.
                Retry::Rested => (self.retries(), Duration::ZERO),
            };
            if attempt >= most {
                if retry == Retry::Briefly {
                    self.throttle.give_up(&error);
                }
                return Err(error);
            }
            tracing::debug!(%error, attempt, ?wait, "trying again");
            std::thread::sleep(wait);
            attempt += 1;
        }
    }

    fn follow(
        &self,
        request: &Request<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer<'_>, AttemptError> {
        let mut hop = Hop {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            protocol: request.protocol,
            reach: request.reach,
        };
        for _ in 0..=MOST_REDIRECTS {
            let authorization = authorization.filter(|_| hop.url.is_same_origin(&request.url));
            let answer = self.once(&hop, authorization)?;
            let location = answer.headers().get(LOCATION).filter(|_| is_redirect(answer.status()));
            let Some(location) = location.and_then(|value| value.to_str().ok()) else {
                return Ok(answer);
            };
            let next = hop.url.follow(location)?;
            if answer.status() == StatusCode::SEE_OTHER && hop.method != Method::HEAD {
                hop.method = Method::GET;
                hop.body = Body::Nothing;
            }
            if matches!(hop.body, Body::Secret(_)) && !next.is_same_origin(&request.url) {
                let what = format!("a redirect from {}", without_secrets(&hop.url));
                let reason = format!("it would take a secret to {}", without_secrets(&next));
                return Err(Error::malformed(what, Flaw::Answer(reason)).into());
            }
            hop.url = next;
        }
        let what = format!("redirects from {}", without_secrets(&request.url));
        Err(Error::Limit { what, limit: MOST_REDIRECTS.to_string() }.into())
    }
}

/// One request of a chain of redirects.
struct Hop<'a> {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Body<'a>,
    protocol: Protocol,
    reach: Reach,
}

impl Hop<'_> {
    /// Returns the headers that are sent.
    fn all_headers(&self, authorization: Option<&HeaderValue>) -> HeaderMap {
        let mut headers = self.headers.clone();
        // Without this header, a server may compress the content, which is hashed here (RFC 9110 12.5.3).
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(value) = authorization {
            headers.insert(http::header::AUTHORIZATION, value.clone());
        }
        // Registries want the length of an empty body, too (rows E-46, E-55).
        if !matches!(self.method, Method::GET | Method::HEAD) {
            headers.insert(CONTENT_LENGTH, self.body.len().into());
        }
        headers
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Tells whether the same request may succeed later.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// How long the other side may be silent after an upload: it may have to move the content.
fn patience_after_upload(idle: Duration) -> Duration {
    const TIMES: u32 = 5;
    idle.saturating_mul(TIMES)
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, without_secrets(&self.url))
    }
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}
