//! Copying one node into its target.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use longshore_spec::{Descriptor, Digest, Manifest, keys};
use longshore_store::{Entry, Error, Held, MAX_DEPTH, Name, Order, Pushed, Target};

use super::Run;
use crate::discover::differ_by_name_only;
use crate::plan::{Node, PlannedRoot, State};
use crate::transfer::Transfer;
use crate::{Action, Arrival, Failure, Side};

/// How far a node has come.
pub(super) enum Copied {
    /// It is there, with all its names.
    Whole,
    /// Its content is there; names are still to be given.
    BeingNamed,
}

impl Run<'_, '_> {
    /// Copies one node into its target.
    pub(super) fn copy_node(&self, number: u32) -> Result<Copied, Failure> {
        let node = &self.plan.nodes[number as usize];
        let Some(target) = self.plan.targets[node.target as usize] else {
            return Ok(Copied::Whole);
        };
        let roots: Vec<&PlannedRoot> = self
            .roots_of(number)
            .iter()
            .map(|(_, root)| &self.plan.roots[*root as usize])
            .collect();
        let moved = match node.state {
            State::Blob => self.copy_blob(number, target, &roots),
            State::Trusted => Ok(false),
            _ => match self.copy_manifest(number, target, &roots)? {
                Some(moved) => Ok(moved),
                None => return Ok(Copied::BeingNamed),
            },
        }?;
        self.count(node, moved);
        Ok(Copied::Whole)
    }

    /// Takes note of a node that is there.
    pub(super) fn count(&self, node: &Node, moved: bool) {
        let count = if moved { &self.moved } else { &self.existed };
        count.fetch_add(1, Ordering::Relaxed);
        let arrival = if moved { Arrival::Moved } else { Arrival::Existed };
        self.observer.finished(&node.digest, node.size, arrival);
    }

    /// Copies a blob; returns whether anything was read for it.
    fn copy_blob(
        &self,
        number: u32,
        target: &dyn Target,
        roots: &[&PlannedRoot],
    ) -> Result<bool, Failure> {
        let node = &self.plan.nodes[number as usize];
        let is_there = !self.plan.is_lost(number) && held(node, target)? == Held::Whole;
        let moved = !is_there && self.push_blob(number, target)?;
        for root in roots {
            let Some(descriptor) = &root.descriptor else { continue };
            let listed = target.list(descriptor, &root.names);
            listed.map_err(|error| fail(node, Side::Target, Action::Publish, error))?;
        }
        Ok(moved)
    }

    fn push_blob(&self, number: u32, target: &dyn Target) -> Result<bool, Failure> {
        let node = &self.plan.nodes[number as usize];
        self.observer.began(self.name_of(number), &node.digest, node.size);
        let source = self.plan.sources[node.source as usize];
        let allow_unverified = self.plan.allow_unverified;
        let arrived = self.queue().mounts.at(&node.digest);
        let descriptor = self.plan.source_descriptor(number);
        let transfer =
            Transfer::new(source, descriptor, self.observer, allow_unverified).or_from(arrived);
        let pushed = target.push_blob(&transfer);
        self.bytes.fetch_add(transfer.read(), Ordering::Relaxed);
        let pushed =
            pushed.map_err(|error| fail(node, transfer.side(&error), Action::Copy, error))?;
        if node.digest.hasher().is_none() {
            self.queue().unverified.push(node.digest.clone());
        }
        Ok(matches!(pushed, Pushed::Written(_)) || transfer.read() > 0)
    }

    /// Copies a manifest; returns whether it was written, or nothing if it is being named.
    fn copy_manifest(
        &self,
        number: u32,
        target: &dyn Target,
        roots: &[&PlannedRoot],
    ) -> Result<Option<bool>, Failure> {
        let node = &self.plan.nodes[number as usize];
        if roots.is_empty() && held(node, target)? == Held::Whole {
            return Ok(Some(false));
        }
        let copy = |side| move |error| fail(node, side, Action::Copy, error);
        let manifest = self.manifest(number, roots).map_err(copy(Side::Source))?;
        let push = |manifest: &Manifest, entry: Entry<'_>| {
            let pushed = target.push_manifest(manifest, entry);
            pushed.map_err(|error| self.not_taken(node, manifest, error))
        };
        let mut pushed = Vec::new();
        if roots.is_empty() {
            pushed.push(push(&manifest, Entry::Child)?);
        } else if self.order == Order::Sequence {
            // A pipe takes everything once; what each entry said it knows from the outline.
            let names: Vec<_> = roots.iter().flat_map(|root| root.names.clone()).collect();
            pushed.push(push(&manifest, Entry::Root(&names))?);
        } else if self.begin_to_name(number, target, &manifest)? {
            return Ok(None);
        } else {
            // Several requests may have led to one manifest, each with what its entry said. Where that
            // is the same, and there may be a hundred thousand names, all of them are one change.
            for roots in roots.chunk_by(|a, b| can_be_named_at_once(a, b)) {
                let found = manifest.clone();
                let found = match &roots[0].descriptor {
                    Some(descriptor) => found.described(descriptor.clone()),
                    None => found,
                };
                let names: Cow<'_, [Name]> = match roots {
                    [root] => Cow::Borrowed(&root.names),
                    roots => roots.iter().flat_map(|root| root.names.iter().cloned()).collect(),
                };
                pushed.push(push(&found, Entry::Root(&names))?);
            }
        }
        let written = |pushed: &Pushed| match pushed {
            Pushed::Written(read) => Some(*read),
            Pushed::Existed | Pushed::Mounted => None,
        };
        let Some(read) = pushed.iter().find_map(written) else { return Ok(Some(false)) };
        self.read(read);
        Ok(Some(true))
    }

    /// Returns what a root is called that a node belongs to, the first of those that have it.
    fn name_of(&self, mut number: u32) -> Option<&Name> {
        for _ in 0..=MAX_DEPTH {
            if let Some((_, root)) = self.roots_of(number).first() {
                let root = &self.plan.roots[*root as usize];
                return root.names.first().or(root.wanted.as_ref());
            }
            number = *self.plan.parents.of(number).first()?;
        }
        None
    }

    /// Takes note of bytes of a manifest that have come.
    pub(super) fn read(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.observer.advanced(bytes);
    }

    /// Returns the failure of a manifest that its target did not take.
    pub(super) fn not_taken(&self, node: &Node, manifest: &Manifest, error: Error) -> Failure {
        let is_refused = matches!(error, Error::Refused { .. } | Error::NotFound { .. });
        let absent = if is_refused { self.absent(node, manifest) } else { Vec::new() };
        Failure { absent, ..fail(node, Side::Target, Action::Copy, error) }
    }

    /// Returns what a manifest refers to that is not to come into its target.
    fn absent(&self, of: &Node, manifest: &Manifest) -> Vec<Digest> {
        let coming = self.expected.get_or_init(|| {
            let is_coming = |node: &&Node| node.state != State::Absent;
            let coming = self.plan.nodes.iter().filter(is_coming);
            coming.map(|node| (node.target, &node.digest)).collect()
        });
        let children = manifest.children().map(|(_, child)| &child.digest);
        children.filter(|digest| !coming.contains(&(of.target, digest))).cloned().collect()
    }

    /// Returns a manifest that was discovered: kept, or fetched again.
    fn manifest(&self, number: u32, roots: &[&PlannedRoot]) -> Result<Manifest, Error> {
        let node = &self.plan.nodes[number as usize];
        let listed = roots.first().and_then(|root| root.descriptor.clone());
        let descriptor = listed.unwrap_or_else(|| node.descriptor());
        match self.plan.manifests.get(&number) {
            None => self.plan.sources[node.source as usize].child(&descriptor),
            Some(raw) => Manifest::parse(raw.clone(), descriptor)
                .map_err(|source| Error::Manifest { digest: node.digest.clone(), source }),
        }
    }
}

/// Tells whether two roots with the same manifest differ by their names only, and have some.
fn can_be_named_at_once(a: &PlannedRoot, b: &PlannedRoot) -> bool {
    let (Some(one), Some(other)) = (&a.descriptor, &b.descriptor) else { return false };
    let mark = |of: &Descriptor| of.annotations.get(keys::REPOSITORY).cloned();
    !(a.names.is_empty() || b.names.is_empty())
        && mark(one) == mark(other)
        && differ_by_name_only(one, other)
}

fn held(node: &Node, target: &dyn Target) -> Result<Held, Failure> {
    let held = target.held(&node.descriptor(), node.role);
    held.map_err(|error| fail(node, Side::Target, Action::Check, error))
}

fn fail(node: &Node, side: Side, action: Action, error: Error) -> Failure {
    Failure::new(side, action, node.digest.to_string(), error)
}
