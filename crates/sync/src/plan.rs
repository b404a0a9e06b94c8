//! What a copy needs, known before the first blob byte moves.

use std::collections::{HashMap, HashSet};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use bytes::Bytes;
use longshore_spec::artifact_type::ArtifactType;
use longshore_spec::{Descriptor, Digest, MediaType, More, Platform, Role};
use longshore_store::{Error, Name, Selector, Source, Target, in_parallel};

use crate::{Action, Failure, Filter, FoundRoot, Outcome, RootReport, Side};

/// Something that is wanted.
#[derive(Debug, Clone)]
pub struct CopyItem<'a> {
    /// Where it lies.
    pub source: &'a dyn Source,
    /// Which it is.
    pub request: RootRequest,
    /// Where it goes; `None` if it is only looked at.
    pub target: Option<&'a dyn Target>,
    /// What it will be called there.
    pub names: Vec<Name>,
    /// What is taken of it; `None` if that is what is taken of everything.
    pub filter: Option<Arc<Filter>>,
}

/// How something that is wanted is given.
#[derive(Debug, Clone)]
pub enum RootRequest {
    /// By name or digest.
    Selector(Selector),
    /// By the descriptor that lists it.
    Listed(Descriptor),
}

/// The closures of everything that is wanted, in one graph, as far as they could be discovered. Roots of
/// which not all is known can be dropped; then it is sealed, and carried out ([`Plan::seal`]).
///
/// A node is content in a target: content that several roots share moves once.
#[derive(Debug)]
pub struct Plan<'a> {
    pub(crate) sources: Vec<&'a dyn Source>,
    pub(crate) targets: Vec<Option<&'a dyn Target>>,
    pub(crate) nodes: Vec<Node>,
    /// The bytes of manifests by node, as long as there is room to keep them.
    pub(crate) manifests: HashMap<u32, Bytes>,
    /// The children of all nodes, one node's behind the other's.
    pub(crate) edges: Vec<u32>,
    pub(crate) roots: Vec<PlannedRoot>,
    pub(crate) failures: Vec<Failure>,
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) referrers_seen: u64,
    /// Those of them that could not come along: see [`Unfit`].
    pub(crate) unfit: Vec<Unfit>,
    /// The platforms that are left out of indexes that stay as they are, by node.
    pub(crate) sparse: HashMap<u32, Vec<Platform>>,
    /// The platforms that indexes list and their source lacks, by node.
    pub(crate) lacking: HashMap<u32, Vec<Platform>>,
    /// Where else content lies, or the content itself, as few descriptors say it, by node.
    pub(crate) more: HashMap<u32, Box<More>>,
    pub(crate) allow_unverified: bool,
}

/// A piece of content in a target. There may be millions, so it is kept small: 96 bytes here, and less
/// than 200 in all that a plan has for it while it is made and carried out, its edges apart.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) media_type: MediaType,
    pub(crate) role: Role,
    pub(crate) source: u32,
    pub(crate) target: u32,
    /// By what filter it is taken, if it was met as a manifest.
    pub(crate) filter: Option<u32>,
    /// Whether the target was trusted to have it when it was met.
    pub(crate) is_trusted: bool,
    /// Its children are `edges[first_child..][..child_count]`.
    pub(crate) first_child: u32,
    pub(crate) child_count: u32,
    pub(crate) state: State,
}

/// What is known of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// A manifest that was not looked into yet.
    Unseen,
    /// A manifest whose children are known.
    Manifest,
    /// A manifest that the target has, and is trusted to have with all that it refers to.
    Trusted,
    /// Content without children.
    Blob,
    /// The source lacks it, and may.
    Absent,
    /// It could not be looked into, so neither it nor what refers to it can be copied.
    Broken,
}

/// A root of the graph. With its names, and all that is kept for it while it is copied, it takes less
/// than 400 bytes where they are no longer than names are.
#[derive(Debug)]
pub(crate) struct PlannedRoot {
    pub(crate) found: Arc<FoundRoot>,
    pub(crate) node: Option<u32>,
    pub(crate) skipped: bool,
}

/// An entry of an index that is not in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOut {
    /// The source does not have it, and says by its platform that it may be missing.
    Absent(Descriptor),
    /// The filter does not take it.
    Filtered(Descriptor),
}

/// Something that refers to an index in whose place something else comes: one of its entries, or an index
/// that is written anew without some. It fits nothing that comes, and stays behind unless it is wanted on
/// its own account.
#[derive(Debug, Clone)]
pub struct Unfit {
    /// What it refers to.
    pub subject: Digest,
    /// What it is.
    pub referrer: RootRequest,
    /// Whether it comes all the same, since it is wanted on its own account.
    pub is_carried: bool,
}

/// A name that comes to stand for something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The root that gets it: its place in [`Plan::roots`].
    pub root: usize,
    /// The name in its target.
    pub name: Name,
    /// What it stands for.
    pub from: Digest,
    /// What it will stand for.
    pub to: Digest,
}

/// How much there is in a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Pieces of content.
    pub nodes: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that the targets do not hold yet.
    pub missing: u64,
}

impl Plan<'_> {
    /// Returns what went wrong during discovery.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Returns what became of each root during discovery. `Done` means that all of it is known.
    pub fn roots(&self) -> Vec<RootReport> {
        self.roots_where(&self.whole())
    }

    /// Returns what became of each root, if these nodes are whole.
    pub(crate) fn roots_where(&self, whole: &[bool]) -> Vec<RootReport> {
        let is_whole = |root: &PlannedRoot| root.node.is_some_and(|node| whole[node as usize]);
        self.roots.iter().map(|root| root.report(is_whole(root))).collect()
    }

    /// Returns every entry of an index that is not in the plan.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Returns how many referrers were seen but stay behind.
    pub fn referrers_seen(&self) -> u64 {
        self.referrers_seen
    }

    /// Returns what refers to something that does not come as it is.
    pub fn unfit(&self) -> &[Unfit] {
        &self.unfit
    }

    /// Returns every digest in the plan. One may come several times: for each target, and as
    /// manifest and as layer.
    pub fn digests(&self) -> impl Iterator<Item = &Digest> {
        self.nodes.iter().map(|node| &node.digest)
    }

    /// Returns the two digests that one name would stand for in a target, if there is such a name.
    pub fn conflict(&self) -> Option<Error> {
        let mut meant: HashMap<(u32, &Name), &Digest> = HashMap::new();
        for root in &self.roots {
            let Some(node) = root.node.map(|node| &self.nodes[node as usize]) else { continue };
            for name in &root.names {
                let first = *meant.entry((node.target, name)).or_insert(&node.digest);
                if *first != node.digest {
                    let [first, second] = [first, &node.digest].map(Clone::clone);
                    return Some(Error::Conflict { name: name.to_string(), first, second });
                }
            }
        }
        None
    }

    /// Takes every root out of the plan of which not all is known, with what came along for it;
    /// returns what went wrong, and every root that is out, as failed. What is left can be had as a
    /// whole.
    ///
    /// A root whose referrers could not be listed goes too: nobody knows what is missing.
    pub fn drop_failed(&mut self) -> (Vec<Failure>, Vec<RootReport>) {
        let failures = std::mem::take(&mut self.failures);
        let unlisted = failures.iter().filter(|failure| failure.action == Action::ListReferrers);
        let unlisted: HashSet<&str> = unlisted.map(|failure| failure.subject.as_str()).collect();
        let sources: Vec<_> = self.sources.iter().map(|source| format!("{source:?}")).collect();
        let is_unlisted = |node: &Node| {
            !unlisted.is_empty()
                && (unlisted.contains(node.digest.to_string().as_str())
                    || unlisted.contains(sources[node.source as usize].as_str()))
        };
        for number in self.numbers(is_unlisted) {
            self.nodes[number as usize].state = State::Broken;
        }
        (failures, self.drop_broken())
    }

    /// Asks sources for all content that is no manifest, with up to `jobs` requests at once: before a place
    /// is begun that cannot be begun again. What they do not have fails its roots.
    pub fn ask_for_content(&mut self, jobs: usize) {
        let needed = self.needed();
        let mut blobs = self.numbers(|node| node.state == State::Blob);
        // What may lie elsewhere is not fetched from there for its size.
        blobs.retain(|number| needed[*number as usize] && !self.more.contains_key(number));
        let ask = |number: &u32| {
            let node = &self.nodes[*number as usize];
            self.sources[node.source as usize].size(&node.descriptor()).map(drop)
        };
        let answers = in_parallel(&blobs, jobs, ask);
        for (number, answer) in blobs.into_iter().zip(answers) {
            let Err(error) = answer else { continue };
            let node = &mut self.nodes[number as usize];
            let failure = Failure::new(Side::Source, Action::Check, node.digest.to_string(), error);
            if failure.is_of_content() {
                node.state = State::Broken;
                self.failures.push(failure);
            }
        }
    }

    /// Breaks what a run could not read from its source; `false` if something else was in the way, or if
    /// nothing would be left.
    pub(crate) fn break_lost(&mut self, failures: &[Failure]) -> bool {
        if failures.is_empty() || !failures.iter().all(Failure::is_of_content) {
            return false;
        }
        let lost: HashSet<&str> = failures.iter().map(|failure| failure.subject.as_str()).collect();
        let broken = self.numbers(|node| {
            matches!(node.state, State::Blob | State::Manifest)
                && lost.contains(node.digest.to_string().as_str())
        });
        let whole = self.without(broken.clone());
        let is_left = |root: &PlannedRoot| {
            root.subject.is_none() && root.node.is_some_and(|node| whole[node as usize])
        };
        if broken.is_empty() || !self.roots.iter().any(is_left) {
            return false;
        }
        for number in broken {
            self.nodes[number as usize].state = State::Broken;
        }
        true
    }

    /// Takes out every root that needs something broken, with what came along for it.
    pub(crate) fn drop_broken(&mut self) -> Vec<RootReport> {
        let whole = self.whole();
        let is_left = |root: &mut PlannedRoot| {
            root.skipped || root.node.is_some_and(|node| whole[node as usize])
        };
        let mut dropped: Vec<_> = self
            .roots
            .extract_if(.., |root| !is_left(root))
            .map(|root| root.report(false))
            .collect();
        dropped.extend(self.drop_without_subject());
        dropped
    }

    /// Takes every referrer out of the plan that `is_kept` does not keep, with what came along for
    /// it. That one of them could not be had is no failure then.
    pub fn retain_referrers(&mut self, is_kept: impl Fn(&Digest) -> bool) {
        let goes = |root: &mut PlannedRoot| {
            let digest = root.descriptor.as_ref().map(|descriptor| &descriptor.digest);
            root.subject.is_some() && digest.is_some_and(|digest| !is_kept(digest))
        };
        let gone = self.roots.extract_if(.., goes).filter(|root| root.node.is_none());
        let mut forgotten: HashSet<Digest> =
            gone.filter_map(|root| Some(root.descriptor.as_ref()?.digest.clone())).collect();
        // What is needed beside is missing still.
        for node in self.nodes.iter().filter(|node| node.state == State::Broken) {
            forgotten.remove(&node.digest);
        }
        let forgotten: HashSet<String> = forgotten.iter().map(ToString::to_string).collect();
        self.failures.retain(|failure| {
            failure.action != Action::Resolve || !forgotten.contains(&failure.subject)
        });
        self.drop_without_subject();
        let reached = self.reached_from_roots();
        self.failures.retain(|failure| {
            failure.action != Action::Check || reached.contains(&failure.subject)
        });
    }

    /// Returns the digests of all that roots refer to, known or not, as text.
    fn reached_from_roots(&self) -> HashSet<String> {
        let mut seen = vec![false; self.nodes.len()];
        let mut next: Vec<u32> = self.roots.iter().filter_map(|root| root.node).collect();
        while let Some(node) = next.pop() {
            if !std::mem::replace(&mut seen[node as usize], true) {
                next.extend(self.children(node));
            }
        }
        let reached = self.nodes.iter().zip(seen).filter(|(_, seen)| *seen);
        reached.map(|(node, _)| node.digest.to_string()).collect()
    }

    /// Takes referrers out of the plan whose subject is not in it: one goes with its subject, and its
    /// own referrers with it.
    fn drop_without_subject(&mut self) -> Vec<RootReport> {
        let mut dropped = Vec::new();
        if self.roots.iter().all(|root| root.subject.is_none()) {
            return dropped;
        }
        loop {
            let before = self.roots.len();
            let needed: HashSet<Digest> =
                self.needed_nodes().into_iter().map(|node| node.digest.clone()).collect();
            let goes = |root: &mut PlannedRoot| {
                root.subject.as_deref().is_some_and(|subject| !needed.contains(subject))
            };
            dropped.extend(self.roots.extract_if(.., goes).map(|root| root.report(false)));
            if self.roots.len() == before {
                return dropped;
            }
        }
    }

    /// For each node, whether all that it refers to, to any depth, is known.
    pub(crate) fn whole(&self) -> Vec<bool> {
        self.without(self.numbers(|node| node.state == State::Broken))
    }

    /// For each node, whether neither it nor anything that it refers to is one of `broken`.
    pub(crate) fn without(&self, broken: Vec<u32>) -> Vec<bool> {
        if broken.is_empty() {
            return vec![true; self.nodes.len()];
        }
        self.without_under(&self.parents(), broken)
    }

    /// Does the like for whoever has the parents of all nodes.
    pub(crate) fn without_under(&self, parents: &Parents, mut broken: Vec<u32>) -> Vec<bool> {
        let mut whole = vec![true; self.nodes.len()];
        while let Some(node) = broken.pop() {
            if std::mem::replace(&mut whole[node as usize], false) {
                broken.extend(parents.of(node));
            }
        }
        whole
    }

    /// For each node, whether a root needs it of which all is known.
    pub(crate) fn needed(&self) -> Vec<bool> {
        self.needed_of(&self.whole())
    }

    /// Does the like for whoever knows which nodes are `whole`.
    pub(crate) fn needed_of(&self, whole: &[bool]) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        let mut next: Vec<u32> = self.roots.iter().filter_map(|root| root.node).collect();
        next.retain(|node| whole[*node as usize]);
        while let Some(node) = next.pop() {
            let is_there = self.nodes[node as usize].state != State::Absent;
            if is_there && !std::mem::replace(&mut needed[node as usize], true) {
                next.extend(self.children(node));
            }
        }
        needed
    }

    /// Returns the nodes that a root needs of which all is known.
    pub(crate) fn needed_nodes(&self) -> Vec<&Node> {
        let needed = self.needed();
        self.nodes.iter().zip(needed).filter(|(_, needed)| *needed).map(|(node, _)| node).collect()
    }

    /// Returns the descriptor by which a node is read: with what it says of where the content is.
    pub(crate) fn source_descriptor(&self, number: u32) -> Descriptor {
        let more = self.more.get(&number).cloned();
        Descriptor { more, ..self.nodes[number as usize].descriptor() }
    }

    /// Returns the numbers of the nodes that are as `is` says.
    pub(crate) fn numbers(&self, is: impl Fn(&Node) -> bool) -> Vec<u32> {
        (0..).zip(&self.nodes).filter(|(_, node)| is(node)).map(|(number, _)| number).collect()
    }

    /// Returns the children of a node.
    pub(crate) fn children(&self, node: u32) -> &[u32] {
        let Node { first_child, child_count, .. } = self.nodes[node as usize];
        &self.edges[first_child as usize..][..child_count as usize]
    }

    /// Returns nodes with their roots, by number, sorted.
    pub(crate) fn roots_by_node(&self) -> Vec<(u32, u32)> {
        let numbered = (0..).zip(&self.roots);
        let mut roots: Vec<(u32, u32)> =
            numbered.filter_map(|(number, root)| Some((root.node?, number))).collect();
        roots.sort_unstable();
        roots
    }

    /// Returns the parents of every node.
    pub(crate) fn parents(&self) -> Parents {
        let mut ends = vec![0_u32; self.nodes.len() + 1];
        for child in &self.edges {
            ends[*child as usize + 1] += 1;
        }
        for node in 1..ends.len() {
            ends[node] += ends[node - 1];
        }
        let mut at = ends.clone();
        let mut parents = vec![0; self.edges.len()];
        for node in (0..).take(self.nodes.len()) {
            for &child in self.children(node) {
                parents[at[child as usize] as usize] = node;
                at[child as usize] += 1;
            }
        }
        Parents { ends, parents }
    }
}

/// The parents of every node, one node's behind the other's.
#[derive(Debug)]
pub(crate) struct Parents {
    ends: Vec<u32>,
    parents: Vec<u32>,
}

impl Parents {
    pub(crate) fn of(&self, node: u32) -> &[u32] {
        &self.parents[self.ends[node as usize] as usize..self.ends[node as usize + 1] as usize]
    }
}

impl Node {
    /// Returns the descriptor without what roots have beside.
    pub(crate) fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest.clone(), self.size)
    }
}

impl Deref for PlannedRoot {
    type Target = FoundRoot;

    fn deref(&self) -> &FoundRoot {
        &self.found
    }
}

impl DerefMut for PlannedRoot {
    /// What reports have already stays as it is.
    fn deref_mut(&mut self) -> &mut FoundRoot {
        Arc::make_mut(&mut self.found)
    }
}

impl PlannedRoot {
    pub(crate) fn report(&self, done: bool) -> RootReport {
        RootReport {
            found: Arc::clone(&self.found),
            outcome: match (self.skipped, done) {
                (true, _) => Outcome::Skipped,
                (_, true) => Outcome::Done,
                (_, false) => Outcome::Failed,
            },
        }
    }
}

impl std::fmt::Display for Unfit {
    /// Says what it is, and what it refers to.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { subject, referrer, .. } = self;
        match referrer {
            RootRequest::Selector(name) => write!(f, "{name}")?,
            RootRequest::Listed(entry) => {
                let declared = entry.artifact_type.as_ref().unwrap_or(&entry.media_type);
                write!(f, "{} {}", ArtifactType::declared_as(declared).name(), entry.digest)?;
            }
        }
        write!(f, " of the index {subject}")
    }
}

impl std::fmt::Display for RootRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Selector(selector) => selector.fmt(f),
            Self::Listed(descriptor) => descriptor.digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use longshore_store::{OutlineNode, Root};

    use super::{FoundRoot, Node, PlannedRoot};
    use crate::RootReport;

    /// A hash table that has just grown has so many slots for so many items.
    const SPARSE: (usize, usize) = (16, 7);

    #[test]
    fn a_node_takes_less_than_200_bytes() {
        // While it is made, a quarter of the room is free, and there are numbers by hash.
        let node = size_of::<Node>();
        assert!(node <= 96, "{node}");
        let numbered = (size_of::<(u64, u32)>() + 1) * SPARSE.0 / SPARSE.1;
        assert!(node * 5 / 4 + numbered <= 200);
        // While it is carried out, there is the outline, or eight lists of numbers.
        let numbers = size_of::<[u32; 8]>();
        assert!(node + size_of::<OutlineNode>().max(numbers) <= 200);
    }

    #[test]
    fn a_root_takes_less_than_400_bytes_with_its_name() {
        /// Two counts of whoever shares something.
        const COUNTS: usize = 16;
        const NAME: usize = "registry.example.org/app:v1.2.3".len();
        let found = COUNTS + size_of::<FoundRoot>();
        let name = size_of::<longshore_store::Name>() + COUNTS + NAME;
        let planned = size_of::<PlannedRoot>() + size_of::<(u32, u32)>();
        // A report shares what was found.
        let report = size_of::<RootReport>();
        assert_eq!(report, 2 * size_of::<Arc<FoundRoot>>());
        assert!(found + name + planned + report <= 400, "{found} {name} {planned} {report}");
        // Before, there is the outline: it shares the name.
        let outline = size_of::<Root>() + size_of::<longshore_store::Name>();
        assert!(found + name + planned + outline <= 480, "{outline}");
    }
}
