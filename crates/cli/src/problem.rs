//! What ends a command early, and the code it ends with.

use std::fmt;
use std::process::ExitCode;

use longshore_store::Error;
use longshore_sync::Failure;

use crate::documents::{Cause, ErrorDocument, Failed, Trouble, Typed};
use crate::hint::{self, Hint};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All was done.
    Done = 0,
    /// Some content failed; it was named.
    Failed = 1,
    /// It was asked for wrongly, or what it needs is not as it must be.
    Usage = 2,
    /// `verify`, `lock --check` or `export --check` found a difference.
    Difference = 3,
    /// `import` took some volumes of a bundle, and others are to come.
    Waiting = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not be carried out, and what to do.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) hint: Option<Hint>,
    /// Whether it lies in content that is not what it should be.
    pub(crate) is_damage: bool,
    /// What sort of error of a place it is, if it is one.
    pub(crate) cause: Option<Box<Cause>>,
    /// What of the command line it is about, if that is known.
    pub(crate) typed: Option<Box<Typed>>,
    /// What went wrong before, if this is what it came to.
    pub(crate) failures: Vec<Failed>,
}

impl Problem {
    /// Returns a problem without a hint.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
            is_damage: false,
            cause: None,
            typed: None,
            failures: Vec::new(),
        }
    }

    /// Returns the problem that an error of a place is, with what to do about it.
    #[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
    pub(crate) fn of(error: Error) -> Self {
        let mut problem = Self::new(Exit::Usage, error.to_string());
        problem.is_damage = match &error {
            Error::Malformed { reason, .. } => reason.is_damage(),
            Error::LeadsOut { .. } => true,
            error => error.is_corruption(),
        };
        problem.hint = hint::advice(&error, None).hint();
        problem.cause = Some(Box::new((&error).into()));
        problem
    }

    /// Returns the problem with what to do about it.
    pub(crate) fn hint(mut self, text: impl Into<Hint>) -> Self {
        self.hint = Some(text.into());
        self
    }

    /// Returns the problem with something more to do, after what there is to do already.
    pub(crate) fn also(mut self, text: &'static str) -> Self {
        self.hint = Some(match self.hint {
            Some(hint) => hint.also(text),
            None => text.into(),
        });
        self
    }

    /// Returns the problem with what went wrong before, and was told.
    pub(crate) fn with<'f>(self, failures: impl Iterator<Item = &'f Failure>) -> Self {
        Self { failures: failures.map(Into::into).collect(), ..self }
    }

    /// Returns what `--json` prints of a problem that ends a command before its document.
    pub(crate) fn document(self) -> ErrorDocument {
        let Self { exit, message, hint, cause, typed, failures, .. } = self;
        let hint = hint.as_ref().and_then(Hint::shown);
        let kind = match exit {
            Exit::Failed | Exit::Waiting => "incomplete",
            Exit::Difference => "difference",
            Exit::Usage | Exit::Done => "usage",
        };
        let cause = cause.map_or(Cause { kind, status: None, codes: Vec::new() }, |cause| *cause);
        ErrorDocument {
            error: Trouble { message, hint, typed, cause },
            failures,
            exit_code: exit as u8,
        }
    }

    /// Returns the problem with another exit code.
    pub(crate) fn because(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::of(error)
    }
}

/// What is wrong with something that was typed, and what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) what: String,
    pub(crate) hint: Option<String>,
}

impl Mistake {
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: Some(hint.into()) }
    }
}

/// What others say of a text, which is one sentence.
impl From<String> for Mistake {
    fn from(what: String) -> Self {
        Self { what, hint: None }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for Mistake {}

impl From<&Mistake> for Problem {
    fn from(mistake: &Mistake) -> Self {
        let problem = Self::new(Exit::Usage, &mistake.what);
        match &mistake.hint {
            Some(hint) => problem.hint(hint.clone()),
            None => problem,
        }
    }
}
