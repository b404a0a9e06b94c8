//! Parts of blobs, in several archives.

use std::path::Path;
use std::sync::Arc;

use longshore_layout::{Archive, ArchiveOptions, ArchiveWriter, CutBlob, Layout, LayoutUnion};
use longshore_spec::{Digest, Hasher, Role};
use longshore_store::{
    Error, ExtraFile, Outline, OutlinePart, Source as _, SourcePlace as _, TargetPlace as _,
};

use crate::common::Piece;

const SIZES: [u64; 3] = [700_000, 300_001, 5];

/// Returns the outline of one of the archives that hold a blob.
fn outline(blob: &Piece, number: u32, said: &str) -> Outline {
    let size = SIZES[number as usize - 1];
    let content = said.to_owned().into();
    let files = vec![ExtraFile { name: "said".to_owned(), content }];
    let part = OutlinePart { blob: blob.digest().clone(), number, size };
    Outline::new(Vec::new(), Vec::new(), files).with_parts(vec![part])
}

fn blob() -> Piece {
    Piece::random(7, usize::try_from(SIZES.iter().sum::<u64>()).unwrap())
}

fn path(scene: &Path, number: u32) -> std::path::PathBuf {
    scene.join(format!("{number}.tar"))
}

/// Writes the parts to their archives until one fails.
fn write(scene: &Path, blob: &Piece) -> Result<Vec<Digest>, Error> {
    let (mut digests, mut before) = (Vec::new(), Some(Hasher::sha256()));
    for number in 1..=3 {
        let writer = ArchiveWriter::new(path(scene, number))?;
        writer.prepare(&outline(blob, number, "...."))?;
        let pushed = writer.push_part(blob, number, before.take().unwrap());
        writer.commit_partial()?;
        let (digest, after) = pushed?;
        digests.push(digest);
        before = after;
    }
    assert!(before.is_none(), "the last part proves the blob");
    Ok(digests)
}

fn finish(scene: &Path, blob: &Piece) {
    for number in 1..=3 {
        let writer = ArchiveWriter::new(path(scene, number)).unwrap();
        writer.prepare(&outline(blob, number, "....")).unwrap();
        assert!(writer.seal(&outline(blob, number, &"long".repeat(200))).is_err());
        assert!(writer.seal(&outline(blob, number % 3 + 1, "more")).is_err());
        writer.seal(&outline(blob, number, "sure")).unwrap();
        writer.commit().unwrap();
    }
}

fn set(scene: &Path, blob: &Piece, numbers: &[u32]) -> LayoutUnion<'static> {
    let open = |number: &u32| -> Arc<dyn Layout> {
        Arc::new(Archive::open(path(scene, *number), &ArchiveOptions::default()).unwrap())
    };
    let mut archives = numbers.iter().map(open);
    let first = archives.next().unwrap();
    let cut = CutBlob { digest: blob.digest().clone(), parts: SIZES.to_vec() };
    LayoutUnion::new("set", Vec::new(), first, archives.collect()).with_cut([cut])
}

fn read(set: &LayoutUnion<'_>, blob: &Piece, offset: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    set.whole().open(&blob.descriptor, offset).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_blob_in_parts_is_read_once_and_is_one_blob_again() {
    let scene = tempfile::tempdir().unwrap();
    let blob = blob();
    let digests = write(scene.path(), &blob).unwrap();
    assert_eq!(blob.read(), blob.descriptor.size);
    let at = usize::try_from(SIZES[0]).unwrap();
    assert_eq!(digests[0], Digest::sha256(&blob.content[..at]));
    assert_eq!(digests[2], Digest::sha256(&blob.content[blob.content.len() - 5..]));
    assert_eq!(write(scene.path(), &blob).unwrap(), digests, "what is there is not read again");
    assert_eq!(blob.read(), blob.descriptor.size);
    finish(scene.path(), &blob);

    for numbers in [[1, 2, 3], [3, 1, 2]] {
        let set = set(scene.path(), &blob, &numbers);
        assert_eq!(set.blob_size(blob.digest()).unwrap(), Some(blob.descriptor.size));
        assert_eq!(set.blob_digests().unwrap(), [blob.digest().clone()]);
        for offset in [0, 1, SIZES[0] - 1, SIZES[0], SIZES[0] + SIZES[1] + 4] {
            let from = usize::try_from(offset).unwrap();
            assert_eq!(read(&set, &blob, offset), &blob.content[from..], "from {offset}");
        }
        assert_eq!(set.extra_file("said", 9).unwrap().unwrap(), b"sure");
    }
    let two = set(scene.path(), &blob, &[1, 3]);
    assert_eq!(two.blob_size(blob.digest()).unwrap(), None);
    assert!(two.blob_digests().unwrap().is_empty());
    assert!(two.whole().open(&blob.descriptor, 0).is_err_and(|error| error.is_not_found()));
    let archive = Archive::open(path(scene.path(), 3), &ArchiveOptions::default()).unwrap();
    let parts = [1, 2, 3].map(|number| archive.part_size(blob.digest(), number));
    assert_eq!(parts, [None, None, Some(5)]);
    assert!(archive.blob_digests().unwrap().is_empty(), "a part is no blob");
}

#[test]
fn a_part_goes_on_after_what_was_written() {
    let scene = tempfile::tempdir().unwrap();
    let failing = blob().failing(900_000);
    assert!(write(scene.path(), &failing).is_err());
    let (blob, read) = (blob(), failing.read());
    write(scene.path(), &blob).unwrap();
    assert_eq!(blob.read(), blob.descriptor.size - read, "nothing is read twice");
    finish(scene.path(), &blob);
    let set = set(scene.path(), &blob, &[1, 2, 3]);
    assert_eq!(self::read(&set, &blob, 0), blob.content);
}

#[test]
fn a_blob_that_proves_wrong_is_not_kept() {
    let scene = tempfile::tempdir().unwrap();
    let right = blob();
    let mut content = right.content.to_vec();
    content[3] ^= 1;
    let wrong = Piece::of(right.descriptor.clone(), content);
    let error = write(scene.path(), &wrong).unwrap_err();
    assert!(error.is_corruption(), "{error}");
    assert!(write(scene.path(), &right).unwrap_err().is_corruption(), "the first part is wrong");
    for number in 1..=3 {
        let writer = ArchiveWriter::new(path(scene.path(), number)).unwrap();
        writer.prepare(&outline(&right, number, "....")).unwrap();
        writer.forget_part(right.digest(), number).unwrap();
        assert!(writer.commit().is_err(), "a part is missing");
        writer.commit_partial().unwrap();
    }
    write(scene.path(), &right).unwrap();
    finish(scene.path(), &right);
    assert_eq!(read(&set(scene.path(), &right, &[1, 2, 3]), &right, 0), right.content);
    assert_eq!(right.node(Role::Layer).size, SIZES.iter().sum::<u64>());
}
