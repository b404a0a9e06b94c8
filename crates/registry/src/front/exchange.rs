//! One request and its response.

use std::future::poll_fn;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use http::header::{CACHE_CONTROL, EXPECT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Shared;
use super::activity::Activity;
use super::admission::Verdict;
use super::record::Tally;
use crate::fault::{Code, Fault};
use crate::{Body, registry, reply};

/// So many pieces of a response may wait for the socket: one on its way, one ready.
const PIECES: usize = 2;

/// What is left of a request that was refused is read and thrown away up to here: a client that is
/// still sending would otherwise see a broken connection and not the refusal.
const MAX_DRAINED: u64 = 16 << 20;

/// A path and query have at most so many bytes. The longest that are asked for are those of a
/// manifest with many tags: 40 of the longest fit.
const MAX_TARGET: usize = 8 << 10;

/// The names and values of headers have at most so many bytes.
pub(super) const MAX_HEADER_BYTES: u16 = u16::MAX;

const HEALTH: &str = "/healthz";
const METRICS: &str = "/metrics";

/// Serves a request. Fails only if the thread that serves it panics.
pub(super) async fn exchange(
    request: Request<Incoming>,
    client: SocketAddr,
    shared: Arc<Shared>,
    activity: Arc<Activity>,
) -> io::Result<Response<Tallied>> {
    let (parts, body) = request.into_parts();
    let tally = Tally::begin(&parts, client, Arc::clone(&shared), activity);
    let request = Request::from_parts(parts, body);
    let (method, awaits_word) = (request.method().clone(), request.headers().contains_key(EXPECT));
    let answer = match answer(request, tally, &shared).await? {
        Ok(answer) => return Ok(answer),
        Err(refused) => refused,
    };
    let (fault, tally, body) = *answer;
    // A client that waits to be told to go on is not.
    if !awaits_word {
        tokio::spawn(drain(body, shared.options.idle_timeout));
    }
    Ok(tallied(short(fault.into_response(&method), &method), tally))
}

/// A request that was refused before anything was done for it.
type Refused = Box<(Fault, Tally, Incoming)>;

async fn answer(
    request: Request<Incoming>,
    mut tally: Tally,
    shared: &Arc<Shared>,
) -> io::Result<Result<Response<Tallied>, Refused>> {
    let refuse = |fault, tally, request: Request<Incoming>| {
        Ok(Err(Box::new((fault, tally, request.into_body()))))
    };
    if tally.record.target.len() > MAX_TARGET {
        let text = format!("a path has at most {MAX_TARGET} bytes here");
        let fault = Fault::new(Code::Unsupported, text).status(StatusCode::URI_TOO_LONG);
        return refuse(fault, tally, request);
    }
    if header_bytes(request.headers()) > MAX_HEADER_BYTES.into() {
        let text = format!("headers have at most {MAX_HEADER_BYTES} bytes here");
        let fault =
            Fault::new(Code::Unsupported, text).status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        return refuse(fault, tally, request);
    }
    let path = request.uri().path();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_read && path == HEALTH {
        return Ok(Ok(tallied(plain("ok\n".to_owned(), request.method()), tally)));
    }
    match shared.gate.admit(&request, tally.record.client.ip()).await {
        Ok(user) => tally.record.user = user,
        Err(fault) => return refuse(fault, tally, request),
    }
    if is_read && path == METRICS {
        let text =
            shared.metrics.render(shared.admission.waiting(), shared.registry.open_uploads());
        return Ok(Ok(tallied(plain(text, request.method()), tally)));
    }
    let permit = match shared.admission.enter().await {
        Ok(permit) => permit,
        Err(fault) => return refuse(fault, tally, request),
    };
    let (head, answered) = oneshot::channel();
    let (shared, handle) = (Arc::clone(shared), Handle::current());
    let received = Arc::clone(&tally.received);
    let activity = Arc::clone(&tally.activity);
    spawn_blocking(move || {
        let request = request.map(|body| Received::new(body, received, &shared, handle.clone()));
        if serve(&shared, request, head, &handle) == Client::TooSlow {
            // It would hold what it was given for as long as it likes.
            activity.give_up();
        }
        drop(permit);
    });
    let gone = |_| io::Error::other("the thread that served the request is gone");
    let (parts, body) = answered.await.map_err(gone)?.into_parts();
    tally.record.status = Some(parts.status.as_u16());
    Ok(Ok(Response::from_parts(parts, Tallied { body, tally })))
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// How a client took its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Bearable,
    TooSlow,
}

/// Serves a request on this thread, to the last byte of its answer.
fn serve(
    shared: &Shared,
    request: Request<Received>,
    head: oneshot::Sender<Response<Outgoing>>,
    handle: &Handle,
) -> Client {
    let (parts, mut received) = request.into_parts();
    let response = shared.registry.handle(Request::from_parts(parts, &mut received));
    let (parts, body) = response.into_parts();
    let body = match body.try_into_bytes() {
        Ok(bytes) => {
            // Fails only if the client is gone.
            let _ = head.send(Response::from_parts(parts, Outgoing::Bytes(Some(bytes))));
            received.drain();
            return Client::Bearable;
        }
        Err(body) => body,
    };
    let (pieces, outgoing) = mpsc::channel(PIECES);
    let outgoing = Outgoing::Pieces { pieces: outgoing, left: body.length() };
    if head.send(Response::from_parts(parts, outgoing)).is_err() {
        return Client::Bearable;
    }
    send(body, &pieces, shared, handle)
}

/// Sends a body, and makes a fault look like one: the connection breaks off.
fn send(
    body: Body,
    pieces: &mpsc::Sender<io::Result<Bytes>>,
    shared: &Shared,
    handle: &Handle,
) -> Client {
    let mut client = Client::Bearable;
    let sent = body.send(|piece| {
        let offered = offer(piece, pieces, shared, handle);
        if offered.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            client = Client::TooSlow;
        }
        offered
    });
    if let Err(error) = sent
        && client == Client::Bearable
        && !pieces.is_closed()
    {
        tracing::warn!(%error, "a blob could not be sent whole");
        // If there is no room for it, the end of the channel says the same.
        let _ = pieces.try_send(Err(error));
    }
    client
}

/// Gives a piece to the connection, which takes it when the client has taken those before. Fails if
/// the client is slower than a client may be.
fn offer(
    piece: Bytes,
    pieces: &mpsc::Sender<io::Result<Bytes>>,
    shared: &Shared,
    handle: &Handle,
) -> io::Result<()> {
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    let piece = match pieces.try_send(Ok(piece)) {
        Ok(()) => return Ok(()),
        Err(mpsc::error::TrySendError::Full(piece)) => piece,
        Err(mpsc::error::TrySendError::Closed(_)) => return Err(gone()),
    };
    let (length, begun) = (piece.as_ref().map_or(0, Bytes::len) as u64, Instant::now());
    let admission = &shared.admission;
    loop {
        // Made within the runtime, whose clock it needs.
        let room = async { timeout(admission.interval(), pieces.reserve()).await };
        match handle.block_on(room) {
            Ok(Ok(room)) => {
                room.send(piece);
                return Ok(());
            }
            Ok(Err(_)) => return Err(gone()),
            // A piece is as much as may have moved by now.
            Err(_) if admission.judge(length, begun.elapsed()) == Some(Verdict::TooSlow) => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(_) => {}
        }
    }
}

/// Reads what is left of a request that nobody serves, so that the client gets to read its answer.
async fn drain(mut body: Incoming, time: Duration) {
    let all = async {
        let mut left = MAX_DRAINED;
        while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
        {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len) as u64);
            if left == 0 {
                return;
            }
        }
    };
    let _ = timeout(time, all).await;
}

/// Returns an answer in plain text.
fn plain(text: String, method: &Method) -> Response<Outgoing> {
    let text_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let mut response = reply::with_body(Body::from(text.into_bytes()), text_type);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    short(response, method)
}

/// Returns an answer that is in memory, with what every answer says.
fn short(response: Response<Body>, method: &Method) -> Response<Outgoing> {
    let response = registry::finished(response, method);
    response.map(|body| Outgoing::Bytes(body.try_into_bytes().ok()))
}

fn tallied(response: Response<Outgoing>, mut tally: Tally) -> Response<Tallied> {
    tally.record.status = Some(response.status().as_u16());
    response.map(|body| Tallied { body, tally })
}

/// The body of a request.
struct Received {
    body: Incoming,
    piece: Bytes,
    /// Whether waiting for more of it has failed.
    is_broken: bool,
    /// So many bytes came, for the record.
    count: Arc<AtomicU64>,
    pace: Pace,
    handle: Handle,
}

/// How fast a body comes.
struct Pace {
    shared: Arc<Shared>,
    /// Since when bytes are counted, and how many there are.
    since: Instant,
    bytes: u64,
}

impl Pace {
    /// Counts bytes, and fails if the client is too slow.
    fn count(&mut self, bytes: usize) -> io::Result<()> {
        self.bytes += bytes as u64;
        match self.shared.admission.judge(self.bytes, self.since.elapsed()) {
            Some(Verdict::TooSlow) => return Err(io::ErrorKind::TimedOut.into()),
            Some(Verdict::Bearable) => (self.since, self.bytes) = (Instant::now(), 0),
            None => {}
        }
        Ok(())
    }
}

impl Received {
    fn new(body: Incoming, count: Arc<AtomicU64>, shared: &Arc<Shared>, handle: Handle) -> Self {
        let pace = Pace { shared: Arc::clone(shared), since: Instant::now(), bytes: 0 };
        Self { body, piece: Bytes::new(), is_broken: false, count, pace, handle }
    }

    /// Reads what is left, so that the client gets to read its answer.
    fn drain(&mut self) {
        if self.is_broken {
            return;
        }
        let _ = io::copy(&mut self.take(MAX_DRAINED), &mut io::sink());
    }

    /// Waits for the next piece; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let (body, interval) = (&mut self.body, self.pace.shared.admission.interval());
            let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
            // Made within the runtime, whose clock it needs.
            let Ok(frame) = self.handle.block_on(async { timeout(interval, frame).await }) else {
                self.pace.count(0)?;
                continue;
            };
            let Some(frame) = frame else { return Ok(None) };
            // Anything else is a trailer, and nobody asked for one.
            if let Ok(piece) = frame.map_err(io::Error::other)?.into_data() {
                self.count.fetch_add(piece.len() as u64, Ordering::Relaxed);
                self.pace.count(piece.len())?;
                return Ok(Some(piece));
            }
        }
    }
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let next = self.next();
            self.is_broken = next.is_err();
            match next? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// The body of a response, as `hyper` asks for it, with what is counted of it. When it is dropped, the
/// request is over.
pub(super) struct Tallied {
    body: Outgoing,
    tally: Tally,
}

impl hyper::body::Body for Tallied {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Self { body, tally } = self.get_mut();
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            tally.record.sent += frame.data_ref().map_or(0, Bytes::len) as u64;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Tallied {
    fn drop(&mut self) {
        self.tally.record.is_whole = self.body.is_end_stream();
    }
}

/// What is left of the body of a response.
enum Outgoing {
    Bytes(Option<Bytes>),
    Pieces { pieces: mpsc::Receiver<io::Result<Bytes>>, left: u64 },
}

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let (pieces, left) = match self.get_mut() {
            Self::Bytes(bytes) => {
                let bytes = bytes.take().filter(|bytes| !bytes.is_empty());
                return Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))));
            }
            Self::Pieces { pieces, left } => (pieces, left),
        };
        pieces.poll_recv(context).map(|piece| match piece {
            Some(Ok(piece)) => {
                *left = left.saturating_sub(piece.len() as u64);
                Some(Ok(Frame::data(piece)))
            }
            Some(Err(error)) => Some(Err(error)),
            None if *left == 0 => None,
            None => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Pieces { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Bytes(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Self::Pieces { left, .. } => *left,
        })
    }
}
