//! `export`: what is wanted, from many repositories, into one bundle.

mod check;
mod directory;
mod goal;
mod made;
mod told;

use std::sync::Arc;
use std::time::Instant;

use longshore_bundle::{
    DOCKER_MANIFEST, LackingPlatform, Lock, MAX_DOCKER_MANIFEST, SelectedPlaces, UndecidedIndex,
};
use longshore_spec::Reference;
use longshore_store::{Error, Outline, Repository as _, Selector};
use longshore_sync::{Filter, Plan, Report, Wanted, Wish};

use self::check::Comparison;
use self::goal::Goal;
use self::made::Bundle;
use self::told::Measured;
use super::destination::{self, Destination};
use super::wanted::{self, Layouts, Places};
use super::{lock, platforms};
use crate::args::{Export, Global};
use crate::interrupt;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::Registries;
use crate::report::{tell_called, tell_failures};

pub(crate) fn run(args: &Export, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let begun = Instant::now();
    let jobs = global.jobs();
    let selection = wanted::selection(&args.wanted, args.file.as_deref(), &args.taken, output)?;
    let locked = lock::of_export(args, &selection)?;
    let registries = Registries::reading(&args.reading);
    let layouts = Layouts::open(&selection, &args.reading, &registries)?;
    let opener = Places { layouts: &layouts, registries: &registries };
    let places = SelectedPlaces::open(&selection, &opener)?;
    let goal = Goal::open(args, &layouts, global, &registries)?;
    let whole = goal.destination().map(Destination::whole);

    let (picked, failures) = places.pick(locked.as_ref(), jobs);
    let wanted = picked.iter().map(|picked| Wanted {
        target: whole.as_deref(),
        filter: Some(Arc::new(picked.item.filter())),
        ..pinned(places.wanted(picked), &picked.reference, locked.as_ref())
    });
    let base = Filter { allow_unverified: args.allow_unverified, ..Filter::default() };
    let mut plan = Plan::discover(wanted.collect(), &base, jobs);
    if let Some(conflict) = plan.conflict() {
        return Err(Problem::of(conflict));
    }
    if let Some(locked) = &locked {
        let known = locked.referrers();
        plan.retain_referrers(|digest| known.contains(digest));
    }
    platforms::refuse_undecided(&UndecidedIndex::all(&picked, &plan))?;
    let bundle = Bundle::of(&mut plan, &selection, failures, args, jobs)?;
    platforms::warn(&LackingPlatform::all(&picked, &bundle.plan.roots()), output);
    bundle.refuse_without_all(args, locked.as_ref(), output)?;
    if let Some(locked) = &locked {
        lock::refuse_changes(locked, &Lock::of(bundle.plan, &selection), &bundle.dropped)?;
    }
    match &goal {
        Goal::WrittenIfNew(there, _) if there.has(&bundle.record) => {
            bundle.nothing_new(args, output)
        }
        Goal::WrittenIfNew(_, None) if !args.force => {
            Err(Problem::of(Error::Exists { what: shown(args) }))
        }
        Goal::Written(destination) | Goal::WrittenIfNew(_, destination) => {
            write(&bundle, destination.as_ref(), begun, args, global, output)
        }
        Goal::ComparedWithArchive(comparison, destination) => {
            compare(&bundle, comparison, destination, global, output)
        }
        Goal::ComparedWithDirectory(layout) => {
            let differences = directory::differences(layout, &bundle, args, global, output)?;
            bundle.compared_in_place(differences, output)
        }
    }
}

/// Writes a bundle, or says what would be written.
fn write(
    bundle: &Bundle<'_>,
    destination: Option<&Destination>,
    begun: Instant,
    args: &Export,
    global: &Global,
    output: &Output,
) -> Result<Exit, Problem> {
    let size = Measured::of(args, bundle, destination, global.jobs())?;
    bundle.tell(output);
    let Some(destination) = destination.filter(|_| !args.dry_run) else {
        bundle.dry_run(&size, output)?;
        return Ok(if bundle.is_whole() { Exit::Done } else { Exit::Failed });
    };
    if let Destination::Directory(directory) = destination {
        refuse_others(directory, &bundle.outline, args)?;
        warn_of_left(directory, bundle, args, output);
        destination::warn_if_crowded(directory, bundle.plan, output);
    }
    if !destination.is_stdout() {
        interrupt::promise_to_go_on(output);
    }
    output.note(&size.text(args));
    let report = bundle.execute(destination, global, output);
    let report = report.map_err(|failure| destination.problem(*failure.error))?;
    tell_called(&report, |_, root| root.names.first().map(ToString::to_string));
    let complete = report.is_complete();
    if let (Destination::Archive(archive), false) = (destination, complete) {
        let partial = archive.partial().display();
        output.note(&format!(
            "what has come is kept in {partial}; the same command goes on from there"
        ));
    }
    bundle.summary(&report, &size, destination, begun, output)?;
    Ok(if complete && bundle.is_whole() { Exit::Done } else { Exit::Failed })
}

/// Makes a bundle once more and compares it with the archive that is there.
fn compare(
    bundle: &Bundle<'_>,
    comparison: &Comparison,
    destination: &Destination,
    global: &Global,
    output: &Output,
) -> Result<Exit, Problem> {
    if !comparison.may_have(&bundle.record) {
        return bundle.compared(Some(0), output);
    }
    bundle.tell(output);
    let result = bundle.execute(destination, global, output);
    let complete = result.as_ref().is_ok_and(Report::is_complete);
    let differs_at = comparison.differs_at(complete);
    // What broke off before it came to a difference tells nothing of the rest.
    if differs_at.is_none() && !complete {
        let report = result.map_err(|failure| Problem::of(*failure.error))?;
        tell_failures(&[], &report);
        return Ok(Exit::Failed);
    }
    bundle.compared(differs_at, output)
}

/// Returns how one artifact is asked for: by the digest that it is locked to.
fn pinned<'s>(wanted: Wanted<'s>, reference: &Reference, locked: Option<&Lock>) -> Wanted<'s> {
    match locked.and_then(|locked| locked.get(reference)) {
        Some(locked) => {
            Wanted { wish: Wish::Selector(Selector::Digest(locked.digest.clone())), ..wanted }
        }
        None => wanted,
    }
}

/// A bundle is what one export wrote: a directory that lists something else is no place for it.
fn refuse_others(
    directory: &longshore_layout::Directory,
    outline: &Outline,
    args: &Export,
) -> Result<(), Problem> {
    let listed = directory.whole().roots().map_err(Problem::of)?;
    let other = listed.iter().find(|listed| {
        !outline.roots().iter().any(|root| {
            root.descriptor.digest == listed.descriptor.digest
                && listed.names.iter().all(|name| root.names.contains(name))
        })
    });
    let Some(other) = other else { return Ok(()) };
    let name = other
        .names
        .first()
        .map_or_else(|| other.descriptor.digest.to_string(), ToString::to_string);
    let what = format!("{} with something that is not wanted, `{name}`,", shown(args));
    Err(Problem::of(Error::Exists { what })
        .hint("choose a new directory; `longshore copy` adds to one that is there"))
}

/// Warns of a `manifest.json` that an earlier export left: nothing writes it anew, and Docker would read it.
fn warn_of_left(
    directory: &longshore_layout::Directory,
    bundle: &Bundle<'_>,
    args: &Export,
    output: &Output,
) {
    let is_there = || directory.extra_file(DOCKER_MANIFEST, MAX_DOCKER_MANIFEST);
    let is_left = || matches!(is_there(), Ok(Some(_)) | Err(Error::Limit { .. }));
    if bundle.record.docker_manifest.is_none() && is_left() {
        output.warning(&format!(
            "`{DOCKER_MANIFEST}` in {} is not of this bundle; remove it, or write it anew with \
             --docker-manifest",
            shown(args)
        ));
    }
}

fn shown(args: &Export) -> String {
    match args.output.path() {
        Some(_) if args.output.is_pipe() => "stdout".to_owned(),
        Some(path) => path.display().to_string(),
        None => args.output.to_string(),
    }
}
