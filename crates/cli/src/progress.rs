//! How far long work has come: a bar on a terminal, a line now and then elsewhere, or an event a line.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use longshore_spec::{Digest, Size, printable_line};
use longshore_store::Name;
use longshore_sync::{Failure, Observer, Outcome, Plan};

use crate::args::ProgressForm;
use crate::documents::ProgressEvent;
use crate::human;
use crate::output::Output;

/// How long nothing is said where there is no terminal.
const QUIET_FOR: Duration = Duration::from_secs(10);

/// How often programs are told how much has come.
const EVENT_EVERY: Duration = Duration::from_secs(1);

/// Work that takes less has no speed that is worth a line behind a bar.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// So much of a name is shown beside a bar, in characters.
const LONGEST_NAME: usize = 40;

/// What the bar shows beside what is done.
const WITH_END: &str =
    "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
const WITHOUT_END: &str = "{msg} {binary_bytes} {binary_bytes_per_sec}";

/// Shows how many bytes have come, how many artifacts are there, and what is moving.
pub(crate) struct Progress {
    verb: &'static str,
    /// `None` where nobody knows.
    total: Option<u64>,
    form: Form,
    counted: Counted,
    begun: Instant,
    done: AtomicU64,
    /// Whether all that was there is counted already.
    knows_begin: AtomicBool,
    /// How much has come since it began, and was not there.
    came: AtomicU64,
    /// How many of what is counted are done.
    count: AtomicU64,
    state: Mutex<State>,
}

/// How it is shown.
enum Form {
    Bar(ProgressBar),
    /// A line now and then, and with `framed` one at the beginning and one at the end.
    Lines {
        framed: bool,
    },
    Events,
    Nothing,
}

/// What is counted beside bytes, and how much of it there is.
#[derive(Clone, Copy)]
enum Counted {
    Nothing,
    Artifacts(u64),
}

struct State {
    said: Instant,
    has_said: bool,
    /// What is moving.
    at: String,
}

impl Progress {
    /// Begins to show how much of `total` bytes has come.
    pub(crate) fn new(output: &Output, verb: &'static str, total: u64) -> Self {
        Self::of(output, verb, Some(total))
    }

    /// Begins to show how many bytes have come, where nobody knows how many will.
    pub(crate) fn without_end(output: &Output, verb: &'static str) -> Self {
        Self::of(output, verb, None).begun()
    }

    /// Shows how many artifacts of a plan are there, too.
    pub(crate) fn of_artifacts(mut self, plan: &Plan<'_>) -> Self {
        let roots = plan.roots();
        let coming = roots.iter().filter(|root| root.outcome == Outcome::Done).count();
        self.counted = Counted::Artifacts(coming as u64);
        self.begun()
    }

    fn of(output: &Output, verb: &'static str, total: Option<u64>) -> Self {
        let form = match output.progress() {
            Some(ProgressForm::Plain) => Form::Lines { framed: true },
            Some(ProgressForm::Json) => Form::Events,
            Some(ProgressForm::None) => Form::Nothing,
            None if output.is_quiet() => Form::Nothing,
            None if std::io::stderr().is_terminal() => Form::Bar(bar(total)),
            None => Form::Lines { framed: false },
        };
        let now = Instant::now();
        Self {
            verb,
            total,
            form,
            counted: Counted::Nothing,
            begun: now,
            done: AtomicU64::new(0),
            knows_begin: AtomicBool::new(false),
            came: AtomicU64::new(0),
            count: AtomicU64::new(0),
            state: Mutex::new(State { said: now, has_said: false, at: String::new() }),
        }
    }

    /// Says that it begins.
    fn begun(self) -> Self {
        match &self.form {
            Form::Bar(bar) => bar.set_message(self.message("")),
            Form::Lines { framed: true } => Output::told(&self.message(&self.sizes(0))),
            Form::Events => Output::event(&ProgressEvent::Begun {
                action: self.verb,
                total_bytes: self.total,
                total_artifacts: self.artifacts(),
            }),
            Form::Lines { .. } | Form::Nothing => {}
        }
        self
    }

    /// Ends it, with the mean speed.
    pub(crate) fn finish(&self) {
        let done = self.done.load(Ordering::Relaxed);
        let elapsed = self.begun.elapsed();
        let is_told = match &self.form {
            Form::Bar(bar) => {
                bar.finish_and_clear();
                elapsed >= WORTH_A_LINE
            }
            Form::Lines { framed } => *framed || self.state().has_said,
            Form::Events => {
                Output::event(&ProgressEvent::Finished {
                    bytes: done,
                    artifacts: self.artifacts().map(|_| self.count.load(Ordering::Relaxed)),
                    seconds: elapsed.as_secs_f64(),
                    bytes_per_second: self.speed(elapsed),
                });
                false
            }
            Form::Nothing => false,
        };
        if is_told {
            let (seconds, speed) = (elapsed.as_secs_f64(), Size(self.speed(elapsed)));
            let came = Size(self.came.load(Ordering::Relaxed));
            let text = format!("{came} in {seconds:.1} s, {speed}/s on average");
            Output::told(&self.message(&text));
        }
    }

    fn artifacts(&self) -> Option<u64> {
        match self.counted {
            Counted::Artifacts(total) => Some(total),
            Counted::Nothing => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a line: what is done, how many are, and more.
    fn message(&self, more: &str) -> String {
        let count = self.count.load(Ordering::Relaxed);
        let counted = match self.counted {
            Counted::Nothing => String::new(),
            Counted::Artifacts(total) => format!(" {count}/{}", human::count(total, "artifact")),
        };
        let between = if more.is_empty() { "" } else { ": " };
        format!("{}{counted}{between}{more}", self.verb)
    }

    /// Returns how many bytes came in a second, on average.
    fn speed(&self, elapsed: Duration) -> u64 {
        speed(self.came.load(Ordering::Relaxed), elapsed)
    }

    fn sizes(&self, done: u64) -> String {
        match self.total {
            Some(total) => format!("{} of {}", Size(done), Size(total)),
            None => Size(done).to_string(),
        }
    }

    fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let every = match &self.form {
            Form::Bar(bar) => return bar.inc(bytes),
            Form::Nothing => return,
            Form::Lines { .. } => QUIET_FOR,
            Form::Events => EVENT_EVERY,
        };
        // Whoever finds it locked need not wait: another is about to say it.
        let Ok(mut state) = self.state.try_lock() else { return };
        if state.said.elapsed() < every {
            return;
        }
        (state.said, state.has_said) = (Instant::now(), true);
        let speed = self.speed(self.begun.elapsed());
        if matches!(self.form, Form::Events) {
            return Output::event(&ProgressEvent::Progress {
                bytes: done,
                total_bytes: self.total,
                artifacts: self.artifacts().map(|_| self.count.load(Ordering::Relaxed)),
                bytes_per_second: speed,
            });
        }
        let at = if state.at.is_empty() { String::new() } else { format!(", at {}", state.at) };
        let text = format!("{}, {}/s{at}", self.sizes(done), Size(speed));
        Output::told(&self.message(&text));
    }

    /// Takes note of one more that is done.
    fn one_more(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Form::Bar(bar) = &self.form {
            bar.set_message(self.message(&self.state().at));
        }
    }
}

impl Observer for Progress {
    fn resumed(&self, there: u64) {
        self.knows_begin.store(true, Ordering::Relaxed);
        self.done.store(there, Ordering::Relaxed);
        match &self.form {
            Form::Bar(bar) => {
                // What is there has not come just now: it says nothing of the speed.
                bar.set_position(there);
                bar.reset_eta();
            }
            Form::Lines { framed: true } if there > 0 => {
                Output::told(&self.message(&format!("{}, there already", self.sizes(there))));
            }
            Form::Lines { .. } | Form::Events | Form::Nothing => {}
        }
    }

    fn began(&self, name: Option<&Name>, digest: &Digest, size: u64) {
        if let Some(name) = name {
            tracing::trace!("{} {digest} of {name}, {}", self.verb, Size(size));
        } else {
            tracing::trace!("{} {digest}, {}", self.verb, Size(size));
        }
        let called = || match name {
            Some(name) => shortened(name.as_str()),
            None => format!("{}:{}", digest.algorithm(), digest.short()),
        };
        match &self.form {
            Form::Bar(bar) => {
                let at = called();
                bar.set_message(self.message(&at));
                self.state().at = at;
            }
            Form::Lines { .. } => self.state().at = called(),
            Form::Events => Output::event(&ProgressEvent::Moving {
                artifact: name.map(ToString::to_string),
                digest: digest.to_string(),
                size,
            }),
            Form::Nothing => {}
        }
    }

    fn advanced(&self, bytes: u64) {
        self.came.fetch_add(bytes, Ordering::Relaxed);
        self.add(bytes);
    }

    fn existed(&self, _: &Digest, size: u64) {
        if !self.knows_begin.load(Ordering::Relaxed) {
            self.add(size);
        }
    }

    fn named(&self, names: &[Name], digest: &Digest) {
        if matches!(self.counted, Counted::Artifacts(_)) {
            self.one_more();
        }
        let first = names.first().map_or("an artifact without a name", Name::as_str);
        tracing::debug!("{first} is there, {digest}");
        if matches!(self.form, Form::Events) {
            let names = names.iter().map(ToString::to_string).collect();
            Output::event(&ProgressEvent::Artifact { names, digest: digest.to_string() });
        }
    }

    fn failed(&self, failure: &Failure) {
        if matches!(self.form, Form::Events) {
            Output::event(&ProgressEvent::Failed(failure.into()));
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let form = if total.is_some() { WITH_END } else { WITHOUT_END };
    if let Ok(style) = ProgressStyle::with_template(form) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn speed(bytes: u64, elapsed: Duration) -> u64 {
    let bytes = u128::from(bytes).saturating_mul(1000);
    u64::try_from(bytes / elapsed.as_millis().max(1)).unwrap_or(u64::MAX)
}

/// Returns the end of a name that is too long to be shown: what tells it from others stands there.
fn shortened(name: &str) -> String {
    let shown = printable_line(name);
    let length = shown.chars().count();
    match length.checked_sub(LONGEST_NAME) {
        None | Some(0) => shown.into_owned(),
        Some(more) => format!("…{}", shown.chars().skip(more + 1).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_means() {
        assert_eq!(speed(3 << 20, Duration::from_secs(3)), 1 << 20);
        assert_eq!(speed(0, Duration::ZERO), 0);
        assert_eq!(speed(u64::MAX, Duration::from_millis(1)), u64::MAX);
    }

    #[test]
    fn names_are_shown_from_their_end() {
        let name = format!("registry.example/{}/app:1", "x".repeat(100));
        let shown = shortened(&name);
        assert_eq!(shown.chars().count(), LONGEST_NAME);
        assert!(shown.starts_with('…') && shown.ends_with("x/app:1"), "{shown}");
        assert_eq!(shortened("a\u{1b}[2J"), "a\\u{1b}[2J");
    }
}
