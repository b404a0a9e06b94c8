//! The graph of references between manifests.

use std::collections::{HashMap, HashSet};

use longshore_spec::{Descriptor, Digest, Manifest, MediaType, Role};

use super::Member;
use crate::listing::{Entry, Listing};
use crate::names::Scope;

/// The memory of a digest, in bytes, with its place in the map.
const NODE: u64 = 256;

/// The memory of a reference, in bytes, on both sides.
const EDGE: u64 = 48;

/// All content that was read, by number.
#[derive(Default)]
pub(super) struct Graph {
    numbers: HashMap<Digest, u32>,
    nodes: Vec<Node>,
    /// An upper bound of its memory, in bytes.
    size: u64,
}

/// A manifest or blob.
struct Node {
    digest: Digest,
    /// `None` until it is read.
    kind: Option<NodeKind>,
    children: Box<[Child]>,
    /// The manifests that refer to it, once for each reference.
    parents: Parents,
    /// As a referrer and as a subject, which few are: most nodes are layers.
    reference: Option<Box<Reference>>,
    /// Whether it is known to be stored.
    is_stored: bool,
}

/// Numbers of manifests, of which most content has one: a list for each layer would take more room than the layer's
/// node, in small pieces.
#[derive(Default)]
struct Parents {
    first: Option<u32>,
    #[expect(clippy::box_collection, reason = "it is there for few, and its room for all")]
    others: Option<Box<Vec<u32>>>,
}

/// What a manifest says of another, and what others say of it.
#[derive(Default)]
struct Reference {
    subject: Option<u32>,
    /// Its descriptor in a list of referrers.
    as_referrer: Option<Descriptor>,
    /// The manifests whose subject it is.
    referrers: Vec<u32>,
}

/// A reference in a manifest.
struct Child {
    node: u32,
    role: Role,
    media_type: MediaType,
    size: u64,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeKind {
    /// A manifest, whose references are in the graph.
    Links,
    /// Not a manifest.
    NotAManifest,
    /// Absent.
    Absent,
}

impl Graph {
    /// Returns an upper bound of the memory of the graph, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn kind(&self, digest: &Digest) -> Option<NodeKind> {
        self.node(digest)?.kind
    }

    /// Adds content that was read.
    pub(super) fn add(&mut self, digest: &Digest, manifest: Option<&Manifest>) -> NodeKind {
        let kind = if manifest.is_some() { NodeKind::Links } else { NodeKind::NotAManifest };
        let number = self.number(digest);
        if let Some(known) = self.nodes[number as usize].kind {
            // Another thread has read it meanwhile.
            return known;
        }
        self.nodes[number as usize].kind = Some(kind);
        let Some(manifest) = manifest else { return kind };
        let child = |(role, child): (Role, &Descriptor)| {
            let node = self.number(&child.digest);
            self.nodes[node as usize].parents.push(number);
            self.size += EDGE;
            Child { node, role, media_type: child.media_type.clone(), size: child.size }
        };
        let children: Box<[Child]> = manifest.children().map(child).collect();
        self.nodes[number as usize].children = children;
        if let Some(subject) = manifest.subject() {
            let subject = self.number(&subject.digest);
            self.nodes[subject as usize].reference.get_or_insert_default().referrers.push(number);
            let reference = self.nodes[number as usize].reference.get_or_insert_default();
            reference.subject = Some(subject);
            reference.as_referrer = Some(manifest.as_referrer());
            // The annotations are part of the descriptor.
            self.size += EDGE + manifest.raw().len() as u64;
        }
        kind
    }

    /// Returns the manifests that a manifest lists.
    pub(super) fn manifests_of(&self, digest: &Digest) -> Vec<Descriptor> {
        let children = self.node(digest).into_iter().flat_map(|node| &node.children);
        let listed = children.filter(|child| child.role == Role::Manifest);
        let descriptor = |child: &Child| {
            let digest = self.nodes[child.node as usize].digest.clone();
            Descriptor::new(child.media_type.clone(), digest, child.size)
        };
        listed.map(descriptor).collect()
    }

    /// Returns the subject of a manifest, and whether it is known to be stored.
    pub(super) fn subject(&self, digest: &Digest) -> Option<(Digest, bool)> {
        let subject = &self.nodes[self.node(digest)?.subject()? as usize];
        Some((subject.digest.clone(), subject.is_stored))
    }

    pub(super) fn note_stored(&mut self, digest: &Digest) {
        let number = self.number(digest);
        self.nodes[number as usize].is_stored = true;
    }

    /// Returns the content of a repository with this digest. Content that an index lists as a manifest
    /// counts as one. If descriptors disagree about its type, the content decides.
    pub(super) fn member(
        &self,
        listing: &Listing,
        scope: &Scope,
        digest: &Digest,
    ) -> Option<Member> {
        let entry = || {
            let entry = self.entry(listing, scope, digest)?.descriptor();
            Some(Member { media_type: entry.media_type.clone(), size: entry.size, role: None })
        };
        let Some(number) = self.numbers.get(digest).copied() else { return entry() };
        let parents = &self.nodes[number as usize].parents;
        let mut held = Held::new(self, listing, scope, parents.len());
        let said = |parent: u32| {
            let children = &self.nodes[parent as usize].children;
            children.iter().filter(move |child| child.node == number)
        };
        let mut as_manifest: Option<Member> = None;
        let mut seen = HashSet::new();
        for parent in parents.iter().filter(|parent| seen.insert(*parent)) {
            for child in said(parent).filter(|child| child.role == Role::Manifest) {
                if !held.holds(parent) {
                    break;
                }
                match &mut as_manifest {
                    Some(known) if known.media_type != child.media_type => {
                        known.media_type = MediaType::new("");
                        return as_manifest;
                    }
                    Some(_) => {}
                    None => as_manifest = Some(child.member()),
                }
            }
        }
        if as_manifest.is_some() {
            return as_manifest;
        }
        let holding = parents.iter().find(|parent| held.holds(*parent));
        let by_parent = holding.and_then(|parent| said(parent).next()).map(Child::member);
        by_parent.or_else(entry).or_else(|| {
            let node = &self.nodes[number as usize];
            // A referrer of something in the repository belongs to it.
            let described = node.as_referrer().filter(|_| held.holds(number))?;
            let (media_type, size) = (described.media_type.clone(), described.size);
            Some(Member { media_type, size, role: None })
        })
    }

    /// Returns the referrers of a subject in a repository.
    pub(super) fn referrers(
        &self,
        listing: &Listing,
        scope: &Scope,
        subject: &Digest,
    ) -> Vec<Descriptor> {
        let Some(node) = self.node(subject) else { return Vec::new() };
        let mut held = Held::new(self, listing, scope, node.referrers().len());
        let referrers = node.referrers().iter().filter(|number| held.holds(**number));
        let described = |number: &u32| self.nodes[*number as usize].as_referrer().cloned();
        referrers.filter_map(described).collect()
    }

    /// Returns an entry that puts a digest into a scope by itself. An entry that names no repository and
    /// refers to stored content belongs where that content is.
    fn entry<'l>(&self, listing: &'l Listing, scope: &Scope, digest: &Digest) -> Option<&'l Entry> {
        if *scope == Scope::Layout {
            return listing.of_digest(digest, scope).first().copied();
        }
        let is_tied = |entry: &Entry| {
            entry.is_loose() && self.subject(digest).is_some_and(|(_, is_stored)| is_stored)
        };
        scope.keys().find_map(|key| listing.of_digest_in(digest, key).find(|entry| !is_tied(entry)))
    }

    /// Tells whether a digest has an entry that names no repository.
    fn is_loose(listing: &Listing, digest: &Digest) -> bool {
        listing.of_digest_in(digest, "").any(Entry::is_loose)
    }

    fn node(&self, digest: &Digest) -> Option<&Node> {
        self.numbers.get(digest).map(|number| &self.nodes[*number as usize])
    }

    fn number(&mut self, digest: &Digest) -> u32 {
        if let Some(number) = self.numbers.get(digest) {
            return *number;
        }
        // The bound on memory keeps the graph far below so many nodes.
        let number = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(Node {
            digest: digest.clone(),
            kind: None,
            children: Box::default(),
            parents: Parents::default(),
            reference: None,
            is_stored: false,
        });
        self.numbers.insert(digest.clone(), number);
        self.size += NODE;
        number
    }
}

impl Parents {
    fn push(&mut self, parent: u32) {
        match self.first {
            None => self.first = Some(parent),
            Some(_) => self.others.get_or_insert_default().push(parent),
        }
    }

    fn len(&self) -> usize {
        self.iter().count()
    }

    fn iter(&self) -> impl Iterator<Item = u32> {
        let others = self.others.iter().flat_map(|others| others.iter());
        self.first.into_iter().chain(others.copied())
    }
}

impl Node {
    fn subject(&self) -> Option<u32> {
        self.reference.as_ref()?.subject
    }

    fn as_referrer(&self) -> Option<&Descriptor> {
        self.reference.as_ref()?.as_referrer.as_ref()
    }

    fn referrers(&self) -> &[u32] {
        self.reference.as_ref().map(|reference| &reference.referrers[..]).unwrap_or_default()
    }
}

impl Child {
    fn member(&self) -> Member {
        let Self { role, media_type, size, .. } = self;
        Member { media_type: media_type.clone(), size: *size, role: Some(*role) }
    }
}

/// Answers one question about the content of a repository.
enum Held<'a> {
    /// Upwards from the content to an entry, if little refers to the content.
    Upwards { of: Of<'a>, known: HashMap<u32, bool> },
    /// Everything that the entries of a small repository lead to.
    Downwards(HashSet<u32>),
}

/// Whose content it is.
#[derive(Clone, Copy)]
struct Of<'a> {
    graph: &'a Graph,
    listing: &'a Listing,
    scope: &'a Scope,
}

impl<'a> Held<'a> {
    /// Chooses the shorter way: up from `many` nodes, or down from the entries.
    fn new(graph: &'a Graph, listing: &'a Listing, scope: &'a Scope, many: usize) -> Self {
        let of = Of { graph, listing, scope };
        let entries =
            || scope.keys().map(|key| listing.within_repository(key).len()).sum::<usize>();
        if *scope == Scope::Layout || many <= entries() {
            Self::Upwards { of, known: HashMap::new() }
        } else {
            Self::Downwards(of.closure())
        }
    }

    fn holds(&mut self, number: u32) -> bool {
        match self {
            Self::Downwards(held) => held.contains(&number),
            Self::Upwards { of, known } => {
                if let Some(known) = known.get(&number) {
                    return *known;
                }
                let holds = of.leads_to(number);
                known.insert(number, holds);
                holds
            }
        }
    }
}

impl Of<'_> {
    fn node(&self, number: u32) -> &Node {
        &self.graph.nodes[number as usize]
    }

    /// Tells whether an entry leads to a node.
    fn leads_to(&self, number: u32) -> bool {
        let (mut next, mut seen) = (vec![number], HashSet::from([number]));
        while let Some(number) = next.pop() {
            let node = self.node(number);
            if self.graph.entry(self.listing, self.scope, &node.digest).is_some() {
                return true;
            }
            let is_loose = Graph::is_loose(self.listing, &node.digest);
            let subject = node.subject().filter(|_| is_loose);
            next.extend(node.parents.iter().chain(subject).filter(|number| seen.insert(*number)));
        }
        false
    }

    /// Returns everything that the entries of a repository lead to.
    fn closure(&self) -> HashSet<u32> {
        let mut held = HashSet::new();
        let mut next = Vec::new();
        for key in self.scope.keys() {
            for entry in self.listing.within_repository(key) {
                let digest = &entry.descriptor().digest;
                if self.graph.entry(self.listing, self.scope, digest).is_some() {
                    next.extend(self.graph.numbers.get(digest));
                }
            }
        }
        while let Some(number) = next.pop() {
            if held.insert(number) {
                let node = self.node(number);
                let loose =
                    node.referrers().iter().copied().filter(|referrer| {
                        Graph::is_loose(self.listing, &self.node(*referrer).digest)
                    });
                next.extend(node.children.iter().map(|child| child.node).chain(loose));
            }
        }
        held
    }
}
