//! `tag` and `untag`: names in a layout directory.

use std::fmt::Display;

use longshore::OpenPlace;
use longshore::location::{Location, PlaceKind};
use longshore_layout::Directory;
use longshore_spec::printable_line;
use longshore_store::{
    Entry, Error, Inability, Name, Outline, Repository, Result as Answer, Root, Selector,
    TargetPlace as _,
};

use super::artifact::{ManifestResult, try_manifest};
use crate::args::{Reading, Tag, Untag};
use crate::documents::{MovedName, Tagged, Untagged as Named};
use crate::open;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::{Registries, refuse_short};
use crate::report::tell_moved;
use crate::shell;

pub(crate) fn tag(args: &Tag, output: &Output) -> Result<Exit, Problem> {
    let names: Vec<Name> = args.names.iter().map(|name| name_of(name)).collect::<Result<_, _>>()?;
    let layout = open_to_change(&args.place, &args.reading)?;
    let root = open::select(&layout, &args.place)?;
    let names = names.iter().map(|name| of_root(name, &root)).collect::<Result<Vec<_>, _>>()?;
    let whole = layout.repository().map_err(Problem::of)?;
    let moved = moved(&*whole, &names, &root).map_err(Problem::of)?;
    // What is named must be there.
    let listed = match try_manifest(&*whole, &root.descriptor) {
        ManifestResult::Manifest(manifest) => {
            whole.push_manifest(&manifest, Entry::Root(&names)).map(drop)
        }
        ManifestResult::Opaque => {
            whole.open(&root.descriptor, 0).and_then(|_| whole.list(&root.descriptor, &names))
        }
        ManifestResult::Broken(error) => Err(error),
    };
    listed
        .and_then(|()| layout.commit())
        .map_err(|error| Problem::of(error).because(Exit::Failed))?;
    let digest = root.descriptor.digest.to_string();
    tell_moved(&moved, "moved", output);
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let document = Tagged { digest: digest.clone(), names, moved };
    output.summary(&document, || {
        let names = document.names.iter();
        names.map(|name| format!("{}  {digest}\n", printable_line(name))).collect()
    })?;
    Ok(Exit::Done)
}

/// Returns the name that a root gets: a digest behind it must be its own.
fn of_root(name: &Name, root: &Root) -> Result<Name, Problem> {
    let digest = &root.descriptor.digest;
    match name.apart() {
        (_, Some(other)) if other != *digest => {
            let text = format!("the digest in `{name}` is not that of the artifact, {digest}");
            Err(Problem::new(Exit::Usage, text).hint("leave out the digest"))
        }
        (name, _) => Ok(name),
    }
}

/// Returns those of some names that stand for something else than `root`.
fn moved(whole: &dyn Repository, names: &[Name], root: &Root) -> Answer<Vec<MovedName>> {
    let to = &root.descriptor.digest;
    let mut moved = Vec::new();
    for name in names {
        if let Some(from) = whole.stands_for(name)?.filter(|from| from != to) {
            let (name, from, to) = (name.to_string(), from.to_string(), to.to_string());
            moved.push(MovedName { name, from, to });
        }
    }
    Ok(moved)
}

pub(crate) fn untag(args: &Untag, output: &Output) -> Result<Exit, Problem> {
    // All of them must be there before the first goes.
    let found = args
        .places
        .iter()
        .map(|place| find_name(place, &args.reading))
        .collect::<Result<Vec<_>, _>>()?;
    let mut gone = Vec::new();
    for (place, (layout, name, digest)) in args.places.iter().zip(found) {
        let untagged = layout.repository().and_then(|repository| repository.untag(&name));
        let done = untagged.and_then(|()| layout.commit());
        done.map_err(|error| {
            let stays = stays(&error);
            let problem = Problem::of(error).because(Exit::Failed);
            if stays { problem.hint(by_digest(&place.whole(), &digest)) } else { problem }
        })?;
        gone.push(Named { digest, names: vec![name.to_string()] });
    }
    output.summary(&gone, || {
        let gone = gone.iter();
        gone.map(|gone| format!("{}  {}\n", printable_line(&gone.names[0]), gone.digest)).collect()
    })?;
    Ok(Exit::Done)
}

/// Tells whether a tag stays since the registry deletes manifests only.
pub(super) fn stays(error: &Error) -> bool {
    matches!(error, Error::Unsupported { what: Inability::TagDelete { .. }, .. })
}

/// Says how what a tag stands for is deleted where tags are not.
pub(super) fn by_digest(whole: &Location, digest: impl Display) -> String {
    format!(
        "`longshore delete {}` deletes the manifest with every tag on it, where that is allowed",
        shell::word(format!("{whole}@{digest}"))
    )
}

/// Returns the layout that a name is to be taken away from, the name, and what it stands for.
fn find_name(place: &Location, reading: &Reading) -> Result<(OpenPlace, Name, String), Problem> {
    let Some(Selector::Name(name)) = &place.selector else {
        let text = format!("`{place}` has no name to remove");
        let hint = match &place.place {
            PlaceKind::Registry(_) => {
                format!("write `{}`", shell::word(format!("{}:TAG", place.whole())))
            }
            PlaceKind::Archive(_) | PlaceKind::Directory(_) => {
                format!("write `{}`", shell::word(format!("{}:NAME", place.whole())))
            }
        };
        return Err(Problem::new(Exit::Usage, text).hint(hint));
    };
    let layout = open_to_change(place, reading)?;
    let digest = open::select(&layout, place)?.descriptor.digest.to_string();
    Ok((layout, name.clone(), digest))
}

/// Opens a place that must be there, to change its names.
pub(super) fn open_to_change(place: &Location, reading: &Reading) -> Result<OpenPlace, Problem> {
    tracing::debug!("changing {}", place.whole());
    match &place.place {
        PlaceKind::Archive(path) => {
            let text = format!("names in the archive {} cannot be changed", path.display());
            let hint = "copy it under another name: `longshore copy oci-archive:FILE:REF oci-archive:NEW:NAME`";
            Err(Problem::new(Exit::Usage, text).hint(hint))
        }
        PlaceKind::Directory(path) => {
            // Only a copy creates what is not there.
            let links = reading.links.links();
            let directory =
                Directory::open_with(path, links).and_then(|_| Directory::create_with(path, links));
            // What cannot be written to is told before anything is looked up.
            let ready = directory
                .and_then(|directory| directory.prepare(&Outline::default()).map(|_| directory));
            ready.map(OpenPlace::Directory).map_err(Problem::of)
        }
        PlaceKind::Registry(registry) => {
            refuse_short(registry, place)?;
            open::place(place, reading, &Registries::reading(reading))
        }
    }
}

fn name_of(text: &str) -> Result<Name, Problem> {
    if text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let text = format!(
            "`{text}` is not a name: it is empty, or holds white space or control characters"
        );
        return Err(Problem::new(Exit::Usage, text).hint("write a tag, or a full reference"));
    }
    if let Ok(Location {
        selector: Some(name),
        place: PlaceKind::Archive(_) | PlaceKind::Directory(_),
        ..
    }) = text.parse()
    {
        let text = format!("`{text}` is a place, not a name");
        return Err(
            Problem::new(Exit::Usage, text).hint(format!("write only `{}`", shell::word(name)))
        );
    }
    Ok(Name::new(text))
}
