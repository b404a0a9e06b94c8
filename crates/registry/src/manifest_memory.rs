//! The memory of manifests that are being pushed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use longshore_spec::Manifest;

use crate::context::ClientSite;
use crate::error::{Code, ErrorResponse};

/// Shorter manifests are not counted: most are short, and the threads that receive them are bounded.
pub(crate) const SHORT: u64 = 64 << 10;

/// A manifest takes so many times its size: its bytes, and its parsed form.
const TIMES: u64 = 2;

/// One client may push one manifest of the greatest length at a time.
const OF_ONE: u64 = TIMES * Manifest::MAX_SIZE;

/// Two clients may do so at once.
const OF_ALL: u64 = 2 * OF_ONE;

/// Counts the memory of long manifests that are being pushed.
#[derive(Debug, Default)]
pub(crate) struct ManifestMemory(Mutex<HashMap<Option<ClientSite>, u64>>);

/// The memory of one manifest, until this is dropped.
#[derive(Debug)]
pub(crate) struct ReservedMemory<'a> {
    manifest_memory: &'a ManifestMemory,
    site: Option<ClientSite>,
    bytes: u64,
}

impl ManifestMemory {
    /// Reserves memory for a manifest of so many bytes. Fails if there is not enough (row F-46): waiting
    /// would block a thread that others need.
    pub(crate) fn take(
        &self,
        site: Option<ClientSite>,
        bytes: u64,
    ) -> Result<ReservedMemory<'_>, ErrorResponse> {
        let bytes = if bytes <= SHORT { 0 } else { TIMES * bytes };
        let mut held = self.held();
        let all: u64 = held.values().sum();
        let theirs = held.get(&site).copied().unwrap_or_default();
        if theirs + bytes > OF_ONE || all + bytes > OF_ALL {
            return Err(ErrorResponse::new(
                Code::TooManyRequests,
                "too many long manifests are on the way",
            ));
        }
        *held.entry(site).or_default() += bytes;
        Ok(ReservedMemory { manifest_memory: self, site, bytes })
    }

    /// A panic of another thread cannot have left the counts half changed.
    fn held(&self) -> MutexGuard<'_, HashMap<Option<ClientSite>, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReservedMemory<'_> {
    /// Tells whether it is counted.
    pub(crate) fn is_counted(&self) -> bool {
        self.bytes > 0
    }
}

impl Drop for ReservedMemory<'_> {
    fn drop(&mut self) {
        let mut held = self.manifest_memory.held();
        if let Some(count) = held.get_mut(&self.site) {
            *count -= self.bytes;
            if *count == 0 {
                held.remove(&self.site);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_manifests_share_a_bound_and_short_ones_have_none() {
        let manifest_memory = ManifestMemory::default();
        let site = |host| Some(ClientSite([10, 0, 0, host].into()));
        let first = manifest_memory.take(site(1), Manifest::MAX_SIZE).unwrap();
        assert!(manifest_memory.take(site(1), SHORT + 1).is_err());
        assert!(manifest_memory.take(site(1), SHORT).is_ok());
        let second = manifest_memory.take(site(2), Manifest::MAX_SIZE).unwrap();
        assert!(manifest_memory.take(site(3), SHORT + 1).is_err());
        drop(first);
        assert!(manifest_memory.take(site(3), SHORT + 1).is_ok());
        drop(second);
        assert!(manifest_memory.held().is_empty());
    }
}
