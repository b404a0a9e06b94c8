//! Which requests go through a proxy, and which go to their host directly.

use std::net::IpAddr;

use longshore_store::{Error, Flaw, Result};
use reqwest::Proxy;

use super::failure;
use crate::Secret;
use crate::config::Proxies;
use crate::url::Url;

/// Returns the rule that decides for each request. Returns `None` if there is no proxy.
///
/// Requests to this machine never go through a proxy: `localhost` would be another machine there.
pub(super) fn of(proxies: &Proxies) -> Result<Option<Proxy>> {
    // The library knows what a valid address of a proxy is.
    let checked = |address: &Option<Secret>| match address {
        Some(address) => match Proxy::all(address.expose()) {
            Ok(_) => Ok(Some(address.clone())),
            Err(error) => {
                Err(Error::malformed("the proxy", Flaw::Proxy(failure::innermost_message(error))))
            }
        },
        None => Ok(None),
    };
    let (http, https) = (checked(&proxies.http)?, checked(&proxies.https)?);
    if http.is_none() && https.is_none() {
        return Ok(None);
    }
    let direct = Direct::new(proxies.no_proxy.as_deref().unwrap_or_default());
    Ok(Some(Proxy::custom(move |url| {
        let proxy = if url.scheme() == "https" { &https } else { &http };
        let url = Url::of_request(url);
        let proxy = proxy.as_ref().filter(|_| !url.is_loopback() && !direct.has(&url))?;
        Some(proxy.expose().to_owned())
    })))
}

/// The hosts of `NO_PROXY`, which are reached directly. Go and curl read it in different ways; a host
/// that either of them reaches directly is reached directly here.
#[derive(Debug, Default)]
struct Direct {
    all: bool,
    rules: Vec<Rule>,
}

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    hosts: Hosts,
    /// The only port that the rule applies to, if it has one.
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
enum Hosts {
    /// A domain with all its subdomains.
    Domain(String),
    /// All addresses that begin with these bits.
    Network(IpAddr, u32),
}

impl Direct {
    /// Reads entries between commas and spaces. Invalid entries are skipped, as other programs do.
    fn new(text: &str) -> Self {
        let mut direct = Self::default();
        let entries = text.split(|c: char| c == ',' || c.is_whitespace());
        for entry in entries.filter(|entry| !entry.is_empty()) {
            match entry {
                "*" => direct.all = true,
                entry => direct.rules.extend(Rule::new(entry)),
            }
        }
        direct
    }

    fn has(&self, url: &Url) -> bool {
        self.all || self.rules.iter().any(|rule| rule.has(url))
    }
}

impl Rule {
    fn new(entry: &str) -> Option<Self> {
        if let Some((address, bits)) = entry.split_once('/') {
            let (address, bits) = (ip(address)?, bits.parse().ok()?);
            let hosts = Hosts::Network(address, bits).valid()?;
            return Some(Self { hosts, port: None });
        }
        let (host, port) = match entry.rsplit_once(':') {
            // More than one colon without brackets is an IPv6 address.
            _ if ip(entry).is_some() => (entry, None),
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        let hosts = match ip(host) {
            Some(address) => Hosts::Network(address, bits_of(address)),
            None => Hosts::Domain(domain(host)?),
        };
        Some(Self { hosts, port })
    }

    fn has(&self, url: &Url) -> bool {
        if self.port.is_some() && self.port != url.port() {
            return false;
        }
        match (&self.hosts, url.ip()) {
            (Hosts::Network(network, bits), Some(address)) => {
                shares(*network, address.to_canonical(), *bits)
            }
            (Hosts::Domain(domain), None) => {
                let host = url.host_name().trim_end_matches('.');
                host.strip_suffix(domain.as_str())
                    .is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
            _ => false,
        }
    }
}

impl Hosts {
    fn valid(self) -> Option<Self> {
        match &self {
            Self::Network(address, bits) => (*bits <= bits_of(*address)).then_some(self),
            Self::Domain(_) => Some(self),
        }
    }
}

/// Returns an address that may be in brackets.
fn ip(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    inner.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn bits_of(address: IpAddr) -> u32 {
    if address.is_ipv4() { u32::BITS } else { u128::BITS }
}

/// Tells whether two addresses begin with the same bits.
fn shares(one: IpAddr, other: IpAddr, bits: u32) -> bool {
    let differing = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => return false,
    };
    differing >= bits
}

/// Returns a domain in the form that URLs have. A leading `*.` or dot and a trailing dot are ignored.
fn domain(text: &str) -> Option<String> {
    let text = text.strip_prefix('*').unwrap_or(text);
    let text = text.trim_start_matches('.').trim_end_matches('.');
    let url = Url::parse(&format!("http://{text}/")).ok()?;
    Some(url.host_name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_direct(text: &str, url: &str) -> bool {
        Direct::new(text).has(&Url::parse(url).unwrap())
    }

    #[test]
    fn what_go_or_curl_ask_directly_is_asked_directly() {
        for (text, url) in [
            ("*", "https://r.example"),
            ("a.example,*", "https://10.0.0.1:5000"),
            ("r.example", "https://r.example:5000"),
            ("R.Example", "https://r.example"),
            ("r.example", "https://deep.er.r.example"),
            (".r.example", "https://r.example"),
            (".r.example", "https://x.r.example"),
            ("*.r.example", "https://x.r.example"),
            ("r.example.", "https://r.example"),
            ("r.example", "https://r.example./"),
            ("example", "https://r.example"),
            ("bücher.example", "https://xn--bcher-kva.example"),
            ("r.example:443", "https://r.example"),
            ("r.example:80", "http://r.example"),
            ("r.example:5000", "http://x.r.example:5000"),
            ("a.example, r.example", "https://r.example"),
            ("a.example r.example", "https://r.example"),
            (" ,, r.example\t", "https://r.example"),
            ("10.1.2.3", "https://10.1.2.3:5000"),
            ("10.1.2.3:5000", "https://10.1.2.3:5000"),
            ("10.0.0.0/8", "https://10.1.2.3"),
            ("10.1.2.3/32", "https://10.1.2.3"),
            ("0.0.0.0/0", "https://10.1.2.3"),
            ("fd00::/8", "https://[fd12::1]:5000"),
            ("[fd00::]/8", "https://[fd12::1]:5000"),
            ("fd12::1", "https://[fd12::1]:5000"),
            ("[fd12::1]", "https://[fd12::1]:5000"),
            ("[fd12::1]:5000", "https://[fd12::1]:5000"),
            ("10.0.0.0/8", "https://[::ffff:10.1.2.3]"),
            ("::ffff:10.1.2.3", "https://10.1.2.3"),
        ] {
            assert!(is_direct(text, url), "{text}: {url}");
        }
    }

    #[test]
    fn all_others_pass_through_the_proxy() {
        for (text, url) in [
            ("", "https://r.example"),
            (" , ", "https://r.example"),
            (".", "https://r.example"),
            ("ample", "https://r.example"),
            ("r.example", "https://bar.example"),
            ("r.example", "https://xr.example"),
            ("x.r.example", "https://r.example"),
            ("r.example:5000", "https://r.example"),
            ("r.example:port", "https://r.example"),
            ("r.*", "https://r.example"),
            ("10.1.2.3:5000", "https://10.1.2.3"),
            ("10.0.0.0/8", "https://11.1.2.3"),
            ("10.0.0.0/33", "https://10.1.2.3"),
            ("10.0.0.0/x", "https://10.1.2.3"),
            ("10.1.2", "https://10.1.2.3"),
            ("fd00::/8", "https://[fe00::1]"),
            ("0.0.0.0/0", "https://[fd12::1]"),
            ("10.0.0.0/8", "https://r.example"),
            ("[fd12::1]:5000", "https://[fd12::1]"),
        ] {
            assert!(!is_direct(text, url), "{text}: {url}");
        }
    }
}
