//! What descriptors say of the size of one piece of content, and what it is.
//!
//! Content has one size. Where descriptors disagree on it, the content decides, before anything is
//! copied: a descriptor that does not fit it fails what it belongs to, and nothing else, whatever
//! came first. So a place is told of each digest once.

use std::collections::HashSet;

use longshore_spec::Digest;
use longshore_store::{Blob as _, Error, Result, Source, in_parallel};

use super::Discovery;
use crate::plan::{Node, State};
use crate::transfer::Transfer;
use crate::{Action, Silent};

/// Of content that is said to have more bytes than this the source is asked whether it has: that is
/// one request beside very many bytes, and a place that has no room for what is not there would
/// refuse all else with it.
const ASKED_ABOVE: u64 = 1 << 30;

impl Discovery<'_> {
    /// Takes everything out of the plan whose descriptor gives a wrong size, as far as descriptors
    /// disagree or give a very large one; asks with up to `jobs` requests at once.
    pub(super) fn judge_sizes(&mut self, jobs: usize) {
        let doubtful = self.doubtful();
        let asked: Vec<&Node> =
            doubtful.iter().map(|number| &self.plan.nodes[*number as usize]).collect();
        let sources = &self.plan.sources;
        let found = in_parallel(&asked, jobs, |node| check(sources[node.source as usize], node));
        self.break_all(doubtful.into_iter().zip(found));
        // Content that is damaged may have the size that a wrong descriptor gives.
        let disputed = self.disputed();
        let asked: Vec<&Node> =
            disputed.iter().map(|number| &self.plan.nodes[*number as usize]).collect();
        let sources = &self.plan.sources;
        let found = in_parallel(&asked, jobs, |node| prove(sources[node.source as usize], node));
        self.break_all(disputed.into_iter().zip(found));
    }

    fn break_all(&mut self, checked: impl Iterator<Item = (u32, Result<()>)>) {
        let mut told = HashSet::new();
        for (number, result) in checked {
            let Err(error) = result else { continue };
            let node = &mut self.plan.nodes[number as usize];
            node.state = State::Broken;
            if told.insert((node.digest.clone(), node.size, node.source)) {
                let subject = node.digest.to_string();
                self.fail(Action::Check, subject, error);
            }
        }
    }

    /// Returns the blobs whose size is to be asked for.
    fn doubtful(&self) -> Vec<u32> {
        let mut doubtful = self.disputed();
        doubtful
            .extend(self.plan.numbers(|node| node.state == State::Blob && node.size > ASKED_ABOVE));
        doubtful.sort_unstable();
        doubtful.dedup();
        doubtful
    }

    /// Returns the blobs of digests to which the plan gives several sizes. Manifests were read: their
    /// sizes are right.
    fn disputed(&self) -> Vec<u32> {
        let mut there = self
            .plan
            .numbers(|node| matches!(node.state, State::Blob | State::Manifest | State::Trusted));
        let said = |number: &u32| {
            let node = &self.plan.nodes[*number as usize];
            (&node.digest, node.size)
        };
        there.sort_unstable_by(|a, b| said(a).cmp(&said(b)));
        let pairs = there.windows(2).map(|pair| (said(&pair[0]), said(&pair[1])));
        let several: HashSet<&Digest> = pairs
            .filter(|(one, other)| one.0 == other.0 && one.1 != other.1)
            .map(|(one, _)| one.0)
            .collect();
        if several.is_empty() {
            return Vec::new();
        }
        self.plan.numbers(|node| node.state == State::Blob && several.contains(&node.digest))
    }
}

/// Fails if content has another size than its node has. What is absent is told when it is wanted.
fn check(source: &dyn Source, node: &Node) -> Result<()> {
    match source.size(&node.descriptor()) {
        Ok(size) if size == node.size => Ok(()),
        Ok(actual) => {
            let (digest, expected) = (node.digest.clone(), node.size);
            Err(Error::Size { digest, expected, actual, more: false })
        }
        Err(Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Fails unless content is what its node says.
fn prove(source: &dyn Source, node: &Node) -> Result<()> {
    let transfer = Transfer::new(source, node.descriptor(), &Silent, false);
    let mut content = transfer.open(None)?;
    let read = std::io::copy(&mut content, &mut std::io::sink());
    read.map(drop).map_err(|error| Error::from_io("read", &node.digest, error))
}
