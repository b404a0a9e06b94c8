//! Admission control: which threads and memory requests get, how long they wait for them, and how slow a
//! body may be.

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::ServerOptions;
use super::client::Client;
use super::fair_semaphore::{FairPermit, FairSemaphore};
use super::lag::MinRate;
use crate::error::{Code, ErrorResponse};

/// How long a request waits for a thread or memory. Clients give up after half a minute or a minute
/// without an answer.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// One part in this many of the memory is kept for requests themselves. Memory that only makes a transfer
/// faster must not come from it.
const RESERVED_SHARE: u64 = 4;

/// One part in this many of the memory is reserved for a list, which is built in memory, before its length
/// is known.
const LIST: u64 = 16;

/// How often a body is checked within the time that it may lag behind.
const LOOKS: u32 = 4;

/// The shortest time between two checks.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

/// A thread to work on. Dropping it admits the next request.
#[derive(Debug)]
pub(super) struct Permit {
    _thread: FairPermit,
    /// The writer or reader, for work that may take long.
    _long: Option<FairPermit>,
}

/// What a request needs a thread for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Finding an answer, which is quick.
    Answer,
    /// Receiving a body.
    Receive,
    /// Reading a blob while its client takes it.
    Send,
}

impl Work {
    pub(super) fn of(method: &Method) -> Self {
        if matches!(*method, Method::GET | Method::HEAD) { Self::Answer } else { Self::Receive }
    }
}

/// Hands out threads and memory to requests, fairly among clients.
#[derive(Debug)]
pub(super) struct Admission {
    threads: Arc<FairSemaphore>,
    /// How many threads may receive bodies at once. A client that sends slowly holds its thread for long,
    /// so pulls, which need one only for moments, must find others.
    writers: Arc<FairSemaphore>,
    /// How many threads may read blobs at once. Writers and readers together leave some threads for
    /// [`Work::Answer`].
    readers: Arc<FairSemaphore>,
    /// In bytes.
    memory: Arc<FairSemaphore>,
    total: u64,
    alone: MinRate,
    while_others_wait: MinRate,
}

impl Admission {
    pub(super) fn new(options: &ServerOptions) -> Self {
        let threads = options.max_requests.max(1) as u64;
        let (max_waiting, total) = (options.max_waiting as u64, options.max_memory as u64);
        let alone = MinRate { rate: options.min_rate, window: options.idle_timeout };
        Self {
            threads: FairSemaphore::new(threads, max_waiting),
            writers: FairSemaphore::new(threads / 2, max_waiting),
            // Responses that have begun may always wait for a reader: the memory bounds their number.
            readers: FairSemaphore::new(threads * 3 / 8, u64::MAX),
            // A waiting request takes memory for its headers.
            memory: FairSemaphore::new(total, total / 2),
            total,
            alone,
            while_others_wait: MinRate {
                rate: options.min_rate_while_others_wait,
                window: options.idle_timeout_while_others_wait.min(options.idle_timeout),
            },
        }
    }

    /// Waits for the memory of a request. Fails if there is not enough in time (row F-46).
    pub(super) async fn wait_for_memory(
        &self,
        client: Client,
        bytes: u64,
    ) -> Result<FairPermit, ErrorResponse> {
        self.memory.take(client, bytes, MAX_WAIT).await.ok_or_else(busy)
    }

    /// Returns memory if [`RESERVED_SHARE`] of it stays free.
    pub(super) fn spare_memory(&self, client: Client, bytes: u64) -> Option<FairPermit> {
        self.memory.try_take(client, bytes, self.total / RESERVED_SHARE)
    }

    /// Returns memory without waiting, down to the last byte.
    pub(super) fn any_memory(&self, client: Client, bytes: u64) -> Option<FairPermit> {
        self.memory.try_take(client, bytes, 0)
    }

    /// Returns how much memory to reserve for a list of unknown length.
    pub(super) fn list(&self) -> u64 {
        self.total / LIST
    }

    /// Waits for a thread. Fails if too many requests wait, or after too long (row F-46).
    pub(super) async fn wait_for_thread(
        &self,
        client: Client,
        work: Work,
    ) -> Result<Permit, ErrorResponse> {
        let long = match work {
            Work::Answer => None,
            Work::Receive => Some(&self.writers),
            Work::Send => Some(&self.readers),
        };
        let long = match long {
            None => None,
            Some(long) => Some(long.take(client, 1, MAX_WAIT).await.ok_or_else(busy)?),
        };
        let thread = self.threads.take(client, 1, MAX_WAIT).await.ok_or_else(busy)?;
        Ok(Permit { _thread: thread, _long: long })
    }

    /// Returns how many requests wait for a thread or memory.
    pub(super) fn waiting(&self) -> usize {
        let threads = [&self.threads, &self.writers, &self.readers];
        threads.map(|threads| threads.waiting()).iter().sum::<usize>() + self.memory.waiting()
    }

    pub(super) fn memory(&self) -> &FairSemaphore {
        &self.memory
    }

    /// Returns how long to wait before a stalled body is checked again: the minimum rate rises as soon as
    /// another request waits.
    pub(super) fn interval(&self) -> Duration {
        (self.while_others_wait.window / LOOKS).max(SHORTEST_LOOK)
    }

    /// Returns the minimum rate of bodies, which is higher while other requests wait.
    pub(super) fn terms(&self) -> MinRate {
        if self.waiting() > 0 { self.while_others_wait } else { self.alone }
    }
}

pub(super) fn busy() -> ErrorResponse {
    ErrorResponse::new(Code::TooManyRequests, "too many requests are being served")
}
