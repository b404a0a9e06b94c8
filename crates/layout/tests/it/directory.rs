//! Layouts that several writers change in place.

use std::fs::File;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use longshore_fixture::{Content, artifacts, graph};
use longshore_layout::{Directory, Layout as _};
use longshore_spec::{Descriptor, Digest, Hasher, Manifest, MediaType, Role, keys};
use longshore_store::{
    Entry, Error, Held, Name, Outline, OutlineNode, Place as _, Pushed, Repository as _, Selector,
    Source as _, SourcePlace as _, Target as _, TargetPlace as _, manifest_from,
};

use crate::common::{Piece, created, names_in, read_all};

fn blob(root: &Path, digest: &Digest) -> std::path::PathBuf {
    root.join("blobs").join(digest.algorithm()).join(digest.encoded())
}

fn part(root: &Path, digest: &Digest) -> std::path::PathBuf {
    root.join(".longshore/partial").join(digest.algorithm()).join(digest.encoded())
}

/// Returns a manifest without layers that differs for each number.
fn manifest(number: usize) -> Manifest {
    let empty = Descriptor::empty();
    let raw = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","digest":"{}","size":2}},"layers":[],"annotations":{{"number":"{number}"}}}}"#,
        MediaType::IMAGE_MANIFEST,
        empty.media_type,
        empty.digest,
    );
    let descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, raw.as_bytes());
    manifest_from(raw.into(), descriptor).unwrap()
}

/// Leaves a partial `piece`, as a killed run does.
fn leave_part(root: &Path, piece: &Piece, length: usize) {
    let path = part(root, piece.digest());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, &piece.content[..length]).unwrap();
}

fn no_parts(root: &Path) -> bool {
    names_in(&root.join(".longshore/partial/sha256")).is_empty()
}

#[test]
fn a19_all_names_of_concurrent_writers_are_there() {
    const WRITERS: usize = 8;
    const NAMES: usize = 50;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("layout");
    let start = Barrier::new(WRITERS);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (root, start) = (&root, &start);
            scope.spawn(move || {
                start.wait();
                let layout = created(root);
                for number in 0..NAMES {
                    let name = Name::new(format!("writer-{writer}-{number}"));
                    let manifest = manifest(writer * NAMES + number);
                    layout.whole().push_manifest(&manifest, Entry::Root(&[name])).unwrap();
                    // Lets others come in between.
                    if number % 5 == 0 {
                        layout.commit_partial().unwrap();
                    }
                }
                layout.commit().unwrap();
            });
        }
    });
    let layout = Directory::open(&root).unwrap();
    assert_eq!(layout.whole().names().unwrap().len(), WRITERS * NAMES);
    for writer in 0..WRITERS {
        for number in 0..NAMES {
            let name = Name::new(format!("writer-{writer}-{number}"));
            let found = layout.whole().manifest(&Selector::Name(name)).unwrap();
            assert_eq!(found.raw(), manifest(writer * NAMES + number).raw());
        }
    }
    assert!(!names_in(&root.join(".longshore")).iter().any(|name| name.contains("new")));
    assert_eq!(names_in(&root), [".longshore", "blobs", "index.json", "oci-layout"]);
}

#[test]
fn a19_a_reader_never_sees_half_an_index() {
    let directory = tempfile::tempdir().unwrap();
    let layout = created(directory.path());
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut seen = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let names = Directory::open(directory.path()).unwrap().whole().names().unwrap();
                assert!(names.len() >= seen, "a name is gone");
                seen = names.len();
            }
        });
        for number in 0..50 {
            let name = Name::new(format!("v{number}"));
            layout.whole().push_manifest(&manifest(number), Entry::Root(&[name])).unwrap();
            layout.commit_partial().unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn what_was_named_stays_named_if_nobody_commits() {
    let directory = tempfile::tempdir().unwrap();
    let layout = created(directory.path());
    layout.whole().push_manifest(&manifest(1), Entry::Root(&["v1".into()])).unwrap();
    drop(layout);
    let names = Directory::open(directory.path()).unwrap().whole().names().unwrap();
    assert_eq!(names, ["v1".into()]);
}

#[test]
fn a03_a14_a17_what_others_wrote_survives_an_update() {
    const LAYOUT: &str = "{\n  \"imageLayoutVersion\": \"1.0.0\",\n  \"x\": 1\n}\n";
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    Content::tagged("app", |content| artifacts::image(content, 1)).write_directory(root).unwrap();
    let before: serde_json::Value =
        serde_json::from_slice(&std::fs::read(root.join("index.json")).unwrap()).unwrap();
    let mut index = before.clone();
    index["x"] = serde_json::json!({ "y": [1.0, null, "z"] });
    index["annotations"] = serde_json::json!({ "site": "one" });
    index["artifactType"] = "application/vnd.example.site".into();
    index["manifests"][0]["x-origin"] = serde_json::json!({ "host": "a" });
    index["manifests"][0]["annotations"]["dev.cosignproject.cosign/image"] = "kept".into();
    std::fs::write(root.join("index.json"), index.to_string()).unwrap();
    let others = ["manifest.json", "notes/today.txt", "blobs/README.md", "blobs/sha256/.tmp12"];
    std::fs::create_dir(root.join("notes")).unwrap();
    for other in others {
        std::fs::write(root.join(other), other).unwrap();
    }
    std::fs::write(root.join("oci-layout"), LAYOUT).unwrap();

    let layout = created(root);
    layout.whole().push_manifest(&manifest(1), Entry::Root(&["v1".into()])).unwrap();
    layout.commit().unwrap();
    layout.whole().untag(&"v1".into()).unwrap();

    let after: serde_json::Value =
        serde_json::from_slice(&std::fs::read(root.join("index.json")).unwrap()).unwrap();
    assert_eq!(after, index, "but for a name that came and went");
    assert_eq!(std::fs::read_to_string(root.join("oci-layout")).unwrap(), LAYOUT);
    for other in others {
        assert_eq!(std::fs::read_to_string(root.join(other)).unwrap(), other);
    }
}

#[test]
fn a01_a_directory_that_is_no_layout_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    std::fs::write(root.join("thesis.txt"), "years of work").unwrap();
    let refused = [
        Directory::open(root).map(drop),
        Directory::create(root).map(drop),
        Directory::open_alone(root).map(drop),
    ];
    for refused in refused {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("so it is not an image layout"), "{error}");
    }
    assert_eq!(names_in(root), ["thesis.txt"]);
    assert!(Directory::create(root.join("thesis.txt")).is_err());
    assert!(Directory::open(root.join("absent")).is_err());
    assert_eq!(names_in(root), ["thesis.txt"]);
}

#[test]
fn a04_a05_a_damaged_layout_is_refused_and_left_alone() {
    for damaged in ["oci-layout", "index.json"] {
        for damage in [None, Some("{}"), Some("[]"), Some(r#"{"imageLayoutVersion":"1.1.0"}"#)] {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path();
            Content::new().write_directory(root).unwrap();
            std::fs::remove_file(root.join(damaged)).unwrap();
            if let Some(text) = damage {
                std::fs::write(root.join(damaged), text).unwrap();
            }
            let before = names_in(root);
            assert!(Directory::open(root).is_err());
            let error = Directory::create(root).unwrap_err().to_string();
            assert!(error.contains(&root.display().to_string()), "{error}");
            assert!(Directory::open_alone(root).is_err());
            assert_eq!(names_in(root), before);
        }
    }
}

#[test]
fn an_empty_directory_and_one_that_was_begun_become_layouts() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    std::fs::create_dir(root.join("empty")).unwrap();
    std::fs::create_dir_all(root.join("begun/.longshore")).unwrap();
    std::fs::create_dir(root.join("begun/blobs")).unwrap();
    for name in ["empty", "begun", "some/where/new"] {
        drop(created(root.join(name)));
        let made = root.join(name);
        assert_eq!(names_in(&made), [".longshore", "blobs", "index.json", "oci-layout"]);
        assert_eq!(
            std::fs::read(made.join("oci-layout")).unwrap(),
            b"{\"imageLayoutVersion\":\"1.0.0\"}\n"
        );
    }
}

#[test]
fn several_may_create_one_layout_at_once() {
    const CREATORS: usize = 8;
    let directory = tempfile::tempdir().unwrap();
    for round in 0..50 {
        let root = directory.path().join(round.to_string());
        // The directory may exist and be empty, or not even its parents may exist.
        let root = if round % 2 == 0 { root.join("above") } else { root };
        if round % 2 == 1 {
            std::fs::create_dir(&root).unwrap();
        }
        let start = Barrier::new(CREATORS);
        thread::scope(|scope| {
            for _ in 0..CREATORS {
                scope.spawn(|| {
                    start.wait();
                    drop(created(&root));
                });
            }
        });
        assert_eq!(names_in(&root), [".longshore", "blobs", "index.json", "oci-layout"]);
    }
}

#[test]
fn reading_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    graph(1, 8).write_directory(directory.path()).unwrap();
    let before = names_in(directory.path());
    read_all(directory.path()).unwrap();
    assert_eq!(names_in(directory.path()), before);
    let layout = Directory::open(directory.path()).unwrap();
    let error = layout.whole().push_blob(&Piece::new("x")).unwrap_err().to_string();
    assert!(error.ends_with("is read-only"), "{error}");
}

#[test]
fn a_part_is_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let layout = created(root);
    for (seed, there) in [(1, 1), (2, 300_000), (3, 499_999), (4, 500_000)] {
        let piece = Piece::random(seed, 500_000);
        leave_part(root, &piece, there);
        let held = layout.whole().held(&piece.descriptor, Role::Layer).unwrap();
        assert_eq!(held, Held::Prefix(there as u64));
        let missing = (piece.content.len() - there) as u64;
        assert_eq!(layout.whole().push_blob(&piece).unwrap(), Pushed::Written(missing));
        assert_eq!(piece.read(), missing);
        assert_eq!(std::fs::read(blob(root, piece.digest())).unwrap(), piece.content);
        assert!(no_parts(root));
    }
}

#[test]
fn a_failed_push_leaves_a_part_for_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let layout = created(root);
    let piece = Piece::random(1, 1_000_000).failing(700_000);
    let error = layout.whole().push_blob(&piece).unwrap_err().to_string();
    assert_eq!(error, format!("cannot read {}: the line is dead", piece.digest()));
    assert!(!blob(root, piece.digest()).exists());
    let piece = Piece::of(piece.descriptor.clone(), piece.content);
    assert_eq!(layout.whole().push_blob(&piece).unwrap(), Pushed::Written(300_000));
}

#[test]
fn a_damaged_part_is_noticed_and_fetched_from_its_first_byte() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let layout = created(root);
    for (seed, there) in [(1, 100), (2, 400_000), (3, 500_000), (4, 600_000)] {
        let piece = Piece::random(seed, 500_000);
        leave_part(root, &piece, there.min(piece.content.len()));
        let mut bytes = std::fs::read(part(root, piece.digest())).unwrap();
        bytes[there / 2] ^= 1;
        bytes.resize(there, 0);
        std::fs::write(part(root, piece.digest()), bytes).unwrap();
        layout.whole().push_blob(&piece).unwrap();
        assert_eq!(std::fs::read(blob(root, piece.digest())).unwrap(), piece.content);
        assert!(no_parts(root));
    }
}

#[test]
fn wrong_content_leaves_no_part() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let layout = created(root);
    let right = Piece::random(1, 100_000);
    let wrong = Piece::of(right.descriptor.clone(), vec![0; 100_000]);
    for there in [0, 50_000] {
        leave_part(root, &right, there);
        assert!(layout.whole().push_blob(&wrong).unwrap_err().is_corruption());
        assert!(no_parts(root) && !blob(root, right.digest()).exists());
    }
}

#[test]
fn a_part_that_another_process_is_at_is_left_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let layout = created(root);
    let piece = Piece::random(1, 100_000);
    leave_part(root, &piece, 40_000);
    let theirs = File::options().write(true).open(part(root, piece.digest())).unwrap();
    theirs.lock().unwrap();
    // The name is taken, as by a process with the same number in another container.
    let mut taken = part(root, piece.digest()).into_os_string();
    taken.push("~0");
    std::fs::write(&taken, "not to be touched").unwrap();

    assert_eq!(layout.whole().push_blob(&piece).unwrap(), Pushed::Written(100_000));
    assert_eq!(std::fs::read(blob(root, piece.digest())).unwrap(), piece.content);
    assert_eq!(std::fs::read(part(root, piece.digest())).unwrap(), piece.content[..40_000]);
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "not to be touched");
    assert_eq!(names_in(&root.join(".longshore/partial/sha256")).len(), 2);
}

#[test]
fn many_writers_of_one_blob_leave_it_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for seed in 0..20 {
        let piece = Piece::random(seed, 300_000);
        let start = Barrier::new(6);
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    start.wait();
                    let layout = created(root);
                    layout.whole().push_blob(&piece).unwrap();
                });
            }
        });
        assert_eq!(std::fs::read(blob(root, piece.digest())).unwrap(), piece.content);
        assert!(no_parts(root));
    }
}

#[test]
fn a_blob_of_the_wrong_size_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let layout = created(root);
    let piece = Piece::random(1, 1000);
    let path = blob(root, piece.digest());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    for wrong in [&piece.content[..0], &piece.content[..999], &[0; 1001]] {
        std::fs::write(&path, wrong).unwrap();
        let held = layout.whole().held(&piece.descriptor, Role::Layer).unwrap();
        assert_eq!(held, Held::Nothing);
        assert_eq!(layout.whole().push_blob(&piece).unwrap(), Pushed::Written(1000));
        assert_eq!(std::fs::read(&path).unwrap(), piece.content);
    }
    assert_eq!(layout.whole().push_blob(&piece).unwrap(), Pushed::Existed);
    assert!(no_parts(root));
}

#[test]
fn a_link_in_place_of_a_blob_is_replaced_and_not_written_through() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("layout");
    let layout = created(&root);
    let piece = Piece::random(1, 1000);
    let victim = directory.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    std::fs::create_dir_all(root.join("blobs/sha256")).unwrap();
    for target in [&victim, &directory.path().join("absent")] {
        std::os::unix::fs::symlink(target, blob(&root, piece.digest())).unwrap();
        layout.whole().push_blob(&piece).unwrap();
        assert!(blob(&root, piece.digest()).symlink_metadata().unwrap().is_file());
        std::fs::remove_file(blob(&root, piece.digest())).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn a09_each_algorithm_has_its_directory_and_names_are_fit_for_fat() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let layout = created(root);
    let content = Content::tagged("app", |content| artifacts::mixed_algorithms(content, 1));
    for (digest, bytes) in &content.blobs {
        let descriptor = Descriptor::new("a/b", digest.clone(), bytes.len() as u64);
        layout.whole().push_blob(&Piece::of(descriptor, bytes.clone())).unwrap();
    }
    layout.whole().push_manifest(&manifest(1), Entry::Root(&["host:5000/a/b:v1".into()])).unwrap();
    layout.commit().unwrap();
    assert_eq!(names_in(&root.join("blobs")), ["sha256", "sha512"]);
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in directory.read_dir().unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            assert!(!name.contains(['"', '*', '/', ':', '<', '>', '?', '\\', '|']), "{name}");
            assert!(!name.ends_with(['.', ' ']) && name.len() <= 255, "{name}");
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            }
        }
    }
}

#[test]
fn what_the_program_keeps_for_itself_is_no_content() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let layout = created(root);
    leave_part(root, &Piece::random(1, 10), 5);
    layout.whole().push_manifest(&manifest(1), Entry::Root(&["v1".into()])).unwrap();
    layout.commit().unwrap();
    assert_eq!(layout.blob_digests().unwrap(), [manifest(1).descriptor().digest.clone()]);
    assert_eq!(layout.whole().names().unwrap(), ["v1".into()]);
    assert_eq!(layout.repositories().unwrap(), []);
}

#[test]
fn what_there_is_no_room_for_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let layout = created(directory.path());
    let node = |text, size| OutlineNode { role: Role::Layer, digest: Digest::sha256(text), size };
    for size in [1 << 60, u64::MAX] {
        let nodes = vec![node("a", size), node("b", size)];
        let refused = layout.prepare(&Outline::new(nodes, Vec::new(), Vec::new()));
        assert!(matches!(refused, Err(Error::NoSpace { .. })), "{refused:?}");
    }
}

#[test]
fn a29_a_referrer_that_loses_its_name_stays_listed() {
    let directory = tempfile::tempdir().unwrap();
    let mut content = Content::new();
    let image = artifacts::image(&mut content, 1);
    let signature = artifacts::notation_signature(&mut content, &image, 1);
    content.tag(&image, "app");
    content.tag(&signature, "app-signature");
    content.write_directory(directory.path()).unwrap();
    let layout = created(directory.path());
    layout.whole().untag(&"app-signature".into()).unwrap();
    assert_eq!(layout.whole().names().unwrap(), ["app".into()]);
    let referrers = layout.whole().referrers(&image.digest).unwrap().entries;
    assert_eq!(referrers.len(), 1);
    assert_eq!(referrers[0].digest, signature.digest);
    let again = layout.whole().untag(&"app-signature".into());
    assert!(again.is_err_and(|error| error.is_not_found()));
}

#[test]
fn a_digest_without_a_name_is_in_each_repository_that_it_was_pushed_to() {
    let directory = tempfile::tempdir().unwrap();
    let layout = created(directory.path());
    let names = ["a/one", "b/two"].map(|name| name.parse().unwrap());
    for name in &names {
        let repository = layout.repository(name).unwrap();
        repository.push_manifest(&manifest(1), Entry::Root(&[])).unwrap();
    }
    assert_eq!(layout.repositories().unwrap(), names);
    for name in &names {
        let roots = layout.repository(name).unwrap().roots().unwrap();
        assert_eq!(roots.len(), 1);
        assert_eq!(roots[0].descriptor.annotations[keys::REPOSITORY], name.to_string());
    }
}

#[test]
fn many_uploads_at_once_each_become_what_they_were() {
    const WRITERS: usize = 8;
    const EACH: usize = 40;
    let directory = tempfile::tempdir().unwrap();
    let layout = created(directory.path());
    let name = "team/app".parse().unwrap();
    let digests: Vec<Digest> = thread::scope(|scope| {
        let write = |writer: usize| {
            let one = |number: usize| {
                let content = format!("upload {number} of writer {writer}");
                let mut upload = layout.upload(&name, Hasher::sha256()).unwrap();
                upload.write(content.as_bytes()).unwrap();
                upload.finish(&Digest::sha256(&content)).unwrap().digest
            };
            (0..EACH).map(one).collect::<Vec<_>>()
        };
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(digests.len(), WRITERS * EACH);
    for digest in digests {
        let stored = std::fs::read(blob(directory.path(), &digest)).unwrap();
        assert_eq!(Digest::sha256(stored), digest);
    }
    let left = directory.path().join(".longshore/partial/uploads").read_dir().unwrap();
    assert_eq!(left.count(), 0, "nothing is left of an upload");
}
