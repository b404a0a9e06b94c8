//! How slowly the other side may send or take bytes.

use std::time::Duration;

/// Tells a slow line from a host that only keeps a connection open. In each window of waiting either no
/// bytes may come, or at least a minimum. Only time spent waiting counts, so a slow reader here is not
/// blamed on the other side.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    window: Duration,
    /// The longest silence.
    idle: Duration,
    /// The minimum of bytes in a window in which some come.
    least: u64,
    waited: Duration,
    come: u64,
    silent: Duration,
}

/// The result of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speed {
    Fair,
    /// Some bytes came, but too few.
    Slow,
    /// No byte came for the longest time that is allowed.
    Silent,
}

impl Meter {
    /// Requires `speed` bytes a second, measured over each `window` of waiting.
    pub(super) fn new(window: Duration, idle: Duration, speed: u64) -> Self {
        let millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let least = (speed.saturating_mul(millis) / 1000).max(1);
        let (waited, come, silent) = (Duration::ZERO, 0, Duration::ZERO);
        Self { window, idle, least, waited, come, silent }
    }

    /// Requires everything within one `window` of waiting.
    pub(super) fn once(window: Duration) -> Self {
        Self { least: u64::MAX, ..Self::new(window, window, 0) }
    }

    /// Returns how long to wait until the next measurement.
    pub(super) fn patience(&self) -> Duration {
        self.window.saturating_sub(self.waited).min(self.idle.saturating_sub(self.silent))
    }

    /// Records that `count` bytes came after waiting for so long.
    pub(super) fn note(&mut self, waited: Duration, count: u64) -> Speed {
        self.waited += waited;
        self.come = self.come.saturating_add(count);
        self.silent = if count > 0 { Duration::ZERO } else { self.silent + waited };
        if self.silent >= self.idle {
            return Speed::Silent;
        }
        if self.waited < self.window {
            return Speed::Fair;
        }
        let is_slow = self.come > 0 && self.come < self.least;
        (self.waited, self.come) = (Duration::ZERO, 0);
        if is_slow { Speed::Slow } else { Speed::Fair }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn after(meter: &mut Meter, seconds: u32, each: u64) -> Speed {
        let speeds = (0..seconds).map(|_| meter.note(SECOND, each));
        speeds.fold(Speed::Fair, |found, speed| if found == Speed::Fair { speed } else { found })
    }

    #[test]
    fn a_slow_line_goes_on_and_a_drip_does_not() {
        let meter = Meter::new(30 * SECOND, 60 * SECOND, 240);
        for (each, expected) in
            [(2048, Speed::Fair), (240, Speed::Fair), (239, Speed::Slow), (1, Speed::Slow)]
        {
            assert_eq!(after(&mut meter.clone(), 3600, each), expected, "{each} bytes a second");
        }
        assert_eq!(after(&mut meter.clone(), 59, 0), Speed::Fair);
        assert_eq!(after(&mut meter.clone(), 60, 0), Speed::Silent);
    }

    #[test]
    fn who_thinks_for_a_while_is_not_slow_unless_that_is_all() {
        let mut meter = Meter::new(30 * SECOND, 60 * SECOND, 240);
        for _ in 0..10 {
            assert_eq!(after(&mut meter, 45, 0), Speed::Fair);
            assert_eq!(meter.note(SECOND, 1 << 20), Speed::Fair);
        }
        let mut meter = Meter::new(30 * SECOND, 60 * SECOND, 240);
        assert_eq!(after(&mut meter, 45, 0), Speed::Fair);
        assert_eq!(meter.note(SECOND, 1), Speed::Fair);
        assert_eq!(after(&mut meter, 45, 0), Speed::Slow);
    }

    #[test]
    fn what_came_long_ago_does_not_count() {
        let mut meter = Meter::new(30 * SECOND, 60 * SECOND, 240);
        assert_eq!(meter.note(30 * SECOND, 1 << 30), Speed::Fair);
        assert_eq!(after(&mut meter, 60, 1), Speed::Slow);
    }

    #[test]
    fn only_waiting_counts() {
        let mut meter = Meter::new(30 * SECOND, 60 * SECOND, 240);
        for _ in 0..100_000 {
            assert_eq!(meter.note(Duration::ZERO, 1), Speed::Fair);
        }
        assert_eq!(meter.patience(), 30 * SECOND);
    }

    #[test]
    fn what_has_to_come_at_once_may_not_go_on_for_long() {
        let mut meter = Meter::once(5 * SECOND);
        assert_eq!(after(&mut meter, 5, 1 << 20), Speed::Slow);
    }
}
