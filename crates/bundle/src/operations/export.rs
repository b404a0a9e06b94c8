//! Writing a bundle of what is wanted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use longshore_spec::artifact_type::{Family, TABLE};
use longshore_spec::{Digest, Platform, Reference};
use longshore_store::{Atomicity, Error, Order, Outline, Selector, Target, TargetPlace};
use longshore_sync::{
    CopyItem, Failure, Filter, Observer, Plan, Report, RootReport, RootRequest, SealedPlan,
};

use crate::{
    Base, Change, DockerManifest, DockerManifestError, Gap, LackingPlatform, LayoutPlace,
    LeftBehind, Lock, MAX_DOCKER_MANIFEST, MAX_RECORD, MissingContent, Record, SelectedPlaces,
    UndecidedIndex,
};

/// What a bundle is to be made of.
#[derive(Debug, Clone, Copy)]
pub struct ExportRequest<'a> {
    /// What is wanted, and where it lies.
    pub places: &'a SelectedPlaces<'a>,
    /// The digests that it is locked to.
    pub locked: Option<&'a Lock>,
    /// Where it goes; `None` if it is only looked at.
    pub target: Option<ExportTarget<'a>>,
    /// What the site is known to hold, so that the bundle need not carry it.
    pub base: Option<&'a Base>,
    /// What a site asked for that was missing for a bundle: nothing else is carried, under no name.
    pub only: Option<&'a MissingContent>,
    /// What Docker is told of the bundle.
    pub docker: DockerList<'a>,
    /// Whether a bundle is made of what can be had, if that is not all.
    pub incomplete: Incomplete,
    /// Whether content whose digest cannot be computed is taken, too (row A-38).
    pub allow_unverified: bool,
    /// How much is done at once.
    pub jobs: usize,
}

/// Where a bundle goes.
#[derive(Debug, Clone, Copy)]
pub struct ExportTarget<'a> {
    /// The layout.
    pub place: &'a dyn TargetPlace,
    /// All of it.
    pub whole: &'a dyn Target,
}

/// What Docker is told of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DockerList<'a> {
    /// Nothing.
    None,
    /// Its images, one platform of each: this, or the only one that there is.
    Images(Option<&'a Platform>),
}

/// What becomes of a bundle for which not all can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incomplete {
    /// It is looked at and not written.
    Refused,
    /// It is made of what can be had, and says what is missing: also of what turns out not to be had while
    /// it is written.
    Made,
}

/// Why no bundle can be made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// One name would stand for two things.
    #[error(transparent)]
    Conflict(Error),
    /// Nobody said what becomes of indexes of which platforms are left out.
    #[error("an index lists more than is taken, and it is not said what to do with it")]
    Undecided(Vec<UndecidedIndex>),
    /// What a site asked for is not needed by what is wanted, at least one piece.
    #[error("{} is not needed by what is wanted", .0[0])]
    NotNeeded(Vec<Digest>),
    /// Docker cannot be told of it.
    #[error(transparent)]
    Docker(DockerManifestError),
    /// A file beside the content would be longer than readers take.
    #[error("`{name}` would have {length} bytes, and readers take {limit}")]
    TooLong {
        /// The file.
        name: String,
        /// How long it would be, in bytes.
        length: u64,
        /// What readers take, in bytes.
        limit: u64,
    },
}

/// A bundle that can be written: its plan, its record, and what could not be had for it.
#[derive(Debug)]
pub struct Bundle<'a> {
    request: ExportRequest<'a>,
    plan: SealedPlan<'a>,
    made: Made,
    /// Why some of what is wanted could not be had.
    pub failures: Vec<Failure>,
    /// The artifacts that could not be had.
    pub failed: Vec<RootReport>,
    /// All that could not be had, as the record has it.
    dropped: Vec<LeftBehind>,
    /// Platforms that were asked for, and artifacts that have nothing for them.
    pub lacking: Vec<LackingPlatform>,
}

/// What is made of a plan for a bundle.
#[derive(Debug)]
struct Made {
    record: Record,
    docker: Option<DockerManifest>,
}

/// Why a bundle could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The place takes nothing of it.
    #[error("{0}")]
    Place(Failure),
    /// Not all of it can be had, and the request does not say [`Incomplete::Made`]: [`Bundle::failures`] are the
    /// reasons.
    #[error("not all of it can be had: {0}")]
    Incomplete(String),
    /// Of what is left no bundle can be made.
    #[error(transparent)]
    Remade(#[from] ExportError),
}

impl<'a> ExportRequest<'a> {
    /// Finds out all that is wanted, and makes the record of what can be had. Nothing is written.
    ///
    /// # Errors
    ///
    /// What is wanted makes no bundle, whether it can be had or not.
    pub fn prepare(&self, observer: &dyn Observer) -> Result<Bundle<'a>, ExportError> {
        let Self { places, locked, target, jobs, .. } = *self;
        let (picked, failures) = places.pick(locked, jobs);
        let wanted = picked.iter().map(|picked| CopyItem {
            target: target.map(|target| target.whole),
            filter: Some(Arc::new(picked.item.filter())),
            ..pinned(places.copy_item(picked), &picked.reference, locked)
        });
        let base = Filter { allow_unverified: self.allow_unverified, ..Filter::default() };
        let mut plan = Plan::discover_for(wanted.collect(), &base, jobs, observer);
        if let Some(conflict) = plan.conflict() {
            return Err(ExportError::Conflict(conflict));
        }
        if let Some(locked) = locked {
            let known = locked.referrers();
            plan.retain_referrers(|digest| known.contains(digest));
        }
        let mut undecided = UndecidedIndex::all(&picked, &plan);
        // What a source lacks that was locked is a change, and told as one.
        undecided.retain(|index| locked.is_none() || index.gap != Gap::NotAtSource);
        if !undecided.is_empty() {
            return Err(ExportError::Undecided(undecided));
        }
        // What is whole or not there at all is not begun with what cannot be had.
        let atomicity = target.map(|target| target.place.atomicity());
        if atomicity == Some(Atomicity::AllOrNothing) && self.incomplete == Incomplete::Made {
            plan.ask_for_content(jobs);
        }
        let mut bundle = Bundle::of(*self, plan, failures)?;
        bundle.lacking = LackingPlatform::all(&picked, &bundle.plan.roots());
        Ok(bundle)
    }
}

impl<'a> Bundle<'a> {
    /// Drops from a plan what cannot be had, and says in a record what is left. `failures` are those
    /// that there were before the plan.
    fn of(
        request: ExportRequest<'a>,
        mut plan: Plan<'a>,
        mut failures: Vec<Failure>,
    ) -> Result<Self, ExportError> {
        let unpicked = failures.iter().map(|failure| without_path(&failure.subject));
        let mut dropped: Vec<_> =
            unpicked.map(|subject| LeftBehind::failed(Some(subject), None)).collect();
        let (failures_of_plan, failed) = plan.drop_failed();
        failures.extend(failures_of_plan);
        dropped.extend(failed.iter().map(left_behind));
        let is_made = failures.is_empty() || request.incomplete == Incomplete::Made;
        let mut plan = plan.seal();
        if let Some(base) = request.base {
            let carried = always_carried(&plan);
            plan.assume(|digest| base.holds(digest) && !carried.contains(digest));
        }
        if let Some(only) = request.only {
            plan.carry_only(|digest| only.blobs.contains_key(digest));
        }
        let made = Made::of(&request, &mut plan, &dropped, is_made)?;
        let lacking = Vec::new();
        Ok(Self { request, plan, made, failures, failed, dropped, lacking })
    }

    /// Returns what was asked for.
    pub fn request(&self) -> &ExportRequest<'a> {
        &self.request
    }

    /// Returns the plan of what can be had.
    pub fn plan(&self) -> &SealedPlan<'a> {
        &self.plan
    }

    /// Returns what is there, and what is not.
    pub fn record(&self) -> &Record {
        &self.made.record
    }

    /// Returns everything that comes, the files beside the content among it.
    pub fn outline(&self) -> Arc<Outline> {
        self.plan.outline()
    }

    /// Returns what Docker is told of it.
    pub fn docker(&self) -> Option<&DockerManifest> {
        self.made.docker.as_ref()
    }

    /// Tells whether all that was wanted is in it.
    pub fn is_whole(&self) -> bool {
        self.failures.is_empty()
    }

    /// Returns every way in which it is not what was locked, but for what could not be had.
    pub fn changes(&self) -> Vec<Change> {
        let Some(locked) = self.request.locked else { return Vec::new() };
        let now = Lock::of(&self.plan, self.request.places.selection());
        let mut changes = locked.changes(&now);
        changes.retain(|change| match change {
            Change::Gone(gone) => {
                self.dropped.iter().all(|left| left.reference.as_ref() != Some(gone))
            }
            Change::GoneReferrer(_, gone) => {
                self.dropped.iter().all(|left| left.digest.as_ref() != Some(&gone.digest))
            }
            _ => true,
        });
        changes
    }

    /// Brings all of it to the target of the request; nothing happens without one. What turns out not to be
    /// had is left out, if that was asked for, and the place is begun again, unless it is a pipe.
    ///
    /// # Errors
    ///
    /// Not all can be had, and that is not what the request takes; the place takes nothing of it; or of what is
    /// left no bundle can be made.
    pub fn write(&mut self, observer: &dyn Observer) -> Result<Report, WriteError> {
        let Some(ExportTarget { place, .. }) = self.request.target else {
            return Ok(Report::default());
        };
        if let (Incomplete::Refused, Some(failure)) =
            (self.request.incomplete, self.failures.first())
        {
            return Err(WriteError::Incomplete(failure.to_string()));
        }
        let begins_again =
            self.request.incomplete == Incomplete::Made && place.order() != Order::Sequence;
        let jobs = self.request.jobs;
        let mut report = self.plan.execute(place, jobs, observer).map_err(WriteError::Place)?;
        while begins_again && let Some((failures, roots)) = self.plan.leave_out(&mut report) {
            self.failures.extend(failures);
            self.dropped.extend(roots.iter().map(left_behind));
            self.failed.extend(roots);
            self.made = Made::of(&self.request, &mut self.plan, &self.dropped, true)?;
            let again = self.plan.execute(place, jobs, observer).map_err(WriteError::Place)?;
            report = again.after(&report);
        }
        Ok(report)
    }
}

impl Made {
    /// Says in a record, and to Docker if it `is_made`, what is in a plan and what had to be `dropped`, and puts
    /// both beside the content.
    fn of(
        request: &ExportRequest<'_>,
        plan: &mut SealedPlan<'_>,
        dropped: &[LeftBehind],
        is_made: bool,
    ) -> Result<Self, ExportError> {
        let mut record = match request.only {
            Some(only) => repair(only, plan, is_made)?,
            None => Record::of(plan, request.places.selection(), dropped),
        };
        if let Some(base) = request.base {
            record.set_base(&plan.assumed(), &base.ids);
        }
        let docker = match request.docker {
            DockerList::Images(platform) if is_made && !record.roots.is_empty() => {
                let docker = DockerManifest::of(plan, platform, request.jobs);
                Some(docker.map_err(ExportError::Docker)?)
            }
            _ => None,
        };
        record.docker_manifest = docker.as_ref().map(DockerManifest::recorded);
        let mut files = vec![record.file()];
        files.extend(docker.as_ref().map(DockerManifest::file));
        for (file, limit) in files.iter().zip([MAX_RECORD, MAX_DOCKER_MANIFEST]) {
            let (name, length) = (file.name.clone(), file.content.len() as u64);
            if length > limit {
                return Err(ExportError::TooLong { name, length, limit });
            }
        }
        plan.set_files(files);
        Ok(Self { record, docker })
    }
}

/// Returns the record of a bundle that repairs another. It has all that was asked for; where not all that is
/// wanted could be had nothing is made, and so nothing more is said.
fn repair(
    only: &MissingContent,
    plan: &SealedPlan<'_>,
    is_made: bool,
) -> Result<Record, ExportError> {
    let outline = plan.outline();
    let carried: HashMap<&Digest, u64> =
        outline.nodes().iter().map(|node| (&node.digest, node.size)).collect();
    let is_absent = |(digest, size): &(&Digest, &u64)| carried.get(digest) != Some(size);
    let absent: Vec<_> = only.blobs.iter().filter(is_absent).map(|(of, _)| of.clone()).collect();
    if is_made && !absent.is_empty() {
        return Err(ExportError::NotNeeded(absent));
    }
    Ok(Record::of_repair(&only.bundle, outline.nodes()))
}

/// Returns what each bundle carries, whatever the site holds: all that proves who made what. (Manifests are
/// carried anyway.)
fn always_carried(plan: &SealedPlan<'_>) -> HashSet<Digest> {
    let is_proof = |root: &RootReport| {
        let family = root.artifact_type.as_deref().and_then(family_of);
        matches!(family, Some(Family::Signature | Family::Attestation))
    };
    let proofs = plan.roots().into_iter().enumerate().filter(|(_, root)| is_proof(root));
    proofs.flat_map(|(number, _)| plan.closure(number).cloned().collect::<Vec<_>>()).collect()
}

/// Returns the family of a type by its word.
fn family_of(name: &str) -> Option<Family> {
    TABLE.iter().find(|known| known.name == name).map(|known| known.family)
}

/// Returns what the record says of a root that had to be dropped.
fn left_behind(root: &RootReport) -> LeftBehind {
    LeftBehind::failed(root.names.first().map(ToString::to_string), Some(root))
}

/// Returns how one artifact is asked for: by the digest that it is locked to.
fn pinned<'s>(wanted: CopyItem<'s>, reference: &Reference, locked: Option<&Lock>) -> CopyItem<'s> {
    match locked.and_then(|locked| locked.get(reference)) {
        Some(locked) => CopyItem {
            request: RootRequest::Selector(Selector::Digest(locked.digest.clone())),
            ..wanted
        },
        None => wanted,
    }
}

/// Returns what was asked for without saying where a layout lies.
fn without_path(subject: &str) -> String {
    match LayoutPlace::parse(subject) {
        Some(Ok(LayoutPlace { selector: Some(selector), .. })) => selector.to_string(),
        Some(_) => "a layout".to_owned(),
        None => subject.to_owned(),
    }
}
