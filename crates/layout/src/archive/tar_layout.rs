//! The one form in which archives are written, computed before any content is there.
//!
//! The order is `oci-layout`, `index.json`, extra files, `blobs/`, `blobs/ALG/`, then the content in the
//! order of the outline. An archive with parts of blobs also has `parts/` and `parts/ALG/` before the content,
//! and the parts behind it. Every header depends only on name and size: mtime 0, uid and gid 0, no owner
//! names, modes 0644 and 0755. A PAX header has what ustar cannot express: names of more than 100 bytes
//! and sizes of 8 GiB and more. Such a size is also in base-256 in the header itself, since some readers
//! return to the header alone.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use longshore_spec::{Digest, Hasher};
use longshore_store::{Error, Outline, OutlineNode, OutlinePart, Result, Root};

use super::members;
use crate::directory::MAX_INDEX;
use crate::index::{self, IndexJson};
use crate::names;

/// The size of a block.
const BLOCK: usize = 512;

/// An archive ends with two blocks of zeros.
pub(super) const END: [u8; 1024] = [0; 1024];

/// The version of the form, which is part of the fingerprint. Raise it with every change.
const VERSION: u32 = 1;

/// The largest size in eleven octal digits.
const MAX_OCTAL: u64 = 0o777_7777_7777;

/// No file can be longer, so positions below it cannot overflow.
const MAX_LENGTH: u64 = i64::MAX as u64;

/// The longest name in a header itself.
const MAX_NAME: usize = 100;

/// Where everything is in an archive.
pub(super) struct TarLayout {
    /// Everything before the first blob.
    pub(super) head: Head,
    /// The slot of each blob, in the order of the outline; then that of each part.
    pub(super) slots: Vec<Slot>,
    /// The number of the slot of each blob.
    pub(super) by_digest: HashMap<Digest, u32>,
    /// The parts, whose slots are the last.
    pub(super) parts: Vec<OutlinePart>,
    /// The length of the archive in bytes.
    pub(super) length: u64,
    /// Distinguishes this archive from every other.
    pub(super) fingerprint: Digest,
}

/// Everything before the first blob, in pieces: files beside the content, such as `bundle.json`, may be large, and are
/// not copied.
#[derive(Debug, Default)]
pub(super) struct Head(Vec<Bytes>);

/// The place of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    /// Where its header begins.
    pub(super) header: u64,
    /// Where its content begins.
    pub(super) content: u64,
    /// The length of its content.
    pub(super) size: u64,
}

impl TarLayout {
    /// Computes the archive of `outline`. Fails with [`Error::Limit`] if no file can be that long.
    pub(super) fn new(outline: &Outline) -> Result<Self> {
        let layout = ("oci-layout", Bytes::from_static(crate::directory::LAYOUT.as_bytes()));
        let index = index_of(outline.roots());
        let index = index.to_bytes();
        index::check_length(index.len() as u64, MAX_INDEX, "`index.json` of the archive")?;
        let extra = outline.files().iter().map(|file| (file.name.as_str(), file.content.clone()));
        let files = [layout, ("index.json", index.into())].into_iter().chain(extra);
        Self::of(files, outline.nodes(), outline.parts())
    }

    /// Computes where `files`, `nodes` and `parts` go, each in the order in which they are given. Fails
    /// with [`Error::Limit`] if no file can be that long.
    pub(super) fn of<'a>(
        files: impl IntoIterator<Item = (&'a str, Bytes)>,
        nodes: &[OutlineNode],
        parts: &[OutlinePart],
    ) -> Result<Self> {
        let files: Vec<_> = files.into_iter().collect();
        check_members(&files, nodes, parts)?;
        let head = Head::of(files, nodes, parts);
        let mut fingerprint = Hasher::sha256();
        fingerprint.update(format!("longshore archive {VERSION}\n").as_bytes());
        for piece in head.pieces() {
            fingerprint.update(piece);
        }
        let end = head.pieces().map(|piece| piece.len() as u64).sum();
        let mut slots = Slots { all: Vec::new(), end };
        slots.all.reserve_exact(nodes.len() + parts.len());
        let mut by_digest = HashMap::with_capacity(nodes.len());
        for OutlineNode { digest, size, .. } in nodes {
            fingerprint.update(format!("{digest} {size}\n").as_bytes());
            let number = slots.add(blob_header(digest, *size).len(), *size, digest)?;
            by_digest.insert(digest.clone(), number);
        }
        for part in parts {
            let OutlinePart { blob, number, size } = part;
            fingerprint.update(format!("{blob} {number} {size}\n").as_bytes());
            slots.add(part_header(part).len(), *size, blob)?;
        }
        let length = slots.end + END.len() as u64;
        let (slots, parts, fingerprint) = (slots.all, parts.to_vec(), fingerprint.finish());
        Ok(Self { head, slots, by_digest, parts, length, fingerprint })
    }

    /// Returns the slot of a digest, and its number.
    pub(super) fn slot(&self, digest: &Digest) -> Option<(u32, Slot)> {
        let number = *self.by_digest.get(digest)?;
        Some((number, *self.slots.get(number as usize)?))
    }

    /// Returns the slot of a part, its number, and the part.
    pub(super) fn part(&self, blob: &Digest, number: u32) -> Option<(u32, Slot, &OutlinePart)> {
        let is_it = |part: &OutlinePart| part.blob == *blob && part.number == number;
        let place = self.parts.iter().position(is_it)?;
        let slot = self.slots.len() - self.parts.len() + place;
        Some((u32::try_from(slot).ok()?, *self.slots.get(slot)?, &self.parts[place]))
    }
}

/// Slots, one behind the other.
struct Slots {
    all: Vec<Slot>,
    /// Where the last one ends.
    end: u64,
}

impl Slots {
    /// Adds the slot for content of `digest` behind a header of so many bytes, and returns its number. Fails
    /// with [`Error::Limit`] if no file can be that long.
    fn add(&mut self, header: usize, size: u64, digest: &Digest) -> Result<u32> {
        let content = self.end + header as u64;
        if content.checked_add(size).is_none_or(|end| end > MAX_LENGTH) {
            return Err(Error::Limit {
                what: format!("an archive with {size} bytes of {digest}"),
                limit: format!("{MAX_LENGTH} bytes"),
            });
        }
        let slot = Slot { header: self.end, content, size };
        self.end = slot.end();
        self.all.push(slot);
        Ok(u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX))
    }
}

impl Head {
    fn of<'a>(
        files: impl IntoIterator<Item = (&'a str, Bytes)>,
        nodes: &[OutlineNode],
        parts: &[OutlinePart],
    ) -> Self {
        let mut pieces = Vec::new();
        for (name, content) in files {
            let size = content.len() as u64;
            pieces.push(header(name, size, tar::EntryType::Regular).into());
            pieces.push(content);
            let padding = Slot { header: 0, content: 0, size }.padding();
            pieces.push(Bytes::from_static(padding));
        }
        for directory in directories(nodes, parts) {
            pieces.push(header(&directory, 0, tar::EntryType::Directory).into());
        }
        Self(pieces)
    }

    /// Returns the bytes, one piece after the other.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|piece| &piece[..])
    }
}

impl Slot {
    /// Returns the zeros that fill the last block of the content.
    pub(super) fn padding(&self) -> &'static [u8] {
        const ZEROS: [u8; BLOCK] = [0; BLOCK];
        let over = usize::try_from(self.size % BLOCK as u64).unwrap_or(0);
        if over == 0 { &[] } else { &ZEROS[over..] }
    }

    /// Returns where the next header begins.
    fn end(&self) -> u64 {
        self.content + self.size + self.padding().len() as u64
    }
}

/// Refuses an archive with more members than are read.
fn check_members(
    files: &[(&str, Bytes)],
    nodes: &[OutlineNode],
    parts: &[OutlinePart],
) -> Result<()> {
    // Directories are members, too.
    let members = files.len() + directories(nodes, parts).len() + nodes.len() + parts.len();
    let of_files = files.iter().map(|(name, _)| name.len());
    let names = of_files.chain(nodes.iter().map(|node| blob_name(&node.digest).len()));
    let names = names.chain(parts.iter().map(|part| part_name(&part.blob, part.number).len()));
    members::check("the archive", members, names.fold(0, usize::saturating_add))
}

/// Returns the names of the directories, in the order of the archive.
fn directories(nodes: &[OutlineNode], parts: &[OutlinePart]) -> Vec<String> {
    let below = |directory: &str, algorithms: BTreeSet<&str>| {
        let algorithms = algorithms.into_iter().map(|algorithm| format!("{directory}{algorithm}/"));
        std::iter::once(directory.to_owned()).chain(algorithms).collect::<Vec<_>>()
    };
    let mut all = below("blobs/", nodes.iter().map(|node| node.digest.algorithm()).collect());
    if !parts.is_empty() {
        all.extend(below("parts/", parts.iter().map(|part| part.blob.algorithm()).collect()));
    }
    all
}

/// Returns the `index.json` that lists these.
fn index_of(roots: &[Root]) -> IndexJson {
    let entries = roots.iter().flat_map(|root| {
        let unnamed = root.names.is_empty().then(|| names::unnamed(root.descriptor.clone()));
        root.names
            .iter()
            .map(|name| names::named(root.descriptor.clone(), name.as_str()))
            .chain(unnamed)
    });
    IndexJson::of(entries.collect())
}

/// Returns the length of a directory in an archive.
pub(super) const DIRECTORY: u64 = BLOCK as u64;

/// Returns the length of a file beside the content in an archive.
pub(super) fn file_length(name: &str, size: u64) -> u64 {
    padded(header(name, size, tar::EntryType::Regular), size)
}

/// Returns the length of a blob in an archive.
pub(super) fn blob_length(digest: &Digest, size: u64) -> u64 {
    padded(blob_header(digest, size), size)
}

/// Returns the length of the header that a part has at most.
pub(super) fn longest_part_header(blob: &Digest) -> u64 {
    let part = OutlinePart { blob: blob.clone(), number: u32::MAX, size: u64::MAX };
    part_header(&part).len() as u64
}

/// Returns the length of a member with this header, saturating.
fn padded(header: Vec<u8>, size: u64) -> u64 {
    let content = size.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64);
    content.saturating_add(header.len() as u64)
}

/// Returns the header of a part, a whole number of blocks.
pub(super) fn part_header(part: &OutlinePart) -> Vec<u8> {
    header(&part_name(&part.blob, part.number), part.size, tar::EntryType::Regular)
}

/// Returns the name of a part. It is outside `blobs/`, so that nobody takes it for a blob.
fn part_name(blob: &Digest, number: u32) -> String {
    format!("parts/{}/{}.{number:04}", blob.algorithm(), blob.encoded())
}

/// Returns the header of a blob, a whole number of blocks.
pub(super) fn blob_header(digest: &Digest, size: u64) -> Vec<u8> {
    header(&blob_name(digest), size, tar::EntryType::Regular)
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.encoded())
}

fn header(name: &str, size: u64, kind: tar::EntryType) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut records = Vec::new();
    if name.len() > MAX_NAME {
        records.extend(record("path", name));
    }
    if size > MAX_OCTAL {
        records.extend(record("size", &size.to_string()));
    }
    if !records.is_empty() {
        let length = records.len() as u64;
        bytes.extend(block("././@PaxHeader", length, tar::EntryType::XHeader));
        bytes.extend(&records);
        bytes.extend(Slot { header: 0, content: 0, size: length }.padding());
    }
    bytes.extend(block(name, size, kind));
    bytes
}

/// Returns one record of a PAX header. It begins with its own length in decimal.
fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}").into_bytes()
}

fn block(name: &str, size: u64, kind: tar::EntryType) -> [u8; BLOCK] {
    let mut header = tar::Header::new_ustar();
    // If a name is too long, the PAX header has it, and this header has its beginning.
    let short = &name.as_bytes()[..name.len().min(MAX_NAME)];
    header.as_old_mut().name[..short.len()].copy_from_slice(short);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    *header.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_records_count_their_own_length() {
        assert_eq!(record("path", "x"), b"9 path=x\n");
        assert_eq!(record("path", "xx"), b"11 path=xx\n");
        let long = "x".repeat(92);
        assert_eq!(record("path", &long).len(), 102);
        assert!(record("path", &long).starts_with(b"102 path="));
    }

    #[test]
    fn headers_are_read_back_by_the_tar_crate() {
        let sizes = [0, 1, 511, 512, MAX_OCTAL, MAX_OCTAL + 1, 9 << 30];
        for digest in [Digest::sha256(""), Digest::sha512("")] {
            for size in sizes {
                let bytes = blob_header(&digest, size);
                assert_eq!(bytes.len() % BLOCK, 0);
                let mut archive = tar::Archive::new(&bytes[..]);
                let entry = archive.entries().unwrap().next().unwrap().unwrap();
                let name = format!("blobs/{}/{}", digest.algorithm(), digest.encoded());
                assert_eq!(entry.path().unwrap().to_str().unwrap(), name);
                assert_eq!(entry.size(), size);
                assert_eq!(entry.header().mode().unwrap(), 0o644);
            }
        }
    }

    #[test]
    fn an_index_that_nobody_would_read_is_no_archive() {
        let mut descriptor = longshore_spec::Descriptor::of("a/b", b"x");
        let said = "x".repeat(usize::try_from(MAX_INDEX / 2).unwrap());
        descriptor.annotations.insert("said".to_owned(), said);
        let layout = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).into()).collect();
            let root = Root { descriptor: descriptor.clone(), names };
            TarLayout::new(&Outline::new(Vec::new(), vec![root], Vec::new()))
        };
        assert!(layout(&["a"]).is_ok());
        let error = layout(&["a", "b"]).err().unwrap().to_string();
        assert!(error.contains("index.json") && error.contains("67108864 bytes"), "{error}");
    }
}
