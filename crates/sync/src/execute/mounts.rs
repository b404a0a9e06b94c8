//! Blobs that several repositories of one registry want.

use std::collections::HashMap;

use longshore_spec::Digest;
use longshore_store::MountSource;

use crate::Plan;
use crate::plan::{Node, State};

/// Blobs that several repositories of one registry want. Each is brought into one of them, and the
/// others wait until they can take it over from there.
#[derive(Debug, Default)]
pub(super) struct Mounts(HashMap<Digest, SharedBlob>);

/// How far one blob has come.
#[derive(Debug, Default)]
struct SharedBlob {
    /// Whether a worker has it in hand.
    in_hand: bool,
    /// Where it has arrived first.
    at: Option<MountSource>,
    /// The nodes that wait for it.
    waiting: Vec<u32>,
}

impl Mounts {
    /// Finds what is shared among `nodes`, in which those of one digest are neighbours.
    pub(super) fn new(plan: &Plan<'_>, nodes: &[u32]) -> Self {
        let blobs: Vec<_> = nodes
            .iter()
            .map(|node| &plan.nodes[*node as usize])
            .filter(|node| node.state == State::Blob)
            .collect();
        let offers = |target: u32| {
            let target = plan.targets[target as usize];
            target.is_some_and(|target| target.offers().is_some())
        };
        let shared = blobs.windows(2).filter_map(|pair| {
            let [one, other] = pair else { return None };
            let is_shared = one.digest == other.digest && one.target != other.target;
            (is_shared && offers(one.target)).then(|| (one.digest.clone(), SharedBlob::default()))
        });
        Self(shared.collect())
    }

    /// Takes a blob in hand; false if another worker has it, and then the node waits.
    pub(super) fn claim(&mut self, number: u32, node: &Node) -> bool {
        let Some(blob) = self.of(node) else { return true };
        if blob.in_hand {
            blob.waiting.push(number);
            return false;
        }
        blob.in_hand = true;
        true
    }

    /// Lets go of a blob, which may have arrived; returns the nodes that waited for it.
    pub(super) fn release(&mut self, node: &Node, at: Option<MountSource>) -> Vec<u32> {
        let Some(blob) = self.of(node) else { return Vec::new() };
        blob.in_hand = false;
        blob.at = blob.at.take().or(at);
        std::mem::take(&mut blob.waiting)
    }

    /// Returns where a blob has arrived.
    pub(super) fn at(&self, digest: &Digest) -> Option<MountSource> {
        self.0.get(digest)?.at.clone()
    }

    /// Registries keep manifests apart: one is no blob that could be taken over.
    fn of(&mut self, node: &Node) -> Option<&mut SharedBlob> {
        self.0.get_mut(&node.digest).filter(|_| node.state == State::Blob)
    }
}
