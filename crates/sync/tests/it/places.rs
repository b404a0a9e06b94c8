//! Layouts as targets: the engine and the places together.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use longshore_fixture::{graph, typed};
use longshore_layout::{
    Archive, ArchiveOptions, ArchiveStream, ArchiveWriter, Directory, Layout as _,
};
use longshore_store::{MountSource, Order, Root, Source as _, Target, TargetPlace};
use longshore_sync::{CopyItem, Filter, Outcome, Plan, RootRequest, Silent};

use crate::support::{Fault, Shelf, Watched, closure, copy, name, repository_name, with_referrers};

/// Writes all that a source has but for roots that cannot be planned.
pub(crate) fn write(source: &Shelf, place: &dyn TargetPlace, target: &dyn Target, jobs: usize) {
    let mut plan = Plan::discover(source.wanted(Some(target)), &with_referrers(), jobs);
    plan.drop_failed();
    let report = plan.seal().execute(place, jobs, &Silent).unwrap();
    assert!(report.is_complete(), "{:?}", report.failures);
}

/// Writes an archive, in place of one that is there, and returns its bytes.
pub(crate) fn archive(source: &Shelf, path: &Path, jobs: usize) -> Vec<u8> {
    let writer = ArchiveWriter::replacing(path).unwrap();
    write(source, &writer, &writer.whole(), jobs);
    std::fs::read(path).unwrap()
}

/// Writes an archive into a pipe, and returns what went through it.
pub(crate) fn pipe(source: &Shelf, jobs: usize) -> Vec<u8> {
    let pipe = Pipe::default();
    let stream = ArchiveStream::new(Box::new(pipe.clone()));
    write(source, &stream, &stream.whole(), jobs);
    pipe.0.lock().unwrap().clone()
}

/// What is written stays in hand.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Pipe {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(buffer)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_archive_has_the_same_bytes_whatever_the_jobs_and_in_a_pipe() {
    let contents = [typed(), graph(1, 30), graph(2, 30), graph(3, 5)];
    for source in contents.map(Shelf::new) {
        let directory = tempfile::tempdir().unwrap();
        let path = |jobs| directory.path().join(format!("{jobs}.tar"));
        let first = archive(&source, &path(1), 1);
        for jobs in [2, 16] {
            assert!(archive(&source, &path(jobs), jobs) == first, "{jobs} jobs");
        }
        assert!(pipe(&source, 4) == first, "a pipe");
    }
}

#[test]
fn what_went_through_a_directory_and_an_archive_is_what_it_was() {
    let source = Shelf::new(typed());
    let directory = tempfile::tempdir().unwrap();
    let layout = Directory::create(directory.path().join("layout")).unwrap();
    write(&source, &layout, &layout.whole(), 4);
    let path = directory.path().join("layout.tar");
    let writer = ArchiveWriter::new(&path).unwrap();
    let view = layout.whole();
    let target = writer.whole();
    let wanted = |Root { descriptor, names }| CopyItem {
        source: &view,
        request: RootRequest::Listed(descriptor),
        target: Some(&target),
        names,
        filter: None,
    };
    let wanted = view.roots().unwrap().into_iter().map(wanted).collect();
    let plan = Plan::discover(wanted, &Filter::default(), 4).seal();
    assert!(plan.execute(&writer, 4, &Silent).unwrap().is_complete());

    let archive = Archive::open(&path, &ArchiveOptions::default()).unwrap();
    let stored: BTreeSet<_> = archive.blob_digests().unwrap().into_iter().collect();
    for entry in &source.content.entries {
        let closure = closure(&source.content, entry);
        assert!(closure.is_subset(&stored));
        let Some(name) = name(entry) else { continue };
        let found = archive.whole().head(&name.into()).unwrap();
        assert_eq!(found.digest, entry.digest);
    }
    assert_eq!(archive.whole().names().unwrap(), source.names().unwrap());
}

#[test]
fn what_a_registry_takes_over_from_itself_is_not_moved() {
    let mut source = Shelf::new(graph(6, 10));
    let (registry, repository) = ("registry.example.invalid".to_owned(), repository_name());
    source.location = Some(MountSource { registry, repository });
    let target = Watched::new(Order::LargestFirst);
    let report = copy(&source, &target, &Filter::default(), 4);
    assert!(report.is_complete());
    let pushed: BTreeSet<_> = target.pushed().into_iter().collect();
    let manifests = pushed.iter().filter(|digest| target.content(digest).is_some()).count();
    assert_eq!(report.moved, manifests as u64);
    assert_eq!(report.existed, (pushed.len() - manifests) as u64);
}

#[test]
fn an_archive_of_which_something_is_missing_does_not_appear_and_goes_on_later() {
    let whole = Shelf::new(graph(4, 20));
    let digest = whole
        .content
        .blobs
        .iter()
        .filter(|(_, raw)| longshore_spec::Manifest::media_type_of(raw).is_err())
        .max_by_key(|(_, raw)| raw.len())
        .map(|(digest, _)| digest.clone())
        .unwrap();
    let broken = whole.clone().with_fault(&digest, Fault::Flipped);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layout.tar");
    {
        let writer = ArchiveWriter::new(&path).unwrap();
        let target = writer.whole();
        let plan = Plan::discover(broken.wanted(Some(&target)), &with_referrers(), 4).seal();
        let report = plan.execute(&writer, 4, &Silent).unwrap();
        assert!(report.roots.iter().any(|root| root.outcome == Outcome::Failed));
        assert!(!path.exists());
    }
    let writer = ArchiveWriter::new(&path).unwrap();
    let target = writer.whole();
    let plan = Plan::discover(whole.wanted(Some(&target)), &with_referrers(), 4).seal();
    let report = plan.execute(&writer, 4, &Silent).unwrap();
    assert!(report.is_complete() && report.existed > 0);
    drop(plan);
    let again = archive(&whole, &directory.path().join("again.tar"), 1);
    assert!(std::fs::read(&path).unwrap() == again);
}

/// Keeps how much is told to be there, and how much comes.
#[derive(Debug, Default)]
struct Counted {
    there: Mutex<Vec<u64>>,
    came: std::sync::atomic::AtomicU64,
}

impl longshore_sync::Observer for Counted {
    fn resumed(&self, there: u64) {
        self.there.lock().unwrap().push(there);
    }

    fn advanced(&self, bytes: u64) {
        self.came.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn what_is_there_is_told_before_the_work_begins() {
    let scene = tempfile::tempdir().unwrap();
    let source = Shelf::new(graph(3, 20));
    let directory = Directory::create(scene.path().join("site")).unwrap();
    let whole = directory.whole();
    let run = || {
        let plan = Plan::discover(source.wanted(Some(&whole)), &Filter::default(), 2).seal();
        let counted = Counted::default();
        plan.execute(&directory, 2, &counted).unwrap();
        (plan.size().bytes, counted.there.into_inner().unwrap(), counted.came.into_inner())
    };
    let (all, there, came) = run();
    assert_eq!((there, came), (vec![0], all));
    let (all, there, came) = run();
    assert_eq!((there, came), (vec![all], 0));
}
