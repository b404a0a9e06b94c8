//! What an import changes at its target.

use std::collections::{BTreeMap, BTreeSet};

use longshore_spec::{Digest, Reference};
use longshore_store::{Error, Name, Result, in_parallel};
use longshore_sync::GivenName;

use super::{Import, ImportTarget};
use crate::{Amount, NameDifference, SnapshotDifference};

/// How the target of an import differs afterwards from what it is now.
#[derive(Debug)]
pub struct TargetChanges {
    /// The names that are new and those that move, each with the bytes that are written for it; and under `removed`
    /// those that the bundle does not name. They stay at the target, and of them only the name is known.
    pub difference: SnapshotDifference,
    /// Names of which the target does not tell what they stand for, and why.
    pub unknown: Vec<(String, Error)>,
    /// Repositories whose names the target does not list, and why: which of them the bundle does not name is not known.
    pub unlisted: Vec<(String, Error)>,
}

impl Import<'_> {
    /// Finds out what the import changes at its target. `names` are those that it gives, as
    /// [`SealedPlan::given_names`] returned them; the target is asked which content it holds, and for the names in the
    /// repositories that the bundle goes to.
    ///
    /// # Errors
    ///
    /// The target does not tell what it holds.
    ///
    /// [`SealedPlan::given_names`]: longshore_sync::SealedPlan::given_names
    pub fn changes(&self, names: Vec<GivenName>) -> Result<TargetChanges> {
        let missing = self.plan.missing(self.request.jobs)?;
        let mut unknown = Vec::new();
        let mut changed = BTreeMap::new();
        for GivenName { root, name, from, to } in names {
            let name = self.full_name(root, &name);
            match from {
                Err(error) => unknown.push((name, error)),
                Ok(Some(from)) if from == to => {}
                Ok(from) => {
                    let bytes = Some(self.plan.missing_of(root, &missing));
                    let change = NameDifference { name: name.clone(), from, to: Some(to), bytes };
                    changed.insert(name, change);
                }
            }
        }
        let (moved, added) = changed.into_values().partition(|change| change.from.is_some());
        let (removed, unlisted) = self.not_in_bundle();
        let (blobs, bytes) = (missing.nodes, missing.totals.missing);
        let new_content = Some(Amount { blobs, bytes });
        let difference =
            SnapshotDifference { added, moved, removed, new_content, old_content: None };
        Ok(TargetChanges { difference, unknown, unlisted })
    }

    /// Returns the full name that a root gets: in a registry its own is a tag.
    fn full_name(&self, root: usize, name: &Name) -> String {
        match self.request.routes.moves.get(root) {
            Some(of) => of.to.clone().with_digest(None).to_string(),
            None => name.to_string(),
        }
    }

    /// Returns the names in the repositories that the bundle goes to, and that it does not give; and the repositories
    /// that do not list theirs. Names that nobody chose are not among them (row E-87).
    fn not_in_bundle(&self) -> (Vec<NameDifference>, Vec<(String, Error)>) {
        let routes = self.request.routes;
        let given: BTreeSet<String> =
            routes.moves.iter().map(|of| of.to.clone().with_digest(None).to_string()).collect();
        let (mut names, mut unlisted) = (BTreeSet::new(), Vec::new());
        match routes.target {
            ImportTarget::Registry { content, host, .. } => {
                let repositories: Vec<_> = routes.targets.keys().collect();
                let listed = in_parallel(&repositories, self.request.jobs, |repository| {
                    content.source(repository)?.names()
                });
                for (repository, listed) in repositories.into_iter().zip(listed) {
                    let place = format!("{host}/{repository}");
                    match listed {
                        Ok(tags) => names.extend(tags.iter().map(|tag| format!("{place}:{tag}"))),
                        // It comes with the import.
                        Err(error) if error.is_not_found() => {}
                        Err(error) => unlisted.push((place, error)),
                    }
                }
            }
            ImportTarget::Layout { content, .. } => {
                let place = |of: &Reference| (of.registry().to_owned(), of.repository().clone());
                let places: BTreeSet<_> = routes.moves.iter().map(|of| place(&of.to)).collect();
                let is_here =
                    |name: &str| name.parse().is_ok_and(|name| places.contains(&place(&name)));
                match content.names() {
                    Ok(all) => {
                        let all = all.iter().map(ToString::to_string);
                        names.extend(all.filter(|name| is_here(name)));
                    }
                    Err(error) => unlisted.push((format!("{content:?}"), error)),
                }
            }
        }
        let is_chosen = |name: &str| {
            let tag = name.rsplit(':').next().unwrap_or_default();
            !Digest::is_referrers_tag(tag)
        };
        let left = names.into_iter().filter(|name| !given.contains(name) && is_chosen(name));
        let left = left.map(|name| NameDifference { name, from: None, to: None, bytes: None });
        (left.collect(), unlisted)
    }
}
