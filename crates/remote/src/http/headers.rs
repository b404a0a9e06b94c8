//! Headers that have a grammar of their own (RFC 9110, RFC 8288).

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{LINK, RETRY_AFTER, WARNING};

/// Returns the address of the next page that a `Link` header names (rows E-93, E-103).
pub(crate) fn next_page(headers: &HeaderMap) -> Option<String> {
    headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).find_map(next_link)
}

fn next_link(value: &str) -> Option<String> {
    let Some(_) = value.find('<') else {
        // Some registries leave the brackets out.
        let (target, params) = value.split_once(';')?;
        return leads_to_next(params).then(|| target.trim().to_owned());
    };
    let mut rest = value;
    while let Some(start) = rest.find('<') {
        let (target, after) = rest[start + 1..].split_once('>')?;
        let end = outside_quotes(after, ',').unwrap_or(after.len());
        if leads_to_next(&after[..end]) {
            return Some(target.trim().to_owned());
        }
        rest = &after[end..];
    }
    None
}

/// Tells whether the parameters of a link say that it leads to the next page. A link without `rel` does:
/// otherwise a list would end too early without a word.
fn leads_to_next(params: &str) -> bool {
    let mut rels = split_outside_quotes(params, ';').filter_map(|param| {
        let (key, value) = param.split_once('=')?;
        key.trim().eq_ignore_ascii_case("rel").then(|| value.trim().trim_matches(['"', '\'']))
    });
    let is_next = |rel: &str| rel.eq_ignore_ascii_case("next");
    rels.next().is_none_or(|first| {
        [first].into_iter().chain(rels).any(|all| all.split_ascii_whitespace().any(is_next))
    })
}

/// Returns the texts of the warnings with code 299 (row E-11), without control characters.
pub(crate) fn warnings(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(WARNING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(warnings_of).collect()
}

fn warnings_of(value: &str) -> Vec<String> {
    let each = split_outside_quotes(value, ',').filter_map(|warning| {
        let rest = warning.trim().strip_prefix("299 ")?;
        // First the agent, which is `-` if it is unknown, then a quoted text.
        let (_agent, text) = rest.trim_start().split_once(' ')?;
        let text = unquote(text.trim())?;
        (!text.is_empty()).then_some(text)
    });
    each.collect()
}

/// Returns how long `Retry-After` asks a client to wait: in seconds, or until a date (row E-08).
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// Returns the quoted string at the beginning of `text`, without quotes and escapes.
pub(crate) fn unquote(text: &str) -> Option<String> {
    let mut unquoted = String::new();
    let mut chars = text.strip_prefix('"')?.chars();
    loop {
        match chars.next()? {
            '"' => return Some(unquoted),
            '\\' => unquoted.push(printable(chars.next()?)),
            c => unquoted.push(printable(c)),
        }
    }
}

fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// Returns the position of the first `separator` outside of quoted strings.
pub(crate) fn outside_quotes(text: &str, separator: char) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == separator && !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = outside_quotes(text, separator) else {
            rest = None;
            return Some(text);
        };
        rest = Some(&text[at + separator.len_utf8()..]);
        Some(&text[..at])
    })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_str(value).unwrap());
        values.map(|value| (name.clone(), value)).collect()
    }

    #[test]
    fn e103_the_next_page_is_found_among_links() {
        for (value, expected) in [
            ("</v2/a/tags/list?last=b&n=2>; rel=\"next\"", Some("/v2/a/tags/list?last=b&n=2")),
            ("<p>; rel=next", Some("p")),
            ("<x>; rel=\"prev\", <y?a=1,2>; title=\"a, b\"; REL=\"last next\"", Some("y?a=1,2")),
            ("<p>;title=\"a; rel=no\";rel='next'", Some("p")),
            ("</v2/_catalog?last=a>; type=\"x\"; rel = next ; n=1", Some("/v2/_catalog?last=a")),
            ("/v2/_catalog?last=a&n=1; rel=\"next\"", Some("/v2/_catalog?last=a&n=1")),
            ("/v2/_catalog?last=a; rel=\"prev\"", None),
            ("<x>; rel=\"prev\"", None),
            ("<x>", Some("x")),
            ("<x>; title=\"rel=prev\"", Some("x")),
            ("<x", None),
            ("", None),
        ] {
            let found = next_page(&headers(LINK, &[value]));
            assert_eq!(found.as_deref(), expected, "{value}");
        }
        let several = headers(LINK, &["<a>; rel=prev", "<b>; rel=next"]);
        assert_eq!(next_page(&several).as_deref(), Some("b"));
    }

    #[test]
    fn e11_warnings_of_other_codes_are_ignored() {
        let values = ["299 - \"one, \\\"quoted\\\"\", 299 - \"two\"", "199 - \"no\"", "299 -", "x"];
        assert_eq!(warnings(&headers(WARNING, &values)), ["one, \"quoted\"", "two"]);
        let values = ["299 - \"a\tb\\\tc\""];
        assert_eq!(warnings(&headers(WARNING, &values)), ["a b c"]);
    }

    #[test]
    fn e08_retry_after_is_seconds_or_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, expected) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
        ] {
            let found = retry_after(&headers(RETRY_AFTER, &[value]), now);
            assert_eq!(found, expected.map(Duration::from_secs), "{value}");
        }
    }
}
