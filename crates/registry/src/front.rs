//! A registry on a TCP port: HTTP/1.1, as `hyper` speaks it.
//!
//! Each request is served by one thread of a pool from its first to its last byte. The thread asks
//! for the next piece of a body when it is done with the one before, and waits until the socket has
//! taken what it gave: a client that is slow slows down nobody else and fills no memory.

mod exchange;
mod patient;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::runtime::{self, Handle, Runtime};
use tokio::sync::{Semaphore, watch};

use self::patient::Patient;
use crate::Registry;

/// The threads that only wait for sockets and parse headers.
const SOCKET_THREADS: usize = 2;

/// After a connection could not be accepted (there are too many files open), the next try waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often uploads are looked through for those that nobody has touched for long.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(1);

/// How a front end treats its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// So many connections are served at once, each by one thread; the others wait.
    pub max_connections: usize,
    /// A client that takes longer to send the headers of its next request is hung up on.
    pub header_timeout: Duration,
    /// A client that neither sends nor takes a byte of a body for so long is hung up on.
    pub idle_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 256,
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(1),
        }
    }
}

/// A registry that is being served. Dropping it ends it without waiting for anyone.
#[derive(Debug)]
pub struct Server {
    runtime: Option<Runtime>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

/// What connections share.
struct Shared {
    registry: Arc<Registry>,
    options: Options,
    stop: watch::Receiver<bool>,
}

/// Serves `registry` on `listener`, on threads of its own, until the server is stopped.
pub fn serve(
    listener: TcpListener,
    registry: Arc<Registry>,
    options: Options,
) -> io::Result<Server> {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(SOCKET_THREADS)
        // One more for what no connection asked for.
        .max_blocking_threads(options.max_connections.max(1) + 1)
        .thread_name("longshore-http")
        .enable_all()
        .build()?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let listener = {
        let _context = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let (stop, stopped) = watch::channel(false);
    runtime.spawn(expire_uploads(Arc::clone(&registry)));
    runtime.spawn(accept(listener, Shared { registry, options, stop: stopped }));
    Ok(Server { runtime: Some(runtime), address, stop })
}

impl Server {
    /// Returns the address that clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, lets those under way end, and returns when all have or when `grace`
    /// is over. Says whether all have ended.
    pub fn stop(mut self, grace: Duration) -> bool {
        let Some(runtime) = self.runtime.take() else { return true };
        // Every connection holds a receiver; the last one closes the channel.
        let ended = runtime.block_on(async {
            self.stop.send_replace(true);
            tokio::time::timeout(grace, self.stop.closed()).await.is_ok()
        });
        runtime.shutdown_background();
        ended
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn expire_uploads(registry: Arc<Registry>) {
    loop {
        tokio::time::sleep(EXPIRY_INTERVAL).await;
        let registry = Arc::clone(&registry);
        let expire = move || registry.expire_uploads(Instant::now());
        // It fails only if the thread panicked, which concerns no later round.
        let _ = tokio::task::spawn_blocking(expire).await;
    }
}

async fn accept(listener: tokio::net::TcpListener, mut shared: Shared) {
    let permits = Arc::new(Semaphore::new(shared.options.max_connections.max(1)));
    loop {
        // Never closed, so it never fails.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut shared.stop) => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = connection(stream, &shared);
        tokio::spawn(async move {
            connection.await;
            drop(permit);
        });
    }
}

/// Serves the requests of one connection, one after the other.
fn connection(stream: TcpStream, shared: &Shared) -> impl Future<Output = ()> + use<> {
    let Shared { registry, options, stop } = shared;
    let (registry, mut stop) = (Arc::clone(registry), stop.clone());
    let idle = options.idle_timeout;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(options.header_timeout);
    async move {
        // Answers are small or come in large pieces; neither should wait for more.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| {
            exchange::exchange(Arc::clone(&registry), request, idle, Handle::current())
        });
        let connection = http.serve_connection(TokioIo::new(Patient::new(stream, idle)), service);
        let mut connection = std::pin::pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = stopped(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a connection ended");
        }
    }
}

/// Waits until the server is to stop, or is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
