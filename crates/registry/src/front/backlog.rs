//! What of an answer waits for its client.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::fair_semaphore::FairPermit;
use super::lag::{Lag, MinRate};

/// A client may be ahead by so many bytes: two of the largest pieces, of which it is seen only when
/// each is gone, and what kernels hold.
const AHEAD: u64 = 1 << 20;

/// How an answer moves. Bytes count as moved when the connection has let go of them: what stands in
/// its buffers because a window is closed has not.
#[derive(Debug)]
pub(super) struct Backlog {
    state: Mutex<State>,
    has_moved: Notify,
}

#[derive(Debug)]
struct State {
    lag: Lag,
    /// So many bytes have moved since it was asked last how fast they do.
    fresh: u64,
    /// So many bytes have moved since the beginning.
    total: u64,
    /// So many bytes were given to the connection and have not moved.
    waiting: usize,
    /// Up to when waiting is counted.
    counted: Instant,
    /// When something moved last, or began to wait.
    moved: Instant,
}

/// A piece of an answer, with the memory that it takes from what there is for all.
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

    /// Returns a piece as it is given to the connection. It is followed until it has moved, and
    /// `share` is held for as long.
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

    /// Waits until no more than so many bytes wait for the client.
    pub(super) async fn below(&self, bytes: usize) {
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

    /// Tells whether the client takes it too slowly as of `now`. It is asked again and again.
    pub(super) fn is_too_slow(&self, now: Instant, terms: MinRate) -> bool {
        let mut state = self.state();
        state.count(now);
        let fresh = std::mem::take(&mut state.fresh);
        state.lag.moved(fresh, AHEAD, terms);
        state.lag.is_too_slow(terms)
    }

    /// Returns for how long nothing has moved although something waits.
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
    /// Counts the time up to `now`, if the client could have taken something in it.
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
