//! `export`: what is wanted, from many repositories, into one bundle.

mod check;
mod report;

use std::path::Path;
use std::time::Instant;

use longshore::Destination;
use longshore::location::PlaceKind;
use longshore_bundle::{
    ArchiveComparison, Base, Bundle, DOCKER_MANIFEST, DockerList, DockerManifestError, ExportError,
    ExportRequest, ExportTarget, Incomplete, Lock, MAX_DOCKER_MANIFEST, MissingContent,
    SelectedPlaces, WriteError,
};
use longshore_layout::Layout as _;
use longshore_spec::{Digest, Size};
use longshore_store::{Error, Outline, Source as _};
use longshore_sync::{Failure, Report, Silent};

use self::report::{BundleReport, Measured, total};
use super::destination::{self, Opening};
use super::selection::{self, Layouts, Places};
use super::{base, lock, missing, platforms};
use crate::args::{Export, Global};
use crate::human;
use crate::interrupt;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::progress::Progress;
use crate::registries::Registries;
use crate::report::{tell_called, tell_left_out};

pub(crate) fn run(args: &Export, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let begun = Instant::now();
    let selection =
        selection::selection(&args.wanted, args.file.as_deref(), &args.defaults, output)?;
    let locked = lock::of_export(args, &selection)?;
    let registries = Registries::reading(&args.reading);
    let layouts = Layouts::open(&selection, &args.reading, &registries)?;
    let opener = Places { layouts: &layouts, registries: &registries };
    let base = base::common(&args.base, &args.reading, output)?;
    let only = args.only.as_deref().map(missing::read).transpose()?;
    let export = Exporting {
        base: base.as_ref(),
        only: only.as_ref(),
        places: &SelectedPlaces::open(&selection, &opener)?,
        locked: locked.as_ref(),
        args,
        global,
        output,
    };
    if let PlaceKind::Archive(path) = &args.output.place {
        destination::refuse_compressed(path)?;
    }
    if args.check {
        return check::run(&export, &registries);
    }
    layouts.refuse_as_target(&args.output)?;
    let existing = match &args.output.place {
        PlaceKind::Archive(path) => ArchiveComparison::with_bundle(path),
        PlaceKind::Directory(_) | PlaceKind::Registry(_) => None,
    };
    let opening = Opening { dry_run: args.dry_run, force: args.force };
    // Without --force an existing archive is kept, so nothing is opened for writing.
    let destination = match &existing {
        Some(_) if !args.force => None,
        _ => destination::open(&args.output, opening, global, &registries)?,
    };
    let whole = destination.as_ref().map(Destination::whole);
    let target = destination.as_ref().zip(whole.as_deref());
    let target =
        target.map(|(destination, whole)| ExportTarget { place: destination.place(), whole });
    let bundle = export.prepare(target)?;
    match existing {
        Some(existing) if existing.has(bundle.record()) && existing.is_as_recorded() => {
            BundleReport(&bundle).nothing_new(args, output)
        }
        Some(existing) if !args.force => Err(in_the_way(&existing, &bundle, args)),
        _ => write_or_dry_run(bundle, destination.as_ref(), begun, &export),
    }
}

/// Says why nothing can be written where an archive is.
fn in_the_way(existing: &ArchiveComparison, bundle: &Bundle<'_>, args: &Export) -> Problem {
    let what = shown(args);
    if !existing.has(bundle.record()) {
        return Problem::of(Error::Exists { what });
    }
    let text = format!(
        "{what} is damaged: its record is that of this bundle, but its content does not match"
    );
    Problem::new(Exit::Failed, text).hint("--force writes it anew")
}

/// An export with all that was typed for it.
struct Exporting<'a> {
    base: Option<&'a Base>,
    only: Option<&'a MissingContent>,
    places: &'a SelectedPlaces<'a>,
    locked: Option<&'a Lock>,
    args: &'a Export,
    global: &'a Global,
    output: &'a Output,
}

impl<'a> Exporting<'a> {
    /// Finds out what the bundle would be, and says what could not be had for it. Without --keep-going
    /// that is the end, unless nothing is written anyway.
    fn prepare(&self, target: Option<ExportTarget<'a>>) -> Result<Bundle<'a>, Problem> {
        let Self { args, output, .. } = *self;
        let takes_what_it_can = args.keep_going || args.dry_run;
        let request = ExportRequest {
            places: self.places,
            locked: self.locked,
            target,
            base: self.base,
            only: self.only,
            docker: match &args.docker_manifest {
                None => DockerList::None,
                Some(platform) => DockerList::Images(platform.as_ref()),
            },
            incomplete: if takes_what_it_can { Incomplete::Made } else { Incomplete::Refused },
            allow_unverified: args.allow_unverified,
            jobs: self.global.jobs(),
        };
        let bundle = request.prepare(&Silent).map_err(export_problem)?;
        platforms::warn(&bundle.lacking, output);
        if !bundle.is_whole() {
            let lock_hint =
                |failure: &Failure| lock::gone(args.file.as_deref()?, self.locked?, failure);
            tell_left_out(&bundle.failures, &bundle.failed, lock_hint);
        }
        let report = BundleReport(&bundle);
        if !bundle.is_whole() && !takes_what_it_can {
            report.refused(args, output)?;
            let text = format!("nothing was written to {}", shown(args));
            let hint = "--keep-going writes what is available";
            return Err(Problem::new(Exit::Failed, text).hint(hint));
        }
        if bundle.record().roots.is_empty() && self.only.is_none() {
            report.refused(args, output)?;
            let text = "nothing is left to export";
            return Err(Problem::new(Exit::Failed, text).hint("check names, tags and types"));
        }
        let file = args.file.as_deref().unwrap_or(Path::new("-"));
        lock::refuse_changes(file, &bundle.changes())?;
        Ok(bundle)
    }

    /// Brings all of a bundle to where it goes, and shows how far it is.
    fn write_with_progress(&self, bundle: &mut Bundle<'_>) -> Result<Report, WriteError> {
        let bytes = total(bundle.outline().nodes().iter().map(|node| node.size));
        let progress = Progress::new(self.output, "exporting", bytes).of_artifacts(bundle.plan());
        let result = bundle.write(&progress);
        progress.finish();
        result
    }
}

/// Says why no bundle can be made.
fn export_problem(error: ExportError) -> Problem {
    match error {
        ExportError::Conflict(error) => Problem::of(error),
        ExportError::Undecided(undecided) => platforms::undecided(&undecided),
        ExportError::NotNeeded(digests) => not_needed(&digests),
        ExportError::TooLong { name, length, limit } => {
            let text = format!(
                "this is too much for one bundle: `{name}` would have {}, and readers take {}",
                Size(length),
                Size(limit)
            );
            Problem::new(Exit::Usage, text).hint("make several bundles of it")
        }
        ExportError::Docker(error) => {
            let problem = Problem::new(Exit::Usage, error.to_string());
            match error {
                DockerManifestError::SeveralPlatforms(platforms) => {
                    problem.hint(format!("write which, such as --docker-manifest={}", platforms[0]))
                }
                DockerManifestError::Empty(_) => {
                    problem.hint("leave out --docker-manifest, or give another platform")
                }
                DockerManifestError::Unreadable(error) => Problem::of(error).because(Exit::Failed),
            }
        }
    }
}

/// Names what a site asked for and the wanted artifacts do not have.
fn not_needed(digests: &[Digest]) -> Problem {
    for digest in digests {
        let text = format!("{digest} is not needed by what is wanted, or has another size there");
        Output::problem(&Problem::new(Exit::Failed, text));
    }
    let count = human::count(digests.len() as u64, "blob");
    let text = format!("{count} of what is missing at the site cannot be had; nothing was written");
    Problem::new(Exit::Failed, text)
        .hint("export what the bundle was made of: the same file, with --locked if it was locked")
}

/// Writes a bundle, or says what would be written.
fn write_or_dry_run(
    mut bundle: Bundle<'_>,
    destination: Option<&Destination>,
    begun: Instant,
    export: &Exporting<'_>,
) -> Result<Exit, Problem> {
    let Exporting { args, global, output, .. } = *export;
    let told = BundleReport(&bundle);
    let mut size = Measured::of(args, &bundle, destination, global.jobs())?;
    told.tell(output);
    let Some(destination) = destination.filter(|_| !args.dry_run) else {
        told.dry_run(&size, output)?;
        return Ok(if bundle.is_whole() { Exit::Done } else { Exit::Failed });
    };
    if let Destination::Directory(directory) = destination {
        refuse_others(directory, &bundle.outline(), args)?;
        warn_of_stale_docker_manifest(directory, &bundle, args, output);
        destination::warn_if_crowded(directory, bundle.plan(), output);
    }
    if !destination::is_stdout(destination) {
        interrupt::promise_to_go_on(output);
    }
    output.note(&size.text(args));
    let (failures, failed) = (bundle.failures.len(), bundle.failed.len());
    let report = export.write_with_progress(&mut bundle).map_err(|error| match error {
        WriteError::Place(failure) => destination::problem(destination, *failure.error),
        error @ WriteError::Incomplete(_) => Problem::new(Exit::Failed, error.to_string()),
        WriteError::Remade(error) => export_problem(error),
    })?;
    // Content that failed while being written is left out.
    tell_left_out(&bundle.failures[failures..], &bundle.failed[failed..], |_| None);
    if bundle.failed.len() > failed {
        size.measure_again(&bundle)?;
    }
    tell_called(&report, |_, root| root.names.first().map(ToString::to_string));
    let complete = report.is_complete();
    if let (Destination::Archive(archive), false) = (destination, complete) {
        let partial = archive.partial().display();
        output.note(&format!(
            "what has arrived is kept in {partial}; the same command continues from there"
        ));
    }
    BundleReport(&bundle).summary(&report, &size, destination, begun, output)?;
    Ok(if complete && bundle.is_whole() { Exit::Done } else { Exit::Failed })
}

/// Refuses a directory that lists anything not in this export: a bundle is what one export wrote.
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
fn warn_of_stale_docker_manifest(
    directory: &longshore_layout::Directory,
    bundle: &Bundle<'_>,
    args: &Export,
    output: &Output,
) {
    let is_there = || directory.extra_file(DOCKER_MANIFEST, MAX_DOCKER_MANIFEST);
    let is_left = || matches!(is_there(), Ok(Some(_)) | Err(Error::Limit { .. }));
    if bundle.record().docker_manifest.is_none() && is_left() {
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
