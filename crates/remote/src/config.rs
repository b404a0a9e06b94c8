//! What a client is told: all that other programs read from the environment.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Secret;
use crate::credentials::{Anonymous, Credentials};
use crate::url::Url;

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
    /// Which addresses are gone to because a descriptor names them.
    pub foreign_urls: ForeignUrls,
    /// What is taken of a registry, and how slowly it may come.
    pub limits: Limits,
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

/// Which addresses are gone to because a descriptor names them (row B-06). Whoever makes an artifact
/// writes them, so they are gone to by HTTPS only, without saying who asks, and only for what the
/// registry says that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignUrls {
    /// None.
    Refused,
    /// Those on the public internet. A name is looked up first, and what it stands for counts. Where
    /// requests pass through a proxy, the proxy looks names up, and has to decide itself.
    Public,
    /// All, also on this machine and in its networks.
    Anywhere,
}

/// What is taken of a registry, and how slowly it may come. Nothing that is in use comes near.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long is waited for bytes until it is looked at how many came.
    pub window: Duration,
    /// How many bytes a second have to come of content, and have to be taken of it, in a window in which
    /// some are. Many requests share a slow line.
    pub least_speed: u64,
    /// The same, for what is held in memory: manifests, lists, tokens.
    pub least_speed_of_documents: u64,
    /// How long what a refusal says is waited for; what has come by then is shown.
    pub explanation: Duration,
    /// How many entries a list may have in all its pages.
    pub list_entries: usize,
    /// How many bytes the entries of a list may have together.
    pub list_bytes: usize,
    /// How many bytes a page of a list may have.
    pub list_page_bytes: u64,
    /// How many pages a list may have.
    pub list_pages: usize,
    /// How many entries a list of referrers may have in all its pages.
    pub referrers: usize,
    /// How many bytes the pages of a list of referrers may have together.
    pub referrers_bytes: usize,
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
            foreign_urls: ForeignUrls::Public,
            limits: Limits::default(),
            credentials: Arc::new(Anonymous),
            on_warning: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Long enough for a line that is lost for a moment, and for what comes in bursts.
            window: Duration::from_secs(30),
            // A line of 2 KiB/s that eight requests share.
            least_speed: 240,
            // The largest manifest, 8 MiB, within some two hours.
            least_speed_of_documents: 1024,
            // It comes with the status, or not at all.
            explanation: Duration::from_secs(5),
            // The largest repositories have some hundred thousand tags.
            list_entries: 2_000_000,
            // A million tags of the greatest length.
            list_bytes: 128 << 20,
            // All of them on one page, in quotes.
            list_page_bytes: 160 << 20,
            // A million tags, 50 a page.
            list_pages: 20_000,
            // What is signed with each build for years has some thousand.
            referrers: 100_000,
            referrers_bytes: 64 << 20,
        }
    }
}

impl PlainHttp {
    /// Tells whether what is meant for the host of `url` may go there without TLS.
    pub(crate) fn allows(self, url: &Url) -> bool {
        match self {
            Self::Never => false,
            Self::Loopback => url.is_loopback(),
            Self::Always => true,
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
            .field("foreign_urls", &self.foreign_urls)
            .field("limits", &self.limits)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
