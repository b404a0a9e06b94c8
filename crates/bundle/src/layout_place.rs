//! Layouts as they are typed.

use std::fmt;

use longshore_spec::Digest;
use longshore_store::{Name, Selector};

/// A layout, and what is meant in it: `oci:DIR[:REF|@DIGEST]` or `oci-archive:FILE[:REF|@DIGEST]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutPlace {
    /// Whether it is a directory or a file.
    pub kind: LayoutKind,
    /// Where it lies, as it was typed.
    pub path: String,
    /// What is meant in it.
    pub selector: Option<Selector>,
}

/// How a text is read as a layout, `None` if it means none: [`LayoutPlace::parse`], or what knows which
/// paths there are.
pub type ReadLayout<'r> = &'r dyn Fn(&str) -> Option<Result<LayoutPlace, String>>;

/// What a layout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayoutKind {
    /// `oci:`
    Directory,
    /// `oci-archive:`
    Archive,
}

impl LayoutPlace {
    /// Reads a layout; `None` for a text that begins as none does. The path ends at the first `:`.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, in words.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        Self::parse_where(text, |_| false)
    }

    /// Does the like where it is known which paths there are: a path with `:` in it ends at the first
    /// `:` before which something `exists`, or is all of the text.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, in words.
    pub fn parse_where(text: &str, exists: impl Fn(&str) -> bool) -> Option<Result<Self, String>> {
        let (kind, rest) = match text.split_once(':')? {
            ("oci", rest) if !is_host(rest) => (LayoutKind::Directory, rest),
            ("oci-archive", rest) => (LayoutKind::Archive, rest),
            _ => return None,
        };
        Some(split(rest, exists).and_then(|(path, selector)| {
            if path.is_empty() {
                return Err(format!("`{text}` names no path; write {}", kind.example()));
            }
            Ok(Self { kind, path: path.to_owned(), selector })
        }))
    }
}

impl LayoutPlace {
    /// Returns the layout without what is selected in it.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self { selector: None, ..self.clone() }
    }
}

impl LayoutKind {
    /// Returns how one is written.
    pub fn example(self) -> &'static str {
        match self {
            Self::Archive => "`oci-archive:FILE[:REF]`",
            Self::Directory => "`oci:DIR[:REF]`",
        }
    }
}

/// Splits a path from what is selected at it: a digest after `@`, or a name after the first `:` before
/// which something exists, or else the first of all.
fn split(rest: &str, exists: impl Fn(&str) -> bool) -> Result<(&str, Option<Selector>), String> {
    let digest_at = |at: usize| {
        let digest: Digest = rest[at + 1..].parse().ok()?;
        digest.hasher().is_some().then_some((at, digest))
    };
    let (end, digest) = match rest.match_indices('@').find_map(|(at, _)| digest_at(at)) {
        Some((at, digest)) => (at, Some(digest)),
        None => (rest.len(), None),
    };
    let path = &rest[..end];
    let mut colons = path.match_indices(':').map(|(at, _)| at);
    let colon = match colons.clone().find(|at| exists(&path[..*at])) {
        None if exists(path) => None,
        found => found.or_else(|| colons.next()),
    };
    let Some(colon) = colon else {
        return Ok((path, digest.map(Selector::Digest)));
    };
    match &rest[colon + 1..] {
        "" => {
            Err(format!("`{rest}` names nothing behind its `:`; leave out the `:`, or add a name"))
        }
        bad if bad.chars().any(|c| c.is_control() || c.is_whitespace()) => {
            Err(format!("`{bad}` is not a name: it holds white space or control characters"))
        }
        name => Ok((&rest[..colon], Some(Selector::Name(Name::from(name))))),
    }
}

/// Tells whether what follows `oci:` begins as a URL does, which `//` and a host make.
fn is_host(rest: &str) -> bool {
    rest.strip_prefix("//").is_some_and(|rest| !rest.starts_with('/'))
}

impl fmt::Display for LayoutKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "oci",
            Self::Archive => "oci-archive",
        })
    }
}

impl fmt::Display for LayoutPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.path)?;
        match &self.selector {
            None => Ok(()),
            Some(Selector::Digest(digest)) => write!(f, "@{digest}"),
            Some(Selector::Name(name)) => write!(f, ":{name}"),
        }
    }
}
