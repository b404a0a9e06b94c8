//! How much is done at once, for whom, and how slow it may be.

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::Options;
use super::client::Client;
use super::pace::Terms;
use super::shares::{Share, Shares};
use crate::fault::{Code, Fault};

/// So long a request waits for its turn: clients give up after half a minute or a minute without an
/// answer.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// What needs little and takes no time finds room in this part of the memory, whatever else goes on.
const SPARED: u64 = 4;

/// A list is written in memory. This part of it is asked for before it is known how long the list is.
const LIST: u64 = 16;

/// How often it is looked who is too slow, in the time that is allowed.
const LOOKS: u32 = 4;

/// No more often than this.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

/// What a request needs to be served.
#[derive(Debug)]
pub(super) struct Permit {
    _thread: Share,
    _long: Option<Share>,
}

/// What a thread is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// To find an answer: it does not take long.
    Answer,
    /// To take a body in.
    Receive,
    /// To read a blob while its client takes it.
    Send,
}

impl Work {
    pub(super) fn of(method: &Method) -> Self {
        if matches!(*method, Method::GET | Method::HEAD) { Self::Answer } else { Self::Receive }
    }
}

/// Hands out what requests are served with. Clients share all of it.
#[derive(Debug)]
pub(super) struct Admission {
    threads: Arc<Shares>,
    /// Those of the threads that may take bodies in: a client that sends slowly holds one for as long
    /// as it likes, and whoever pulls needs one only for moments.
    writers: Arc<Shares>,
    /// Those that may read blobs. With those that take bodies in, they leave some for answers that are
    /// found in moments.
    readers: Arc<Shares>,
    /// In bytes.
    memory: Arc<Shares>,
    total: u64,
    alone: Terms,
    while_others_wait: Terms,
}

impl Admission {
    pub(super) fn new(options: &Options) -> Self {
        let threads = options.max_requests.max(1) as u64;
        let (max_waiting, total) = (options.max_waiting as u64, options.max_memory as u64);
        let alone = Terms { rate: options.min_rate, window: options.idle_timeout };
        Self {
            threads: Shares::new(threads, max_waiting),
            writers: Shares::new(threads / 2, max_waiting),
            // Answers that have begun wait as long as they may: their number is bounded by the memory.
            readers: Shares::new(threads * 3 / 8, u64::MAX),
            // What waits is in memory too, with its headers.
            memory: Shares::new(total, total / 2),
            total,
            alone,
            while_others_wait: Terms {
                rate: options.min_rate_while_others_wait,
                window: options.idle_timeout_while_others_wait.min(options.idle_timeout),
            },
        }
    }

    /// Waits for the memory that a request needs. Fails if there is none in time (row F-46).
    pub(super) async fn room(&self, client: Client, bytes: u64) -> Result<Share, Fault> {
        self.memory.take(client, bytes, MAX_WAIT).await.ok_or_else(busy)
    }

    /// Returns more memory if there is plenty.
    pub(super) fn plenty(&self, client: Client, bytes: u64) -> Option<Share> {
        self.memory.try_take(client, bytes, self.total / SPARED)
    }

    /// Returns more memory if there is any.
    pub(super) fn more(&self, client: Client, bytes: u64) -> Option<Share> {
        self.memory.try_take(client, bytes, 0)
    }

    /// Returns how much memory a list takes for which nobody knows yet how long it is.
    pub(super) fn list(&self) -> u64 {
        self.total / LIST
    }

    /// Waits for a thread. Fails if too many wait, or for too long (row F-46).
    pub(super) async fn enter(&self, client: Client, work: Work) -> Result<Permit, Fault> {
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

    /// Returns how many requests wait.
    pub(super) fn waiting(&self) -> usize {
        let threads = [&self.threads, &self.writers, &self.readers];
        threads.map(|threads| threads.waiting()).iter().sum::<usize>() + self.memory.waiting()
    }

    pub(super) fn memory(&self) -> &Shares {
        &self.memory
    }

    /// Returns after how long it is to be asked again whether a body that stands still is too slow:
    /// others may have begun to wait.
    pub(super) fn interval(&self) -> Duration {
        (self.while_others_wait.window / LOOKS).max(SHORTEST_LOOK)
    }

    /// Returns how slow a body may be now.
    pub(super) fn terms(&self) -> Terms {
        if self.waiting() > 0 { self.while_others_wait } else { self.alone }
    }
}

pub(super) fn busy() -> Fault {
    Fault::new(Code::TooManyRequests, "too many requests are being served")
}
