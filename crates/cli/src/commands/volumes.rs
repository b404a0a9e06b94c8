//! Volumes that were typed, opened as the bundle that they belong to.

use std::path::Path;
use std::sync::Arc;

use longshore::OpenPlace;
use longshore::location::{Location, PlaceKind};
use longshore_bundle::{INVENTORY, OpenError, OpenVolumes, Record, is_volume};
use longshore_layout::{Inventory, Layout, LayoutUnion};

use super::bundle;
use super::bundle_files::apart;
use crate::args::{Global, Reading};
use crate::open;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::Registries;

/// Opens what locations lead to: one place, or several volumes of a bundle, of which it lists what is whole in
/// those that are given. Returns where it is, and what is selected in it.
pub(crate) fn one_or_volumes(
    locations: &[Location],
    reading: &Reading,
    registries: &Registries,
    global: &Global,
) -> Result<(Location, OpenPlace), Problem> {
    if let [location] = locations {
        return Ok((location.clone(), open::place(location, reading, registries)?));
    }
    let scratch = reading.scratch.as_deref();
    if let Some((location, volumes)) = of_one_bundle(locations, scratch, global.jobs())? {
        return Ok((location, OpenPlace::Volumes(volumes)));
    }
    let (first, last) = (&locations[0], &locations[locations.len() - 1]);
    let text = format!("{first} and {last} are not volumes of one bundle: give one place");
    Err(Problem::new(Exit::Usage, text).hint("run the command once for each"))
}

/// Opens several places as the volumes of one bundle, which list what is whole in them. `None` if they are none.
/// What is selected in one of them is selected in all.
pub(crate) fn of_one_bundle(
    locations: &[Location],
    scratch: Option<&Path>,
    jobs: usize,
) -> Result<Option<(Location, LayoutUnion<'static>)>, Problem> {
    let paths = paths(locations).filter(|paths| paths.len() > 1);
    let Some(paths) = paths else { return Ok(None) };
    let files = paths.into_iter().map(|path| file(path, scratch, Some(INVENTORY)));
    let files: Vec<_> = files.collect::<Result<_, _>>()?;
    if !has_volume(&files)? {
        return Ok(None);
    }
    let mut selected = locations.iter().filter(|location| location.selector.is_some());
    let location = match (selected.next(), selected.next()) {
        (None, _) => locations[0].clone(),
        (Some(one), None) => one.clone(),
        (Some(one), Some(other)) => {
            let text = format!("`{one}` and `{other}` both select an artifact of one bundle");
            return Err(Problem::new(Exit::Usage, text).hint("select it at one of its volumes"));
        }
    };
    let volumes = OpenVolumes::open(files).map_err(apart)?;
    let volumes = volumes.into_whole(jobs).map_err(Problem::of)?;
    Ok(Some((location, volumes)))
}

/// Opens volumes of a bundle to verify them; a single one, too. `None` if they are none. One that cannot be read is
/// told of, and the others are verified without it: whether there was one is returned.
pub(crate) fn to_verify(
    locations: &[Location],
    scratch: Option<&Path>,
) -> Result<Option<(OpenVolumes<'static>, Damage)>, Problem> {
    let is_selected = locations.iter().any(|location| location.selector.is_some());
    let paths = paths(locations).filter(|_| !is_selected);
    let Some(paths) = paths else { return Ok(None) };
    let (mut files, mut unreadable) = (Vec::new(), Vec::new());
    for path in paths {
        match file(path, scratch, None) {
            Ok(file) => match Record::read(&*file.1) {
                // Of a single file it is told elsewhere.
                Err(OpenError::Record(error)) if locations.len() > 1 => {
                    let text = format!("{}: {error}", file.0);
                    unreadable.push(Problem::new(Exit::Difference, text).hint(bundle::AGAIN));
                }
                _ => files.push(file),
            },
            Err(problem) if problem.is_damage => unreadable.push(problem),
            Err(problem) => return Err(problem),
        }
    }
    if !has_volume(&files)? {
        return Ok(None);
    }
    let damage = if unreadable.is_empty() { Damage::None } else { Damage::Unreadable };
    for problem in unreadable {
        Output::problem(&problem.because(Exit::Difference));
    }
    Ok(Some((OpenVolumes::open(files).map_err(apart)?, damage)))
}

/// Whether a file could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    None,
    Unreadable,
}

/// Tells whether one of them is a volume; then all must be.
fn has_volume(files: &[NamedLayout]) -> Result<bool, Problem> {
    for (_, layout) in files {
        if is_volume(&**layout).map_err(Problem::of)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A layout, and what errors call it.
type NamedLayout = (String, Arc<dyn Layout>);

/// Says that a volume was unpacked, so that its parts of blobs are not found.
pub(crate) fn unpacked(location: &Location) -> Problem {
    let text = format!("{location} is a volume of a bundle that was unpacked into a directory");
    Problem::new(Exit::Usage, text).hint("give the files of the bundle as they were written")
}

/// Returns the paths of archives; `None` if some are something else.
fn paths(locations: &[Location]) -> Option<Vec<&Path>> {
    let is_archive = |location: &&Location| {
        matches!(location.place, PlaceKind::Archive(_)) && !location.is_pipe()
    };
    locations.iter().map(|location| Some(location).filter(is_archive)?.path()).collect()
}

/// Opens an archive; returns it with what errors call it.
fn file(
    path: &Path,
    scratch: Option<&Path>,
    inventory: Option<Inventory>,
) -> Result<NamedLayout, Problem> {
    let opened = open::archive(path, scratch, inventory)?;
    Ok((path.display().to_string(), Arc::new(opened)))
}
