//! What refusals and failures mean, in the words of every place.

use std::error::Error as _;
use std::io;

use http::StatusCode;
use longshore_store::Error;
use serde::Deserialize;
use serde_json::Value;

use crate::http::{Again, Trouble, tls_refusal};

/// How much of what a registry says is shown.
const MOST_SHOWN: usize = 300;

/// Returns what it means that `host` answered `status` with `body` when asked to `action` `what`.
pub(crate) fn refused(
    status: StatusCode,
    body: &[u8],
    host: &str,
    action: &'static str,
    what: &str,
) -> Error {
    let (what, place) = (what.to_owned(), host.to_owned());
    let reason = reason(status, body);
    match status.as_u16() {
        404 => Error::NotFound { what, place },
        401 | 403 => Error::Denied { action, what, place, reason },
        429 => Error::Throttled { place, reason },
        _ => Error::Refused { action, what, place, reason },
    }
}

/// Returns an answer in words: its status, and what its body says.
pub(crate) fn reason(status: StatusCode, body: &[u8]) -> String {
    match said(body) {
        Some(said) => format!("{}: {said}", status.as_u16()),
        None => status.to_string(),
    }
}

/// Returns what it means that no answer came from `host`.
fn unreachable(host: &str, error: reqwest::Error) -> Error {
    let said = tls_error(&error).and_then(tls_refusal);
    let source = io::Error::other(said.unwrap_or_else(|| plainly(error)));
    Error::Io { action: "reach", what: host.to_owned(), source }
}

/// Returns the same as trouble: a certificate that is not good now is not good in a minute, and who
/// takes no connection seldom begins to.
pub(crate) fn no_answer(host: &str, error: reqwest::Error) -> Trouble {
    let is_about_certificates =
        matches!(tls_error(&error), Some(rustls::Error::InvalidCertificate(_)));
    let is_connected = !error.is_connect();
    let error = unreachable(host, error);
    if is_about_certificates {
        Trouble::lasting(error)
    } else if is_connected {
        Trouble::passing(error)
    } else {
        Trouble { error, again: Again::Briefly }
    }
}

/// Returns what TLS said, if the failure is one of its own.
fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    causes(error).find_map(|mut cause| {
        // An error of the system may have another inside, which is not its source.
        while let Some(inner) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            cause = inner;
        }
        cause.downcast_ref()
    })
}

/// Returns what went wrong in the words of the innermost cause, without the address: it may hold a
/// secret.
pub(crate) fn plainly(error: reqwest::Error) -> String {
    let error = error.without_url();
    let innermost = causes(&error).last().map_or_else(|| error.to_string(), ToString::to_string);
    clean(&innermost)
}

/// Returns what a failure is due to, the innermost last.
fn causes<'a>(
    error: &'a reqwest::Error,
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&cause: &&'a (dyn std::error::Error + 'static)| {
        cause.source()
    })
}

/// Returns what the body of a refusal says, whatever its shape (row E-09).
fn said(body: &[u8]) -> Option<String> {
    if let Ok(document) = serde_json::from_slice::<Document>(body) {
        let said: Vec<_> = document.errors.iter().filter_map(Problem::said).collect();
        let said = if said.is_empty() { document.plain()? } else { said.join("; ") };
        return Some(clean(&said));
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    // A page for people, as proxies send it, says nothing that the status does not.
    (!text.is_empty() && !text.starts_with('<')).then(|| clean(text))
}

/// The body that the spec gives a refusal, and what others make of it.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    errors: Vec<Problem>,
    #[serde(default)]
    error_description: Option<Value>,
    #[serde(default)]
    message: Option<Value>,
    #[serde(default)]
    details: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: Option<Value>,
    #[serde(default)]
    message: Option<Value>,
    #[serde(default)]
    detail: Option<Value>,
}

impl Document {
    fn plain(&self) -> Option<String> {
        let each = [&self.error_description, &self.message, &self.details, &self.error];
        each.into_iter().find_map(|value| text(value.as_ref()))
    }
}

impl Problem {
    fn said(&self) -> Option<String> {
        let each = [&self.code, &self.message, &self.detail];
        let parts: Vec<_> = each.into_iter().filter_map(|value| text(value.as_ref())).collect();
        (!parts.is_empty()).then(|| parts.join(": "))
    }
}

/// Returns what a member says: a text as it is, anything else as JSON.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(members) if members.is_empty() => None,
        other => Some(other.to_string()),
    }
}

/// Returns one line of bounded length that moves nothing on a terminal.
fn clean(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e09_a_refusal_is_readable_whatever_its_shape() {
        for (body, expected) in [
            (r#"{"errors":[{"code":"DENIED","message":"no","detail":null}]}"#, Some("DENIED: no")),
            (r#"{"errors":[{"code":"X","detail":{"a":1}},{"code":"Y"}]}"#, Some("X: {\"a\":1}; Y")),
            (r#"{"errors":[{"code":"X","message":"m","detail":[1]}]}"#, Some("X: m: [1]")),
            (r#"{"errors":[{"code":"X","detail":"d"}]}"#, Some("X: d")),
            (r#"{"errors":[]}"#, None),
            (r#"{"message":"plain"}"#, Some("plain")),
            (r#"{"error":"invalid_grant"}"#, Some("invalid_grant")),
            ("", None),
            ("<html><h1>no</h1></html>", None),
            ("go \u{1b}[31maway\n\nnow", Some("go [31maway now")),
        ] {
            assert_eq!(said(body.as_bytes()).as_deref(), expected, "{body}");
        }
        assert!(said("x".repeat(100_000).as_bytes()).unwrap().len() < 400);
    }

    #[test]
    fn statuses_mean_the_same_everywhere() {
        let of = |status| refused(StatusCode::from_u16(status).unwrap(), b"", "h", "read", "x");
        assert!(of(404).is_not_found());
        assert!(matches!(of(401), Error::Denied { .. }));
        assert!(matches!(of(429), Error::Throttled { .. }));
        let text = of(418).to_string();
        assert_eq!(text, "cannot read x: h answered 418 I'm a teapot");
    }
}
