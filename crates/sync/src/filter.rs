//! What is taken of all that can be reached.

use std::collections::HashSet;

use longshore_spec::artifact_type::TypeFilter;
use longshore_spec::{Descriptor, Digest, Index, Platform, keys};

/// What is taken of all that can be reached. The default takes every platform, every type and no
/// referrers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Which entries of indexes are taken.
    pub platforms: Platforms,
    /// Which roots are taken. An index without a type is what it holds: it is taken if any of its
    /// entries would be, and not if all of them are excluded (row I-03).
    pub types: TypeFilter,
    /// Whether manifests that refer to what is taken come along.
    pub referrers: Referring,
    /// Whether content whose digest cannot be computed is taken too (row A-38). It counts for a plan
    /// as a whole, and so not in the filter of one thing that is wanted.
    pub allow_unverified: bool,
    /// What a target is asked for that lists a root under the same names already.
    pub unchanged: Unchanged,
}

/// What a target is asked for that lists a root, by the same digest, under the same names already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Unchanged {
    /// For everything that the root refers to: that a manifest is there proves nothing about the
    /// rest.
    #[default]
    Closure,
    /// For nothing more. Whoever named it there had all of it, or has lost some of it since. What
    /// refers to the root is asked for as ever.
    Digest,
}

/// Which entries of indexes are taken. Entries without a platform always are, and so are
/// attestations of entries that are (row B-17); a root that is no index is taken as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Platforms {
    /// All of them.
    #[default]
    All,
    /// The first entry for this platform (row B-16) in place of the index, also from an index
    /// within. An index in which nothing has a platform is taken as it is.
    One(Platform),
    /// Entries for these platforms; the index stays as it is and points to some that are not there.
    Sparse(Vec<Platform>),
    /// Entries for these platforms; a root index is written anew without the others, and so gets
    /// another digest; what refers to the old one stays behind. Indexes within it are taken whole.
    Stripped(Vec<Platform>),
    /// All that the source has: a root index of which it lacks entries is written anew without them, as
    /// with [`Platforms::Stripped`].
    Present,
}

/// Whether manifests that refer to what is taken come along.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Referring {
    /// They stay behind, and nobody asks for them.
    #[default]
    Ignored,
    /// They stay behind, but are counted.
    Counted,
    /// Those of these types come along, and what refers to them, and so on. Tags by which cosign
    /// names signatures come along too (row E-97).
    Taken(TypeFilter),
}

impl Platforms {
    /// Returns the entries of `index` that are taken, in their order.
    pub(crate) fn choose<'i>(&self, index: &'i Index, is_root: bool) -> Vec<&'i Descriptor> {
        let wanted = match self {
            Self::Sparse(wanted) => wanted,
            Self::Stripped(wanted) if is_root => wanted,
            _ => return index.manifests.iter().collect(),
        };
        let accepted = |entry: &Descriptor| match entry.platform.as_deref() {
            None => true,
            Some(platform) => wanted.iter().any(|wanted| wanted.accepts(platform)),
        };
        let kept: HashSet<&Digest> = index
            .manifests
            .iter()
            .filter(|entry| accepted(entry))
            .map(|entry| &entry.digest)
            .collect();
        let belongs = |entry: &Descriptor| {
            let subject = entry.annotations.get(keys::DOCKER_REFERENCE_DIGEST);
            subject
                .and_then(|text| text.parse::<Digest>().ok())
                .is_some_and(|digest| kept.contains(&digest))
        };
        index
            .manifests
            .iter()
            .filter(|entry| kept.contains(&entry.digest) || belongs(entry))
            .collect()
    }

    /// Returns the platforms that are asked for.
    pub(crate) fn wanted(&self) -> &[Platform] {
        match self {
            Self::All | Self::Present => &[],
            Self::One(platform) => std::slice::from_ref(platform),
            Self::Sparse(platforms) | Self::Stripped(platforms) => platforms,
        }
    }
}
