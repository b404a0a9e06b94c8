//! What artifacts of a bundle are called here and there.

use std::collections::{BTreeMap, BTreeSet};

use longshore_spec::artifact_type::cosign_tag;
use longshore_spec::{Digest, Reference};
use longshore_store::{Error, Name, Root};

use crate::{Mapping, NameConflict};

/// A root of a bundle, and what it is called here and there.
#[derive(Debug, Clone)]
pub struct Move {
    /// The root.
    pub root: Root,
    /// What it is called in the bundle.
    pub from: Reference,
    /// What it is called where it goes.
    pub to: Reference,
}

/// What names are like where a bundle goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// Tags, and digests beside them.
    Registry,
    /// Full references.
    Layout,
}

/// Why an artifact of a bundle can go nowhere.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// Its name is no full reference.
    #[error(
        "`{0}` in the bundle is not a full reference (HOST/PATH:TAG), so it cannot be imported"
    )]
    NoReference(Name),
    /// What a rule makes of its name is no reference; in words.
    #[error("{0}")]
    NotMapped(String),
    /// Nothing in the bundle has a name.
    #[error("the bundle lists nothing that has a name")]
    NoNames,
    /// Two things would be called the same.
    #[error(transparent)]
    Conflict(NameConflict),
    /// It would go to another registry than the rest.
    #[error("{from} would go to {to}, and {host} is another registry")]
    OtherRegistry {
        /// What it is called in the bundle.
        from: Box<Reference>,
        /// What it would be called.
        to: Box<Reference>,
        /// The registry that the rest goes to.
        host: String,
    },
    /// The bundle cannot be read.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Move {
    /// Tells whether it is attached to something by its tag, as cosign does it (row E-97).
    pub fn is_attached(&self) -> bool {
        self.from.tag().is_some_and(|tag| cosign_tag(tag.as_str()).is_some())
    }
}

/// Returns where every root with a name goes.
pub(super) fn moves(
    listed: &[Root],
    mapping: &Mapping,
    kind: TargetKind,
) -> Result<Vec<Move>, MoveError> {
    let mut moves = Vec::new();
    for root in listed {
        for name in &root.names {
            let from: Reference =
                name.as_str().parse().map_err(|_| MoveError::NoReference(name.clone()))?;
            let to = mapping.map(&from).map_err(MoveError::NotMapped)?;
            moves.push(Move { root: root.clone(), from, to });
        }
    }
    if moves.is_empty() {
        return Err(MoveError::NoNames);
    }
    if kind == TargetKind::Layout {
        without_digests(&mut moves);
    }
    let roots = moves.iter().map(|of| (&of.from, &of.to, &of.root.descriptor.digest));
    Mapping::check(roots).map_err(MoveError::Conflict)?;
    Ok(moves)
}

/// Takes digests off the names that roots have in a layout: what has the name says which it is. Names
/// of different content that differ by nothing else keep theirs.
fn without_digests(moves: &mut [Move]) {
    let bare = |of: &Move| of.to.clone().with_digest(None);
    let mut meant: BTreeMap<Reference, BTreeSet<Digest>> = BTreeMap::new();
    for of in moves.iter() {
        meant.entry(bare(of)).or_default().insert(of.root.descriptor.digest.clone());
    }
    for of in moves.iter_mut().filter(|of| of.to.tag().is_some()) {
        if meant.get(&bare(of)).is_some_and(|meant| meant.len() == 1) {
            of.to = bare(of);
        }
    }
}
