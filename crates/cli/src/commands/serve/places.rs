//! What is served: layouts that are named, or the store.

use std::path::Path;
use std::sync::Arc;

use longshore::location::{InRegistry, Location, PlaceKind};
use longshore_bundle::{INVENTORY, Record, ServedDelta};
use longshore_layout::{Archive, Directory};
use longshore_registry::Access;
use longshore_spec::RepositoryName;
use longshore_store::{Clash, Place, SourcePlace, Union};

use super::system;
use crate::args::Serve;
use crate::human;
use crate::open;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::shell;
use crate::store::{self, VARIABLE};

/// So many manifests of a delta are read at once.
const JOBS: usize = 8;

/// What is served, as one place.
pub(super) struct Places {
    pub(super) place: Arc<dyn Place>,
    /// What it is, in words.
    pub(super) shown: String,
}

/// Opens what is served. What says no repository belongs to one that is typed, or named after its
/// layout.
pub(super) fn open(args: &Serve, output: &Output) -> Result<Places, Problem> {
    let locations = if args.places.is_empty() { vec![store(args)?] } else { args.places.clone() };
    let shown: Vec<_> = locations.iter().map(ToString::to_string).collect();
    let shown = shown.join(", ");
    let (written, read) = locations.split_at(usize::from(args.writable));
    let written = match written.first() {
        None => None,
        Some(location) => match open_one(location, Access::ReadWrite, args)? {
            Layout::Directory(directory) if read.is_empty() => {
                return Ok(Places { place: Arc::new(directory), shown });
            }
            Layout::Directory(directory) => Some((location, directory)),
            Layout::Archive(_) => return Err(never_changed(location)),
        },
    };
    let others = read.iter().map(|location| open_one(location, Access::ReadOnly, args));
    let mut others: Vec<_> = others.collect::<Result<_, _>>()?;
    if let ([Layout::Directory(directory)], None) = (&others[..], &written)
        && delta_record(directory).is_none()
        && let Some(Layout::Directory(directory)) = others.pop()
    {
        return Ok(Places { place: Arc::new(directory), shown });
    }
    let others = others.into_iter().map(Layout::shared);
    let others = read.iter().zip(others).collect();
    let (union, read) = union(written, others, args, output)?;
    let clashes = union.clashes().map_err(Problem::of)?;
    if let Some(clash) = clashes.first() {
        return Err(clashing(clash, clashes.len() - 1, &read));
    }
    Ok(Places { place: Arc::new(union), shown })
}

/// Returns all places as one, and those that are only read in their order there: deltas come first, since
/// their names are newer than those of what holds their base.
fn union<'l>(
    written: Option<(&Location, Directory)>,
    others: Vec<(&'l Location, Arc<dyn longshore_layout::Layout>)>,
    args: &Serve,
    output: &Output,
) -> Result<(Union, Vec<&'l Location>), Problem> {
    // What is written to holds a part of the base, too.
    let beside = match &written {
        Some((location, _)) => match open_one(location, Access::ReadWrite, args)? {
            Layout::Directory(directory) => {
                Some(Arc::new(directory) as Arc<dyn longshore_layout::Layout>)
            }
            Layout::Archive(_) => None,
        },
        None => None,
    };
    let (mut deltas, mut rest) = (Vec::new(), Vec::new());
    for (number, (location, layout)) in others.iter().enumerate() {
        let Some(record) = delta_record(&**layout) else {
            rest.push((*location, Box::new(Arc::clone(layout)) as Box<dyn SourcePlace>));
            continue;
        };
        let bases = others.iter().enumerate().filter(|(other, _)| *other != number);
        let bases = bases.map(|(_, (_, base))| base).chain(&beside).cloned().collect();
        let delta =
            ServedDelta::open(&location.to_string(), Arc::clone(layout), &record, bases, JOBS);
        let ServedDelta { layout, lacking, not_whole } = delta.map_err(Problem::of)?;
        if let Some(first) = not_whole.first() {
            let artifacts = human::count(not_whole.len() as u64, "artifact");
            let blobs = human::count(lacking.len() as u64, "blob");
            output.warning(&format!(
                "not whole in {location}: {artifacts}, such as {first}; {blobs} that they need are in none \
                 of the places, and are answered with 404"
            ));
        }
        deltas.push((*location, Box::new(layout) as Box<dyn SourcePlace>));
    }
    let preferred = deltas.len();
    let (read, others) = deltas.into_iter().chain(rest).unzip();
    let written = written.map(|(_, directory)| Box::new(directory) as Box<dyn Place>);
    Ok((Union::new(written, others).preferring(preferred), read))
}

/// Returns the record of a delta. What is wrong with a record is no reason not to serve what is listed.
fn delta_record(layout: &dyn longshore_layout::Layout) -> Option<Record> {
    Record::read(layout).ok().flatten().filter(|record| record.base.is_some())
}

/// A layout that is served.
enum Layout {
    Archive(Archive),
    Directory(Directory),
}

impl Layout {
    /// Returns a layout that is only read, and in which the base of a delta may lie.
    fn shared(self) -> Arc<dyn longshore_layout::Layout> {
        match self {
            Self::Archive(archive) => Arc::new(archive),
            Self::Directory(directory) => Arc::new(directory),
        }
    }
}

fn never_changed(location: &Location) -> Problem {
    let text = format!("{location} is an archive, which is never changed");
    let hint = "name a directory first, which pushes are written to: `oci:DIR`";
    Problem::new(Exit::Usage, text).hint(hint)
}

fn open_one(location: &Location, access: Access, args: &Serve) -> Result<Layout, Problem> {
    if location.selector.is_some() {
        let text = format!("`{location}` selects an artifact, but a layout is served as a whole");
        return Err(Problem::new(Exit::Usage, text)
            .hint(format!("write `{}`", shell::word(location.whole()))));
    }
    let bare = match &args.repository {
        Some(name) => name.clone(),
        None => named_after(location),
    };
    match &location.place {
        PlaceKind::Archive(_) if access == Access::ReadWrite => Err(never_changed(location)),
        PlaceKind::Archive(path) => {
            let archive = open::archive(path, args.scratch.as_deref(), Some(INVENTORY))?;
            Ok(Layout::Archive(archive.with_bare_names_in(bare)))
        }
        PlaceKind::Directory(path) => {
            let links = args.links.links();
            let opened = match access {
                Access::ReadWrite => {
                    system::check_writable(path).map_err(Problem::of)?;
                    Directory::create_with(path, links).map(Directory::with_journal)
                }
                Access::ReadOnly => Directory::open_with(path, links),
            };
            Ok(Layout::Directory(opened.map_err(Problem::of)?.with_bare_names_in(bare)))
        }
        PlaceKind::Registry(InRegistry { is_short: true, repository, .. }) => {
            let typed = repository.as_str();
            let typed = typed.strip_prefix("library/").unwrap_or(typed);
            let text = format!("there is no layout at `{typed}`");
            Err(Problem::new(Exit::Usage, text)
                .hint("check the path; a layout is a directory or a tar archive"))
        }
        PlaceKind::Registry(_) => {
            let text = format!("{location} is a registry already");
            Err(Problem::new(Exit::Usage, text)
                .hint("serve a layout: `oci:DIR` or `oci-archive:FILE`"))
        }
    }
}

/// Returns the layout that is served where none is named. It is created with the first push.
fn store(args: &Serve) -> Result<Location, Problem> {
    let hint = format!("name a layout: `oci:DIR` or `oci-archive:FILE`, or set {VARIABLE}");
    let Some(store) = store::path() else {
        let text = "there is no place to serve, and no home directory to find the store in";
        return Err(Problem::new(Exit::Usage, text).hint(hint));
    };
    if !args.writable && !store.exists() {
        let text = format!("there is no store at {} yet", store.display());
        return Err(Problem::new(Exit::Usage, text).hint(format!(
            "`longshore import` and `longshore serve --writable` begin it; {hint}"
        )));
    }
    Ok(Location::at(PlaceKind::Directory(store)))
}

/// Returns the name of a layout's file as the name of a repository, as far as it can be one.
fn named_after(place: &Location) -> RepositoryName {
    let stem =
        place.path().and_then(Path::file_stem).map(|stem| stem.to_string_lossy().to_lowercase());
    let parsed = stem.and_then(|stem| stem.parse().ok());
    parsed
        .unwrap_or_else(|| "layout".parse().unwrap_or_else(|_| unreachable!("it fits the grammar")))
}

/// Says that a name would not mean one thing.
fn clashing(clash: &Clash, more: usize, read: &[&Location]) -> Problem {
    let Clash { repository, name, meanings } = clash;
    let meanings = meanings
        .iter()
        .filter_map(|(number, digest)| Some(format!("{digest} in {}", read.get(*number)?)));
    let meanings: Vec<_> = meanings.collect();
    let more = if more > 0 { format!(" (and {more} more names)") } else { String::new() };
    let text = format!("`{repository}:{name}` would be {}{more}", meanings.join(" and "));
    Problem::new(Exit::Usage, text).hint(
        "serve them apart, `longshore untag` one, or copy them to one directory under full names",
    )
}
