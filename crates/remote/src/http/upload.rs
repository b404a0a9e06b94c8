//! Uploads: the caller's thread reads, and the runtime sends.

use std::future::Future as _;
use std::io;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use longshore_store::{ConnectionFailure, Error};
use reqwest::{RequestBuilder, Response};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep, timeout};

use super::client::silent;
use super::failure::failure;
use super::meter::{Meter, Speed};
use super::pace::Pace;
use super::stream_body::StreamBody;
use super::{AttemptError, Http, Retry, patience_after_upload};

/// How many pieces may wait between reading and sending.
const WAITING: usize = 2;

/// How much of a piece the connection gets at once. It buffers some of these, so on a slow line the
/// progress is visible every few seconds.
const FRAME: usize = 16 << 10;

/// The answer to an upload, and the sender that keeps the upload open if the answer came before its end.
type Answered = (Response, Option<Sender<Bytes>>);

/// A request that is being sent.
type Sending = JoinHandle<reqwest::Result<Response>>;

impl Http {
    /// Sends `request` with `content`. The answer may come before the end of the content: the other side
    /// may refuse early.
    pub(super) fn upload(
        &self,
        request: RequestBuilder,
        content: &dyn StreamBody,
        host: &str,
    ) -> Result<Answered, AttemptError> {
        let (sender, receiver) = channel(WAITING);
        let sent = Arc::new(AtomicU64::new(0));
        let length = content.len();
        let body = Pieces {
            receiver,
            rest: Bytes::new(),
            left: length,
            sent: Arc::clone(&sent),
            pace: self.transport.sending(),
            due: None,
        };
        let request = request.body(reqwest::Body::wrap(body));
        let sending = Abort(self.transport.runtime().spawn(request.send()));
        let mut progress = Progress { sending, sent, seen: 0, meter: self.transport.meter() };
        let mut step = Step::Taken;
        content.for_each_piece(&mut |piece| {
            step = self.transport.runtime().block_on(progress.hand_over(&sender, piece));
            if matches!(step, Step::Taken) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        let stalled = || {
            let (what, why) = (host.to_owned(), ConnectionFailure::Slow);
            let error = Error::Connection { action: "send to", what, why, led_by: None };
            AttemptError { error, retry: Retry::Once }
        };
        match step {
            Step::Taken => {}
            Step::Answered(answer) => return answered(answer, Some(sender), host),
            Step::Stalled => return Err(stalled()),
        }
        drop(sender);
        match self.transport.runtime().block_on(progress.all_sent(length)) {
            Step::Taken => {}
            Step::Answered(answer) => return answered(answer, None, host),
            Step::Stalled => return Err(stalled()),
        }
        let patience = patience_after_upload(self.transport.idle());
        let sending = &mut progress.sending.0;
        match self.transport.runtime().block_on(async { timeout(patience, sending).await }) {
            Ok(answer) => answered(flatten(answer), None, host),
            Err(_) => Err(AttemptError { error: silent(host, patience), retry: Retry::Once }),
        }
    }
}

/// The result of sending a piece, or all pieces.
enum Step {
    Taken,
    Answered(Result<Response, ConnectionFailure>),
    Stalled,
}

/// The progress of an upload.
struct Progress {
    sending: Abort,
    /// How many bytes the connection has taken.
    sent: Arc<AtomicU64>,
    /// How many of them were reported to the meter.
    seen: u64,
    meter: Meter,
}

impl Progress {
    async fn hand_over(&mut self, sender: &Sender<Bytes>, piece: Bytes) -> Step {
        let mut send = pin!(sender.send(piece));
        let mut gone = false;
        loop {
            let sending = &mut self.sending.0;
            let step = std::future::poll_fn(|context| {
                if let Poll::Ready(answer) = Pin::new(&mut *sending).poll(context) {
                    return Poll::Ready(Step::Answered(flatten(answer)));
                }
                if gone {
                    return Poll::Pending;
                }
                match send.as_mut().poll(context) {
                    Poll::Ready(Ok(())) => Poll::Ready(Step::Taken),
                    // The receiver is gone, so an answer or an error will follow.
                    Poll::Ready(Err(_)) => {
                        gone = true;
                        Poll::Pending
                    }
                    Poll::Pending => Poll::Pending,
                }
            });
            let begun = Instant::now();
            let step = timeout(self.meter.patience(), step).await;
            let speed = self.note(begun);
            match step {
                Ok(step) => return step,
                Err(_) if speed == Speed::Fair => {}
                Err(_) => return Step::Stalled,
            }
        }
    }

    /// Waits until the connection has taken all `length` bytes.
    async fn all_sent(&mut self, length: u64) -> Step {
        while self.sent.load(Ordering::Relaxed) < length {
            let begun = Instant::now();
            let patience = self.meter.patience();
            let answer = timeout(patience, &mut self.sending.0).await;
            let speed = self.note(begun);
            match answer {
                Ok(answer) => return Step::Answered(flatten(answer)),
                Err(_) if speed == Speed::Fair => {}
                Err(_) => return Step::Stalled,
            }
        }
        Step::Taken
    }

    /// Reports the time and the bytes since `begun` to the meter.
    fn note(&mut self, begun: Instant) -> Speed {
        let sent = self.sent.load(Ordering::Relaxed);
        let before = std::mem::replace(&mut self.seen, sent);
        self.meter.note(begun.elapsed(), sent - before)
    }
}

fn flatten(
    answer: Result<reqwest::Result<Response>, tokio::task::JoinError>,
) -> Result<Response, ConnectionFailure> {
    match answer {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(failure(error)),
        Err(error) => Err(ConnectionFailure::Other(error.to_string())),
    }
}

fn answered(
    answer: Result<Response, ConnectionFailure>,
    upload: Option<Sender<Bytes>>,
    host: &str,
) -> Result<Answered, AttemptError> {
    let response = answer.map_err(|why| {
        let what = host.to_owned();
        AttemptError::passing(Error::Connection { action: "send to", what, why, led_by: None })
    })?;
    Ok((response, upload))
}

/// A request that is aborted when its answer is no longer awaited.
struct Abort(Sending);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of a request, whose pieces come from another thread.
struct Pieces {
    receiver: Receiver<Bytes>,
    /// The rest of the last piece.
    rest: Bytes,
    left: u64,
    sent: Arc<AtomicU64>,
    /// The pace at which frames go, if one is kept, and when the next is due.
    pace: Option<Arc<Pace>>,
    due: Option<Pin<Box<Sleep>>>,
}

impl Pieces {
    /// Waits until a frame of `length` bytes is due.
    fn poll_due(&mut self, length: u64, context: &mut Context<'_>) -> Poll<()> {
        let Some(pace) = &self.pace else { return Poll::Ready(()) };
        let due =
            self.due.get_or_insert_with(|| Box::pin(sleep(pace.take(length, Instant::now()))));
        if due.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.due = None;
        Poll::Ready(())
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest.is_empty() {
            match self.receiver.poll_recv(context) {
                Poll::Ready(Some(piece)) => self.rest = piece,
                Poll::Ready(None) if self.left > 0 => {
                    return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
        let length = self.rest.len().min(FRAME);
        if self.poll_due(length as u64, context).is_pending() {
            return Poll::Pending;
        }
        let frame = self.rest.split_to(length);
        self.left = self.left.saturating_sub(length as u64);
        self.sent.fetch_add(length as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
