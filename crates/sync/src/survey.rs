//! What a plan says about its roots, for people.

use std::collections::HashSet;

use longshore_spec::Digest;

use crate::plan::{Node, State};
use crate::{Plan, Totals};

impl Plan<'_> {
    /// Counts what is to be copied without asking the targets what they hold: all of it counts as
    /// missing.
    pub fn size(&self) -> Totals {
        self.needed_nodes().into_iter().fold(Totals::default(), |totals, node| {
            let bytes = totals.bytes.saturating_add(node.size);
            Totals { nodes: totals.nodes + 1, bytes, missing: bytes }
        })
    }

    /// Returns the bytes of all that a root reaches, shared content counted once: its place in
    /// [`Plan::roots`]. What is broken or left out does not count.
    pub fn closure_size(&self, root: usize) -> u64 {
        self.reached(root).fold(0, |size, node| size.saturating_add(node.size))
    }

    /// Returns the digests of all that a root reaches, the root's own among them: its place in
    /// [`Plan::roots`]. What is broken or left out is not.
    pub fn closure(&self, root: usize) -> impl Iterator<Item = &Digest> {
        self.reached(root).map(|node| &node.digest)
    }

    fn reached(&self, root: usize) -> impl Iterator<Item = &Node> {
        let mut seen = HashSet::new();
        let mut next: Vec<u32> =
            self.roots.get(root).and_then(|root| root.node).into_iter().collect();
        std::iter::from_fn(move || {
            while let Some(node) = next.pop() {
                let known = &self.nodes[node as usize];
                let is_known =
                    !matches!(known.state, State::Unseen | State::Absent | State::Broken);
                if is_known && seen.insert(node) {
                    next.extend(self.children(node));
                    return Some(known);
                }
            }
            None
        })
    }
}
