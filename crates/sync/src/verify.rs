//! Proving that every byte is there.

use std::io::Read as _;

use longshore_store::Error;
use rayon::prelude::*;

use crate::plan::{Node, State};
use crate::transfer::Transfer;
use crate::{Action, Failure, Observer, Plan, Report, Side};

/// How much is read and hashed at once.
const PIECE: usize = 256 << 10;

impl Plan<'_> {
    /// Reads and hashes all content of the plan in its sources, the largest first, with up to
    /// `jobs` threads. Manifests were hashed when they were discovered.
    pub fn verify(&self, jobs: usize, observer: &dyn Observer) -> Report {
        let mut report = Report::default();
        for node in self.nodes.iter().filter(|node| node.state == State::Manifest) {
            observer.advanced(node.size);
            observer.finished(&node.digest, node.size, true);
            report.moved += 1;
        }
        let mut blobs: Vec<u32> = self.numbers(|node| node.state == State::Blob);
        let node = |number: &u32| &self.nodes[*number as usize];
        blobs.sort_unstable_by(|a, b| {
            let (a, b) = (node(a), node(b));
            b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest))
        });
        let check = |number: &u32| (*number, self.check(node(number), observer));
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
                    // That it was cancelled is told once.
                    let is_cancelled = matches!(*failure.error, Error::Cancelled);
                    if !is_cancelled || !std::mem::replace(&mut was_cancelled, true) {
                        report.failures.push(failure);
                    }
                }
            }
        }
        report.sort();
        let whole = self.without(broken);
        report.roots = self
            .roots
            .iter()
            .map(|root| root.report(root.node.is_some_and(|node| whole[node as usize])))
            .collect();
        report
    }

    fn check(&self, node: &Node, observer: &dyn Observer) -> Result<u64, Failure> {
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
                observer.finished(&node.digest, node.size, true);
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

/// Returns a pool of so many threads; without one, which only a lack of threads can cause, the
/// work is done by the caller.
fn pool(jobs: usize) -> Option<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new().num_threads(jobs.max(1)).build().ok()
}
