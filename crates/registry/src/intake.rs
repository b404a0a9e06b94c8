//! How much of manifests is taken in at once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use longshore_spec::Manifest;

use crate::fault::{Code, Fault};
use crate::registry::Origin;

/// A manifest of no more than so many bytes is not counted: few are longer, and the threads that take
/// them in are bounded.
pub(crate) const SHORT: u64 = 64 << 10;

/// A manifest takes so many times its bytes: as it came, and taken apart.
const TIMES: u64 = 2;

/// One client may have one of the longest manifests on the way.
const OF_ONE: u64 = TIMES * Manifest::MAX_SIZE;

/// And so may another.
const OF_ALL: u64 = 2 * OF_ONE;

/// The memory that long manifests take while they come.
#[derive(Debug, Default)]
pub(crate) struct Intake(Mutex<HashMap<Option<Origin>, u64>>);

/// What one manifest takes, until this is dropped.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    intake: &'a Intake,
    origin: Option<Origin>,
    bytes: u64,
}

impl Intake {
    /// Takes room for a manifest of so many bytes. Fails if there is none (row F-46): whoever waited
    /// here would do so on a thread that others need.
    pub(crate) fn take(&self, origin: Option<Origin>, bytes: u64) -> Result<Taken<'_>, Fault> {
        let bytes = if bytes <= SHORT { 0 } else { TIMES * bytes };
        let mut held = self.held();
        let all: u64 = held.values().sum();
        let theirs = held.get(&origin).copied().unwrap_or_default();
        if theirs + bytes > OF_ONE || all + bytes > OF_ALL {
            return Err(Fault::new(
                Code::TooManyRequests,
                "too many long manifests are on the way",
            ));
        }
        *held.entry(origin).or_default() += bytes;
        Ok(Taken { intake: self, origin, bytes })
    }

    /// A panic of another thread cannot have left the figures half changed.
    fn held(&self) -> MutexGuard<'_, HashMap<Option<Origin>, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken<'_> {
    /// Tells whether it is counted.
    pub(crate) fn is_counted(&self) -> bool {
        self.bytes > 0
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut held = self.intake.held();
        if let Some(count) = held.get_mut(&self.origin) {
            *count -= self.bytes;
            if *count == 0 {
                held.remove(&self.origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_manifests_share_a_bound_and_short_ones_have_none() {
        let intake = Intake::default();
        let origin = |host| Some(Origin([10, 0, 0, host].into()));
        let first = intake.take(origin(1), Manifest::MAX_SIZE).unwrap();
        assert!(intake.take(origin(1), SHORT + 1).is_err());
        assert!(intake.take(origin(1), SHORT).is_ok());
        let second = intake.take(origin(2), Manifest::MAX_SIZE).unwrap();
        assert!(intake.take(origin(3), SHORT + 1).is_err());
        drop(first);
        assert!(intake.take(origin(3), SHORT + 1).is_ok());
        drop(second);
        assert!(intake.held().is_empty());
    }
}
