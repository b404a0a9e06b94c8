//! What holds for every graph.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use longshore_fixture::graph;
use longshore_spec::{Descriptor, Digest, Manifest};
use longshore_store::{Name, Order};
use longshore_sync::{Filter, Outcome, Plan, Report, Silent};
use proptest::prelude::*;

use crate::support::{Fault, Shelf, Watched, closure, copy, name, with_referrers};

const ORDERS: [Order; 3] = [Order::LargestFirst, Order::Outline, Order::Sequence];
const JOBS: [usize; 4] = [0, 1, 2, 8];

/// Checks that exactly the roots that need `digest` failed, and that none of them has a name.
fn check_fault(source: &Shelf, target: &Watched, report: &Report, digest: &Digest) {
    let needs = |entry: &Descriptor| closure(&source.content, entry).contains(digest);
    for (entry, root) in source.content.entries.iter().zip(&report.roots) {
        let expected = if needs(entry) { Outcome::Failed } else { Outcome::Done };
        assert_eq!(root.outcome, expected, "{entry:?}");
    }
    let whole = source.content.entries.iter().filter(|entry| !needs(entry));
    let whole: BTreeSet<Name> = whole.filter_map(name).collect();
    assert_eq!(target.names(), whole);
    let complete = source.content.entries.iter().all(|entry| !needs(entry));
    assert_eq!(target.committed(), [complete]);
}

fn pick(source: &Shelf, at: usize) -> (Digest, usize) {
    let all: BTreeSet<Digest> =
        source.content.entries.iter().flat_map(|entry| closure(&source.content, entry)).collect();
    let digest = all.iter().nth(at % all.len()).expect("a graph holds something").clone();
    let size = source.content.blobs[&digest].len();
    (digest, size)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_of_it_comes_byte_for_byte_and_once(seed: u64, size in 1_usize..30, jobs in 0..JOBS.len()) {
        let source = Shelf::new(graph(seed, size));
        let target = Watched::new(Order::LargestFirst);
        let report = copy(&source, &target, &with_referrers(), JOBS[jobs]);
        prop_assert!(report.is_complete(), "{:?}", report.failures);
        for entry in &source.content.entries {
            for digest in closure(&source.content, entry) {
                let content = target.content(&digest);
                prop_assert_eq!(content.as_deref(), Some(&source.content.blobs[&digest][..]));
            }
        }
        prop_assert_eq!(target.names(), source.content.entries.iter().filter_map(name).collect());

        let again = copy(&source, &target, &with_referrers(), JOBS[jobs]);
        prop_assert_eq!((again.moved, again.bytes, again.is_complete()), (0, 0, true));
        prop_assert_eq!(again.existed, report.moved);
    }

    #[test]
    fn the_outline_depends_on_the_content_alone(seed: u64, size in 1_usize..40) {
        let source = Shelf::new(graph(seed, size));
        let outline = |jobs: usize, reversed: bool| {
            let mut wanted = source.wanted(None);
            if reversed {
                wanted.reverse();
            }
            let plan = Plan::discover(wanted, &with_referrers(), jobs).seal();
            assert!(plan.failures().is_empty(), "{:?}", plan.failures());
            let outline = plan.outline();
            (outline.nodes().to_vec(), outline.roots().to_vec())
        };
        let first = outline(1, false);
        for (jobs, reversed) in [(2, false), (8, false), (1, true), (8, true)] {
            prop_assert_eq!(&outline(jobs, reversed), &first);
        }
    }

    #[test]
    fn a_fault_of_the_source_fails_what_needs_it_and_nothing_else(
        seed: u64, size in 1_usize..30, at: usize, fault in 0..4_usize, jobs in 0..JOBS.len(),
    ) {
        let source = Shelf::new(graph(seed, size));
        let (digest, _) = pick(&source, at);
        let faults = [Fault::Unreadable, Fault::Flipped, Fault::Cut, Fault::Gone];
        let is_manifest = Manifest::media_type_of(&source.content.blobs[&digest]).is_ok();
        // A manifest that is gone may be left out, which is another test.
        let fault = if is_manifest { faults[fault % 3] } else { faults[fault] };
        let source = source.with_fault(&digest, fault);
        let target = Watched::new(Order::Outline);
        let plan = Plan::discover(source.wanted(Some(&target)), &Filter::default(), JOBS[jobs]).seal();
        let report = plan.execute(&target, JOBS[jobs], &Silent).unwrap();
        check_fault(&source, &target, &report, &digest);
        let failures: Vec<_> = plan.failures().iter().chain(&report.failures).collect();
        prop_assert!(!failures.is_empty());
        for failure in failures {
            prop_assert!(failure.to_string().contains(&digest.to_string()), "{failure}");
            prop_assert_eq!(failure.side, longshore_sync::Side::Source);
        }
    }

    #[test]
    fn a_fault_of_the_target_fails_what_needs_it_and_nothing_else(
        seed: u64, size in 1_usize..30, at: usize, jobs in 0..JOBS.len(),
    ) {
        let source = Shelf::new(graph(seed, size));
        let (digest, _) = pick(&source, at);
        let mut target = Watched::new(Order::LargestFirst);
        target.refused = Some(digest.clone());
        let report = copy(&source, &target, &Filter::default(), JOBS[jobs]);
        check_fault(&source, &target, &report, &digest);
        prop_assert_eq!(report.failures.len(), 1);
        prop_assert_eq!(report.failures[0].side, longshore_sync::Side::Target);
    }

    #[test]
    fn children_come_before_what_refers_to_them(
        seed: u64, size in 1_usize..30, order in 0..ORDERS.len(), jobs in 0..JOBS.len(),
    ) {
        let source = Shelf::new(graph(seed, size));
        let target = Watched::new(ORDERS[order]);
        let report = copy(&source, &target, &with_referrers(), JOBS[jobs]);
        prop_assert!(report.is_complete());
        let pushed = target.pushed();
        let mut first: BTreeMap<&Digest, usize> = BTreeMap::new();
        for (at, digest) in pushed.iter().enumerate() {
            first.entry(digest).or_insert(at);
        }
        if ORDERS[order] == Order::Sequence {
            let plan = Plan::discover(source.wanted(None), &with_referrers(), 1).seal();
            let mut seen = HashSet::new();
            let once: Vec<_> = pushed.iter().filter(|digest| seen.insert(*digest)).collect();
            let outline = plan.outline();
            prop_assert!(once.into_iter().eq(outline.nodes().iter().map(|node| &node.digest)));
            return Ok(());
        }
        for (digest, raw) in &source.content.blobs {
            let Ok(media_type) = Manifest::media_type_of(raw) else { continue };
            let descriptor = Descriptor::new(media_type, digest.clone(), raw.len() as u64);
            for (_, child) in Manifest::parse(raw.clone(), descriptor).unwrap().children() {
                prop_assert!(first[&child.digest] < first[digest]);
            }
        }
    }
}
