//! Pinning what is wanted to digests.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use longshore_spec::Digest;
use longshore_store::Selector;
use longshore_sync::{CopyItem, Failure, Filter, Observer, Plan, RootReport, RootRequest};

use crate::{
    Choice, ChoiceSet, Gap, Item, LackingPlatform, Lock, Picked, SelectedPlaces, Selection,
    UndecidedIndex,
};

/// What is to be pinned to digests.
#[derive(Debug, Clone, Copy)]
pub struct LockRequest<'a> {
    /// What is wanted.
    pub selection: &'a Selection,
    /// What was locked before.
    pub before: Option<&'a Lock>,
    /// The references and repositories that are pinned anew, beside what was not asked for before;
    /// everything is if there are none.
    pub update: &'a [String],
    /// What becomes of what was locked and is gone.
    pub gone: Gone,
    /// How many requests are made at once.
    pub jobs: usize,
}

/// What becomes of what was locked and is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It stays locked, as what cannot be reached does.
    Kept,
    /// It is not locked any more: a check tells of it.
    Dropped,
}

/// What was found out of what is wanted.
#[derive(Debug)]
pub struct LockProposal<'a> {
    request: LockRequest<'a>,
    lock: Lock,
    lost: Vec<Lost>,
    /// What is wanted and nobody asked about.
    others: HashSet<String>,
    /// Indexes that cannot be locked before somebody says what becomes of them.
    pub undecided: Vec<UndecidedIndex>,
    /// Platforms that were asked for, and artifacts that have nothing for them.
    pub lacking: Vec<LackingPlatform>,
    /// Why some of what is wanted could not be had: the choice of it, then the artifacts themselves.
    pub failures: Vec<Failure>,
    /// How many of the failures are those of the choice.
    pub unchosen: usize,
    /// The artifacts that could not be had.
    pub lost_roots: Vec<RootReport>,
}

/// A lock of what is wanted.
#[derive(Debug)]
pub struct Resolved {
    /// The lock.
    pub lock: Lock,
    /// Whether all of it could be had.
    pub is_whole: bool,
}

/// Why nothing is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockRefusal {
    /// Nothing that is wanted can be had.
    NothingFound,
    /// What is to be pinned anew cannot be had.
    Unavailable(String),
    /// Nothing that is wanted is called so.
    NotWanted(String),
}

/// What is wanted and could not be had.
#[derive(Debug)]
struct Lost {
    choice: Choice,
    /// Whether it is not there, and not only out of reach.
    is_gone: bool,
}

/// What an artifact is pinned to.
enum Pin {
    /// To what its name stands for now.
    Anew,
    To(Digest),
}

impl<'a> LockRequest<'a> {
    /// Returns the part of the selection that is asked about: with names to update, what these may mean,
    /// and what was not asked for before. The places of this part are opened.
    pub fn asked(&self) -> Selection {
        let Some(before) = self.updated() else { return self.selection.clone() };
        let was_asked = before.asked_before();
        let may_be_meant = |item: &&Item| {
            !was_asked(item)
                || match &item.choice {
                    Choice::Reference(reference) => self.is_named(&reference.to_string()),
                    Choice::Repository(repository, _) => {
                        self.update.iter().any(|name| is_called(name, &repository.to_string()))
                    }
                    Choice::Layout(_) | Choice::References(..) => true,
                }
        };
        let items = self.selection.items.iter().filter(may_be_meant).cloned().collect();
        Selection { name: self.selection.name.clone(), items }
    }

    /// Finds out what is wanted now, in the `places` of [`LockRequest::asked`]. With names to update
    /// nothing else moves, or is even asked for; what is asked for otherwise than it was keeps its digest.
    pub fn prepare(
        &self,
        places: &SelectedPlaces<'_>,
        observer: &dyn Observer,
    ) -> LockProposal<'a> {
        let asked = places.selection();
        let was_asked = self.updated().map(Lock::asked_before);
        let pin = |picked: &Picked<'_>| {
            let (Some(before), Some(was_asked)) = (self.updated(), &was_asked) else {
                return Some(Pin::Anew);
            };
            if self.is_named(&picked.reference.to_string()) {
                return Some(Pin::Anew);
            }
            let pinned = before.get(&picked.reference).map(|locked| locked.digest.clone());
            (!was_asked(picked.item)).then(|| pinned.map_or(Pin::Anew, Pin::To))
        };
        let (all, mut failures) = places.pick(None, self.jobs);
        let (mut picked, mut wanted, mut others) = (Vec::new(), Vec::new(), HashSet::new());
        for of in all {
            let Some(pin) = pin(&of) else {
                others.insert(of.reference.to_string());
                continue;
            };
            let filter = Some(Arc::new(of.item.filter()));
            let plain = CopyItem { filter, ..places.copy_item(&of) };
            wanted.push(match pin {
                Pin::Anew => plain,
                Pin::To(digest) => {
                    CopyItem { request: RootRequest::Selector(Selector::Digest(digest)), ..plain }
                }
            });
            picked.push(of);
        }
        let mut plan = Plan::discover_for(wanted, &Filter::default(), self.jobs, observer);
        let mut undecided = UndecidedIndex::all(&picked, &plan);
        // To a check what a source lacks by now is a change.
        undecided.retain(|index| self.gone == Gone::Kept || index.gap != Gap::NotAtSource);
        let (lost_in_plan, lost_roots) = plan.drop_failed();
        let plan = plan.seal();
        let lacking = LackingPlatform::all(&picked, &plan.roots());
        let lost = lost(asked, &failures, &lost_in_plan, &lost_roots);
        let unchosen = failures.len();
        failures.extend(lost_in_plan);
        let lock = Lock::of(&plan, self.selection);
        LockProposal {
            request: *self,
            lock,
            lost,
            others,
            undecided,
            lacking,
            failures,
            unchosen,
            lost_roots,
        }
    }

    /// Returns what was locked before, if only some of it is to be pinned anew.
    fn updated(&self) -> Option<&'a Lock> {
        self.before.filter(|_| !self.update.is_empty())
    }

    fn is_named(&self, reference: &str) -> bool {
        self.update.iter().any(|name| is_called(reference, name))
    }
}

impl LockProposal<'_> {
    /// Returns the lock. What could not be had stays as it was locked before, if it was: one tag among a
    /// thousand is no reason not to lock the others.
    ///
    /// # Errors
    ///
    /// Nothing that is wanted, or nothing that is to be pinned anew, could be had.
    pub fn resolve(self) -> Result<Resolved, LockRefusal> {
        match self.request.updated() {
            None => self.resolve_all(),
            Some(before) => self.resolve_named(before),
        }
    }

    fn resolve_all(self) -> Result<Resolved, LockRefusal> {
        let is_lost = |lost: &&Lost| !(self.request.gone == Gone::Dropped && lost.is_gone);
        let lost: Vec<_> = self.lost.iter().filter(is_lost).collect();
        if self.lock.is_empty() && !lost.is_empty() {
            return Err(LockRefusal::NothingFound);
        }
        let is_whole = lost.is_empty();
        let lost: ChoiceSet = lost.into_iter().map(|lost| &lost.choice).collect();
        let lock = match self.request.before {
            Some(before) => self.lock.with_missing(before, |reference| lost.has(reference)),
            None => self.lock,
        };
        Ok(Resolved { lock: lock.numbered(self.request.before), is_whole })
    }

    fn resolve_named(self, before: &Lock) -> Result<Resolved, LockRefusal> {
        let Self { request, lock, lost, others, .. } = self;
        let is_found = |name: &&String| {
            let mut references = lock.artifacts().map(|(reference, _)| reference);
            references.any(|reference| is_called(reference, name))
        };
        if let Some(name) = request.update.iter().find(|name| !is_found(name)) {
            return Err(if lost.is_empty() {
                LockRefusal::NotWanted(name.clone())
            } else {
                LockRefusal::Unavailable(name.clone())
            });
        }
        let is_whole = lost.is_empty();
        let lost: ChoiceSet = lost.iter().map(|lost| &lost.choice).collect();
        let was_asked = before.asked_before();
        let old = request.selection.items.iter().filter(|item| was_asked(item));
        let old: ChoiceSet = old.map(|item| &item.choice).collect();
        let stays = |reference: &str| {
            let is_asked = || others.contains(reference) || old.has(reference);
            lost.has(reference) || !request.is_named(reference) && is_asked()
        };
        let lock = lock.with_missing(before, stays).numbered(Some(before));
        Ok(Resolved { lock, is_whole })
    }
}

/// Returns what is wanted and could not be had: could not be chosen, or was lost from the plan.
fn lost(
    asked: &Selection,
    unchosen: &[Failure],
    lost_in_plan: &[Failure],
    roots: &[RootReport],
) -> Vec<Lost> {
    let mut by_name: HashMap<String, Vec<&Choice>> = HashMap::new();
    for item in asked.items.iter().filter(|_| !unchosen.is_empty()) {
        by_name.entry(item.choice.to_string()).or_default().push(&item.choice);
    }
    let mut lost = Vec::new();
    for failure in unchosen {
        let is_gone = failure.error.is_not_found();
        let choices = by_name.get(&failure.subject).into_iter().flatten();
        lost.extend(choices.map(|choice| Lost { choice: (*choice).clone(), is_gone }));
    }
    let is_gone = lost_in_plan.iter().all(|failure| failure.error.is_not_found());
    let names = roots.iter().flat_map(|root| &root.names);
    let references = names.filter_map(|name| name.as_str().parse().ok());
    lost.extend(references.map(|of| Lost { choice: Choice::Reference(of), is_gone }));
    lost
}

/// Tells whether a reference is the one that is named, or one of the repository that is.
fn is_called(reference: &str, name: &str) -> bool {
    let rest = reference.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']))
}
