//! `export --volume-size`: a bundle in several archives.

use std::path::Path;
use std::time::Instant;

use longshore::location::PlaceKind;
use longshore_bundle::{
    ExportTarget, VolumeBundle, VolumeRefusal, VolumeSizes, VolumeTarget, WriteError, volume_path,
};
use longshore_layout::ArchiveSeries;
use longshore_spec::Size;
use longshore_store::Error;
use longshore_sync::Report;

use super::report::BundleReport;
use super::{Exporting, export_problem};
use crate::documents::{ExportDocument as Document, ExportedVolume};
use crate::human;
use crate::interrupt;
use crate::output::{Output, table};
use crate::problem::{Exit, Problem};
use crate::progress::Progress;
use crate::report::{tell_called, tell_left_out};
use crate::shell;

/// Writes a bundle as volumes, or says what would be written.
pub(super) fn run(
    export: &Exporting<'_>,
    sizes: VolumeSizes,
    begun: Instant,
) -> Result<Exit, Problem> {
    let Exporting { args, output, .. } = *export;
    let path = match &args.output.place {
        PlaceKind::Archive(path) if !args.output.is_pipe() => path,
        PlaceKind::Archive(_) | PlaceKind::Directory(_) | PlaceKind::Registry(_) => {
            let text = "volumes are archive files, named after OUT";
            return Err(Problem::new(Exit::Usage, text).hint("write `-o NAME.tar`"));
        }
    };
    let series = ArchiveSeries::default();
    let whole = series.whole();
    let bundle = export.prepare(Some(ExportTarget { place: &series, whole: &whole }))?;
    BundleReport(&bundle).tell(output);
    let mut bundle = bundle.into_volumes(sizes).map_err(export_problem)?;
    let only = args.only_volume.map(std::num::NonZeroU32::get);
    let target = VolumeTarget { series: &series, path, only, replace: args.force };
    let missing = match bundle.missing(&target) {
        Err(VolumeRefusal::Store(Error::NoSpace { .. })) if args.dry_run => None,
        missing => Some(missing.map_err(|refusal| refused(refusal, path))?),
    };
    let is_missing = |number| missing.as_ref().is_none_or(|missing| missing.contains(&number));
    let volumes = bundle.volumes().iter().filter(|volume| is_missing(volume.number));
    let (content, length) = volumes.fold((0_u64, 0_u64), |(content, length), volume| {
        (content.saturating_add(volume.content), length.saturating_add(volume.length))
    });
    let told = Volumes { bundle: &bundle, path, only };
    if args.dry_run {
        told.dry_run(content, output)?;
        return Ok(if bundle.bundle().is_whole() { Exit::Done } else { Exit::Failed });
    }
    let Some(missing) = missing.filter(|missing| !missing.is_empty()) else {
        return told.nothing_new(output);
    };
    interrupt::promise_to_go_on(output);
    output.note(&format!(
        "{} of {} take {}",
        human::count(missing.len() as u64, "volume"),
        path.display(),
        Size(length)
    ));
    let before = (bundle.bundle().failures.len(), bundle.bundle().failed.len());
    let progress = Progress::new(output, "exporting", content);
    let written = bundle.write(&target, &progress);
    progress.finish();
    let report = written.map_err(|refusal| refused(refusal, path))?;
    let whole = bundle.bundle();
    // Content that failed while being written is left out.
    tell_left_out(&whole.failures[before.0..], &whole.failed[before.1..], |_| None);
    tell_called(&report, |_, root| root.names.first().map(ToString::to_string));
    let complete = report.is_complete();
    if !complete {
        output.note(
            "what has arrived is kept in `.partial` files; the same command continues from there",
        );
    }
    Volumes { bundle: &bundle, path, only }.summary(&report, begun, output)?;
    Ok(if complete && bundle.bundle().is_whole() { Exit::Done } else { Exit::Failed })
}

/// Says why volumes are not written.
fn refused(refusal: VolumeRefusal, path: &Path) -> Problem {
    let text = refusal.to_string();
    match refusal {
        VolumeRefusal::NoSuchVolume { .. } => {
            Problem::new(Exit::Usage, text).hint("--dry-run shows the volumes")
        }
        VolumeRefusal::Surplus(surplus) => Problem::new(Exit::Usage, text).hint(format!(
            "it is of another bundle: remove {} and what belongs to it, or choose another name than {}",
            shell::word(surplus.display()),
            path.display()
        )),
        VolumeRefusal::Store(error) => Problem::of(error),
        VolumeRefusal::Write(WriteError::Place(failure)) => Problem::of(*failure.error),
        VolumeRefusal::Write(WriteError::Remade(error)) => export_problem(error),
        VolumeRefusal::Write(WriteError::Incomplete(_)) => Problem::new(Exit::Failed, text),
    }
}

/// What is said of volumes.
struct Volumes<'b, 'a> {
    bundle: &'b VolumeBundle<'a>,
    path: &'b Path,
    only: Option<u32>,
}

impl Volumes<'_, '_> {
    fn nothing_new(&self, output: &Output) -> Result<Exit, Problem> {
        let document = Document { same: Some(true), ..self.document(&Report::default()) };
        let count = human::count(self.shown().count() as u64, "volume");
        output.summary(&document, || {
            format!(
                "nothing new: {count} of {} there already\n\
                 the content was not read again; `longshore verify` does that\n",
                self.path.display()
            )
        })?;
        Ok(if self.bundle.bundle().is_whole() { Exit::Done } else { Exit::Failed })
    }

    fn dry_run(&self, missing: u64, output: &Output) -> Result<(), Problem> {
        let document = Document {
            dry_run: true,
            missing_bytes: Some(missing),
            ..self.document(&Report::default())
        };
        let report = BundleReport(self.bundle.bundle());
        output.result(&document, || {
            format!(
                "{}{}would export {} in {}, {} of it not there yet\n",
                report.table(),
                self.table(),
                report.count(),
                self.count(),
                Size(missing),
            )
        })
    }

    fn summary(&self, report: &Report, begun: Instant, output: &Output) -> Result<(), Problem> {
        let of_bundle = BundleReport(self.bundle.bundle());
        let text = || {
            let (read, seconds) = (Size(report.bytes), begun.elapsed().as_secs_f64());
            if !report.is_complete() {
                return format!("no volumes: not all is there; {read} read in {seconds:.1} s\n");
            }
            format!(
                "{}{}exported {} in {}, {read} read in {seconds:.1} s\n{}\n",
                of_bundle.table(),
                self.table(),
                of_bundle.count(),
                self.count(),
                self.bundle.record().id(),
            )
        };
        let mut document = self.document(report);
        if report.is_complete() {
            document.id = Some(self.bundle.record().id().to_string());
        }
        output.summary(&document, text)
    }

    fn shown(&self) -> impl Iterator<Item = ExportedVolume> {
        let shown = self.bundle.volumes().iter();
        let shown = shown.filter(|volume| self.only.is_none_or(|only| only == volume.number));
        shown.map(|volume| ExportedVolume {
            file: volume_path(self.path, volume.number).display().to_string(),
            number: volume.number,
            bytes: volume.length,
            roots: volume.roots,
        })
    }

    /// Returns a line for each volume.
    fn table(&self) -> String {
        let row = |volume: ExportedVolume| {
            let whole = human::count(volume.roots, "name");
            vec![volume.file, Size(volume.bytes).to_string(), format!("{whole} complete in it")]
        };
        table(&self.shown().map(row).collect::<Vec<_>>())
    }

    fn count(&self) -> String {
        let count = human::count(self.bundle.volumes().len() as u64, "volume");
        match self.only {
            None => count,
            Some(only) => format!("{count}, of which number {only} is written"),
        }
    }

    /// Returns the document; the id is not known while the digests of parts are not.
    fn document(&self, report: &Report) -> Document {
        let id = self.bundle.record().id().to_string();
        Document {
            id: (!self.bundle.has_parts()).then_some(id),
            volumes: Some(self.shown().collect()),
            ..BundleReport(self.bundle.bundle()).document(report, None)
        }
    }
}
