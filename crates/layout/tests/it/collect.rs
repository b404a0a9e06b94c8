//! Garbage collection.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use longshore_fixture::{Content, artifacts};
use longshore_layout::{Directory, GcMode};
use longshore_spec::{Descriptor, Digest, Hasher, RepositoryName};
use longshore_store::{Error, Place as _, Source as _, SourcePlace as _, Target as _};

use crate::common::{Piece, created, names_in, read_all};

const DAY: Duration = Duration::from_hours(24);

/// Writes a layout with an image that has a name, one that has only an entry, and a blob that nothing
/// needs.
fn layout(root: &Path) -> (Content, HashSet<Digest>, Digest) {
    let mut content = Content::new();
    let kept = artifacts::image(&mut content, 1);
    let keep: HashSet<Digest> = content.blobs.keys().cloned().collect();
    content.tag(&kept, "kept");
    let unneeded = artifacts::image(&mut content, 2);
    content.untagged(&unneeded);
    content.blob("text/plain", "nobody refers to this");
    content.write_directory(root).unwrap();
    std::fs::write(root.join("blobs/sha256/README"), "not a blob").unwrap();
    (content, keep, unneeded.digest)
}

fn age(path: &Path, by: Duration) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - by).unwrap();
}

fn files(root: &Path) -> usize {
    names_in(&root.join("blobs/sha256")).len()
}

#[test]
fn what_nothing_needs_goes_and_the_rest_stays() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let (content, keep, unneeded) = layout(root);
    let parts = root.join(".longshore/partial/sha256");
    std::fs::create_dir_all(&parts).unwrap();
    let part = parts.join(Digest::sha256("something").encoded());
    std::fs::write(&part, "of something").unwrap();
    let before = (files(root), std::fs::read(root.join("index.json")).unwrap());

    let alone = Directory::open_alone(root).unwrap();
    let planned = alone.collect(&keep, Duration::ZERO, GcMode::DryRun).unwrap();
    let after = (files(root), std::fs::read(root.join("index.json")).unwrap());
    assert!(after == before && part.exists(), "a dry run changes nothing");

    let done = alone.collect(&keep, Duration::ZERO, GcMode::Remove).unwrap();
    assert_eq!(done, planned);
    assert_eq!((done.entries, done.parts, done.young), (vec![unneeded], 1, 0));
    let gone = content.blobs.iter().filter(|(digest, _)| !keep.contains(digest));
    let gone: Vec<_> = gone.map(|(digest, bytes)| (digest.clone(), bytes.len() as u64)).collect();
    assert_eq!(done.blobs, gone);
    assert_eq!(files(root), keep.len() + 1, "and what is no blob");
    assert!(names_in(&parts).is_empty());
    assert!(read_all(root).unwrap().into_keys().collect::<HashSet<_>>() == keep);

    let again = alone.collect(&keep, Duration::ZERO, GcMode::Remove).unwrap();
    assert_eq!(again, longshore_layout::GcReport::default());
}

#[test]
fn what_is_young_stays() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let (_, keep, unneeded) = layout(root);
    let parts = root.join(".longshore/partial/sha256");
    std::fs::create_dir_all(&parts).unwrap();
    let [old, young] = ["old", "young"].map(|of| Digest::sha256(of).encoded());
    for (name, by) in [(&old, 2 * DAY), (&young, Duration::ZERO), (&format!("{old}~1"), 2 * DAY)] {
        std::fs::write(parts.join(name), name).unwrap();
        age(&parts.join(name), by);
    }
    // longshore did not give it this name.
    std::fs::write(parts.join("notes"), "of somebody").unwrap();
    age(&parts.join("notes"), 2 * DAY);
    age(&root.join("blobs/sha256").join(unneeded.encoded()), 2 * DAY);
    let alone = Directory::open_alone(root).unwrap();
    let done = alone.collect(&keep, DAY, GcMode::Remove).unwrap();
    assert_eq!(done.blobs.iter().map(|(digest, _)| digest).collect::<Vec<_>>(), [&unneeded]);
    assert!(done.young > 0);
    assert_eq!(names_in(&parts), [young.as_str(), "notes"]);
}

#[test]
fn a_name_is_never_collected() {
    let directory = tempfile::tempdir().unwrap();
    let (_, _, unneeded) = layout(directory.path());
    let alone = Directory::open_alone(directory.path()).unwrap();
    let done = alone.collect(&HashSet::new(), DAY, GcMode::Remove).unwrap();
    assert_eq!(done.entries, [unneeded]);
    assert_eq!(alone.whole().names().unwrap(), ["kept".into()]);
}

#[test]
fn nobody_collects_while_another_writes() {
    let directory = tempfile::tempdir().unwrap();
    let (_, keep, _) = layout(directory.path());
    let writer = created(directory.path());
    let refused = Directory::open_alone(directory.path());
    assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
    drop(writer);
    let alone = Directory::open_alone(directory.path()).unwrap();
    let refused = Directory::open_alone(directory.path());
    assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
    drop(alone);
    drop(created(directory.path()));

    let reader = Directory::open(directory.path()).unwrap();
    let error = reader.collect(&keep, DAY, GcMode::Remove).unwrap_err().to_string();
    assert!(error.ends_with("is read-only"), "{error}");
}

#[test]
fn what_was_named_just_before_is_known_to_a_collection() {
    let directory = tempfile::tempdir().unwrap();
    let (content, mut keep, unneeded) = layout(directory.path());
    let alone = Directory::open_alone(directory.path()).unwrap();
    let entry = content.entries.iter().find(|entry| entry.digest == unneeded).unwrap();
    alone.whole().list(entry, &["late".into()]).unwrap();
    keep.extend(content.blobs.keys().cloned());
    let done = alone.collect(&keep, Duration::ZERO, GcMode::Remove).unwrap();
    assert_eq!((done.entries, done.blobs), (Vec::new(), Vec::new()));
    assert_eq!(alone.whole().names().unwrap(), ["kept".into(), "late".into()]);
    alone.whole().push_blob(&Piece::new("and it can still be written to")).unwrap();
}

#[test]
fn what_is_adopted_during_a_collection_is_there_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let writer = created(root);
    let piece = Piece::new("content");
    writer.whole().push_blob(&piece).unwrap();
    drop(writer);
    let alone = Directory::open_alone(root).unwrap();
    let other = Directory::create(root).unwrap();
    let adopted = std::thread::scope(|scope| {
        let (repository, descriptor) = ("a".parse().unwrap(), &piece.descriptor);
        let adopting = scope.spawn(move || other.adopt(&repository, descriptor));
        // If it has not begun by then, it finds nothing either.
        std::thread::sleep(Duration::from_millis(100));
        alone.collect(&HashSet::new(), Duration::ZERO, GcMode::Remove).unwrap();
        drop(alone);
        adopting.join().unwrap()
    });
    assert!(matches!(adopted, Err(Error::NotFound { .. })), "{adopted:?}");
}

#[test]
fn marks_of_repositories_go_with_what_they_are_about() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let [a, b] = ["team/a", "b"].map(|name| name.parse::<RepositoryName>().unwrap());
    let layout = Directory::create(root).unwrap();
    let push = |repository: &RepositoryName, content: &[u8]| {
        let mut upload = layout.upload(repository, Hasher::sha256()).unwrap();
        upload.write(content).unwrap();
        upload.finish(&Digest::sha256(content)).unwrap()
    };
    let [old, adopted, young] = [b"old", b"ado", b"new"].map(|content| push(&a, content));
    for path in files_below(root) {
        age(&path, DAY * 2);
    }
    layout.adopt(&b, &adopted).unwrap();
    push(&a, b"new");
    drop(layout);
    // A killed process left this, however recently.
    std::fs::write(root.join(".longshore/partial/uploads/upload-x"), "half").unwrap();

    let layout = Directory::open_alone(root).unwrap();
    let before = files_below(root);
    layout.collect(&HashSet::new(), DAY, GcMode::DryRun).unwrap();
    assert_eq!(files_below(root), before, "a dry run changes nothing");
    let collected = layout.collect(&HashSet::new(), DAY, GcMode::Remove).unwrap();
    assert_eq!(collected.blobs, [(old.digest.clone(), 3)]);
    assert_eq!((collected.young, collected.parts), (2, 1));
    let holds = |repository: &RepositoryName, blob: &Descriptor| {
        layout.repository(repository).unwrap().blob(&blob.digest).is_ok()
    };
    assert!(!holds(&a, &old) && !holds(&a, &adopted) && holds(&b, &adopted) && holds(&a, &young));

    layout.collect(&HashSet::new(), Duration::ZERO, GcMode::Remove).unwrap();
    assert!(!root.join(".longshore/repositories").exists());
    assert!(layout.repositories().unwrap().is_empty());
}

/// Returns every file below a directory, sorted.
fn files_below(root: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(root).sort_by_file_name();
    let files = entries.into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    files.map(walkdir::DirEntry::into_path).collect()
}
