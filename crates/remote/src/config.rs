//! What a client is told: all that other programs read from the environment.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Secret;
use crate::credentials::{Anonymous, Credentials};

/// How a [`crate::Client`] reaches registries.
#[derive(Clone)]
pub struct Config {
    /// What the client calls itself.
    pub user_agent: String,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long the other side may say nothing.
    pub idle_timeout: Duration,
    /// How often a request is made again after a failure that may pass.
    pub retries: u32,
    /// How long the first such wait is at most; each further one may be twice as long.
    pub backoff: Duration,
    /// How many requests to one host are under way at once, until it asks for fewer.
    pub jobs_per_host: usize,
    /// How blobs are uploaded.
    pub push: PushMode,
    /// How long a chunk is, in bytes, where blobs are uploaded in chunks. Some registries refuse
    /// more than 4 MiB, others ask for more themselves (row E-49).
    pub chunk_size: u64,
    /// What requests pass through.
    pub proxies: Proxies,
    /// Which registries answer for others (row E-14).
    pub mirrors: Vec<Mirror>,
    /// Certificates, in PEM, that are trusted beside those of the system: of authorities, or of
    /// servers, also if such a one is an authority's own.
    pub extra_authorities: Vec<Vec<u8>>,
    /// The certificate and key, in PEM, by which the client shows who it is.
    pub identity: Option<Secret>,
    /// Which certificates of servers are accepted.
    pub certificates: Certificates,
    /// Which registries are reached without TLS.
    pub plain_http: PlainHttp,
    /// Who the client is to which registry.
    pub credentials: Arc<dyn Credentials>,
    /// Is told of each warning of a registry once (row E-11); without it they are traced.
    pub on_warning: Option<WarningHandler>,
}

/// Is given the host that a warning is from, and the warning.
pub type WarningHandler = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// A registry that answers for another: a mirror, or a cache that fetches what it is asked for. What
/// is read from it says by the parameter `ns` which registry is meant; what is written does not.
///
/// It is shown the credentials that are kept under its own name, never those of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Who is asked, as [`crate::Client::registry`] is given it.
    pub host: String,
    /// Whose content that is, such as `docker.io`.
    pub of: String,
}

/// How blobs are uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushMode {
    /// In one request, and in chunks where a registry refuses that.
    Whole,
    /// In chunks, always.
    Chunks,
}

/// Which certificates of servers are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificates {
    /// Those that a trusted authority vouches for.
    Verified,
    /// Any, so that nobody knows who answers.
    Any,
}

/// Which registries are reached without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// None.
    Never,
    /// Those on this machine: `localhost`, `127.0.0.0/8` and `::1`.
    Loopback,
    /// All.
    Always,
}

/// What requests pass through, in the form of the well-known variables. An address may hold a
/// password, hence the type.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// The proxy for plain HTTP.
    pub http: Option<Secret>,
    /// The proxy for HTTPS.
    pub https: Option<Secret>,
    /// The hosts that are reached without one, separated by commas.
    pub no_proxy: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            user_agent: concat!("longshore/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(15),
            // Object stores behind registries have been seen to think for half a minute.
            idle_timeout: Duration::from_mins(1),
            retries: 5,
            backoff: Duration::from_millis(500),
            jobs_per_host: 32,
            push: PushMode::Whole,
            chunk_size: 4 << 20,
            proxies: Proxies::default(),
            mirrors: Vec::new(),
            extra_authorities: Vec::new(),
            identity: None,
            certificates: Certificates::Verified,
            plain_http: PlainHttp::Loopback,
            credentials: Arc::new(Anonymous),
            on_warning: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("user_agent", &self.user_agent)
            .field("proxies", &self.proxies)
            .field("mirrors", &self.mirrors)
            .field("certificates", &self.certificates)
            .field("plain_http", &self.plain_http)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
