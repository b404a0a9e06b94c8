//! Uploads: the caller's thread reads, the runtime sends.

use std::future::Future as _;
use std::io;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use longshore_store::{ConnectionFailure, Error};
use reqwest::{RequestBuilder, Response};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::client::silent;
use super::part::Streamed;
use super::{Http, Trouble, patience_after_upload};
use crate::problem;

/// How many pieces wait between reading and sending.
const WAITING: usize = 2;

/// The answer to an upload, and what keeps the upload open if it was not through by then.
type Answered = (Response, Option<Sender<Bytes>>);

/// A request that is being sent.
type Sending = JoinHandle<reqwest::Result<Response>>;

impl Http {
    /// Sends `request` with `content`. An answer that comes early is the result: the
    /// other side may refuse before it has all.
    pub(super) fn upload(
        &self,
        request: RequestBuilder,
        content: &dyn Streamed,
        host: &str,
    ) -> Result<Answered, Trouble> {
        let (sender, receiver) = channel(WAITING);
        let body = Pieces { receiver, left: content.len() };
        let request = request.body(reqwest::Body::wrap(body));
        let mut sending = Abort(self.runtime().spawn(request.send()));
        let mut step = Step::Taken;
        content.pass(&mut |piece| {
            let next = hand_over(&sender, piece, &mut sending.0, self.idle());
            step = self.runtime().block_on(next);
            if matches!(step, Step::Taken) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        match step {
            Step::Taken => {}
            Step::Answered(answer) => return answered(answer, Some(sender), host),
            Step::Stalled => return Err(Trouble::passing(silent(host, self.idle()))),
        }
        drop(sender);
        let patience = patience_after_upload(self.idle());
        match self.runtime().block_on(async { timeout(patience, &mut sending.0).await }) {
            Ok(answer) => answered(flatten(answer), None, host),
            Err(_) => Err(Trouble::passing(silent(host, patience))),
        }
    }
}

/// What became of a piece.
enum Step {
    Taken,
    Answered(Result<Response, ConnectionFailure>),
    Stalled,
}

async fn hand_over(
    sender: &Sender<Bytes>,
    piece: Bytes,
    sending: &mut Sending,
    idle: Duration,
) -> Step {
    let mut send = pin!(sender.send(piece));
    let mut gone = false;
    let step = std::future::poll_fn(|context| {
        if let Poll::Ready(answer) = Pin::new(&mut *sending).poll(context) {
            return Poll::Ready(Step::Answered(flatten(answer)));
        }
        if gone {
            return Poll::Pending;
        }
        match send.as_mut().poll(context) {
            Poll::Ready(Ok(())) => Poll::Ready(Step::Taken),
            // Nobody takes pieces any more, so an answer or an error is on its way.
            Poll::Ready(Err(_)) => {
                gone = true;
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    });
    timeout(idle, step).await.unwrap_or(Step::Stalled)
}

fn flatten(
    answer: Result<reqwest::Result<Response>, tokio::task::JoinError>,
) -> Result<Response, ConnectionFailure> {
    match answer {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(problem::failure(error)),
        Err(error) => Err(ConnectionFailure::Other(error.to_string())),
    }
}

fn answered(
    answer: Result<Response, ConnectionFailure>,
    upload: Option<Sender<Bytes>>,
    host: &str,
) -> Result<Answered, Trouble> {
    let response = answer.map_err(|why| {
        Trouble::passing(Error::Connection { action: "send to", what: host.to_owned(), why })
    })?;
    Ok((response, upload))
}

/// A request that ends when nobody waits for its answer any more.
struct Abort(Sending);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of a request, as it comes from a thread.
struct Pieces {
    receiver: Receiver<Bytes>,
    left: u64,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.receiver.poll_recv(context).map(|piece| match piece {
            Some(piece) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                Some(Ok(Frame::data(piece)))
            }
            None if self.left > 0 => Some(Err(io::ErrorKind::UnexpectedEof.into())),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
