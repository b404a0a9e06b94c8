//! Directories and archives pass the conformance tests of places.

use longshore_layout::{Archive, ArchiveOptions, ArchiveWriter, Directory};
use longshore_store::conformance;

#[test]
fn a_directory_conforms() {
    let root = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    conformance::place(|| {
        count.set(count.get() + 1);
        Directory::create(root.path().join(count.get().to_string())).unwrap()
    });
}

#[test]
fn an_archive_conforms() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.tar");
    let make = || ArchiveWriter::new(&path).unwrap();
    let reopen = || Archive::open(&path, &ArchiveOptions::default()).unwrap();
    conformance::archive(
        (make, |archive| Box::new(archive.whole())),
        (reopen, |archive| Box::new(archive.whole())),
    );
    let left: Vec<_> =
        root.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["a.tar"], "nothing is left beside a complete archive");
}
