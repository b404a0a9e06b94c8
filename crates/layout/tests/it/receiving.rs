//! Archives that come through a pipe into a directory.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use longshore_fixture::{
    Content, Form, Format, MemberOrder, Random, Sizes, TarOptions, artifacts, catalog, graph, gzip,
    zstd,
};
use longshore_layout::{
    Archive, ArchiveOptions, Directory, Layout as _, StreamOptions, StreamedArchive,
};
use longshore_store::{Error, Result, Source as _};

const TAKEN: StreamOptions<'_> =
    StreamOptions { files: &[("bundle.json", 100)], allow_unverified: true };

fn receive(bytes: impl Read + Send, directory: &Path) -> Result<StreamedArchive> {
    let directory = Arc::new(Directory::create(directory.join("site")).unwrap());
    StreamedArchive::read(bytes, directory, TAKEN, &|_: u64| ())
}

/// Returns the entries of a directory; none if it does not exist yet.
fn listed(directory: &Path) -> usize {
    let site = directory.join("site");
    if !site.exists() {
        return 0;
    }
    Directory::open(site).unwrap().whole().roots().unwrap().len()
}

/// Content with large blobs, too, which are written while they come.
fn content() -> Content {
    let mut content = graph(3, 20);
    content.merge(Content::tagged("app", |content| artifacts::sha512(content, 1)));
    let mut large = vec![0; 700_000];
    Random::new(9).fill(&mut large);
    let layer = content.blob("application/octet-stream", large);
    let root = content.manifest(&longshore_fixture::Draft::artifact("application/x.y", &[layer]));
    content.tag(&root, "large");
    content
}

#[test]
fn every_form_is_received_and_nothing_is_named() {
    let content = content();
    for order in [MemberOrder::IndexFirst, MemberOrder::IndexLast, MemberOrder::Shuffled(5)] {
        for (format, sizes) in [
            (Format::Ustar, Sizes::Octal),
            (Format::Pax, Sizes::Pax),
            (Format::Gnu, Sizes::Base256),
        ] {
            let tar = content.tar(&TarOptions { format, order, sizes, ..TarOptions::default() });
            for bytes in [&tar[..], &gzip(&tar)[..], &zstd(&tar)[..]] {
                let directory = tempfile::tempdir().unwrap();
                let received = receive(bytes, directory.path()).unwrap();
                let path = directory.path().join("a.tar");
                std::fs::write(&path, &tar).unwrap();
                let archive = Archive::open(&path, &ArchiveOptions::default()).unwrap();
                assert_eq!(received.whole().roots().unwrap(), archive.whole().roots().unwrap());
                let (mut came, mut stored) =
                    (received.blob_digests().unwrap(), archive.blob_digests().unwrap());
                came.sort();
                stored.sort();
                assert_eq!(came, stored);
                assert!(received.stats().damaged.is_empty());
                assert_eq!(received.stats().written, came.len() as u64);
                for root in received.whole().roots().unwrap() {
                    let read = |mut content: Box<dyn Read + Send + '_>| {
                        let mut bytes = Vec::new();
                        content.read_to_end(&mut bytes).unwrap();
                        bytes
                    };
                    assert_eq!(
                        read(received.whole().open(&root.descriptor, 0).unwrap()),
                        read(archive.whole().open(&root.descriptor, 0).unwrap())
                    );
                }
                assert_eq!(listed(directory.path()), 0);
            }
        }
    }
}

#[test]
fn what_is_refused_as_a_file_is_refused_from_a_pipe() {
    for fixture in catalog() {
        let Form::Tar(bytes) = &fixture.form else { continue };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        std::fs::write(&path, bytes).unwrap();
        let opened = Archive::open(&path, &ArchiveOptions::default()).map(drop);
        let received = receive(&bytes[..], directory.path());
        match opened {
            Ok(()) => assert!(received.is_ok(), "{}: {received:?}", fixture.name),
            // If two members have the name of one blob and differ, one has another digest.
            Err(error) => assert!(
                received.map_or(true, |received| !received.stats().damaged.is_empty()),
                "{}: {error}",
                fixture.name
            ),
        }
        assert_eq!(listed(directory.path()), 0, "{}", fixture.name);
    }
}

#[test]
fn an_archive_that_is_cut_off_names_nothing_and_goes_on() {
    let content = content();
    let tar = content.tar(&TarOptions::default());
    let directory = tempfile::tempdir().unwrap();
    for part in 1..8 {
        // Into the middle of a block.
        let at = tar.len() * part / 8 / 512 * 512 + 100;
        let error = receive(&tar[..at], directory.path()).unwrap_err().to_string();
        assert!(error.contains("cut off"), "{error}");
        assert_eq!(listed(directory.path()), 0);
    }
    let received = receive(&tar[..], directory.path()).unwrap();
    assert!(
        received.stats().written < received.blob_digests().unwrap().len() as u64,
        "some was there"
    );
    let again = receive(&tar[..], directory.path()).unwrap();
    assert_eq!(again.stats().written, 0);
    assert_eq!(again.blob_digests().unwrap().len(), received.blob_digests().unwrap().len());
}

#[test]
fn a_member_that_nobody_needs_must_be_whole_too() {
    const BLOCK: usize = 512;
    let mut tar = content().tar(&TarOptions::default());
    while tar.ends_with(&[0; BLOCK]) {
        tar.truncate(tar.len() - BLOCK);
    }
    let mut header = tar::Header::new_ustar();
    header.set_path("notes").unwrap();
    header.set_size(1 << 60);
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(&[7; BLOCK]);
    let directory = tempfile::tempdir().unwrap();
    let error = receive(&tar[..], directory.path()).map(drop).unwrap_err().to_string();
    assert!(error.contains("its member `notes` is cut off"), "{error}");
    let path = directory.path().join("a.tar");
    std::fs::write(&path, &tar).unwrap();
    assert!(Archive::open(&path, &ArchiveOptions::default()).is_err());
}

#[test]
fn content_that_is_damaged_is_named_and_left_out() {
    let content = content();
    let mut tar = content.tar(&TarOptions::default());
    let mut layer = [0; 1000];
    Random::new(9).fill(&mut layer);
    let at = tar.windows(512).position(|block| *block == layer[..512]).unwrap();
    tar[at + 1000] ^= 1;
    let directory = tempfile::tempdir().unwrap();
    let received = receive(&tar[..], directory.path()).unwrap();
    let [(digest, Error::Corrupt { expected, .. })] = &received.stats().damaged[..] else {
        panic!("{:?}", received.stats().damaged)
    };
    assert_eq!(digest, expected);
    assert!(!received.blob_digests().unwrap().contains(expected));
    let directory = Directory::open(directory.path().join("site")).unwrap();
    assert!(!directory.blob_digests().unwrap().contains(expected));
}

#[test]
fn files_beside_the_content_are_bounded() {
    let content = Content::tagged("app", |content| artifacts::image(content, 1));
    let with = |size: usize| {
        let mut tree = content.tree();
        tree.file("bundle.json", vec![b'x'; size]);
        let directory = tempfile::tempdir().unwrap();
        let tar = tree.tar(&TarOptions::default());
        receive(&tar[..], directory.path())
            .map(|received| received.extra_file("bundle.json", 0).unwrap().map(|file| file.len()))
    };
    assert_eq!(with(100).unwrap(), Some(100));
    assert!(matches!(with(101), Err(Error::Limit { .. })));
}

#[test]
fn what_sticks_and_tools_make_of_an_archive_is_received_too() {
    let content = content();
    let tar = content.tar(&TarOptions::default());
    let skipped = b"\x50\x2a\x4d\x18\x04\0\0\0abcd";
    for bytes in [
        [&gzip(&tar)[..], &[0; 512]].concat(),
        [&gzip(&tar[..9000])[..], &gzip(&tar[9000..])].concat(),
        [&skipped[..], &zstd(&tar), &skipped[..]].concat(),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let received = receive(&bytes[..], directory.path()).unwrap();
        assert_eq!(received.blob_digests().unwrap().len(), content.blobs.len());
    }
    let directory = tempfile::tempdir().unwrap();
    let error = receive(&[&gzip(&tar)[..], b"x"].concat()[..], directory.path()).unwrap_err();
    assert!(error.to_string().contains("behind its end"), "{error}");
}

#[test]
fn a_layout_one_directory_down_is_received() {
    let content = content();
    let mut writer = longshore_fixture::TarWriter::new(TarOptions::default());
    for (path, node) in content.tree().nodes() {
        if let longshore_fixture::Node::File(bytes) = node {
            writer.append(&longshore_fixture::Member::file(format!("site/{path}"), bytes.clone()));
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let received = receive(&writer.finish()[..], directory.path()).unwrap();
    assert_eq!(received.blob_digests().unwrap().len(), content.blobs.len());
}
