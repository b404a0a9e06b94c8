//! Verifying a plan: every byte is there and hashes right.

use std::io::Read as _;
use std::sync::atomic::{AtomicU32, Ordering};

use longshore_store::Error;
use rayon::prelude::*;

use crate::plan::{Node, State};
use crate::transfer::Transfer;
use crate::{Action, Arrival, Failure, Observer, Plan, Report, SealedPlan, Side};

/// How much is read and hashed at once.
const PIECE: usize = 256 << 10;

impl SealedPlan<'_> {
    /// Reads and hashes all blobs of the plan in their sources, the largest first, on up to `jobs` threads.
    /// Manifests were hashed when they were discovered. What is assumed is not looked at.
    pub fn verify(&self, jobs: usize, observer: &dyn Observer) -> Report {
        let mut report = Report { unplanned: self.failures.len(), ..Report::default() };
        let wholes = Wholes::new(self, observer);
        for (number, node) in (0..).zip(&self.nodes) {
            if node.state == State::Manifest {
                observer.advanced(node.size);
                observer.finished(&node.digest, node.size, Arrival::Moved);
                report.moved += 1;
                wholes.proven(number);
            }
        }
        let mut blobs: Vec<u32> = self.numbers(|node| node.state == State::Blob);
        blobs.retain(|number| !self.is_assumed(*number));
        let node = |number: &u32| &self.nodes[*number as usize];
        blobs.sort_unstable_by(|a, b| {
            let (a, b) = (node(a), node(b));
            b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest))
        });
        let check = |number: &u32| {
            let checked = self.check(node(number), observer);
            if checked.is_ok() {
                wholes.proven(*number);
            }
            (*number, checked)
        };
        let checked: Vec<(u32, Result<u64, Failure>)> = match pool(jobs) {
            // One blob a task: they are large, and unequal.
            Some(pool) => pool.install(|| blobs.par_iter().with_max_len(1).map(check).collect()),
            None => blobs.iter().map(check).collect(),
        };
        let mut broken = self.numbers(|node| node.state == State::Broken);
        let mut was_cancelled = false;
        for (number, result) in checked {
            let digest = &node(&number).digest;
            match result {
                Ok(read) => {
                    report.moved += 1;
                    report.bytes += read;
                    if self.allow_unverified && digest.hasher().is_none() {
                        report.unverified.push(digest.clone());
                    }
                }
                Err(failure) => {
                    broken.push(number);
                    // Every thread ends with this; one report of it is enough.
                    let is_cancelled = matches!(*failure.error, Error::Cancelled);
                    if !is_cancelled || !std::mem::replace(&mut was_cancelled, true) {
                        report.failures.push(failure);
                    }
                }
            }
        }
        report.sort();
        report.roots = self.roots_where(&self.without_under(&self.parents, broken));
        report
    }
}

impl Plan<'_> {
    /// Reads and hashes one blob; returns how many bytes were read from its source.
    pub(super) fn check(&self, node: &Node, observer: &dyn Observer) -> Result<u64, Failure> {
        let source = self.sources[node.source as usize];
        observer.began(None, &node.digest, node.size);
        let transfer = Transfer::new(source, node.descriptor(), observer, self.allow_unverified);
        let result = longshore_store::Blob::open(&transfer, None).and_then(|mut reader| {
            let mut buffer = vec![0; usize::try_from(node.size).unwrap_or(PIECE).clamp(1, PIECE)];
            while reader.read(&mut buffer).map_err(Error::io("read", &node.digest))? > 0 {}
            Ok(())
        });
        match result {
            Ok(()) => {
                observer.finished(&node.digest, node.size, Arrival::Moved);
                Ok(transfer.read())
            }
            Err(error) => {
                let subject = node.digest.to_string();
                let failure = Failure::new(Side::Source, Action::Check, subject, error);
                observer.failed(&failure);
                Err(failure)
            }
        }
    }
}

/// Tells the observer of each root as soon as its closure is verified.
struct Wholes<'v, 'p> {
    plan: &'v SealedPlan<'p>,
    observer: &'v dyn Observer,
    /// Pairs of a node and a root that it is, by number, sorted.
    roots: Vec<(u32, u32)>,
    /// How much of each node is not verified yet: its own content counts 1, and so does each child.
    waiting: Vec<AtomicU32>,
}

impl<'v, 'p> Wholes<'v, 'p> {
    fn new(plan: &'v SealedPlan<'p>, observer: &'v dyn Observer) -> Self {
        let is_there = |child: &&u32| plan.nodes[**child as usize].state != State::Absent;
        let waiting = (0..).take(plan.nodes.len()).map(|node| {
            let children = plan.children(node).iter().filter(is_there).count();
            AtomicU32::new(u32::try_from(children + 1).unwrap_or(u32::MAX))
        });
        let (waiting, roots) = (waiting.collect(), plan.roots_by_node());
        Self { plan, observer, roots, waiting }
    }

    /// Records that the content of a node is right, and tells of the roots that this completes.
    fn proven(&self, node: u32) {
        let mut proven = vec![node];
        while let Some(node) = proven.pop() {
            if self.waiting[node as usize].fetch_sub(1, Ordering::AcqRel) != 1 {
                continue;
            }
            let start = self.roots.partition_point(|(of, _)| *of < node);
            let roots = self.roots[start..].iter().take_while(|(of, _)| *of == node);
            for (_, root) in roots {
                let names = &self.plan.roots[*root as usize].names;
                self.observer.named(names, &self.plan.nodes[node as usize].digest);
            }
            proven.extend(self.plan.parents.of(node));
        }
    }
}

/// Returns a pool of so many threads, or `None` if the system has no threads left: then the caller does
/// the work itself.
fn pool(jobs: usize) -> Option<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new().num_threads(jobs.max(1)).build().ok()
}
