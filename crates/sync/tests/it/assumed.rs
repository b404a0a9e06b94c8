//! Plans that take content for granted.

use std::collections::BTreeSet;

use longshore_fixture::graph;
use longshore_spec::{Digest, Role};
use longshore_store::Order;
use longshore_sync::{Filter, Outcome, Plan, Silent};

use crate::support::{Shelf, Watched, closure, name};

#[test]
fn what_is_assumed_is_not_brought_and_what_needs_it_gets_no_name() {
    for seed in [3, 5, 7, 11] {
        let source = Shelf::new(graph(seed, 30));
        for order in [Order::LargestFirst, Order::Sequence] {
            let target = Watched::new(order);
            let plan =
                || Plan::discover(source.wanted(Some(&target)), &Filter::default(), 4).seal();
            let all = plan().outline();
            let blobs = all.nodes().iter().filter(|node| node.role != Role::Manifest);
            let assumed: BTreeSet<Digest> =
                blobs.step_by(3).map(|node| node.digest.clone()).collect();
            let mut plan = plan();
            plan.assume(|digest| assumed.contains(digest));
            let report = plan.execute(&target, 4, &Silent).unwrap();
            assert!(report.is_complete());
            let pushed: BTreeSet<Digest> = target.pushed().into_iter().collect();
            let left: BTreeSet<Digest> =
                plan.assumed().into_iter().map(|node| node.digest).collect();
            assert!(left.is_subset(&assumed) && pushed.is_disjoint(&left));
            let both: BTreeSet<Digest> = pushed.union(&left).cloned().collect();
            let needed: BTreeSet<Digest> =
                all.nodes().iter().map(|node| node.digest.clone()).collect();
            assert_eq!(both, needed, "nothing is forgotten");
            let is_whole = |closure: &BTreeSet<Digest>| closure.is_disjoint(&left);
            let entries = source.content.entries.iter();
            let whole = entries.filter(|entry| is_whole(&closure(&source.content, entry)));
            let expected: BTreeSet<_> = whole.filter_map(name).collect();
            assert_eq!(target.names(), expected);
            for (number, root) in report.roots.iter().enumerate() {
                assert_eq!(root.outcome, Outcome::Done);
                let entry = &source.content.entries[number];
                assert_eq!(plan.is_partial(number), !is_whole(&closure(&source.content, entry)));
            }
        }
    }
}

#[test]
fn nothing_is_read_of_what_is_assumed_when_the_rest_is_verified() {
    let source = Shelf::new(graph(3, 30));
    let mut plan = Plan::discover(source.wanted(None), &Filter::default(), 4).seal();
    let all = plan.size().bytes;
    plan.assume(|_| true);
    let assumed: u64 = plan.assumed().iter().map(|node| node.size).sum();
    let report = plan.verify(2, &Silent);
    assert!(report.failures.is_empty());
    assert_eq!((report.bytes, plan.size().bytes), (0, all - assumed));
}

#[test]
fn what_is_assumed_may_be_read_from_elsewhere() {
    let (source, elsewhere) = (Shelf::new(graph(3, 30)), Shelf::new(graph(3, 30)));
    let blobs: Vec<_> = source.content.blobs.keys().cloned().collect();
    let target = Watched::new(Order::LargestFirst);
    let mut lacking = Shelf::new(graph(3, 30));
    let plan = Plan::discover(source.wanted(None), &Filter::default(), 1).seal();
    let outline = plan.outline();
    for node in outline.nodes().iter().filter(|node| node.role != Role::Manifest) {
        lacking.content.blobs.remove(&node.digest);
    }
    let mut plan = Plan::discover(lacking.wanted(Some(&target)), &Filter::default(), 4).seal();
    plan.read_from(|digest, _| blobs.contains(digest).then_some(&elsewhere));
    assert!(plan.execute(&target, 4, &Silent).unwrap().is_complete());
}
