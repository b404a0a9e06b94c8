//! What a mirror that stays tells of its passes, in the text format of Prometheus.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Zoned;

use super::pass::Made;
use crate::problem::Exit;

/// What has come of all passes so far.
#[derive(Debug, Default)]
pub(super) struct Status(Mutex<Counts>);

#[derive(Debug, Default, Clone)]
struct Counts {
    done: u64,
    failed: u64,
    is_running: bool,
    /// When the last pass began, and how long it took.
    last: Option<(Zoned, Duration)>,
    /// When the last pass ended that brought all that was wanted.
    last_done: Option<Zoned>,
    next: Option<Zoned>,
    /// Of the last pass that could begin: how many artifacts, by what became of them.
    artifacts: [(&'static str, u64); 4],
    /// What went wrong in it.
    failures: u64,
    /// Of all passes.
    bytes: u64,
    blobs: u64,
}

impl Status {
    pub(super) fn due(&self, next: Option<&Zoned>) {
        self.change(|counts| counts.next = next.cloned());
    }

    pub(super) fn begins(&self) {
        self.change(|counts| counts.is_running = true);
    }

    /// Takes note of a pass that has ended; `None` if it could not begin.
    pub(super) fn ended(&self, made: Option<&Made>, began: &Zoned, took: Duration) {
        self.change(|counts| {
            counts.is_running = false;
            counts.last = Some((began.clone(), took));
            if made.is_some_and(|made| made.exit == Exit::Done) {
                counts.done += 1;
                counts.last_done = began.checked_add(took).ok();
            } else {
                counts.failed += 1;
            }
            let Some(Made { document, .. }) = made else { return };
            let count = |outcome: &str| {
                let roots = document.roots.iter();
                roots.filter(|root| root.outcome == outcome).count() as u64
            };
            counts.artifacts = [
                ("unchanged", document.unchanged),
                ("done", count("done")),
                ("failed", count("failed")),
                ("skipped", count("skipped")),
            ];
            counts.failures = document.failures.len() as u64;
            counts.bytes = counts.bytes.saturating_add(document.transfer.read);
            counts.blobs = counts.blobs.saturating_add(document.transfer.written);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns all of it as text.
    pub(super) fn render(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, lines: &[(String, f64)]| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in lines {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let one = |value: f64| vec![(String::new(), value)];
        let time = |time: &Option<Zoned>| match time {
            Some(time) => vec![(String::new(), seconds(time))],
            None => Vec::new(),
        };
        family(
            "mirror_passes_total",
            "counter",
            "Passes that have ended; `failed`: not all that was wanted is at the target.",
            &[
                ("{result=\"done\"}".to_owned(), number(counts.done)),
                ("{result=\"failed\"}".to_owned(), number(counts.failed)),
            ],
        );
        let running = f64::from(u8::from(counts.is_running));
        family("mirror_pass_running", "gauge", "Whether a pass is under way.", &one(running));
        let began = counts.last.as_ref().map(|(began, _)| began.clone());
        family(
            "mirror_last_pass_begin_seconds",
            "gauge",
            "When the last pass began.",
            &time(&began),
        );
        let took = counts.last.map_or(0.0, |(_, took)| took.as_secs_f64());
        family("mirror_last_pass_seconds", "gauge", "How long the last pass took.", &one(took));
        family(
            "mirror_last_success_seconds",
            "gauge",
            "When the last pass ended that brought all that was wanted.",
            &time(&counts.last_done),
        );
        family(
            "mirror_next_pass_seconds",
            "gauge",
            "When the next pass is due.",
            &time(&counts.next),
        );
        let artifacts = counts.artifacts.iter().filter(|(outcome, _)| !outcome.is_empty());
        let artifacts: Vec<_> = artifacts
            .map(|(outcome, count)| (format!("{{outcome=\"{outcome}\"}}"), number(*count)))
            .collect();
        family("mirror_artifacts", "gauge", "Artifacts of the last pass.", &artifacts);
        let failures = one(number(counts.failures));
        family("mirror_failures", "gauge", "What went wrong in the last pass.", &failures);
        let (bytes, blobs) = (one(number(counts.bytes)), one(number(counts.blobs)));
        family("mirror_read_bytes_total", "counter", "Bytes that were read from sources.", &bytes);
        family("mirror_written_blobs_total", "counter", "Blobs that were written.", &blobs);
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "whoever plots it does not see the difference")]
fn number(count: u64) -> f64 {
    count as f64
}

/// Returns a time in seconds since 1970.
fn seconds(time: &Zoned) -> f64 {
    let timestamp = time.timestamp();
    timestamp.as_duration().as_secs_f64()
}
