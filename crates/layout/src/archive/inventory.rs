//! Finding the members of an archive by a file in it that lists them. Opening the archive takes a few
//! reads then, instead of one for each member.
//!
//! The list may lie. It is used only if the archive has the one form that is written here, and if its
//! length and its beginning match the list to the byte. The header of each blob is checked before its
//! content is handed out.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use longshore_spec::Digest;
use longshore_store::{Error, OutlineNode, OutlinePart, Result};

use super::members::{Extent, Members, TarReader};
use super::tar_layout::{END, Slot, TarLayout, blob_header, part_header};
use crate::directory::MAX_INDEX;
use crate::files;

/// A file in an archive that lists all content.
#[derive(Debug, Clone, Copy)]
pub struct Inventory {
    /// The name of the file, without a directory.
    pub name: &'static str,
    /// A file of more bytes is not used.
    pub limit: u64,
    /// Returns the listed content. It is given the file, and what returns another one before the content by
    /// its name. Returns `None` if the file cannot be used.
    pub read: fn(&[u8], FileLookup<'_>) -> Option<Listed>,
}

/// Returns a file of an archive that lies before the content, by its name.
pub type FileLookup<'f> = &'f dyn Fn(&str) -> Option<Vec<u8>>;

/// The content that a file in an archive lists, in the order of the archive.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// The blobs.
    pub nodes: Vec<OutlineNode>,
    /// The parts of blobs.
    pub parts: Vec<OutlinePart>,
}

/// The most files before the content.
const MAX_FILES: usize = 16;

/// Returns the members that the `inventory` of an archive lists. Returns `None` if there is no such file,
/// or if the archive does not match it to the byte.
pub(super) fn find(file: &File, inventory: &Inventory) -> Option<Members> {
    let files_before_content = files_before_content(file, inventory)?;
    let list = files_before_content
        .iter()
        .find(|files_before_content| files_before_content.name == inventory.name)?;
    let other = |name: &str| {
        let mut files = files_before_content.iter();
        files.find(|file| file.name == name).map(|file| file.content.to_vec())
    };
    let Listed { nodes, parts } = (inventory.read)(&list.content, &other)?;
    let files = files_before_content.iter().map(|files_before_content| {
        (files_before_content.name.as_str(), files_before_content.content.clone())
    });
    let layout = TarLayout::of(files, &nodes, &parts).ok()?;
    let as_written = layout.length == file.metadata().ok()?.len()
        && holds_head(file, &layout)
        && holds(file, layout.length - END.len() as u64, &END);
    // Content that is listed twice would be in two places.
    if !as_written || layout.by_digest.len() != nodes.len() {
        return None;
    }
    let extent = |slot: &Slot| Extent { at: slot.content, size: slot.size };
    let (of_nodes, of_parts) = layout.slots.split_at(nodes.len());
    let (slots, count) = (nodes.into_iter().zip(of_nodes), files_before_content.len());
    let part = |(part, slot): (OutlinePart, &Slot)| ((part.blob, part.number), extent(slot));
    let parts_count = parts.len();
    let parts: BTreeMap<_, _> = parts.into_iter().zip(of_parts).map(part).collect();
    let files: BTreeMap<_, _> = files_before_content
        .into_iter()
        .map(|file| (file.name.into_bytes(), file.extent))
        .collect();
    // If two files have the same name, nobody knows which one counts.
    if files.len() != count || parts.len() != parts_count {
        return None;
    }
    Some(Members {
        blobs: slots.map(|(node, slot)| (node.digest, extent(slot))).collect(),
        parts,
        files,
        listed_by: Some(inventory.name),
    })
}

impl Members {
    /// Returns where a blob is. Fails with [`Error::Malformed`] if the inventory lists the blob and it is
    /// not there. `what` names the archive.
    pub(super) fn locate(
        &self,
        file: &File,
        digest: &Digest,
        what: &str,
    ) -> Result<Option<Extent>> {
        let Some(&extent) = self.blobs.get(digest) else { return Ok(None) };
        self.check(file, digest, extent, &blob_header(digest, extent.size), what)?;
        Ok(Some(extent))
    }

    /// Returns where a part of a blob is. Fails as [`Members::locate`] does.
    pub(super) fn locate_part(
        &self,
        file: &File,
        blob: &Digest,
        number: u32,
        what: &str,
    ) -> Result<Option<Extent>> {
        let Some(&extent) = self.parts.get(&(blob.clone(), number)) else { return Ok(None) };
        let part = OutlinePart { blob: blob.clone(), number, size: extent.size };
        self.check(file, blob, extent, &part_header(&part), what)?;
        Ok(Some(extent))
    }

    /// Fails unless the header of listed content is before it.
    fn check(
        &self,
        file: &File,
        digest: &Digest,
        extent: Extent,
        header: &[u8],
        what: &str,
    ) -> Result<()> {
        let Some(listed_by) = self.listed_by else { return Ok(()) };
        if !holds(file, extent.at - header.len() as u64, header) {
            let reason = format!("its `{listed_by}` is wrong: {digest} is not where it says");
            return Err(Error::malformed(what, reason));
        }
        Ok(())
    }
}

/// A file before the content.
struct FileBeforeContent {
    name: String,
    extent: Extent,
    content: Bytes,
}

/// Returns the files before the content, in their order.
fn files_before_content(file: &File, inventory: &Inventory) -> Option<Vec<FileBeforeContent>> {
    let at = Cell::new(0);
    let mut archive = tar::Archive::new(TarReader::new(file, &at));
    let mut found = Vec::new();
    for entry in archive.entries_with_seek().ok()? {
        let entry = entry.ok()?;
        let name = String::from_utf8(entry.path_bytes().into_owned()).ok()?;
        if name == "blobs/" {
            return Some(found);
        }
        let limit = if name == inventory.name { inventory.limit } else { MAX_INDEX };
        let extent = Extent { at: entry.raw_file_position(), size: entry.size() };
        if extent.size > limit || found.len() == MAX_FILES {
            return None;
        }
        let mut content = vec![0; usize::try_from(extent.size).ok()?];
        file.read_exact_at(&mut content, extent.at).ok()?;
        found.push(FileBeforeContent { name, extent, content: content.into() });
    }
    None
}

/// Tells whether a file begins as an archive does.
fn holds_head(file: &File, layout: &TarLayout) -> bool {
    let mut at = 0;
    layout.head.pieces().all(|piece| {
        let is_there = holds(file, at, piece);
        at += piece.len() as u64;
        is_there
    })
}

/// Tells whether a file has the bytes `expected` at an offset.
fn holds(file: &File, at: u64, expected: &[u8]) -> bool {
    let mut there = files::buffer(expected.len() as u64);
    let mut at = at;
    expected.chunks(files::PIECE).all(|piece| {
        let there = &mut there[..piece.len()];
        let read = file.read_exact_at(there, at);
        at += piece.len() as u64;
        read.is_ok() && there == piece
    })
}
