//! The open connections, and which of them make room for others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::activity::Activity;
use super::fair_semaphore::{FairSemaphore, Shortage};

/// An answer that has not moved for so long may be aborted if somebody else needs its place. A line that
/// is merely slow moves some bytes more often.
const STALLED: Duration = Duration::from_secs(1);

/// The connections that are open.
#[derive(Debug, Default)]
pub(super) struct Connections {
    members: Mutex<HashMap<u64, Member>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Member {
    site: IpAddr,
    activity: Arc<Activity>,
    /// Whether it was asked to make room.
    is_leaving: bool,
}

/// An entry among the connections, until it is dropped.
pub(super) struct ConnectionGuard {
    connections: Arc<Connections>,
    pub(super) number: u64,
}

impl Connections {
    pub(super) fn enter(
        self: &Arc<Self>,
        site: IpAddr,
        activity: Arc<Activity>,
    ) -> ConnectionGuard {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.members().insert(number, Member { site, activity, is_leaving: false });
        ConnectionGuard { connections: Arc::clone(self), number }
    }

    /// Closes a connection to make room for one of `newcomer`: the one that has been idle longest, of the
    /// site with most connections. If none is idle, one of a site that has more than the newcomer.
    pub(super) fn make_room(&self, newcomer: IpAddr) {
        let mut members = self.members();
        let mut counts = HashMap::new();
        for member in members.values() {
            *counts.entry(member.site).or_insert(0_usize) += 1;
        }
        let count_of = |member: &Member| counts.get(&member.site).copied().unwrap_or_default();
        let staying = || members.iter().filter(|(_, member)| !member.is_leaving);
        let idle = staying().filter(|(_, member)| !member.activity.is_busy());
        let longest_idle =
            idle.max_by_key(|(_, member)| (count_of(member), member.activity.idle()));
        let theirs = counts.get(&newcomer).copied().unwrap_or_default();
        let now = Instant::now();
        let busy = || {
            let more = staying().filter(|(_, member)| count_of(member) > theirs + 1);
            more.max_by_key(|(_, member)| (count_of(member), member.activity.stalled(now)))
        };
        let number = longest_idle.or_else(busy).map(|(number, _)| *number);
        if let Some(member) = number.and_then(|number| members.get_mut(&number)) {
            member.leave();
        }
    }

    /// Closes connections that hold memory and do not move while requests wait for memory: for each
    /// waiting request the one that has stalled longest, of the same site if that site has its full
    /// share, else of the site that holds most.
    pub(super) fn relieve(&self, memory: &FairSemaphore, now: Instant) {
        for (site, count, scarce) in memory.waiting_sites() {
            let of = match scarce {
                Shortage::Own => Some(site),
                Shortage::All => memory.largest(),
            };
            let mut members = self.members();
            let staying = members
                .values_mut()
                .filter(|member| Some(member.site) == of && !member.is_leaving)
                .map(|member| (member.activity.stalled(now), member));
            let mut stalled: Vec<_> = staying.filter(|(time, _)| *time >= STALLED).collect();
            stalled.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
            for (_, member) in stalled.into_iter().take(count) {
                member.leave();
            }
        }
    }

    /// A panic of another thread cannot have left the table half changed.
    fn members(&self) -> MutexGuard<'_, HashMap<u64, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    fn leave(&mut self) {
        self.is_leaving = true;
        self.activity.give_up();
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.connections.members().remove(&self.number);
    }
}
