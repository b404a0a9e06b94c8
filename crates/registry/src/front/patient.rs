//! A socket that does not wait forever for its client to take what it is given.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::Shared;
use super::activity::Activity;

/// A write of fewer bytes is no sign of life: clients of HTTP/2 may have pings answered forever.
const SIGN_OF_LIFE: usize = 1 << 10;

/// A connection on which a write fails once the client has been too slow for
/// [`Options::idle_timeout`](super::Options). How long a read may take is the business of whoever
/// waits for it.
pub(super) struct Patient {
    stream: TcpStream,
    shared: Arc<Shared>,
    activity: Arc<Activity>,
    /// Runs from when a write has to wait until enough has been taken.
    deadline: Option<Pin<Box<Sleep>>>,
    /// So many bytes were taken since.
    taken: u64,
}

impl Patient {
    pub(super) fn new(stream: TcpStream, shared: Arc<Shared>, activity: Arc<Activity>) -> Self {
        Self { stream, shared, activity, deadline: None, taken: 0 }
    }

    fn check(
        &mut self,
        offered: usize,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let patience = self.shared.options.idle_timeout;
        if let Poll::Ready(result) = &written {
            let count = *result.as_ref().unwrap_or(&0);
            self.taken += count as u64;
            if count == offered || self.taken >= self.shared.admission.least(patience) {
                self.deadline = None;
            }
            self.activity.set_writing(false);
            if count >= SIGN_OF_LIFE {
                self.activity.touch();
            }
            return written;
        }
        self.activity.set_writing(true);
        let taken = &mut self.taken;
        let deadline = self.deadline.get_or_insert_with(|| {
            *taken = 0;
            Box::pin(sleep(patience))
        });
        deadline.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
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
