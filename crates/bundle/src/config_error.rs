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
        let error = Self::new(file, plain(error.without_snippet(), location));
        match location {
            Some(at) => error.at(at.line(), at.column()),
            None => error,
        }
    }
}

const TOO_DEEP: &str = "this is nested too deeply";

/// Says in the words of people what the reader says in those of its parser.
fn plain(error: &serde_saphyr::Error, location: Option<serde_saphyr::Location>) -> String {
    use serde_saphyr::Error as Found;
    use serde_saphyr::budget::BudgetBreach;
    let known = match error {
        Found::Unexpected { expected: "sequence start", .. } => {
            "a list is expected here: `[a, b]`, or lines that begin with `- `"
        }
        Found::Unexpected { expected: "string scalar", .. } => "a text is expected here",
        Found::Unexpected { expected: "mapping start", .. } => "`key: value` is expected here",
        Found::NullIntoString { .. } => "a text is expected here, and there is none",
        Found::MultipleDocuments { .. } => "a second document begins here; write all into one",
        Found::Budget { breach: BudgetBreach::Depth { .. }, .. } => TOO_DEEP,
        Found::Budget { .. } => "there is more in this file than is read at once; take it apart",
        Found::Eof { .. } => "the file ends where something is expected",
        Found::InvalidScalar { ty: "u8" | "u16" | "u32" | "u64" | "usize", .. } => {
            "a whole number is expected here"
        }
        Found::DuplicateMappingKey { key: Some(key), .. } => {
            return format!("duplicate mapping key: {key}");
        }
        _ => {
            let text = error.to_string();
            // The reader says at the end where it is, and this says it at the beginning.
            let place =
                location.map(|at| format!(" at line {}, column {}", at.line(), at.column()));
            let text = place.as_deref().and_then(|place| text.strip_suffix(place)).unwrap_or(&text);
            // The parser beneath has no kind for what is nested more deeply than it goes.
            return if text == "recursion limit exceeded" { TOO_DEEP } else { text }.to_owned();
        }
    };
    known.to_owned()
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
