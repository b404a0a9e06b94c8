//! Addresses: how they are put together, and how they are shown.

use std::fmt::Write as _;

use longshore_store::{Error, Flaw, Result};
use reqwest::Url;

/// Returns what `location` means to whoever was answered at `base` (row E-41). Its query stays as it
/// is (row E-42); a name or password in it is not used.
pub(crate) fn resolve(base: &Url, location: &str) -> Result<Url> {
    let malformed = |reason: &str| {
        let what = format!("the location that {} sent", base.host_str().unwrap_or_default());
        Error::malformed(what, Flaw::Answer(reason.to_owned()))
    };
    let mut url = base.join(location).map_err(|error| malformed(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(malformed("it is no address of a web server"));
    }
    // Neither fails for an address with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok(url)
}

/// Returns `url` with one more parameter, all others byte for byte as they were (row E-42).
pub(crate) fn with_query(mut url: Url, key: &str, value: &str) -> Url {
    let mut query =
        url.query().filter(|query| !query.is_empty()).map_or_else(String::new, |query| {
            let mut before = query.to_owned();
            if !before.ends_with('&') {
                before.push('&');
            }
            before
        });
    query.push_str(&field(key, value));
    url.set_query(Some(&query));
    url
}

/// Returns a field of a query or form. Digests, scopes and names of repositories stay readable.
pub(crate) fn field(key: &str, value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/,@".contains(&b);
    let mut encoded = format!("{key}=");
    for byte in value.bytes() {
        if plain(byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}"); // writing into a text never fails
        }
    }
    encoded
}

/// Returns `url` as it may be printed: names, passwords and queries may hold secrets.
pub(crate) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn e41_locations_are_relative_to_the_address_that_answered() {
        let base = url("https://a.example:5000/v2/x/blobs/uploads/?q=1");
        for (location, expected) in [
            ("/p/q", "https://a.example:5000/p/q"),
            ("p", "https://a.example:5000/v2/x/blobs/uploads/p"),
            ("//host/p", "https://host/p"),
            ("http://other/p", "http://other/p"),
            ("https://u:secret@other/p", "https://other/p"),
        ] {
            assert_eq!(resolve(&base, location).unwrap().as_str(), expected);
        }
        for bad in ["file:///etc/passwd", "https://[", "data:x"] {
            assert!(resolve(&base, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn e42_a_location_keeps_its_query() {
        let base = url("https://a.example/");
        let location = resolve(&base, "/u?_state=a%2Bb%3D&x&y=%2f+~'").unwrap();
        let put = with_query(location, "digest", "sha256:00");
        assert!(
            put.as_str().ends_with("/u?_state=a%2Bb%3D&x&y=%2f+~%27&digest=sha256:00"),
            "{put}"
        );
        let plain = with_query(url("https://a.example/u"), "digest", "a+b:Z=");
        assert_eq!(plain.as_str(), "https://a.example/u?digest=a%2Bb:Z%3D");
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let text = shown(&url("https://user:hunter2@a.example:1/p?token=hunter2#hunter2"));
        assert_eq!(text, "https://a.example:1/p");
    }
}
