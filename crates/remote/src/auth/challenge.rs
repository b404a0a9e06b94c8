//! What a registry asks a client to authenticate with (RFC 9110 section 11, row E-15).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

use crate::http::{outside_quotes, unquote};

/// How many challenges are looked at, and how many parameters of each.
const MOST: usize = 32;

/// A challenge of more bytes is ignored.
const MOST_BYTES: usize = 16 << 10;

/// What a registry asks a client to authenticate with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A name and a password.
    Basic,
    /// A token from an authorization service.
    Bearer {
        /// The address of the service.
        realm: String,
        /// The `service` that the token is for.
        service: Option<String>,
        /// The `scope` that the registry names.
        scope: Option<String>,
    },
}

/// Returns the best challenge: a token is better than a password.
pub(crate) fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let values = values.filter(|value| value.len() <= MOST_BYTES).take(MOST);
    let all: Vec<_> = values.flat_map(parse).take(MOST).filter_map(Raw::supported).collect();
    let bearer = all.iter().find(|each| matches!(each, Challenge::Bearer { .. }));
    bearer.or(all.first()).cloned()
}

/// A challenge with its parameters as they came.
#[derive(Debug, Default)]
struct Raw {
    scheme: String,
    params: Vec<(String, String)>,
}

impl Raw {
    fn supported(self) -> Option<Challenge> {
        let param = |name: &str| {
            let mut found = self.params.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
        };
        match self.scheme.to_ascii_lowercase().as_str() {
            "basic" => Some(Challenge::Basic),
            "bearer" => Some(Challenge::Bearer {
                realm: param("realm")?,
                service: param("service"),
                scope: param("scope"),
            }),
            _ => None,
        }
    }
}

/// Splits a header into challenges. Commas separate both challenges and their parameters; a word
/// without `=` begins a challenge.
fn parse(value: &str) -> Vec<Raw> {
    let mut challenges: Vec<Raw> = Vec::new();
    let mut rest = value;
    loop {
        let end = outside_quotes(rest, ',').unwrap_or(rest.len());
        let mut part = rest[..end].trim();
        let word = part.split([' ', '\t', '=']).next().unwrap_or_default();
        let after = part[word.len()..].trim_start();
        if !word.is_empty() && !after.starts_with('=') {
            challenges.push(Raw { scheme: word.to_owned(), params: Vec::new() });
            part = after;
        }
        if let (Some(challenge), Some((key, value))) = (challenges.last_mut(), part.split_once('='))
            && challenge.params.len() < MOST
        {
            let value = value.trim();
            let value = unquote(value).unwrap_or_else(|| value.to_owned());
            challenge.params.push((key.trim().to_owned(), value));
        }
        match rest.get(end + 1..) {
            Some(next) => rest = next,
            None => return challenges,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(values: &[&str]) -> Option<Challenge> {
        let values = values.iter().map(|value| HeaderValue::from_str(value).unwrap());
        challenge(&values.map(|value| (WWW_AUTHENTICATE, value)).collect())
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let [service, scope] = [service, scope].map(|text| text.map(str::to_owned));
        Challenge::Bearer { realm: realm.to_owned(), service, scope }
    }

    #[test]
    fn e15_commas_in_quotes_do_not_separate() {
        let value =
            r#"Bearer realm="https://a/t?x=1,2",service="s, t",scope="repository:a:pull,push""#;
        let expected = bearer("https://a/t?x=1,2", Some("s, t"), Some("repository:a:pull,push"));
        assert_eq!(of(&[value]), Some(expected));
    }

    #[test]
    fn a_token_is_preferred_to_a_password() {
        let expected = Some(bearer("https://a", None, None));
        assert_eq!(of(&[r#"Basic realm="x", Bearer realm="https://a""#]), expected);
        assert_eq!(of(&[r#"Basic realm="x""#, r#"bearer REALM = "https://a""#]), expected);
        assert_eq!(of(&["Negotiate, Basic"]), Some(Challenge::Basic));
        assert_eq!(of(&["Negotiate dG9rZW4==, basic realm=x"]), Some(Challenge::Basic));
    }

    #[test]
    fn what_is_no_challenge_is_none() {
        for value in ["", ",", "=", "Digest realm=\"x\"", "Bearer", "Bearer service=\"s\"", "\""] {
            assert_eq!(of(&[value]), None, "{value}");
        }
        assert_eq!(of(&[]), None);
    }
}
