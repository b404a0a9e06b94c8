//! The runtime that moves bytes, and how long it waits for them.

use std::sync::Arc;
use std::time::Duration;

use longshore_store::{Error, Result};
use tokio::runtime::Runtime;

use super::meter::Meter;
use super::pace::Pace;
use crate::{Config, Limits};

/// What moves bytes between sockets and the threads of callers.
pub(crate) struct Transport {
    runtime: Runtime,
    limits: Limits,
    idle: Duration,
    /// How fast bytes are received, and how fast they are sent.
    receiving: Option<Pace>,
    sending: Option<Arc<Pace>>,
}

impl Transport {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1) // it only moves bytes between sockets and the threads of jobs
            .thread_name("longshore-http")
            .enable_all()
            .build()
            .map_err(Error::io("start", "a thread for connections"))?;
        let pace = || config.byte_rate.map(Pace::new);
        let (receiving, sending) = (pace(), pace().map(Arc::new));
        let (limits, idle) = (config.limits.clone(), config.idle_timeout);
        Ok(Self { runtime, limits, idle, receiving, sending })
    }

    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns how long the other side may be silent.
    pub(super) fn idle(&self) -> Duration {
        self.idle
    }

    /// Returns the pace at which bytes are received, if one is kept.
    pub(super) fn receiving(&self) -> Option<&Pace> {
        self.receiving.as_ref()
    }

    /// Returns the pace at which bytes are sent, if one is kept.
    pub(super) fn sending(&self) -> Option<Arc<Pace>> {
        self.sending.clone()
    }

    /// Returns the meter for content of any length.
    pub(super) fn meter(&self) -> Meter {
        Meter::new(self.limits.window, self.idle, self.limits.least_speed)
    }

    /// Returns the meter for documents, which are held in memory.
    pub(super) fn meter_of_documents(&self) -> Meter {
        Meter::new(self.limits.window, self.idle, self.limits.least_speed_of_documents)
    }

    /// Returns the meter for the explanation that comes with a refusal.
    pub(super) fn meter_of_explanations(&self) -> Meter {
        Meter::once(self.limits.explanation.min(self.idle))
    }
}
