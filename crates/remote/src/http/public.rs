//! Which hosts are on the public internet.
//!
//! The author of an artifact, or whoever runs a registry, can name any address. Such a request must not
//! reach this machine, the networks behind it, or the metadata service of a cloud. A name is resolved
//! here, and the connection is made to the resolved address, so that another answer to the same query a
//! moment later changes nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use longshore_store::{ConnectionFailure, Error};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::text::one_line;
use crate::url::Url;

/// Resolves names as the system does, and reports as a value why there is no address.
#[derive(Debug)]
pub(super) enum Resolver {
    /// Returns every address.
    Any,
    /// Returns only public addresses.
    Public {
        /// The hosts of proxies: the user named them, so they may be anywhere.
        proxies: Vec<String>,
    },
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let is_free = match self {
            Self::Any => true,
            Self::Public { proxies } => {
                proxies.iter().any(|proxy| proxy.eq_ignore_ascii_case(name.as_str()))
            }
        };
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found
                .map_err(|error| ConnectionFailure::NoAddress(one_line(&error.to_string())))?;
            let fit: Vec<SocketAddr> =
                found.filter(|found| is_free || is_public(found.ip())).collect();
            if fit.is_empty() && !is_free {
                return Err(ConnectionFailure::NotPublic.into());
            }
            Ok(Box::new(fit.into_iter()) as Addrs)
        })
    }
}

/// Refuses a host that is written as an address and is not public: such a host is never resolved.
pub(super) fn check(url: &Url) -> Result<(), Error> {
    match url.ip() {
        Some(address) if !is_public(address) => {
            Err(Error::unreachable(url.host(), ConnectionFailure::NotPublic))
        }
        _ => Ok(()),
    }
}

/// Tells whether an address is on the public internet, by IANA's registries of special addresses.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    // This network; shared by the customers of a provider; protocols; relays; benchmarks; reserved.
    let is_special = matches!(
        address.octets(),
        [0 | 240..=255, ..]
            | [100, 64..=127, ..]
            | [192, 0, 0, _]
            | [192, 88, 99, _]
            | [198, 18..=19, ..]
    );
    !(is_special
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // IPv4 addresses inside IPv6: mapped, translated, and 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            embedded(high, low)
        }
        [0x2002, high, low, ..] => embedded(high, low),
        // Protocols, such as Teredo, and examples.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Of the rest, one eighth is public.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2002:808:808::",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn an_address_is_looked_through_however_it_is_written() {
        for text in [
            "https://127.0.0.1/x",
            "https://127.1/x",
            "https://0x7f000001/x",
            "https://2130706433/x",
            "https://0177.0.0.1/x",
            "https://[::1]:444/x",
            "https://[::ffff:7f00:1]/x",
        ] {
            assert!(check(&Url::parse(text).unwrap()).is_err(), "{text}");
        }
        check(&Url::parse("https://8.8.8.8/x").unwrap()).unwrap();
        // A name is checked when it is resolved.
        check(&Url::parse("https://localhost/x").unwrap()).unwrap();
    }
}
