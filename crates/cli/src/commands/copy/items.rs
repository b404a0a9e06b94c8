//! What a copy takes, and what it is called where it goes.

use std::collections::HashSet;
use std::path::Path;

use longshore::OpenPlace;
use longshore::location::{InRegistry, Location, LocationError, PlaceKind};
use longshore_spec::Digest;
use longshore_store::{Error, KnownRoots, Name, Root, Selector};
use longshore_sync::RootRequest;

use crate::args::{Copy, Global};
use crate::commands::{delta, volumes};
use crate::human;
use crate::input;
use crate::open;
use crate::output::Output;
use crate::problem::{Exit, Mistake, Problem};
use crate::registries::Registries;
use crate::shell;

/// Takes apart what was typed: sources from the command line and from a list, and the target.
pub(super) fn places(args: &Copy) -> Result<(Vec<Location>, Location), Problem> {
    let mut sources = args.places.clone();
    let target = sources.pop().ok_or_else(|| Problem::new(Exit::Usage, "no place is given"))?;
    if let Some(list) = &args.list {
        sources.extend(read_list(list)?);
    }
    if sources.is_empty() {
        let text = format!("`{target}` is the only place that is given");
        return Err(Problem::new(Exit::Usage, text)
            .hint("write where from, then where to: `longshore copy SRC DST`"));
    }
    if let (None, Some(digest)) = target.named() {
        let text = format!(
            "`{target}` says which digest to write, but that follows from the content ({digest})"
        );
        return Err(Problem::new(Exit::Usage, text)
            .hint(format!("write to `{}`", shell::word(target.whole()))));
    }
    Ok((sources, target))
}

/// Reads a list of sources, one a line; `#` begins a comment.
fn read_list(path: &Path) -> Result<Vec<Location>, Problem> {
    let text = input::text(path, input::MAX_LIST).map_err(|error| {
        Problem::of(match error {
            Error::Io { what, source, .. } => Error::Io { action: "read the list", what, source },
            error => error,
        })
    })?;
    let mut locations = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            let wrong = |error: LocationError| {
                let error = Mistake::from(error);
                let text = format!("{}:{}: {error}", path.display(), number + 1);
                Problem::new(Exit::Usage, text)
                    .hint("a list has one place a line, such as `oci:DIR:REF`")
            };
            locations.push(line.parse().map_err(wrong)?);
        }
    }
    Ok(locations)
}

/// Opens the sources. Volumes of one bundle are one source.
pub(super) fn open(
    sources: Vec<Location>,
    target: &Location,
    args: &Copy,
    registries: &Registries<'_>,
    global: &Global,
) -> Result<(Vec<Location>, Vec<OpenPlace>), Problem> {
    refuse_itself(&sources, target)?;
    let scratch = args.reading.scratch.as_deref();
    if let Some((source, volumes)) = volumes::of_one_bundle(&sources, scratch, global.jobs())? {
        return Ok((vec![source], vec![OpenPlace::Volumes(volumes)]));
    }
    let open = |source: &Location| {
        open::place(source, &args.reading, registries).map_err(|problem| {
            if source.exists() || source.is_pipe() || !target.exists() {
                return problem;
            }
            problem.hint(format!(
                "the source comes first: check its path, or turn it round: `longshore copy {} {}`",
                shell::word(target),
                shell::word(source)
            ))
        })
    };
    let opened = sources.iter().map(open).collect::<Result<_, _>>()?;
    Ok((sources, opened))
}

/// Refuses to copy a layout onto itself.
fn refuse_itself(sources: &[Location], target: &Location) -> Result<(), Problem> {
    match sources.iter().find(|source| source.is_same_file(target)) {
        Some(source)
            if target.selector.is_none() || matches!(target.place, PlaceKind::Archive(_)) =>
        {
            let text = format!("{source} would be copied onto itself");
            Err(Problem::new(Exit::Usage, text)
                .hint("`longshore tag` gives an artifact a further name"))
        }
        _ => Ok(()),
    }
}

/// One artifact to copy.
#[derive(Debug)]
pub(super) struct NamedItem {
    /// The number of its source.
    pub(super) source: usize,
    pub(super) request: RootRequest,
    /// What it will be called.
    pub(super) names: Vec<Name>,
}

/// Returns everything that is wanted, under the names that it will have.
pub(super) fn items(
    args: &Copy,
    sources: &[Location],
    opened: &[OpenPlace],
    target: &Location,
    output: &Output,
) -> Result<Vec<NamedItem>, Problem> {
    let mut taken = Vec::new();
    let mut problems = Vec::new();
    for (source, (location, place)) in sources.iter().zip(opened).enumerate() {
        if let (PlaceKind::Registry(_), Some(selector), 2..) =
            (&location.place, &location.selector, sources.len())
        {
            // Many are asked for at once, later, and not one after the other now.
            let name = match selector {
                Selector::Name(name) => Some(name.clone()),
                Selector::Digest(_) => location.tag.clone(),
            };
            let (request, names) =
                (RootRequest::Selector(selector.clone()), name.into_iter().collect());
            taken.push(NamedItem { source, request, names });
            continue;
        }
        let found = roots(args, location, place, output)
            .map_err(|problem| delta::not_whole(location, place).unwrap_or(problem));
        match found {
            Ok(KnownRoots { roots, unknown: unresolved }) => {
                taken.extend(roots.into_iter().map(|Root { descriptor, names }| NamedItem {
                    source,
                    request: RootRequest::Listed(descriptor),
                    names,
                }));
                // Asked for once more, each fails on its own, and not the others.
                taken.extend(unresolved.into_iter().map(|(name, _)| NamedItem {
                    source,
                    request: RootRequest::Selector(name.clone().into()),
                    names: vec![name],
                }));
            }
            // A name that is not there fails its root, not the others.
            Err(problem) if let Some(selector) = &location.selector => {
                taken.push(NamedItem {
                    source,
                    request: RootRequest::Selector(selector.clone()),
                    names: Vec::new(),
                });
                problems.push(problem);
            }
            Err(problem) => return Err(problem),
        }
    }
    // Nothing at all was found.
    if problems.len() == taken.len()
        && let Some(last) = problems.pop()
    {
        for problem in &problems {
            Output::problem(problem);
        }
        return Err(last);
    }
    rename(&mut taken, sources, target, output)?;
    Ok(taken)
}

/// Tells whether a place is a layout that lists nothing, so that --all would not help.
fn is_empty(place: &OpenPlace) -> bool {
    !matches!(place, OpenPlace::Registry(_))
        && place.whole().roots().is_ok_and(|roots| roots.is_empty())
}

/// Returns the roots of a source that are wanted.
fn roots(
    args: &Copy,
    location: &Location,
    place: &OpenPlace,
    output: &Output,
) -> Result<KnownRoots, Problem> {
    let only = |root| KnownRoots { roots: vec![root], unknown: Vec::new() };
    if location.selector.is_some() {
        return open::select(place, location).map(only);
    }
    if !args.all && !args.all_tags {
        // A signature may be all that is whole in a delta; nobody means that.
        if let Some(problem) = delta::not_whole(location, place) {
            return Err(problem);
        }
        let root = open::select(place, location).map_err(|problem| {
            if is_empty(place) {
                problem
            } else {
                problem.also("or take all with --all-tags or --all")
            }
        })?;
        return Ok(only(root));
    }
    delta::tell_partial(location, place, output)?;
    let KnownRoots { roots, unknown } = open::roots(place, location)?;
    let (taken, left): (Vec<_>, Vec<_>) =
        roots.into_iter().partition(|root| args.all || has_chosen_name(root));
    if !left.is_empty() {
        let count = human::entries(left.len());
        output.note(&format!("{location}: {count} without a tag not copied; --all copies them"));
    }
    Ok(KnownRoots { roots: taken, unknown })
}

/// Tells whether a root has a name other than a fallback tag, which nobody chose (row E-87).
fn has_chosen_name(root: &Root) -> bool {
    let is_fallback = |name: &Name| {
        Digest::is_referrers_tag(name.as_str().rsplit(':').next().unwrap_or_default())
    };
    root.names.iter().any(|name| !is_fallback(name))
}

/// Gives the one thing that is wanted the name that was typed at the target, and all of them names
/// that the target can have.
fn rename(
    taken: &mut [NamedItem],
    sources: &[Location],
    target: &Location,
    output: &Output,
) -> Result<(), Problem> {
    if let (Some(name), digest) = target.named() {
        return match taken {
            [] => Ok(()),
            [one] => {
                one.names = vec![name];
                refuse_other(one, digest.as_ref(), target)
            }
            several => {
                let text = format!("{} artifacts cannot all be called `{name}`", several.len());
                Err(Problem::new(Exit::Usage, text).hint(format!(
                    "write to `{}`: they keep their names",
                    shell::word(target.whole())
                )))
            }
        };
    }
    let mut dropped = Vec::new();
    for NamedItem { source, request, names } in &mut *taken {
        match (&sources[*source].place, &target.place) {
            (_, PlaceKind::Registry(_)) => {
                for name in keep_tags(names) {
                    dropped.push((name, requested_digest(request).cloned()));
                }
            }
            // Tags of several repositories may be alike, now or with the next copy; their references
            // are not.
            (PlaceKind::Registry(InRegistry { host, repository, .. }), _) => {
                for name in names {
                    *name = Name::new(format!("{host}/{repository}:{name}"));
                }
            }
            // From layout to layout, names stay.
            _ => {}
        }
    }
    warn_of_dropped(&dropped, taken, output);
    Ok(())
}

/// Makes tags of names, since a registry has no others. Returns the names that are not valid tags.
fn keep_tags(names: &mut Vec<Name>) -> Vec<Name> {
    let mut dropped = Vec::new();
    names.retain_mut(|name| {
        let text = name.as_str();
        // A digest behind the name says nothing that the content does not.
        let text = text.split_once('@').map_or(text, |(text, _)| text);
        let tag = text.rsplit_once(':').map_or(text, |(_, tag)| tag);
        let tag = Name::new(tag);
        if tag.tag().is_none() {
            dropped.push(name.clone());
            return false;
        }
        *name = tag;
        true
    });
    dropped
}

/// Warns of names that are dropped. A layout lists an artifact once for each of its names, so another
/// item may have a tag for it.
fn warn_of_dropped(dropped: &[(Name, Option<Digest>)], taken: &[NamedItem], output: &Output) {
    let tagged = taken.iter().filter(|item| !item.names.is_empty());
    let tagged: HashSet<&Digest> =
        tagged.filter_map(|item| requested_digest(&item.request)).collect();
    for (name, digest) in dropped {
        let is_tagged = digest.as_ref().is_some_and(|digest| tagged.contains(digest));
        let effect = if is_tagged { "" } else { ": its artifact is pushed by digest only" };
        output.warning(&format!("`{name}` is not a valid tag and is dropped{effect}"));
    }
}

/// Returns the digest that is asked for, if it is known yet.
fn requested_digest(request: &RootRequest) -> Option<&Digest> {
    match request {
        RootRequest::Listed(descriptor) => Some(&descriptor.digest),
        RootRequest::Selector(Selector::Digest(digest)) => Some(digest),
        RootRequest::Selector(Selector::Name(_)) => None,
    }
}

/// Refuses to give a name with a digest behind it to what has another.
fn refuse_other(
    one: &NamedItem,
    digest: Option<&Digest>,
    target: &Location,
) -> Result<(), Problem> {
    match (digest, requested_digest(&one.request)) {
        (Some(digest), Some(found)) if digest != found => {
            let text = format!("the digest in `{target}` is not that of the artifact, {found}");
            Err(Problem::new(Exit::Usage, text).hint("leave out the digest, or copy what has it"))
        }
        _ => Ok(()),
    }
}
