//! Taking names away where a registry deletes manifests only: a manifest goes only if nobody else needs it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use longshore_spec::{Descriptor, Digest, Kind, RepositoryName, Tag};
use longshore_store::{
    Error, Inability, KnownRoots, Name, Repository, Result, Root, TooDeep, walk,
};
use longshore_sync::{Action, Failure, Side};

use super::{BroughtName, KeptBecause, OpenRepository, PruneReport, failure};

/// Deletes the manifests of names, repository by repository. Ends where a question is not answered, or where
/// the registry deletes nothing.
pub(super) fn remove(
    repositories: &dyn OpenRepository,
    names: &[&BroughtName],
    is_needed: &(dyn Fn(&Digest) -> bool + Sync),
    jobs: usize,
    report: &mut PruneReport,
) {
    let mut by_repository: BTreeMap<&RepositoryName, Vec<&BroughtName>> = BTreeMap::new();
    for of in names {
        by_repository.entry(of.name.repository()).or_default().push(of);
    }
    for (name, names) in by_repository {
        let repository = repositories.open(name);
        let of_repository =
            |error| Failure::new(Side::Target, Action::Check, name.to_string(), error);
        let here = match Here::ask(&*repository, &names, jobs) {
            Ok(here) => here,
            Err(error) => return report.failures.push(of_repository(error)),
        };
        if !here.remove(&*repository, is_needed, report) {
            return;
        }
    }
}

/// What a repository says of itself.
struct Here<'n> {
    /// The manifests that may go, each with its names.
    pending: BTreeMap<&'n Digest, Vec<&'n BroughtName>>,
    /// Names that somebody moved since they were asked for.
    moved: Vec<(&'n BroughtName, Option<Digest>)>,
    /// All tags of a manifest.
    tags: HashMap<Digest, Vec<Name>>,
    /// The indexes that have a tag and list a manifest, at any depth.
    listed_by: HashMap<Digest, BTreeSet<Digest>>,
}

impl<'n> Here<'n> {
    /// Asks what every tag stands for, and what the indexes among that list.
    fn ask(repository: &dyn Repository, names: &[&'n BroughtName], jobs: usize) -> Result<Self> {
        let KnownRoots { roots, unknown } = repository.known_roots()?;
        if let Some((_, error)) = unknown.into_iter().next() {
            return Err(error);
        }
        let mut tags: HashMap<Digest, Vec<Name>> = HashMap::new();
        let mut stands_for: HashMap<&str, &Digest> = HashMap::new();
        for Root { descriptor, names } in &roots {
            tags.entry(descriptor.digest.clone()).or_default().extend(names.iter().cloned());
            stands_for.extend(names.iter().map(|name| (name.as_str(), &descriptor.digest)));
        }
        let (mut pending, mut moved) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
        for of in names {
            let tag = of.name.tag().map(Tag::as_str).unwrap_or_default();
            match stands_for.get(tag) {
                Some(now) if **now == of.digest => pending.entry(&of.digest).or_default().push(*of),
                // Some registries leave a tag out of their list.
                now => moved.push((*of, now.map(|now| (*now).clone()))),
            }
        }
        let wanted: HashSet<&Digest> = pending.keys().copied().collect();
        let listed_by = listed_by(repository, &roots, &wanted, jobs)?;
        Ok(Self { pending, moved, tags, listed_by })
    }

    /// Deletes what nobody else needs; an index comes before what it lists. Returns false if the registry deletes
    /// nothing, or does not answer.
    fn remove(
        mut self,
        repository: &dyn Repository,
        is_needed: &(dyn Fn(&Digest) -> bool + Sync),
        report: &mut PruneReport,
    ) -> bool {
        for (of, now) in std::mem::take(&mut self.moved) {
            match now {
                Some(now) => report.kept.push(of.clone().kept(KeptBecause::Moved(now))),
                None => report.gone.push(of.name.clone()),
            }
        }
        loop {
            let free =
                self.pending.keys().find(|digest| self.obstacle(digest, is_needed).is_none());
            let Some(digest) = free.copied() else { break };
            let names = self.pending.remove(digest).unwrap_or_default();
            match repository.remove(digest) {
                Ok(()) => {
                    report.removed.extend(names.into_iter().cloned());
                    for indexes in self.listed_by.values_mut() {
                        indexes.remove(digest);
                    }
                }
                Err(error) => {
                    let is_unable = matches!(
                        error,
                        Error::Unsupported { what: Inability::ManifestDelete { .. }, .. }
                    );
                    let is_over = is_unable || error.is_unanswered();
                    let subject = names.first().map(|of| &of.name);
                    let told = subject.map(|name| failure(Action::Publish, name, error));
                    report.failures.extend(told);
                    if is_over {
                        return false;
                    }
                }
            }
        }
        for (digest, names) in &self.pending {
            if let Some(why) = self.obstacle(digest, is_needed) {
                report.kept.extend(names.iter().map(|of| (*of).clone().kept(why.clone())));
            }
        }
        true
    }

    /// Returns why a manifest may not go.
    fn obstacle(
        &self,
        digest: &Digest,
        is_needed: &(dyn Fn(&Digest) -> bool + Sync),
    ) -> Option<KeptBecause> {
        let goes = self.pending.get(digest);
        let goes = |tag: &Name| {
            let mut names = goes.into_iter().flatten();
            names.any(|of| of.name.tag().is_some_and(|gone| gone.as_str() == tag.as_str()))
        };
        let mut tags = self.tags.get(digest).into_iter().flatten();
        if let Some(tag) = tags.find(|tag| !goes(tag)) {
            return tag.tag().map(KeptBecause::Tagged).or(Some(KeptBecause::Needed));
        }
        if let Some(index) = self.listed_by.get(digest).and_then(|indexes| indexes.first()) {
            return Some(KeptBecause::Listed(index.clone()));
        }
        is_needed(digest).then_some(KeptBecause::Needed)
    }
}

/// Returns which of the `wanted` manifests the indexes among some roots list, at any depth.
fn listed_by(
    repository: &dyn Repository,
    roots: &[Root],
    wanted: &HashSet<&Digest>,
    jobs: usize,
) -> Result<HashMap<Digest, BTreeSet<Digest>>> {
    let is_index = |descriptor: &Descriptor| Kind::of(&descriptor.media_type) == Some(Kind::Index);
    let mut listed_by: HashMap<Digest, BTreeSet<Digest>> = HashMap::new();
    let mut failed = None;
    let mut seen: HashSet<(Digest, Digest)> = HashSet::new();
    let indexes = roots.iter().map(|root| &root.descriptor).filter(|root| is_index(root));
    let indexes = indexes.map(|index| (index.digest.clone(), index.clone())).collect();
    let look = |(_, index): &(Digest, Descriptor)| repository.child(index);
    let walked = walk(indexes, jobs, look, |(root, _), found| {
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                failed.get_or_insert(error);
                return Vec::new();
            }
        };
        let mut below = Vec::new();
        for (_, child) in found.children() {
            if wanted.contains(&child.digest) {
                listed_by.entry(child.digest.clone()).or_default().insert(root.clone());
            }
            if is_index(child) && seen.insert((root.clone(), child.digest.clone())) {
                below.push((root.clone(), child.clone()));
            }
        }
        below
    });
    match (failed, walked) {
        (Some(error), _) => Err(error),
        (None, Err(TooDeep)) => Err(Error::Limit {
            what: "the nesting of indexes".to_owned(),
            limit: TooDeep.to_string(),
        }),
        (None, Ok(())) => Ok(listed_by),
    }
}
