//! Whether a connection is busy.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::backlog::Backlog;
use super::lag::MinRate;

/// The activity of a connection. A connection is idle if it serves no request and no part of an answer
/// waits for the client.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// The last time when it was busy, in milliseconds after `opened`.
    last: AtomicU64,
    requests: AtomicUsize,
    is_writing: AtomicBool,
    is_http_2: AtomicBool,
    /// The answers that are being sent.
    backlogs: Mutex<Vec<Weak<Backlog>>>,
    given_up: Notify,
}

impl Activity {
    pub(super) fn begin() -> Self {
        Self {
            opened: Instant::now(),
            last: AtomicU64::new(0),
            requests: AtomicUsize::new(0),
            is_writing: AtomicBool::new(false),
            is_http_2: AtomicBool::new(false),
            backlogs: Mutex::default(),
            given_up: Notify::new(),
        }
    }

    /// Records that a request has begun.
    pub(super) fn enter(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that a request has ended.
    pub(super) fn leave(&self) {
        self.touch();
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns how many requests are being served.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Records that several requests may be served at once.
    pub(super) fn set_http_2(&self) {
        self.is_http_2.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_http_2(&self) -> bool {
        self.is_http_2.load(Ordering::Relaxed)
    }

    /// Records whether a write waits for the client.
    pub(super) fn set_writing(&self, is_writing: bool) {
        self.is_writing.store(is_writing, Ordering::Relaxed);
    }

    /// Records that some bytes of an answer moved.
    pub(super) fn touch(&self) {
        self.last.store(self.age(), Ordering::Relaxed);
    }

    /// Adds an answer that is being sent.
    pub(super) fn watch(&self, backlog: &Arc<Backlog>) {
        let mut backlogs = lock(&self.backlogs);
        backlogs.retain(|backlog| backlog.strong_count() > 0);
        backlogs.push(Arc::downgrade(backlog));
    }

    /// Tells whether the client takes one of the answers too slowly as of `now`.
    pub(super) fn is_too_slow(&self, now: Instant, terms: MinRate) -> bool {
        let backlogs: Vec<_> = lock(&self.backlogs).iter().filter_map(Weak::upgrade).collect();
        backlogs.iter().any(|backlog| backlog.is_too_slow(now, terms))
    }

    /// Returns for how long the slowest of the answers has not moved.
    pub(super) fn stalled(&self, now: Instant) -> Duration {
        let backlogs: Vec<_> = lock(&self.backlogs).iter().filter_map(Weak::upgrade).collect();
        backlogs.iter().map(|backlog| backlog.stalled(now)).max().unwrap_or_default()
    }

    /// Gives the connection up: the client is too slow, or others need the place.
    pub(super) fn give_up(&self) {
        self.given_up.notify_one();
    }

    /// Waits until the connection is given up.
    pub(super) async fn given_up(&self) {
        self.given_up.notified().await;
    }

    /// Returns for how long the connection has been idle.
    pub(super) fn idle(&self) -> Duration {
        if self.is_busy() {
            return Duration::ZERO;
        }
        Duration::from_millis(self.age().saturating_sub(self.last.load(Ordering::Relaxed)))
    }

    pub(super) fn is_busy(&self) -> bool {
        self.requests() > 0 || self.is_writing.load(Ordering::Relaxed)
    }

    fn age(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
