//! One request and its response.

use std::future::poll_fn;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::{Request, Response};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::{Body, Registry};

/// So many pieces of a response may wait for the socket: one on its way, one ready.
const PIECES: usize = 2;

/// What is left of a request that was refused is read and thrown away up to here: a client that is
/// still sending would otherwise see a broken connection and not the refusal.
const MAX_DRAINED: u64 = 16 << 20;

/// Serves a request on a thread of the pool. Fails only if that thread panics.
pub(super) async fn exchange(
    registry: Arc<Registry>,
    request: Request<Incoming>,
    idle: Duration,
    handle: Handle,
) -> io::Result<Response<Outgoing>> {
    let (head, answered) = oneshot::channel();
    spawn_blocking(move || {
        let (parts, body) = request.into_parts();
        let received = Received { body, piece: Bytes::new(), is_broken: false, handle, idle };
        serve(&registry, Request::from_parts(parts, received), head);
    });
    answered.await.map_err(|_| io::Error::other("the thread that served the request is gone"))
}

fn serve(
    registry: &Registry,
    request: Request<Received>,
    head: oneshot::Sender<Response<Outgoing>>,
) {
    let (parts, mut received) = request.into_parts();
    let response = registry.handle(Request::from_parts(parts, &mut received));
    let (parts, body) = response.into_parts();
    let body = match body.try_into_bytes() {
        Ok(bytes) => {
            // Fails only if the client is gone.
            let _ = head.send(Response::from_parts(parts, Outgoing::Bytes(Some(bytes))));
            received.drain();
            return;
        }
        Err(body) => body,
    };
    let (pieces, outgoing) = mpsc::channel(PIECES);
    let outgoing = Outgoing::Pieces { pieces: outgoing, left: body.length() };
    if head.send(Response::from_parts(parts, outgoing)).is_ok() {
        send(body, &pieces);
    }
}

/// Sends a body, and makes a fault look like one: the connection breaks off. Waits as long as the
/// connection does.
fn send(body: Body, pieces: &mpsc::Sender<io::Result<Bytes>>) {
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    let sent = body.send(|piece| pieces.blocking_send(Ok(piece)).map_err(gone));
    let Err(error) = sent else { return };
    if !pieces.is_closed() {
        tracing::warn!(%error, "a blob could not be sent whole");
        // If there is no room for it, the end of the channel says the same.
        let _ = pieces.try_send(Err(error));
    }
}

/// The body of a request.
struct Received {
    body: Incoming,
    piece: Bytes,
    /// Whether waiting for more of it has failed.
    is_broken: bool,
    handle: Handle,
    /// So long it waits for the client.
    idle: Duration,
}

impl Received {
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
            let (body, idle) = (&mut self.body, self.idle);
            let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
            // Made within the runtime, whose clock it needs.
            let frame = self.handle.block_on(async { timeout(idle, frame).await });
            let frame = frame.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
            let Some(frame) = frame else { return Ok(None) };
            // Anything else is a trailer, and nobody asked for one.
            if let Ok(piece) = frame.map_err(io::Error::other)?.into_data() {
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

/// The body of a response, as `hyper` asks for it.
pub(super) enum Outgoing {
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
