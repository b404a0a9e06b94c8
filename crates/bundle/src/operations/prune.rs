//! Taking away the names that earlier bundles of a series brought to a place, and that a bundle no longer wants.

mod by_digest;

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Debug};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

use longshore_spec::{Digest, Reference, RepositoryName, Tag};
use longshore_store::{Error, Inability, Name, Repository, Result, Selector, in_parallel};
use longshore_sync::{Action, Failure, Outcome, RootReport, Side};

use crate::{
    Brought, BundleName, Delivery, DeliveryKey, ImportState, Move, Record, TargetKind, Why,
};

/// Which names may be taken away.
#[derive(Debug, Clone, Copy)]
pub struct PruneRequest<'a> {
    /// What bundles brought before this one.
    pub state: &'a ImportState,
    /// The series of the bundle, and where it goes.
    pub key: &'a DeliveryKey,
    /// What the bundle brings.
    pub moves: &'a [Move],
    /// The bundle's record.
    pub record: &'a Record,
    /// Where it goes.
    pub target: PruneTarget<'a>,
    /// How many names are looked up at once.
    pub jobs: usize,
}

/// Where names are taken away.
#[derive(Debug, Clone, Copy)]
pub enum PruneTarget<'a> {
    /// A registry.
    Registry {
        /// Its repositories.
        repositories: &'a dyn OpenRepository,
        /// Its host, as names have it.
        host: &'a str,
    },
    /// All of a layout, in which names are full references.
    Layout(&'a dyn Repository),
}

/// Opens the repositories of a registry to change them.
pub trait OpenRepository: Debug + Send + Sync {
    /// Returns a repository. Nothing is asked for that.
    fn open(&self, name: &RepositoryName) -> Box<dyn Repository + '_>;
}

/// Which names a prune would take away. Nothing has changed yet.
#[derive(Debug)]
pub struct Prune<'a> {
    request: PruneRequest<'a>,
    /// The names that go, in the order of their text.
    pub names: Vec<BroughtName>,
    /// Names that the bundle does not want either, and that stay.
    pub kept: Vec<KeptName>,
    /// Names that somebody else took away.
    pub gone: Vec<Reference>,
    /// How many of the names that go were to go before, and could not.
    pub overdue: usize,
    /// How many names the state knows.
    pub known: usize,
    /// How much that was wanted could not be had when the bundle was made: then nobody knows what it wants.
    pub lacking: usize,
    /// Names of which it is not known what they stand for. If there are any, nothing goes.
    pub failures: Vec<Failure>,
}

/// A name, and what a bundle brought under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroughtName {
    /// The name.
    pub name: Reference,
    /// What was brought.
    pub digest: Digest,
}

/// A name that is not taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptName {
    /// The name.
    pub name: Reference,
    /// What was brought under it.
    pub digest: Digest,
    /// Why it stays.
    pub why: KeptBecause,
}

/// Why a name stays although the bundle does not want it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptBecause {
    /// Somebody gave it to something else.
    Moved(Digest),
    /// Bundles of this series brought it, too, here or to another part of the place.
    Shared(BundleName),
    /// The bundle has the artifact, and brings it under this name now.
    Mapped(Reference),
    /// The registry deletes manifests only, and this tag stands for the same one.
    Tagged(Tag),
    /// The registry deletes manifests only, and this index lists it.
    Listed(Digest),
    /// The registry deletes manifests only, and the bundle needs this one.
    Needed,
}

/// What a prune did.
#[derive(Debug, Default)]
pub struct PruneReport {
    /// The names that are gone.
    pub removed: Vec<BroughtName>,
    /// The names that stay for a reason.
    pub kept: Vec<KeptName>,
    /// Names that were gone before.
    pub gone: Vec<Reference>,
    /// What went wrong. Once a question was not answered, nothing more goes.
    pub failures: Vec<Failure>,
}

/// A share of the names that a state knows, in whole percent: 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(u8);

/// Why a text is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a share is a whole number from 0 to 100, such as `10` or `10%`")]
pub struct PercentError;

impl ImportState {
    /// Takes note of what an import brought: the names that are there now, by `roots`, the reports on `moves` in
    /// their order. What failed keeps what is known of it. Returns false, and notes nothing, if nothing came.
    pub fn note_arrivals(
        &mut self,
        key: &DeliveryKey,
        record: &Record,
        moves: &[Move],
        roots: &[RootReport],
        kind: TargetKind,
    ) -> bool {
        let came: Vec<_> =
            moves.iter().zip(roots).filter(|(_, root)| root.outcome == Outcome::Done).collect();
        if came.is_empty() {
            return false;
        }
        let delivery = self.entry(key, || Delivery::new(record.id(), None));
        delivery.record = record.id();
        // One without a number is no reason to take what is older than the last for newer.
        delivery.sequence = record.sequence.or(delivery.sequence);
        for (of, root) in came {
            let (Some(name), Some(descriptor)) = (kept_name(&of.to, kind), &root.descriptor) else {
                continue;
            };
            let (digest, from) = (descriptor.digest.clone(), without_digest(&of.from));
            delivery.names.insert(name, Brought { digest, from, overdue: false });
        }
        true
    }

    /// Takes note of what a prune did: what is gone, and what is others' by now, is not known any more; what was
    /// to go and is still there is overdue. Returns whether that is anything new.
    pub fn note_pruned(
        &mut self,
        key: &DeliveryKey,
        prune: &Prune<'_>,
        report: &PruneReport,
    ) -> bool {
        let Some(delivery) = self.get_mut(key) else { return false };
        let is_others =
            |kept: &&KeptName| matches!(kept.why, KeptBecause::Moved(_) | KeptBecause::Shared(_));
        let removed = report.removed.iter().map(|removed| &removed.name);
        let others = report.kept.iter().filter(is_others).map(|kept| &kept.name);
        let mut has_changed = false;
        for name in removed.chain(others).chain(&report.gone) {
            has_changed |= delivery.names.remove(name).is_some();
        }
        for of in prune.names.iter().filter(|_| prune.is_certain()) {
            if let Some(brought) = delivery.names.get_mut(&of.name) {
                has_changed |= !std::mem::replace(&mut brought.overdue, true);
            }
        }
        has_changed
    }
}

impl<'a> PruneRequest<'a> {
    /// Finds out which names may go: those that the state knows, that the bundle does not want, and that still
    /// stand for what was brought. Each is asked for. Nothing is changed.
    pub fn prepare(&self) -> Prune<'a> {
        let mut prune = Prune {
            request: *self,
            names: Vec::new(),
            kept: Vec::new(),
            gone: Vec::new(),
            overdue: 0,
            known: 0,
            lacking: self.record.left_out.iter().filter(|left| left.why == Why::Failed).count(),
            failures: Vec::new(),
        };
        let Some(delivery) = self.state.get(self.key) else { return prune };
        prune.known = delivery.names.len();
        let kind = self.target.kind();
        let wanted: HashSet<Reference> =
            self.moves.iter().filter_map(|of| kept_name(&of.to, kind)).collect();
        let brings: HashMap<Reference, &Reference> =
            self.moves.iter().map(|of| (without_digest(&of.from), &of.to)).collect();
        let mut doubtful = Vec::new();
        for (name, Brought { digest, from, .. }) in &delivery.names {
            let keep = |why| KeptName { name: name.clone(), digest: digest.clone(), why };
            if wanted.contains(name) {
                continue;
            }
            let mut others = self.state.others(self.key);
            if let Some((other, _)) = others.find(|(_, known)| known.names.contains_key(name)) {
                prune.kept.push(keep(KeptBecause::Shared(other.bundle.clone())));
            } else if let Some(to) = brings.get(from) {
                prune.kept.push(keep(KeptBecause::Mapped((*to).clone())));
            } else {
                doubtful.push(BroughtName { name: name.clone(), digest: digest.clone() });
            }
        }
        let found = in_parallel(&doubtful, self.jobs, |of| self.target.find(&of.name));
        for (of, found) in doubtful.into_iter().zip(found) {
            match found {
                Ok(Some(now)) if now == of.digest => prune.names.push(of),
                Ok(Some(now)) => prune.kept.push(of.kept(KeptBecause::Moved(now))),
                Ok(None) => prune.gone.push(of.name),
                Err(error) => prune.failures.push(failure(Action::Check, &of.name, error)),
            }
        }
        let is_overdue =
            |of: &&BroughtName| delivery.names.get(&of.name).is_some_and(|of| of.overdue);
        prune.overdue = prune.names.iter().filter(is_overdue).count();
        prune
    }
}

impl Prune<'_> {
    /// Tells whether it is more than a share of the names that the state knows. What was to go before is not
    /// counted again.
    pub fn exceeds(&self, limit: Percent) -> bool {
        let new = self.names.len().saturating_sub(self.overdue);
        new.saturating_mul(100) > self.known.saturating_mul(limit.0.into())
    }

    /// Tells whether it is known of every name whether it may go.
    pub fn is_certain(&self) -> bool {
        self.lacking == 0 && self.failures.is_empty()
    }

    /// Takes the names away, after the bundle has come. Each is asked for once more, directly before. Where a
    /// registry deletes no tags, a manifest is deleted only if nothing that stays needs it, by all tags of its
    /// repository and by `is_needed`, which tells what the bundle needs.
    ///
    /// Nothing goes unless all [is certain](Self::is_certain).
    pub fn run(&self, is_needed: &(dyn Fn(&Digest) -> bool + Sync)) -> PruneReport {
        if !self.is_certain() {
            return PruneReport::default();
        }
        let mut report = PruneReport {
            kept: self.kept.clone(),
            gone: self.gone.clone(),
            ..PruneReport::default()
        };
        match self.request.target {
            PruneTarget::Layout(whole) => self.run_in_layout(whole, &mut report),
            PruneTarget::Registry { repositories, .. } => {
                self.run_in_registry(repositories, is_needed, &mut report);
            }
        }
        report
    }

    /// Takes names out of a layout, in one change.
    fn run_in_layout(&self, whole: &dyn Repository, report: &mut PruneReport) {
        let (mut going, mut names) = (Vec::new(), Vec::new());
        for of in &self.names {
            match self.request.target.find(&of.name) {
                Ok(Some(now)) if now == of.digest => {
                    going.push(of);
                    names.push(Name::new(of.name.to_string()));
                }
                Ok(Some(now)) => report.kept.push(of.clone().kept(KeptBecause::Moved(now))),
                Ok(None) => report.gone.push(of.name.clone()),
                Err(error) => {
                    return report.failures.push(failure(Action::Check, &of.name, error));
                }
            }
        }
        let Some(first) = going.first() else { return };
        let outcomes = match whole.untag_all(&names) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                return report.failures.push(failure(Action::Publish, &first.name, error));
            }
        };
        for (of, outcome) in going.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => report.removed.push(of.clone()),
                Err(error) if error.is_not_found() => report.gone.push(of.name.clone()),
                Err(error) => report.failures.push(failure(Action::Publish, &of.name, error)),
            }
        }
    }

    /// Takes tags away, each by a request of its own.
    fn run_in_registry(
        &self,
        repositories: &dyn OpenRepository,
        is_needed: &(dyn Fn(&Digest) -> bool + Sync),
        report: &mut PruneReport,
    ) {
        // Where a question is not answered, nobody knows what else is not as it seems.
        let (is_over, only_by_digest) = (AtomicBool::new(false), AtomicBool::new(false));
        let target = self.request.target;
        let outcomes = in_parallel(&self.names, self.request.jobs, |of| {
            if is_over.load(Ordering::Relaxed) {
                return Ok(Taken::Untried);
            }
            match target.find(&of.name) {
                Ok(Some(now)) if now == of.digest => {}
                Ok(Some(now)) => return Ok(Taken::Kept(KeptBecause::Moved(now))),
                Ok(None) => return Ok(Taken::Gone),
                Err(error) => {
                    is_over.store(true, Ordering::Relaxed);
                    return Err(failure(Action::Check, &of.name, error));
                }
            }
            if only_by_digest.load(Ordering::Relaxed) {
                return Ok(Taken::ByDigest);
            }
            let untagged = target.repository_of(&of.name).and_then(|(of, tag)| of.untag(&tag));
            match untagged {
                Ok(()) => Ok(Taken::Removed),
                // Some registries say so of a request that they do not know.
                Err(error) if error.is_not_found() => match target.find(&of.name) {
                    Ok(None) => Ok(Taken::Gone),
                    _ => Err(failure(Action::Publish, &of.name, error)),
                },
                Err(Error::Unsupported { what: Inability::TagDelete { .. }, .. }) => {
                    only_by_digest.store(true, Ordering::Relaxed);
                    Ok(Taken::ByDigest)
                }
                Err(error) => {
                    is_over.fetch_or(error.is_unanswered(), Ordering::Relaxed);
                    Err(failure(Action::Publish, &of.name, error))
                }
            }
        });
        let mut by_digest = Vec::new();
        for (of, outcome) in self.names.iter().zip(outcomes) {
            match outcome {
                Ok(Taken::Removed) => report.removed.push(of.clone()),
                Ok(Taken::Gone) => report.gone.push(of.name.clone()),
                Ok(Taken::Kept(why)) => report.kept.push(of.clone().kept(why)),
                Ok(Taken::ByDigest) => by_digest.push(of),
                Ok(Taken::Untried) => {}
                Err(failure) => report.failures.push(failure),
            }
        }
        if !is_over.into_inner() {
            by_digest::remove(repositories, &by_digest, is_needed, self.request.jobs, report);
        }
    }
}

/// What became of a name.
enum Taken {
    Removed,
    Gone,
    Kept(KeptBecause),
    /// The registry deletes no tags.
    ByDigest,
    /// A question before it was not answered.
    Untried,
}

impl PruneTarget<'_> {
    fn kind(&self) -> TargetKind {
        match self {
            Self::Registry { .. } => TargetKind::Registry,
            Self::Layout(_) => TargetKind::Layout,
        }
    }

    /// Returns what a name stands for at this moment.
    fn find(&self, name: &Reference) -> Result<Option<Digest>> {
        match self {
            Self::Layout(whole) => whole.stands_for(&Name::new(name.to_string())),
            Self::Registry { .. } => {
                let (repository, tag) = self.repository_of(name)?;
                // A target may say of what it does not show that it is not there; a source says why.
                match repository.head(&Selector::Name(tag)) {
                    Ok(found) => Ok(Some(found.digest)),
                    Err(error) if error.is_not_found() => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }

    fn repository_of(&self, name: &Reference) -> Result<(Box<dyn Repository + '_>, Name)> {
        match (self, name.tag()) {
            (Self::Registry { repositories, host }, Some(tag)) if name.registry() == *host => {
                Ok((repositories.open(name.repository()), Name::new(tag.as_str())))
            }
            // A state that somebody wrote by hand may say so.
            (Self::Registry { host, .. }, _) => {
                let flaw = format!("it names {name}, which is no tag in {host}");
                Err(Error::malformed("the state", flaw))
            }
            (Self::Layout(_), _) => unreachable!("a layout is one repository"),
        }
    }
}

impl BroughtName {
    fn kept(self, why: KeptBecause) -> KeptName {
        KeptName { name: self.name, digest: self.digest, why }
    }
}

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, PercentError> {
        let number = text.strip_suffix('%').unwrap_or(text).parse().map_err(|_| PercentError)?;
        if number <= 100 { Ok(Self(number)) } else { Err(PercentError) }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

impl fmt::Display for KeptBecause {
    /// Says why, as the rest of a sentence that begins with the name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved(digest) => write!(f, "stands for {digest} by now"),
            Self::Shared(bundle) => write!(f, "was brought by {bundle}, too"),
            Self::Mapped(to) => write!(f, "is in the bundle, which brings it as {to} now"),
            Self::Tagged(tag) => write!(f, "is a manifest that the tag {tag} stands for, too"),
            Self::Listed(index) => write!(f, "is a manifest that the index {index} lists"),
            Self::Needed => f.write_str("is a manifest that the bundle needs"),
        }
    }
}

/// Returns the name that a state keeps of what goes there; a digest alone is no name in a registry.
fn kept_name(to: &Reference, kind: TargetKind) -> Option<Reference> {
    match kind {
        TargetKind::Registry => to.tag().map(|_| to.clone().with_digest(None)),
        TargetKind::Layout => Some(to.clone()),
    }
}

/// Takes the digest off what has a tag.
fn without_digest(reference: &Reference) -> Reference {
    match reference.tag() {
        Some(_) => reference.clone().with_digest(None),
        None => reference.clone(),
    }
}

fn failure(action: Action, name: &Reference, error: Error) -> Failure {
    Failure::new(Side::Target, action, name.to_string(), error)
}
