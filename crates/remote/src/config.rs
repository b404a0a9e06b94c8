//! The configuration of a client. Other programs read most of it from the environment.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::Secret;
use crate::credentials::{Anonymous, Credentials};
use crate::url::Url;

/// How a [`crate::Client`] reaches registries.
#[derive(Clone)]
pub struct Config {
    /// The `User-Agent` header.
    pub user_agent: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the other side may be silent.
    pub idle_timeout: Duration,
    /// How often a request that failed for a temporary reason is repeated.
    pub retries: u32,
    /// The longest wait before the first retry. It doubles with each further one.
    pub backoff: Duration,
    /// How many requests to one host may be in flight at once, until the host asks for fewer.
    pub jobs_per_host: usize,
    /// How many requests each host gets in a time, on average. Without it, as many as there are.
    pub request_rate: Option<Rate>,
    /// How many bytes of content are received in a time, from all hosts together, and how many are sent.
    /// Without it, as many as come.
    pub byte_rate: Option<Rate>,
    /// How blobs are uploaded.
    pub push: PushMode,
    /// The size of a chunk in bytes, for uploads in chunks. Some registries refuse more than 4 MiB,
    /// others ask for more (row E-49).
    pub chunk_size: u64,
    /// The proxies for requests.
    pub proxies: Proxies,
    /// The mirrors of registries (row E-14).
    pub mirrors: Vec<Mirror>,
    /// Certificates in PEM that are trusted in addition to those of the system: of authorities or of
    /// servers, even of a server whose certificate is also its own authority.
    pub extra_authorities: Vec<Vec<u8>>,
    /// The client's certificate and key, in PEM.
    pub identity: Option<Secret>,
    /// Which server certificates are accepted.
    pub certificates: Certificates,
    /// Which registries are reached without TLS.
    pub plain_http: PlainHttp,
    /// Which `urls` of descriptors are followed.
    pub foreign_urls: ForeignUrls,
    /// How much a registry may send, and how slowly.
    pub limits: Limits,
    /// The credentials for each registry.
    pub credentials: Arc<dyn Credentials>,
    /// Is called once for each warning of a registry (row E-11). Without it, warnings are traced.
    pub on_warning: Option<WarningHandler>,
}

/// So much in so much time, on average.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How much.
    pub amount: NonZeroU64,
    /// In how much time.
    pub per: Duration,
}

/// Gets the host that sent a warning, and the text of the warning.
pub type WarningHandler = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// A registry that answers for another: a mirror or a cache. Pull requests name the other registry in the
/// parameter `ns`; push requests do not.
///
/// A mirror gets the credentials that are stored under its own name, never those of the other registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The mirror's host, as [`crate::Client::registry`] takes it.
    pub host: String,
    /// The registry that is mirrored, such as `docker.io`.
    pub of: String,
}

/// How blobs are uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushMode {
    /// In one request. If a registry refuses that, in chunks.
    Whole,
    /// Always in chunks.
    Chunks,
}

/// Which server certificates are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificates {
    /// Those that a trusted authority signed.
    Verified,
    /// Any. Nobody knows then who answers.
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

/// Which `urls` of descriptors are followed (row B-06). The author of an artifact writes them, so they
/// are followed only over HTTPS, without credentials, and only for content that the registry does not
/// have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignUrls {
    /// None.
    Refused,
    /// Those on the public internet. A name is resolved first, and its address decides. If requests go
    /// through a proxy, the proxy resolves names and has to decide by itself.
    Public,
    /// All, including those on this machine and in its networks.
    Anywhere,
}

/// How much a registry may send, and how slowly. Real registries stay far below these bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long a measurement of speed takes, in time spent waiting.
    pub window: Duration,
    /// The least speed of content, in bytes a second, in each window in which some bytes move. Many
    /// requests may share a slow line.
    pub least_speed: u64,
    /// The least speed of documents, which are held in memory: manifests, lists, tokens.
    pub least_speed_of_documents: u64,
    /// How long to wait for the explanation of a refusal. What has come by then is shown.
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

/// The proxies for requests, as the usual environment variables name them. An address may hold a
/// password, hence the type.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// The proxy for plain HTTP.
    pub http: Option<Secret>,
    /// The proxy for HTTPS.
    pub https: Option<Secret>,
    /// Hosts that are reached without a proxy, separated by commas.
    pub no_proxy: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            user_agent: concat!("longshore/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(15),
            // Object stores behind registries sometimes need half a minute to answer.
            idle_timeout: Duration::from_mins(1),
            retries: 5,
            backoff: Duration::from_millis(500),
            jobs_per_host: 32,
            request_rate: None,
            byte_rate: None,
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
            // Long enough for a line that drops for a moment, and for data that comes in bursts.
            window: Duration::from_secs(30),
            // A line of 2 KiB/s that eight requests share.
            least_speed: 240,
            // The largest manifest, 8 MiB, within some two hours.
            least_speed_of_documents: 1024,
            // The explanation comes with the status, or not at all.
            explanation: Duration::from_secs(5),
            // The largest repositories have some hundred thousand tags.
            list_entries: 2_000_000,
            // A million tags of the greatest length.
            list_bytes: 128 << 20,
            // All of them on one page, in quotes.
            list_page_bytes: 160 << 20,
            // A million tags, 50 a page.
            list_pages: 20_000,
            // A subject that is signed with each build for years has some thousand referrers.
            referrers: 100_000,
            referrers_bytes: 64 << 20,
        }
    }
}

impl Rate {
    /// An amount never takes longer than this: nobody waits for it, and clocks can still tell it.
    const LONGEST: Duration = Duration::from_hours(24 * 365);

    /// Returns how much time an amount takes.
    pub(crate) fn time_for(self, amount: u64) -> Duration {
        let nanos = u128::from(amount).saturating_mul(self.per.as_nanos());
        let nanos = nanos / u128::from(self.amount.get());
        u64::try_from(nanos).map_or(Self::LONGEST, Duration::from_nanos).min(Self::LONGEST)
    }
}

impl PlainHttp {
    /// Tells whether the host of `url` may be reached without TLS.
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
            .field("request_rate", &self.request_rate)
            .field("byte_rate", &self.byte_rate)
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
