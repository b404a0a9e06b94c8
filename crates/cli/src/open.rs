//! Opening a place that was typed, and finding what is meant in it.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use longshore::OpenPlace;
use longshore::location::{Location, PlaceKind};
use longshore_bundle::INVENTORY;
use longshore_layout::{Archive, ArchiveOptions, Directory, Inventory};
use longshore_spec::Tag;
use longshore_store::{KnownRoots, Name, Root, Selector, Source};

use crate::args::Reading;
use crate::problem::{Exit, Problem};
use crate::registries::Registries;
use crate::shell;

/// Opens what a location leads to.
pub(crate) fn place(
    location: &Location,
    reading: &Reading,
    registries: &Registries,
) -> Result<OpenPlace, Problem> {
    found_by(Some(INVENTORY), location, reading, registries)
}

/// Opens what a location leads to, and believes nothing that a bundle says of its content.
pub(crate) fn place_unbelieving(
    location: &Location,
    reading: &Reading,
    registries: &Registries,
) -> Result<OpenPlace, Problem> {
    found_by(None, location, reading, registries)
}

fn found_by(
    inventory: Option<Inventory>,
    location: &Location,
    reading: &Reading,
    registries: &Registries,
) -> Result<OpenPlace, Problem> {
    if location.is_pipe() {
        let hint = "save it to a file first".to_owned();
        return Err(Problem::new(Exit::Usage, "an archive cannot be read from a pipe").hint(hint));
    }
    tracing::debug!("opening {}", location.whole());
    let opened = match &location.place {
        PlaceKind::Directory(path) => {
            Directory::open_with(path, reading.links.links()).map(OpenPlace::Directory)
        }
        PlaceKind::Archive(path) => {
            return archive(path, reading.scratch.as_deref(), inventory).map(OpenPlace::Archive);
        }
        PlaceKind::Registry(place) => return registries.remote(place).map(OpenPlace::Registry),
    };
    opened.map_err(Problem::of)
}

/// Returns everything that is listed. A repository of which a registry has no list may as well not be
/// there, and that is told.
pub(crate) fn roots(place: &OpenPlace, location: &Location) -> Result<KnownRoots, Problem> {
    roots_in(&*place.whole(), place, location)
}

fn roots_in(
    view: &dyn Source,
    place: &OpenPlace,
    location: &Location,
) -> Result<KnownRoots, Problem> {
    let known = view.known_roots().map_err(Problem::of)?;
    let is_empty = known.roots.is_empty() && known.unknown.is_empty();
    let is_unknown = match place {
        OpenPlace::Registry(remote) if is_empty => !remote.has_tag_list().map_err(Problem::of)?,
        _ => false,
    };
    if is_unknown {
        let text = format!("{} is not there, or has no tags", location.whole());
        let hint =
            "check the name; `longshore list HOST` shows repositories, where that is allowed";
        return Err(Problem::new(Exit::Failed, text).hint(hint));
    }
    Ok(known)
}

/// Returns what a location selects, or everything that is listed if it selects nothing.
pub(crate) fn selected(place: &OpenPlace, location: &Location) -> Result<KnownRoots, Problem> {
    selected_in(&*place.whole(), place, location)
}

/// Does the like by what `view` says of the place.
pub(crate) fn selected_in(
    view: &dyn Source,
    place: &OpenPlace,
    location: &Location,
) -> Result<KnownRoots, Problem> {
    match location.selector {
        Some(_) => {
            let roots = vec![select_in(view, place, location)?];
            Ok(KnownRoots { roots, unknown: Vec::new() })
        }
        None => roots_in(view, place, location),
    }
}

/// Returns the one root that a location selects: by name or digest, or the only one there is.
pub(crate) fn select(place: &OpenPlace, location: &Location) -> Result<Root, Problem> {
    select_in(&*place.whole(), place, location)
}

/// Does the like by what `view` says of the place.
pub(crate) fn select_in(
    view: &dyn Source,
    place: &OpenPlace,
    location: &Location,
) -> Result<Root, Problem> {
    let selector = match &location.selector {
        Some(selector) => selector.clone(),
        // What Docker assumes.
        None if matches!(place, OpenPlace::Registry(_)) => {
            Selector::Name(Name::new(Tag::latest().as_str()))
        }
        None => return only(view, location),
    };
    let selector = &selector;
    match view.head(selector) {
        Ok(descriptor) => {
            let names = match selector {
                // Asking for the whole list of a registry would cost a request a tag.
                Selector::Name(name) if matches!(place, OpenPlace::Registry(_)) => {
                    vec![name.clone()]
                }
                Selector::Name(name) => {
                    let listed = view.roots().map_err(Problem::of)?;
                    let same = listed.into_iter().find(|root| root.descriptor == descriptor);
                    same.map_or_else(|| vec![name.clone()], |root| root.names)
                }
                Selector::Digest(_) => location.tag.iter().cloned().collect(),
            };
            Ok(Root { descriptor, names })
        }
        Err(error) if error.is_not_found() => {
            let said = error.said().map(|said| format!(": it answered {said}"));
            let said = said.unwrap_or_default();
            let text = format!("`{selector}` is not in {}{said}", location.whole());
            Err(Problem::new(Exit::Failed, text).hint(names_hint(view, location)))
        }
        Err(error) => Err(Problem::of(error).because(Exit::Failed)),
    }
}

/// Returns the only root that there is, or the only one that has a name.
fn only(view: &dyn Source, location: &Location) -> Result<Root, Problem> {
    let mut roots = view.roots().map_err(Problem::of)?;
    if roots.is_empty() {
        let hint = "check the path, or copy something to it first";
        return Err(Problem::new(Exit::Usage, format!("{location} is empty")).hint(hint));
    }
    if roots.len() > 1 {
        roots.retain(|root| !root.names.is_empty());
    }
    match <[Root; 1]>::try_from(roots) {
        Ok([root]) => Ok(root),
        Err(roots) if roots.is_empty() => {
            let text = format!("{location} holds nothing that has a name");
            let hint = format!(
                "`longshore list --all {}` shows digests; write `{}`",
                shell::word(location),
                shell::word(format!("{location}@DIGEST"))
            );
            Err(Problem::new(Exit::Usage, text).hint(hint))
        }
        Err(roots) => {
            let text = format!("{location} holds {} artifacts, so say which one", roots.len());
            let hint = format!(
                "write `{}`; {}",
                shell::word(format!("{location}:NAME")),
                names_hint(view, location)
            );
            Err(Problem::new(Exit::Usage, text).hint(hint))
        }
    }
}

fn names_hint(view: &dyn Source, location: &Location) -> String {
    const SHOWN: usize = 5;
    let mut names = view.names().unwrap_or_default();
    if names.is_empty() && matches!(location.place, PlaceKind::Registry(_)) {
        return "the repository is not there, or has no tags; check its name".to_owned();
    }
    if names.is_empty() {
        let whole = shell::word(location.whole());
        return format!("it has no names; `longshore list --all {whole}` shows digests");
    }
    // What begins alike was meant, most likely.
    if let Some(Selector::Name(asked)) = &location.selector {
        names.sort_by_key(|name| Reverse(alike(name.as_str(), asked.as_str())));
    }
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > SHOWN {
        format!(" and {} more", names.len() - SHOWN)
    } else {
        String::new()
    };
    let whole = shell::word(location.whole());
    format!("it has {}{more}; `longshore list {whole}` shows all", shown.join(", "))
}

/// Returns how many letters two names have in common before they differ.
fn alike(one: &str, other: &str) -> usize {
    let pairs = one.bytes().zip(other.bytes());
    pairs.take_while(|(one, other)| one.eq_ignore_ascii_case(other)).count()
}

/// Opens an archive; tells one that is not finished from one that is not there, or damaged. What is
/// compressed is unpacked into `scratch`, or where the system keeps temporary files. With `inventory`,
/// what it says of its content is believed.
pub(crate) fn archive(
    path: &Path,
    scratch: Option<&Path>,
    inventory: Option<Inventory>,
) -> Result<Archive, Problem> {
    if let Some(problem) = unfinished(path) {
        return Err(problem);
    }
    let scratch = scratch.map_or_else(std::env::temp_dir, Path::to_owned);
    Archive::open(path, &ArchiveOptions { scratch: Some(scratch), inventory }).map_err(Problem::of)
}

/// Says that what was given is what a run left that broke off, if it is. It may look whole: all of it has
/// its place from the beginning, and what has not come is zeros.
fn unfinished(path: &Path) -> Option<Problem> {
    const SUFFIX: &str = ".partial";
    let text = path.display().to_string();
    let partial = match text.strip_suffix(SUFFIX) {
        Some(_) => path.to_owned(),
        None if path.exists() => return None,
        None => PathBuf::from(format!("{text}{SUFFIX}")),
    };
    let journal = PathBuf::from(format!("{}.journal", partial.display()));
    if !partial.exists() || !journal.exists() {
        return None;
    }
    let text =
        format!("{} is not finished: the command that wrote it was interrupted", partial.display());
    let hint = "run the same command again: it continues from there";
    Some(Problem::new(Exit::Usage, text).hint(hint))
}
