//! Files beside the content (row A-14), and archives that come through a pipe.

use longshore_layout::{
    Archive, ArchiveOptions, ArchiveWriter, Directory, Layout as _, write_file,
};
use longshore_store::{Error, ExtraFile, Outline, Source as _, TargetPlace as _};

use crate::common::{Parcel, names_in, push_all};

fn with_file(outline: &Outline, content: &'static str) -> Outline {
    let files = vec![ExtraFile { name: "bundle.json".to_owned(), content: content.into() }];
    Outline::new(outline.nodes().to_vec(), outline.roots().to_vec(), files)
}

#[test]
fn both_kinds_of_layout_give_them_back() {
    let scene = tempfile::tempdir().unwrap();
    let Parcel { outline, pieces } = Parcel::sample();
    let outline = with_file(&outline, "{}");
    let path = scene.path().join("a.tar");
    let writer = ArchiveWriter::new(&path).unwrap();
    assert!(writer.room().unwrap() > 0);
    writer.prepare(&outline).unwrap();
    push_all(&writer, &pieces);
    writer.commit().unwrap();
    let length = path.metadata().unwrap().len();
    assert_eq!(ArchiveWriter::length(&outline).unwrap(), length);

    let archive = Archive::open(&path, &ArchiveOptions::default()).unwrap();
    assert_eq!(archive.extra_file("bundle.json", 2).unwrap().unwrap(), b"{}");
    assert_eq!(archive.extra_file("other.json", 2).unwrap(), None);
    assert!(matches!(archive.extra_file("bundle.json", 1), Err(Error::Limit { .. })));

    let directory = Directory::create(scene.path().join("d")).unwrap();
    directory.prepare(&outline).unwrap();
    assert_eq!(directory.extra_file("bundle.json", 2).unwrap(), None, "it comes last");
    directory.commit().unwrap();
    assert_eq!(directory.extra_file("bundle.json", 2).unwrap().unwrap(), b"{}");
    assert!(matches!(directory.extra_file("bundle.json", 1), Err(Error::Limit { .. })));
}

#[test]
fn a_directory_has_none_while_not_all_of_its_content_is_there() {
    let scene = tempfile::tempdir().unwrap();
    let directory = Directory::create(scene.path().join("d")).unwrap();
    directory.prepare(&with_file(&Outline::default(), "{}")).unwrap();
    directory.commit_partial().unwrap();
    directory.commit().unwrap();
    assert_eq!(directory.extra_file("bundle.json", 2).unwrap(), None);
}

#[test]
fn an_archive_through_a_pipe_is_read_like_a_file_and_leaves_nothing() {
    let scene = tempfile::tempdir().unwrap();
    let Parcel { outline, pieces } = Parcel::sample();
    let path = scene.path().join("a.tar");
    let writer = ArchiveWriter::new(&path).unwrap();
    writer.prepare(&outline).unwrap();
    push_all(&writer, &pieces);
    writer.commit().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let open = |bytes: &[u8]| Archive::from_pipe(bytes, scene.path());
    let file = Archive::open(&path, &ArchiveOptions::default()).unwrap();
    for bytes in [bytes.clone(), longshore_fixture::gzip(&bytes).to_vec()] {
        let piped = open(&bytes).unwrap();
        assert_eq!(piped.whole().roots().unwrap(), file.whole().roots().unwrap());
        assert_eq!(piped.blob_digests().unwrap().len(), file.blob_digests().unwrap().len());
    }
    assert!(matches!(open(&bytes[..bytes.len() - 5000]), Err(Error::Malformed { .. })));
    assert!(matches!(open(b""), Err(Error::Malformed { .. })));
    assert_eq!(names_in(scene.path()), ["a.tar"]);
}

#[test]
fn a_file_of_the_user_s_is_replaced_as_a_whole() {
    let scene = tempfile::tempdir().unwrap();
    let path = scene.path().join("bundle.lock");
    for content in ["a long one", "short"] {
        write_file(&path, content.as_bytes()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
    assert_eq!(names_in(scene.path()), ["bundle.lock"]);
    assert!(write_file(&scene.path().join("none/x"), b"").is_err());
}
