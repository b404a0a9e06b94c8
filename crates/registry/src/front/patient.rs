//! A socket that does not wait forever for its client to take what it is given.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::Shared;
use super::activity::Activity;
use super::admission::Verdict;

/// A write of fewer bytes is no sign of life: clients of HTTP/2 may have pings answered forever.
const SIGN_OF_LIFE: usize = 1 << 10;

/// A connection on which a write fails once the client has been too slow. How long a read may take is
/// the business of whoever waits for it.
pub(super) struct Patient {
    stream: TcpStream,
    shared: Arc<Shared>,
    activity: Arc<Activity>,
    /// From when a write has to wait until all that was offered is taken.
    stalled: Option<Stalled>,
}

/// How a client takes what has to wait for it.
struct Stalled {
    since: Instant,
    /// So many bytes were taken since.
    taken: u64,
    /// When to look at it again.
    timer: Pin<Box<Sleep>>,
}

impl Patient {
    pub(super) fn new(stream: TcpStream, shared: Arc<Shared>, activity: Arc<Activity>) -> Self {
        Self { stream, shared, activity, stalled: None }
    }

    fn check(
        &mut self,
        offered: usize,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let admission = &self.shared.admission;
        if let Poll::Ready(result) = &written {
            let count = *result.as_ref().unwrap_or(&0);
            if count == offered {
                self.stalled = None;
            } else if let Some(stalled) = &mut self.stalled {
                stalled.taken += count as u64;
            }
            self.activity.set_writing(false);
            if count >= SIGN_OF_LIFE {
                self.activity.touch();
            }
            return written;
        }
        self.activity.set_writing(true);
        let begin = || Stalled {
            since: Instant::now(),
            taken: 0,
            timer: Box::pin(sleep(admission.interval())),
        };
        let stalled = self.stalled.get_or_insert_with(begin);
        while stalled.timer.as_mut().poll(context).is_ready() {
            match admission.judge(stalled.taken, stalled.since.elapsed()) {
                Some(Verdict::TooSlow) => return Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                Some(Verdict::Bearable) => (stalled.since, stalled.taken) = (Instant::now(), 0),
                None => {}
            }
            stalled.timer.as_mut().reset(tokio::time::Instant::now() + admission.interval());
        }
        Poll::Pending
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.check(bytes.len(), written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.check(bytes.iter().map(|part| part.len()).sum(), written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
