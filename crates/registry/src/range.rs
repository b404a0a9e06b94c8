//! Ranges of blobs (row F-09).

/// The range that a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestedRange {
    /// All of it.
    All,
    /// At least one byte from `start` on, and no more than there are.
    Part { start: u64, length: u64 },
    /// A range that cannot be satisfied.
    Nothing,
}

/// Reads a `Range` header for content of `size` bytes (RFC 9110, section 14).
///
/// An invalid header is ignored, and several ranges are answered with the whole content, as the RFC
/// allows. A reversed range cannot be satisfied.
pub(crate) fn wanted(header: &str, size: u64) -> RequestedRange {
    let Some((unit, ranges)) = header.split_once('=') else { return RequestedRange::All };
    if !unit.trim().eq_ignore_ascii_case("bytes") || ranges.contains(',') {
        return RequestedRange::All;
    }
    let Some((first, last)) = ranges.trim().split_once('-') else { return RequestedRange::All };
    let part = |start: u64, last: u64| {
        if start > last || start >= size {
            return RequestedRange::Nothing;
        }
        RequestedRange::Part { start, length: last.min(size - 1) - start + 1 }
    };
    match (first, last) {
        ("", count) => match number(count) {
            None => RequestedRange::All,
            Some(0) => RequestedRange::Nothing,
            // The last bytes of empty content are all of it.
            Some(_) if size == 0 => RequestedRange::All,
            Some(count) => part(size.saturating_sub(count), u64::MAX),
        },
        (first, "") => number(first).map_or(RequestedRange::All, |first| part(first, u64::MAX)),
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) => part(first, last),
            _ => RequestedRange::All,
        },
    }
}

/// Parses digits. A number that is too large is beyond any content.
pub(crate) fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Parses the `Content-Range` of a chunk: `FIRST-LAST`, without unit and total.
pub(crate) fn chunk(header: &str) -> Option<(u64, u64)> {
    let (first, last) = header.split_once('-')?;
    Some((number(first)?, number(last)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f09_ranges() {
        const SIZE: u64 = 2048;
        let part = |start, length| RequestedRange::Part { start, length };
        for (header, size, expected) in [
            ("bytes=0-499", SIZE, part(0, 500)),
            ("bytes=500-999", SIZE, part(500, 500)),
            ("bytes=1000-", SIZE, part(1000, 1048)),
            ("bytes=-500", SIZE, part(1548, 500)),
            ("bytes=2000-9999", SIZE, part(2000, 48)),
            ("bytes=-9999", SIZE, part(0, SIZE)),
            ("bytes=0-0", SIZE, part(0, 1)),
            ("bytes=2047-2047", SIZE, part(2047, 1)),
            ("bytes=0-99999999999999999999999", SIZE, part(0, SIZE)),
            ("BYTES = 0-1", SIZE, part(0, 2)),
            ("bytes=2048-", SIZE, RequestedRange::Nothing),
            ("bytes=9999-10000", SIZE, RequestedRange::Nothing),
            ("bytes=99999999999999999999999-", SIZE, RequestedRange::Nothing),
            ("bytes=500-0", SIZE, RequestedRange::Nothing),
            ("bytes=-0", SIZE, RequestedRange::Nothing),
            ("bytes=0-1,3-4", SIZE, RequestedRange::All),
            ("bytes=", SIZE, RequestedRange::All),
            ("bytes=-", SIZE, RequestedRange::All),
            ("bytes=a-b", SIZE, RequestedRange::All),
            ("bytes=+1-2", SIZE, RequestedRange::All),
            ("lines=1-2", SIZE, RequestedRange::All),
            ("", SIZE, RequestedRange::All),
            ("bytes=0-", 0, RequestedRange::Nothing),
            ("bytes=0-0", 0, RequestedRange::Nothing),
            ("bytes=-1", 0, RequestedRange::All),
        ] {
            assert_eq!(wanted(header, size), expected, "{header} of {size}");
        }
    }
}
