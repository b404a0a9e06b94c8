//! Receipts: what a site holds, so that the next bundle need not carry it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::str::FromStr;

use longshore_spec::{Digest, Hasher, RepositoryName, Tag};

/// The version of the form that is written. A reader refuses a higher one.
pub const RECEIPT_VERSION: u64 = 1;

/// A receipt has at most so many bytes: those of two million blobs.
pub const MAX_RECEIPT: u64 = 256 << 20;

/// A line of a receipt has at most so many bytes.
const MAX_LINE: u64 = 1 << 10;

/// The first word of the first line, and what follows it before the version.
const MAGIC: &str = "longshore receipt";

/// A receipt: the digests that a site holds, each proven to be there when it was written.
///
/// It is text that a person can review. It says nothing of the machine that wrote it but the name that the
/// operators gave the site, and a number that grows: of several receipts of one site the highest is the
/// newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The site.
    pub site: SiteName,
    /// Which receipt of the site it is, from 1.
    pub number: u64,
    /// What is there, sorted by repository. One without a name comes first.
    pub repositories: Vec<ReceiptRepository>,
}

/// What one repository holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiptRepository {
    /// Its name, without the registry's. `None` where the receipt keeps it to itself, and for a layout
    /// without repositories.
    pub name: Option<RepositoryName>,
    /// Its manifests, sorted by digest.
    pub manifests: Vec<ReceiptManifest>,
    /// Its blobs with their sizes in bytes, sorted by digest.
    pub blobs: Vec<(Digest, u64)>,
}

/// A manifest that a repository holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptManifest {
    /// What it is.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What it is called, sorted.
    pub tags: Vec<Tag>,
}

/// The name of a site: one line of at most [`SiteName::MAX_LENGTH`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteName(String);

/// Why a text is no name of a site.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a site's name is one line of 1 to {} bytes, without spaces at its ends",
    SiteName::MAX_LENGTH
)]
pub struct SiteNameError;

/// Why a text is no receipt.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Its first line is another.
    #[error("it is not a receipt: its first line is not `{MAGIC} {RECEIPT_VERSION}`")]
    NoReceipt,
    /// It was written by a later version of the program.
    #[error("it has format version {0}, and this program reads {RECEIPT_VERSION}")]
    Newer(u64),
    /// A line is not what may stand there.
    #[error("line {line}: {what}")]
    Malformed {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// It is longer than [`MAX_RECEIPT`].
    #[error("it has more than {MAX_RECEIPT} bytes")]
    TooLong,
    /// Its last line is not the checksum of those before it.
    #[error("it was changed or cut off: its checksum does not match its content")]
    Changed,
}

impl Receipt {
    /// Returns what the site holds, each digest once, with its size in bytes.
    pub fn contents(&self) -> BTreeMap<&Digest, u64> {
        let mut contents = BTreeMap::new();
        for repository in &self.repositories {
            let manifests = repository.manifests.iter();
            contents.extend(manifests.map(|manifest| (&manifest.digest, manifest.size)));
            contents.extend(repository.blobs.iter().map(|(digest, size)| (digest, *size)));
        }
        contents
    }

    /// Returns the receipt without the names of repositories and tags: one list of digests.
    #[must_use]
    pub fn digests_only(self) -> Self {
        let (mut manifests, mut blobs) = (BTreeMap::new(), BTreeMap::new());
        for repository in self.repositories {
            manifests.extend(repository.manifests.into_iter().map(|of| (of.digest, of.size)));
            blobs.extend(repository.blobs);
        }
        let manifest = |(digest, size)| ReceiptManifest { digest, size, tags: Vec::new() };
        let all = ReceiptRepository {
            name: None,
            manifests: manifests.into_iter().map(manifest).collect(),
            blobs: blobs.into_iter().collect(),
        };
        Self { repositories: vec![all], ..self }
    }

    /// Returns the checksum that stands in the last line.
    pub fn checksum(&self) -> Digest {
        let mut to = Hashing { to: &mut io::sink(), hasher: Hasher::sha256() };
        match self.write_content(&mut to) {
            Ok(()) => to.hasher.finish(),
            Err(_) => unreachable!("a hasher takes all"),
        }
    }

    /// Returns the newest receipt of each site, sorted by site.
    pub fn newest(receipts: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut newest: BTreeMap<SiteName, Self> = BTreeMap::new();
        for receipt in receipts {
            match newest.get(&receipt.site) {
                Some(known) if known.number >= receipt.number => {}
                _ => _ = newest.insert(receipt.site.clone(), receipt),
            }
        }
        newest.into_values().collect()
    }

    /// Writes the receipt. The same receipt is the same text.
    ///
    /// # Errors
    ///
    /// Those of `to`.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut to = Hashing { to, hasher: Hasher::sha256() };
        self.write_content(&mut to)?;
        let Hashing { to, hasher } = to;
        writeln!(to, "checksum {}", hasher.finish())
    }

    /// Writes all but the last line.
    fn write_content(&self, to: &mut Hashing<'_>) -> io::Result<()> {
        writeln!(to, "{MAGIC} {RECEIPT_VERSION}")?;
        writeln!(to, "site {}", self.site)?;
        writeln!(to, "number {}", self.number)?;
        for repository in &self.repositories {
            if let Some(name) = &repository.name {
                writeln!(to, "repository {name}")?;
            }
            for manifest in &repository.manifests {
                writeln!(to, "  manifest {} {}", manifest.digest, manifest.size)?;
                for tag in &manifest.tags {
                    writeln!(to, "    tag {tag}")?;
                }
            }
            for (digest, size) in &repository.blobs {
                writeln!(to, "  blob {digest} {size}")?;
            }
        }
        Ok(())
    }

    /// Reads a receipt, line by line. White space at the ends of lines does not count, but for the
    /// checksum.
    ///
    /// # Errors
    ///
    /// It cannot be read, is no receipt, is longer than [`MAX_RECEIPT`], or is not as it was written.
    pub fn read(from: impl BufRead) -> Result<Self, ReceiptError> {
        let mut lines = Lines { from: from.take(MAX_RECEIPT + 1), line: 0, text: String::new() };
        let mut hasher = Hasher::sha256();
        let first = lines.next()?.and_then(|line| line.strip_prefix(MAGIC));
        match first.map(|rest| rest.trim().parse::<u64>()) {
            Some(Ok(RECEIPT_VERSION)) => {}
            Some(Ok(version @ RECEIPT_VERSION..)) => return Err(ReceiptError::Newer(version)),
            _ => return Err(ReceiptError::NoReceipt),
        }
        hasher.update(lines.text.as_bytes());
        let site = lines.member("site", &mut hasher)?;
        let number = lines.member("number", &mut hasher)?;
        let mut repositories: Vec<ReceiptRepository> = Vec::new();
        loop {
            let at = lines.line + 1;
            let Some(line) = lines.next()? else { return Err(ReceiptError::Changed) };
            let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            match word {
                "repository" => {
                    let name = rest.parse::<RepositoryName>();
                    let name = name.map_err(|error| malformed(at, &error))?;
                    repositories.push(ReceiptRepository {
                        name: Some(name),
                        ..ReceiptRepository::default()
                    });
                }
                "manifest" => {
                    let (digest, length) = content(rest, at)?;
                    let manifest = ReceiptManifest { digest, size: length, tags: Vec::new() };
                    last(&mut repositories).manifests.push(manifest);
                }
                "tag" => {
                    let tag = rest.parse().map_err(|error| malformed(at, &error))?;
                    match last(&mut repositories).manifests.last_mut() {
                        Some(manifest) => manifest.tags.push(tag),
                        None => return Err(malformed(at, &"a tag of no manifest")),
                    }
                }
                "blob" => {
                    let blob = content(rest, at)?;
                    last(&mut repositories).blobs.push(blob);
                }
                "checksum" => {
                    if rest != hasher.finish().to_string() || lines.next()?.is_some() {
                        return Err(ReceiptError::Changed);
                    }
                    return Ok(Self { site, number, repositories });
                }
                _ => return Err(malformed(at, &format_args!("`{word}` means nothing"))),
            }
            hasher.update(lines.text.as_bytes());
        }
    }
}

/// Returns the repository that a line belongs to; what stands before the first has no name.
fn last(repositories: &mut Vec<ReceiptRepository>) -> &mut ReceiptRepository {
    if repositories.is_empty() {
        repositories.push(ReceiptRepository::default());
    }
    let last = repositories.len() - 1;
    &mut repositories[last]
}

/// Reads `DIGEST SIZE`.
fn content(text: &str, line: u64) -> Result<(Digest, u64), ReceiptError> {
    let (digest, size) = text.split_once(' ').unwrap_or((text, ""));
    let digest = digest.parse().map_err(|error| malformed(line, &error))?;
    let size = size.parse().map_err(|_| malformed(line, &"there is no size behind the digest"))?;
    Ok((digest, size))
}

fn malformed(line: u64, what: &dyn fmt::Display) -> ReceiptError {
    ReceiptError::Malformed { line, what: what.to_string() }
}

/// The lines of a receipt, of which one is kept at a time.
struct Lines<R> {
    from: io::Take<R>,
    /// How many have been read.
    line: u64,
    /// The last, with its end.
    text: String,
}

impl<R: BufRead> Lines<R> {
    /// Reads the next line; `None` at the end.
    fn next(&mut self) -> Result<Option<&str>, ReceiptError> {
        self.text.clear();
        self.line += 1;
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        (&mut self.from).take(MAX_LINE).read_until(b'\n', &mut bytes)?;
        if self.from.limit() == 0 {
            return Err(ReceiptError::TooLong);
        }
        let is_cut = bytes.len() as u64 == MAX_LINE && bytes.last() != Some(&b'\n');
        if is_cut {
            return Err(malformed(self.line, &format_args!("it has more than {MAX_LINE} bytes")));
        }
        let text = String::from_utf8(bytes);
        self.text = text.map_err(|_| malformed(self.line, &"it is not UTF-8"))?;
        Ok((!self.text.is_empty()).then_some(&self.text))
    }

    /// Reads a line that begins with `word`, and what stands behind it.
    fn member<T: FromStr<Err: fmt::Display>>(
        &mut self,
        word: &str,
        hasher: &mut Hasher,
    ) -> Result<T, ReceiptError> {
        let line = self.next()?.ok_or(ReceiptError::Changed)?;
        let text = line.trim().strip_prefix(word).map(|text| text.trim().to_owned());
        let Some(text) = text else {
            return Err(malformed(self.line, &format_args!("`{word}` is missing")));
        };
        hasher.update(self.text.as_bytes());
        text.parse().map_err(|error| malformed(self.line, &error))
    }
}

/// Hashes what is written.
struct Hashing<'a> {
    to: &'a mut dyn Write,
    hasher: Hasher,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl SiteName {
    /// How many bytes a name has at most.
    pub const MAX_LENGTH: usize = 128;

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SiteName {
    type Err = SiteNameError;

    fn from_str(text: &str) -> Result<Self, SiteNameError> {
        let is_good = (1..=Self::MAX_LENGTH).contains(&text.len())
            && text.trim() == text
            && !text.chars().any(char::is_control);
        if is_good { Ok(Self(text.to_owned())) } else { Err(SiteNameError) }
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(content: &str) -> Digest {
        Digest::sha256(content.as_bytes())
    }

    fn receipt() -> Receipt {
        let manifest = |content: &str, tags: &[&str]| ReceiptManifest {
            digest: digest(content),
            size: content.len() as u64,
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
        };
        Receipt {
            site: "ship 7".parse().unwrap(),
            number: 3,
            repositories: vec![
                ReceiptRepository {
                    name: Some("mirror/nginx".parse().unwrap()),
                    manifests: vec![manifest("index", &["1.27", "latest"]), manifest("amd64", &[])],
                    blobs: vec![(digest("layer"), 5)],
                },
                ReceiptRepository {
                    name: Some("mirror/other".parse().unwrap()),
                    manifests: Vec::new(),
                    blobs: vec![(digest("layer"), 5), (digest("config"), 6)],
                },
            ],
        }
    }

    fn text(receipt: &Receipt) -> String {
        let mut text = Vec::new();
        receipt.write(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn refused(text: &str) -> String {
        Receipt::read(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read() {
        let receipt = receipt();
        assert_eq!(Receipt::read(text(&receipt).as_bytes()).unwrap(), receipt);
        let bare = receipt.digests_only();
        assert_eq!(Receipt::read(text(&bare).as_bytes()).unwrap(), bare);
        let none = Receipt { repositories: Vec::new(), ..bare };
        assert_eq!(Receipt::read(text(&none).as_bytes()).unwrap(), none);
    }

    #[test]
    fn a_receipt_of_digests_says_no_names_and_holds_the_same() {
        let (receipt, bare) = (receipt(), receipt().digests_only());
        assert_eq!(receipt.contents(), bare.contents());
        let text = text(&bare);
        assert!(!text.contains("mirror") && !text.contains("1.27"), "{text}");
        assert_eq!(text.matches("  blob ").count(), 2, "each digest once");
    }

    #[test]
    fn what_was_changed_or_cut_is_refused() {
        let text = text(&receipt());
        let changed = "it was changed or cut off: its checksum does not match its content";
        assert_eq!(refused(&text.replace("ship 7", "ship 8")), changed);
        for (end, _) in text.match_indices('\n').take(text.lines().count() - 1) {
            let error = refused(&text[..=end]);
            assert!(error == changed, "{error}");
        }
        assert_eq!(refused(&format!("{text}x\n")), changed);
    }

    #[test]
    fn bad_lines_are_named() {
        let text = text(&receipt());
        assert_eq!(
            refused("what\n"),
            "it is not a receipt: its first line is not `longshore receipt 1`"
        );
        let newer = text.replace("receipt 1", "receipt 2");
        assert_eq!(refused(&newer), "it has format version 2, and this program reads 1");
        let bad = text.replace("number 3", "number three");
        assert!(refused(&bad).starts_with("line 3: "), "{}", refused(&bad));
        let bad = text.replacen("  blob sha256:", "  blob sha256", 1);
        assert!(refused(&bad).starts_with("line 9: "), "{}", refused(&bad));
        let long = format!("longshore receipt 1\nsite {}\n", "x".repeat(2000));
        assert_eq!(refused(&long), "line 2: it has more than 1024 bytes");
        assert!(refused("longshore receipt 1\nsite a\nnumber 1\n    tag v1\n").contains("line 4"));
        assert!(refused("longshore receipt 1\nsite a\nnumber 1\n\n").contains("line 4"));
    }

    #[test]
    fn the_highest_number_of_each_site_is_the_newest() {
        let of = |site: &str, number| Receipt {
            site: site.parse().unwrap(),
            number,
            repositories: Vec::new(),
        };
        let newest = Receipt::newest([of("b", 2), of("a", 1), of("b", 10), of("b", 9)]);
        assert_eq!(newest, [of("a", 1), of("b", 10)]);
    }

    #[test]
    fn names_of_sites_are_one_line() {
        for bad in ["", " a", "a ", "a\nb", "a\u{1b}b", &"x".repeat(129)] {
            assert_eq!(bad.parse::<SiteName>(), Err(SiteNameError), "{bad:?}");
        }
        assert_eq!("Schiff Nr. 7".parse::<SiteName>().unwrap().as_str(), "Schiff Nr. 7");
    }
}
