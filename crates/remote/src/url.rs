//! Addresses: building them, following redirects and links, and showing them.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::IpAddr;

use longshore_store::{Error, Flaw, Result};

/// An address of more bytes is refused. The longest in use, signed ones of object stores, have some 4
/// KiB.
const MOST_BYTES: usize = 16 << 10;

/// The address of something on a web server: HTTP or HTTPS, a host, and neither name nor password.
///
/// Redirects, uploads, links and challenges name further addresses. All of those pass through
/// [`Url::follow`], so none of them leads from TLS to plain HTTP.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url(reqwest::Url);

impl Url {
    /// Parses an address. The error says what is wrong, and quotes nothing of it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let url = reqwest::Url::parse(text).map_err(|error| error.to_string())?;
        if !is_of_web(&url) {
            return Err("it is no address of a web server".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a name or password stands in it".to_owned());
        }
        Ok(Self(url))
    }

    /// Returns the address that `location` means in an answer of this one (row E-41). Its query is kept
    /// (row E-42); a name or password in it is dropped. Fails if it leads from TLS to plain HTTP.
    pub(crate) fn follow(&self, location: &str) -> Result<Self> {
        let what = || format!("the location that {} sent", self.host());
        let malformed = |flaw: Flaw| Error::malformed(what(), flaw);
        if location.len() > MOST_BYTES {
            return Err(Error::Limit { what: what(), limit: format!("{MOST_BYTES} bytes") });
        }
        // Some servers leave out their own host: the parser would take a part of the path for it.
        let location = match location.split_once(":///") {
            Some(("http" | "https", path)) => &format!("/{}", path.trim_start_matches('/')),
            _ => location,
        };
        let mut url =
            self.0.join(location).map_err(|error| malformed(Flaw::Answer(error.to_string())))?;
        if !is_of_web(&url) {
            return Err(malformed(Flaw::Answer("it is no address of a web server".to_owned())));
        }
        // Neither fails for an address with a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let url = Self(url);
        if self.is_encrypted() && !url.is_encrypted() {
            return Err(malformed(Flaw::Unencrypted { to: without_secrets(&url) }));
        }
        Ok(url)
    }

    /// Returns the address of the next page that `link` leads to in an answer of this one. Registries
    /// behind proxies often name other hosts and schemes than theirs, so the host and scheme of this
    /// address are kept, unless the link leads to the `registry` itself.
    pub(crate) fn follow_page(&self, link: &str, registry: &Self) -> Result<Self> {
        let what = || format!("the link to the next page that {} sent", self.host());
        if link.len() > MOST_BYTES {
            return Err(Error::Limit { what: what(), limit: format!("{MOST_BYTES} bytes") });
        }
        let malformed = |reason: String| Error::malformed(what(), Flaw::Answer(reason));
        let link = whole(link);
        let url = self.0.join(&link).map_err(|error| malformed(error.to_string()))?;
        if !is_of_web(&url) {
            return Err(malformed("it is no address of a web server".to_owned()));
        }
        let base = if Self(url.clone()).is_same_origin(registry) { registry } else { self };
        let Self(mut next) = base.with_path(url.path());
        next.set_query(url.query());
        Ok(Self(next))
    }

    /// Returns the host of a proxy. Its address may have a password and lack a scheme.
    pub(crate) fn host_of_proxy(address: &str) -> Option<String> {
        let parsed = reqwest::Url::parse(address).ok().filter(reqwest::Url::has_host);
        let parsed = parsed.or_else(|| reqwest::Url::parse(&format!("http://{address}")).ok());
        parsed?.host_str().map(str::to_owned)
    }

    /// Returns the address of a request that is about to be made.
    pub(crate) fn of_request(url: &reqwest::Url) -> Self {
        Self(url.clone())
    }

    /// Returns another path on the same server.
    pub(crate) fn with_path(&self, path: &str) -> Self {
        let mut url = self.0.clone();
        url.set_path(path);
        Self(url)
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Tells whether scheme, host and port are the same.
    pub(crate) fn is_same_origin(&self, other: &Self) -> bool {
        self.0.origin() == other.0.origin()
    }

    /// Returns host and port as people write them.
    pub(crate) fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Returns the port, even if it is the default one.
    pub(crate) fn port(&self) -> Option<u16> {
        self.0.port_or_known_default()
    }

    /// Returns the host without its port and brackets.
    pub(crate) fn host_name(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// Returns the IP address of the host, if the host is written as one.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.host_name().parse().ok()
    }

    /// Tells whether the host is this machine, by name or address.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host_name();
        host == "localhost"
            || host.ends_with(".localhost")
            || self.ip().is_some_and(|address| address.is_loopback())
    }

    pub(crate) fn has_param(&self, name: &str) -> bool {
        self.0.query_pairs().any(|(key, _)| key == name)
    }

    /// Returns the address with its query, which may hold secrets.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the address as `reqwest` takes it.
    pub(crate) fn to_request(&self) -> reqwest::Url {
        self.0.clone()
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_secrets(self))
    }
}

/// Decodes a link that was encoded as a whole, like a value in a query.
fn whole(link: &str) -> Cow<'_, str> {
    let lower = link.to_ascii_lowercase();
    let is_encoded = lower.contains("%2f") || lower.contains("%3f");
    if link.contains(['/', '?']) || !is_encoded {
        return link.into();
    }
    let mut bytes = Vec::with_capacity(link.len());
    let mut rest = link.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.filter(|_| *first == b'%');
        let encoded = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let encoded = encoded.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(encoded.unwrap_or(*first));
        rest = if encoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}

fn is_of_web(url: &reqwest::Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.host_str().is_some()
}

/// Adds a parameter to `url`, and keeps the others byte for byte (row E-42).
pub(crate) fn with_query(url: Url, key: &str, value: &str) -> Url {
    let Url(mut url) = url;
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
    Url(url)
}

/// Returns a field of a query or form. Characters of digests, scopes and repository names are not
/// encoded.
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

/// Returns `url` without name, password and query, which may be secret.
pub(crate) fn without_secrets(url: &Url) -> String {
    format!("{}://{}{}", url.0.scheme(), url.host(), url.0.path())
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
            ("http:///p/q?x", "https://a.example:5000/p/q?x"),
            ("https:////p", "https://a.example:5000/p"),
            ("https://other/p", "https://other/p"),
            ("https://u:secret@other/p", "https://other/p"),
        ] {
            assert_eq!(base.follow(location).unwrap().as_str(), expected);
        }
        for bad in ["file:///etc/passwd", "https://[", "data:x"] {
            assert!(base.follow(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_leads_out_of_tls() {
        let encrypted = url("https://a.example/v2/");
        for location in ["http://a.example/p", "HTTP://b.example", "http:/p", "http:p"] {
            let error = encrypted.follow(location).unwrap_err().to_string();
            assert!(error.ends_with("where nothing is encrypted"), "{location}: {error}");
        }
        let plain = url("http://localhost:5000/v2/");
        for location in ["http://b.example/p", "https://b.example/p", "/p"] {
            assert!(plain.follow(location).is_ok(), "{location}");
        }
    }

    #[test]
    fn e103_pages_follow_each_other_on_one_server() {
        let (here, registry) = (url("https://m.example/v2/_catalog?n=2"), url("https://r.example"));
        for (link, expected) in [
            ("/v2/_catalog?last=a%2Fb&n=2", "https://m.example/v2/_catalog?last=a%2Fb&n=2"),
            ("_catalog?last=a", "https://m.example/v2/_catalog?last=a"),
            ("%2Fv2%2f_catalog%3Flast%3Da%252Fb", "https://m.example/v2/_catalog?last=a%2Fb"),
            ("https%3A%2F%2Fm.example%2Fp%3Fx%", "https://m.example/p?x%"),
            ("?last=a%2Fb", "https://m.example/v2/_catalog?last=a%2Fb"),
            ("?last=a", "https://m.example/v2/_catalog?last=a"),
            ("//internal:5000/v2/_catalog?x", "https://m.example/v2/_catalog?x"),
            ("http://m.example/v2/_catalog?x", "https://m.example/v2/_catalog?x"),
            ("http://me:pw@internal:5000/v2/p#y", "https://m.example/v2/p"),
            ("https://r.example/v2/_catalog?x", "https://r.example/v2/_catalog?x"),
            ("http://r.example/v2/_catalog?x", "https://m.example/v2/_catalog?x"),
        ] {
            assert_eq!(here.follow_page(link, &registry).unwrap().as_str(), expected, "{link}");
        }
        for bad in ["ftp://m.example/x", "https://[", "data:x"] {
            assert!(here.follow_page(bad, &registry).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_location_of_any_length_is_not_followed() {
        let base = url("https://a.example/");
        let long = "x".repeat(MOST_BYTES);
        assert!(base.follow(&long).is_ok());
        assert!(matches!(base.follow(&format!("{long}x")), Err(Error::Limit { .. })));
    }

    #[test]
    fn e42_a_location_keeps_its_query() {
        let base = url("https://a.example/");
        let location = base.follow("/u?_state=a%2Bb%3D&x&y=%2f+~'").unwrap();
        let put = with_query(location, "digest", "sha256:00");
        assert!(
            put.as_str().ends_with("/u?_state=a%2Bb%3D&x&y=%2f+~%27&digest=sha256:00"),
            "{put:?}"
        );
        let plain = with_query(url("https://a.example/u"), "digest", "a+b:Z=");
        assert_eq!(plain.as_str(), "https://a.example/u?digest=a%2Bb:Z%3D");
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let text = without_secrets(&url("https://a.example:1/p?token=hunter2#hunter2"));
        assert_eq!(text, "https://a.example:1/p");
        let error = Url::parse("https://user:hunter2@a.example/").unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
