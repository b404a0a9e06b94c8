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

/// How a client moves a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Bearable,
    TooSlow,
}

/// Hands out the threads that requests are served by.
#[derive(Debug)]
pub(super) struct Admission {
    threads: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_waiting: usize,
    alone: Pace,
    while_others_wait: Pace,
}

/// How slow a body may be.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// In bytes a second.
    rate: u64,
    /// Over this time.
    window: Duration,
}

impl Admission {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            threads: Arc::new(Semaphore::new(options.max_requests.max(1))),
            waiting: AtomicUsize::new(0),
            max_waiting: options.max_waiting,
            alone: Pace { rate: options.min_rate, window: options.idle_timeout },
            while_others_wait: Pace {
                rate: options.min_rate_while_others_wait,
                window: options.idle_timeout_while_others_wait.min(options.idle_timeout),
            },
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

    /// Returns after how long it is to be asked again whether a body that stands still is too slow:
    /// others may have begun to wait.
    pub(super) fn interval(&self) -> Duration {
        self.while_others_wait.window
    }

    /// Judges a body of which so many bytes have moved in this time; `None` if it is too early.
    pub(super) fn judge(&self, bytes: u64, time: Duration) -> Option<Verdict> {
        let Pace { rate, window } =
            if self.waiting() > 0 { self.while_others_wait } else { self.alone };
        if time < window {
            return None;
        }
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let least = (rate.saturating_mul(millis) / 1000).max(1);
        Some(if bytes < least { Verdict::TooSlow } else { Verdict::Bearable })
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
