//! Archives with a file that lists their content.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use longshore_fixture::Content;
use longshore_layout::{
    Archive, ArchiveOptions, ArchiveWriter, FileLookup, Inventory, Layout as _, Listed,
};
use longshore_spec::{Descriptor, Role};
use longshore_store::{Error, ExtraFile, Outline, OutlineNode, Source as _, TargetPlace as _};

use crate::common::{Parcel, Piece, push_all, reads};

const LIST: Inventory = Inventory { name: "list.txt", limit: 1 << 20, read };

/// Reads a line `DIGEST SIZE` for each node.
fn read(list: &[u8], _: FileLookup<'_>) -> Option<Listed> {
    let node = |line: &str| {
        let (digest, size) = line.split_once(' ')?;
        let (digest, size) = (digest.parse().ok()?, size.parse().ok()?);
        Some(OutlineNode { role: Role::Layer, digest, size })
    };
    let nodes = str::from_utf8(list).ok()?.lines().map(node).collect::<Option<_>>()?;
    Some(Listed { nodes, parts: Vec::new() })
}

/// Writes an archive whose list names `claimed`.
fn write(directory: &Path, parcel: &Parcel, claimed: &[OutlineNode]) -> PathBuf {
    let mut content = String::new();
    for OutlineNode { digest, size, .. } in claimed {
        writeln!(content, "{digest} {size}").unwrap();
    }
    let list = ExtraFile { name: LIST.name.to_owned(), content: content.into() };
    let outline = &parcel.outline;
    let outline = Outline::new(outline.nodes().to_vec(), outline.roots().to_vec(), vec![list]);
    let path = directory.join("a.tar");
    let writer = ArchiveWriter::replacing(&path).unwrap();
    writer.prepare(&outline).unwrap();
    push_all(&writer, &parcel.pieces);
    writer.commit().unwrap();
    path
}

fn open(path: &Path) -> Archive {
    let options = ArchiveOptions { inventory: Some(LIST), ..ArchiveOptions::default() };
    Archive::open(path, &options).unwrap()
}

fn content_of(archive: &Archive, node: &OutlineNode) -> longshore_store::Result<Vec<u8>> {
    let mut found = Vec::new();
    let descriptor = Descriptor::new("a/b", node.digest.clone(), node.size);
    let read = archive.whole().open(&descriptor, 0)?.read_to_end(&mut found);
    read.map_err(Error::io("read", "it"))?;
    Ok(found)
}

/// Asserts that all content of a parcel can be read.
fn assert_whole(archive: &Archive, parcel: &Parcel) {
    for (node, piece) in parcel.outline.nodes().iter().zip(&parcel.pieces) {
        assert!(content_of(archive, node).unwrap() == piece.content, "{}", node.digest);
    }
    assert_eq!(archive.blob_digests().unwrap().len(), parcel.pieces.len());
    assert_eq!(archive.whole().roots().unwrap().len(), parcel.outline.roots().len());
}

#[test]
fn what_is_listed_is_found_with_a_few_reads() {
    const MOST: u64 = 40;
    let scene = tempfile::tempdir().unwrap();
    let mut content = Content::new();
    for number in 0..1000 {
        content.blob("text/plain", number.to_string());
    }
    for parcel in [Parcel::of(&content), Parcel::sample()] {
        let path = write(scene.path(), &parcel, parcel.outline.nodes());
        let Some(before) = reads() else { return };
        let archive = open(&path);
        let asked = reads().unwrap() - before;
        assert!(asked < MOST, "{asked} reads");
        assert_whole(&archive, &parcel);
        assert!(archive.extra_file(LIST.name, LIST.limit).unwrap().is_some());
    }
}

#[test]
fn a_list_that_does_not_fit_is_not_believed() {
    let scene = tempfile::tempdir().unwrap();
    let parcel = Parcel::sample();
    let nodes = parcel.outline.nodes();
    let mut doubled = nodes.to_vec();
    doubled.push(nodes[0].clone());
    let mut larger = nodes.to_vec();
    larger.last_mut().unwrap().size += 512;
    let mut endless = nodes.to_vec();
    endless[0].size = u64::MAX;
    for claimed in [&nodes[1..], &doubled, &larger, &endless, &[]] {
        assert_whole(&open(&write(scene.path(), &parcel, claimed)), &parcel);
    }
    // A file at the end that the list does not know, and an archive in the form of another program.
    let path = write(scene.path(), &parcel, nodes);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(path.metadata().unwrap().len() + 1024).unwrap();
    assert_whole(&open(&path), &parcel);
}

#[test]
fn content_that_is_not_where_a_list_says_is_never_given_out() {
    let scene = tempfile::tempdir().unwrap();
    let mut content = Content::new();
    let pieces = [1, 2].map(|seed| Piece::random(seed, 600));
    for piece in &pieces {
        content.blobs.insert(piece.digest().clone(), piece.content.clone());
    }
    let parcel = Parcel::of(&content);
    let mut claimed = parcel.outline.nodes().to_vec();
    // The length is the same, so only the headers show the difference.
    claimed.reverse();
    let path = write(scene.path(), &parcel, &claimed);
    let archive = open(&path);
    for node in &claimed {
        let error = content_of(&archive, node).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        let expected = format!("its `list.txt` is wrong: {} is not where it says", node.digest);
        assert!(error.to_string().ends_with(&expected), "{error}");
    }
    assert_whole(&Archive::open(&path, &ArchiveOptions::default()).unwrap(), &parcel);
}

#[test]
fn an_archive_that_lost_its_end_is_as_broken_as_without_a_list() {
    let scene = tempfile::tempdir().unwrap();
    let parcel = Parcel::sample();
    let path = write(scene.path(), &parcel, parcel.outline.nodes());
    let length = path.metadata().unwrap().len();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let options = ArchiveOptions { inventory: Some(LIST), ..ArchiveOptions::default() };
    for lost in [2_000, length - 1000] {
        file.set_len(length - lost).unwrap();
        let said = [&options, &ArchiveOptions::default()]
            .map(|options| Archive::open(&path, options).unwrap_err().to_string());
        assert_eq!(said[0], said[1]);
    }
    file.write_all_at(&[0; 2048], 0).unwrap();
    assert!(Archive::open(&path, &options).is_err());
}

#[test]
fn a18_a_list_does_not_hide_that_a_file_is_there_twice() {
    let scene = tempfile::tempdir().unwrap();
    let parcel = Parcel::sample();
    let path = write(scene.path(), &parcel, parcel.outline.nodes());
    let mut bytes = std::fs::read(&path).unwrap();
    // The second one is an `index.json` of the same form with other content.
    let head = bytes.windows(10).position(|name| name == b"index.json").unwrap();
    let size = str::from_utf8(&bytes[head + 124..head + 135]).unwrap();
    let size = usize::from_str_radix(size, 8).unwrap();
    let mut other = bytes[head..head + 512 + size.next_multiple_of(512)].to_vec();
    other[512 + size - 1] = b' ';
    bytes.splice(head..head, other);
    std::fs::write(&path, bytes).unwrap();
    let options = ArchiveOptions { inventory: Some(LIST), ..ArchiveOptions::default() };
    let error = Archive::open(&path, &options).unwrap_err();
    assert!(error.to_string().contains("`index.json` is there twice"), "{error}");
}
