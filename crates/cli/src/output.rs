//! The one module that prints.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use longshore_spec::{is_printable, printable, printable_line};
use longshore_store::Error;
use serde::Serialize;

use crate::args::{Global, ProgressForm};
use crate::hint::Hint;
use crate::problem::{Exit, Problem};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

/// Where a command's words go: results to stdout, all else to stderr.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    progress: Option<ProgressForm>,
    /// Whether stdout has its document.
    has_printed: AtomicBool,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
            progress: global.progress,
            has_printed: AtomicBool::new(false),
        }
    }

    /// Tells whether results are wanted as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Tells whether nothing but results and errors is wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Returns how progress is to be shown, if that was said.
    pub(crate) fn progress(&self) -> Option<ProgressForm> {
        self.progress
    }

    /// Prints a result: `document` as JSON if that was asked for, else `text`.
    pub(crate) fn result(
        &self,
        document: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Problem> {
        if self.json {
            self.has_printed.store(true, Ordering::Relaxed);
            return Self::json(document);
        }
        Self::bytes(printable(&text()).as_bytes())
    }

    fn json(document: &impl Serialize) -> Result<(), Problem> {
        let mut bytes = serde_json::to_vec_pretty(document)
            .map_err(|error| Problem::new(Exit::Failed, format!("cannot write JSON: {error}")))?;
        bytes.push(b'\n');
        Self::bytes(&visible_json(bytes))
    }

    /// Tells of what ended the command; with `--json` stdout says so, too, unless it has a document.
    pub(crate) fn end(&self, problem: Problem) -> Exit {
        Self::problem(&problem);
        let exit = problem.exit;
        if self.json && !self.has_printed.load(Ordering::Relaxed) {
            Self::error_document(problem);
        }
        exit
    }

    /// Prints what ended a command as JSON.
    pub(crate) fn error_document(problem: Problem) {
        // That stdout takes nothing is no news where nothing was done.
        let _ = Self::json(&problem.document());
    }

    /// Prints a result that is only there for people: not with `--quiet`.
    pub(crate) fn summary(
        &self,
        document: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Problem> {
        if self.quiet && !self.json { Ok(()) } else { self.result(document, text) }
    }

    /// Prints a result of a command that goes on: `document` as one line of JSON if that was asked for, else
    /// `text`, unless nothing is wanted for people.
    pub(crate) fn lines(&self, document: &impl Serialize, text: &str) {
        let printed = if self.json {
            serde_json::to_vec(document).map(|mut bytes| {
                bytes.push(b'\n');
                visible_json(bytes)
            })
        } else if self.quiet {
            return;
        } else {
            Ok(printable(text).into_owned().into_bytes())
        };
        // What goes on does not end since nobody reads.
        let _ = printed.map(|bytes| Self::bytes(&bytes));
    }

    /// Prints bytes as they are. Whoever closes the pipe has read enough.
    pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Problem> {
        let mut stdout = io::stdout().lock();
        written(stdout.write_all(bytes).and_then(|()| stdout.flush()))
    }

    /// Prints help, or the version.
    pub(crate) fn help(text: &clap::Error) -> Result<(), Problem> {
        // What is left in the buffer is not written before it is asked for.
        written(text.print().and_then(|()| io::stdout().lock().flush()))
    }

    /// Prints what went wrong and what to do. Each is one line, as all that is told here is: names that
    /// others gave must not look like words of the program.
    pub(crate) fn problem(problem: &Problem) {
        Self::told_error(&problem.message);
        if let Some(hint) = problem.hint.as_ref().and_then(Hint::shown) {
            say(format_args!("  {HINT}hint{HINT:#}: {}\n", printable_line(&hint)));
        }
    }

    /// Prints what is wrong with what was typed, which may hold anything.
    pub(crate) fn usage(text: &str) {
        match text.strip_prefix("error") {
            Some(rest) => say(format_args!("{ERROR}error{ERROR:#}{}", printable(rest))),
            None => say(format_args!("{}", printable(text))),
        }
    }

    /// Asks for something on the terminal.
    pub(crate) fn prompt(text: &str) {
        say(format_args!("{}", printable_line(text)));
    }

    /// Prints something that the user should know though all went well.
    pub(crate) fn warning(&self, text: &str) {
        if !self.quiet {
            Self::told_warning(text);
        }
    }

    /// Prints an error that whoever asked is not told otherwise.
    pub(crate) fn told_error(text: &str) {
        say(format_args!("{ERROR}error{ERROR:#}: {}\n", printable_line(text)));
    }

    /// Prints a warning that a library gives.
    pub(crate) fn told_warning(text: &str) {
        say(format_args!("{WARNING}warning{WARNING:#}: {}\n", printable_line(text)));
    }

    /// Prints what a library tells of its work.
    pub(crate) fn told(text: &str) {
        say(format_args!("{}\n", printable_line(text)));
    }

    /// Prints an event of progress for programs, one a line.
    pub(crate) fn event(event: &impl Serialize) {
        if let Ok(mut bytes) = serde_json::to_vec(event) {
            bytes.push(b'\n');
            Self::log(&String::from_utf8_lossy(&visible_json(bytes)));
        }
    }

    /// Prints lines of a log, whoever reads them.
    pub(crate) fn log(lines: &str) {
        // There is nobody to tell that it failed.
        let _ = io::stderr().lock().write_all(lines.as_bytes());
    }

    /// Prints the last line of a process that is interrupted, below what a terminal shows of it.
    pub(crate) fn parting(text: &str) {
        use std::io::IsTerminal as _;
        let below = if io::stderr().is_terminal() { "\n" } else { "" };
        say(format_args!("{below}{}\n", printable_line(text)));
    }

    /// Prints a text of several lines, where results go elsewhere.
    pub(crate) fn notes(&self, text: &str) {
        text.lines().for_each(|line| self.note(line));
    }

    /// Prints what happens.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            Self::told(text);
        }
    }
}

/// Writes to stderr, in one piece: others may write there too. That it cannot be written to is no
/// reason not to do the work, and there is nobody to tell.
fn say(text: fmt::Arguments<'_>) {
    let _ = anstream::stderr().lock().write_all(text.to_string().as_bytes());
}

/// Returns what it means that writing to stdout ended so. Whoever closes the pipe has read enough.
fn written(result: io::Result<()>) -> Result<(), Problem> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| {
            Problem::of(Error::io("write to", "stdout")(error)).because(Exit::Failed)
        }),
    }
}

/// Returns the same JSON with what does not print escaped: a terminal may show it. Outside of its
/// texts JSON has nothing of the kind but white space.
fn visible_json(json: Vec<u8>) -> Vec<u8> {
    let text = match String::from_utf8(json) {
        Ok(text) => text,
        Err(error) => return error.into_bytes(),
    };
    let stays = |c: char| is_printable(c) || c == '\n';
    if text.chars().all(stays) {
        return text.into_bytes();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if stays(c) {
            shown.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(shown, "\\u{unit:04x}");
        }
    }
    shown.into_bytes()
}

/// Returns rows as lines of columns, each as wide as its widest cell.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    // A line is one row, whatever is in a name, and as wide as it is shown.
    let one_line = |cell: &String| printable_line(cell).into_owned();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(one_line).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_the_same_value_and_shows_all_of_it() {
        let value = serde_json::json!({ "a\u{202e}": "\u{9b}2J\u{e0001}\u{7f}\u{1b} é 🚢\n" });
        let written = visible_json(serde_json::to_vec_pretty(&value).unwrap());
        let text = String::from_utf8(written).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        assert!(text.chars().all(|c| is_printable(c) || c == '\n'), "{text:?}");
        assert!(
            text.contains("a\\u202e") && text.contains("\\udb40\\udc01") && text.contains("é 🚢")
        );
    }

    #[test]
    fn columns_are_as_wide_as_they_are_shown() {
        let row = |name: &str| vec![name.to_owned(), "type".to_owned()];
        let text = table(&[row("a\u{202e}\n"), row("b")]);
        assert_eq!(text, "a\\u{202e}\\n  type\nb            type\n");
    }
}
