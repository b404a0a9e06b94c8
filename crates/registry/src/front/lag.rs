//! How slow a client may be.

use std::time::Duration;

/// The least speed of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct MinRate {
    /// In bytes a second.
    pub(super) rate: u64,
    /// How far a client may lag behind, as time.
    pub(super) window: Duration,
}

/// How far a client lags behind the minimum rate. Bytes ahead of the rate count for later, up to a bound:
/// kernels take bytes long before a program reads them, and then nothing seems to move for a while.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// In microseconds at the minimum rate; negative if the client is ahead.
    behind: i64,
}

impl Lag {
    /// Counts time in which the client could have moved bytes.
    pub(super) fn waited(&mut self, time: Duration) {
        self.behind = self.behind.saturating_add(micros(time));
    }

    /// Counts bytes that moved. The client may get ahead by up to `ahead` bytes.
    pub(super) fn moved(&mut self, bytes: u64, ahead: u64, terms: MinRate) {
        let floor = -time_of(ahead, terms.rate);
        self.behind = self.behind.saturating_sub(time_of(bytes, terms.rate)).max(floor);
    }

    pub(super) fn is_too_slow(&self, terms: MinRate) -> bool {
        self.behind >= micros(terms.window)
    }
}

/// Returns how long so many bytes may take.
fn time_of(bytes: u64, rate: u64) -> i64 {
    let micros = u128::from(bytes) * 1_000_000 / u128::from(rate.max(1));
    i64::try_from(micros).unwrap_or(i64::MAX)
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: MinRate = MinRate { rate: 240, window: Duration::from_mins(1) };
    const SECOND: Duration = Duration::from_secs(1);

    /// Moves so many bytes each `every` seconds, and returns after how many seconds that was too slow.
    fn lasts(bytes: u64, every: u64, ahead: u64) -> Option<u64> {
        let mut lag = Lag::default();
        for second in 1..=10_000 {
            lag.waited(SECOND);
            if second % every == 0 {
                lag.moved(bytes, ahead, TERMS);
            }
            if lag.is_too_slow(TERMS) {
                return Some(second);
            }
        }
        None
    }

    #[test]
    fn the_rate_is_what_it_is_said_to_be() {
        assert_eq!(lasts(0, 1, 0), Some(60));
        assert_eq!(lasts(120, 1, 0), Some(120));
        assert_eq!(lasts(240, 1, 0), None);
        assert_eq!(lasts(240 * 50, 50, 0), None);
    }

    #[test]
    fn what_kernels_have_taken_counts_later() {
        // 64 KiB at a time, for a program that reads 250 bytes a second.
        assert_eq!(lasts(64 << 10, 262, 0), Some(60));
        let mut lag = Lag::default();
        lag.moved(128 << 10, 128 << 10, TERMS);
        for _ in 0..500 {
            lag.waited(SECOND);
        }
        assert!(!lag.is_too_slow(TERMS));
        // While others wait, being ahead is worth less.
        let others = MinRate { rate: 4096, window: Duration::from_secs(10) };
        let mut lag = Lag::default();
        lag.moved(128 << 10, 128 << 10, TERMS);
        lag.moved(0, 128 << 10, others);
        lag.waited(SECOND * 41);
        assert!(!lag.is_too_slow(others));
        lag.waited(SECOND);
        assert!(lag.is_too_slow(others));
    }
}
