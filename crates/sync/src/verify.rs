//! Proving that every byte is there.

use std::io::Read as _;

use longshore_spec::Digest;
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
        let mut report = Report { moved: self.count(State::Manifest), ..Report::default() };
        let mut blobs: Vec<&Node> =
            self.nodes.iter().filter(|node| node.state == State::Blob).collect();
        blobs.sort_unstable_by(|a, b| b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest)));
        let check = |node: &&Node| (node.digest.clone(), self.check(node, observer));
        let checked: Vec<(Digest, Result<u64, Failure>)> = match pool(jobs) {
            // One blob a task: they are large, and unequal.
            Some(pool) => pool.install(|| blobs.par_iter().with_max_len(1).map(check).collect()),
            None => blobs.iter().map(check).collect(),
        };
        let mut whole = self.whole();
        for (digest, result) in checked {
            match result {
                Ok(read) => {
                    report.moved += 1;
                    report.bytes += read;
                    if self.allow_unverified && digest.hasher().is_none() {
                        report.unverified.push(digest);
                    }
                }
                Err(failure) => {
                    self.spread(&digest, &mut whole);
                    report.failures.push(failure);
                }
            }
        }
        report.failures.sort_by(|a, b| a.subject.cmp(&b.subject));
        report.roots = self
            .roots
            .iter()
            .map(|root| root.report(root.node.is_some_and(|node| whole[node as usize])))
            .collect();
        report
    }

    fn count(&self, state: State) -> u64 {
        self.nodes.iter().filter(|node| node.state == state).count() as u64
    }

    fn check(&self, node: &Node, observer: &dyn Observer) -> Result<u64, Failure> {
        let source = self.sources[node.source as usize];
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
                let failure = Failure {
                    side: Side::Source,
                    action: Action::Check,
                    subject,
                    error: Box::new(error),
                };
                observer.failed(&failure);
                Err(failure)
            }
        }
    }

    /// Takes note that everything that refers to a digest is not whole.
    fn spread(&self, digest: &Digest, whole: &mut [bool]) {
        let parents = self.parents();
        let mut next: Vec<u32> = (0..)
            .zip(&self.nodes)
            .filter(|(_, node)| node.digest == *digest)
            .map(|(at, _)| at)
            .collect();
        while let Some(node) = next.pop() {
            if std::mem::replace(&mut whole[node as usize], false) {
                next.extend(parents.of(node));
            }
        }
    }
}

/// Returns a pool of so many threads; without one, which only a lack of threads can cause, the
/// work is done by the caller.
fn pool(jobs: usize) -> Option<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new().num_threads(jobs.max(1)).build().ok()
}
