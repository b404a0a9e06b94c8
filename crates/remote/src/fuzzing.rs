//! The parsers of headers, for fuzzing only.

use std::time::{Duration, SystemTime};

use http::header::{LINK, RETRY_AFTER, WARNING, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::auth;
use crate::http::headers;

/// Returns the address of the next page, from `Link` headers.
pub fn next_page(values: &[HeaderValue]) -> Option<String> {
    headers::next_page(&of(LINK, values))
}

/// Tells whether `WWW-Authenticate` headers have a challenge that this client can answer.
pub fn challenge(values: &[HeaderValue]) -> bool {
    auth::challenge(&of(WWW_AUTHENTICATE, values)).is_some()
}

/// Returns how long `Retry-After` asks a client to wait.
pub fn retry_after(values: &[HeaderValue], now: SystemTime) -> Option<Duration> {
    headers::retry_after(&of(RETRY_AFTER, values), now)
}

/// Returns the texts of `Warning` headers.
pub fn warnings(values: &[HeaderValue]) -> Vec<String> {
    headers::warnings(&of(WARNING, values))
}

fn of(name: HeaderName, values: &[HeaderValue]) -> HeaderMap {
    values.iter().map(|value| (name.clone(), value.clone())).collect()
}
