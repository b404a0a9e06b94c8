//! Keeping a place equal to what a selection says.

use std::collections::BTreeMap;
use std::sync::Arc;

use longshore_spec::{Reference, RepositoryName};
use longshore_store::{Error, Name, Target};
use longshore_sync::{CopyItem, Failure, Filter, Observer, Plan, Report, SealedPlan, Unchanged};

use super::import::ImportTarget;
use crate::{Mapping, MoveError, Picked, SelectedPlaces, UndecidedIndex};

/// What is wanted of one pass, and what it is called where it goes, opened.
#[derive(Debug)]
pub struct MirrorRoutes<'a> {
    target: ImportTarget<'a>,
    picked: Vec<Picked<'a>>,
    /// What each that was picked is called where it goes.
    names: Vec<Reference>,
    /// The repositories of a registry.
    targets: BTreeMap<RepositoryName, Box<dyn Target + 'a>>,
    /// What could not be picked.
    failures: Vec<Failure>,
}

/// One pass of a mirror.
#[derive(Debug, Clone, Copy)]
pub struct MirrorRequest<'a> {
    /// Where the artifacts lie.
    pub places: &'a SelectedPlaces<'a>,
    /// Which they are, and where they go.
    pub routes: &'a MirrorRoutes<'a>,
    /// What the target is asked for that has an artifact under the same name already.
    pub unchanged: Unchanged,
    /// Whether content whose digest cannot be computed is taken, too (row A-38).
    pub allow_unverified: bool,
    /// How much is done at once.
    pub jobs: usize,
}

/// A pass that is known and not begun.
#[derive(Debug)]
pub struct MirrorPass<'a> {
    request: MirrorRequest<'a>,
    plan: SealedPlan<'a>,
}

/// Why nothing is mirrored.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// One name would stand for two things.
    #[error(transparent)]
    Conflict(Error),
    /// Nobody said what becomes of indexes of which platforms are left out.
    #[error("an index lists more than is taken, and it is not said what to do with it")]
    Undecided(Vec<UndecidedIndex>),
}

impl<'a> MirrorRoutes<'a> {
    /// Asks repositories for their tags where rules choose among them, with up to `jobs` requests at once, and
    /// opens where everything goes. What could not be picked is a failure of the pass, and the rest is mirrored.
    ///
    /// # Errors
    ///
    /// Something can go nowhere, or goes to another registry.
    pub fn open(
        places: &SelectedPlaces<'a>,
        mapping: &Mapping,
        target: ImportTarget<'a>,
        jobs: usize,
    ) -> Result<Self, MoveError> {
        let (picked, failures) = places.pick(None, jobs);
        let mut names = Vec::with_capacity(picked.len());
        let mut targets: BTreeMap<RepositoryName, Box<dyn Target + 'a>> = BTreeMap::new();
        for Picked { reference: from, .. } in &picked {
            let to = mapping.map(from).map_err(MoveError::NotMapped)?;
            if let ImportTarget::Registry { place, host, .. } = target {
                if to.registry() != host {
                    let (from, to) = (Box::new(from.clone()), Box::new(to));
                    return Err(MoveError::OtherRegistry { from, to, host: host.to_owned() });
                }
                if !targets.contains_key(to.repository()) {
                    targets.insert(to.repository().clone(), place.target(to.repository())?);
                }
            }
            names.push(to);
        }
        Ok(Self { target, picked, names, targets, failures })
    }

    /// Returns what every artifact is called at its source and where it goes, in the order of the roots of
    /// [`MirrorPass::plan`].
    pub fn names(&self) -> impl Iterator<Item = (&Reference, &Reference)> {
        self.picked.iter().map(|picked| &picked.reference).zip(&self.names)
    }

    /// Returns what could not be picked.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    fn target(&self, to: &Reference) -> Option<&dyn Target> {
        match self.target {
            ImportTarget::Layout { whole, .. } => Some(whole),
            ImportTarget::Registry { .. } => {
                self.targets.get(to.repository()).map(|repository| &**repository as &dyn Target)
            }
        }
    }

    /// Returns the names of a root there; a digest alone is no name in a registry.
    fn names_of(&self, to: &Reference) -> Vec<Name> {
        match self.target {
            ImportTarget::Layout { .. } => vec![Name::new(to.to_string())],
            ImportTarget::Registry { .. } => {
                to.tag().map(|tag| Name::new(tag.as_str())).into_iter().collect()
            }
        }
    }
}

impl<'a> MirrorRequest<'a> {
    /// Finds out all that is wanted. Nothing is written.
    ///
    /// # Errors
    ///
    /// What is wanted cannot be mirrored, whether it can be had or not.
    pub fn prepare(&self, observer: &dyn Observer) -> Result<MirrorPass<'a>, MirrorError> {
        let Self { places, routes, unchanged, allow_unverified, jobs } = *self;
        let wanted = routes.picked.iter().zip(&routes.names).map(|(picked, to)| CopyItem {
            target: routes.target(to),
            names: routes.names_of(to),
            filter: Some(Arc::new(Filter { unchanged, ..picked.item.filter() })),
            ..places.copy_item(picked)
        });
        let filter = Filter { allow_unverified, unchanged, ..Filter::default() };
        let plan = Plan::discover_for(wanted.collect(), &filter, jobs, observer);
        if let Some(conflict) = plan.conflict() {
            return Err(MirrorError::Conflict(conflict));
        }
        let undecided = UndecidedIndex::all(&routes.picked, &plan);
        if !undecided.is_empty() {
            return Err(MirrorError::Undecided(undecided));
        }
        Ok(MirrorPass { request: *self, plan: plan.seal() })
    }
}

impl<'a> MirrorPass<'a> {
    /// Returns the plan.
    pub fn plan(&self) -> &SealedPlan<'a> {
        &self.plan
    }

    /// Returns what could not be had, before anything is written.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.request.routes.failures.iter().chain(self.plan.failures())
    }

    /// Brings all that can be had to its place.
    ///
    /// # Errors
    ///
    /// The place takes nothing of it.
    pub fn run(&self, observer: &dyn Observer) -> Result<Report, Failure> {
        let MirrorRequest { routes, jobs, .. } = self.request;
        self.plan.execute(routes.target.place(), jobs, observer)
    }
}
