//! What of a plan its sources really hold.

use longshore_store::{OutlineNode, in_parallel};

use crate::plan::{Node, State};
use crate::{Action, Failure, Observer, Plan, Side};

/// How many blobs are looked for before their answers are taken in: answers take more than nodes do.
const ASKED_AT_ONCE: usize = 4096;

/// How content is proven to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Its first byte comes.
    FirstByte,
    /// All of it comes, and is what its digest says.
    Content,
}

/// What of a plan is there.
#[derive(Debug, Default)]
pub struct Present {
    /// What was proven to be there, in the order of the plan. A digest may come several times.
    pub nodes: Vec<OutlineNode>,
    /// What is not there, damaged, or could not be looked for ([`Error::is_unanswered`]).
    ///
    /// [`Error::is_unanswered`]: longshore_store::Error::is_unanswered
    pub failures: Vec<Failure>,
}

impl Plan<'_> {
    /// Finds out what of the plan its sources hold, also of roots that are not whole, with up to `jobs`
    /// requests at once. Manifests were read when they were discovered.
    pub fn present(mut self, proof: Proof, jobs: usize, observer: &dyn Observer) -> Present {
        let failures = std::mem::take(&mut self.failures);
        let mut present = Present { nodes: Vec::new(), failures };
        let is_looked_for = |node: &&Node| matches!(node.state, State::Blob | State::Manifest);
        let nodes: Vec<&Node> = self.nodes.iter().filter(is_looked_for).collect();
        for nodes in nodes.chunks(ASKED_AT_ONCE) {
            let answers = in_parallel(nodes, jobs, |node| self.look_for(node, proof, observer));
            for (node, answer) in nodes.iter().zip(answers) {
                match answer {
                    Ok(()) => present.nodes.push(OutlineNode {
                        role: node.role,
                        digest: node.digest.clone(),
                        size: node.size,
                    }),
                    Err(failure) => present.failures.push(failure),
                }
            }
        }
        present
    }

    fn look_for(&self, node: &Node, proof: Proof, observer: &dyn Observer) -> Result<(), Failure> {
        if node.state == State::Manifest {
            return Ok(());
        }
        if proof == Proof::Content {
            return self.check(node, observer).map(drop);
        }
        let source = self.sources[node.source as usize];
        let absent = || longshore_store::Error::not_found(&node.digest, format!("{source:?}"));
        let found = source.has_content(&node.descriptor());
        let found = found.and_then(|found| if found { Ok(()) } else { Err(absent()) });
        found.map_err(|error| {
            Failure::new(Side::Source, Action::Check, node.digest.to_string(), error)
        })
    }
}
