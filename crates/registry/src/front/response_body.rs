//! The body of a response.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Shared;
use super::activity::Activity;
use super::admission::{Permit, Work};
use super::backlog::Backlog;
use super::client::Client;
use super::fair_semaphore::FairPermit;
use super::record::ActiveRequest;
use crate::body::{PIECE, Part};

/// The size of the first piece of an answer, and of each piece for a client that takes them slowly.
/// Pieces grow with the bytes that the client has taken, up to [`PIECE`], while there is memory. Every
/// request has the memory for two of these.
pub(super) const FIRST: usize = 16 << 10;

/// Pieces are multiples of this, which is best for reading files.
const PAGE: usize = 4 << 10;

/// How long a thread waits for a client to take a piece. Then the thread does other work, and another one
/// continues when the client does. Opening the blob again costs little in comparison.
const LINGER: Duration = Duration::from_millis(100);

/// The same while others wait for a thread.
const LINGER_WHILE_OTHERS_WAIT: Duration = Duration::from_millis(10);

/// The rest of the body of a response. Nothing is read before `hyper` asks for it, and at most two pieces
/// more than the client has made room for.
pub(super) struct ResponseBody {
    kind: Kind,
    backlog: Arc<Backlog>,
    held: Option<Arc<FairPermit>>,
}

enum Kind {
    Bytes(Bytes),
    Blob(Box<Blob>),
}

struct Blob {
    source: Source,
    left: u64,
    stage: Stage,
}

/// A range of a blob, and what is needed to read it.
#[derive(Clone)]
struct Source {
    part: Arc<Part>,
    client: Client,
    shared: Arc<Shared>,
}

type Pieces = mpsc::Receiver<io::Result<Bytes>>;

enum Stage {
    /// No thread reads.
    Idle,
    /// A thread was asked for.
    Entering(Pin<Box<dyn Future<Output = io::Result<Pieces>> + Send>>),
    Reading {
        pieces: Pieces,
        /// Whether this thread has sent a piece.
        has_begun: bool,
    },
}

impl ResponseBody {
    pub(super) fn bytes(bytes: Bytes, held: Option<Arc<FairPermit>>) -> Self {
        Self { kind: Kind::Bytes(bytes), backlog: Backlog::begin(Instant::now()), held }
    }

    pub(super) fn blob(
        part: Part,
        client: Client,
        shared: Arc<Shared>,
        held: Option<Arc<FairPermit>>,
    ) -> Self {
        let left = part.length;
        let source = Source { part: Arc::new(part), client, shared };
        let kind = Kind::Blob(Box::new(Blob { source, left, stage: Stage::Idle }));
        Self { kind, backlog: Backlog::begin(Instant::now()), held }
    }

    /// Registers the answer with its connection.
    pub(super) fn watched_by(&self, activity: &Activity) {
        if !self.is_end_stream() {
            activity.watch(&self.backlog);
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn left(&self) -> u64 {
        match &self.kind {
            Kind::Bytes(bytes) => bytes.len() as u64,
            Kind::Blob(blob) => blob.left,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Self { kind, backlog, held } = self;
        match kind {
            Kind::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Bytes(bytes) => {
                let piece = bytes.split_to(bytes.len().min(FIRST));
                Poll::Ready(Some(Ok(backlog.give(piece, held.clone(), Instant::now()))))
            }
            Kind::Blob(blob) => blob.poll(backlog, held.as_ref(), context),
        }
    }
}

impl Blob {
    fn poll(
        &mut self,
        backlog: &Arc<Backlog>,
        held: Option<&Arc<FairPermit>>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        let Self { source, left, stage } = self;
        loop {
            if *left == 0 {
                return Poll::Ready(None);
            }
            match stage {
                Stage::Idle => {
                    let reading = source.clone().read(*left, Arc::clone(backlog), held.cloned());
                    *stage = Stage::Entering(Box::pin(reading));
                }
                Stage::Entering(reading) => match reading.as_mut().poll(context) {
                    Poll::Ready(Ok(pieces)) => {
                        *stage = Stage::Reading { pieces, has_begun: false };
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                    Poll::Pending => return Poll::Pending,
                },
                Stage::Reading { pieces, has_begun } => match pieces.poll_recv(context) {
                    Poll::Ready(Some(Ok(piece))) => {
                        *has_begun = true;
                        *left = left.saturating_sub(piece.len() as u64);
                        return Poll::Ready(Some(Ok(piece)));
                    }
                    Poll::Ready(None) if *has_begun => *stage = Stage::Idle,
                    // The thread has panicked.
                    Poll::Ready(None) => {
                        return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
                    }
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }
}

impl Source {
    /// Waits until the client has taken the pieces before, and then for a thread, which reads the last
    /// `left` bytes as long as the client takes them.
    async fn read(
        self,
        left: u64,
        backlog: Arc<Backlog>,
        held: Option<Arc<FairPermit>>,
    ) -> io::Result<Pieces> {
        backlog.wait_below(FIRST).await;
        let permit = self.shared.admission.wait_for_thread(self.client, Work::Send).await;
        let permit = permit.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        let (sender, pieces) = mpsc::channel(1);
        let handle = Handle::current();
        spawn_blocking(move || self.pump(left, &backlog, held.as_ref(), &sender, &handle, permit));
        Ok(pieces)
    }

    /// Reads on this thread until all is read, or the client stops taking bytes.
    fn pump(
        &self,
        left: u64,
        backlog: &Arc<Backlog>,
        held: Option<&Arc<FairPermit>>,
        pieces: &mpsc::Sender<io::Result<Bytes>>,
        handle: &Handle,
        permit: Permit,
    ) {
        let begun_at = backlog.total();
        let admission = &self.shared.admission;
        let sent = self.part.pieces(self.part.length - left, |left, read| {
            let taken = usize::try_from(backlog.total() - begun_at).unwrap_or(PIECE);
            let grown = taken.clamp(FIRST, PIECE) / PAGE * PAGE;
            let wanted = usize::try_from(left).unwrap_or(PIECE).min(grown);
            let more = if wanted > FIRST {
                admission.spare_memory(self.client, wanted as u64)
            } else {
                None
            };
            let (wanted, share) = match more {
                Some(share) => (wanted, Some(Arc::new(share))),
                None => (wanted.min(FIRST), held.cloned()),
            };
            let linger = if admission.waiting() > 0 { LINGER_WHILE_OTHERS_WAIT } else { LINGER };
            let taken = async {
                backlog.wait_below(wanted).await;
                pieces.reserve().await
            };
            // Created within the runtime, whose clock it needs.
            let wait_for_memory = handle.block_on(async { timeout(linger, taken).await });
            let Ok(Ok(wait_for_memory)) = wait_for_memory else { return Ok(false) };
            match read(wanted) {
                Ok(piece) => wait_for_memory.send(Ok(backlog.give(piece, share, Instant::now()))),
                Err(error) => {
                    tracing::warn!(%error, "a blob could not be sent whole");
                    wait_for_memory.send(Err(error));
                    return Ok(false);
                }
            }
            Ok(true)
        });
        if let Err(error) = sent {
            tracing::warn!(%error, "a blob could not be opened");
            let _ = pieces.try_send(Err(error));
        }
        drop(permit);
    }
}

/// The body of a response that counts its bytes. Dropping it ends the request.
pub(super) struct CountedBody {
    pub(super) body: ResponseBody,
    pub(super) active: ActiveRequest,
}

impl hyper::body::Body for CountedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Self { body, active } = self.get_mut();
        let polled = body.poll(context);
        if let Poll::Ready(Some(Ok(piece))) = &polled {
            active.record.sent += piece.len() as u64;
        }
        polled.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.left())
    }
}

impl Drop for CountedBody {
    fn drop(&mut self) {
        self.active.record.is_whole = self.body.is_end_stream();
    }
}
