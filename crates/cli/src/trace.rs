//! What the libraries tell while they work, as people read it: warnings as warnings, and with `-v` what
//! happens in plain lines. Which module said it is nobody's business. With `-vv` each
//! line begins with the time since the program did.

use std::fmt::{self, Write as _};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use crate::args::Global;
use crate::output::Output;

/// Prints what is told from here on: warnings always, more with each `-v`.
pub(crate) fn begin(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    // What other libraries tell is about their insides, and may hold what is secret.
    let ours = Targets::new().with_target("longshore", level);
    let lines = Lines { since: (global.verbose > 1).then(Instant::now) };
    // Nobody has begun before: this is called once.
    let _ = Registry::default().with(lines.with_filter(ours)).try_init();
}

/// Prints a line for each event.
struct Lines {
    /// When it began, if lines say how long that was ago.
    since: Option<Instant>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut told = Told::default();
        event.record(&mut told);
        let text = match self.since {
            Some(since) => format!("[{:9.3} s] {}", since.elapsed().as_secs_f64(), told.text()),
            None => told.text(),
        };
        match *event.metadata().level() {
            Level::ERROR => Output::told_error(&text),
            Level::WARN => Output::told_warning(&text),
            _ => Output::told(&text),
        }
    }
}

/// An event as a sentence: what happened, then why, then figures.
#[derive(Default)]
struct Told {
    what: String,
    why: String,
    figures: String,
}

impl Told {
    fn text(self) -> String {
        let Self { what, why, figures } = self;
        let mut text = what;
        if !why.is_empty() {
            let between = if text.is_empty() { "" } else { ": " };
            let _ = write!(text, "{between}{why}");
        }
        match (text.is_empty(), figures.is_empty()) {
            (_, true) => text,
            (true, false) => figures,
            (false, false) => format!("{text} ({figures})"),
        }
    }

    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // Writing to a text does not fail.
        let _ = match field.name() {
            "message" => write!(self.what, "{value}"),
            "error" | "reason" => write!(self.why, "{value}"),
            name => {
                let between = if self.figures.is_empty() { "" } else { ", " };
                write!(self.figures, "{between}{name} {value}")
            }
        };
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    struct Kept(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut told = Told::default();
            event.record(&mut told);
            self.0.lock().unwrap().push(told.text());
        }
    }

    #[test]
    fn events_are_sentences() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let subscriber = Registry::default().with(Kept(Arc::clone(&kept)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!("{} is odd", "it");
            let error = "no room";
            tracing::debug!(%error, attempt = 2, url = "http://a", "trying again");
            tracing::debug!(reason = "busy");
            tracing::trace!(step = "write", path = %"x");
        });
        let expected = [
            "it is odd",
            "trying again: no room (attempt 2, url http://a)",
            "busy",
            "step write, path x",
        ];
        assert_eq!(*kept.lock().unwrap(), expected);
    }
}
