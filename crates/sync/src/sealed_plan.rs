//! A plan that is carried out, verified or told of: what all of that needs is worked out once.

use std::collections::HashSet;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use longshore_spec::{Descriptor, Digest};
use longshore_store::{ExtraFile, Outline, OutlineNode, Root, Source, Target};

use crate::plan::{Node, Parents, PlannedRoot, State, Totals};
use crate::transfer::Transfer;
use crate::{Failure, Observer, Outcome, Plan, Report, RootReport};

/// A plan from which nothing more is taken: it is carried out, verified, or told of. What went wrong before
/// is still in it ([`Plan::failures`]), and no report of it is complete then.
#[derive(Debug)]
pub struct SealedPlan<'a> {
    plan: Plan<'a>,
    /// Files that lie beside the content, where the place has such a thing.
    files: Vec<ExtraFile>,
    /// For each node, whether all that it refers to, to any depth, is known.
    whole: Vec<bool>,
    /// For each node, whether a root needs it of which all is known.
    pub(crate) needed: Vec<bool>,
    pub(crate) parents: Parents,
    /// For each node, whether its target is taken to have it: it is not brought there.
    assumed: Vec<bool>,
    /// For each node, whether it or anything that it refers to is assumed.
    pub(crate) partial: Vec<bool>,
    /// Whether manifests that refer to what is assumed are not brought either.
    holds_back: bool,
    /// For each node, whether its target was proven not to have it, whatever that says.
    lost: Vec<bool>,
    /// It takes about as much as the plan, so it is there only between the first who asks for it and the
    /// beginning of the work.
    outline: Mutex<Option<Arc<Outline>>>,
}

impl<'a> Deref for SealedPlan<'a> {
    type Target = Plan<'a>;

    fn deref(&self) -> &Plan<'a> {
        &self.plan
    }
}

impl<'a> Plan<'a> {
    /// Seals the plan: nothing more is taken out of it. What is worked out for all who use it, such as what
    /// roots need of which all is known, is worked out once, here.
    pub fn seal(self) -> SealedPlan<'a> {
        SealedPlan::of(self)
    }
}

impl<'a> SealedPlan<'a> {
    fn of(plan: Plan<'a>) -> Self {
        let parents = plan.parents();
        let broken = plan.numbers(|node| node.state == State::Broken);
        let whole = plan.without_under(&parents, broken);
        let needed = plan.needed_of(&whole);
        let [assumed, partial, lost] = [0, 0, 0].map(|_| vec![false; plan.nodes.len()]);
        let (files, outline, holds_back) = (Vec::new(), Mutex::default(), false);
        Self { plan, files, whole, needed, parents, assumed, partial, holds_back, lost, outline }
    }

    /// Takes blobs for granted where the plan goes: they are not brought, and whatever refers to them gets no
    /// name there, since it is not whole. A manifest is never taken for granted.
    pub fn assume(&mut self, is_assumed: impl Fn(&Digest) -> bool) {
        let manifests = self.manifests();
        let is_assumed = |node: &Node| {
            node.state == State::Blob
                && !manifests.contains(&node.digest)
                && is_assumed(&node.digest)
        };
        let assumed: Vec<bool> = self.nodes.iter().map(is_assumed).collect();
        let numbers = (0..).zip(&assumed).filter(|(_, assumed)| **assumed).map(|(node, _)| node);
        let whole = self.plan.without_under(&self.parents, numbers.collect());
        self.partial = whole.into_iter().map(|whole| !whole).collect();
        self.assumed = assumed;
        self.holds_back = false;
        self.forget_outline();
    }

    /// Leaves out blobs that come another time, and every manifest that refers to any of them, to any depth: a
    /// registry takes no manifest before its content. Such roots count as skipped.
    pub fn hold_back(&mut self, is_absent: impl Fn(&Digest) -> bool) {
        self.assume(is_absent);
        self.holds_back = true;
    }

    /// Carries nothing but this of what is needed, manifests or not: nothing gets a name where the plan goes.
    pub fn carry_only(&mut self, is_carried: impl Fn(&Digest) -> bool) {
        self.assumed = self.nodes.iter().map(|node| !is_carried(&node.digest)).collect();
        self.partial = vec![true; self.nodes.len()];
        self.forget_outline();
    }

    /// Returns what is needed and assumed, each once, by role and digest.
    pub fn assumed(&self) -> Vec<OutlineNode> {
        let assumed = self.nodes.iter().zip(self.needed.iter().zip(&self.assumed));
        let assumed = assumed.filter(|(_, (needed, assumed))| **needed && **assumed);
        let nodes = assumed.map(|(node, _)| outline_node(node)).collect();
        Outline::new(nodes, Vec::new(), Vec::new()).nodes().to_vec()
    }

    /// Returns every digest that is a manifest to something: what can never be assumed.
    pub fn manifests(&self) -> HashSet<&Digest> {
        let manifests = self.nodes.iter().filter(|node| node.state != State::Blob);
        manifests.map(|node| &node.digest).collect()
    }

    /// Returns a blob that is needed as its source gives it, for whoever brings it elsewhere than to its target.
    pub fn blob<'s>(&'s self, digest: &Digest, observer: &'s dyn Observer) -> Option<Transfer<'s>> {
        let mut numbered = (0..).zip(self.nodes.iter().zip(&self.needed));
        let (number, (node, _)) = numbered.find(|(_, (node, needed))| {
            **needed && node.state == State::Blob && node.digest == *digest
        })?;
        let source = self.sources[node.source as usize];
        let descriptor = self.source_descriptor(number);
        Some(Transfer::new(source, descriptor, observer, self.allow_unverified))
    }

    /// Lets every root of a report of this plan fail that needs something that is lost.
    pub fn fail_roots(&self, report: &mut Report, is_lost: impl Fn(&Digest) -> bool) {
        let broken = self.numbers(|node| is_lost(&node.digest));
        let whole = self.plan.without_under(&self.parents, broken);
        for (root, planned) in report.roots.iter_mut().zip(&self.plan.roots) {
            if planned.node.is_none_or(|node| !whole[node as usize]) {
                root.outcome = match root.outcome {
                    Outcome::Skipped => Outcome::Skipped,
                    Outcome::Done | Outcome::Failed => Outcome::Failed,
                };
            }
        }
    }

    /// Tells whether a root needs something that is assumed: its place in [`SealedPlan::roots`].
    pub fn is_partial(&self, root: usize) -> bool {
        let node = self.plan.roots.get(root).and_then(|root| root.node);
        node.is_some_and(|node| self.partial[node as usize])
    }

    /// Tells whether all that a node refers to, to any depth, is known.
    pub(crate) fn is_whole(&self, node: u32) -> bool {
        self.whole[node as usize]
    }

    /// Tells whether the target of a root listed it under all of its names already, and is trusted to have all of
    /// it ([`Unchanged::Digest`](crate::Unchanged::Digest)): its place in [`SealedPlan::roots`].
    pub fn is_unchanged(&self, root: usize) -> bool {
        let node = self.plan.roots.get(root).and_then(|root| root.node);
        node.is_some_and(|node| self.nodes[node as usize].state == State::Trusted)
    }

    /// Tells whether a node is needed, and to be brought.
    pub(crate) fn is_brought(&self, node: u32) -> bool {
        self.needed[node as usize] && !self.assumed[node as usize] && !self.is_held_back(node)
    }

    /// Tells whether a node is a manifest that comes another time.
    pub(crate) fn is_held_back(&self, node: u32) -> bool {
        self.holds_back && self.partial[node as usize] && !self.assumed[node as usize]
    }

    /// Tells whether a node is taken for granted.
    pub(crate) fn is_assumed(&self, node: u32) -> bool {
        self.assumed[node as usize]
    }

    /// Lets blobs be read from elsewhere, where `from` says so of a digest and the target that it goes to.
    pub fn read_from(&mut self, from: impl Fn(&Digest, &dyn Target) -> Option<&'a dyn Source>) {
        let mut known: Vec<(*const dyn Source, u32)> = Vec::new();
        for node in &mut self.plan.nodes {
            if node.state != State::Blob {
                continue;
            }
            let Some(target) = self.plan.targets[node.target as usize] else { continue };
            let Some(source) = from(&node.digest, target) else { continue };
            let pointer = std::ptr::from_ref(source);
            let found = known.iter().find(|(known, _)| std::ptr::addr_eq(*known, pointer));
            node.source = if let Some((_, number)) = found {
                *number
            } else {
                let number = u32::try_from(self.plan.sources.len()).unwrap_or(u32::MAX);
                self.plan.sources.push(source);
                known.push((pointer, number));
                number
            };
        }
    }

    /// Brings blobs although their target may say that it has them, where `is_lost` says of a digest and the target
    /// that it does not: registries go on to say so of what they have lost.
    pub fn bring_lost(&mut self, is_lost: impl Fn(&Digest, &dyn Target) -> bool) {
        let targets = &self.plan.targets;
        let lost = |node: &Node| {
            let target = targets[node.target as usize].filter(|_| node.state == State::Blob);
            target.is_some_and(|target| is_lost(&node.digest, target))
        };
        self.lost = self.plan.nodes.iter().map(lost).collect();
    }

    /// Tells whether the target of a node was proven not to have it.
    pub(crate) fn is_lost(&self, node: u32) -> bool {
        self.lost[node as usize]
    }

    /// Returns what is needed of these digests, by the target that it goes to.
    pub fn needed_by_target<'s>(
        &'s self,
        is_one: impl Fn(&Digest) -> bool + 's,
    ) -> impl Iterator<Item = (Descriptor, &'a dyn Target)> + 's {
        let needed = self.nodes.iter().zip(&self.needed);
        let needed = needed.filter(move |(node, needed)| **needed && is_one(&node.digest));
        needed.filter_map(|(node, _)| {
            Some((node.descriptor(), self.plan.targets[node.target as usize]?))
        })
    }

    /// Puts files beside the content.
    pub fn set_files(&mut self, files: Vec<ExtraFile>) {
        let outline = self.outline.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = outline.take() {
            *outline = Some(Arc::new(Arc::unwrap_or_clone(made).with_files(files.clone())));
        }
        self.files = files;
    }

    /// Returns what became of each root during discovery. `Done` means that all of it is known.
    pub fn roots(&self) -> Vec<RootReport> {
        self.plan.roots_where(&self.whole)
    }

    /// Returns what the place is told of this plan: everything that roots need of which all is known, and
    /// the files beside it.
    pub fn outline(&self) -> Arc<Outline> {
        let mut outline = self.outline.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(outline.get_or_insert_with(|| Arc::new(self.make_outline())))
    }

    fn make_outline(&self) -> Outline {
        let nodes = self.brought_nodes().map(outline_node);
        let root = |root: &PlannedRoot| {
            root.node
                .filter(|node| self.needed[*node as usize] && !self.partial[*node as usize])?;
            Some(Root { descriptor: root.descriptor.clone()?, names: root.names.clone() })
        };
        let roots = self.plan.roots.iter().filter_map(root).collect();
        Outline::new(nodes.collect(), roots, self.files.clone())
    }

    /// Lets go of the outline. Whoever asks for it later has it made again.
    pub(crate) fn forget_outline(&self) {
        *self.outline.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the nodes that a root needs of which all is known, and that are not assumed.
    fn brought_nodes(&self) -> impl Iterator<Item = &Node> {
        (0..).zip(&self.nodes).filter(|(number, _)| self.is_brought(*number)).map(|(_, node)| node)
    }

    /// Counts what is to be copied without asking the targets what they hold: all of it counts as
    /// missing.
    pub fn size(&self) -> Totals {
        self.brought_nodes().fold(Totals::default(), |totals, node| {
            let bytes = totals.bytes.saturating_add(node.size);
            Totals { nodes: totals.nodes + 1, bytes, missing: bytes }
        })
    }

    /// Takes every root out of the plan that needs what a run could not read from its source, so that it can
    /// be run again without them; returns what went wrong, taken out of the report, and the roots that
    /// are out. `None` if something else was in the way, or if nothing would be left.
    pub fn leave_out(&mut self, report: &mut Report) -> Option<(Vec<Failure>, Vec<RootReport>)> {
        if !self.plan.break_lost(&report.failures) {
            return None;
        }
        let dropped = self.plan.drop_broken();
        let broken = self.plan.numbers(|node| node.state == State::Broken);
        self.whole = self.plan.without_under(&self.parents, broken);
        self.needed = self.plan.needed_of(&self.whole);
        self.forget_outline();
        Some((std::mem::take(&mut report.failures), dropped))
    }

    /// Returns the plan, from which more is to be taken out.
    pub(crate) fn unseal(self) -> Plan<'a> {
        self.plan
    }

    /// Returns everything that went wrong during discovery, and gives up the plan.
    pub fn into_failures(self) -> Vec<Failure> {
        self.plan.failures
    }
}

fn outline_node(node: &Node) -> OutlineNode {
    OutlineNode { role: node.role, digest: node.digest.clone(), size: node.size }
}
