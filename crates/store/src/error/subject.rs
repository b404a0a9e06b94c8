//! What an error is about.

use std::fmt;

use longshore_spec::{Digest, Platform, RepositoryName, Tag};

use crate::{Name, Selector};

/// What an error is about. Displayed, it is the beginning of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Content, by its digest.
    Digest(Digest),
    /// An artifact, by its name: a tag, or the name of an entry in a layout.
    Name(Name),
    /// An artifact, by its tag in a repository of a registry.
    Tagged {
        /// The repository, with its registry.
        repository: String,
        /// The tag.
        tag: Name,
    },
    /// A repository.
    Repository(RepositoryName),
    /// A registry, by host and port.
    Registry(String),
    /// Platforms that a request asks for.
    Platforms(Vec<Platform>),
    /// Something else, in words.
    Other(String),
}

impl Subject {
    /// Tells whether it is called so: as it is displayed, or by its tag alone.
    pub(crate) fn is_called(&self, text: &str) -> bool {
        matches!(self, Self::Tagged { tag, .. } if tag.as_str() == text) || self.to_string() == text
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Name(name) => name.fmt(f),
            Self::Tagged { repository, tag } => write!(f, "{repository}:{tag}"),
            Self::Repository(name) => name.fmt(f),
            Self::Registry(host) => f.pad(host),
            Self::Platforms(platforms) => {
                let texts: Vec<_> = platforms.iter().map(ToString::to_string).collect();
                write!(f, "the platform {}", texts.join(", "))
            }
            Self::Other(text) => f.pad(text),
        }
    }
}

impl From<&Digest> for Subject {
    fn from(digest: &Digest) -> Self {
        Self::Digest(digest.clone())
    }
}

impl From<Digest> for Subject {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl From<&Name> for Subject {
    fn from(name: &Name) -> Self {
        Self::Name(name.clone())
    }
}

impl From<&Tag> for Subject {
    fn from(tag: &Tag) -> Self {
        Self::Name(Name::new(tag.as_str()))
    }
}

impl From<&Selector> for Subject {
    fn from(selector: &Selector) -> Self {
        match selector {
            Selector::Name(name) => name.into(),
            Selector::Digest(digest) => digest.into(),
        }
    }
}

impl From<&RepositoryName> for Subject {
    fn from(name: &RepositoryName) -> Self {
        Self::Repository(name.clone())
    }
}

impl From<String> for Subject {
    fn from(text: String) -> Self {
        Self::Other(text)
    }
}

impl From<&str> for Subject {
    fn from(text: &str) -> Self {
        Self::Other(text.to_owned())
    }
}
