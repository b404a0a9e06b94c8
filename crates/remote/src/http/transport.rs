//! The runtime that moves bytes, and how long it waits for them.

use std::time::Duration;

use longshore_store::{Error, Result};
use tokio::runtime::Runtime;

use super::meter::Meter;
use crate::{Config, Limits};

/// What moves bytes between sockets and the threads of callers.
pub(crate) struct Transport {
    runtime: Runtime,
    limits: Limits,
    idle: Duration,
}

impl Transport {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1) // it only moves bytes between sockets and the threads of jobs
            .thread_name("longshore-http")
            .enable_all()
            .build()
            .map_err(Error::io("start", "a thread for connections"))?;
        Ok(Self { runtime, limits: config.limits.clone(), idle: config.idle_timeout })
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
