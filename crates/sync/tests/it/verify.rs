//! Proving that every byte is there.

use std::path::PathBuf;

use longshore_fixture::{artifacts, broken, catalog, graph};
use longshore_layout::{Archive, ArchiveOptions, Directory};
use longshore_store::{Root, Source};
use longshore_sync::{CopyItem, Filter, Outcome, Plan, Report, RootRequest, Silent};

use crate::support::{Fault, Shelf, closure};

enum Layout {
    Directory(Directory),
    Archive(Archive),
}

impl Layout {
    fn open(path: PathBuf) -> longshore_store::Result<Self> {
        if path.is_dir() {
            Directory::open(path).map(Self::Directory)
        } else {
            Archive::open(path, &ArchiveOptions::default()).map(Self::Archive)
        }
    }

    fn whole(&self) -> Box<dyn Source + '_> {
        match self {
            Self::Directory(directory) => Box::new(directory.whole()),
            Self::Archive(archive) => Box::new(archive.whole()),
        }
    }
}

/// Verifies all that a layout lists; returns whether it is whole.
fn is_whole(view: &dyn Source, filter: &Filter) -> (bool, Report, Vec<String>) {
    let roots = view.roots().unwrap().into_iter();
    let wanted = roots.map(|Root { descriptor, names }| CopyItem {
        source: view,
        request: RootRequest::Listed(descriptor),
        target: None,
        names,
        filter: None,
    });
    let plan = Plan::discover(wanted.collect(), filter, 2).seal();
    let report = plan.verify(2, &Silent);
    let texts = plan.failures().iter().chain(&report.failures).map(ToString::to_string).collect();
    (plan.failures().is_empty() && report.is_complete(), report, texts)
}

#[test]
fn fixtures_without_a_fault_are_whole() {
    let directory = tempfile::tempdir().unwrap();
    for fixture in catalog().into_iter().filter(|fixture| !fixture.fault) {
        let layout = Layout::open(fixture.write(directory.path()).unwrap()).unwrap();
        // One holds a layer that nobody can prove, which is no fault of the layout.
        let filter = Filter { allow_unverified: true, ..Filter::default() };
        let (whole, report, texts) = is_whole(&*layout.whole(), &filter);
        assert!(whole, "{}: {texts:?}", fixture.name);
        let listed = report.roots.iter().all(|root| root.outcome == Outcome::Done);
        assert!(listed, "{}", fixture.name);
    }
}

#[test]
fn fixtures_with_a_fault_are_refused_or_reported() {
    // These are not broken as far as their bytes go.
    const WHOLE: [&str; 1] = ["layout-two-entries-one-name"];
    let directory = tempfile::tempdir().unwrap();
    for fixture in broken::all().into_iter().filter(|fixture| fixture.fault) {
        let Ok(layout) = Layout::open(fixture.write(directory.path()).unwrap()) else { continue };
        let (whole, report, texts) = is_whole(&*layout.whole(), &Filter::default());
        assert_eq!(whole, WHOLE.contains(&fixture.name), "{}: {texts:?}", fixture.name);
        if !whole {
            assert!(report.roots.iter().any(|root| root.outcome == Outcome::Failed));
            assert!(!texts.is_empty(), "{}", fixture.name);
        }
    }
}

#[test]
fn what_is_wrong_is_named_with_every_root_that_it_breaks() {
    let source = Shelf::new(graph(9, 25));
    for fault in [Fault::Flipped, Fault::Cut, Fault::Gone, Fault::Unreadable] {
        for (digest, raw) in &source.content.blobs {
            if longshore_spec::Manifest::media_type_of(raw).is_ok() {
                continue;
            }
            let source = source.clone().with_fault(digest, fault);
            let plan = Plan::discover(source.wanted(None), &Filter::default(), 2).seal();
            let report = plan.verify(3, &Silent);
            let [failure] = &report.failures[..] else { panic!("{:?}", report.failures) };
            assert_eq!(failure.subject, digest.to_string());
            for (entry, root) in source.content.entries.iter().zip(&report.roots) {
                let needs = closure(&source.content, entry).contains(digest);
                assert_eq!(root.outcome == Outcome::Failed, needs);
            }
        }
    }
}

#[test]
fn every_byte_is_read_once() {
    let source = Shelf::new(graph(9, 25));
    let plan = Plan::discover(source.wanted(None), &Filter::default(), 2).seal();
    for jobs in [0, 1, 4] {
        let report = plan.verify(jobs, &Silent);
        let size = plan.size();
        let is_manifest = |raw: &bytes::Bytes| longshore_spec::Manifest::media_type_of(raw).is_ok();
        let reached = source.content.entries.iter().flat_map(|it| closure(&source.content, it));
        let reached: std::collections::BTreeSet<_> = reached.collect();
        let manifests: u64 = reached
            .iter()
            .map(|digest| &source.content.blobs[digest])
            .filter(|raw| is_manifest(raw))
            .map(|raw| raw.len() as u64)
            .sum();
        assert_eq!((report.moved, report.bytes), (size.nodes, size.bytes - manifests));
    }
}

#[test]
fn a_manifest_by_an_algorithm_that_nobody_knows_is_a_failure() {
    let mut source = Shelf::of(|content| artifacts::image(content, 1));
    source.content.entries[0].digest = "foo:bar".parse().unwrap();
    let raw = source.content.blobs.values().next().unwrap().clone();
    source.content.blobs.insert("foo:bar".parse().unwrap(), raw);
    source.content.entries[0].size = source.content.blobs.values().next().unwrap().len() as u64;
    let plan = Plan::discover(source.wanted(None), &Filter::default(), 2).seal();
    assert_eq!(plan.roots()[0].outcome, Outcome::Failed);
    assert_eq!(plan.failures().len(), 1);
}
