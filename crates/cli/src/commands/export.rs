//! `export`: what is wanted, from many repositories, into one bundle.

mod check;

use std::time::Instant;

use longshore_bundle::{Lock, Record};
use longshore_layout::ArchiveWriter;
use longshore_spec::{Reference, Size};
use longshore_store::{Error, Outline, Repository as _, Selector};
use longshore_sync::{Failure, Filter, Outcome, Plan, Report, RootReport, Wanted, Wish};
use serde::Serialize;

use self::check::Comparison;
use super::destination::{Destination, Opening};
use super::lock;
use super::wanted::{self, Sources};
use crate::args::{Export, Global};
use crate::human;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::progress::Progress;
use crate::registries::Registries;
use crate::report::{self, tell_failures};

pub(crate) fn run(args: &Export, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let begun = Instant::now();
    let jobs = global.jobs();
    let selection = wanted::selection(&args.references, args.file.as_deref(), &args.taken, output)?;
    let locked = lock::of_export(args, &selection)?;
    let registries = Registries::new(&args.reach);
    let sources = Sources::open(&selection, &registries)?;
    let opening = Opening { dry_run: args.dry_run, force: args.force };
    let comparison = if args.check { Some(Comparison::open(&args.output)?) } else { None };
    let destination = match &comparison {
        Some(comparison) => Some(Destination::Pipe(comparison.stream())),
        None => Destination::open(&args.output, opening, global, &registries)?,
    };
    let whole = destination.as_ref().map(Destination::whole);

    let (picked, mut failures) = selection.pick(jobs, |repository| match &locked {
        Some(locked) => Ok(locked.tags(repository)),
        None => sources.tags(repository),
    });
    let filters: Vec<Filter> = picked.iter().map(|picked| picked.item.filter()).collect();
    let wanted = picked.iter().zip(&filters).map(|(picked, filter)| Wanted {
        target: whole.as_deref(),
        filter: Some(filter),
        ..pinned(sources.wanted(&picked.reference), &picked.reference, locked.as_ref())
    });
    let base = Filter { allow_unverified: args.allow_unverified, ..Filter::default() };
    let mut plan = Plan::discover(wanted.collect(), &base, jobs);
    if let Some(conflict) = plan.conflict() {
        return Err(Problem::of(conflict));
    }
    if let Some(locked) = &locked {
        let known = locked.referrers();
        plan.retain_referrers(|digest| known.contains(digest));
        if plan.failures().is_empty() {
            lock::refuse_changes(locked, &Lock::of(&plan, &selection))?;
        }
    }

    // What cannot be had is dropped; without --keep-going that is the end, unless nothing is written
    // anyway.
    let mut failed: Vec<RootReport> = plan.roots();
    failed.retain(|root| root.outcome == Outcome::Failed && root.subject.is_none());
    let mut dropped: Vec<String> = failures.iter().map(|failure| failure.subject.clone()).collect();
    let names = failed.iter().flat_map(|root| &root.names);
    dropped.extend(names.map(ToString::to_string));
    failures.extend(plan.drop_failed());
    let record = Record::of(&plan, &selection, &dropped);
    let outline = plan.outline(vec![record.file()]);
    let bundle = Bundle { plan: &plan, record: &record, failures: &failures, failed };
    let has_failed = !failures.is_empty();
    if has_failed {
        tell_failures(&failures, &Report { roots: bundle.failed.clone(), ..Report::default() });
    }
    if has_failed && !args.keep_going && !args.dry_run {
        bundle.refused(args, output)?;
        let text = format!("nothing was written to {}", shown(args));
        let hint = "--keep-going writes what can be had";
        return Err(Problem::new(Exit::Failed, text).hint(hint));
    }
    if outline.roots().is_empty() {
        let text = "nothing that is wanted is left";
        return Err(Problem::new(Exit::Failed, text).hint("check names, tags and types"));
    }

    if let Some(comparison) = &comparison
        && !comparison.may_have(&record)
    {
        return bundle.compared(Some(0), output);
    }
    let size = Measured::of(&plan, &outline, destination.as_ref(), jobs)?;
    bundle.tell(output);
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
    let result = plan.execute(destination.place(), vec![record.file()], jobs, &progress);
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

/// What goes into a bundle, and what does not.
struct Bundle<'a> {
    plan: &'a Plan<'a>,
    record: &'a Record,
    failures: &'a [Failure],
    /// What was wanted and could not be had.
    failed: Vec<RootReport>,
}

/// How much is written.
struct Measured {
    /// Bytes of content.
    bytes: u64,
    /// Bytes of the archive, if it is one.
    archive: Option<u64>,
    /// Bytes that there is room for, if that is known.
    free: Option<u64>,
    /// Bytes of content that are not there yet.
    missing: u64,
}

impl Measured {
    fn of(
        plan: &Plan<'_>,
        outline: &Outline,
        destination: Option<&Destination>,
        jobs: usize,
    ) -> Result<Self, Problem> {
        let bytes = outline.nodes().iter().map(|node| node.size).sum();
        let archive = match destination {
            Some(Destination::Directory(_)) => None,
            _ => Some(ArchiveWriter::length(outline).map_err(Problem::of)?),
        };
        let (free, missing) = match destination {
            Some(Destination::Archive(writer)) => {
                (Some(writer.room().map_err(Problem::of)?), bytes)
            }
            Some(Destination::Directory(_)) => {
                (None, plan.totals(jobs).map_err(Problem::of)?.missing)
            }
            _ => (None, bytes),
        };
        Ok(Self { bytes, archive, free, missing })
    }

    /// Says how much comes, before the first byte does.
    fn text(&self, args: &Export) -> String {
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

impl Bundle<'_> {
    /// Tells what is not in the bundle though nothing failed.
    fn tell(&self, output: &Output) {
        let left: Vec<_> = self.record.left_out.iter().collect();
        for left in left.iter().filter(|left| left.why == longshore_bundle::Why::Absent) {
            output.warning(&format!("left out: {left}"));
        }
        let asked = |why| left.iter().filter(|left| left.why == why).count();
        let platforms = asked(longshore_bundle::Why::Platform);
        if platforms > 0 {
            output.note(&format!("{} of indexes left out, as asked", human::entries(platforms)));
        }
        let types = asked(longshore_bundle::Why::Type) as u64;
        if types > 0 {
            let artifacts = human::count(types, "artifact");
            output.note(&format!("{artifacts} of types that were not asked for left out"));
        }
    }

    /// Prints the document of a bundle that is not written, since not all of it can be had.
    fn refused(&self, args: &Export, output: &Output) -> Result<(), Problem> {
        if !output.is_json() {
            return Ok(());
        }
        let mut document = self.document(&Report::default(), None);
        document.dry_run = args.dry_run;
        output.result(&document, String::new)
    }

    fn dry_run(&self, size: &Measured, output: &Output) -> Result<(), Problem> {
        let document = Document {
            dry_run: true,
            missing: Some(size.missing),
            ..self.document(&Report::default(), size.archive)
        };
        let text = || {
            format!(
                "{}would export {}: {} in {}{}\n",
                self.table(),
                self.count(),
                Size(size.bytes),
                human::count(self.record.blobs.len() as u64, "blob"),
                size.archive
                    .map(|archive| format!(", an archive of {}", Size(archive)))
                    .unwrap_or_default(),
            )
        };
        output.result(&document, text)
    }

    /// Says whether the archive that is there is the one that would be written.
    fn compared(&self, differs_at: Option<u64>, output: &Output) -> Result<Exit, Problem> {
        let same = differs_at.is_none();
        let document =
            Document { same: Some(same), differs_at, ..self.document(&Report::default(), None) };
        let id = self.record.id();
        output.summary(&document, || match differs_at {
            None => format!("it is the same, to the byte: {id}\n"),
            Some(0) => format!("it is another bundle; the one of today is {id}\n"),
            Some(at) => format!("it differs at byte {at} from {id}\n"),
        })?;
        Ok(if same { Exit::Done } else { Exit::Difference })
    }

    fn summary(
        &self,
        report: &Report,
        size: &Measured,
        destination: &Destination,
        begun: Instant,
        output: &Output,
    ) -> Result<(), Problem> {
        let text = || {
            let seconds = begun.elapsed().as_secs_f64();
            format!(
                "{}exported {}: {} in {}, {} read in {seconds:.1} s\n{}\n",
                self.table(),
                self.count(),
                Size(size.bytes),
                human::count(self.record.blobs.len() as u64, "blob"),
                Size(report.bytes),
                self.record.id(),
            )
        };
        if destination.is_stdout() {
            output.note(text().trim_end());
            return Ok(());
        }
        output.summary(&self.document(report, size.archive), text)
    }

    fn count(&self) -> String {
        let artifacts = human::count(self.record.roots.len() as u64, "artifact");
        match self.record.referrers.len() as u64 {
            0 => artifacts,
            referrers => format!("{artifacts} with {}", human::count(referrers, "referrer")),
        }
    }

    /// Returns a line for each root.
    fn table(&self) -> String {
        let rows = self.record.roots.iter().map(|root| {
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
        let roots = if report.roots.is_empty() { self.plan.roots() } else { report.roots.clone() };
        Document {
            id: self.record.id().to_string(),
            roots: roots.iter().chain(&self.failed).map(Into::into).collect(),
            blobs: self.record.blobs.len() as u64,
            bytes: self.record.blobs.iter().map(|blob| blob.size).sum(),
            archive,
            missing: None,
            read: report.bytes,
            left_out: self.record.left_out.iter().map(ToString::to_string).collect(),
            unverified: report.unverified.iter().map(ToString::to_string).collect(),
            failures: self.failures.iter().chain(&report.failures).map(Into::into).collect(),
            dry_run: false,
            same: None,
            differs_at: None,
        }
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

fn shown(args: &Export) -> String {
    match args.output.path() {
        Some(_) if args.output.is_pipe() => "stdout".to_owned(),
        Some(path) => path.display().to_string(),
        None => args.output.to_string(),
    }
}

/// What `export --json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    id: String,
    dry_run: bool,
    roots: Vec<report::Root>,
    blobs: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u64>,
    read: u64,
    left_out: Vec<String>,
    unverified: Vec<String>,
    failures: Vec<report::Failed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    same: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    differs_at: Option<u64>,
}
