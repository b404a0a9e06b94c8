//! Headers of answers with a grammar of their own.

use std::time::UNIX_EPOCH;

use http::HeaderValue;
use longshore_remote::fuzzing::{challenge, next_page, retry_after, warnings};

/// Headers are understood or not; what is shown of them moves nothing on a terminal.
pub fn headers(input: &[u8]) {
    let values = input.split(|byte| *byte == b'\n').take(8);
    let values: Vec<_> = values.filter_map(|value| HeaderValue::from_bytes(value).ok()).collect();
    if let Some(target) = next_page(&values) {
        assert!(!target.contains('>'), "{target:?}");
    }
    _ = challenge(&values);
    _ = retry_after(&values, UNIX_EPOCH);
    for warning in warnings(&values) {
        assert!(!warning.contains(char::is_control), "{warning:?}");
    }
}
