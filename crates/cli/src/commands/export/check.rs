//! `export --check`: the bundle that would be written, compared with the one that is there.

use std::path::Path;

use longshore::location::PlaceKind;
use longshore_bundle::{ArchiveComparison, Delta, ExportTarget, VerifyRequest, WriteError};
use longshore_store::KnownRoots;
use longshore_sync::{Report, Silent};

use super::report::BundleReport;
use super::{Exporting, export_problem};
use crate::open;
use crate::problem::{Exit, Problem};
use crate::progress::Progress;
use crate::registries::Registries;
use crate::report::tell_failures;

/// Compares the bundle that would be written with what is there.
pub(super) fn run(export: &Exporting<'_>, registries: &Registries<'_>) -> Result<Exit, Problem> {
    let place = &export.args.output;
    match &place.place {
        PlaceKind::Directory(_) => directory(export, registries),
        PlaceKind::Archive(_) if place.is_pipe() => {
            Err(Problem::new(Exit::Usage, "--check compares with a file, not with a pipe"))
        }
        PlaceKind::Archive(path) => archive(path, export),
        PlaceKind::Registry(_) => {
            Err(Problem::new(Exit::Usage, format!("{place} is not an archive")))
        }
    }
}

/// Makes the bundle once more and compares it with an archive.
fn archive(path: &Path, export: &Exporting<'_>) -> Result<Exit, Problem> {
    let comparison = ArchiveComparison::open(path).map_err(Problem::of)?;
    let stream = comparison.stream();
    let whole = stream.whole();
    let target = ExportTarget { place: &stream, whole: &whole };
    let mut bundle = export.prepare(Some(target))?;
    if !comparison.may_have(bundle.record()) {
        return BundleReport(&bundle).compared(Some(0), export.output);
    }
    BundleReport(&bundle).tell(export.output);
    let result = export.write_with_progress(&mut bundle);
    let complete = result.as_ref().is_ok_and(Report::is_complete);
    let differs_at =
        if complete { comparison.differs_at() } else { comparison.differs_so_far_at() };
    // What broke off before it came to a difference tells nothing of the rest.
    if differs_at.is_none() && !complete {
        let report = result.map_err(|error| match error {
            WriteError::Place(failure) => Problem::of(*failure.error),
            error @ WriteError::Incomplete(_) => Problem::new(Exit::Failed, error.to_string()),
            WriteError::Remade(error) => export_problem(error),
        })?;
        tell_failures(&[], &report);
        return Ok(Exit::Failed);
    }
    BundleReport(&bundle).compared(differs_at, export.output)
}

/// Compares what the bundle would be with a directory.
fn directory(export: &Exporting<'_>, registries: &Registries<'_>) -> Result<Exit, Problem> {
    let &Exporting { args, global, output, .. } = export;
    let opened = open::place(&args.output, &args.reading, registries)?;
    let bundle = export.prepare(None)?;
    let view = opened.whole();
    let layout = opened.layout();
    let mut found = match layout {
        Some(layout) => bundle.different_files(layout).map_err(Problem::of)?,
        None => Vec::new(),
    };
    let record = bundle.record();
    // What is not listed by `index.json` alone is found by the record that the bundle would have.
    let is_part = record.base.is_some() || record.repairs.is_some();
    let of_part = layout.filter(|_| is_part).map(|layout| Delta::whole(layout, record));
    let roots = match layout.filter(|_| is_part) {
        None => view.roots(),
        Some(layout) => record.repair_content().map_or_else(|| record.listed_in(layout), Ok),
    };
    let request = VerifyRequest {
        view: of_part.as_ref().map_or(&*view, |delta| delta),
        layout,
        record: Some(record).filter(|_| is_part),
        allow_unverified: args.allow_unverified,
        jobs: global.jobs(),
    };
    let known = KnownRoots { roots: roots.map_err(Problem::of)?, unknown: Vec::new() };
    let verification = request.prepare(known, &Silent);
    let plan = verification.plan();
    let progress = Progress::new(output, "comparing", plan.size().bytes).of_artifacts(plan);
    let verified = verification.run(global.cores(), &progress);
    progress.finish();
    found.extend(bundle.different_content(verified).map_err(Problem::of)?);
    let found = found.iter().map(ToString::to_string).collect();
    BundleReport(&bundle).compared_in_place(found, output)
}
