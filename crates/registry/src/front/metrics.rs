//! Metrics in the text format of Prometheus.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;

use super::endpoint::{ENDPOINTS, Endpoint};
use super::record::RequestRecord;

/// The upper bounds of the histogram of times, in milliseconds: from a memory access to a large layer
/// over a slow line.
const BOUNDS: [u64; 10] = [1, 5, 25, 100, 500, 2_500, 10_000, 60_000, 300_000, 1_800_000];

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"];

/// The classes of statuses; `none` if there was no status.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Returns metrics of somebody else, in the text format of Prometheus, on a thread that must not be blocked.
#[derive(Clone)]
pub struct MoreMetrics(pub Arc<dyn Fn() -> String + Send + Sync>);

impl fmt::Debug for MoreMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MoreMetrics(..)")
    }
}

/// All counts since the start.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    requests: [[[AtomicU64; CLASSES.len()]; METHODS.len()]; ENDPOINTS.len()],
    times: [Histogram; ENDPOINTS.len()],
    received: AtomicU64,
    sent: AtomicU64,
    in_flight: AtomicUsize,
    connections: AtomicUsize,
}

#[derive(Debug, Default)]
struct Histogram {
    /// For each bound, how many took at most so long, and longer than the bound before.
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

impl Metrics {
    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self, endpoint: Endpoint, record: &RequestRecord) {
        let endpoint = endpoint as usize;
        let class = record.status.map_or(0, |status| usize::from(status / 100).min(5));
        self.requests[endpoint][method(&record.method)][class].fetch_add(1, Ordering::Relaxed);
        self.times[endpoint].add(record.time);
        self.received.fetch_add(record.received, Ordering::Relaxed);
        self.sent.fetch_add(record.sent, Ordering::Relaxed);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn disconnected(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns all metrics, with those that others count.
    pub(super) fn render(&self, waiting: usize, uploads: usize) -> String {
        let mut text = String::new();
        family(&mut text, "http_requests_total", "counter", "Requests that are over.");
        for (endpoint, methods) in ENDPOINTS.iter().zip(&self.requests) {
            for (method, classes) in METHODS.iter().zip(methods) {
                for (class, count) in CLASSES.iter().zip(classes) {
                    let count = count.load(Ordering::Relaxed);
                    if count > 0 {
                        let labels = format!(
                            "method=\"{method}\",endpoint=\"{endpoint}\",status=\"{class}\""
                        );
                        line(&mut text, "http_requests_total", &labels, count);
                    }
                }
            }
        }
        family(&mut text, "http_request_seconds", "histogram", "How long requests took.");
        for (endpoint, times) in ENDPOINTS.iter().zip(&self.times) {
            times.render(&mut text, endpoint);
        }
        let load = |count: &AtomicUsize| count.load(Ordering::Relaxed) as u64;
        for (name, kind, help, count) in [
            (
                "http_received_bytes_total",
                "counter",
                "Bytes of bodies that were read.",
                self.received.load(Ordering::Relaxed),
            ),
            (
                "http_sent_bytes_total",
                "counter",
                "Bytes of bodies that were sent.",
                self.sent.load(Ordering::Relaxed),
            ),
            ("http_requests_in_flight", "gauge", "Requests under way.", load(&self.in_flight)),
            ("http_requests_waiting", "gauge", "Requests that wait for a thread.", waiting as u64),
            ("http_connections", "gauge", "Open connections.", load(&self.connections)),
            ("uploads_open", "gauge", "Uploads that have begun and not ended.", uploads as u64),
        ] {
            family(&mut text, name, kind, help);
            line(&mut text, name, "", count);
        }
        text
    }
}

impl Histogram {
    fn add(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = BOUNDS.iter().position(|bound| micros <= bound * 1000) {
            self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn render(&self, text: &mut String, endpoint: &str) {
        // The count is read first, so it must not be less than the sum of the buckets.
        let mut cumulative = 0;
        let count = self.count.load(Ordering::Relaxed);
        if count == 0 {
            return;
        }
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            cumulative = (cumulative + bucket.load(Ordering::Relaxed)).min(count);
            let labels = format!("endpoint=\"{endpoint}\",le=\"{}\"", seconds(bound * 1000));
            line(text, "http_request_seconds_bucket", &labels, cumulative);
        }
        let labels = format!("endpoint=\"{endpoint}\",le=\"+Inf\"");
        line(text, "http_request_seconds_bucket", &labels, count);
        let labels = format!("endpoint=\"{endpoint}\"");
        line(
            text,
            "http_request_seconds_sum",
            &labels,
            seconds(self.micros.load(Ordering::Relaxed)),
        );
        line(text, "http_request_seconds_count", &labels, count);
    }
}

fn method(method: &Method) -> usize {
    let known = METHODS.iter().position(|known| *known == method.as_str());
    known.unwrap_or(METHODS.len() - 1)
}

/// Returns microseconds as seconds, exactly.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string never fails.
    let _ = write!(text, "# HELP longshore_{name} {help}\n# TYPE longshore_{name} {kind}\n");
}

fn line(text: &mut String, name: &str, labels: &str, value: impl fmt::Display) {
    let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let _ = writeln!(text, "longshore_{name}{braced} {value}");
}
