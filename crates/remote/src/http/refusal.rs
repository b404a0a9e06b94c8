//! The errors that refusals of registries become.

use http::StatusCode;
use longshore_store::{Error, ErrorCode, Refusal, Subject};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::text::one_line;

/// How many codes of one refusal are read: the spec has fewer.
const MOST_CODES: usize = 16;

/// Returns the error of a refusal: `host` answered `said` to a request to `action` `what`.
pub(crate) fn refused(said: Refusal, host: &str, action: &'static str, what: &Subject) -> Error {
    let (what, place, said) = (what.clone(), host.to_owned(), Box::new(said));
    match said.status {
        404 => Error::NotFound { what, place, said: Some(said) },
        401 | 403 => Error::Denied { action, what, place, said },
        429 => Error::Throttled { place, said },
        _ => Error::Refused { action, what, place, said },
    }
}

/// Returns a refusal: its status, the codes in its body, and the text of the body.
pub(crate) fn refusal(status: StatusCode, body: &[u8]) -> Refusal {
    let mut said = said(body);
    said.codes.truncate(MOST_CODES);
    Refusal { status: status.as_u16(), ..said }
}

/// Tells whether a server that was spoken to without TLS answers that it speaks only TLS. There is no
/// code for that. These are the words of Go's server, which most registries use, and of nginx, which many
/// registries are behind. Only this function reads them.
pub(crate) fn wants_tls(status: StatusCode, body: &[u8]) -> bool {
    const WORDS: [&[u8]; 2] = [
        b"Client sent an HTTP request to an HTTPS server",
        b"The plain HTTP request was sent to HTTPS port",
    ];
    let says = |text_of: &[u8]| body.windows(text_of.len()).any(|part| part == text_of);
    status == StatusCode::BAD_REQUEST && WORDS.into_iter().any(says)
}

/// Reads the body of a refusal, whatever its form (row E-09). The status is filled in by the caller.
fn said(body: &[u8]) -> Refusal {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    // An HTML page, as proxies send it, says no more than the status.
    let as_it_is = || (!text.is_empty() && !text.starts_with('<')).then(|| one_line(text));
    let none = Refusal::of_status(0);
    let Ok(document) = serde_json::from_slice::<Document>(body) else {
        return Refusal { detail: as_it_is(), ..none };
    };
    let codes = document.errors.iter().filter_map(Problem::code).collect();
    let said: Vec<_> = document.errors.iter().filter_map(Problem::said).collect();
    let detail = if said.is_empty() {
        document.plain().or_else(|| text_of(Some(&Value::Object(document.others))))
    } else {
        Some(said.join("; "))
    };
    Refusal { codes, detail: detail.map(|detail| one_line(&detail)), ..none }
}

/// The body of a refusal, in the form of the spec or in others.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    errors: Vec<Problem>,
    /// The members that other forms have.
    #[serde(flatten)]
    others: Map<String, Value>,
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
        let names = ["error_description", "message", "details", "error"];
        names.into_iter().find_map(|name| text_of(self.others.get(name)))
    }
}

impl Problem {
    fn code(&self) -> Option<ErrorCode> {
        self.code.as_ref()?.as_str().map(|code| ErrorCode::of(&one_line(code)))
    }

    fn said(&self) -> Option<String> {
        let each = [&self.code, &self.message, &self.detail];
        let parts: Vec<_> = each.into_iter().filter_map(|value| text_of(value.as_ref())).collect();
        (!parts.is_empty()).then(|| parts.join(": "))
    }
}

/// Returns the text of a JSON value: the items of lists and objects are joined without brackets and
/// quotes.
fn text_of(value: Option<&Value>) -> Option<String> {
    let join = |parts: Vec<String>| (!parts.is_empty()).then(|| parts.join(", "));
    match value? {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => join(items.iter().filter_map(|item| text_of(Some(item))).collect()),
        Value::Object(members) => {
            let said = |(name, value)| text_of(Some(value)).map(|said| format!("{name} {said}"));
            join(members.iter().filter_map(said).collect())
        }
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e09_a_refusal_is_readable_whatever_its_shape() {
        for (body, expected) in [
            (r#"{"errors":[{"code":"DENIED","message":"no","detail":null}]}"#, Some("DENIED: no")),
            (r#"{"errors":[{"code":"X","detail":{"a":1}},{"code":"Y"}]}"#, Some("X: a 1; Y")),
            (r#"{"errors":[{"code":"X","message":"m","detail":[1]}]}"#, Some("X: m: 1")),
            (r#"{"errors":[{"code":"X","detail":"d"}]}"#, Some("X: d")),
            (r#"{"errors":[]}"#, None),
            (r#"{"message":"plain"}"#, Some("plain")),
            (r#"{"reason":"quota"}"#, Some("reason quota")),
            (r#"{"error":"invalid_grant"}"#, Some("invalid_grant")),
            (
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository","Class":"","Name":"acme/app","Action":"pull"}]}]}"#,
                Some(
                    "UNAUTHORIZED: authentication required: Action pull, Name acme/app, Type repository",
                ),
            ),
            ("", None),
            ("<html><h1>no</h1></html>", None),
            ("go \u{1b}[31maway\n\nnow", Some("go [31maway now")),
        ] {
            assert_eq!(said(body.as_bytes()).detail.as_deref(), expected, "{body}");
        }
        assert!(said("x".repeat(100_000).as_bytes()).detail.unwrap().len() < 400);
    }

    #[test]
    fn e09_codes_are_values() {
        let of = |body: &str| said(body.as_bytes()).codes;
        let body = r#"{"errors":[{"code":"DENIED"},{"code":"QUOTA"},{"code":7},{}]}"#;
        assert_eq!(of(body), [ErrorCode::Denied, ErrorCode::Other("QUOTA".to_owned())]);
        assert_eq!(of("DENIED"), []);
        let many = format!(r#"{{"errors":[{}{{}}]}}"#, r#"{"code":"DENIED"},"#.repeat(500));
        assert_eq!(refusal(StatusCode::FORBIDDEN, many.as_bytes()).codes.len(), MOST_CODES);
    }

    #[test]
    fn who_wants_tls_says_so_in_words() {
        let go = b"Client sent an HTTP request to an HTTPS server.\n";
        let nginx = b"<html><center>The plain HTTP request was sent to HTTPS port</center></html>";
        assert!(
            wants_tls(StatusCode::BAD_REQUEST, go) && wants_tls(StatusCode::BAD_REQUEST, nginx)
        );
        assert!(!wants_tls(StatusCode::BAD_REQUEST, b"{}"));
        assert!(!wants_tls(StatusCode::OK, go));
    }

    #[test]
    fn what_a_registry_says_is_in_every_message() {
        let body = br#"{"errors":[{"code":"QUOTA","message":"ask Ada"}]}"#;
        for status in [400, 401, 403, 404, 405, 409, 413, 429, 500, 503] {
            let said = refusal(StatusCode::from_u16(status).unwrap(), body);
            let text = refused(said, "h", "read", &"x".into()).to_string();
            assert!(text.ends_with(&format!("{status}: QUOTA: ask Ada")), "{text}");
            // An answer to HEAD has no body.
            let text = refused(Refusal::of_status(status), "h", "read", &"x".into()).to_string();
            assert!(text.contains(&status.to_string()), "{text}");
        }
    }

    #[test]
    fn statuses_mean_the_same_everywhere() {
        let of = |status| refused(Refusal::of_status(status), "h", "read", &"x".into());
        assert!(of(404).is_not_found());
        assert!(matches!(of(401), Error::Denied { .. }));
        assert!(matches!(of(429), Error::Throttled { .. }));
        let text = of(418).to_string();
        assert_eq!(text, "cannot read x: h answered 418 I'm a teapot");
    }
}
