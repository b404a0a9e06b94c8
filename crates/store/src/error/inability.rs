//! What a place cannot do.

use std::fmt;

use longshore_spec::Digest;

use super::{Refusal, Subject};
use crate::Name;

/// What a place cannot do. Displayed, it is the rest of a sentence that begins with the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inability {
    /// It is only read: opened so, or content that comes through a pipe.
    ReadOnly,
    /// It takes content only as it was announced; what was not, as the rest of a sentence.
    Unannounced(String),
    /// It has no full reference, by which alone a bundle can name it.
    NoFullReference,
    /// It does not delete tags.
    TagDelete {
        /// What it says of that.
        said: Box<Refusal>,
    },
    /// It does not delete manifests.
    ManifestDelete {
        /// What it says of that.
        said: Box<Refusal>,
    },
    /// It is no registry.
    NoRegistry {
        /// What it says when it is asked as one, unless that is a web page.
        said: Option<Box<Refusal>>,
    },
    /// It does not list its repositories.
    Catalog {
        /// What it says of that.
        said: Option<Box<Refusal>>,
    },
    /// It knows tags only, and this name is none.
    NotATag(Name),
    /// The tag that it would list referrers under stands for something else.
    ReferrersTag(Name),
    /// It needs content that was to be removed.
    Needed(Digest),
    /// Something that was to be changed lies in a part of it that is only read.
    Elsewhere(Subject),
    /// It has nowhere to keep credentials.
    NoCredentials,
    /// It lists manifests only, and this is none.
    ManifestsOnly(Digest),
    /// Something else, as the rest of a sentence.
    Other(String),
}

impl Inability {
    /// Returns what a registry said of it.
    pub fn said(&self) -> Option<&Refusal> {
        match self {
            Self::TagDelete { said } | Self::ManifestDelete { said } => Some(said),
            Self::NoRegistry { said } | Self::Catalog { said } => said.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Display for Inability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answered = |f: &mut fmt::Formatter<'_>, what: &str, said: Option<&Refusal>| match said {
            Some(said) => write!(f, "{what}: it answered {said}"),
            None => f.write_str(what),
        };
        match self {
            Self::ReadOnly => f.write_str("is read-only"),
            Self::NoFullReference => {
                f.write_str("has no full reference (HOST/PATH:TAG), which a bundle needs")
            }
            Self::TagDelete { said } => write!(f, "does not delete tags: it answered {said}"),
            Self::ManifestDelete { said } => {
                write!(f, "does not delete manifests: it answered {said}")
            }
            Self::NoRegistry { said } => answered(
                f,
                "is not a registry: it does not speak the OCI distribution spec",
                said.as_deref(),
            ),
            Self::Catalog { said } => {
                answered(f, "does not list its repositories", said.as_deref())
            }
            Self::NotATag(name) => write!(f, "cannot use `{name}`, which is not a valid tag"),
            Self::ReferrersTag(tag) => {
                write!(f, "cannot list a referrer: its tag {tag} is taken by something else")
            }
            Self::Needed(digest) => write!(f, "needs {digest} for one of its manifests"),
            Self::Elsewhere(what) => write!(f, "has {what} from a place that is only read"),
            Self::NoCredentials => f.write_str("cannot keep any"),
            Self::ManifestsOnly(digest) => {
                write!(f, "lists manifests only, and {digest} is not one")
            }
            Self::Unannounced(text) | Self::Other(text) => f.write_str(text),
        }
    }
}

impl From<String> for Inability {
    fn from(text: String) -> Self {
        Self::Other(text)
    }
}

impl From<&str> for Inability {
    fn from(text: &str) -> Self {
        Self::Other(text.to_owned())
    }
}
