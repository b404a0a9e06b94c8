//! What is wrong with a file that somebody wrote.

use std::fmt;

/// What is wrong with a file that somebody wrote, and where: `bundle.yaml:12:5: platforms: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: String,
    /// Line and column, counted from 1; none if it concerns the file as a whole.
    at: Option<(u64, u64)>,
    /// The field that is wrong, as far as that is known.
    field: Option<String>,
    message: String,
}

impl ConfigError {
    pub(crate) fn new(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), at: None, field: None, message: message.into() }
    }

    pub(crate) fn at(self, line: u64, column: u64) -> Self {
        Self { at: Some((line, column)), ..self }
    }

    pub(crate) fn field(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// Tells of what the YAML reader found.
    pub(crate) fn of_yaml(file: &str, error: &serde_saphyr::Error) -> Self {
        let location = error.location();
        let text = error.without_snippet().to_string();
        // The reader says at the end where it is, and this says it at the beginning.
        let suffix = location.map(|at| format!(" at line {}, column {}", at.line(), at.column()));
        let text = suffix.as_deref().and_then(|suffix| text.strip_suffix(suffix)).unwrap_or(&text);
        let error = Self::new(file, plain(text));
        match location {
            Some(at) => error.at(at.line(), at.column()),
            None => error,
        }
    }
}

const TOO_DEEP: &str = "this is nested too deeply";

/// Says in the words of people what the reader says in those of its parser.
fn plain(text: &str) -> String {
    match text {
        "expected sequence start" => "a list is expected here: `[a, b]`".to_owned(),
        "expected string scalar" => "a text is expected here".to_owned(),
        _ if text.starts_with("cannot deserialize null") => {
            "a text is expected here, and there is none".to_owned()
        }
        _ if text.starts_with("multiple YAML documents") => {
            "a second document begins here; write all into one".to_owned()
        }
        "recursion limit exceeded" => TOO_DEEP.to_owned(),
        _ if text.starts_with("budget breached: Depth") => TOO_DEEP.to_owned(),
        _ if text.starts_with("budget breached") => {
            "there is more in this file than is read at once; take it apart".to_owned()
        }
        "unexpected end of input" => "the file ends where something is expected".to_owned(),
        "expected mapping start" => "`key: value` is expected here".to_owned(),
        _ if text.starts_with("invalid u") => "a whole number is expected here".to_owned(),
        // What follows is about options of the parser.
        _ => text.split(", set DuplicateKeyPolicy").next().unwrap_or(text).to_owned(),
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ": {field}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ConfigError {}
