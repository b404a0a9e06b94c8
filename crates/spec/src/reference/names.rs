//! Tags and repository names, by the grammars of the distribution specification.

use std::fmt;
use std::str::FromStr;

use super::{ReferenceError, serde_as_text};

/// The name of a manifest within a repository (distribution-spec "Pulling manifests", row E-02):
/// 1 to 128 letters, digits, `_`, `.` and `-`, of which the first is no `.` and no `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Box<str>);

/// The name of a repository within a registry (distribution-spec "Pulling manifests", row E-02):
/// parts joined by `/`, each of lower-case letters and digits joined by `.`, `_`, `__` or dashes.
///
/// The grammar sets no limit on the length. Many clients allow 255 characters for host and name
/// together (row E-03).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Box<str>);

impl Tag {
    /// Returns the tag that tools assume where none is written.
    pub fn latest() -> Self {
        Self("latest".into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RepositoryName {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        match tag_fault(text) {
            None => Ok(Self(text.into())),
            Some(fault) => Err(ReferenceError::new("tag", text, fault)),
        }
    }
}

impl FromStr for RepositoryName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        match repository_fault(text) {
            None => Ok(Self(text.into())),
            Some(fault) => Err(ReferenceError::new("repository name", text, fault)),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_text!(Tag, RepositoryName);

/// Returns a host as the beginning of a repository name, which has no `:`: `site.local:5000` is
/// `site.local_5000` there. Layouts and mirrors that hold content of several registries keep it apart so.
pub fn host_as_path(host: &str) -> String {
    host.replace(':', "_")
}

/// Says what is wrong with `text` as a tag.
fn tag_fault(text: &str) -> Option<String> {
    const LIMIT: usize = 128;
    let legal = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if text.is_empty() {
        Some("it is empty; write one or leave out the `:`".to_owned())
    } else if let Some(c) = text.chars().find(|c| !legal(*c)) {
        Some(format!("it has a `{}`; use letters, digits, `_`, `.` and `-`", c.escape_debug()))
    } else if text.starts_with(['.', '-']) {
        Some("it must begin with a letter, a digit or `_`".to_owned())
    } else if text.len() > LIMIT {
        Some(format!("it has {} characters; use at most {LIMIT}", text.len()))
    } else {
        None
    }
}

/// Says what is wrong with `text` as a repository name.
fn repository_fault(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if text != lower && lower.split('/').all(is_part) {
        return Some(format!("it has upper-case letters; write `{lower}`"));
    }
    let part = text.split('/').find(|part| !is_part(part))?;
    Some(match part {
        "" if text.is_empty() => "it is empty; write a name such as `library/alpine`".to_owned(),
        "" => "write exactly one `/` between parts and none at the ends".to_owned(),
        "." | ".." => format!("`{part}` is no part of a name; leave it out"),
        _ => format!(
            "`{}` must be lower-case letters and digits, joined by `.`, `_`, `__` or dashes",
            part.escape_debug()
        ),
    })
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_part(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let joins = |run: &str| matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-');
    text.starts_with(plain) && text.ends_with(plain) && text.split(plain).all(joins)
}
