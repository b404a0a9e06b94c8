//! The part of an answer that waits for its client.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::fair_semaphore::FairPermit;
use super::lag::{Lag, MinRate};

/// How far a client may be ahead, in bytes: two pieces of the largest size, since progress is seen only
/// when a piece is gone, and the buffers of kernels.
const AHEAD: u64 = 1 << 20;

/// How an answer moves. Bytes have moved when the connection has let go of them. Bytes that stay in its
/// buffers because a window is closed have not.
#[derive(Debug)]
pub(super) struct Backlog {
    state: Mutex<State>,
    has_moved: Notify,
}

#[derive(Debug)]
struct State {
    lag: Lag,
    /// Bytes that have moved since the last check.
    fresh: u64,
    /// Bytes that have moved since the beginning.
    total: u64,
    /// Bytes that were given to the connection and have not moved.
    waiting: usize,
    /// The time up to which waiting is counted.
    counted: Instant,
    /// When the last bytes moved, or began to wait.
    moved: Instant,
}

/// A piece of an answer, with its share of the memory.
struct Piece {
    bytes: Bytes,
    backlog: Arc<Backlog>,
    _share: Option<Arc<FairPermit>>,
}

impl Backlog {
    pub(super) fn begin(now: Instant) -> Arc<Self> {
        let state =
            State { lag: Lag::default(), fresh: 0, total: 0, waiting: 0, counted: now, moved: now };
        Arc::new(Self { state: Mutex::new(state), has_moved: Notify::new() })
    }

    /// Wraps a piece for the connection, so that it is counted until it has moved. It holds `share` for
    /// as long.
    pub(super) fn give(
        self: &Arc<Self>,
        bytes: Bytes,
        share: Option<Arc<FairPermit>>,
        now: Instant,
    ) -> Bytes {
        {
            let mut state = self.state();
            if state.waiting == 0 {
                (state.counted, state.moved) = (now, now);
            }
            state.waiting += bytes.len();
        }
        Bytes::from_owner(Piece { bytes, backlog: Arc::clone(self), _share: share })
    }

    /// Waits until at most so many bytes wait for the client.
    pub(super) async fn wait_below(&self, bytes: usize) {
        loop {
            let moved = self.has_moved.notified();
            if self.state().waiting <= bytes {
                return;
            }
            moved.await;
        }
    }

    /// Returns how many bytes have moved.
    pub(super) fn total(&self) -> u64 {
        self.state().total
    }

    /// Tells whether the client is too slow as of `now`. This is called repeatedly.
    pub(super) fn is_too_slow(&self, now: Instant, terms: MinRate) -> bool {
        let mut state = self.state();
        state.count(now);
        let fresh = std::mem::take(&mut state.fresh);
        state.lag.moved(fresh, AHEAD, terms);
        state.lag.is_too_slow(terms)
    }

    /// Returns for how long no byte has moved although some wait.
    pub(super) fn stalled(&self, now: Instant) -> Duration {
        let state = self.state();
        if state.waiting == 0 {
            return Duration::ZERO;
        }
        now.saturating_duration_since(state.moved)
    }

    fn moved(&self, bytes: usize, now: Instant) {
        let mut state = self.state();
        state.count(now);
        state.waiting -= bytes;
        state.fresh += bytes as u64;
        state.total += bytes as u64;
        state.moved = now;
        drop(state);
        self.has_moved.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts the time up to `now`, if the client could have taken bytes in it.
    fn count(&mut self, now: Instant) {
        if self.waiting > 0 {
            self.lag.waited(now.saturating_duration_since(self.counted));
        }
        self.counted = now;
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.backlog.moved(self.bytes.len(), Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::Client;
    use super::super::fair_semaphore::FairSemaphore;
    use super::*;

    const TERMS: MinRate = MinRate { rate: 240, window: Duration::from_mins(1) };

    #[test]
    fn a_closed_window_counts_from_the_first_moment() {
        let fair_semaphore = FairSemaphore::new(4, 0);
        let client = Client::new(([10, 0, 0, 1], 1).into(), 1);
        let share = || fair_semaphore.try_take(client, 1, 0).map(Arc::new);
        let now = Instant::now();
        let backlog = Backlog::begin(now);
        let later = now + Duration::from_hours(1);
        assert!(!backlog.is_too_slow(later, TERMS), "nothing was offered to it");
        let piece = backlog.give(Bytes::from_static(&[7; 100]), share(), later);
        assert!(!backlog.is_too_slow(later + Duration::from_secs(59), TERMS));
        assert_eq!(backlog.stalled(later + Duration::from_secs(59)), Duration::from_secs(59));
        assert!(backlog.is_too_slow(later + Duration::from_mins(1), TERMS));
        assert!(fair_semaphore.try_take(client, 3, 0).is_none(), "the piece holds its memory");
        drop(piece);
        assert!(fair_semaphore.try_take(client, 3, 0).is_some());
        assert_eq!(backlog.stalled(later), Duration::ZERO);
    }
}
