//! All content of a snapshot, and what its manifests refer to.

use std::collections::{BTreeMap, HashMap};

use longshore_spec::Digest;
use longshore_sync::SealedPlan;

/// Pieces of content, each once with its size, and what its manifests refer to as far as that is known. There may be
/// hundreds of thousands of references to the same pieces, so they are kept as numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    pieces: BTreeMap<Digest, Piece>,
    /// What each manifest refers to of which all is known, to any depth, by number.
    children: HashMap<u32, Box<[u32]>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    /// In bytes.
    size: u64,
    number: u32,
}

/// How much content something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many pieces.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What each piece costs that is not elsewhere.
pub(super) struct Costs<'c> {
    contents: &'c Contents,
    /// The bytes of each piece, by number; nothing for what is elsewhere.
    bytes: Vec<u64>,
    /// The last walk that met each piece.
    met: Vec<u32>,
    walks: u32,
}

impl Contents {
    /// Adds a piece; one that is there already keeps its size.
    pub fn add(&mut self, digest: &Digest, size: u64) {
        let number = u32::try_from(self.pieces.len()).unwrap_or(u32::MAX);
        self.pieces.entry(digest.clone()).or_insert(Piece { size, number });
    }

    /// Adds everything that a plan needs of which all is known, and what its manifests refer to.
    pub fn add_plan(&mut self, plan: &SealedPlan<'_>) {
        for node in plan.outline().nodes() {
            self.add(&node.digest, node.size);
        }
        self.add_references(plan);
    }

    /// Adds what manifests of a plan refer to, as far as that is in here.
    pub fn add_references(&mut self, plan: &SealedPlan<'_>) {
        for (manifest, children) in plan.whole_manifests() {
            self.refer(manifest, children);
        }
    }

    /// Says what a manifest refers to. A manifest that is not in here, or refers to what is not, is left out.
    pub(super) fn refer<'d>(
        &mut self,
        manifest: &Digest,
        children: impl IntoIterator<Item = &'d Digest>,
    ) {
        let number = |digest: &Digest| self.pieces.get(digest).map(|piece| piece.number);
        let children = children.into_iter().map(number).collect::<Option<Box<[u32]>>>();
        if let (Some(manifest), Some(children)) = (number(manifest), children) {
            self.children.insert(manifest, children);
        }
    }

    /// Returns how much of this is not in `other`.
    pub(super) fn beyond(&self, other: &Self) -> Amount {
        let beyond = self.pieces.iter().filter(|(digest, _)| !other.pieces.contains_key(*digest));
        beyond.fold(Amount::default(), |amount, (_, piece)| Amount {
            blobs: amount.blobs + 1,
            bytes: amount.bytes.saturating_add(piece.size),
        })
    }

    /// Returns what each piece costs that is not in `other`.
    pub(super) fn costs_beyond(&self, other: &Self) -> Costs<'_> {
        let mut bytes = vec![0; self.pieces.len()];
        for (digest, Piece { size, number }) in &self.pieces {
            if !other.pieces.contains_key(digest) {
                bytes[*number as usize] = *size;
            }
        }
        Costs { contents: self, bytes, met: vec![0; self.pieces.len()], walks: 0 }
    }
}

impl<'d> FromIterator<(&'d Digest, u64)> for Contents {
    fn from_iter<I: IntoIterator<Item = (&'d Digest, u64)>>(pieces: I) -> Self {
        let mut contents = Self::default();
        for (digest, size) in pieces {
            contents.add(digest, size);
        }
        contents
    }
}

impl Costs<'_> {
    /// Returns what a manifest costs with all that it refers to; `None` if that is not known.
    pub(super) fn of(&mut self, manifest: &Digest) -> Option<u64> {
        let Self { contents: Contents { pieces, children }, bytes, met, walks } = self;
        let root = pieces.get(manifest)?.number;
        children.get(&root)?;
        *walks += 1;
        let (mut left, mut sum) = (vec![root], 0_u64);
        while let Some(number) = left.pop() {
            if std::mem::replace(&mut met[number as usize], *walks) == *walks {
                continue;
            }
            sum = sum.saturating_add(bytes[number as usize]);
            left.extend(children.get(&number).into_iter().flatten());
        }
        Some(sum)
    }
}
