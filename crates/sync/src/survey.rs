//! What a plan says about its roots, for people.

use std::collections::HashSet;

use crate::plan::State;
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
        let mut seen = HashSet::new();
        let mut next: Vec<u32> =
            self.roots.get(root).and_then(|root| root.node).into_iter().collect();
        let mut size = 0_u64;
        while let Some(node) = next.pop() {
            let known = &self.nodes[node as usize];
            let is_known = !matches!(known.state, State::Unseen | State::Absent | State::Broken);
            if is_known && seen.insert(node) {
                size = size.saturating_add(known.size);
                next.extend(self.children(node));
            }
        }
        size
    }
}
