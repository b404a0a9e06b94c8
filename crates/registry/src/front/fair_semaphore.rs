//! A semaphore that is fair among clients.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::client::Client;

/// One client may hold three quarters: a client that is alone hardly notices, and nobody can take
/// everything.
const SHARE: (u64, u64) = (3, 4);

/// A supply that clients take from and give back to: threads, or bytes of memory. If there is not enough,
/// the client that holds least is served first, by site and then by connection; among equals, the first
/// in the queue. So a client that asks for much waits behind its own requests, not ahead of others'.
#[derive(Debug)]
pub(super) struct FairSemaphore {
    state: Mutex<State>,
    total: u64,
    /// The most that one client may hold.
    of_one: u64,
    /// The most that may be waited for. Beyond it, requests are refused.
    max_waiting: u64,
}

#[derive(Debug)]
struct State {
    free: u64,
    by_site: HashMap<IpAddr, u64>,
    by_connection: HashMap<u64, u64>,
    queue: VecDeque<Waiter>,
    /// How much the queue waits for.
    waiting: u64,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    client: Client,
    amount: u64,
    granted: oneshot::Sender<FairPermit>,
}

/// The amount that a client holds. Dropping it gives the amount back.
#[derive(Debug)]
pub(super) struct FairPermit {
    fair_semaphore: Arc<FairSemaphore>,
    client: Client,
    amount: u64,
}

/// A place in the queue.
struct Place<'a> {
    fair_semaphore: &'a Arc<FairSemaphore>,
    number: u64,
}

impl FairSemaphore {
    pub(super) fn new(total: u64, max_waiting: u64) -> Arc<Self> {
        let total = total.max(1);
        let of_one = (total / SHARE.1 * SHARE.0 + total % SHARE.1 * SHARE.0 / SHARE.1).max(1);
        let state = State {
            free: total,
            by_site: HashMap::new(),
            by_connection: HashMap::new(),
            queue: VecDeque::new(),
            waiting: 0,
            next: 0,
        };
        Arc::new(Self { state: Mutex::new(state), total, of_one, max_waiting })
    }

    /// Returns a permit without waiting, if nobody waits who could be served, and if `reserve` is left of
    /// the total and of the client's share.
    pub(super) fn try_take(
        self: &Arc<Self>,
        client: Client,
        amount: u64,
        reserve: u64,
    ) -> Option<FairPermit> {
        let mut state = self.state();
        let fits = state.free >= amount.saturating_add(reserve)
            && state.may_hold(client, amount.saturating_add(reserve), self.of_one)
            && state.next_in_turn(self.of_one).is_none();
        fits.then(|| self.hand_out(&mut state, client, amount))
    }

    /// Waits for a permit for up to `patience`. Returns `None` after that, if too much is waited for
    /// already, or if one client can never hold so much.
    pub(super) async fn take(
        self: &Arc<Self>,
        client: Client,
        amount: u64,
        patience: Duration,
    ) -> Option<FairPermit> {
        let (place, granted) = {
            let mut state = self.state();
            let fits = state.free >= amount && state.may_hold(client, amount, self.of_one);
            if fits && state.next_in_turn(self.of_one).is_none() {
                return Some(self.hand_out(&mut state, client, amount));
            }
            let fits = state.waiting.saturating_add(amount) <= self.max_waiting;
            if amount > self.of_one || !(fits || state.displace(client, amount)) {
                return None;
            }
            let number = state.next;
            state.next += 1;
            state.waiting += amount;
            let (granted, told) = oneshot::channel();
            state.queue.push_back(Waiter { number, client, amount, granted });
            (Place { fair_semaphore: self, number }, told)
        };
        // There may be enough for this request although there is not for those ahead of it.
        self.grant();
        let share = timeout(patience, granted).await;
        drop(place);
        share.ok()?.ok()
    }

    /// Returns how many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().queue.len()
    }

    /// Returns the sites that wait, with the number of their requests, and what is short.
    pub(super) fn waiting_sites(&self) -> Vec<(IpAddr, usize, Shortage)> {
        let state = self.state();
        let mut found: Vec<(IpAddr, usize, Shortage)> = Vec::new();
        for Waiter { client, amount, .. } in &state.queue {
            if let Some((_, count, _)) = found.iter_mut().find(|(site, ..)| *site == client.site) {
                *count += 1;
                continue;
            }
            let own = !state.may_hold(*client, *amount, self.of_one);
            found.push((client.site, 1, if own { Shortage::Own } else { Shortage::All }));
        }
        found
    }

    /// Returns the site that holds most.
    pub(super) fn largest(&self) -> Option<IpAddr> {
        let state = self.state();
        state.by_site.iter().max_by_key(|(_, held)| **held).map(|(site, _)| *site)
    }

    fn hand_out(self: &Arc<Self>, state: &mut State, client: Client, amount: u64) -> FairPermit {
        state.hold(client, amount);
        FairPermit { fair_semaphore: Arc::clone(self), client, amount }
    }

    /// Serves the requests in the queue as long as there is enough.
    fn grant(self: &Arc<Self>) {
        let mut given_up = Vec::new();
        let mut state = self.state();
        while let Some(at) = state.next_in_turn(self.of_one) {
            if state.queue[at].amount > state.free {
                // The next in turn gets all that is given back, or it would wait forever.
                break;
            }
            let Some(waiter) = state.queue.remove(at) else { break };
            state.waiting -= waiter.amount;
            let share = self.hand_out(&mut state, waiter.client, waiter.amount);
            if let Err(share) = waiter.granted.send(share) {
                given_up.push(share);
            }
        }
        // Dropping a permit takes the lock again.
        drop(state);
        drop(given_up);
    }

    fn give_back(self: &Arc<Self>, client: Client, amount: u64) {
        let somebody_waits = {
            let mut state = self.state();
            state.give_back(client, amount);
            debug_assert!(state.free <= self.total);
            !state.queue.is_empty()
        };
        if somebody_waits {
            self.grant();
        }
    }

    /// A panic of another thread cannot have left the counts half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a waiting site is short of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortage {
    /// The total.
    All,
    /// The share of one client.
    Own,
}

impl State {
    fn may_hold(&self, client: Client, amount: u64, of_one: u64) -> bool {
        let held = self.by_site.get(&client.site).copied().unwrap_or_default();
        held.saturating_add(amount) <= of_one
    }

    /// Returns who of the queue is served next once there is enough.
    fn next_in_turn(&self, of_one: u64) -> Option<usize> {
        let held = |client: &Client| {
            let site = self.by_site.get(&client.site).copied().unwrap_or_default();
            let connection = self.by_connection.get(&client.connection).copied();
            (site, connection.unwrap_or_default())
        };
        let waiting = self.queue.iter().enumerate();
        let may = waiting
            .filter(|(_, Waiter { client, amount, .. })| self.may_hold(*client, *amount, of_one));
        // The first of several equal ones.
        may.min_by_key(|(_, waiter)| held(&waiter.client)).map(|(at, _)| at)
    }

    /// Refuses the last request of a client that waits for more than this client would, to make room in
    /// the queue. Returns whether there is room.
    fn displace(&mut self, client: Client, amount: u64) -> bool {
        let mut by_site = HashMap::new();
        let mut by_connection = HashMap::new();
        for Waiter { client, amount, .. } in &self.queue {
            *by_site.entry(client.site).or_insert(0) += amount;
            *by_connection.entry(client.connection).or_insert(0) += amount;
        }
        let waits_for = |of: &Client| {
            let (site, connection) = (by_site.get(&of.site), by_connection.get(&of.connection));
            (site.copied().unwrap_or_default(), connection.copied().unwrap_or_default())
        };
        let theirs = waits_for(&client);
        let (at, most) =
            self.queue.iter().enumerate().fold((None, (0, 0)), |found, (at, waiter)| {
                let waits = waits_for(&waiter.client);
                if waits >= found.1 && waiter.amount >= amount { (Some(at), waits) } else { found }
            });
        let is_more = most.0 > theirs.0 + amount || most.1 > theirs.1 + amount;
        let last = at.filter(|_| is_more);
        let Some(last) = last.and_then(|last| self.queue.remove(last)) else { return false };
        self.waiting -= last.amount;
        true
    }

    fn hold(&mut self, client: Client, amount: u64) {
        self.free -= amount;
        *self.by_site.entry(client.site).or_default() += amount;
        *self.by_connection.entry(client.connection).or_default() += amount;
    }

    fn give_back(&mut self, client: Client, amount: u64) {
        self.free += amount;
        subtract(&mut self.by_site, client.site, amount);
        subtract(&mut self.by_connection, client.connection, amount);
    }
}

fn subtract<K: Eq + Hash>(held: &mut HashMap<K, u64>, key: K, amount: u64) {
    if let Some(count) = held.get_mut(&key) {
        *count -= amount;
        if *count == 0 {
            held.remove(&key);
        }
    }
}

impl FairPermit {
    /// Changes the amount. Returns whether there was enough; if not, nothing changes.
    pub(super) fn resize(&mut self, amount: u64) -> bool {
        if amount <= self.amount {
            let more = self.amount - amount;
            self.amount = amount;
            self.fair_semaphore.give_back(self.client, more);
            return true;
        }
        let Some(mut more) = self.fair_semaphore.try_take(self.client, amount - self.amount, 0)
        else {
            return false;
        };
        self.amount += std::mem::take(&mut more.amount);
        true
    }
}

impl Drop for FairPermit {
    fn drop(&mut self) {
        self.fair_semaphore.give_back(self.client, self.amount);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.fair_semaphore.state();
        let at = state.queue.iter().position(|waiter| waiter.number == self.number);
        let gone = at.and_then(|at| state.queue.remove(at));
        state.waiting -= gone.map_or(0, |waiter| waiter.amount);
        drop(state);
        // There may be enough for the requests behind it.
        self.fair_semaphore.grant();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn client(host: u8, connection: u64) -> Client {
        Client::new(([10, 0, 0, host], 1).into(), connection)
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn nobody_takes_all_and_who_holds_least_comes_first() {
        let runtime = runtime();
        let _context = runtime.enter();
        let fair_semaphore = FairSemaphore::new(8, 100);
        let mut held: Vec<_> =
            (0..6).map(|_| fair_semaphore.try_take(client(1, 1), 1, 0).unwrap()).collect();
        assert!(
            fair_semaphore.try_take(client(1, 1), 1, 0).is_none(),
            "six of eight are its share"
        );
        let other = [2, 3].map(|host| fair_semaphore.try_take(client(host, 2), 1, 0).unwrap());
        let mut greedy = pin!(fair_semaphore.take(client(1, 1), 1, PATIENCE));
        let mut modest = pin!(fair_semaphore.take(client(1, 3), 1, PATIENCE));
        let mut new = pin!(fair_semaphore.take(client(4, 4), 1, PATIENCE));
        for waiting in [greedy.as_mut(), modest.as_mut(), new.as_mut()] {
            assert!(poll(waiting).is_pending());
        }
        assert_eq!(fair_semaphore.waiting(), 3);
        held.pop();
        let of_new = poll(new).map(Option::unwrap);
        assert!(of_new.is_ready(), "it holds nothing, and came last");
        held.pop();
        let of_modest = poll(modest).map(Option::unwrap);
        assert!(of_modest.is_ready(), "a connection that holds nothing, of the same site");
        assert!(poll(greedy.as_mut()).is_pending());
        drop(other);
        assert!(poll(greedy).is_ready());
        assert_eq!(fair_semaphore.waiting(), 0);
    }

    #[test]
    fn a_full_queue_has_room_for_who_waits_for_less() {
        let runtime = runtime();
        let _context = runtime.enter();
        let fair_semaphore = FairSemaphore::new(1, 3);
        let held = fair_semaphore.try_take(client(1, 1), 1, 0);
        let mut waiting: Vec<_> =
            (0..3).map(|_| Box::pin(fair_semaphore.take(client(1, 1), 1, PATIENCE))).collect();
        for waiting in &mut waiting {
            assert!(poll(waiting.as_mut()).is_pending());
        }
        let mut other = pin!(fair_semaphore.take(client(1, 2), 1, PATIENCE));
        assert!(poll(other.as_mut()).is_pending());
        let last = poll(waiting[2].as_mut()).map(|share| share.is_none());
        assert_eq!(last, Poll::Ready(true), "it made room");
        // What came first is served first.
        drop(held);
        assert!(poll(other.as_mut()).is_pending());
        drop(waiting);
        assert!(poll(other).is_ready());
    }

    #[test]
    fn who_gives_up_holds_nothing() {
        let runtime = runtime();
        let _context = runtime.enter();
        let fair_semaphore = FairSemaphore::new(4, 2);
        let held = fair_semaphore.try_take(client(1, 1), 3, 0).unwrap();
        {
            let mut waiting = pin!(fair_semaphore.take(client(2, 2), 2, PATIENCE));
            assert!(poll(waiting.as_mut()).is_pending());
            let mut refused = pin!(fair_semaphore.take(client(3, 3), 1, PATIENCE));
            assert!(poll(refused.as_mut()).map(|share| share.is_none()).is_ready(), "too many");
            // Granted, and never fetched.
            drop(held);
        }
        assert_eq!(fair_semaphore.waiting(), 0);
        assert!(
            fair_semaphore.try_take(client(1, 1), 3, 1).is_none(),
            "some of its own share is spared"
        );
        let _share = fair_semaphore.try_take(client(1, 1), 2, 1).unwrap();
        let _other = fair_semaphore.try_take(client(2, 2), 1, 1).unwrap();
        assert!(fair_semaphore.try_take(client(3, 3), 1, 1).is_none(), "and the rest of all");
    }
}
