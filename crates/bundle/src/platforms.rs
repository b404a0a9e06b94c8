//! Platforms that were asked for, and what indexes offer of them.

use std::collections::{BTreeSet, HashMap};

use longshore_spec::Platform;
use longshore_sync::{Plan, RootReport};

use crate::{Picked, SparseIndex};

/// An index that lists manifests which are not exported, without a `sparse_index` choice. Found at the
/// site, this could not be repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndecidedIndex {
    /// What is wanted.
    pub reference: String,
    /// Why it does not come.
    pub gap: Gap,
    /// The missing platforms; empty if the entries name none.
    pub platforms: Vec<String>,
}

/// Why what an index points to does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Its platform was not asked for.
    NotWanted,
    /// The source of the index does not have it.
    NotAtSource,
}

/// A platform that was asked for and for which an artifact has nothing, though it has something for
/// others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LackingPlatform {
    /// The artifact.
    pub reference: String,
    /// The platform.
    pub platform: Platform,
}

impl UndecidedIndex {
    /// Returns every such index of a plan.
    pub(crate) fn all(picked: &[Picked<'_>], plan: &Plan<'_>) -> Vec<Self> {
        let mut found = Vec::new();
        // The roots of a plan begin with what was asked for.
        for (number, picked) in picked.iter().enumerate() {
            if picked.item.sparse_index != SparseIndex::Refuse {
                continue;
            }
            for (gap, platforms) in [
                (Gap::NotWanted, plan.left_out_of(number)),
                (Gap::NotAtSource, plan.lacking_of(number)),
            ] {
                let Some(platforms) = platforms else { continue };
                let platforms: BTreeSet<_> = platforms.iter().map(ToString::to_string).collect();
                let (reference, platforms) =
                    (picked.reference.to_string(), platforms.into_iter().collect());
                found.push(Self { reference, gap, platforms });
            }
        }
        found
    }
}

impl LackingPlatform {
    /// Returns every such platform. Artifacts without platforms are skipped.
    pub(crate) fn all(picked: &[Picked<'_>], roots: &[RootReport]) -> Vec<Self> {
        let mut offered: HashMap<&str, Vec<&Platform>> = HashMap::new();
        // Not referrers.
        for root in roots.iter().filter(|root| root.subject.is_none()) {
            for name in &root.names {
                let platforms = root.platforms.iter().map(|(_, platform)| platform);
                offered.entry(name.as_str()).or_default().extend(platforms);
            }
        }
        let mut lacking = Vec::new();
        for picked in picked {
            let reference = picked.reference.to_string();
            let Some(offered) = offered.get(reference.as_str()).filter(|all| !all.is_empty())
            else {
                continue;
            };
            let is_lacking = |wanted: &&Platform| !offered.iter().any(|one| wanted.accepts(one));
            lacking.extend(
                picked.item.platforms.iter().filter(is_lacking).map(|platform| Self {
                    reference: reference.clone(),
                    platform: platform.clone(),
                }),
            );
        }
        lacking
    }
}
