//! Records of requests, for the log and the metrics.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderMap, Method};

use super::Shared;
use super::activity::Activity;
use super::endpoint::Endpoint;

/// A longer `User-Agent` is cut off: it is kept while the request is served.
const MAX_USER_AGENT: usize = 256;

/// A request that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// When it began.
    pub begun: SystemTime,
    /// The client's address.
    pub client: SocketAddr,
    /// The user, if a password was asked for and right.
    pub user: Option<Arc<str>>,
    /// Its method.
    pub method: Method,
    /// The path and query, as sent.
    pub target: String,
    /// The status of the answer; `None` if the client went away before there was one.
    pub status: Option<u16>,
    /// How many bytes of its body were read.
    pub received: u64,
    /// How many bytes of the answer's body were given to the connection.
    pub sent: u64,
    /// Whether the whole answer was sent.
    pub is_whole: bool,
    /// How long it took, up to the last byte of the answer.
    pub time: Duration,
    /// The `User-Agent`. Like everything that clients send, it may be false.
    pub user_agent: Option<String>,
}

/// Is called with the record of each request, on a thread that must not be blocked.
#[derive(Clone)]
pub struct RequestObserver(pub Arc<dyn Fn(&RequestRecord) + Send + Sync>);

impl fmt::Debug for RequestObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestObserver(..)")
    }
}

/// A request that is being served. Dropping it ends the request.
pub(super) struct ActiveRequest {
    pub(super) record: RequestRecord,
    pub(super) received: Arc<AtomicU64>,
    begun: Instant,
    endpoint: Endpoint,
    shared: Arc<Shared>,
    pub(super) activity: Arc<Activity>,
}

impl ActiveRequest {
    pub(super) fn begin(
        parts: &Parts,
        client: SocketAddr,
        shared: Arc<Shared>,
        activity: Arc<Activity>,
    ) -> Self {
        activity.enter();
        shared.metrics.begin();
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        let record = RequestRecord {
            begun: SystemTime::now(),
            client,
            user: None,
            method: parts.method.clone(),
            target: target.to_owned(),
            status: None,
            received: 0,
            sent: 0,
            is_whole: false,
            time: Duration::ZERO,
            user_agent: user_agent(&parts.headers),
        };
        let endpoint = Endpoint::of(parts.uri.path());
        Self { record, received: Arc::default(), begun: Instant::now(), endpoint, shared, activity }
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let record = &mut self.record;
        record.received = self.received.load(Ordering::Relaxed);
        record.time = self.begun.elapsed();
        self.shared.metrics.end(self.endpoint, record);
        if let Some(RequestObserver(observer)) = &self.shared.options.observer {
            observer(record);
        }
        self.activity.leave();
    }
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let agent = headers.get(USER_AGENT)?.as_bytes();
    Some(String::from_utf8_lossy(&agent[..agent.len().min(MAX_USER_AGENT)]).into_owned())
}
