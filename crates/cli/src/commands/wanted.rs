//! What a bundle is made of, and where it comes from.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;

use longshore_bundle::{Item, Parsed, Selection, SparseIndex, What};
use longshore_remote::Remote;
use longshore_spec::{Reference, Tag};
use longshore_store::{Error, Name, Result, Selector, Source as _};
use longshore_sync::{Referring, Wanted, Wish};

use super::look;
use crate::args::{self, Taken};
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::Registries;

/// Returns what is wanted: what was typed, then what the file says.
pub(crate) fn selection(
    references: &[Reference],
    file: Option<&Path>,
    taken: &Taken,
    output: &Output,
) -> Result<Selection, Problem> {
    let references = references.iter().cloned();
    let mut items: Vec<_> = references.map(|text| Item::new(What::Reference(text), 0)).collect();
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
        item.sparse_index = sparse_index(taken);
        if !item.said.types {
            item.types = types.clone();
        }
        if let (false, Some(referrers)) = (item.said.referrers, &referrers) {
            item.referrers = referrers.clone();
        }
    }
    if items.is_empty() {
        let text = "nothing is wanted: the file names no artifact";
        return Err(Problem::new(Exit::Usage, text));
    }
    Ok(Selection { items })
}

fn read(path: &Path, output: &Output) -> Result<Selection, Problem> {
    let name = path.display().to_string();
    let text = if name == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| Problem::of(Error::io("read", &name)(error)))?;
    let name = if name == "-" { "stdin" } else { &name };
    let Parsed { selection, ignored } = Selection::parse(name, &text)
        .map_err(|error| Problem::new(Exit::Usage, error.to_string()))?;
    if !ignored.is_empty() {
        output.warning(&format!("{name}: without meaning here: {}", ignored.join(", ")));
    }
    Ok(selection)
}

/// Returns what becomes of indexes of which several platforms are taken.
fn sparse_index(taken: &Taken) -> SparseIndex {
    match taken.sparse_index {
        args::SparseIndex::Keep => SparseIndex::Keep,
        args::SparseIndex::Strip => SparseIndex::Strip,
    }
}

/// The repositories that something is wanted of.
pub(crate) struct Sources(HashMap<String, Remote>);

impl Sources {
    /// Makes ready for every repository of a selection; no request is made.
    pub(crate) fn open(
        selection: &Selection,
        registries: &Registries<'_>,
    ) -> Result<Self, Problem> {
        let mut sources = HashMap::new();
        for item in &selection.items {
            let reference = item.what.reference();
            if let std::collections::hash_map::Entry::Vacant(entry) = sources.entry(key(reference))
            {
                let registry = registries.registry(reference.registry())?;
                entry.insert(registry.remote(reference.repository()));
            }
        }
        Ok(Self(sources))
    }

    /// Returns the tags of a repository.
    pub(crate) fn tags(&self, repository: &Reference) -> Result<Vec<Tag>> {
        let names = self.of(repository).names()?;
        Ok(names.iter().filter_map(Name::tag).collect())
    }

    /// Returns how one artifact is asked for, and what it will be called.
    pub(crate) fn wanted(&self, reference: &Reference) -> Wanted<'_> {
        let selector = match reference.digest() {
            Some(digest) => Selector::Digest(digest.clone()),
            None => Selector::Name(Name::new(reference.tag_or_latest().as_str())),
        };
        Wanted {
            source: self.of(reference),
            wish: Wish::Selector(selector),
            target: None,
            names: vec![Name::new(reference.to_string())],
            filter: None,
        }
    }

    fn of(&self, reference: &Reference) -> &Remote {
        &self.0[&key(reference)]
    }
}

/// Tells one repository from another.
fn key(of: &Reference) -> String {
    format!("{}/{}", of.registry(), of.repository())
}
