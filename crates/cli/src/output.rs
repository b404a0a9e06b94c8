//! The one module that prints.

use std::borrow::Cow;
use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::args::Global;
use crate::problem::Problem;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

/// Where a command's words go: results to stdout, all else to stderr.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        Self { json: global.json, quiet: global.quiet }
    }

    /// Tells whether results are wanted as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Tells whether nothing but results and errors is wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Prints a result: `document` as JSON if that was asked for, else `text`.
    pub(crate) fn result(
        &self,
        document: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Problem> {
        if self.json {
            let mut bytes = serde_json::to_vec_pretty(document).map_err(|error| {
                Problem::new(crate::Exit::Failed, format!("cannot write JSON: {error}"))
            })?;
            bytes.push(b'\n');
            return Self::bytes(&bytes);
        }
        Self::bytes(plain(&text()).as_bytes())
    }

    /// Prints a result that is only there for people: not with `--quiet`.
    pub(crate) fn summary(
        &self,
        document: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Problem> {
        if self.quiet && !self.json { Ok(()) } else { self.result(document, text) }
    }

    /// Prints bytes as they are. Whoever closes the pipe has read enough.
    pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Problem> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(|error| {
                Problem::new(crate::Exit::Failed, format!("cannot write to stdout: {error}"))
            }),
        }
    }

    /// Prints what went wrong and what to do.
    pub(crate) fn problem(problem: &Problem) {
        anstream::eprintln!("{ERROR}error{ERROR:#}: {}", plain(&problem.message));
        if let Some(hint) = &problem.hint {
            anstream::eprintln!("  {HINT}hint{HINT:#}: {}", plain(hint));
        }
    }

    /// Asks for something on the terminal.
    pub(crate) fn prompt(text: &str) {
        anstream::eprint!("{text}");
    }

    /// Prints something that the user should know though all went well.
    pub(crate) fn warning(&self, text: &str) {
        if !self.quiet {
            anstream::eprintln!("{WARNING}warning{WARNING:#}: {}", plain(text));
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
        anstream::eprintln!("{below}{text}");
    }

    /// Prints what happens.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            anstream::eprintln!("{}", plain(text));
        }
    }
}

/// Returns a text in which nothing speaks to the terminal: names and annotations come from anybody.
fn plain(text: &str) -> Cow<'_, str> {
    let speaks = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(speaks) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if speaks(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// Returns rows as lines of columns, each as wide as its widest cell.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    // A line is one row, whatever is in a name.
    let one_line = |cell: &String| cell.replace('\n', "\\n");
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
