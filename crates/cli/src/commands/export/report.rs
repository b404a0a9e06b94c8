//! What `export` says: how much comes, what is in the bundle, and what is not.

use std::time::Instant;

use longshore::Destination;
use longshore::location::PlaceKind;
use longshore_bundle::{Bundle, DockerManifest, Why};
use longshore_layout::ArchiveWriter;
use longshore_spec::Size;
use longshore_sync::{Outcome, Report};

use super::shown;
use crate::args::Export;
use crate::commands::destination;
use crate::documents::{ContentAmount, ExportDocument as Document, ForDocker};
use crate::human;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::report::tell_unfit;
use crate::shell;

/// How much is written.
pub(super) struct Measured {
    /// Bytes of content.
    pub(super) bytes: u64,
    /// Bytes of the archive, if it is one.
    archive: Option<u64>,
    /// Bytes that there is room for, if that is known.
    free: Option<u64>,
    /// Bytes of content that are not there yet.
    missing: u64,
}

impl Measured {
    pub(super) fn of(
        args: &Export,
        bundle: &Bundle<'_>,
        destination: Option<&Destination>,
        jobs: usize,
    ) -> Result<Self, Problem> {
        let (plan, outline) = (bundle.plan(), bundle.outline());
        let bytes = total(outline.nodes().iter().map(|node| node.size));
        // In a dry run there is no destination of what is not there yet.
        let archive = match &args.output.place {
            PlaceKind::Directory(_) => None,
            _ => Some(ArchiveWriter::length(&outline).map_err(Problem::of)?),
        };
        let (free, missing) = match destination {
            Some(Destination::Archive(writer)) => {
                let left = writer.left_of(&outline).map_err(Problem::of)?;
                (Some(writer.room().map_err(Problem::of)?), bytes.saturating_sub(left))
            }
            Some(Destination::Directory(_)) => {
                (None, plan.totals(jobs).map_err(Problem::of)?.missing)
            }
            _ => (None, bytes),
        };
        Ok(Self { bytes, archive, free, missing })
    }

    /// Takes note of what was left out since.
    pub(super) fn measure_again(&mut self, bundle: &Bundle<'_>) -> Result<(), Problem> {
        let outline = bundle.outline();
        self.bytes = total(outline.nodes().iter().map(|node| node.size));
        if let Some(archive) = &mut self.archive {
            *archive = ArchiveWriter::length(&outline).map_err(Problem::of)?;
        }
        Ok(())
    }

    /// Says how much comes, before the first byte does.
    pub(super) fn text(&self, args: &Export) -> String {
        let to = shown(args);
        match (self.archive, self.free) {
            (Some(archive), Some(free)) => {
                format!("{to} takes {}; {} are free", Size(archive), Size(free))
            }
            (Some(archive), None) => format!("{to} takes {}", Size(archive)),
            (None, _) => format!("{to} takes {} more", Size(self.missing)),
        }
    }
}

/// What is said of a bundle.
pub(super) struct BundleReport<'b, 'a>(pub(super) &'b Bundle<'a>);

impl BundleReport<'_, '_> {
    /// Tells what is not in the bundle though nothing failed.
    pub(super) fn tell(&self, output: &Output) {
        tell_unfit(self.0.plan().unfit(), output);
        let left: Vec<_> = self.0.record().left_out.iter().collect();
        for left in left.iter().filter(|left| left.why == Why::Absent) {
            output.warning(&format!("left out: {left}"));
        }
        let asked = |why| left.iter().filter(|left| left.why == why).count();
        let platforms = asked(Why::Platform);
        if platforms > 0 {
            let count = human::count(platforms as u64, "platform");
            output.note(&format!("skipped {count}, as requested"));
        }
        let types = asked(Why::Type) as u64;
        if types > 0 {
            let artifacts = human::count(types, "artifact");
            output.note(&format!("skipped {artifacts} of other types, as requested"));
        }
        let assumed = self.0.record().assumed();
        if !assumed.is_empty() {
            let count = human::count(assumed.len() as u64, "blob");
            let size = Size(total(assumed.iter().map(|blob| blob.size)));
            output.note(&format!("not carried, since the site holds it: {size} in {count}"));
        } else if self.0.request().base.is_some() {
            output.note("the site holds nothing of it: the bundle carries everything");
        }
        if let Some(docker) = &self.0.record().docker_manifest {
            for skipped in &docker.skipped {
                output.warning(&format!("not in `manifest.json` for Docker: {skipped}"));
            }
        }
        if self.0.docker().is_some_and(DockerManifest::has_zstd) {
            output.warning(
                "some layers for Docker are compressed with zstd, which older versions of it cannot load",
            );
        }
    }

    /// Prints the document of a bundle that is not written, since not all of it can be had.
    pub(super) fn refused(&self, args: &Export, output: &Output) -> Result<(), Problem> {
        if !output.is_json() {
            return Ok(());
        }
        let mut document = self.document(&Report::default(), None);
        document.dry_run = args.dry_run;
        output.result(&document, String::new)
    }

    pub(super) fn dry_run(&self, size: &Measured, output: &Output) -> Result<(), Problem> {
        let document = Document {
            dry_run: true,
            missing_bytes: Some(size.missing),
            ..self.document(&Report::default(), size.archive)
        };
        let text = || {
            format!(
                "{}would export {}: {} in {}, {} of it not there yet{}\n",
                self.table(),
                self.count(),
                Size(size.bytes),
                human::count(self.0.record().blobs.len() as u64, "blob"),
                Size(size.missing),
                size.archive
                    .map(|archive| format!("; an archive of {}", Size(archive)))
                    .unwrap_or_default(),
            )
        };
        output.result(&document, text)
    }

    /// Says that what is there is the bundle already, so that nothing is written.
    pub(super) fn nothing_new(&self, args: &Export, output: &Output) -> Result<Exit, Problem> {
        let document = Document {
            same: Some(true),
            dry_run: args.dry_run,
            ..self.document(&Report::default(), None)
        };
        let (to, id) = (shown(args), self.0.record().id());
        let word = shell::word(&to);
        output.summary(&document, || {
            format!(
                "nothing new: {to} is this bundle already: {id}\n\
                 its content was not read again; `longshore verify {word}` does that\n"
            )
        })?;
        Ok(if self.0.is_whole() { Exit::Done } else { Exit::Failed })
    }

    /// Says whether the archive that is there is the one that would be written.
    pub(super) fn compared(
        &self,
        differs_at: Option<u64>,
        output: &Output,
    ) -> Result<Exit, Problem> {
        let same = differs_at.is_none();
        let document =
            Document { same: Some(same), differs_at, ..self.document(&Report::default(), None) };
        let id = self.0.record().id();
        output.summary(&document, || match differs_at {
            None => format!("it is the same, to the byte: {id}\n"),
            Some(0) => format!("it is another bundle; today's is {id}\n"),
            Some(at) => format!("it differs at byte {at} from {id}\n"),
        })?;
        Ok(if same { Exit::Done } else { Exit::Difference })
    }

    /// Says whether the directory that is there is the one that would be written.
    pub(super) fn compared_in_place(
        &self,
        differences: Vec<String>,
        output: &Output,
    ) -> Result<Exit, Problem> {
        for difference in &differences {
            let text = format!("it differs: {difference}");
            Output::problem(&Problem::new(Exit::Difference, text));
        }
        let same = differences.is_empty();
        let count = human::count(differences.len() as u64, "difference");
        let document = Document {
            same: Some(same),
            differences: Some(differences),
            ..self.document(&Report::default(), None)
        };
        let id = self.0.record().id();
        output.summary(&document, || {
            if same { format!("it is the same: {id}\n") } else { format!("{count} from {id}\n") }
        })?;
        Ok(if same { Exit::Done } else { Exit::Difference })
    }

    pub(super) fn summary(
        &self,
        report: &Report,
        size: &Measured,
        destination: &Destination,
        begun: Instant,
        output: &Output,
    ) -> Result<(), Problem> {
        let wanted = report.roots.iter().filter(|root| root.subject.is_none());
        let lost = wanted.filter(|root| root.outcome == Outcome::Failed).count() as u64;
        let text = || {
            let seconds = begun.elapsed().as_secs_f64();
            if !report.is_complete() {
                let count = human::count(lost, "artifact");
                let read = Size(report.bytes);
                return format!("no bundle: {count} not complete; {read} read in {seconds:.1} s\n");
            }
            format!(
                "{}exported {}: {} in {}, {} read in {seconds:.1} s\n{}\n",
                self.table(),
                self.count(),
                Size(size.bytes),
                human::count(self.0.record().blobs.len() as u64, "blob"),
                Size(report.bytes),
                self.0.record().id(),
            )
        };
        if destination::is_stdout(destination) {
            output.notes(&text());
            return Ok(());
        }
        output.summary(&self.document(report, size.archive), text)
    }

    fn count(&self) -> String {
        if let Some(bundle) = &self.0.record().repairs {
            return format!("what is missing for {bundle}");
        }
        let artifacts = human::count(self.0.record().roots.len() as u64, "artifact");
        match self.0.record().referrers.len() as u64 {
            0 => artifacts,
            referrers => format!("{artifacts} with {}", human::count(referrers, "referrer")),
        }
    }

    /// Returns a line for each root.
    fn table(&self) -> String {
        let rows = self.0.record().roots.iter().map(|root| {
            let referrers = root.referrers.len() as u64;
            let referrers = (referrers > 0).then(|| human::count(referrers, "referrer"));
            vec![
                root.reference.clone(),
                root.artifact_type.clone(),
                root.platforms.join(","),
                root.digest.to_string(),
                referrers.unwrap_or_default(),
            ]
        });
        crate::output::table(&rows.collect::<Vec<_>>())
    }

    fn document(&self, report: &Report, archive: Option<u64>) -> Document {
        let roots = match (&self.0.record().repairs, report.roots.is_empty()) {
            (Some(_), _) => Vec::new(),
            (None, true) => self.0.plan().roots(),
            (None, false) => report.roots.clone(),
        };
        Document {
            id: self.0.record().id().to_string(),
            repairs: self.0.record().repairs.as_ref().map(ToString::to_string),
            roots: roots.iter().chain(&self.0.failed).map(Into::into).collect(),
            blobs: self.0.record().blobs.len() as u64,
            bytes: total(self.0.record().blobs.iter().map(|blob| blob.size)),
            assumed: self.0.record().base.as_ref().map(|base| ContentAmount {
                blobs: base.blobs.len() as u64,
                bytes: total(base.blobs.iter().map(|blob| blob.size)),
            }),
            archive,
            missing_bytes: None,
            read: report.bytes,
            left_out: self.0.record().left_out.clone(),
            referrers_left: self.0.plan().referrers_seen(),
            docker_manifest: self.0.record().docker_manifest.as_ref().map(|docker| ForDocker {
                platform: docker.platform.clone(),
                skipped: docker.skipped.iter().map(ToString::to_string).collect(),
            }),
            unverified: report.unverified.iter().map(ToString::to_string).collect(),
            failures: self.0.failures.iter().chain(&report.failures).map(Into::into).collect(),
            dry_run: false,
            same: None,
            differs_at: None,
            differences: None,
        }
    }
}

/// Adds sizes up; they are what manifests say, and those may say anything.
pub(super) fn total(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}
