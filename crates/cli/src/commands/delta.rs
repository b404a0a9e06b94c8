//! Deltas, as commands show them that look at any place.

use std::collections::{BTreeSet, HashMap};

use longshore::OpenPlace;
use longshore::location::Location;
use longshore_bundle::{Delta, Record};
use longshore_spec::{Digest, Size};
use longshore_store::{Selector, Source};

use super::bundle;
use crate::human;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::shell;

/// Returns the record of a delta; `None` for everything else. A record that cannot be believed is no reason not to
/// look at a place.
pub(crate) fn record(opened: &OpenPlace) -> Option<Record> {
    let record = bundle::record(opened).ok().flatten();
    // Volumes list what is whole in them.
    record.filter(|record| !record.assumed().is_empty() && record.volumes.is_none())
}

/// Returns all of a place; of a delta all that its record names, whole or not.
pub(crate) fn view<'p>(opened: &'p OpenPlace, delta: Option<&'p Record>) -> Box<dyn Source + 'p> {
    match (opened.layout(), delta) {
        (Some(layout), Some(record)) => Box::new(Delta::whole(layout, record)),
        _ => opened.whole(),
    }
}

/// Returns what a delta takes for granted, with its size in bytes; nothing for everything else.
pub(crate) fn assumed(delta: Option<&Record>) -> HashMap<&Digest, u64> {
    let assumed = delta.map(Record::assumed).unwrap_or_default();
    assumed.iter().map(|blob| (&blob.digest, blob.size)).collect()
}

/// Returns the platforms of what a delta names, by its record: the configs that say so may be taken for granted.
pub(crate) fn platforms(delta: Option<&Record>) -> HashMap<&Digest, &[String]> {
    let roots = delta.map(|delta| &delta.roots[..]).unwrap_or_default();
    roots.iter().map(|root| (&root.digest, &root.platforms[..])).collect()
}

/// Tells that a place is a delta.
pub(crate) fn tell(place: &Location, delta: Option<&Record>, output: &Output) {
    let Some(delta) = delta else { return };
    output.note(&format!(
        "{} is {}; `longshore import` brings it there",
        place.whole(),
        description(delta)
    ));
}

/// Returns why something is not copied out of a delta: it is not whole there. `None` if that is not the reason.
pub(crate) fn not_whole(place: &Location, opened: &OpenPlace) -> Option<Problem> {
    let delta = record(opened)?;
    let text = match &place.selector {
        Some(Selector::Name(name)) if names(&delta).contains(name.as_str()) => {
            format!("`{name}` is not whole in {}", place.whole())
        }
        None if has_nothing(&whole_names(opened), &delta) => nothing_is_whole(place),
        _ => return None,
    };
    Some(problem(&text, place, &delta))
}

/// Tells how many artifacts of a delta are not copied, since they are not whole in it. If none is whole, that is an
/// error.
pub(crate) fn tell_partial(
    place: &Location,
    opened: &OpenPlace,
    output: &Output,
) -> Result<(), Problem> {
    let Some(delta) = record(opened) else { return Ok(()) };
    let whole = whole_names(opened);
    if has_nothing(&whole, &delta) {
        return Err(problem(&nothing_is_whole(place), place, &delta));
    }
    let partial = names(&delta).into_iter().filter(|name| !whole.contains(*name)).count();
    if partial > 0 {
        output.warning(&format!(
            "{} not copied, not being whole: {} is {}; `longshore import` brings them there",
            human::count(partial as u64, "name"),
            place.whole(),
            description(&delta)
        ));
    }
    Ok(())
}

/// Returns the names of all that is whole.
fn whole_names(opened: &OpenPlace) -> BTreeSet<String> {
    let names = opened.whole().names().unwrap_or_default();
    names.iter().map(ToString::to_string).collect()
}

/// Tells whether none of the artifacts that were wanted is whole; their signatures always are.
fn has_nothing(whole: &BTreeSet<String>, delta: &Record) -> bool {
    delta.roots.iter().all(|root| !whole.contains(&root.reference))
}

fn nothing_is_whole(place: &Location) -> String {
    format!("nothing is whole in {place}")
}

fn problem(text: &str, place: &Location, delta: &Record) -> Problem {
    let text = format!("{text}: it is {}", description(delta));
    let place = shell::word(place.whole());
    Problem::new(Exit::Failed, text)
        .hint(format!("`longshore import {place} DST` brings it to where the rest is"))
}

fn description(delta: &Record) -> String {
    let assumed = delta.assumed();
    let bytes = assumed.iter().fold(0, |sum: u64, blob| sum.saturating_add(blob.size));
    let count = human::count(assumed.len() as u64, "blob");
    format!("a delta that takes {count} ({}) for granted at its site", Size(bytes))
}

/// Returns all that the record names.
fn names(delta: &Record) -> BTreeSet<&str> {
    let attached = delta.referrers.iter().filter_map(|referrer| referrer.reference.as_deref());
    delta.roots.iter().map(|root| root.reference.as_str()).chain(attached).collect()
}
