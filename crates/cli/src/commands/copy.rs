//! `copy`: any place to any place.

mod items;

use std::time::Instant;

use longshore::Destination;
use longshore::OpenPlace;
use longshore::location::Location;
use longshore_spec::Size;
use longshore_spec::artifact_type::TypeFilter;
use longshore_store::Atomicity;
use longshore_sync::{
    CopyItem, CopyRequest, Failure, Filter, LeftOut, Moved, Outcome, Platforms, PreparedCopy,
    Referring, Report, RootReport, SealedPlan, Silent, Totals, Unchanged,
};

use self::items::NamedItem;
use super::destination::{self, Opening};
use super::{artifact, platforms};
use crate::args::{self, Copy, Global, SparseIndex, UserPassword};
use crate::documents::{CopyDocument as Document, MovedName, Transfer};
use crate::human;
use crate::interrupt;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::progress::Progress;
use crate::registries::Registries;
use crate::report::{self, problem_of, tell_failures, tell_moved};

pub(crate) fn run(args: &Copy, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let begun = Instant::now();
    let (sources, target) = items::places(args)?;
    let filter = filter(args, &sources)?;
    let looked_for_referrers = filter.referrers != Referring::Ignored;
    let registries = |creds: &Option<UserPassword>| {
        Registries::reading(&args.reading)
            .with(creds.clone().map(|UserPassword(credential)| credential))
    };
    let (from, to) = (registries(&args.src_creds), registries(&args.dst_creds));
    let (sources, opened) = items::open(sources, &target, args, &from, global)?;
    let items = items::items(args, &sources, &opened, &target, output)?;
    let opening = Opening { dry_run: args.dry_run, force: args.force };
    let destination = destination::open(&target, opening, global, &to)?;
    let whole = destination.as_ref().map(Destination::whole);
    let views: Vec<_> = opened.iter().map(OpenPlace::whole).collect();
    let wanted = items.into_iter().map(|NamedItem { source, request, names }| CopyItem {
        source: &*views[source],
        request,
        target: whole.as_deref(),
        names,
        filter: None,
    });

    let request = CopyRequest { items: wanted.collect(), filter, jobs: global.jobs() };
    let copy = request.prepare(&Silent);
    platforms::warn_of_none(&args.platform, &copy.plan().roots(), output);
    let Some(destination) = destination.as_ref().filter(|_| !args.dry_run) else {
        // `None`: the destination does not exist, so everything is missing.
        let missing = destination
            .as_ref()
            .map(|it| destination::missing(it, copy.plan(), global.jobs()))
            .transpose()?;
        let plan = copy.plan();
        let size = plan.size();
        let totals = Totals { missing: missing.unwrap_or(size.missing), ..size };
        let moved = plan.moved(global.jobs());
        return dry_run(plan, totals, &moved, looked_for_referrers, output);
    };
    let copy = refuse_incomplete(copy, destination, &target, args, global, output)?;
    carry_out(copy, destination, looked_for_referrers, begun, global, output)
}

/// Refuses to write to an archive what cannot be had for it: an archive is written whole or not at all.
/// Returns the copy, without the roots that an archive may leave out.
fn refuse_incomplete<'a>(
    mut copy: PreparedCopy<'a>,
    destination: &Destination,
    target: &Location,
    args: &Copy,
    global: &Global,
    output: &Output,
) -> Result<PreparedCopy<'a>, Problem> {
    if destination.place().atomicity() != Atomicity::AllOrNothing {
        return Ok(copy);
    }
    let has_failed = !copy.plan().failures().is_empty();
    let refused = (global.json && has_failed).then(|| Document::refused(copy.plan()));
    // With --all or --all-tags, an archive leaves out roots that fail; a root that was named must succeed.
    if args.all || args.all_tags {
        copy = copy.leave_out_failed(destination.place());
    }
    let plan = copy.plan();
    let nothing_is_left = !copy.lost.is_empty() && plan.roots().is_empty();
    if !nothing_is_left && plan.failures().is_empty() {
        return Ok(copy);
    }
    for failure in copy.lost.iter().chain(plan.failures()) {
        Output::problem(&problem_of(failure));
    }
    if let Some(refused) = refused {
        output.result(&refused, String::new)?;
    }
    let text =
        format!("nothing was written to {target}: an archive is written whole or not at all");
    Err(Problem::new(Exit::Failed, text).hint("leave out what is not available, or repair it"))
}

/// Carries out a copy, and says what came of it.
fn carry_out(
    mut copy: PreparedCopy<'_>,
    destination: &Destination,
    looked_for_referrers: bool,
    begun: Instant,
    global: &Global,
    output: &Output,
) -> Result<Exit, Problem> {
    let plan = copy.plan();
    let totals = plan.size();
    let moved = plan.moved(global.jobs());
    if let Destination::Directory(directory) = destination {
        destination::warn_if_crowded(directory, plan, output);
    }
    if !destination::is_stdout(destination) {
        interrupt::promise_to_go_on(output);
    }
    let progress = Progress::new(output, "copying", totals.bytes).of_artifacts(plan);
    let result = copy.run(destination.place(), &progress);
    progress.finish();
    let report = result.map_err(|failure| destination::problem(destination, *failure.error))?;
    let plan = copy.plan();
    let PreparedCopy { lost, lost_roots, .. } = &copy;
    let complete = report.is_complete();
    tell_failures(lost, &Report { roots: lost_roots.clone(), ..Report::default() });
    tell_failures(plan.failures(), &report);
    tell(plan, &report, destination, complete, looked_for_referrers, output);
    let document = Document::new(plan, &report, None, &moved).with_lost(lost, lost_roots);
    let complete = complete && lost.is_empty();
    tell_moved(&document.transfer.moved, "moved", output);
    summary(output, destination, &document, &report, begun)?;
    Ok(if complete { Exit::Done } else { Exit::Failed })
}

fn filter(args: &Copy, sources: &[Location]) -> Result<Filter, Problem> {
    let platforms = match (args.platform.as_slice(), args.sparse_index) {
        ([], Some(SparseIndex::Strip)) => Platforms::Present,
        ([], None | Some(SparseIndex::Keep)) => Platforms::All,
        ([one], None) => Platforms::One(one.clone()),
        (several, None | Some(SparseIndex::Keep)) => Platforms::Sparse(several.to_vec()),
        (several, Some(SparseIndex::Strip)) => Platforms::Stripped(several.to_vec()),
    };
    let referrers = match &args.referrers {
        // Counting them costs a registry two more requests for each artifact.
        None if sources.len() > 1 && sources.iter().all(|source| source.path().is_none()) => {
            Referring::Ignored
        }
        None => Referring::Counted,
        Some(types) => Referring::Taken(artifact::type_filter(types)?),
    };
    let types = if args.types.is_empty() {
        TypeFilter::default()
    } else {
        artifact::type_filter(&args.types)?
    };
    let unchanged = match args.unchanged {
        args::Unchanged::Closure => Unchanged::Closure,
        args::Unchanged::Digest => Unchanged::Digest,
    };
    let allow_unverified = args.allow_unverified;
    Ok(Filter { platforms, types, referrers, allow_unverified, unchanged })
}

/// Tells what the user should know beside failures.
fn tell(
    plan: &SealedPlan<'_>,
    report: &Report,
    destination: &Destination,
    complete: bool,
    looked_for_referrers: bool,
    output: &Output,
) {
    tell_plan(plan, looked_for_referrers, output);
    for digest in &report.unverified {
        output.warning(&format!("{digest} was copied unverified: its algorithm is not known"));
    }
    if let (Destination::Archive(archive), false) = (destination, complete) {
        let partial = archive.partial().display();
        output.note(&format!(
            "what has arrived is kept in {partial}; the same command continues from there"
        ));
    }
}

fn tell_plan(plan: &SealedPlan<'_>, looked_for_referrers: bool, output: &Output) {
    for entry in plan.left_out() {
        if let LeftOut::Absent(_) = entry {
            output.warning(&format!("left out: {}", report::left_out(entry)));
        }
    }
    let filtered =
        plan.left_out().iter().filter(|entry| matches!(entry, LeftOut::Filtered(_))).count();
    if filtered > 0 {
        let count = human::count(filtered as u64, "platform");
        output.note(&format!("skipped {count}, as requested"));
    }
    let unfit = plan.unfit().iter().filter(|unfit| !unfit.is_carried).count() as u64;
    let left = plan.referrers_seen() - unfit;
    if left > 0 {
        let count = human::count(left, "referrer");
        output
            .note(&format!("{count} not copied (signatures, SBOMs, …); `--referrers` copies them"));
    }
    report::tell_unfit(plan.unfit(), output);
    if !looked_for_referrers {
        output.note(
            "referrers (signatures, SBOMs, …) were not looked for and not copied; `--referrers` copies them",
        );
    }
}

fn dry_run(
    plan: &SealedPlan<'_>,
    totals: Totals,
    moved: &[Moved],
    looked_for_referrers: bool,
    output: &Output,
) -> Result<Exit, Problem> {
    if let Some(conflict) = plan.conflict() {
        return Err(Problem::of(conflict));
    }
    for failure in plan.failures() {
        Output::problem(&problem_of(failure));
    }
    tell_plan(plan, looked_for_referrers, output);
    let report = Report { roots: plan.roots(), ..Report::default() };
    let text = || {
        let Totals { nodes, bytes, missing } = totals;
        format!(
            "{}would copy {}: {} in {}, {} of it not there yet\n",
            roots(&report),
            report::done(&report.roots),
            Size(bytes),
            human::count(nodes, "blob"),
            Size(missing)
        )
    };
    let document = Document::new(plan, &report, Some(totals.missing), moved);
    tell_moved(&document.transfer.moved, "would move", output);
    output.result(&document, text)?;
    Ok(if plan.failures().is_empty() { Exit::Done } else { Exit::Failed })
}

fn summary(
    output: &Output,
    destination: &Destination,
    document: &Document,
    report: &Report,
    begun: Instant,
) -> Result<(), Problem> {
    let text = || {
        let seconds = begun.elapsed().as_secs_f64();
        format!(
            "{}copied {}: {} written, {} there before; {} in {seconds:.1} s\n",
            roots(report),
            report::done(&report.roots),
            human::count(report.moved, "blob"),
            report.existed,
            Size(report.bytes),
        )
    };
    if destination::is_stdout(destination) {
        output.notes(&text());
        return Ok(());
    }
    output.summary(document, text)
}

/// Returns a line for each root.
fn roots(report: &Report) -> String {
    let rows = report.roots.iter().map(|root| {
        let digest = root.descriptor.as_ref().map(|descriptor| descriptor.digest.to_string());
        // What was asked for by its digest has that in its own column.
        let wanted = root.wanted.as_ref().map(ToString::to_string);
        let wanted = || wanted.filter(|wanted| Some(wanted) != digest.as_ref());
        let name = root.names.first().map(ToString::to_string).or_else(wanted);
        let outcome = match root.outcome {
            Outcome::Done => "",
            Outcome::Failed => "failed",
            Outcome::Skipped => "skipped: not of a wanted type",
        };
        vec![
            name.unwrap_or_else(|| "-".to_owned()),
            root.artifact_type.as_deref().unwrap_or_default().to_owned(),
            digest.unwrap_or_default(),
            outcome.to_owned(),
        ]
    });
    crate::output::table(&rows.collect::<Vec<_>>())
}

impl Document {
    /// Returns the document of a plan that is not carried out, since not all of it can be had.
    fn refused(plan: &SealedPlan<'_>) -> Self {
        let mut roots = plan.roots();
        for root in roots.iter_mut().filter(|root| root.outcome == Outcome::Done) {
            root.outcome = Outcome::Failed;
        }
        Self::new(plan, &Report { roots, ..Report::default() }, None, &[])
    }

    /// Returns the document with what could not be had of all that is listed.
    fn with_lost(mut self, lost: &[Failure], roots: &[RootReport]) -> Self {
        self.roots.extend(roots.iter().map(Into::into));
        self.failures.extend(lost.iter().map(Into::into));
        self
    }

    /// Returns the document of what was done, or would be, with the names that move by it.
    fn new(plan: &SealedPlan<'_>, report: &Report, missing: Option<u64>, moved: &[Moved]) -> Self {
        let moved = MovedName::all(moved, &report.roots, |moved| moved.name.to_string());
        Self {
            roots: report.roots.iter().map(Into::into).collect(),
            transfer: Transfer::new(plan, report, missing, moved),
            referrers_left: plan.referrers_seen(),
            unverified: report.unverified.iter().map(ToString::to_string).collect(),
            failures: plan.failures().iter().chain(&report.failures).map(Into::into).collect(),
        }
    }
}
