//! Names and selectors: how content is asked for.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use longshore_spec::{Digest, Tag};

/// The name of a manifest in a place: a tag, or in a layout any text, most often a full reference
/// (rows ). Clones share the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// Takes over `text` as it is: the layout spec puts no restriction on it (row A-21).
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a digest off the end: `NAME:TAG@DIGEST` names what has the digest `NAME:TAG`.
    pub fn apart(&self) -> (Self, Option<Digest>) {
        let apart = self.0.rsplit_once('@').filter(|(name, _)| !name.is_empty());
        match apart.and_then(|(name, digest)| Some((name, digest.parse().ok()?))) {
            Some((name, digest)) => (Self::new(name), Some(digest)),
            None => (self.clone(), None),
        }
    }

    /// Returns the tag that this name is, if it is one.
    pub fn tag(&self) -> Option<Tag> {
        Tag::from_str(&self.0).ok()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// How a manifest is asked for: by name or by digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// By what it is called.
    Name(Name),
    /// By what it is.
    Digest(Digest),
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => fmt::Display::fmt(name, f),
            Self::Digest(digest) => fmt::Display::fmt(digest, f),
        }
    }
}

impl From<Name> for Selector {
    fn from(name: Name) -> Self {
        Self::Name(name)
    }
}

impl From<Digest> for Selector {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}
