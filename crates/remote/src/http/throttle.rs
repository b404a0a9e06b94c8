//! How many requests a host gets at once, and when. A host that answers 429 gets fewer.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use longshore_store::{ConnectionFailure, Error};

use super::pace::Pace;
use crate::Rate;

/// The longest `Retry-After` that is obeyed. If a host asks for more, the request fails.
pub(super) const LONGEST_WAIT: Duration = Duration::from_mins(2);

/// The user is told of waits that are this long.
pub(super) const TOLD_WAIT: Duration = Duration::from_secs(5);

/// The longest wait before a retry if the host does not name one.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// After so many answers, a host that was slowed down gets one more request at once.
const HEALED_AFTER: usize = 8;

/// How long no request is sent to a host that could not be reached.
const GIVEN_UP_FOR: Duration = Duration::from_secs(30);

/// How long a request waits for a host that has as many requests as it may have. Then it is sent anyway:
/// an upload whose content comes from the same host would otherwise wait for itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// The state of all hosts.
#[derive(Debug)]
pub(super) struct Throttle {
    /// The most requests that a host gets at once.
    most: usize,
    /// How many requests it gets in a time.
    rate: Option<Rate>,
    hosts: Mutex<HashMap<String, Host>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Host {
    /// How many requests may be in flight at once.
    limit: usize,
    under_way: usize,
    pace: Option<Pace>,
    /// The answers since `limit` last changed.
    answers: usize,
    has_answered: bool,
    /// No request is sent before this time: the host asked for it.
    rests_until: Option<Instant>,
    /// No request is sent before this time: the host could not be reached, for this reason.
    given_up: Option<(Instant, ConnectionFailure)>,
}

/// Permission for one request to a host; dropping it lets the next request go.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    throttle: &'a Throttle,
    host: String,
}

impl Throttle {
    pub(super) fn new(most: usize, rate: Option<Rate>) -> Self {
        Self { most: most.max(1), rate, hosts: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits until a request may be sent to `host`.
    pub(super) fn acquire(&self, host: &str) -> Permit<'_> {
        let patience = Instant::now() + PATIENCE;
        let mut hosts = self.hosts();
        loop {
            let state = self.state(&mut hosts, host);
            let now = Instant::now();
            if let Some(until) = state.rests_until.filter(|until| *until > now) {
                drop(hosts);
                thread::sleep(until - now);
                hosts = self.hosts();
                continue;
            }
            if state.under_way < state.limit || now >= patience {
                state.under_way += 1;
                let due = state.pace.as_ref().map_or(Duration::ZERO, |pace| pace.take(1, now));
                drop(hosts);
                thread::sleep(due);
                return Permit { throttle: self, host: host.to_owned() };
            }
            let waited = self.changed.wait_timeout(hosts, patience - now);
            hosts = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Halves the number of requests that `host` gets at once, and sends it none for `rest` (row E-08).
    pub(super) fn slow_down(&self, host: &str, rest: Option<Duration>) {
        let mut hosts = self.hosts();
        let state = self.state(&mut hosts, host);
        state.limit = (state.limit / 2).max(1);
        state.answers = 0;
        state.has_answered = true;
        if let Some(rest) = rest {
            let until = Instant::now() + rest.min(LONGEST_WAIT);
            state.rests_until = Some(state.rests_until.map_or(until, |before| before.max(until)));
        }
    }

    /// Records that `host` answered.
    pub(super) fn answered(&self, host: &str) {
        let mut hosts = self.hosts();
        let most = self.most;
        let state = self.state(&mut hosts, host);
        state.answers += 1;
        state.has_answered = true;
        if state.answers >= HEALED_AFTER && state.limit < most {
            state.limit += 1;
            state.answers = 0;
        }
    }

    /// Records that a host cannot be reached, so that requests for thousands of its artifacts fail at once.
    pub(super) fn give_up(&self, error: &Error) {
        let Error::Connection { what: host, why, .. } = error else { return };
        let until = Instant::now() + GIVEN_UP_FOR;
        self.state(&mut self.hosts(), host).given_up = Some((until, why.clone()));
    }

    /// Returns why `host` cannot be reached, if that was found out less than [`GIVEN_UP_FOR`] ago.
    pub(super) fn given_up(&self, host: &str) -> Option<Error> {
        let hosts = self.hosts();
        let (until, why) = hosts.get(host)?.given_up.as_ref()?;
        (*until > Instant::now()).then(|| Error::unreachable(host, why.clone()))
    }

    /// Tells whether `host` has ever answered.
    pub(super) fn has_answered(&self, host: &str) -> bool {
        self.hosts().get(host).is_some_and(|state| state.has_answered)
    }

    fn state<'a>(&self, hosts: &'a mut HashMap<String, Host>, host: &str) -> &'a mut Host {
        hosts.entry(host.to_owned()).or_insert(Host {
            limit: self.most,
            under_way: 0,
            pace: self.rate.map(Pace::new),
            answers: 0,
            has_answered: false,
            rests_until: None,
            given_up: None,
        })
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.throttle.hosts().get_mut(&self.host) {
            state.under_way = state.under_way.saturating_sub(1);
        }
        self.throttle.changed.notify_one();
    }
}

/// Returns how long to wait before retry number `attempt`, the first being 0: a random time below a bound
/// that doubles each time, so that requests that failed together are not repeated together.
pub(super) fn backoff(base: Duration, attempt: u32) -> Duration {
    let most = base.saturating_mul(1 << attempt.min(16)).min(LONGEST_BACKOFF);
    // The standard library has no other source of randomness, and this one is good enough.
    let chance = RandomState::new().hash_one(attempt);
    let share = chance % 1000;
    most.mul_f64(f64::from(u32::try_from(share).unwrap_or(0)) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(throttle: &Throttle) -> usize {
        throttle.state(&mut throttle.hosts(), "h").limit
    }

    #[test]
    fn e08_a_host_is_asked_less_and_then_more_again() {
        let throttle = Throttle::new(8, None);
        for expected in [4, 2, 1, 1] {
            throttle.slow_down("h", None);
            assert_eq!(limit(&throttle), expected);
        }
        for _ in 0..HEALED_AFTER * 20 {
            throttle.answered("h");
        }
        assert_eq!(limit(&throttle), 8);
    }

    #[test]
    fn a_permit_comes_back() {
        let throttle = Throttle::new(1, None);
        for _ in 0..3 {
            let _permit = throttle.acquire("h");
            let _other = throttle.acquire("i");
        }
        assert_eq!(throttle.hosts()["h"].under_way, 0);
    }

    #[test]
    fn a_wait_is_bounded() {
        for attempt in [0, 3, 40, u32::MAX] {
            assert!(backoff(Duration::from_millis(500), attempt) <= LONGEST_BACKOFF);
        }
        assert!(backoff(Duration::from_millis(500), 0) <= Duration::from_millis(500));
    }
}
