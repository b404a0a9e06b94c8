//! Work that is ended before it is done.

use std::sync::atomic::{AtomicU64, Ordering};

use longshore_fixture::artifacts;
use longshore_store::{Error, Order};
use longshore_sync::{Filter, Observer, Outcome, Plan, Silent};

use crate::support::{Shelf, Watched, named};

/// Ends the work when so many bytes have come.
struct After {
    bytes: u64,
    came: AtomicU64,
}

impl After {
    fn new(bytes: u64) -> Self {
        Self { bytes, came: AtomicU64::new(0) }
    }
}

impl Observer for After {
    fn is_cancelled(&self) -> bool {
        self.came.load(Ordering::Relaxed) >= self.bytes
    }

    fn advanced(&self, bytes: u64) {
        self.came.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[test]
fn what_is_cancelled_ends_in_every_order_and_the_next_run_goes_on() {
    for order in [Order::LargestFirst, Order::Outline, Order::Sequence] {
        for bytes in [0, 1, 300] {
            let source = Shelf::of(|content| artifacts::image(content, 1));
            let target = Watched::new(order);
            let plan = Plan::discover(source.wanted(Some(&target)), &Filter::default(), 2).seal();
            let report = plan.execute(&target, 2, &After::new(bytes)).unwrap();
            assert!(!report.is_complete());
            assert!(report.failures.iter().all(|of| matches!(*of.error, Error::Cancelled)));
            assert!(!report.failures.is_empty());
            assert_eq!(named(&report, Outcome::Failed), ["app"]);
            // A pipe is given names first, and is not ended.
            assert!(order == Order::Sequence || target.names().is_empty());
            assert_eq!(target.committed(), [false]);
            if order != Order::Sequence {
                let again = plan.execute(&target, 2, &Silent).unwrap();
                assert!(again.is_complete());
            }
        }
    }
}

#[test]
fn what_was_not_looked_into_fails() {
    let source = Shelf::of(|content| artifacts::image(content, 1));
    let observer = After::new(0);
    let plan = Plan::discover_for(source.wanted(None), &Filter::default(), 2, &observer).seal();
    let [failure] = plan.failures() else { panic!("{:?}", plan.failures()) };
    assert!(matches!(*failure.error, Error::Cancelled));
}

#[test]
fn a_verification_that_is_cancelled_says_so_once() {
    let source = Shelf::of(|content| artifacts::image(content, 1));
    let plan = Plan::discover(source.wanted(None), &Filter::default(), 2).seal();
    let observer = After::new(0);
    let report = plan.verify(2, &observer);
    let [failure] = &report.failures[..] else { panic!("{:?}", report.failures) };
    assert!(matches!(*failure.error, Error::Cancelled));
    assert_eq!(named(&report, Outcome::Failed), ["app"]);
}
