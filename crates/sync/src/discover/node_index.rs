//! Which nodes a plan has already.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use longshore_spec::{Descriptor, Digest, MediaType, Role};

use super::Route;
use crate::plan::Node;

/// What makes two pieces of content one node: a target, and a descriptor as far as it says which
/// bytes they are and how they are read. A digest that is listed as a manifest and as a layer too
/// is two: a registry has them in two places. A manifest that is wanted under two filters is two as
/// well, since not the same is taken of what it refers to. So is one that the target is trusted to
/// have for one root and asked for by another: a target may hold less of the first than was trusted.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct NodeKey<'d> {
    target: u32,
    digest: &'d Digest,
    size: u64,
    manifest: Option<(&'d MediaType, u32)>,
    is_trusted: bool,
}

/// The nodes of a plan by what makes them one. Their keys are in the nodes: here are numbers only,
/// some 20 bytes a node.
#[derive(Default)]
pub(super) struct NodeIndex {
    hasher: RandomState,
    /// By the hash of their keys. Whoever chooses digests does not know the hasher, so that two have the
    /// same hash only by chance.
    nodes: HashMap<u64, u32>,
    /// Nodes whose hash another one had first.
    others: Vec<u32>,
}

impl<'d> NodeKey<'d> {
    pub(super) fn new(
        route: &Route,
        descriptor: &'d Descriptor,
        role: Role,
        is_trusted: bool,
    ) -> Self {
        let Descriptor { digest, size, media_type, .. } = descriptor;
        let manifest = (role == Role::Manifest).then_some((media_type, route.filter));
        Self { target: route.target, digest, size: *size, manifest, is_trusted }
    }

    fn of(node: &'d Node) -> Self {
        let Node { target, digest, size, media_type, filter, is_trusted, .. } = node;
        let manifest = filter.map(|filter| (media_type, filter));
        Self { target: *target, digest, size: *size, manifest, is_trusted: *is_trusted }
    }
}

impl NodeIndex {
    /// Returns the number of the node with this key.
    pub(super) fn get(&self, key: &NodeKey<'_>, nodes: &[Node]) -> Option<u32> {
        let first = self.nodes.get(&self.hasher.hash_one(key));
        let mut same = first.into_iter().chain(&self.others);
        same.find(|number| NodeKey::of(&nodes[**number as usize]) == *key).copied()
    }

    /// Takes note of a node whose key no other has.
    pub(super) fn insert(&mut self, key: &NodeKey<'_>, number: u32) {
        let first = *self.nodes.entry(self.hasher.hash_one(key)).or_insert(number);
        if first != number {
            self.others.push(number);
        }
    }
}
