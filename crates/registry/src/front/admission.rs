//! How many requests are served at once, and how slow they may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Options;
use crate::fault::{Code, Fault};

/// So long a request waits for a thread: clients give up after half a minute or a minute without an answer.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// Hands out the threads that requests are served by.
#[derive(Debug)]
pub(super) struct Admission {
    threads: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_waiting: usize,
    min_rate: u64,
    min_rate_while_others_wait: u64,
}

impl Admission {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            threads: Arc::new(Semaphore::new(options.max_requests.max(1))),
            waiting: AtomicUsize::new(0),
            max_waiting: options.max_waiting,
            min_rate: options.min_rate,
            min_rate_while_others_wait: options.min_rate_while_others_wait,
        }
    }

    /// Waits for a thread. Fails if too many wait, or for too long (row F-46).
    pub(super) async fn enter(&self) -> Result<OwnedSemaphorePermit, Fault> {
        let threads = Arc::clone(&self.threads);
        if let Ok(permit) = Arc::clone(&threads).try_acquire_owned() {
            return Ok(permit);
        }
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.max_waiting {
            return Err(busy());
        }
        let permit = timeout(MAX_WAIT, threads.acquire_owned()).await;
        drop(waiting);
        match permit {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(busy()),
        }
    }

    /// Returns how many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Returns how many bytes of a body must move within `time`; one at least.
    pub(super) fn least(&self, time: Duration) -> u64 {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let rate = if self.waiting() > 0 { self.min_rate_while_others_wait } else { self.min_rate };
        (rate.saturating_mul(millis) / 1000).max(1)
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn busy() -> Fault {
    Fault::new(Code::TooManyRequests, "too many requests are being served")
}
