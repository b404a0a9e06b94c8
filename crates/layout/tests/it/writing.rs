//! Archives that are planned, and then written.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use longshore_fixture::{Content, Random, artifacts};
use longshore_layout::{ArchiveStream, ArchiveWriter};
use longshore_spec::{Descriptor, Digest, Role};
use longshore_store::{
    Error, ExtraFile, Held, Outline, OutlineNode, Pushed, Target as _, TargetPlace as _,
};

use crate::common::{Parcel, Piece, names_in, push_all, read_all};

/// More than is written between two lines of the journal.
const LARGE: usize = 10 << 20;

/// A directory for one archive.
struct Scene {
    directory: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("a.tar")
    }

    fn partial(&self) -> PathBuf {
        self.directory.path().join("a.tar.partial")
    }

    fn journal(&self) -> PathBuf {
        self.directory.path().join("a.tar.partial.journal")
    }

    fn begin(&self, outline: &Outline) -> ArchiveWriter {
        let writer = ArchiveWriter::new(self.path()).unwrap();
        writer.prepare(outline).unwrap();
        writer
    }

    /// Finishes the archive and returns its bytes.
    fn finish(&self, writer: ArchiveWriter) -> Vec<u8> {
        writer.commit().unwrap();
        drop(writer);
        assert_eq!(names_in(self.directory.path()), ["a.tar"]);
        std::fs::read(self.path()).unwrap()
    }

    /// Writes all of `parcel` at once.
    fn whole(parcel: &Parcel) -> Vec<u8> {
        let scene = Self::new();
        let writer = scene.begin(&parcel.outline);
        push_all(&writer, &parcel.pieces);
        scene.finish(writer)
    }

    fn flip(&self, at: u64) {
        let file = File::options().read(true).write(true).open(self.partial()).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    }
}

/// A parcel of one large piece and a few small ones, and the number of the large one.
fn heavy() -> (Parcel, usize) {
    let mut content = longshore_fixture::graph(9, 4);
    let large = Piece::random(77, LARGE);
    content.blobs.insert(large.digest().clone(), large.content);
    let parcel = Parcel::of(&content);
    let at = parcel.pieces.iter().position(|piece| piece.content.len() == LARGE).unwrap();
    (parcel, at)
}

/// A writer that is prepared for a parcel with a large piece, and the number of that piece.
fn begun() -> (Parcel, usize, Scene, ArchiveWriter) {
    let (parcel, large) = heavy();
    let scene = Scene::new();
    let writer = scene.begin(&parcel.outline);
    (parcel, large, scene, writer)
}

fn failing(piece: &Piece, at: usize) -> Piece {
    Piece::of(piece.descriptor.clone(), piece.content.clone()).failing(at)
}

fn fails_with_io(writer: &ArchiveWriter, piece: &Piece) {
    let error = writer.whole().push_blob(piece).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_bytes_are_the_same_in_any_order_and_for_any_number_of_threads() {
    let parcel = Parcel::sample();
    let expected = Scene::whole(&parcel);
    for threads in [1_u8, 2, 3, 8, 16] {
        let mut order: Vec<_> = parcel.pieces.iter().collect();
        Random::new(threads.into()).shuffle(&mut order);
        let scene = Scene::new();
        let writer = scene.begin(&parcel.outline);
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(piece) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                        writer.whole().push_blob(*piece).unwrap();
                    }
                });
            }
        });
        assert!(scene.finish(writer) == expected, "{threads} threads");
    }
}

#[test]
fn a_pipe_gets_the_same_bytes() {
    let parcel = Parcel::sample();
    let pipe = Pipe::default();
    let stream = ArchiveStream::new(Box::new(pipe.clone()));
    stream.prepare(&parcel.outline).unwrap();
    for piece in &parcel.pieces {
        stream.whole().push_blob(piece).unwrap();
    }
    stream.commit().unwrap();
    assert!(*pipe.0.lock().unwrap() == Scene::whole(&parcel));
}

#[test]
fn a_pipe_is_over_after_half_a_member() {
    let pieces = [Piece::new("one"), Piece::new("other")];
    let nodes = pieces.iter().map(|piece| piece.node(Role::Layer)).collect();
    let outline = Outline::new(nodes, Vec::new(), Vec::new());
    let order = |digest: &Digest| outline.nodes().iter().position(|node| node.digest == *digest);
    let [first, second] = if order(pieces[0].digest()) == Some(0) { [0, 1] } else { [1, 0] };
    let stream = ArchiveStream::new(Box::new(io::sink()));
    stream.prepare(&outline).unwrap();
    assert!(stream.whole().push_blob(&pieces[second]).is_err(), "it is not its turn");
    assert!(stream.whole().push_blob(&failing(&pieces[first], 2)).is_err());
    let error = stream.whole().push_blob(&pieces[first]).unwrap_err().to_string();
    assert!(error.contains("is not next"), "{error}");
    assert!(stream.commit().is_err(), "what is cut must not be called complete");
    stream.commit_partial().unwrap();
}

#[test]
fn what_is_written_is_read_back() {
    let parcel = Parcel::sample();
    let scene = Scene::new();
    let writer = scene.begin(&parcel.outline);
    push_all(&writer, &parcel.pieces);
    scene.finish(writer);
    let found = read_all(&scene.path()).unwrap();
    for (digest, bytes) in found {
        let piece = parcel.pieces.iter().find(|piece| *piece.digest() == digest).unwrap();
        assert!(piece.content == bytes, "{digest}");
    }
}

#[test]
fn a_second_run_goes_on_at_the_byte_where_the_first_stopped() {
    let (parcel, large) = heavy();
    let expected = Scene::whole(&parcel);
    for (seed, stop) in [(1, 1), (2, 300_000), (3, 9 << 20), (4, LARGE - 1)] {
        let scene = Scene::new();
        let writer = scene.begin(&parcel.outline);
        let mut random = Random::new(seed);
        let mut pushed = vec![false; parcel.pieces.len()];
        for (number, piece) in parcel.pieces.iter().enumerate() {
            if number != large && random.one_in(2) {
                writer.whole().push_blob(piece).unwrap();
                pushed[number] = true;
            }
        }
        fails_with_io(&writer, &failing(&parcel.pieces[large], stop));
        writer.commit_partial().unwrap();
        drop(writer);
        assert!(!scene.path().exists());

        let writer = scene.begin(&parcel.outline);
        for (number, piece) in parcel.pieces.iter().enumerate() {
            let again = Piece::of(piece.descriptor.clone(), piece.content.clone());
            let held = writer.whole().held(&again.descriptor, Role::Layer).unwrap();
            let result = writer.whole().push_blob(&again).unwrap();
            let missing = if pushed[number] {
                assert_eq!((held, result), (Held::Whole, Pushed::Existed));
                0
            } else if number == large {
                assert_eq!(held, Held::Prefix(stop as u64), "{seed}");
                LARGE - stop
            } else {
                assert_eq!(held, Held::Nothing);
                again.content.len()
            };
            assert_eq!(again.read(), missing as u64, "{}", again.digest());
        }
        assert!(scene.finish(writer) == expected, "stopped after {stop} bytes");
    }
}

#[test]
fn a_killed_run_loses_no_more_than_was_not_synced() {
    let (parcel, large, scene, writer) = begun();
    fails_with_io(&writer, &failing(&parcel.pieces[large], LARGE - 1));
    // The run is killed.
    drop(writer);
    let writer = scene.begin(&parcel.outline);
    let held = writer.whole().held(&parcel.pieces[large].descriptor, Role::Layer).unwrap();
    let Held::Prefix(there) = held else { panic!("{held:?}") };
    assert!(there >= (LARGE - (8 << 20)) as u64, "{there}");
    push_all(&writer, &parcel.pieces);
    assert_eq!(parcel.pieces[large].read(), LARGE as u64 - there);
    assert!(scene.finish(writer) == Scene::whole(&parcel));
}

#[test]
fn a_second_try_in_one_run_goes_on_too() {
    let (parcel, large, scene, writer) = begun();
    fails_with_io(&writer, &failing(&parcel.pieces[large], 1 << 20));
    let held = writer.whole().held(&parcel.pieces[large].descriptor, Role::Layer).unwrap();
    assert_eq!(held, Held::Prefix(1 << 20));
    push_all(&writer, &parcel.pieces);
    assert_eq!(parcel.pieces[large].read(), (LARGE - (1 << 20)) as u64);
    assert!(scene.finish(writer) == Scene::whole(&parcel));
}

#[test]
fn a_journal_that_says_nonsense_never_spoils_an_archive() {
    type Damage = fn(&mut Vec<u8>);
    let (parcel, large) = heavy();
    let expected = Scene::whole(&parcel);
    let damage: [(&str, Damage); 7] = [
        ("torn", |journal| journal.truncate(journal.len() - 3)),
        ("with garbage behind it", |journal| {
            journal.extend(b"\xff\0\xfe\n0 \n-1 done\n3 99999999999");
        }),
        ("with slots that do not exist", |journal| journal.extend(b"4000000000 done\n700 1\n")),
        ("with more than there is", |journal| {
            journal.extend(b"0 18446744073709551615\n1 99999999\n");
        }),
        ("empty", Vec::clear),
        ("foreign", |journal| *journal = b"longshore journal 1 sha256:0\n0 done\n".to_vec()),
        ("random", |journal| Random::new(3).fill(journal)),
    ];
    for (what, damage) in damage {
        let scene = Scene::new();
        let writer = scene.begin(&parcel.outline);
        fails_with_io(&writer, &failing(&parcel.pieces[large], LARGE / 2));
        writer.commit_partial().unwrap();
        drop(writer);
        let mut journal = std::fs::read(scene.journal()).unwrap();
        damage(&mut journal);
        std::fs::write(scene.journal(), journal).unwrap();
        let writer = scene.begin(&parcel.outline);
        push_all(&writer, &parcel.pieces);
        assert!(scene.finish(writer) == expected, "a journal that is {what}");
    }
}

#[test]
fn a_journal_without_its_archive_is_of_no_use() {
    let (parcel, large, scene, writer) = begun();
    push_all(&writer, [&parcel.pieces[large]]);
    writer.commit_partial().unwrap();
    drop(writer);
    std::fs::remove_file(scene.partial()).unwrap();
    let writer = scene.begin(&parcel.outline);
    let held = writer.whole().held(&parcel.pieces[large].descriptor, Role::Layer).unwrap();
    assert_eq!(held, Held::Nothing);
    drop(writer);
    let file = File::options().write(true).open(scene.partial()).unwrap();
    file.set_len(10).unwrap();
    let writer = scene.begin(&parcel.outline);
    push_all(&writer, &parcel.pieces);
    assert!(scene.finish(writer) == Scene::whole(&parcel));
}

#[test]
fn a_damaged_part_is_noticed_and_fetched_from_its_first_byte() {
    let (parcel, large) = heavy();
    let expected = Scene::whole(&parcel);
    let piece = &parcel.pieces[large];
    let content = expected.windows(64).position(|window| window == &piece.content[..64]).unwrap();
    let scene = Scene::new();
    let writer = scene.begin(&parcel.outline);
    fails_with_io(&writer, &failing(piece, LARGE / 2));
    writer.commit_partial().unwrap();
    drop(writer);
    scene.flip(content as u64 + 12_345);
    piece.read.store(0, Ordering::Relaxed);

    let writer = scene.begin(&parcel.outline);
    push_all(&writer, &parcel.pieces);
    assert_eq!(piece.read(), (LARGE - LARGE / 2 + LARGE) as u64, "the rest, then all of it");
    assert!(scene.finish(writer) == expected);
}

#[test]
fn wrong_content_is_not_gone_on_with() {
    let right = Piece::random(1, 1 << 20);
    let mut content = right.content.to_vec();
    content[5] ^= 1;
    let wrong = Piece::of(right.descriptor.clone(), content);
    let outline = Outline::new(vec![right.node(Role::Layer)], Vec::new(), Vec::new());
    let scene = Scene::new();
    let writer = scene.begin(&outline);
    assert!(writer.whole().push_blob(&wrong).unwrap_err().is_corruption());
    assert_eq!(writer.whole().held(&right.descriptor, Role::Layer).unwrap(), Held::Nothing);
    writer.commit_partial().unwrap();
    drop(writer);
    let writer = scene.begin(&outline);
    assert_eq!(writer.whole().held(&right.descriptor, Role::Layer).unwrap(), Held::Nothing);
    push_all(&writer, [&right]);
    assert_eq!(right.read(), 1 << 20);
    scene.finish(writer);
}

#[test]
fn the_part_of_another_plan_is_thrown_away() {
    let (parcel, large, scene, writer) = begun();
    push_all(&writer, [&parcel.pieces[large]]);
    writer.commit_partial().unwrap();
    drop(writer);
    let other = Parcel::sample();
    let writer = scene.begin(&other.outline);
    push_all(&writer, &other.pieces);
    assert!(scene.finish(writer) == Scene::whole(&other));
}

#[test]
fn what_came_for_one_plan_serves_the_next_of_the_same_run() {
    let (parcel, large) = heavy();
    for is_damaged in [false, true] {
        let scene = Scene::new();
        let writer = scene.begin(&parcel.outline);
        push_all(&writer, &parcel.pieces[1..]);
        writer.commit_partial().unwrap();
        if is_damaged {
            // The last piece is the large one, or a small one beside it.
            scene.flip(std::fs::metadata(scene.partial()).unwrap().len() / 2);
        }
        let (outline, gone) = (&parcel.outline, parcel.pieces[0].digest());
        let nodes = outline.nodes().iter().filter(|node| node.digest != *gone).cloned().collect();
        let smaller = Outline::new(nodes, Vec::new(), Vec::new());
        writer.prepare(&smaller).unwrap();
        let before = parcel.pieces[large].read();
        for (number, piece) in parcel.pieces.iter().enumerate().skip(1) {
            let pushed = writer.whole().push_blob(piece).unwrap();
            assert_eq!(pushed == Pushed::Existed, !(is_damaged && number == large), "{number}");
        }
        assert_eq!(parcel.pieces[large].read() > before, is_damaged);
        let again = Scene::new();
        let fresh = again.begin(&smaller);
        push_all(&fresh, &parcel.pieces[1..]);
        assert!(scene.finish(writer) == again.finish(fresh));
    }
}

#[test]
fn one_archive_has_one_writer() {
    let parcel = Parcel::sample();
    let scene = Scene::new();
    let first = scene.begin(&parcel.outline);
    let second = ArchiveWriter::new(scene.path()).unwrap();
    let error = second.prepare(&parcel.outline).unwrap_err();
    assert!(matches!(&error, Error::Busy { .. }), "{error}");
    assert!(error.to_string().contains("a.tar.partial"), "{error}");
    push_all(&first, &parcel.pieces);
    scene.finish(first);
}

#[test]
fn an_archive_that_is_there_stays() {
    let parcel = Parcel::sample();
    let scene = Scene::new();
    let late = ArchiveWriter::new(scene.path()).unwrap();
    std::fs::write(scene.path(), "older").unwrap();
    let refused =
        [late.prepare(&parcel.outline).map(drop), ArchiveWriter::new(scene.path()).map(drop)];
    for refused in refused {
        assert!(matches!(refused, Err(Error::Exists { .. })), "{refused:?}");
    }
    let refused = ArchiveWriter::replacing(scene.directory.path());
    assert!(matches!(refused, Err(Error::Exists { .. })), "a directory is never replaced");
    assert_eq!(names_in(scene.directory.path()), ["a.tar"]);

    let writer = ArchiveWriter::replacing(scene.path()).unwrap();
    writer.prepare(&parcel.outline).unwrap();
    push_all(&writer, &parcel.pieces);
    assert_eq!(std::fs::read(scene.path()).unwrap(), b"older", "until the new one is complete");
    assert!(scene.finish(writer) == Scene::whole(&parcel));
}

#[test]
fn what_is_not_complete_does_not_appear() {
    let parcel = Parcel::sample();
    let scene = Scene::new();
    let writer = scene.begin(&parcel.outline);
    push_all(&writer, &parcel.pieces[1..]);
    let error = writer.commit().unwrap_err().to_string();
    assert!(error.ends_with("a.tar has not been given all that was announced to it"), "{error}");
    writer.commit_partial().unwrap();
    assert!(!scene.path().exists());
    push_all(&writer, &parcel.pieces);
    assert!(scene.finish(writer) == Scene::whole(&parcel));
}

#[test]
fn a_panic_of_one_writer_does_not_make_others_wait_for_ever() {
    struct Panicking(Descriptor);
    impl longshore_store::Blob for Panicking {
        fn descriptor(&self) -> &Descriptor {
            &self.0
        }
        fn open(
            &self,
            _: Option<longshore_spec::Hasher>,
        ) -> longshore_store::Result<longshore_store::Verifying<'_>> {
            // Not a panic, whose message would be in the output of the tests.
            std::panic::resume_unwind(Box::new("a defect"))
        }
    }
    let piece = Piece::new("content");
    let outline = Outline::new(vec![piece.node(Role::Layer)], Vec::new(), Vec::new());
    let scene = Scene::new();
    let writer = scene.begin(&outline);
    let push = || writer.whole().push_blob(&Panicking(piece.descriptor.clone()));
    thread::scope(|scope| assert!(scope.spawn(push).join().is_err()));
    push_all(&writer, [&piece]);
    scene.finish(writer);
}

#[test]
fn sizes_that_no_file_has_are_refused_before_anything_is_written() {
    let node =
        |text: &str, size| OutlineNode { role: Role::Layer, digest: Digest::sha256(text), size };
    for sizes in [[u64::MAX, 1], [u64::MAX, u64::MAX], [1 << 63, 1 << 63], [i64::MAX as u64, 1]] {
        let nodes = vec![node("a", sizes[0]), node("b", sizes[1])];
        let outline = Outline::new(nodes, Vec::new(), Vec::new());
        let scene = Scene::new();
        let writer = ArchiveWriter::new(scene.path()).unwrap();
        let error = writer.prepare(&outline).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }), "{error}");
        let stream = ArchiveStream::new(Box::new(io::sink()));
        assert!(matches!(stream.prepare(&outline), Err(Error::Limit { .. })));
        assert_eq!(names_in(scene.directory.path()), [""; 0]);
    }
    let outline = Outline::new(vec![node("a", 1 << 60)], Vec::new(), Vec::new());
    let scene = Scene::new();
    let refused = ArchiveWriter::new(scene.path()).unwrap().prepare(&outline);
    assert!(matches!(refused, Err(Error::NoSpace { .. })), "{refused:?}");
    assert_eq!(names_in(scene.directory.path()), [""; 0]);
}

#[test]
fn a_writer_must_be_told_what_comes() {
    let scene = Scene::new();
    let writer = ArchiveWriter::new(scene.path()).unwrap();
    let error = writer.whole().push_blob(&Piece::new("x")).unwrap_err().to_string();
    assert!(error.contains("must be told what will come"), "{error}");
    assert!(writer.commit().is_err());
    assert_eq!(names_in(scene.directory.path()), [""; 0]);
}

/// Skipped without a `tar` program.
#[test]
fn gnu_tar_reads_what_is_written() {
    let mut content = longshore_fixture::graph(7, 12);
    content.merge(Content::tagged("app", |content| artifacts::sha512(content, 1)));
    let Parcel { outline, pieces } = Parcel::of(&content);
    let files = vec![ExtraFile { name: "bundle.json".to_owned(), content: "{}\n".into() }];
    let outline = Outline::new(outline.nodes().to_vec(), outline.roots().to_vec(), files);
    let scene = Scene::new();
    let writer = scene.begin(&outline);
    push_all(&writer, &pieces);
    scene.finish(writer);
    let run = |arguments: &[&str], directory: &Path| {
        let tar = Command::new("tar").args(arguments).current_dir(directory).output().ok()?;
        assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
        assert_eq!(String::from_utf8_lossy(&tar.stderr), "");
        Some(String::from_utf8_lossy(&tar.stdout).into_owned())
    };
    let Some(listed) = run(&["-tvf", "a.tar", "--utc"], scene.directory.path()) else {
        eprintln!("skipped: there is no tar here");
        return;
    };
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines[0], "-rw-r--r-- 0/0              31 1970-01-01 00:00 oci-layout");
    assert!(lines[1].ends_with(" index.json") && lines[2].ends_with(" bundle.json"), "{listed}");
    assert_eq!(lines[3], "drwxr-xr-x 0/0               0 1970-01-01 00:00 blobs/");
    assert_eq!(lines[4], "drwxr-xr-x 0/0               0 1970-01-01 00:00 blobs/sha256/");
    assert_eq!(lines[5], "drwxr-xr-x 0/0               0 1970-01-01 00:00 blobs/sha512/");
    assert_eq!(lines.len(), 6 + pieces.len());
    assert!(lines.iter().all(|line| line.contains(" 0/0 ") && line.contains(" 1970-01-01 00:00 ")));

    let unpacked = tempfile::tempdir().unwrap();
    let path = scene.path();
    run(&["-xf", path.to_str().unwrap()], unpacked.path()).unwrap();
    assert!(read_all(unpacked.path()).unwrap() == read_all(&scene.path()).unwrap());
    assert_eq!(std::fs::read(unpacked.path().join("bundle.json")).unwrap(), b"{}\n");
}

#[test]
fn a_device_is_not_replaced_by_an_archive() {
    let error = ArchiveWriter::replacing("/dev/null").unwrap_err();
    assert_eq!(error.to_string(), "/dev/null is not a file");
}
