//! `export`: what is wanted, from many repositories, into one bundle.

mod check;
mod directory;
mod told;

use std::time::Instant;

use longshore_bundle::{DockerManifest, DockerManifestError, LeftBehind, Lock, Record};
use longshore_spec::{Platform, Reference};
use longshore_store::{Error, Outline, Repository as _, Selector};
use longshore_sync::{Filter, Plan, Report, Wanted, Wish};

use self::check::Comparison;
use self::told::{Bundle, Measured};
use super::destination::{Destination, Opening};
use super::wanted::{self, Layouts, Sources};
use super::{lock, platforms};
use crate::args::{Export, Global};
use crate::location::Where;
use crate::opened::Opened;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::progress::Progress;
use crate::registries::Registries;
use crate::report::tell_failures;

pub(crate) fn run(args: &Export, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let begun = Instant::now();
    let jobs = global.jobs();
    let selection = wanted::selection(&args.wanted, args.file.as_deref(), &args.taken, output)?;
    let locked = lock::of_export(args, &selection)?;
    let registries = Registries::new(&args.reading.reach);
    let layouts = Layouts::open(&selection, &args.reading, &registries)?;
    let sources = Sources::open(&selection, &registries, &layouts)?;
    if !args.check {
        sources.refuse_as_target(&args.output)?;
    }
    let opening = Opening { dry_run: args.dry_run, force: args.force };
    let is_directory = matches!(args.output.place, Where::Directory(_));
    let compared = if args.check && is_directory {
        Some(Opened::open(&args.output, &args.reading, &registries)?)
    } else {
        None
    };
    let comparison = match compared {
        None if args.check => Some(Comparison::open(&args.output)?),
        _ => None,
    };
    let destination = match &comparison {
        Some(comparison) => Some(Destination::Pipe(comparison.stream())),
        None if compared.is_some() => None,
        None => Destination::open(&args.output, opening, global, &registries)?,
    };
    let whole = destination.as_ref().map(Destination::whole);

    let (picked, mut failures) = selection.pick(jobs, &sources.offered(locked.as_ref()));
    let filters: Vec<Filter> = picked.iter().map(|picked| picked.item.filter()).collect();
    let wanted = picked.iter().zip(&filters).map(|(picked, filter)| Wanted {
        target: whole.as_deref(),
        filter: Some(filter),
        ..pinned(sources.wanted(picked), &picked.reference, locked.as_ref())
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

    // What cannot be had is dropped; without --keep-going that is the end, unless nothing is written
    // anyway.
    let unpicked = failures.iter().map(|failure| failure.subject.clone());
    let mut dropped: Vec<_> =
        unpicked.map(|subject| LeftBehind::failed(Some(subject), None)).collect();
    let (failures_of_plan, failed) = plan.drop_failed();
    failures.extend(failures_of_plan);
    dropped.extend(
        failed.iter().map(|root| {
            LeftBehind::failed(root.names.first().map(ToString::to_string), Some(root))
        }),
    );
    let mut record = Record::of(&plan, &selection, &dropped);
    let has_failed = !failures.is_empty();
    let is_written = !plan.roots().is_empty() && (!has_failed || args.keep_going || args.dry_run);
    let docker = args.docker_manifest.as_ref().filter(|_| is_written);
    let docker = docker.map(|platform| for_docker(&plan, platform.as_ref())).transpose()?;
    record.docker_manifest = docker.as_ref().map(DockerManifest::recorded);
    let files: Vec<_> =
        std::iter::once(record.file()).chain(docker.as_ref().map(DockerManifest::file)).collect();
    let outline = plan.outline(files.clone());
    let has_zstd = docker.as_ref().is_some_and(DockerManifest::has_zstd);
    let bundle = Bundle { plan: &plan, record: &record, failures: &failures, failed, has_zstd };
    if has_failed {
        tell_failures(&failures, &Report { roots: bundle.failed.clone(), ..Report::default() });
    }
    if has_failed && !args.keep_going && !args.dry_run {
        bundle.refused(args, output)?;
        let text = format!("nothing was written to {}", shown(args));
        let hint = "--keep-going writes what can be had";
        return Err(Problem::new(Exit::Failed, text).hint(hint));
    }
    if let Some(locked) = &locked {
        lock::refuse_changes(locked, &Lock::of(&plan, &selection), &dropped)?;
    }
    if outline.roots().is_empty() {
        bundle.refused(args, output)?;
        let text = "nothing that is wanted is left";
        return Err(Problem::new(Exit::Failed, text).hint("check names, tags and types"));
    }

    if let Some(layout) = &compared {
        let differences = directory::differences(layout, &record, &files, args, global, output)?;
        return bundle.compared_in_place(differences, output);
    }
    if let Some(comparison) = &comparison
        && !comparison.may_have(&record)
    {
        return bundle.compared(Some(0), output);
    }
    let size = Measured::of(args, &plan, &outline, destination.as_ref(), jobs)?;
    bundle.tell(output);
    platforms::warn(&picked, &plan.roots(), output);
    let Some(destination) = destination.as_ref().filter(|_| !args.dry_run) else {
        bundle.dry_run(&size, output)?;
        return Ok(if has_failed { Exit::Failed } else { Exit::Done });
    };
    if let Destination::Directory(directory) = destination {
        refuse_others(directory, &outline, args)?;
    }
    // There is another while it is carried out.
    drop(outline);
    if comparison.is_none() {
        output.note(&size.text(args));
    }
    let progress = Progress::new(output, "exporting", size.bytes);
    let result = plan.execute(destination.place(), files, jobs, &progress);
    progress.finish();
    if let Some(comparison) = comparison {
        let complete = result.as_ref().is_ok_and(Report::is_complete);
        if let (true, Ok(report)) =
            (comparison.differs_at(complete).is_none() && !complete, &result)
        {
            tell_failures(&[], report);
            return Ok(Exit::Failed);
        }
        return bundle.compared(comparison.differs_at(complete), output);
    }
    let report = result.map_err(|failure| Problem::of(*failure.error))?;
    tell_failures(&[], &report);
    let complete = report.is_complete();
    if let (Destination::Archive(archive), false) = (destination, complete) {
        let partial = archive.partial().display();
        output.note(&format!(
            "what has come is kept in {partial}; the same command goes on from there"
        ));
    }
    bundle.summary(&report, &size, destination, begun, output)?;
    Ok(if complete && !has_failed { Exit::Done } else { Exit::Failed })
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

/// Returns what Docker is told of the bundle.
fn for_docker(plan: &Plan<'_>, platform: Option<&Platform>) -> Result<DockerManifest, Problem> {
    DockerManifest::of(plan, platform).map_err(|error| {
        let hint = match &error {
            DockerManifestError::SeveralPlatforms(platforms) => {
                format!("write which, such as --docker-manifest={}", platforms[0])
            }
            DockerManifestError::Empty(_) => {
                "leave --docker-manifest away, or give another platform".to_owned()
            }
        };
        Problem::new(Exit::Usage, error.to_string()).hint(hint)
    })
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

fn shown(args: &Export) -> String {
    match args.output.path() {
        Some(_) if args.output.is_pipe() => "stdout".to_owned(),
        Some(path) => path.display().to_string(),
        None => args.output.to_string(),
    }
}
