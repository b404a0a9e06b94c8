//! Connections, and the runtime behind them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use longshore_store::{ConnectionFailure, Error, Flaw, Result};
use reqwest::dns::{Addrs, Name as DnsName, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, NoProxy, Proxy};
use rustls::ClientConfig;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::answer::{Answer, host_of};
use super::pace::{Pace, backoff};
use super::{Again, Body, Hop, Lane, Trouble, shown, tls};
use crate::{Config, Secret, WarningHandler, problem};

/// How many different warnings are remembered; what comes after is not shown.
const MOST_WARNINGS: usize = 1000;

/// Connections to any number of hosts.
pub(crate) struct Http {
    runtime: Runtime,
    brief: Client,
    bulk: Client,
    pub(super) pace: Pace,
    idle: Duration,
    retries: u32,
    backoff: Duration,
    warned: Mutex<HashSet<(String, String)>>,
    on_warning: Option<WarningHandler>,
}

impl Http {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let tls = tls::client(config)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1) // it only moves bytes between sockets and the threads of jobs
            .thread_name("longshore-http")
            .enable_all()
            .build()
            .map_err(Error::io("start", "a thread for connections"))?;
        Ok(Self {
            runtime,
            brief: client(config, &tls, Lane::Brief)?,
            bulk: client(config, &tls, Lane::Bulk)?,
            pace: Pace::new(config.jobs_per_host),
            idle: config.idle_timeout,
            retries: config.retries,
            backoff: config.backoff,
            warned: Mutex::default(),
            on_warning: config.on_warning.clone(),
        })
    }

    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(super) fn idle(&self) -> Duration {
        self.idle
    }

    pub(crate) fn retries(&self) -> u32 {
        self.retries
    }

    pub(super) fn backoff(&self, attempt: u32) -> Duration {
        backoff(self.backoff, attempt)
    }

    /// Waits as long as is right after failure number `attempt`, the first being 0.
    pub(crate) fn wait(&self, attempt: u32) {
        std::thread::sleep(self.backoff(attempt));
    }

    /// Passes a warning on, once (row E-11).
    pub(super) fn warn(&self, host: &str, text: &str) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.len() >= MOST_WARNINGS || !warned.insert((host.to_owned(), text.to_owned())) {
            return;
        }
        drop(warned);
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
    ) -> Result<Answer<'_>, Trouble> {
        let host = host_of(&hop.url);
        if let Some(error) = self.pace.given_up(&host) {
            return Err(Trouble::lasting(error));
        }
        let _permit = self.pace.acquire(&host);
        let client = match hop.lane {
            Lane::Brief => &self.brief,
            Lane::Bulk => &self.bulk,
        };
        tracing::trace!(method = %hop.method, url = shown(&hop.url), "request");
        let request = client
            .request(hop.method.clone(), hop.url.clone())
            .headers(hop.all_headers(authorization));
        let bytes = match &hop.body {
            Body::Streamed(content) if content.len() > 0 => {
                let (response, upload) = self.upload(request, *content, &host)?;
                tracing::trace!(status = %response.status(), url = shown(&hop.url), "answer");
                return Ok(Answer::new(self, response, upload));
            }
            Body::Bytes(bytes) => bytes.clone(),
            _ => bytes::Bytes::new(),
        };
        let request = if bytes.is_empty() { request } else { request.body(bytes) };
        let response = self
            .runtime
            .block_on(async { timeout(self.idle, request.send()).await })
            .map_err(|_| Trouble::passing(silent(&host, self.idle)))?
            .map_err(|error| self.no_answer(&host, error))?;
        tracing::trace!(status = %response.status(), url = shown(&hop.url), "answer");
        Ok(Answer::new(self, response, None))
    }

    /// Returns what it means that no answer came. A host that has answered before is waited for.
    fn no_answer(&self, host: &str, error: reqwest::Error) -> Trouble {
        let trouble = problem::no_answer(host, error);
        let is_known = trouble.again == Again::Briefly && self.pace.has_answered(host);
        if is_known { Trouble::passing(trouble.error) } else { trouble }
    }
}

pub(super) fn silent(host: &str, patience: Duration) -> Error {
    Error::unreachable(host, ConnectionFailure::Silent(patience))
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("pace", &self.pace).finish_non_exhaustive()
    }
}

fn client(config: &Config, tls: &ClientConfig, lane: Lane) -> Result<Client> {
    let mut tls = tls.clone();
    tls.alpn_protocols = match lane {
        Lane::Brief => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Lane::Bulk => vec![b"http/1.1".to_vec()],
    };
    let mut builder = Client::builder()
        .user_agent(&config.user_agent)
        .connect_timeout(config.connect_timeout)
        .pool_max_idle_per_host(config.jobs_per_host)
        .redirect(Policy::none())
        .dns_resolver(Arc::new(Resolver))
        .tls_backend_preconfigured(tls)
        .no_proxy();
    if lane == Lane::Bulk {
        builder = builder.http1_only();
    }
    let proxies = &config.proxies;
    let none = proxies.no_proxy.as_deref().and_then(NoProxy::from_string);
    let proxy = |make: fn(&str) -> reqwest::Result<Proxy>, address: &Secret| {
        make(address.expose())
            .map(|proxy| proxy.no_proxy(none.clone()))
            .map_err(|error| Error::malformed("the proxy", Flaw::Proxy(problem::plainly(error))))
    };
    if let Some(address) = &proxies.http {
        builder = builder.proxy(proxy(|address| Proxy::http(address), address)?);
    }
    if let Some(address) = &proxies.https {
        builder = builder.proxy(proxy(|address| Proxy::https(address), address)?);
    }
    builder.build().map_err(|error| Error::malformed("connections", problem::plainly(error)))
}

/// Looks up names as the system does, and says by a value that there is no address.
struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: DnsName) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found.map(Vec::from_iter);
            let found = found.map_err(|error| {
                ConnectionFailure::NoAddress(problem::clean(&error.to_string()))
            })?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
