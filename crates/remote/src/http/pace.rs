//! Amounts spread over time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Rate;

/// Keeps all who share it to a rate. Whoever takes an amount is told how long to wait first: until what was
/// taken before has had its time.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Rate,
    /// When the next amount is due.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, next: Mutex::default() }
    }

    /// Takes `amount`, and returns how long after `now` it is due. Time that nobody used is not made up for.
    pub(super) fn take(&self, amount: u64, now: Instant) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.map_or(now, |next| next.max(now));
        *next = Some(due + self.rate.time_for(amount));
        due - now
    }
}

/// Waits, if a pace is kept, until `amount` more is due.
pub(super) async fn keep(pace: Option<&Pace>, amount: u64) {
    if let Some(pace) = pace {
        let wait = pace.take(amount, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_amount_waits_for_those_before_it() {
        let rate = Rate { amount: NonZeroU64::new(1000).unwrap(), per: SECOND };
        let (pace, now) = (Pace::new(rate), Instant::now());
        assert_eq!(pace.take(500, now), Duration::ZERO);
        assert_eq!(pace.take(2000, now), SECOND / 2);
        assert_eq!(pace.take(1, now + SECOND), SECOND * 3 / 2);
        // What was not used is lost.
        let later = now + 60 * SECOND;
        assert_eq!(pace.take(1000, later), Duration::ZERO);
        assert_eq!(pace.take(1000, later), SECOND);
    }

    #[test]
    fn a_rate_that_is_hardly_one_does_not_overflow() {
        let rate = Rate { amount: NonZeroU64::MIN, per: Duration::from_hours(24) };
        let (pace, now) = (Pace::new(rate), Instant::now());
        pace.take(u64::MAX, now);
        assert!(pace.take(u64::MAX, now) > Duration::ZERO);
    }
}
