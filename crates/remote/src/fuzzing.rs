//! What parses headers, for fuzzing alone.

use std::time::{Duration, SystemTime};

use http::header::{LINK, RETRY_AFTER, WARNING, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::auth;
use crate::http::headers;

/// Returns where the next page is, by `Link` headers.
pub fn next_page(values: &[HeaderValue]) -> Option<String> {
    headers::next_page(&of(LINK, values))
}

/// Tells whether `WWW-Authenticate` headers ask for what can be given.
pub fn challenge(values: &[HeaderValue]) -> bool {
    auth::challenge(&of(WWW_AUTHENTICATE, values)).is_some()
}

/// Returns how long `Retry-After` asks to wait.
pub fn retry_after(values: &[HeaderValue], now: SystemTime) -> Option<Duration> {
    headers::retry_after(&of(RETRY_AFTER, values), now)
}

/// Returns what `Warning` headers say.
pub fn warnings(values: &[HeaderValue]) -> Vec<String> {
    headers::warnings(&of(WARNING, values))
}

fn of(name: HeaderName, values: &[HeaderValue]) -> HeaderMap {
    values.iter().map(|value| (name.clone(), value.clone())).collect()
}
