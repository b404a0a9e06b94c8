//! Archives from other tools.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use longshore_fixture::{
    Content, Format, Member, MemberKind, MemberOrder, Sizes, TarOptions, TarWriter, artifacts,
    graph, gzip, zstd,
};
use longshore_layout::{Archive, ArchiveOptions};
use longshore_store::{Error, Flaw, Result, Selector, Source as _};

use crate::common::{names_in, read_all, reads};

fn write(directory: &Path, bytes: &[u8]) -> PathBuf {
    let path = directory.join("a.tar");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn open(path: &Path) -> Result<Archive> {
    Archive::open(path, &ArchiveOptions::default())
}

/// Returns the members of a small layout, and its content.
fn small() -> (Content, Vec<Member>) {
    let content = Content::tagged("app", |content| artifacts::sha512(content, 1));
    let tree = content.tree();
    let member = |(path, node): (&String, &longshore_fixture::Node)| match node {
        longshore_fixture::Node::File(bytes) => Member::file(path, bytes.clone()),
        _ => panic!("{path} is no file"),
    };
    (content.clone(), tree.nodes().iter().map(member).collect())
}

fn archive(members: &[Member]) -> Vec<u8> {
    let mut writer = TarWriter::new(TarOptions::default());
    for member in members {
        writer.append(member);
    }
    writer.finish()
}

#[test]
fn a18_every_form_of_tar_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut content = graph(3, 6);
    content.merge(Content::tagged("app", |content| artifacts::sha512(content, 1)));
    for format in [Format::Ustar, Format::Pax, Format::Gnu] {
        for order in [MemberOrder::IndexFirst, MemberOrder::IndexLast, MemberOrder::Shuffled(5)] {
            for sizes in [Sizes::Octal, Sizes::Base256, Sizes::Pax] {
                for flags in 0..8 {
                    let [prefix_dot_slash, directories, end_marker] =
                        [1, 2, 4].map(|bit| flags & bit != 0);
                    let options = TarOptions {
                        format,
                        order,
                        sizes,
                        prefix_dot_slash,
                        directories,
                        end_marker,
                    };
                    let path = write(directory.path(), &content.tar(&options));
                    let found =
                        read_all(&path).unwrap_or_else(|error| panic!("{options:?}: {error}"));
                    assert!(found == content.blobs, "{options:?}");
                }
            }
        }
    }
}

#[test]
fn compressed_archives_are_read_and_leave_nothing_beside_them() {
    let directory = tempfile::tempdir().unwrap();
    let content = graph(4, 6);
    let tar = content.tar(&TarOptions::default());
    let twice = [gzip(&tar[..1000]), gzip(&tar[1000..])].concat();
    for compressed in [gzip(&tar).to_vec(), zstd(&tar).to_vec(), twice] {
        let path = write(directory.path(), &compressed);
        let archive = open(&path).unwrap();
        assert_eq!(names_in(directory.path()), ["a.tar"], "even while it is open");
        drop(archive);
        assert!(read_all(&path).unwrap() == content.blobs);
        assert_eq!(names_in(directory.path()), ["a.tar"]);
    }
}

/// A skippable frame of zstd.
const SKIPPED: &[u8] = b"\x50\x2a\x4d\x18\x04\0\0\0abcd";

#[test]
fn what_pads_compressed_archives_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let content = graph(4, 6);
    let tar = content.tar(&TarOptions::default());
    let (zip, frame) = (gzip(&tar).to_vec(), zstd(&tar).to_vec());
    let zeros = vec![0; 300_000];
    let frames = tar.chunks(3000).flat_map(|part| [SKIPPED, &zstd(part)].concat());
    for compressed in [
        [&zip[..], &[0; 7]].concat(),
        [&zip[..], &zeros].concat(),
        [&frame[..], &zeros].concat(),
        [SKIPPED, &frame].concat(),
        [&frame, SKIPPED].concat(),
        frames.collect(),
    ] {
        let path = write(directory.path(), &compressed);
        assert!(read_all(&path).unwrap() == content.blobs);
    }
}

#[test]
fn what_else_lies_behind_compressed_archives_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let tar = graph(4, 6).tar(&TarOptions::default());
    for compressed in [gzip(&tar), zstd(&tar)] {
        for behind in [&b"garbage"[..], b"\0\0x", &tar] {
            let path = write(directory.path(), &[&compressed[..], behind].concat());
            let error = open(&path).unwrap_err();
            let Error::Malformed { reason: Flaw::Trailing(_), .. } = error else {
                panic!("{error}");
            };
        }
    }
}

#[test]
fn what_is_compressed_otherwise_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for (magic, program) in
        [(&b"\xfd7zXZ\0"[..], "xz"), (b"BZh91AY", "bzip2"), (b"\x04\x22\x4d\x18abc", "lz4")]
    {
        let error = open(&write(directory.path(), magic)).unwrap_err();
        let Error::Malformed { reason: Flaw::Compressed { with }, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(with, program);
    }
}

#[test]
fn a_hard_link_is_another_name_of_what_came_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let (content, mut members) = small();
    let own =
        |member: &Member| member.kind == MemberKind::File && member.name.starts_with("blobs/");
    let files: Vec<usize> = (0..members.len()).filter(|at| own(&members[*at])).collect();
    for (number, at) in files.into_iter().enumerate() {
        let kept = format!("kept/{number}");
        let link = Member::link(MemberKind::Hardlink, &members[at].name, &kept);
        members[at].name = kept;
        members.push(link);
    }
    let path = write(directory.path(), &archive(&members));
    assert!(read_all(&path).unwrap() == content.blobs);
    // A link that leads to nothing, or out of the archive, is refused.
    for target in ["kept/none", "../kept", "/etc/passwd"] {
        let digest = longshore_spec::Digest::sha256("x");
        let name = format!("blobs/sha256/{}", digest.encoded());
        let all = [&members[..], &[Member::link(MemberKind::Hardlink, &name, target)]].concat();
        let error = open(&write(directory.path(), &archive(&all))).unwrap_err();
        assert!(error.to_string().contains("link"), "{error}");
    }
}

#[test]
fn a_layout_one_directory_down_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let (content, members) = small();
    let below = |name: &str| {
        let below =
            |member: &Member| Member { name: format!("{name}/{}", member.name), ..member.clone() };
        members.iter().map(below).collect::<Vec<_>>()
    };
    let one = [vec![Member::new(MemberKind::Directory, "site/")], below("site")].concat();
    let path = write(directory.path(), &archive(&one));
    assert!(read_all(&path).unwrap() == content.blobs);
    // With two layouts nobody knows which one is meant, and deeper ones are not searched for.
    for other in [[below("a"), below("b")].concat(), below("a/b")] {
        let error = open(&write(directory.path(), &archive(&other))).unwrap_err();
        let Error::Malformed { reason: Flaw::NoLayoutInside, .. } = error else {
            panic!("{error}");
        };
    }
}

#[test]
fn a_damaged_compressed_archive_names_itself() {
    let directory = tempfile::tempdir().unwrap();
    let tar = graph(4, 6).tar(&TarOptions::default());
    for compressed in [gzip(&tar), zstd(&tar)] {
        let path = write(directory.path(), &compressed[..compressed.len() / 2]);
        let error = open(&path).unwrap_err().to_string();
        let named = format!("{} is malformed: what ", path.display());
        assert!(error.starts_with(&named) && error.contains("is cut off or damaged"), "{error}");
        assert_eq!(names_in(directory.path()), ["a.tar"]);
    }
}

/// `/proc/self/fd` can be read and never written, even by root.
#[test]
fn a_compressed_archive_on_a_read_only_medium_is_unpacked_in_the_scratch_directory() {
    use std::os::fd::AsRawFd as _;
    let directory = tempfile::tempdir().unwrap();
    let content = graph(4, 3);
    let path = write(directory.path(), &gzip(&content.tar(&TarOptions::default())));
    let file = std::fs::File::open(&path).unwrap();
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    if !path.exists() {
        eprintln!("skipped: there is no /proc here");
        return;
    }
    let error = open(&path).unwrap_err().to_string();
    assert!(error.starts_with("cannot unpack a compressed archive into /proc/self/fd"), "{error}");

    let scratch = tempfile::tempdir().unwrap();
    let options = ArchiveOptions { scratch: Some(scratch.path().to_owned()), ..Default::default() };
    let archive = Archive::open(&path, &options).unwrap();
    assert!(!archive.whole().names().unwrap().is_empty());
    assert_eq!(names_in(scratch.path()), [""; 0]);
}

#[test]
fn g10_a_docker_archive_is_told_from_one_that_holds_nothing() {
    let directory = tempfile::tempdir().unwrap();
    for (name, told) in [("manifest.json", true), ("notes.txt", false)] {
        for prefix_dot_slash in [false, true] {
            let options = TarOptions { prefix_dot_slash, ..TarOptions::default() };
            let mut writer = TarWriter::new(options);
            writer.append(&Member::file(name, "[]"));
            let error = open(&write(directory.path(), &writer.finish())).unwrap_err().to_string();
            assert_eq!(error.contains("a Docker archive"), told, "{error}");
        }
    }
}

#[test]
fn a_cut_archive_never_yields_wrong_content() {
    let directory = tempfile::tempdir().unwrap();
    let (content, members) = small();
    let whole = archive(&members);
    let mut complete = 0;
    for end in (0..=whole.len()).step_by(256) {
        match read_all(&write(directory.path(), &whole[..end])) {
            Ok(found) => {
                assert!(found == content.blobs, "cut at {end}");
                complete += 1;
            }
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("a.tar") || error.contains("sha512:"), "{end}: {error}");
            }
        }
    }
    assert!(complete > 0, "the whole of it is read");
    let within_header = archive(&members[..1]).len() - 1024 + 100;
    let error = open(&write(directory.path(), &whole[..within_header])).unwrap_err().to_string();
    assert!(error.ends_with("it is cut off within the header of member 2"), "{error}");
}

#[test]
fn a_changed_byte_never_yields_wrong_content() {
    let directory = tempfile::tempdir().unwrap();
    let (content, members) = small();
    let whole = archive(&members);
    let mut random = longshore_fixture::Random::new(1);
    for _ in 0..2000 {
        let mut damaged = whole.clone();
        let at = random.below(damaged.len());
        damaged[at] ^= 1 << random.below(8);
        // A name or a type in `index.json` may change; content may not.
        if let Ok(found) = read_all(&write(directory.path(), &damaged)) {
            let wrong = found.iter().find(|(digest, bytes)| {
                content.blobs.get(*digest).is_some_and(|right| right != *bytes)
            });
            assert_eq!(wrong, None, "byte {at}");
        }
    }
}

#[test]
fn a_header_that_would_fill_the_memory_is_refused() {
    const SIZE: usize = 3 << 20;
    let directory = tempfile::tempdir().unwrap();
    let (_, members) = small();
    for typeflag in *b"xLK" {
        let mut long = archive(&[Member::file("long", vec![b'a'; SIZE])]);
        long.truncate(512 + SIZE);
        long[156] = typeflag;
        long[148..156].fill(b' ');
        let sum: u32 = long[..512].iter().copied().map(u32::from).sum();
        long[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        long.extend(archive(&members));
        let error = open(&write(directory.path(), &long)).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }), "{error}");
    }
}

#[test]
fn sizes_near_the_end_of_numbers_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (_, members) = small();
    for size in [u64::MAX, u64::MAX - 511, u64::MAX - 1024, i64::MAX as u64, 1 << 62] {
        for kind in [MemberKind::File, MemberKind::Directory, MemberKind::Global] {
            // A global header has no PAX header of its own.
            for sizes in [Sizes::Base256, Sizes::Pax] {
                if (kind, sizes) == (MemberKind::Global, Sizes::Pax) {
                    continue;
                }
                let options = TarOptions { sizes, ..TarOptions::default() };
                let mut writer = TarWriter::new(options);
                writer.append(&Member { claimed: Some(size), ..Member::new(kind, "huge") });
                let mut bytes = writer.finish();
                bytes.truncate(bytes.len() - 1024);
                bytes.extend(archive(&members));
                let error = open(&write(directory.path(), &bytes)).unwrap_err().to_string();
                // The tar crate itself refuses the largest of them.
                let told = ["`huge` is cut off", "is not a tar archive"];
                let told = told.iter().any(|told| error.contains(told));
                assert!(told, "{kind:?} {size} {sizes:?}: {error}");
            }
        }
    }
}

#[test]
fn a14_names_that_are_not_utf8_are_kept_apart() {
    let directory = tempfile::tempdir().unwrap();
    let (content, mut members) = small();
    members.push(Member::file("caf1", "one"));
    members.push(Member::file("caf2", "other"));
    let mut bytes = archive(&members);
    for (name, letter) in [(b"caf1", 0xe8), (b"caf2", 0xe9)] {
        let at = bytes.windows(5).position(|window| window == [name, &b"\0"[..]].concat()).unwrap();
        let header = &mut bytes[at..at + 512];
        header[3] = letter;
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().copied().map(u32::from).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    assert!(read_all(&write(directory.path(), &bytes)).unwrap() == content.blobs);
}

#[test]
fn an_error_does_not_pass_control_characters_on() {
    let directory = tempfile::tempdir().unwrap();
    let (_, mut members) = small();
    members.push(Member::file("../\u{1b}[2Jevil", ""));
    let error = open(&write(directory.path(), &archive(&members))).unwrap_err().to_string();
    assert!(error.contains(r"`../\u{1b}[2Jevil`"), "{error}");
}

#[test]
fn a14_links_between_files_of_others_are_fine() {
    let directory = tempfile::tempdir().unwrap();
    let (content, mut members) = small();
    members.push(Member::file("1/layer.tar", "layer"));
    members.push(Member::link(MemberKind::Symlink, "2/layer.tar", "../1/layer.tar"));
    members.push(Member::link(MemberKind::Hardlink, "3/layer.tar", "1/layer.tar"));
    assert!(read_all(&write(directory.path(), &archive(&members))).unwrap() == content.blobs);
    members.push(Member::link(MemberKind::Symlink, "4/layer.tar", "../../etc/passwd"));
    let error = open(&write(directory.path(), &archive(&members))).unwrap_err().to_string();
    assert!(error.ends_with("`4/layer.tar` is a link that leads out of the archive"), "{error}");
}

#[test]
fn what_is_no_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let error = open(directory.path()).unwrap_err().to_string();
    assert!(error.contains("is a directory"), "{error}");
    assert!(open(&directory.path().join("absent")).is_err());
    let path = write(directory.path(), &gzip(b""));
    assert!(open(&path).unwrap_err().to_string().contains("holds no image layout"));
}

#[test]
fn a07_an_archive_without_blobs_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), &Content::new().tar(&TarOptions::default()));
    assert_eq!(read_all(&path).unwrap(), std::collections::BTreeMap::<_, Bytes>::new());
}

#[test]
fn an_archive_is_opened_with_one_read_a_member() {
    const BLOBS: u64 = 1000;
    const MORE: u64 = 40;
    let Some(before) = reads() else { return };
    let mut content = Content::new();
    let manifest = artifacts::image(&mut content, 1);
    content.tag(&manifest, "v1");
    for number in 0..BLOBS {
        content.blob("text/plain", number.to_string());
    }
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), &content.tar(&TarOptions::default()));
    let archive = open(&path).unwrap();
    archive.whole().manifest(&Selector::Name("v1".into())).unwrap();
    let asked = reads().unwrap() - before;
    assert!((BLOBS..BLOBS + MORE).contains(&asked), "{asked} reads for {BLOBS} blobs");
}
