//! A socket that does not wait forever for its client.

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
use super::client::Client;
use super::fair_semaphore::FairPermit;
use super::lag::Lag;
use super::limits::READ_BUFFER;

/// A write of fewer bytes does not count as activity: an HTTP/2 client could have its pings answered
/// forever.
const SIGN_OF_LIFE: usize = 1 << 10;

/// How many bytes of the headers of a request may wait on every connection for the rest. Few headers are
/// longer.
const HEAD: usize = 6 << 10;

/// The memory for longer headers: they are read into a buffer of this size.
const LONG_HEAD: u64 = READ_BUFFER as u64;

/// How far a client may be ahead, in bytes: the size of the kernels' buffers on both sides.
const AHEAD: u64 = 1 << 20;

/// A connection on which a write fails if the client is too slow, and a read if headers have taken all
/// their memory. The time of a read is bounded by whoever waits for it.
pub(super) struct TimeoutStream {
    stream: TcpStream,
    client: Client,
    shared: Arc<Shared>,
    activity: Arc<Activity>,
    lag: Lag,
    /// When the current write began to wait, and when to check it again.
    stalled: Option<(Instant, Pin<Box<Sleep>>)>,
    /// How many bytes of headers have come while no request is served.
    head: usize,
    long_head: Option<FairPermit>,
}

impl TimeoutStream {
    pub(super) fn new(
        stream: TcpStream,
        client: Client,
        shared: Arc<Shared>,
        activity: Arc<Activity>,
    ) -> Self {
        let (lag, stalled) = (Lag::default(), None);
        Self { stream, client, shared, activity, lag, stalled, head: 0, long_head: None }
    }

    fn check(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let admission = &self.shared.admission;
        if let Some((since, _)) = &mut self.stalled {
            self.lag.waited(since.elapsed());
            *since = Instant::now();
        }
        if let Poll::Ready(result) = &written {
            let count = *result.as_ref().unwrap_or(&0);
            self.lag.moved(count as u64, AHEAD, admission.terms());
            self.stalled = None;
            self.activity.set_writing(false);
            if count >= SIGN_OF_LIFE {
                self.activity.touch();
            }
            return written;
        }
        self.activity.set_writing(true);
        let begin = || (Instant::now(), Box::pin(sleep(admission.interval())));
        let (_, timer) = self.stalled.get_or_insert_with(begin);
        while timer.as_mut().poll(context).is_ready() {
            if self.lag.is_too_slow(admission.terms()) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            timer.as_mut().reset(tokio::time::Instant::now() + admission.interval());
        }
        Poll::Pending
    }

    /// Counts bytes of headers. Over HTTP/2, the reader counts them.
    fn count(&mut self, bytes: usize) -> io::Result<()> {
        if self.activity.is_http_2() || self.activity.requests() > 0 {
            (self.head, self.long_head) = (0, None);
            return Ok(());
        }
        self.head += bytes;
        if self.head > HEAD && self.long_head.is_none() {
            let share = self.shared.admission.spare_memory(self.client, LONG_HEAD);
            self.long_head = Some(share.ok_or(io::ErrorKind::OutOfMemory)?);
        }
        Ok(())
    }
}

impl AsyncRead for TimeoutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.count(buffer.filled().len() - before)?;
        read
    }
}

impl AsyncWrite for TimeoutStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.check(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.check(written, context)
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
