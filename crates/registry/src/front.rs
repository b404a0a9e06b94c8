//! A registry on TCP ports: HTTP/1.1 and HTTP/2 by `hyper`, with TLS or without.
//!
//! A request holds a thread of a pool until its answer is known, and while its body is received. A thread
//! reads a blob only as fast as its client takes it. If the client is slow, the thread does other work,
//! and another thread continues later. So a slow client neither slows down others nor fills the memory.
//!
//! Connections are many and cheap, threads are few: a connection has a thread only while a request is
//! served on it. When the limit of connections is reached, idle ones are closed. When all threads are
//! busy, requests wait; beyond a limit they are refused with 429 (row F-46); and bodies that are too slow
//! are aborted.
//!
//! Beside the registry there are `/healthz`, which answers everybody, and `/metrics`, which answers
//! everybody who may pull, with figures for Prometheus.

mod activity;
mod admission;
mod authenticator;
mod backlog;
mod client;
mod connection;
mod connections;
mod endpoint;
mod exchange;
mod fair_semaphore;
mod lag;
mod limits;
mod metrics;
mod passwords;
mod record;
mod request_body;
mod response_body;
mod timeout_stream;
mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{self, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub use self::metrics::MoreMetrics;
pub use self::passwords::{Passwords, Refused};
pub use self::record::{RequestObserver, RequestRecord};
pub use self::tls::{Certificate, CertificateError};

use self::admission::Admission;
use self::authenticator::Authenticator;
use self::client::site_of;
use self::connection::stopping;
use self::connections::Connections;
use self::metrics::Metrics;
use crate::Handler;

/// These threads only wait for sockets, parse headers, and encrypt.
const SOCKET_THREADS: usize = 2;

/// The pause after a connection could not be accepted, for example because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The pause after a connection was asked to make room. Then the next one is asked.
const ROOM_PAUSE: Duration = Duration::from_millis(20);

/// How often to check whether requests wait for memory that others hold and do not use.
const RELIEF_INTERVAL: Duration = Duration::from_millis(250);

/// How often to look for uploads that have expired.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(1);

/// The shortest time between two calls that settle the place.
const SETTLE_INTERVAL: Duration = Duration::from_secs(1);

/// Settling takes at most one part in this many of the time.
const SETTLE_SHARE: u32 = 10;

/// Threads for expiring and settling, which may wait for a disk.
const CHORES: usize = 2;

/// The limits and the access control of a front end.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The most open connections. Beyond it, idle ones are closed.
    pub max_connections: usize,
    /// The most requests that are served at once, each by one thread. Others wait.
    pub max_requests: usize,
    /// The most requests that may wait for a thread. Others are refused.
    pub max_waiting: usize,
    /// The memory for requests and answers, in bytes. Requests wait for it, and answers that do not move
    /// are aborted for it. One client gets at most three quarters.
    pub max_memory: usize,
    /// A connection without a request is closed after this time, and so is one whose client takes longer
    /// to send the headers of a request.
    pub header_timeout: Duration,
    /// The same while the server is stopping.
    pub stop_timeout: Duration,
    /// A connection is closed if its client neither sends nor takes a byte of a body for this time. The
    /// speed of bodies is measured over this time.
    pub idle_timeout: Duration,
    /// The same while other requests wait. They wait for twice as long as the default.
    pub idle_timeout_while_others_wait: Duration,
    /// A body that moves slower, in bytes a second, is aborted.
    pub min_rate: u64,
    /// The same while other requests wait.
    pub min_rate_while_others_wait: u64,
    /// The certificate of the server. Without one there is no TLS.
    pub certificate: Option<Certificate>,
    /// The passwords that are accepted. `None` admits everybody. A client that is admitted may do
    /// everything that the registry allows, in every repository, so a mount shows nobody what they could
    /// not pull (row F-21).
    pub passwords: Option<Passwords>,
    /// Whether pulling needs no password. A wrong password is refused anyway.
    pub anonymous_pull: bool,
    /// Is called for each request.
    pub observer: Option<RequestObserver>,
    /// Returns more of what `/metrics` answers, in the text format of Prometheus.
    pub more_metrics: Option<MoreMetrics>,
}

impl Default for ServerOptions {
    /// Everybody is admitted, without TLS.
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_requests: 256,
            max_waiting: 1 << 10,
            max_memory: 40 << 20,
            header_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_mins(1),
            idle_timeout_while_others_wait: Duration::from_secs(10),
            // The slowest links in use are ten times as fast.
            min_rate: 240,
            min_rate_while_others_wait: 4 << 10,
            certificate: None,
            passwords: None,
            anonymous_pull: false,
            observer: None,
            more_metrics: None,
        }
    }
}

/// A registry that is being served. Dropping it stops the server at once.
#[derive(Debug)]
pub struct Server {
    runtime: Option<Runtime>,
    addresses: Vec<SocketAddr>,
    state: watch::Sender<State>,
    shared: Arc<Shared>,
}

/// The state that connections share.
#[derive(Debug)]
struct Shared {
    registry: Arc<Handler>,
    options: ServerOptions,
    certificate: Option<tls::CurrentCertificate>,
    authenticator: Arc<Authenticator>,
    admission: Admission,
    connections: Arc<Connections>,
    metrics: Metrics,
}

/// Whether the server accepts requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Stopping,
}

/// Serves `registry` on `listeners`, on threads of its own, until the server is stopped.
pub fn serve(
    listeners: impl IntoIterator<Item = TcpListener>,
    registry: Arc<Handler>,
    options: ServerOptions,
) -> io::Result<Server> {
    let max_requests = options.max_requests.max(1);
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(SOCKET_THREADS)
        // Some more, for work that no request asked for.
        .max_blocking_threads(max_requests + authenticator::CHECKS + CHORES)
        .thread_name("longshore-http")
        .enable_all()
        .build()?;
    let permits = Arc::new(Semaphore::new(options.max_connections.max(1)));
    let shared = Arc::new(Shared {
        registry: Arc::clone(&registry),
        certificate: options.certificate.clone().map(tls::CurrentCertificate::new),
        authenticator: Arc::new(Authenticator::new(
            options.passwords.clone(),
            options.anonymous_pull,
        )?),
        admission: Admission::new(&options),
        connections: Arc::default(),
        metrics: Metrics::default(),
        options,
    });
    let (state, _) = watch::channel(State::Open);
    let mut addresses = Vec::new();
    for listener in listeners {
        addresses.push(listener.local_addr()?);
        listener.set_nonblocking(true)?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (permits, shared) = (Arc::clone(&permits), Arc::clone(&shared));
        runtime.spawn(accept(listener, permits, shared, state.clone()));
    }
    runtime.spawn(expire_uploads(Arc::clone(&registry)));
    runtime.spawn(settle(registry));
    runtime.spawn(relieve(Arc::clone(&shared)));
    Ok(Server { runtime: Some(runtime), addresses, state, shared })
}

impl Server {
    /// Returns the addresses that clients connect to, in the order of the listeners.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Uses this certificate for new connections, if the server has TLS.
    pub fn set_certificate(&self, certificate: Certificate) {
        if let Some(shown) = &self.shared.certificate {
            shown.replace(certificate);
        }
    }

    /// Accepts these passwords from now on, if the server asks for passwords.
    pub fn set_passwords(&self, passwords: Passwords) {
        self.shared.authenticator.replace(passwords);
    }

    /// Accepts no more requests, waits until those in flight have ended or `grace` is over, and returns
    /// how many have not ended.
    pub fn stop(mut self, grace: Duration) -> usize {
        let Some(runtime) = self.runtime.take() else { return 0 };
        // Every connection holds a receiver, so the channel closes with the last connection.
        let ended = runtime.block_on(async {
            self.state.send_replace(State::Stopping);
            tokio::time::timeout(grace, self.state.closed()).await.is_ok()
        });
        let left = if ended { 0 } else { self.shared.metrics.in_flight() };
        // All changes are durable even if nobody settles the place: another process may hold the lock for
        // long.
        let registry = Arc::clone(&self.shared.registry);
        runtime.block_on(async {
            let settled = tokio::task::spawn_blocking(move || registry.settle());
            let _ = tokio::time::timeout(grace.max(SETTLE_INTERVAL), settled).await;
        });
        runtime.shutdown_background();
        left
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn expire_uploads(registry: Arc<Handler>) {
    loop {
        tokio::time::sleep(EXPIRY_INTERVAL).await;
        let registry = Arc::clone(&registry);
        let expire = move || registry.expire_uploads(Instant::now());
        // It fails only if the thread panicked, which does not affect later rounds.
        let _ = tokio::task::spawn_blocking(expire).await;
    }
}

async fn settle(registry: Arc<Handler>) {
    let mut pause = SETTLE_INTERVAL;
    loop {
        tokio::time::sleep(pause).await;
        let registry = Arc::clone(&registry);
        let began = Instant::now();
        // It fails only if the thread panicked, which does not affect later rounds.
        let _ = tokio::task::spawn_blocking(move || registry.settle()).await;
        pause = SETTLE_INTERVAL.max(began.elapsed() * SETTLE_SHARE);
    }
}

/// Takes memory back from connections that do not use it while others wait for memory.
async fn relieve(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(RELIEF_INTERVAL).await;
        shared.connections.relieve(shared.admission.memory(), Instant::now());
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    permits: Arc<Semaphore>,
    shared: Arc<Shared>,
    state: watch::Sender<State>,
) {
    let mut stop = state.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping(&mut stop) => return,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let permit = tokio::select! {
            permit = permit(&permits, &shared.connections, client.ip()) => permit,
            () = stopping(&mut stop) => return,
        };
        let (shared, state) = (Arc::clone(&shared), state.subscribe());
        tokio::spawn(async move {
            shared.metrics.connected();
            connection::serve(stream, client, Arc::clone(&shared), state).await;
            shared.metrics.disconnected();
            drop(permit);
        });
    }
}

/// Waits for a permit for another connection, and makes others give one up.
async fn permit(
    permits: &Arc<Semaphore>,
    connections: &Connections,
    newcomer: IpAddr,
) -> Option<OwnedSemaphorePermit> {
    loop {
        if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
            return Some(permit);
        }
        connections.make_room(site_of(newcomer));
        let wait_for_memory = Arc::clone(permits).acquire_owned();
        if let Ok(permit) = tokio::time::timeout(ROOM_PAUSE, wait_for_memory).await {
            // The semaphore is never closed, so there is a permit.
            return permit.ok();
        }
    }
}
