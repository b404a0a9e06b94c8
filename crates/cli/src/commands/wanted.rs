//! What a bundle is made of, and where it comes from.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use longshore_bundle::{
    Item, LayoutPlace, Lock, Parsed, Picked, Selection, Shelves, SparseIndex, What,
};
use longshore_remote::Remote;
use longshore_spec::{Reference, Tag};
use longshore_store::{Error, Inability, Name, Repository, Result, Root, Selector, Source as _};
use longshore_sync::{Referring, Wanted, Wish};

use super::look;
use crate::args::{self, Reading, Taken};
use crate::input;
use crate::location::Location;
use crate::opened::Opened;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::Registries;

/// Returns what is wanted: what was typed, then what the file says.
pub(crate) fn selection(
    wanted: &[What],
    file: Option<&Path>,
    taken: &Taken,
    output: &Output,
) -> Result<Selection, Problem> {
    let mut items: Vec<_> = wanted.iter().map(|what| Item::new(what.clone(), 0)).collect();
    if let Some(file) = file {
        items.extend(read(file, output)?.items);
    }
    let Taken { platform, referrers, types, .. } = taken;
    let types = look::types(types)?;
    let referrers = match referrers.as_slice() {
        [word] if word == "all" => None,
        [word] if word == "none" => Some(Referring::Ignored),
        types => Some(Referring::Taken(look::types(types)?)),
    };
    for item in &mut items {
        if item.platforms.is_empty() && !item.said.platforms {
            item.platforms.clone_from(platform);
        }
        if !item.said.sparse_index {
            item.sparse_index = sparse_index(taken);
        }
        if !item.said.types {
            item.types = types.clone();
        }
        if let (false, Some(referrers)) = (item.said.referrers, &referrers) {
            item.referrers = referrers.clone();
        }
    }
    if items.is_empty() {
        let text = match file {
            Some(file) => format!("{} names no artifact, so nothing is wanted", file.display()),
            None => "nothing is wanted".to_owned(),
        };
        let hint = "`longshore init` writes an example of what can be wanted";
        return Err(Problem::new(Exit::Usage, text).hint(hint));
    }
    Ok(Selection { items })
}

fn read(path: &Path, output: &Output) -> Result<Selection, Problem> {
    let (name, text) =
        (input::name(path), input::text(path, input::MAX_LIST).map_err(Problem::of)?);
    let Parsed { selection, ignored } = Selection::parse(&name, &text)
        .map_err(|error| Problem::new(Exit::Usage, error.to_string()))?;
    if !ignored.is_empty() {
        output.warning(&format!("{name}: without meaning here: {}", ignored.join(", ")));
    }
    Ok(selection)
}

/// Returns what becomes of indexes of which several platforms are taken.
fn sparse_index(taken: &Taken) -> SparseIndex {
    match taken.sparse_index {
        None => SparseIndex::Refuse,
        Some(args::SparseIndex::Keep) => SparseIndex::Keep,
        Some(args::SparseIndex::Strip) => SparseIndex::Strip,
    }
}

/// The layouts that something is wanted of.
pub(crate) struct Layouts(Vec<(LayoutPlace, Opened)>);

impl Layouts {
    /// Opens every layout of a selection, each once.
    pub(crate) fn open(
        selection: &Selection,
        reading: &Reading,
        registries: &Registries<'_>,
    ) -> Result<Self, Problem> {
        let mut opened: Vec<(LayoutPlace, Opened)> = Vec::new();
        for layout in selection.items.iter().filter_map(|item| layout_of(&item.what)) {
            let whole = layout.whole();
            if opened.iter().all(|(known, _)| *known != whole) {
                let found = Opened::open(&whole.clone().into(), reading, registries)?;
                opened.push((whole, found));
            }
        }
        Ok(Self(opened))
    }
}

/// The repositories and layouts that something is wanted of.
pub(crate) struct Sources<'l> {
    remotes: HashMap<String, Remote>,
    layouts: Vec<InLayout<'l>>,
}

/// A layout that something is wanted of.
struct InLayout<'l> {
    place: &'l LayoutPlace,
    view: Box<dyn Repository + 'l>,
    roots: Vec<Root>,
    /// Names that are not written as their reference is here, such as with capitals in the host.
    written: HashMap<String, Name>,
    /// What is meant where nothing is selected; found out only where that is so.
    only: Option<Root>,
}

impl<'l> Sources<'l> {
    /// Makes ready for every repository of a selection; no request is made.
    pub(crate) fn open(
        selection: &Selection,
        registries: &Registries<'_>,
        layouts: &'l Layouts,
    ) -> Result<Self, Problem> {
        let mut remotes = HashMap::new();
        for item in &selection.items {
            let (What::Reference(reference) | What::Repository(reference, _)) = &item.what else {
                continue;
            };
            if let std::collections::hash_map::Entry::Vacant(entry) = remotes.entry(key(reference))
            {
                let registry = registries.registry(reference.registry())?;
                entry.insert(registry.remote(reference.repository()));
            }
        }
        let open = |(place, opened): &'l (LayoutPlace, Opened)| {
            let is_meant =
                |item: &Item| matches!(&item.what, What::Layout(layout) if layout == place);
            let only = selection.items.iter().any(is_meant);
            let only = only.then(|| opened.select(&place.clone().into())).transpose()?;
            let view = opened.whole();
            let roots = view.roots().map_err(Problem::of)?;
            let written = written(&roots);
            Ok(InLayout { place, view, roots, written, only })
        };
        let layouts = layouts.0.iter().map(open).collect::<Result<_, Problem>>()?;
        Ok(Self { remotes, layouts })
    }

    /// Returns what there is to choose among: with a lock, only what is locked.
    pub(crate) fn offered<'s>(&'s self, locked: Option<&'s Lock>) -> Offered<'s> {
        Offered { sources: self, locked }
    }

    /// Returns how one artifact is asked for, and what it will be called.
    pub(crate) fn wanted(&self, picked: &Picked<'_>) -> Wanted<'_> {
        let reference = &picked.reference;
        let layout = layout_of(&picked.item.what);
        let selector = match (layout, reference.digest()) {
            (None, Some(digest)) => Selector::Digest(digest.clone()),
            (None, None) => Selector::Name(Name::new(reference.tag_or_latest().as_str())),
            (Some(layout), _) => {
                let name = reference.to_string();
                let written = self.layout(layout).written.get(&name);
                Selector::Name(written.cloned().unwrap_or_else(|| Name::new(name)))
            }
        };
        Wanted {
            source: match layout {
                None => &self.remotes[&key(reference)],
                Some(layout) => &*self.layout(layout).view,
            },
            wish: Wish::Selector(selector),
            target: None,
            names: vec![Name::new(reference.to_string())],
            filter: None,
        }
    }

    /// Refuses a selection that takes from the layout that it would be written to.
    pub(crate) fn refuse_as_target(&self, target: &Location) -> Result<(), Problem> {
        let places = self.layouts.iter().map(|layout| Location::from(layout.place.clone()));
        match { places }.find(|place| place.is_same_file(target)) {
            None => Ok(()),
            Some(place) => {
                let text = format!("{place} would be exported onto itself");
                Err(Problem::new(Exit::Usage, text).hint("choose another place for the bundle"))
            }
        }
    }

    fn layout(&self, place: &LayoutPlace) -> &InLayout<'l> {
        let whole = place.whole();
        let found = self.layouts.iter().find(|layout| *layout.place == whole);
        found.unwrap_or_else(|| unreachable!("every layout of the selection was opened"))
    }
}

/// What there is to choose among.
pub(crate) struct Offered<'s> {
    sources: &'s Sources<'s>,
    locked: Option<&'s Lock>,
}

impl Shelves for Offered<'_> {
    fn tags(&self, repository: &Reference) -> Result<Vec<Tag>> {
        if let Some(locked) = self.locked {
            return Ok(locked.tags(repository));
        }
        let names = self.sources.remotes[&key(repository)].names()?;
        Ok(names.iter().filter_map(Name::tag).collect())
    }

    fn artifact(&self, place: &LayoutPlace) -> Result<Vec<Reference>> {
        let InLayout { view, roots, only, .. } = self.sources.layout(place);
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
        let InLayout { roots, .. } = self.sources.layout(place);
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

fn layout_of(what: &What) -> Option<&LayoutPlace> {
    match what {
        What::Layout(layout) | What::References(layout, _) => Some(layout),
        What::Reference(_) | What::Repository(..) => None,
    }
}

/// Tells one repository from another.
fn key(of: &Reference) -> String {
    format!("{}/{}", of.registry(), of.repository())
}
