//! How far long work has come: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use longshore_spec::{Digest, Size};
use longshore_sync::Observer;

use crate::output::Output;

/// How long nothing is said where there is no terminal.
const QUIET_FOR: Duration = Duration::from_secs(10);

/// Shows how many bytes have come.
pub(crate) struct Progress<'o> {
    output: &'o Output,
    verb: &'static str,
    /// `None` where nobody knows.
    total: Option<u64>,
    bar: Option<ProgressBar>,
    done: AtomicU64,
    /// Whether all that was there is counted already.
    knows_begin: AtomicBool,
    said: Mutex<Instant>,
}

impl<'o> Progress<'o> {
    /// Begins to show how much of `total` bytes has come.
    pub(crate) fn new(output: &'o Output, verb: &'static str, total: u64) -> Self {
        Self::of(output, verb, Some(total))
    }

    /// Begins to show how many bytes have come, where nobody knows how many will.
    pub(crate) fn without_end(output: &'o Output, verb: &'static str) -> Self {
        Self::of(output, verb, None)
    }

    fn of(output: &'o Output, verb: &'static str, total: Option<u64>) -> Self {
        let shown = std::io::stderr().is_terminal() && !output.is_quiet();
        let bar = shown.then(|| {
            let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let bar = bar.with_message(verb);
            let form = match total {
                Some(_) => {
                    "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}"
                }
                None => "{msg} {binary_bytes} {binary_bytes_per_sec}",
            };
            if let Ok(style) = ProgressStyle::with_template(form) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let (done, knows_begin) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { output, verb, total, bar, done, knows_begin, said: Mutex::new(Instant::now()) }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Progress<'_> {
    fn resumed(&self, there: u64) {
        self.knows_begin.store(true, Ordering::Relaxed);
        self.done.store(there, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            // What is there has not come just now: it says nothing of the speed.
            bar.set_position(there);
            bar.reset_eta();
        }
    }

    fn advanced(&self, bytes: u64) {
        self.add(bytes);
    }

    fn finished(&self, _: &Digest, size: u64, moved: bool) {
        if !moved && !self.knows_begin.load(Ordering::Relaxed) {
            self.add(size);
        }
    }
}

impl Progress<'_> {
    fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
            return;
        }
        // Whoever finds it locked need not wait: another is about to say it.
        let Ok(mut said) = self.said.try_lock() else { return };
        if said.elapsed() >= QUIET_FOR {
            *said = Instant::now();
            let of = self.total.map(|total| format!(" of {}", Size(total))).unwrap_or_default();
            self.output.note(&format!("{} {}{of}", self.verb, Size(done)));
        }
    }
}
