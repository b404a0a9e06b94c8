//! What a place is told before the first byte comes.

use std::collections::HashSet;

use bytes::Bytes;
use longshore_spec::{Descriptor, Digest, Role, keys};

use crate::Name;

/// All that will come to a place: the nodes in a fixed order, the roots with their names, and
/// files beside them.
///
/// The order depends on the content alone, never on who asked or how many jobs there are:
/// manifests, configs, layers, each sorted by digest; roots by name, then digest.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    nodes: Vec<OutlineNode>,
    roots: Vec<Root>,
    files: Vec<ExtraFile>,
    parts: Vec<OutlinePart>,
}

/// One piece of content that will come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineNode {
    /// What it is to the manifests that refer to it; where they differ, the first of manifest, config
    /// and layer.
    pub role: Role,
    /// Its identity.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// A part of a blob that is longer than the file that it would lie in: the rest lies elsewhere. What its own
/// digest is nobody knows before the blob has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlinePart {
    /// The blob.
    pub blob: Digest,
    /// Which of its parts it is, from 1.
    pub number: u32,
    /// Its length in bytes.
    pub size: u64,
}

/// A manifest that is listed in a place on its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The manifest, with what its source said of it.
    pub descriptor: Descriptor,
    /// What it is called there; none for a root that is known by its digest, and for referrers.
    pub names: Vec<Name>,
}

/// A file that lies beside the content of a layout (row A-14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraFile {
    /// Its name, without a directory.
    pub name: String,
    /// What it holds.
    pub content: Bytes,
}

impl Outline {
    /// Brings what will come into the fixed order. A digest that occurs in several roles keeps the
    /// first of them.
    pub fn new(mut nodes: Vec<OutlineNode>, mut roots: Vec<Root>, files: Vec<ExtraFile>) -> Self {
        nodes
            .sort_unstable_by(|a, b| (&a.digest, a.role, a.size).cmp(&(&b.digest, b.role, b.size)));
        nodes.dedup_by(|later, earlier| later.digest == earlier.digest);
        nodes.sort_unstable_by(|a, b| (a.role, &a.digest).cmp(&(b.role, &b.digest)));
        for root in &mut roots {
            root.names.sort_unstable();
            root.names.dedup();
        }
        // What is listed under a name needs no second entry without one, in the same repository.
        let mut listed: HashSet<_> =
            roots.iter().filter(|root| !root.names.is_empty()).map(place).collect();
        roots.retain(|root| !root.names.is_empty() || listed.insert(place(root)));
        roots.sort_by(|a, b| {
            // Named roots come first: a reader of the list looks for names.
            let key = |root: &Root| (root.names.is_empty(), root.names.first().cloned());
            key(a)
                .cmp(&key(b))
                .then_with(|| a.descriptor.digest.cmp(&b.descriptor.digest))
                .then_with(|| a.descriptor.annotations.cmp(&b.descriptor.annotations))
        });
        // What was asked for twice is listed once.
        roots.dedup();
        Self { nodes, roots, files, parts: Vec::new() }
    }

    /// Returns the same with these files beside the content.
    #[must_use]
    pub fn with_files(self, files: Vec<ExtraFile>) -> Self {
        Self { files, ..self }
    }

    /// Returns the same with these parts of blobs behind the content, by blob and number.
    #[must_use]
    pub fn with_parts(self, mut parts: Vec<OutlinePart>) -> Self {
        parts.sort_unstable_by(|a, b| (&a.blob, a.number).cmp(&(&b.blob, b.number)));
        Self { parts, ..self }
    }

    /// Returns every piece of content once, in the fixed order.
    pub fn nodes(&self) -> &[OutlineNode] {
        &self.nodes
    }

    /// Returns every manifest that will be listed on its own account, in the fixed order.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// Returns the parts of blobs that come behind the content, by blob and number.
    pub fn parts(&self) -> &[OutlinePart] {
        &self.parts
    }

    /// Returns the files that lie beside the content.
    pub fn files(&self) -> &[ExtraFile] {
        &self.files
    }
}

/// What is listed, and for which repository.
fn place(root: &Root) -> (Digest, Option<String>) {
    let repository = root.descriptor.annotations.get(keys::REPOSITORY);
    (root.descriptor.digest.clone(), repository.cloned())
}
