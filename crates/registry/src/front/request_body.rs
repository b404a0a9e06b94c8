//! The body of a request.

use std::future::poll_fn;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use hyper::body::{Body as _, Incoming};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::Shared;
use super::lag::Lag;

/// How much of the body of a refused request is read and discarded: a client that is still sending would
/// otherwise see a broken connection instead of the refusal.
const MAX_DRAINED: u64 = 16 << 20;

/// The body of a request, read by the thread that serves it.
pub(super) struct RequestBody {
    body: Incoming,
    piece: Bytes,
    /// Whether reading has failed.
    is_broken: bool,
    /// How many bytes have come, for the record.
    count: Arc<AtomicU64>,
    /// Counts only the time spent waiting for the client, not for a disk.
    lag: Lag,
    shared: Arc<Shared>,
    handle: Handle,
}

impl RequestBody {
    pub(super) fn new(
        body: Incoming,
        count: Arc<AtomicU64>,
        shared: &Arc<Shared>,
        handle: Handle,
    ) -> Self {
        let (piece, lag, shared) = (Bytes::new(), Lag::default(), Arc::clone(shared));
        Self { body, piece, is_broken: false, count, lag, shared, handle }
    }

    /// Discards the rest of the body, so that the client reads the answer.
    pub(super) fn drain(&mut self) {
        if self.is_broken {
            return;
        }
        let _ = io::copy(&mut self.take(MAX_DRAINED), &mut io::sink());
    }

    /// Waits for the next piece; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let (body, interval) = (&mut self.body, self.shared.admission.interval());
            let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
            let begun = Instant::now();
            // Created within the runtime, whose clock it needs.
            let frame = self.handle.block_on(async { timeout(interval, frame).await });
            self.lag.waited(begun.elapsed());
            let terms = self.shared.admission.terms();
            let piece = match frame {
                Err(_) => None,
                Ok(None) => return Ok(None),
                // Anything else is a trailer, which nobody asked for.
                Ok(Some(frame)) => frame.map_err(io::Error::other)?.into_data().ok(),
            };
            self.lag.moved(piece.as_ref().map_or(0, Bytes::len) as u64, 0, terms);
            if self.lag.is_too_slow(terms) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if let Some(piece) = piece {
                self.count.fetch_add(piece.len() as u64, Ordering::Relaxed);
                return Ok(Some(piece));
            }
        }
    }
}

impl Read for RequestBody {
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

/// Discards the rest of the body of a refused request, so that the client reads the answer.
pub(super) async fn drain(mut body: Incoming, time: Duration) {
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
