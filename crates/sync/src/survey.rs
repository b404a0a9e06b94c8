//! What a plan says about its roots, for people.

use std::collections::{HashMap, HashSet};

use longshore_spec::{Digest, Manifest, MediaType, Platform};
use longshore_store::{Blob as _, KnownRoots, Result, Root, Source};

use crate::plan::{Node, State};
use crate::transfer::Transfer;
use crate::{CopyItem, Filter, Observer, Plan, RootRequest, SealedPlan, Silent};

/// Looks into all that roots of one source need, in their order; nothing is copied.
pub fn survey<'a>(source: &'a dyn Source, roots: &[Root], jobs: usize) -> Plan<'a> {
    let wanted = roots.iter().map(|root| CopyItem {
        source,
        request: RootRequest::Listed(root.descriptor.clone()),
        target: None,
        names: root.names.clone(),
        filter: None,
    });
    Plan::discover(wanted.collect(), &Filter::default(), jobs)
}

/// Looks into all that is listed in one source: what its roots need, and what of referrers `filter` takes.
/// A name of which it could not be found out what it stands for is asked for once more, and fails on its
/// own.
pub fn survey_known<'a>(
    source: &'a dyn Source,
    known: KnownRoots,
    filter: &Filter,
    jobs: usize,
    observer: &dyn Observer,
) -> Plan<'a> {
    let listed = known.roots.into_iter();
    let listed = listed.map(|root| (RootRequest::Listed(root.descriptor), root.names));
    let unknown = known.unknown.into_iter();
    let unknown = unknown.map(|(name, _)| (RootRequest::Selector(name.clone().into()), vec![name]));
    let wanted = listed.chain(unknown).map(|(request, names)| CopyItem {
        source,
        request,
        target: None,
        names,
        filter: None,
    });
    Plan::discover_for(wanted.collect(), filter, jobs, observer)
}

/// Something that a manifest refers to.
#[derive(Debug, Clone, Copy)]
pub struct Part<'p> {
    /// What it is.
    pub digest: &'p Digest,
    /// What it is made of.
    pub media_type: &'p MediaType,
}

impl Plan<'_> {
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

    /// Returns what a manifest refers to that is a root or an entry of one: its place in
    /// [`Plan::roots`], and the manifest's digest. The parts stand as they do in the manifest; an image
    /// has its config first. Nothing if the plan does not know what is in it.
    pub fn parts(&self, root: usize, manifest: &Digest) -> Vec<Part<'_>> {
        let part = |node: &u32| {
            let Node { digest, media_type, .. } = &self.nodes[*node as usize];
            Part { digest, media_type }
        };
        self.children_of(root, manifest).iter().map(part).collect()
    }

    /// Reads the config of an image, up to [`Manifest::MAX_SIZE`] bytes, and returns the platform that it
    /// names (rows B-11, C-07): its place in [`Plan::roots`], and the manifest's digest. `None` if it has
    /// no config, or one that names no platform. Fails as its source does, and on content that is not
    /// what its digest says.
    pub fn config_platform(&self, root: usize, manifest: &Digest) -> Result<Option<Platform>> {
        let Some(&number) = self.children_of(root, manifest).first() else { return Ok(None) };
        let config = &self.nodes[number as usize];
        if config.size > Manifest::MAX_SIZE {
            return Ok(None);
        }
        let source = self.sources[config.source as usize];
        // What is in its descriptor is not asked for.
        let content = Transfer::new(source, self.source_descriptor(number), &Silent, false);
        Ok(Platform::of_config(&content.open(None)?.into_bytes()?))
    }

    /// Returns the nodes that a manifest refers to that is a root or an entry of one.
    fn children_of(&self, root: usize, manifest: &Digest) -> &[u32] {
        let Some(root) = self.roots.get(root).and_then(|root| root.node) else { return &[] };
        let near = std::iter::once(root).chain(self.children(root).iter().copied());
        let mut found = near.filter(|node| {
            let node = &self.nodes[*node as usize];
            node.state == State::Manifest && node.digest == *manifest
        });
        found.next().map_or(&[], |node| self.children(node))
    }

    /// Returns the platforms that are left out of an index that a root reaches and that stays as it is,
    /// so that it points to some that are not there: its place in [`Plan::roots`]. `None` if nothing is.
    pub fn left_out_of(&self, root: usize) -> Option<Vec<&Platform>> {
        self.platforms_of(root, &self.sparse)
    }

    /// Returns the platforms that an index lists which a root reaches, and that its source lacks, so that
    /// it points to some that are not there: its place in [`Plan::roots`]. `None` if nothing is lacking.
    pub fn lacking_of(&self, root: usize) -> Option<Vec<&Platform>> {
        self.platforms_of(root, &self.lacking)
    }

    fn platforms_of<'s>(
        &'s self,
        root: usize,
        by_node: &'s HashMap<u32, Vec<Platform>>,
    ) -> Option<Vec<&'s Platform>> {
        if by_node.is_empty() {
            return None;
        }
        let found = self.reached_numbers(root).filter_map(|node| by_node.get(&node));
        let platforms: Vec<_> = found.collect();
        (!platforms.is_empty()).then(|| platforms.into_iter().flatten().collect())
    }

    fn reached(&self, root: usize) -> impl Iterator<Item = &Node> {
        self.reached_numbers(root).map(|node| &self.nodes[node as usize])
    }

    pub(crate) fn reached_numbers(&self, root: usize) -> impl Iterator<Item = u32> {
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
                    return Some(node);
                }
            }
            None
        })
    }
}

impl SealedPlan<'_> {
    /// Returns each manifest of which all is known, to any depth, and what it refers to that is there. One may come
    /// several times.
    pub fn whole_manifests(
        &self,
    ) -> impl Iterator<Item = (&Digest, impl Iterator<Item = &Digest>)> {
        let nodes = (0..).zip(&self.nodes);
        let whole =
            nodes.filter(|(number, node)| node.state == State::Manifest && self.is_whole(*number));
        whole.map(|(number, node)| {
            let children = self.children(number).iter().map(|child| &self.nodes[*child as usize]);
            let there = children.filter(|child| child.state != State::Absent);
            (&node.digest, there.map(|child| &child.digest))
        })
    }
}
