//! Many threads: panics, and what an observer is told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_fixture::graph;
use longshore_spec::Digest;
use longshore_store::{Name, Order};
use longshore_sync::{Failure, Filter, Observer, Outcome, Plan, Silent};

use crate::support::{Shelf, Watched, closure, name};

#[test]
fn a_target_that_panics_does_not_leave_the_others_waiting() {
    let source = Shelf::new(graph(7, 20));
    let blob = source.content.blobs.keys().next().unwrap().clone();
    for order in [Order::LargestFirst, Order::Sequence] {
        for jobs in [1, 2, 8] {
            let mut target = Watched::new(order);
            target.deadly = Some(blob.clone());
            let plan = Plan::discover(source.wanted(Some(&target)), &Filter::default(), jobs);
            let run = || plan.execute(&target, Vec::new(), jobs, &Silent);
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

    fn finished(&self, digest: &Digest, _: u64) {
        self.finished.lock().unwrap().push(digest.clone());
    }

    fn existed(&self, digest: &Digest, size: u64) {
        self.there_before.fetch_add(size, Ordering::Relaxed);
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
    for order in [Order::LargestFirst, Order::Sequence] {
        let target = Watched::new(order);
        let plan = Plan::discover(source.wanted(Some(&target)), &Filter::default(), 4);
        for run in 0..2 {
            let told = Told::default();
            let report = plan.execute(&target, Vec::new(), 4, &told).unwrap();
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
    let plan = Plan::discover(source.wanted(None), &Filter::default(), 4);
    let told = Told::default();
    plan.verify(4, &told);
    assert_eq!(told.bytes.into_inner(), plan.size().bytes);
}

#[test]
fn a_sequence_that_breaks_off_has_names_for_nothing_and_fails_what_is_not_whole() {
    let source = Shelf::new(graph(11, 12));
    let plan = Plan::discover(source.wanted(None), &Filter::default(), 1);
    let outline = plan.outline(Vec::new());
    let last = outline.nodes().last().unwrap().digest.clone();
    let mut target = Watched::new(Order::Sequence);
    target.refused = Some(last.clone());
    let told = Told::default();
    let plan = Plan::discover(source.wanted(Some(&target)), &Filter::default(), 1);
    let report = plan.execute(&target, Vec::new(), 1, &told).unwrap();
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
        let is_manifest =
            longshore_spec::Manifest::media_type_of(&source.content.blobs[&digest]).is_ok();
        if !is_manifest {
            source = source.with_fault(&digest, crate::support::Fault::Flipped);
        }
    }
    let failures = |jobs| {
        let target = Watched::new(Order::LargestFirst);
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
