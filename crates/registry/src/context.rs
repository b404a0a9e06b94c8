//! What a request carries in addition to its method and path.

use std::io::Read;
use std::net::IpAddr;

use http::HeaderMap;

use crate::query::Query;

/// The client of a request, for fair shares. If it is not among the extensions of requests, all are from
/// one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ClientSite(pub(crate) IpAddr);

/// What a request carries in addition to its method and path.
pub(crate) struct Context<'a> {
    /// The host that the client used, if it names one.
    pub host: Option<&'a str>,
    pub query: Query,
    pub headers: &'a HeaderMap,
    pub site: Option<ClientSite>,
    pub body: &'a mut dyn Read,
}
