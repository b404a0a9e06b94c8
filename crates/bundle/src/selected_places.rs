//! The places that a selection names, opened: what there is to choose among, and what is read.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;

use longshore_spec::{Reference, Tag};
use longshore_store::{Error, Inability, Name, Result, Root, Selector, Source};
use longshore_sync::{CopyItem, Failure, RootRequest};

use crate::{Choice, Item, LayoutPlace, Lock, Picked, ReferenceLookup, Selection};

/// So many names are told of a layout that does not say which is meant.
const MOST_SHOWN: usize = 5;

/// Opens the places that a selection names.
pub trait Opener<'p> {
    /// Why a place cannot be opened.
    type Error: From<Error>;

    /// Returns the repository of a reference. Nothing has to be asked of it yet.
    fn repository(&self, reference: &Reference) -> Result<Box<dyn Source + 'p>, Self::Error>;

    /// Returns all of a layout as one repository.
    fn layout(&self, layout: &LayoutPlace) -> Result<Box<dyn Source + 'p>, Self::Error>;

    /// Returns the artifact that is meant where nothing is selected in a layout: the only one, or the only
    /// one that has a name.
    fn only(&self, layout: &LayoutPlace) -> Result<Root, Self::Error> {
        Ok(only_root(&*self.layout(layout)?, layout)?)
    }
}

/// Returns the only root of a layout, or the only one that has a name; `place` is what errors call it.
///
/// # Errors
///
/// There is none, or there are several.
pub fn only_root(view: &dyn Source, place: &dyn fmt::Display) -> Result<Root> {
    let mut roots = view.roots()?;
    if roots.len() > 1 {
        roots.retain(|root| !root.names.is_empty());
    }
    let candidates = roots.iter().flat_map(|root| &root.names).map(ToString::to_string);
    let candidates = candidates.take(MOST_SHOWN).collect();
    match <[Root; 1]>::try_from(roots) {
        Ok([root]) => Ok(root),
        Err(roots) if roots.is_empty() => Err(Error::not_found("an artifact with a name", place)),
        Err(_) => {
            let (name, place) = ("the only artifact".to_owned(), place.to_string());
            Err(Error::Ambiguous { name, place, candidates })
        }
    }
}

/// The repositories and layouts that a selection names, opened.
#[derive(Debug)]
pub struct SelectedPlaces<'p> {
    pub(crate) selection: &'p Selection,
    repositories: HashMap<String, Box<dyn Source + 'p>>,
    layouts: Vec<OpenLayout<'p>>,
}

/// A layout that something is wanted of.
#[derive(Debug)]
struct OpenLayout<'p> {
    place: LayoutPlace,
    view: Box<dyn Source + 'p>,
    roots: Vec<Root>,
    /// Names that are not written as their reference is here, such as with capitals in the host.
    written: HashMap<String, Name>,
    /// What is meant where nothing is selected; found out only where that is so.
    only: Option<Root>,
}

impl<'p> SelectedPlaces<'p> {
    /// Opens every place that `selection` names, each once. Layouts are asked what they list, and
    /// repositories for nothing.
    pub fn open<O: Opener<'p>>(selection: &'p Selection, opener: &O) -> Result<Self, O::Error> {
        let mut repositories = HashMap::new();
        for item in &selection.items {
            let (Choice::Reference(reference) | Choice::Repository(reference, _)) = &item.choice
            else {
                continue;
            };
            if let Entry::Vacant(entry) = repositories.entry(key(reference)) {
                entry.insert(opener.repository(reference)?);
            }
        }
        let open = |place: LayoutPlace| {
            let is_meant =
                |item: &Item| matches!(&item.choice, Choice::Layout(layout) if *layout == place);
            let only = selection.items.iter().any(is_meant);
            let only = only.then(|| opener.only(&place)).transpose()?;
            let view = opener.layout(&place)?;
            let roots = view.roots()?;
            let written = written(&roots);
            Ok(OpenLayout { place, view, roots, written, only })
        };
        let layouts = selection.layouts().into_iter().map(open).collect::<Result<_, O::Error>>()?;
        Ok(Self { selection, repositories, layouts })
    }

    /// Returns what was opened for.
    pub fn selection(&self) -> &'p Selection {
        self.selection
    }

    /// Returns every artifact that is wanted, as [`Selection::pick`] does: with a lock, rules choose only
    /// among what is locked.
    pub fn pick(&self, locked: Option<&Lock>, jobs: usize) -> (Vec<Picked<'p>>, Vec<Failure>) {
        self.selection.pick(jobs, &Offered { places: self, locked })
    }

    /// Returns how one artifact is asked for, and what it will be called.
    pub fn copy_item(&self, picked: &Picked<'_>) -> CopyItem<'_> {
        let reference = &picked.reference;
        let layout = picked.item.choice.layout();
        let selector = match (layout, reference.digest()) {
            (None, Some(digest)) => Selector::Digest(digest.clone()),
            (None, None) => Selector::Name(Name::new(reference.tag_or_latest().as_str())),
            (Some(layout), _) => {
                let name = reference.to_string();
                let written = self.layout(layout).written.get(&name);
                Selector::Name(written.cloned().unwrap_or_else(|| Name::new(name)))
            }
        };
        CopyItem {
            source: match layout {
                None => &*self.repositories[&key(reference)],
                Some(layout) => &*self.layout(layout).view,
            },
            request: RootRequest::Selector(selector),
            target: None,
            names: vec![Name::new(reference.to_string())],
            filter: None,
        }
    }

    fn layout(&self, place: &LayoutPlace) -> &OpenLayout<'p> {
        let whole = place.whole();
        let found = self.layouts.iter().find(|layout| layout.place == whole);
        found.unwrap_or_else(|| unreachable!("every layout of the selection was opened"))
    }
}

/// What there is to choose among: with a lock, only what is locked.
struct Offered<'s, 'p> {
    places: &'s SelectedPlaces<'p>,
    locked: Option<&'s Lock>,
}

impl ReferenceLookup for Offered<'_, '_> {
    fn tags(&self, repository: &Reference) -> Result<Vec<Tag>> {
        if let Some(locked) = self.locked {
            return Ok(locked.tags(repository));
        }
        let names = self.places.repositories[&key(repository)].names()?;
        Ok(names.iter().filter_map(Name::tag).collect())
    }

    fn artifact(&self, place: &LayoutPlace) -> Result<Vec<Reference>> {
        let OpenLayout { view, roots, only, .. } = self.places.layout(place);
        let (descriptor, own) = match (&place.selector, only) {
            (None, Some(only)) => (only.descriptor.clone(), only.names.clone()),
            (None, None) => unreachable!("it was found out when the layout was opened"),
            (Some(selector), _) => {
                let found = view.head(selector)?;
                let same = roots.iter().find(|root| root.descriptor == found);
                (found.clone(), same.map(|root| root.names.clone()).unwrap_or_default())
            }
        };
        let own = full(&own);
        if !own.is_empty() && !matches!(place.selector, Some(Selector::Digest(_))) {
            return Ok(own);
        }
        // It may have a full reference beside the name by which it was asked for.
        let same = roots.iter().filter(|root| root.descriptor.digest == descriptor.digest);
        let all: Vec<Reference> = same.flat_map(|root| full(&root.names)).collect();
        if all.is_empty() {
            return Err(Error::unsupported(place, Inability::NoFullReference));
        }
        Ok(all)
    }

    fn references(&self, place: &LayoutPlace) -> Result<Vec<Reference>> {
        let OpenLayout { roots, .. } = self.places.layout(place);
        let mut all: Vec<Reference> = roots.iter().flat_map(|root| full(&root.names)).collect();
        if let Some(locked) = self.locked {
            all.retain(|reference| locked.get(reference).is_some());
        }
        Ok(all)
    }
}

/// Returns those of some names that are full references.
fn full(names: &[Name]) -> Vec<Reference> {
    let references = names.iter().filter_map(|name| name.as_str().parse::<Reference>().ok());
    references.filter(|name| name.tag().is_some() || name.digest().is_some()).collect()
}

/// Returns how a layout writes the names that it does not write as their reference is, by reference.
fn written(roots: &[Root]) -> HashMap<String, Name> {
    let names = || roots.iter().flat_map(|root| &root.names);
    let all: HashSet<&str> = names().map(Name::as_str).collect();
    let written = names().filter_map(|name| {
        let reference = name.as_str().parse::<Reference>().ok()?.to_string();
        (!all.contains(reference.as_str())).then(|| (reference, name.clone()))
    });
    written.collect()
}

/// Tells one repository from another.
fn key(of: &Reference) -> String {
    format!("{}/{}", of.registry(), of.repository())
}
