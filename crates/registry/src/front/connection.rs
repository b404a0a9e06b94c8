//! One connection, from its first byte to its last.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::activity::Activity;
use super::client::{Client, site_of};
use super::exchange;
use super::limits::{MAX_HEADER_BYTES, READ_BUFFER, STREAM_WINDOW};
use super::timeout_stream::TimeoutStream;
use super::{ServerOptions, Shared, State};

/// The most headers of a request.
const MAX_HEADERS: usize = 100;

/// So many requests may be under way on one connection of HTTP/2; containerd, Docker and Podman have
/// a dozen.
const MAX_STREAMS: u32 = 64;

/// How much of an answer may wait for its client, for each request, in addition to what waits for a
/// thread.
const SEND_BUFFER: usize = 64 << 10;

/// The HTTP/2 window of a connection, for all its uploads.
const CONNECTION_WINDOW: u32 = 4 << 20;

/// How much the kernel may hold that it has not sent. With more, a slow client would seem to take nothing
/// for minutes. Bytes that are sent and not yet acknowledged are not bounded by this, so that long fast
/// lines are filled.
const UNSENT: u32 = 256 << 10;

/// The first byte of TLS: a handshake.
const HANDSHAKE: u8 = 0x16;

/// The answer to a client that speaks plain HTTP where TLS is required. Go's servers use the same words.
const NOT_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\
    content-length: 48\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Serves one connection until the connection ends, is idle for too long, or the server stops.
pub(super) async fn serve(
    stream: TcpStream,
    client: SocketAddr,
    shared: Arc<Shared>,
    state: watch::Receiver<State>,
) {
    // Answers are small or come in large pieces. Neither should be delayed.
    let _ = stream.set_nodelay(true);
    bound_unsent(&stream);
    let activity = Arc::new(Activity::begin());
    let counted = shared.connections.enter(site_of(client.ip()), Arc::clone(&activity));
    let client = Client::new(client, counted.number);
    let served = async {
        match &shared.certificate {
            None => {
                let stream =
                    TimeoutStream::new(stream, client, Arc::clone(&shared), Arc::clone(&activity));
                speak(stream, client, Arc::clone(&shared), Arc::clone(&activity), state.clone())
                    .await
            }
            Some(certificate) => {
                let acceptor = TlsAcceptor::from(certificate.config());
                let shake = handshake(stream, client, &acceptor, &shared, &activity);
                let Some(stream) = timeout(shared.options.header_timeout, shake).await?? else {
                    return Ok(());
                };
                speak(stream, client, Arc::clone(&shared), Arc::clone(&activity), state.clone())
                    .await
            }
        }
    };
    let idle = idle_for_too_long(&activity, state.clone(), &shared.options);
    let address = client.address;
    tokio::select! {
        result = served => {
            if let Err(error) = result {
                tracing::debug!(client = %address, error = %error, "a connection ended");
            }
        }
        () = idle => tracing::trace!(client = %address, "an idle connection was closed"),
        () = too_slow(&activity, &shared) => {
            tracing::debug!(client = %address, "it takes an answer too slowly");
        }
        () = activity.given_up() => tracing::debug!(client = %address, "it makes room for others"),
    }
}

type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// Accepts TLS. Returns `None` if the client does not speak it.
async fn handshake(
    mut stream: TcpStream,
    client: Client,
    acceptor: &TlsAcceptor,
    shared: &Arc<Shared>,
    activity: &Arc<Activity>,
) -> io::Result<Option<tokio_rustls::server::TlsStream<TimeoutStream>>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
        stream.write_all(NOT_TLS).await?;
        stream.shutdown().await?;
        return Ok(None);
    }
    let stream = TimeoutStream::new(stream, client, Arc::clone(shared), Arc::clone(activity));
    acceptor.accept(stream).await.map(Some)
}

/// Serves requests: one after another over HTTP/1.1, or at once over HTTP/2 if the client speaks that.
async fn speak<S>(
    stream: S,
    client: Client,
    shared: Arc<Shared>,
    activity: Arc<Activity>,
    mut state: watch::Receiver<State>,
) -> Result<(), Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let builder = protocols(shared.options.header_timeout);
    let service = service_fn(move |request| {
        exchange::exchange(request, client, Arc::clone(&shared), Arc::clone(&activity))
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        result = connection.as_mut() => return result,
        () = stopping(&mut state) => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

fn protocols(header_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(READ_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES.into())
        .max_concurrent_streams(MAX_STREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder
}

/// Waits until the client takes one of the answers too slowly. The answer would hold its memory for as
/// long as the client likes, and it can be taken back only with the whole connection.
async fn too_slow(activity: &Activity, shared: &Shared) {
    loop {
        sleep(shared.admission.interval()).await;
        if activity.is_too_slow(Instant::now(), shared.admission.terms()) {
            return;
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn bound_unsent(stream: &TcpStream) {
    // Old kernels do not have this option, which does no harm.
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bound_unsent(stream: &TcpStream) {
    // These systems bound everything in the kernel.
    let _ = socket2::SockRef::from(stream).set_send_buffer_size(UNSENT as usize);
}

/// Waits until the connection has been idle for too long.
async fn idle_for_too_long(
    activity: &Activity,
    mut state: watch::Receiver<State>,
    options: &ServerOptions,
) {
    loop {
        let patience = match *state.borrow_and_update() {
            State::Open => options.header_timeout,
            State::Stopping => options.stop_timeout,
        };
        let left = patience.saturating_sub(activity.idle());
        if left.is_zero() {
            return;
        }
        // The server is gone if the channel is closed.
        if let Ok(Err(_)) = timeout(left, state.changed()).await {
            return;
        }
    }
}

/// Waits until the server stops.
pub(super) async fn stopping(state: &mut watch::Receiver<State>) {
    let _ = state.wait_for(|state| *state == State::Stopping).await;
}
