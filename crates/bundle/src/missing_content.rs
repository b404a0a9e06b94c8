//! Lists of missing content: what a site lacks to take a bundle, and asks for.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use longshore_spec::Digest;
use longshore_store::{Error, Subject};
use longshore_sync::{Failure, Side};

use crate::Record;

/// The version of the form that is written. A reader refuses a higher one.
pub const MISSING_CONTENT_VERSION: u64 = 1;

/// A list has at most so many bytes: those of more blobs than a record has.
pub const MAX_MISSING_CONTENT: u64 = 64 << 20;

/// The first words of the first line, before the version.
const MAGIC: &str = "longshore missing";

/// What a site lacks of a bundle.
///
/// It is text that a person can review before it leaves the site: the bundle, and digests and sizes that the
/// bundle's `bundle.json` has too. It says nothing of the site, and of no repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingContent {
    /// The id of the bundle that needs it.
    pub bundle: Digest,
    /// What is missing, with its length in bytes; at least one.
    pub blobs: BTreeMap<Digest, u64>,
}

/// Why a text is no list of missing content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MissingContentError {
    /// Its first line is another.
    #[error("its first line is not `{MAGIC} {MISSING_CONTENT_VERSION}`")]
    NoList,
    /// It was written by a later version of the program.
    #[error("it has format version {0}, and this program reads {MISSING_CONTENT_VERSION}")]
    Newer(u64),
    /// A line is not what may stand there.
    #[error("line {line}: {what}")]
    Malformed {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// It is longer than [`MAX_MISSING_CONTENT`].
    #[error("it has more than {MAX_MISSING_CONTENT} bytes")]
    TooLong,
    /// Its last line is not the checksum of those before it.
    #[error("it was changed or cut off: its checksum does not match its content")]
    Changed,
    /// It names nothing.
    #[error("it names no content")]
    Empty,
}

impl MissingContent {
    /// Returns these digests as a list, as far as the bundle with this record needs them; `None` if that is
    /// none of them.
    pub fn of<'d>(record: &Record, digests: impl IntoIterator<Item = &'d Digest>) -> Option<Self> {
        let mut wanted: BTreeMap<&Digest, Option<u64>> =
            digests.into_iter().map(|digest| (digest, None)).collect();
        for blob in record.blobs.iter().chain(record.assumed()) {
            if let Some(size) = wanted.get_mut(&blob.digest) {
                *size = Some(blob.size);
            }
        }
        let known = wanted.into_iter().filter_map(|(digest, size)| Some((digest.clone(), size?)));
        let blobs: BTreeMap<_, _> = known.collect();
        (!blobs.is_empty()).then(|| Self { bundle: record.id(), blobs })
    }

    /// Returns its length in bytes.
    pub fn size(&self) -> u64 {
        self.blobs.values().fold(0, |sum, size| sum.saturating_add(*size))
    }

    /// Reads a list.
    ///
    /// # Errors
    ///
    /// It is no list, is longer than [`MAX_MISSING_CONTENT`], or is not as it was written.
    pub fn parse(bytes: &[u8]) -> Result<Self, MissingContentError> {
        if bytes.len() as u64 > MAX_MISSING_CONTENT {
            return Err(MissingContentError::TooLong);
        }
        let text = str::from_utf8(bytes).map_err(|_| MissingContentError::NoList)?;
        let version =
            text.lines().next().and_then(|line| line.strip_prefix(MAGIC)?.strip_prefix(' '));
        match version.map(str::parse::<u64>) {
            Some(Ok(MISSING_CONTENT_VERSION)) => {}
            Some(Ok(version @ MISSING_CONTENT_VERSION..)) => {
                return Err(MissingContentError::Newer(version));
            }
            _ => return Err(MissingContentError::NoList),
        }
        let (content, checksum) =
            text.rsplit_once("checksum ").ok_or(MissingContentError::Changed)?;
        if checksum != format!("{}\n", Digest::sha256(content)) {
            return Err(MissingContentError::Changed);
        }
        let mut lines = (2..).zip(content.lines().skip(1));
        let (line, first) = lines.next().unwrap_or((2, ""));
        let bundle = first.strip_prefix("bundle ").map(str::parse);
        let bundle = bundle.ok_or_else(|| malformed(line, &"`bundle` is missing"))?;
        let bundle = bundle.map_err(|error| malformed(line, &error))?;
        let mut blobs = BTreeMap::new();
        for (line, text) in lines {
            let (digest, size) = blob(text, line)?;
            if blobs.insert(digest, size).is_some() {
                return Err(malformed(line, &"it is named twice"));
            }
        }
        if blobs.is_empty() {
            return Err(MissingContentError::Empty);
        }
        Ok(Self { bundle, blobs })
    }
}

/// Reads `blob DIGEST SIZE`.
fn blob(text: &str, line: u64) -> Result<(Digest, u64), MissingContentError> {
    let rest = text.strip_prefix("blob ");
    let rest = rest.ok_or_else(|| malformed(line, &"it is no `blob DIGEST SIZE`"))?;
    let (digest, size) = rest.split_once(' ').unwrap_or((rest, ""));
    let digest = digest.parse().map_err(|error| malformed(line, &error))?;
    let size = size.parse().map_err(|_| malformed(line, &"there is no size behind the digest"))?;
    Ok((digest, size))
}

fn malformed(line: u64, what: &dyn fmt::Display) -> MissingContentError {
    MissingContentError::Malformed { line, what: what.to_string() }
}

impl fmt::Display for MissingContent {
    /// Writes the file. The same list is the same text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{MAGIC} {MISSING_CONTENT_VERSION}\nbundle {}\n", self.bundle);
        for (digest, size) in &self.blobs {
            writeln!(text, "blob {digest} {size}")?;
        }
        writeln!(f, "{text}checksum {}", Digest::sha256(&text))
    }
}

/// Returns the content that was not there, or was not what it should be, when it was read.
pub fn lost_content<'f>(failures: impl IntoIterator<Item = &'f Failure>) -> Vec<Digest> {
    let lost = failures.into_iter().filter_map(|Failure { side, subject, error, .. }| {
        if *side != Side::Source || !(error.is_not_found() || error.is_corruption()) {
            return None;
        }
        // What failed under its name is a manifest, and the error says which.
        let named = match &**error {
            Error::NotFound { what: Subject::Digest(digest), .. }
            | Error::Corrupt { expected: digest, .. }
            | Error::Size { digest, .. } => Some(digest.clone()),
            _ => None,
        };
        subject.parse().ok().or(named)
    });
    lost.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> MissingContent {
        let blob = |content: &str| (Digest::sha256(content), content.len() as u64);
        let blobs = [blob("one"), blob("another")].into_iter().collect();
        MissingContent { bundle: Digest::sha256("bundle"), blobs }
    }

    fn refused(text: &str) -> String {
        MissingContent::parse(text.as_bytes()).unwrap_err().to_string()
    }

    /// Returns a text with the checksum that belongs to it.
    fn sealed(content: &str) -> String {
        format!("{content}checksum {}\n", Digest::sha256(content))
    }

    #[test]
    fn what_is_written_is_read() {
        let text = list().to_string();
        assert_eq!(MissingContent::parse(text.as_bytes()), Ok(list()));
        assert_eq!(text.lines().count(), 5);
    }

    #[test]
    fn what_was_changed_or_cut_is_refused() {
        let text = list().to_string();
        for end in 0..text.len() {
            assert!(MissingContent::parse(&text.as_bytes()[..end]).is_err(), "{end}");
        }
        let changed = "it was changed or cut off: its checksum does not match its content";
        assert_eq!(refused(&text.replace(" 3\n", " 4\n")), changed);
        assert_eq!(refused(&text.replace('\n', "\r\n")), changed);
        assert_eq!(refused(&format!("{text}x")), changed);
    }

    #[test]
    fn bad_lines_are_named() {
        let (bundle, blob) = (Digest::sha256("bundle"), Digest::sha256("one"));
        let head = format!("longshore missing 1\nbundle {bundle}\n");
        assert_eq!(refused("{}"), "its first line is not `longshore missing 1`");
        assert_eq!(
            refused("longshore missing 2\n"),
            "it has format version 2, and this program reads 1"
        );
        assert_eq!(refused(&sealed(&head)), "it names no content");
        for (line, text, what) in [
            (2, "longshore missing 1\n".to_owned(), "`bundle` is missing"),
            (2, "longshore missing 1\nbundle x\n".to_owned(), ""),
            (3, format!("{head}blob {blob}\n"), "there is no size behind the digest"),
            (3, format!("{head}blob {blob} -1\n"), "there is no size behind the digest"),
            (3, format!("{head}manifest {blob} 1\n"), "it is no `blob DIGEST SIZE`"),
            (4, format!("{head}blob {blob} 1\nblob {blob} 1\n"), "it is named twice"),
        ] {
            let said = refused(&sealed(&text));
            assert!(said.starts_with(&format!("line {line}: {what}")), "{said}");
        }
    }
}
