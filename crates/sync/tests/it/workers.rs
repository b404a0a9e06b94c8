//! Many threads: panics, and what an observer is told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use longshore_fixture::{Content, Draft, graph};
use longshore_spec::{Descriptor, Digest, Manifest, MediaType, RepositoryName, Role};
use longshore_store::{
    Blob, Entry, Held, Memory, Name, Order, Place as _, Pushed, Result, Target, TargetPlace,
};
use longshore_sync::{Arrival, Failure, Filter, Observer, Outcome, Plan, Silent};

use crate::support::{Shelf, Watched, closure, name, repository_name};

#[test]
fn a_target_that_panics_does_not_leave_the_others_waiting() {
    let source = Shelf::new(graph(7, 20));
    let blob = source.content.blobs.keys().next().unwrap().clone();
    let manifest = source.content.entries[0].digest.clone();
    let deadly = [(blob, 1), (manifest, 4)];
    for order in [Order::LargestFirst, Order::Sequence] {
        for (jobs, (deadly, writers)) in
            [1, 2, 8].into_iter().flat_map(|jobs| deadly.clone().map(|deadly| (jobs, deadly)))
        {
            let mut target = Watched::new(order);
            (target.deadly, target.writers) = (Some(deadly), writers);
            let plan =
                Plan::discover(source.wanted(Some(&target)), &Filter::default(), jobs).seal();
            let run = || plan.execute(&target, jobs, &Silent);
            let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("the panic comes through");
            let text = panic.downcast_ref::<String>().expect("it is the panic of the target");
            assert!(text.contains("the target panics"), "{text}");
        }
    }
}

#[derive(Default)]
struct Told {
    bytes: AtomicU64,
    there_before: AtomicU64,
    finished: Mutex<Vec<Digest>>,
    named: Mutex<Vec<Name>>,
    failed: Mutex<Vec<String>>,
}

impl Observer for Told {
    fn advanced(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn finished(&self, digest: &Digest, size: u64, arrival: Arrival) {
        if arrival == Arrival::Existed {
            self.there_before.fetch_add(size, Ordering::Relaxed);
        }
        self.finished.lock().unwrap().push(digest.clone());
    }

    fn named(&self, names: &[Name], _: &Digest) {
        self.named.lock().unwrap().extend_from_slice(names);
    }

    fn failed(&self, failure: &Failure) {
        self.failed.lock().unwrap().push(failure.to_string());
    }
}

#[test]
fn progress_adds_up_to_the_size_of_the_plan() {
    let source = Shelf::new(graph(3, 30));
    for (order, writers) in
        [(Order::LargestFirst, 1), (Order::LargestFirst, 4), (Order::Sequence, 1)]
    {
        let mut target = Watched::new(order);
        target.writers = writers;
        let plan = Plan::discover(source.wanted(Some(&target)), &Filter::default(), 4).seal();
        for run in 0..2 {
            let told = Told::default();
            let report = plan.execute(&target, 4, &told).unwrap();
            let bytes = told.bytes.into_inner();
            assert_eq!(bytes, report.bytes);
            assert_eq!(bytes + told.there_before.into_inner(), plan.size().bytes, "run {run}");
            assert_eq!(told.finished.into_inner().unwrap().len() as u64, plan.size().nodes);
            assert_eq!(report.moved + report.existed, plan.size().nodes);
            let mut named = told.named.into_inner().unwrap();
            named.sort();
            let mut expected: Vec<_> = source.content.entries.iter().filter_map(name).collect();
            expected.sort();
            assert_eq!(named, expected);
        }
    }
}

#[test]
fn a_check_tells_of_every_byte_too() {
    let source = Shelf::new(graph(3, 30));
    let plan = Plan::discover(source.wanted(None), &Filter::default(), 4).seal();
    let told = Told::default();
    plan.verify(4, &told);
    assert_eq!(told.bytes.into_inner(), plan.size().bytes);
}

#[test]
fn a_sequence_that_breaks_off_has_names_for_nothing_and_fails_what_is_not_whole() {
    let source = Shelf::new(graph(11, 12));
    let plan = Plan::discover(source.wanted(None), &Filter::default(), 1).seal();
    let outline = plan.outline();
    let last = outline.nodes().last().unwrap().digest.clone();
    let mut target = Watched::new(Order::Sequence);
    target.refused = Some(last.clone());
    let told = Told::default();
    let plan = Plan::discover(source.wanted(Some(&target)), &Filter::default(), 1).seal();
    let report = plan.execute(&target, 1, &told).unwrap();
    assert!(told.named.into_inner().unwrap().is_empty());
    assert_eq!(told.failed.into_inner().unwrap().len(), 1);
    for (entry, root) in source.content.entries.iter().zip(&report.roots) {
        let needs = closure(&source.content, entry).contains(&last);
        assert_eq!(root.outcome, if needs { Outcome::Failed } else { Outcome::Done });
    }
    assert_eq!(target.committed(), [false]);
}

#[test]
fn failures_come_in_the_same_order_whatever_the_threads_do() {
    let mut source = Shelf::new(graph(5, 30));
    for digest in source.content.blobs.keys().step_by(3).cloned().collect::<Vec<_>>() {
        let is_manifest = Manifest::media_type_of(&source.content.blobs[&digest]).is_ok();
        if !is_manifest {
            source = source.with_fault(&digest, crate::support::Fault::Flipped);
        }
    }
    let failures = |jobs| {
        let mut target = Watched::new(Order::LargestFirst);
        target.writers = jobs;
        crate::support::texts(
            &crate::support::copy(&source, &target, &Filter::default(), jobs).failures,
        )
    };
    let first = failures(1);
    assert!(first.len() > 3);
    for jobs in [2, 8, 8, 8] {
        assert_eq!(failures(jobs), first);
    }
}

/// A target that holds manifests back until several are written at once.
#[derive(Debug, Default)]
struct Gate {
    memory: Memory,
    waiting: Mutex<usize>,
    changed: Condvar,
}

/// So many manifests are written at once.
const WRITERS: usize = 5;

/// A target that waits longer waits for ever.
const PATIENCE: Duration = Duration::from_mins(1);

impl TargetPlace for Gate {
    fn target(&self, name: &RepositoryName) -> Result<Box<dyn Target + '_>> {
        self.memory.target(name)
    }

    fn writers(&self, _: usize) -> usize {
        WRITERS
    }
}

impl Target for Gate {
    fn held(&self, descriptor: &Descriptor, role: Role) -> Result<Held> {
        self.memory.repository(&repository_name())?.held(descriptor, role)
    }

    fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        self.memory.repository(&repository_name())?.push_blob(blob)
    }

    fn push_manifest(&self, manifest: &Manifest, entry: Entry<'_>) -> Result<Pushed> {
        let mut waiting = self.waiting.lock().unwrap();
        *waiting += 1;
        self.changed.notify_all();
        let is_alone = |waiting: &mut usize| *waiting < WRITERS;
        let waited = self.changed.wait_timeout_while(waiting, PATIENCE, is_alone).unwrap();
        assert!(!waited.1.timed_out(), "no other manifest comes");
        drop(waited);
        self.memory.repository(&repository_name())?.push_manifest(manifest, entry)
    }

    fn list(&self, descriptor: &Descriptor, names: &[Name]) -> Result<()> {
        self.memory.repository(&repository_name())?.list(descriptor, names)
    }
}

#[test]
fn a_place_that_wants_many_writers_gets_many_manifests_at_once_from_few_jobs() {
    let mut content = Content::new();
    let layer = content.blob(MediaType::LAYER_TAR, "layer");
    content.empty();
    for number in 0..20 {
        let draft = Draft::artifact("a/b", std::slice::from_ref(&layer));
        let manifest = content.manifest(&draft.annotation("number", &number.to_string()));
        content.tag(&manifest, &format!("v{number}"));
    }
    let source = Shelf::new(content);
    let target = Gate::default();
    let plan = Plan::discover(source.wanted(Some(&target)), &Filter::default(), 1).seal();
    let report = plan.execute(&target, 1, &Silent).unwrap();
    assert!(report.is_complete(), "{report:?}");
}
