//! Archives: read in place, by the list of their content, and from a pipe.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use longshore_bundle::{INVENTORY, RECORD};
use longshore_layout::{
    Archive, ArchiveOptions, Directory, Layout as _, StreamOptions, StreamedArchive,
};
use longshore_store::Source as _;

/// A header, and what content is rounded up to.
const BLOCK: usize = 512;

/// The three ways to read an archive agree, and what is found is in it.
///
/// Checksums are set right before: making them up is no use of anybody's time.
#[expect(clippy::disallowed_methods, reason = "it is an input, and goes at once")]
pub fn archive(input: &[u8]) {
    let mut bytes = input.to_vec();
    for block in bytes.chunks_exact_mut(BLOCK) {
        mend(block);
    }
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("archive");
    fs::write(&path, &bytes).expect("a file can be written");
    let opened = Archive::open(&path, &ArchiveOptions::default()).ok();
    let inventory = ArchiveOptions { inventory: Some(INVENTORY), ..ArchiveOptions::default() };
    let listed = Archive::open(&path, &inventory).ok();
    if let (Some(opened), Some(listed)) = (&opened, &listed) {
        assert_eq!(opened.whole().roots().ok(), listed.whole().roots().ok());
    }
    let received = receive(&bytes, directory.path());
    let Some(opened) = opened else {
        assert!(received.is_none(), "it is read from a pipe, and not from a file");
        return;
    };
    let received = received.expect("it is read from a file, and not from a pipe");
    assert_eq!(opened.whole().roots().ok(), received.whole().roots().ok());
    let damaged: BTreeSet<_> =
        received.stats().damaged.iter().map(|(digest, _)| digest.clone()).collect();
    let came: BTreeSet<_> = received.stats().blobs().cloned().chain(damaged).collect();
    let stored = opened.blob_digests().map(|stored| stored.into_iter().collect());
    assert_eq!(Some(came), stored.ok());
}

fn receive(bytes: &[u8], directory: &Path) -> Option<StreamedArchive> {
    let receiving = StreamOptions { files: &[(RECORD, 1 << 20)], allow_unverified: true };
    let site = Arc::new(Directory::create(directory.join("site")).expect("a layout can be made"));
    StreamedArchive::read(bytes, site, receiving, &|_: u64| ()).ok()
}

/// Sets the checksum of what looks like a header.
fn mend(block: &mut [u8]) {
    const MAGIC: std::ops::Range<usize> = 257..262;
    const SUM: std::ops::Range<usize> = 148..156;
    if block[MAGIC] == *b"ustar" {
        block[SUM].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}
