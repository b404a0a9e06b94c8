//! Connections, and the runtime behind them.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use longshore_store::{ConnectionFailure, Error, Result};
use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use tokio::time::timeout;

use super::answer::Answer;
use super::failure;
use super::stream_body::StreamBody;
use super::throttle::{Throttle, backoff};
use super::transport::Transport;
use super::{AttemptError, Body, Hop, Protocol, Reach, Retry, proxy, public, tls};
use crate::url::{Url, without_secrets};
use crate::{Config, ForeignUrls, Limits, WarningHandler};

/// How many different warnings are remembered. Further ones are not shown.
const MOST_WARNINGS: usize = 1000;

/// A warning is cut off after so many characters.
const LONGEST_WARNING: usize = 1000;

/// An answer with more headers is refused: the busiest registries send some 40.
const MOST_HEADERS: usize = 100;

/// Headers of more bytes are refused over HTTP/2. Over HTTP/1.1 the library has a bound of some 400 KiB.
const MOST_HEADER_BYTES: u32 = 64 << 10;

/// A body of up to so many bytes is sent in one piece, without measuring its speed.
const SENT_AT_ONCE: usize = 16 << 10;

/// Connections to all hosts.
pub(crate) struct Http {
    pub(super) transport: Transport,
    negotiated: Client,
    http1: Client,
    /// Reaches only hosts on the public internet.
    public: Client,
    /// Reaches the `urls` of descriptors, without the client's certificate.
    foreign: Client,
    foreign_urls: ForeignUrls,
    pub(super) throttle: Throttle,
    retries: u32,
    backoff: Duration,
    warned: Mutex<HashSet<(String, String)>>,
    on_warning: Option<WarningHandler>,
    /// Whether requests may go through a proxy.
    has_proxy: bool,
}

impl Http {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let tls = tls::client(config, config.identity.as_ref())?;
        let nameless = tls::client(config, None)?;
        Ok(Self {
            transport: Transport::new(config)?,
            negotiated: client(config, &tls, Protocol::Negotiated, Reach::Anywhere)?,
            http1: client(config, &tls, Protocol::Http1, Reach::Anywhere)?,
            public: client(config, &tls, Protocol::Negotiated, Reach::Public)?,
            foreign: client(
                config,
                &nameless,
                Protocol::Http1,
                match config.foreign_urls {
                    ForeignUrls::Anywhere => Reach::Anywhere,
                    ForeignUrls::Refused | ForeignUrls::Public => Reach::Public,
                },
            )?,
            foreign_urls: config.foreign_urls,
            throttle: Throttle::new(config.jobs_per_host, config.request_rate),
            retries: config.retries,
            backoff: config.backoff,
            warned: Mutex::default(),
            on_warning: config.on_warning.clone(),
            has_proxy: config.proxies.http.is_some() || config.proxies.https.is_some(),
        })
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.transport.limits()
    }

    /// Returns which `urls` of descriptors are followed.
    pub(crate) fn foreign_urls(&self) -> ForeignUrls {
        self.foreign_urls
    }

    pub(crate) fn retries(&self) -> u32 {
        self.retries
    }

    pub(super) fn backoff(&self, attempt: u32) -> Duration {
        backoff(self.backoff, attempt)
    }

    /// Sleeps before retry number `attempt`, the first being 0.
    pub(crate) fn wait(&self, attempt: u32) {
        std::thread::sleep(self.backoff(attempt));
    }

    /// Logs a warning once.
    pub(crate) fn warn_once(&self, text: &str) {
        if self.is_new("", text) {
            tracing::warn!("{text}");
        }
    }

    /// Tells whether this warning is new.
    fn is_new(&self, host: &str, text: &str) -> bool {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        warned.len() < MOST_WARNINGS && warned.insert((host.to_owned(), text.to_owned()))
    }

    /// Passes a warning of a registry on, once (row E-11).
    pub(super) fn warn(&self, host: &str, text: &str) {
        let text: String = text.chars().take(LONGEST_WARNING).collect();
        let text = text.as_str();
        if !self.is_new(host, text) {
            return;
        }
        if let Some(handler) = &self.on_warning {
            handler(host, text);
        } else {
            tracing::warn!("{host} warns: {text}");
        }
    }

    /// Sends one request and returns when its answer begins.
    pub(super) fn once(
        &self,
        hop: &Hop<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer<'_>, AttemptError> {
        let host = hop.url.host();
        if let Some(error) = self.throttle.given_up(&host) {
            return Err(AttemptError::lasting(error));
        }
        let is_guarded = match hop.reach {
            Reach::Anywhere => false,
            Reach::Public => true,
            Reach::Foreign => self.foreign_urls != ForeignUrls::Anywhere,
        };
        if is_guarded {
            public::check(&hop.url)?;
        }
        let _permit = self.throttle.acquire(&host);
        let client = match (hop.reach, hop.protocol) {
            (Reach::Foreign, _) => &self.foreign,
            (Reach::Public, _) => &self.public,
            (Reach::Anywhere, Protocol::Negotiated) => &self.negotiated,
            (Reach::Anywhere, Protocol::Http1) => &self.http1,
        };
        tracing::trace!(method = %hop.method, url = without_secrets(&hop.url), "request");
        let request = client
            .request(hop.method.clone(), hop.url.to_request())
            .headers(hop.all_headers(authorization));
        let streamed: Option<&dyn StreamBody> = match &hop.body {
            Body::Streamed(content) => Some(*content).filter(|content| content.len() > 0),
            // On a slow line, sending it may take longer than the other side may be silent.
            Body::Bytes(bytes) | Body::Secret(bytes) if bytes.len() > SENT_AT_ONCE => Some(bytes),
            _ => None,
        };
        if let Some(content) = streamed {
            let (response, upload) = self.upload(request, content, &host)?;
            tracing::trace!(status = %response.status(), url = without_secrets(&hop.url), "answer");
            return Ok(Answer::new(&self.transport, response, hop.url.clone(), upload));
        }
        let bytes = match &hop.body {
            Body::Bytes(bytes) | Body::Secret(bytes) => bytes.clone(),
            Body::Nothing | Body::Streamed(_) => bytes::Bytes::new(),
        };
        let request = if bytes.is_empty() { request } else { request.body(bytes) };
        let response = self
            .transport
            .runtime()
            .block_on(async { timeout(self.transport.idle(), request.send()).await })
            .map_err(|_| AttemptError {
                error: silent(&host, self.transport.idle()),
                retry: Retry::Once,
            })?
            .map_err(|error| self.no_answer(&host, error))?;
        tracing::trace!(status = %response.status(), url = without_secrets(&hop.url), "answer");
        Ok(Answer::new(&self.transport, response, hop.url.clone(), None))
    }

    /// Returns the error of a request that got no answer. A host that has answered before is waited for.
    fn no_answer(&self, host: &str, error: reqwest::Error) -> AttemptError {
        let mut trouble = failure::no_answer(host, error);
        if let Error::Connection { why: ConnectionFailure::Refused { port }, .. } =
            &mut trouble.error
        {
            port.take_if(|_| self.has_proxy);
        }
        // Another attempt would find the same address. The host is not given up: other requests may reach
        // it.
        if matches!(&trouble.error, Error::Connection { why: ConnectionFailure::NotPublic, .. }) {
            return AttemptError::lasting(trouble.error);
        }
        let is_known = trouble.retry == Retry::Briefly && self.throttle.has_answered(host);
        if is_known { AttemptError::passing(trouble.error) } else { trouble }
    }
}

pub(super) fn silent(host: &str, patience: Duration) -> Error {
    Error::unreachable(host, ConnectionFailure::Silent(patience))
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("throttle", &self.throttle).finish_non_exhaustive()
    }
}

fn client(config: &Config, tls: &ClientConfig, protocol: Protocol, reach: Reach) -> Result<Client> {
    let mut tls = tls.clone();
    tls.alpn_protocols = match protocol {
        Protocol::Negotiated => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
    };
    let proxies = &config.proxies;
    let resolver = match reach {
        Reach::Anywhere => public::Resolver::Any,
        Reach::Public | Reach::Foreign => {
            let named = [&proxies.http, &proxies.https].into_iter().flatten();
            let hosts = named.filter_map(|address| Url::host_of_proxy(address.expose()));
            public::Resolver::Public { proxies: hosts.collect() }
        }
    };
    let mut builder = Client::builder()
        .user_agent(&config.user_agent)
        .connect_timeout(config.connect_timeout)
        .pool_max_idle_per_host(config.jobs_per_host)
        .redirect(Policy::none())
        .dns_resolver(resolver)
        .tls_backend_preconfigured(tls)
        .http1_max_headers(MOST_HEADERS)
        .http2_max_header_list_size(MOST_HEADER_BYTES)
        .no_proxy();
    if protocol == Protocol::Http1 {
        builder = builder.http1_only();
    }
    if let Some(proxy) = proxy::of(proxies)? {
        builder = builder.proxy(proxy);
    }
    builder
        .build()
        .map_err(|error| Error::malformed("connections", failure::innermost_message(error)))
}
