//! Whether anything happens on a connection.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// What happens on a connection: it is idle while no request is served on it and no part of an
/// answer waits for the client.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// When it was busy last, in milliseconds after `opened`.
    last: AtomicU64,
    requests: AtomicUsize,
    is_writing: AtomicBool,
    given_up: Notify,
}

impl Activity {
    pub(super) fn begin() -> Self {
        Self {
            opened: Instant::now(),
            last: AtomicU64::new(0),
            requests: AtomicUsize::new(0),
            is_writing: AtomicBool::new(false),
            given_up: Notify::new(),
        }
    }

    /// Says that a request has begun.
    pub(super) fn enter(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that a request has ended.
    pub(super) fn leave(&self) {
        self.touch();
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    /// Says whether the client has to take something before there can be more.
    pub(super) fn set_writing(&self, is_writing: bool) {
        self.is_writing.store(is_writing, Ordering::Relaxed);
    }

    /// Says that something of an answer moved.
    pub(super) fn touch(&self) {
        self.last.store(self.age(), Ordering::Relaxed);
    }

    /// Says that the client is too slow to be served on.
    pub(super) fn give_up(&self) {
        self.given_up.notify_one();
    }

    /// Waits until that is said.
    pub(super) async fn given_up(&self) {
        self.given_up.notified().await;
    }

    /// Returns for how long nothing has happened.
    pub(super) fn idle(&self) -> Duration {
        let is_busy =
            self.requests.load(Ordering::Relaxed) > 0 || self.is_writing.load(Ordering::Relaxed);
        if is_busy {
            return Duration::ZERO;
        }
        Duration::from_millis(self.age().saturating_sub(self.last.load(Ordering::Relaxed)))
    }

    fn age(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
