//! What a request brings besides method and path.

use std::io::Read;
use std::net::IpAddr;

use http::HeaderMap;

use crate::query::Query;

/// Whom a request is from, as far as shares go. Without it among the extensions of a request, all are
/// from one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ClientSite(pub(crate) IpAddr);

/// What a request brings besides method and path.
pub(crate) struct Context<'a> {
    /// Where the client found the registry, as far as it says so.
    pub host: Option<&'a str>,
    pub query: Query,
    pub headers: &'a HeaderMap,
    pub site: Option<ClientSite>,
    pub body: &'a mut dyn Read,
}
