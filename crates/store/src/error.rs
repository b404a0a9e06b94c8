//! What can go wrong in a place.

mod connection;
mod flaw;
mod inability;
mod refusal;
mod subject;

use std::io;

use longshore_spec::{Digest, ManifestError, Size};

pub use self::connection::ConnectionFailure;
pub use self::flaw::Flaw;
pub use self::inability::Inability;
pub use self::refusal::{ErrorCode, Refusal};
pub use self::subject::Subject;

/// What is tried on a host that cannot be reached.
const REACH: &str = "reach";

/// The result of an operation on a place.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What happened, in the same words for every place. Each message names the thing.
///
/// What can be told apart is a value: nobody has to search a message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More than one thing answers to a name (row A-26).
    #[error("`{name}` is ambiguous in {place}: it may be {}", .candidates.join(" or "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        place: String,
        /// Everything that answers to it.
        candidates: Vec<String>,
    },
    /// Another process holds what this one needs.
    #[error("{what} is in use by another process")]
    Busy {
        /// What is held.
        what: String,
    },
    /// Whoever asked for the work has ended it.
    #[error("it was cancelled")]
    Cancelled,
    /// One name was asked to stand for two digests.
    #[error("`{name}` would stand for both {first} and {second}")]
    Conflict {
        /// The name.
        name: String,
        /// The digest that it stands for already.
        first: Digest,
        /// The other digest.
        second: Digest,
    },
    /// Content hashes to something else than its digest (row A-10).
    #[error("{expected} is corrupt: its content hashes to {actual}")]
    Corrupt {
        /// The digest under which the content was asked for.
        expected: Digest,
        /// The digest that the content has.
        actual: Digest,
    },
    /// A host cannot be reached, or does not answer to the end.
    #[error("cannot {action} {what}{}: {why}", led(.led_by.as_deref()))]
    Connection {
        /// What was tried: a verb.
        action: &'static str,
        /// What it was tried on; the host, if it could not be reached.
        what: String,
        /// Why that failed.
        why: ConnectionFailure,
        /// The registry that leads there, if the user does not.
        led_by: Option<String>,
    },
    /// Who asks is not known to a place, or may not do what was asked.
    #[error("cannot {action} {what}: {place} denies it: {said}")]
    Denied {
        /// What was tried: a verb.
        action: &'static str,
        /// What it was tried on.
        what: Subject,
        /// Who denies it.
        place: String,
        /// What the place said.
        said: Box<Refusal>,
    },
    /// Something is there already that must not be written over.
    #[error("{what} exists already")]
    Exists {
        /// What is there.
        what: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {what}: {}", describe(.source))]
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// What it was tried on.
        what: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A link in a layout leads to what is none of the layout's.
    #[error("{link} is a link to {target}, which leads out of {place}")]
    LeadsOut {
        /// The path of the link.
        link: String,
        /// What the link says.
        target: String,
        /// The layout.
        place: String,
    },
    /// A bound of the program was passed.
    #[error("{what} is over the limit of {limit}")]
    Limit {
        /// What is too large, many or deep, with its figure.
        what: String,
        /// The bound, with its unit.
        limit: String,
    },
    /// Something is not in the form it must have.
    #[error("{what} {}", malformed(.reason))]
    Malformed {
        /// What was read.
        what: String,
        /// What is wrong with it.
        reason: Flaw,
    },
    /// Content that was meant to be a manifest is none.
    #[error("{digest} cannot be read as a manifest: {source}")]
    Manifest {
        /// The digest of the content.
        digest: Digest,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// The directory that a file is to be written into is not there.
    #[error("cannot write {path}: the directory {directory} is not there")]
    NoDirectory {
        /// The path of the file.
        path: String,
        /// The directory.
        directory: String,
    },
    /// There is not enough room for what comes.
    #[error("{place} has no room: {} are needed and {} are free", Size(*.needed), Size(*.available))]
    NoSpace {
        /// Where the room is missing.
        place: String,
        /// How many bytes are to be written.
        needed: u64,
        /// How many there is room for.
        available: u64,
    },
    /// Rules that choose among tags choose none.
    #[error("{}", nothing_chosen(.place, .rules, *.tags, .newest.as_deref()))]
    NothingChosen {
        /// The repository, or the layout.
        place: String,
        /// The rules, in words.
        rules: String,
        /// How many tags there are to choose among.
        tags: usize,
        /// The highest version among them, if any is a version.
        newest: Option<String>,
    },
    /// A place does not hold what was asked for.
    #[error("{what} is not in {place}{}", answered(.said.as_deref()))]
    NotFound {
        /// What was asked for.
        what: Subject,
        /// Where it was looked for.
        place: String,
        /// What the place said, if it is a registry.
        said: Option<Box<Refusal>>,
    },
    /// Content is shorter or longer than its descriptor says (row B-05).
    #[error("{digest} is corrupt: its size is {expected} bytes, but its content has {}{actual}",
        if *.more { "more than " } else { "" })]
    Size {
        /// The digest of the content.
        digest: Digest,
        /// The size that the descriptor gives, in bytes.
        expected: u64,
        /// How many bytes there are, or were looked at.
        actual: u64,
        /// Whether there are more than `actual`.
        more: bool,
    },
    /// A place refused what was asked, for a reason of its own.
    #[error("cannot {action} {what}: {place} answered {said}")]
    Refused {
        /// What was tried: a verb.
        action: &'static str,
        /// What it was tried on.
        what: Subject,
        /// Who refused it.
        place: String,
        /// What the place said.
        said: Box<Refusal>,
    },
    /// A place takes no more requests, and waiting did not help.
    #[error("{place} takes no more requests for now: {said}")]
    Throttled {
        /// The place.
        place: String,
        /// What the place said.
        said: Box<Refusal>,
    },
    /// A place cannot do what was asked.
    #[error("{place} {what}")]
    Unsupported {
        /// The place.
        place: String,
        /// What it cannot do.
        what: Inability,
    },
    /// The digest's algorithm cannot be computed here, so the content cannot be proven (row A-38).
    #[error("{digest} cannot be verified: the algorithm `{}` is not known", .digest.algorithm())]
    Unverifiable {
        /// The digest.
        digest: Digest,
    },
}

impl Error {
    /// Tells whether the error is about what is called so, and its message names it: a name, a reference or
    /// a digest.
    pub fn is_about(&self, subject: &str) -> bool {
        let is_it = |digest: &Digest| digest.to_string() == subject;
        match self {
            Self::Ambiguous { name, .. } | Self::Conflict { name, .. } => name == subject,
            Self::Corrupt { expected: digest, .. }
            | Self::Manifest { digest, .. }
            | Self::Size { digest, .. }
            | Self::Unverifiable { digest } => is_it(digest),
            Self::Denied { what, place, .. }
            | Self::NotFound { what, place, .. }
            | Self::Refused { what, place, .. } => place == subject || what.is_called(subject),
            Self::Busy { what }
            | Self::Connection { what, .. }
            | Self::Exists { what }
            | Self::Io { what, .. }
            | Self::Limit { what, .. }
            | Self::Malformed { what, .. } => what == subject,
            Self::LeadsOut { place, .. }
            | Self::NoSpace { place, .. }
            | Self::NothingChosen { place, .. }
            | Self::Throttled { place, .. } => place == subject,
            Self::Unsupported { place, .. } if place == subject => true,
            Self::Unsupported { what, .. } => match what {
                Inability::NotATag(name) | Inability::ReferrersTag(name) => {
                    name.as_str() == subject
                }
                Inability::Needed(digest) | Inability::ManifestsOnly(digest) => is_it(digest),
                Inability::Elsewhere(what) => what.is_called(subject),
                _ => false,
            },
            Self::Cancelled | Self::NoDirectory { .. } => false,
        }
    }

    /// Returns an [`Error::Malformed`].
    pub fn malformed(what: impl ToString, reason: impl Into<Flaw>) -> Self {
        Self::Malformed { what: what.to_string(), reason: reason.into() }
    }

    /// Returns an [`Error::NotFound`] of a place that is no registry.
    pub fn not_found(what: impl Into<Subject>, place: impl ToString) -> Self {
        Self::NotFound { what: what.into(), place: place.to_string(), said: None }
    }

    /// Returns an [`Error::Unsupported`].
    pub fn unsupported(place: impl ToString, what: impl Into<Inability>) -> Self {
        Self::Unsupported { place: place.to_string(), what: what.into() }
    }

    /// Returns an [`Error::Connection`] of a host that cannot be reached.
    pub fn unreachable(host: impl ToString, why: ConnectionFailure) -> Self {
        Self::Connection { action: REACH, what: host.to_string(), why, led_by: None }
    }

    /// Returns a function that makes an [`Error::Io`] of what the operating system said.
    pub fn io(action: &'static str, what: impl ToString) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::from_io(action, what, source)
    }

    /// Returns the error that `source` carries if a [`crate::Verifying`] or another reader of this
    /// program made it, an [`Error::Connection`] if a connection failed, else an [`Error::Io`].
    pub fn from_io(action: &'static str, what: impl ToString, source: io::Error) -> Self {
        let source = match source.downcast::<Self>() {
            Ok(carried) => return carried,
            Err(source) => source,
        };
        match source.downcast::<ConnectionFailure>() {
            Ok(why) => Self::Connection { action, what: what.to_string(), why, led_by: None },
            Err(source) => Self::Io { action, what: what.to_string(), source },
        }
    }

    /// Returns what a registry said, if that is what the error is about.
    pub fn said(&self) -> Option<&Refusal> {
        match self {
            Self::Denied { said, .. }
            | Self::Refused { said, .. }
            | Self::Throttled { said, .. } => Some(said),
            Self::NotFound { said, .. } => said.as_deref(),
            Self::Unsupported { what, .. } => what.said(),
            Self::Ambiguous { .. }
            | Self::Busy { .. }
            | Self::Cancelled
            | Self::Conflict { .. }
            | Self::Connection { .. }
            | Self::Corrupt { .. }
            | Self::Exists { .. }
            | Self::Io { .. }
            | Self::LeadsOut { .. }
            | Self::Limit { .. }
            | Self::Malformed { .. }
            | Self::Manifest { .. }
            | Self::NoDirectory { .. }
            | Self::NoSpace { .. }
            | Self::NothingChosen { .. }
            | Self::Size { .. }
            | Self::Unverifiable { .. } => None,
        }
    }

    /// Tells whether content itself was found to be wrong, not its transport.
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Size { .. })
    }

    /// Tells whether what was asked for is simply not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::NothingChosen { .. })
    }

    /// Tells whether it says nothing of the content that was asked for: nobody could look at it.
    pub fn is_unanswered(&self) -> bool {
        matches!(
            self,
            Self::Cancelled
                | Self::Connection { .. }
                | Self::Denied { .. }
                | Self::Refused { .. }
                | Self::Throttled { .. }
                | Self::Unsupported { .. }
        )
    }

    /// Returns the host that cannot be reached and why, if that is what the error is about: nothing
    /// that is asked of it can be had then.
    pub fn lost_host(&self) -> Option<(&str, &ConnectionFailure)> {
        match self {
            Self::Connection { action: REACH, what, why, .. } => Some((what, why)),
            _ => None,
        }
    }
}

/// Lets a reader of this program pass its error through [`io::Read`].
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

/// Says who leads to a host, behind its name.
fn led(by: Option<&str>) -> String {
    by.map_or_else(String::new, |by| format!(", where {by} leads"))
}

/// Says what is wrong with something, behind its name.
fn malformed(reason: &Flaw) -> String {
    reason.predicate().map_or_else(|| format!("is malformed: {reason}"), ToOwned::to_owned)
}

/// Says that no tag fits, and what there was to choose among.
fn nothing_chosen(place: &str, rules: &str, tags: usize, newest: Option<&str>) -> String {
    let there = match (tags, newest) {
        (0, _) => return format!("{place} has no tags to choose from"),
        (1, Some(newest)) => format!("its only tag is {newest}"),
        (1, None) => "its only tag is no version".to_owned(),
        (_, Some(newest)) => format!("it has {tags} tags, of which {newest} is the newest version"),
        (_, None) => format!("it has {tags} tags, none of which is a version"),
    };
    format!("no tag of {place} fits {rules}: {there}")
}

/// Says what a registry answered.
fn answered(said: Option<&Refusal>) -> String {
    said.map_or_else(String::new, |said| format!(": it answered {said}"))
}

/// Says what the operating system said, without its error number.
fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
