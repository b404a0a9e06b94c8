//! What a bundle is made of, and where it comes from.

use std::path::Path;

use longshore::OpenPlace;
use longshore::location::Location;
use longshore_bundle::{Choice, Item, LayoutPlace, Opener, Parsed, Selection, SparseIndex};
use longshore_spec::Reference;
use longshore_store::{Root, Source};
use longshore_sync::Referring;

use super::artifact;
use crate::args::{self, Reading, SelectionDefaults};
use crate::input;
use crate::location::layout_in_file;
use crate::open;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::Registries;

/// Returns what is wanted: what was typed, then what the file says.
pub(crate) fn selection(
    wanted: &[Choice],
    file: Option<&Path>,
    defaults: &SelectionDefaults,
    output: &Output,
) -> Result<Selection, Problem> {
    let mut name = None;
    let mut items: Vec<_> = wanted.iter().map(|what| Item::new(what.clone(), 0)).collect();
    if let Some(file) = file {
        let read = read(file, output)?;
        name = read.name;
        items.extend(read.items);
    }
    let SelectionDefaults { platform, referrers, types, .. } = defaults;
    let types = artifact::type_filter(types)?;
    let referrers = match referrers.as_slice() {
        [word] if word == "all" => None,
        [word] if word == "none" => Some(Referring::Ignored),
        types => Some(Referring::Taken(artifact::type_filter(types)?)),
    };
    for item in &mut items {
        if item.platforms.is_empty() && !item.explicit.platforms {
            item.platforms.clone_from(platform);
        }
        if !item.explicit.sparse_index {
            item.sparse_index = sparse_index(defaults);
        }
        if !item.explicit.types {
            item.types = types.clone();
        }
        if let (false, Some(referrers)) = (item.explicit.referrers, &referrers) {
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
    Ok(Selection { name, items })
}

/// Reads what is wanted from a file, in whichever form it has.
pub(crate) fn read(path: &Path, output: &Output) -> Result<Selection, Problem> {
    let (name, text) =
        (input::name(path), input::text(path, input::MAX_LIST).map_err(Problem::of)?);
    let Parsed { selection, ignored } = Selection::parse_where(&name, &text, &layout_in_file)
        .map_err(|error| Problem::new(Exit::Usage, error.to_string()))?;
    for ignored in &ignored {
        output.warning(&ignored.to_string());
    }
    Ok(selection)
}

/// Returns what becomes of indexes of which several platforms are taken.
fn sparse_index(defaults: &SelectionDefaults) -> SparseIndex {
    match defaults.sparse_index {
        None => SparseIndex::Refuse,
        Some(args::SparseIndex::Keep) => SparseIndex::Keep,
        Some(args::SparseIndex::Strip) => SparseIndex::Strip,
    }
}

/// The layouts that something is wanted of.
pub(crate) struct Layouts(Vec<(LayoutPlace, OpenPlace)>);

impl Layouts {
    /// Opens every layout of a selection, each once.
    pub(crate) fn open(
        selection: &Selection,
        reading: &Reading,
        registries: &Registries<'_>,
    ) -> Result<Self, Problem> {
        let open = |layout: LayoutPlace| {
            let found = open::place(&layout.clone().into(), reading, registries)?;
            Ok((layout, found))
        };
        selection.layouts().into_iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// Refuses a selection that takes from the layout that it would be written to.
    pub(crate) fn refuse_as_target(&self, target: &Location) -> Result<(), Problem> {
        let places = self.0.iter().map(|(layout, _)| Location::from(layout.clone()));
        match { places }.find(|place| place.is_same_file(target)) {
            None => Ok(()),
            Some(place) => {
                let text = format!("{place} would be exported onto itself");
                Err(Problem::new(Exit::Usage, text).hint("choose another place for the bundle"))
            }
        }
    }

    fn opened(&self, layout: &LayoutPlace) -> &OpenPlace {
        let found = self.0.iter().find(|(place, _)| place == layout);
        let (_, opened) = found.unwrap_or_else(|| unreachable!("every layout was opened"));
        opened
    }
}

/// Opens what a selection names: its layouts are open already.
pub(crate) struct Places<'p> {
    pub(crate) layouts: &'p Layouts,
    pub(crate) registries: &'p Registries<'p>,
}

impl<'p> Opener<'p> for Places<'p> {
    type Error = Problem;

    fn repository(&self, reference: &Reference) -> Result<Box<dyn Source + 'p>, Problem> {
        let registry = self.registries.registry(reference.registry())?;
        Ok(Box::new(registry.remote_repository(reference.repository())))
    }

    fn layout(&self, layout: &LayoutPlace) -> Result<Box<dyn Source + 'p>, Problem> {
        Ok(self.layouts.opened(layout).whole())
    }

    fn only(&self, layout: &LayoutPlace) -> Result<Root, Problem> {
        open::select(self.layouts.opened(layout), &layout.clone().into())
    }
}
