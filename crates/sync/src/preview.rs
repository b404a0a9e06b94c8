//! What carrying out a plan would change at its targets: the names that it gives, and the bytes that are not there.

use std::collections::HashSet;

use longshore_spec::Digest;
use longshore_store::{Held, Name, Result, Target, in_parallel};

use crate::SealedPlan;
use crate::plan::{Moved, Node, State, Totals};

/// Of so many nodes the targets are asked before the answers are added up.
const ASKED_AT_ONCE: usize = 4096;

/// A name that a root gets in its target.
#[derive(Debug)]
pub struct GivenName {
    /// The root: its place in [`Plan::roots`](crate::Plan::roots).
    pub root: usize,
    /// The name in its target.
    pub name: Name,
    /// What it stands for there; `None` for a name that nothing has. Fails as the target does.
    pub from: Result<Option<Digest>>,
    /// What it will stand for.
    pub to: Digest,
}

/// The bytes of a plan that its targets do not hold yet.
#[derive(Debug)]
pub struct MissingBytes {
    /// By node; nothing for what is not to be brought.
    of_nodes: Vec<u64>,
    /// How many pieces of content are not there as a whole.
    pub nodes: u64,
    /// How much that is of all.
    pub totals: Totals,
}

impl GivenName {
    /// Returns the change, if the name stands for something else now.
    pub fn moved(&self) -> Option<Moved> {
        let from = self.from.as_ref().ok()?.clone().filter(|from| *from != self.to)?;
        Some(Moved { root: self.root, name: self.name.clone(), from, to: self.to.clone() })
    }
}

impl SealedPlan<'_> {
    /// Returns every name that a root gets when this is carried out, each once for a root, and what it stands for
    /// now; asks with up to `jobs` requests at once. Roots of which not all is known get none, and those that their
    /// target was trusted to have are not asked for: they have theirs.
    pub fn given_names(&self, jobs: usize) -> Vec<GivenName> {
        let mut seen = HashSet::new();
        let mut given: Vec<(usize, &Name, &dyn Target, &Digest)> = Vec::new();
        for (number, root) in self.roots.iter().enumerate() {
            let node = root.node.filter(|node| {
                self.is_whole(*node)
                    && self.nodes[*node as usize].state != State::Trusted
                    && !self.is_held_back(*node)
            });
            let Some(node) = node.map(|node| &self.nodes[node as usize]) else { continue };
            let Some(target) = self.targets[node.target as usize] else { continue };
            let names = root.names.iter().filter(|name| seen.insert((number, *name)));
            given.extend(names.map(|name| (number, name, target, &node.digest)));
        }
        in_parallel(&given, jobs, |(root, name, target, to)| GivenName {
            root: *root,
            name: (*name).clone(),
            from: target.stands_for(name),
            to: (*to).clone(),
        })
    }

    /// Returns every name that stands for something else in its target, and will stand for what is wanted
    /// when this is carried out; asks with up to `jobs` requests at once. A target that does not
    /// say is one where nothing moves: what it does not tell now fails, if it does, when it is written
    /// to.
    pub fn moved(&self, jobs: usize) -> Vec<Moved> {
        self.given_names(jobs).iter().filter_map(GivenName::moved).collect()
    }

    /// Counts what is in the plan, and asks the targets what they hold of it, with up to `jobs`
    /// requests at once.
    pub fn totals(&self, jobs: usize) -> Result<Totals> {
        Ok(self.missing(jobs)?.totals)
    }

    /// Asks the targets what they hold of the plan, with up to `jobs` requests at once.
    pub fn missing(&self, jobs: usize) -> Result<MissingBytes> {
        let ask = |(number, node): &(u32, &Node)| {
            if node.state == State::Trusted {
                return Ok(None);
            }
            if self.is_lost(*number) {
                return Ok(Some(node.size));
            }
            let Some(target) = self.targets[node.target as usize] else { return Ok(None) };
            Ok(match target.held(&node.descriptor(), node.role)? {
                Held::Whole => None,
                Held::Prefix(there) => Some(node.size.saturating_sub(there)),
                Held::Nothing => Some(node.size),
            })
        };
        let totals = Totals { missing: 0, ..self.size() };
        let mut missing = MissingBytes { of_nodes: vec![0; self.nodes.len()], nodes: 0, totals };
        // Answers take more than nodes do, so not all of them are kept at once.
        let mut brought = (0..).zip(&self.nodes).filter(|(number, _)| self.is_brought(*number));
        loop {
            let nodes: Vec<_> = brought.by_ref().take(ASKED_AT_ONCE).collect();
            if nodes.is_empty() {
                break;
            }
            let answers = in_parallel(&nodes, jobs, ask);
            for ((number, _), answer) in nodes.iter().zip(answers) {
                let Some(bytes) = answer? else { continue };
                missing.nodes += 1;
                missing.of_nodes[*number as usize] = bytes;
                missing.totals.missing = missing.totals.missing.saturating_add(bytes);
            }
        }
        Ok(missing)
    }

    /// Returns the bytes that a root needs and its target does not hold, what others need, too, among them: its
    /// place in [`Plan::roots`](crate::Plan::roots).
    pub fn missing_of(&self, root: usize, missing: &MissingBytes) -> u64 {
        let reached = self.reached_numbers(root).map(|node| missing.of_nodes[node as usize]);
        reached.fold(0, u64::saturating_add)
    }
}
