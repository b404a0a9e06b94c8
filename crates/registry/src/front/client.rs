//! Clients.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The client of a request. Resources are shared among sites, and within a site among connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    pub(super) site: IpAddr,
    /// The number of the connection.
    pub(super) connection: u64,
}

impl Client {
    pub(super) fn new(address: SocketAddr, connection: u64) -> Self {
        Self { address, site: site_of(address.ip()), connection }
    }
}

/// Returns the site of an address: the address itself, or in IPv6 the /64 network, since a host has all
/// of it.
pub(super) fn site_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let site = |text: &str| site_of(text.parse().unwrap());
        assert_eq!(site("2001:db8::1"), site("2001:db8::ffff:2"));
        assert_ne!(site("2001:db8::1"), site("2001:db8:0:1::1"));
        assert_ne!(site("10.0.0.1"), site("10.0.0.2"));
        assert_eq!(site("::ffff:10.0.0.1"), site("10.0.0.1"));
    }
}
