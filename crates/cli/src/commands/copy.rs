//! `copy`: any place to any place.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::time::Instant;

use longshore_layout::{ArchiveStream, ArchiveWriter, Directory};
use longshore_spec::artifact_type::TypeFilter;
use longshore_store::{Name, Place, Root, Selector, Target};
use longshore_sync::{
    Filter, LeftOut, Outcome, Plan, Platforms, Referring, Report, Totals, Wanted, Wish,
};
use serde::Serialize;

use super::look;
use crate::args::{Copy, Global, SparseIndex};
use crate::human;
use crate::location::{Kind, Layout, Location};
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::progress::Progress;
use crate::report::{self, problem_of, tell_failures};

pub(crate) fn run(args: &Copy, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let (sources, target) = places(args)?;
    let filter = filter(args)?;
    let layouts = sources
        .iter()
        .map(|source| Layout::open(source, &args.reading))
        .collect::<Result<Vec<_>, _>>()?;
    refuse_itself(&sources, &target)?;
    let destination = Destination::open(&target, args)?;
    let whole = destination.as_ref().map(Destination::whole);
    let views: Vec<_> = layouts.iter().map(Layout::whole).collect();
    let mut wanted = Vec::new();
    for ((location, layout), view) in sources.iter().zip(&layouts).zip(&views) {
        let wishes = wishes(args, location, layout, output)?;
        wanted.extend(wishes.into_iter().map(|(wish, names)| Wanted {
            source: view,
            wish,
            target: whole.as_deref(),
            names,
        }));
    }
    rename(&mut wanted, &target)?;

    let begun = Instant::now();
    let plan = Plan::discover(wanted, &filter, global.jobs());
    let Some(destination) = destination.as_ref().filter(|_| !args.dry_run) else {
        // What is not there yet holds nothing.
        let totals =
            if destination.is_some() { plan.totals(global.jobs()) } else { Ok(plan.size()) };
        return dry_run(&plan, totals.map_err(Problem::of)?, output);
    };
    if !plan.failures().is_empty() && destination.has_no_half() {
        for failure in plan.failures() {
            output.problem(&problem_of(failure));
        }
        let text = format!("nothing was written to {target}: an archive is whole or not there");
        return Err(
            Problem::new(Exit::Failed, text).hint("leave away what cannot be had, or mend it")
        );
    }
    let totals = plan.size();
    let progress = Progress::new(output, "copying", totals.bytes);
    let result = plan.execute(destination.place(), Vec::new(), global.jobs(), &progress);
    progress.finish();
    let report = result.map_err(|failure| Problem::of(*failure.error))?;
    let complete = report.is_complete() && plan.failures().is_empty();
    tell_failures(output, plan.failures(), &report);
    tell(&plan, &report, destination, complete, output);
    summary(output, destination, &Document::new(&plan, &report, totals), &report, begun)?;
    Ok(if complete { Exit::Done } else { Exit::Failed })
}

/// Takes apart what was typed: sources from the command line and from a list, and the target.
fn places(args: &Copy) -> Result<(Vec<Location>, Location), Problem> {
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
    if let Some(Selector::Digest(digest)) = &target.selector {
        let text = format!(
            "`{target}` says which digest to write, but that follows from the content ({digest})"
        );
        return Err(Problem::new(Exit::Usage, text).hint(format!("write to `{}`", target.whole())));
    }
    Ok((sources, target))
}

/// Reads a list of sources, one a line; `#` begins a comment.
fn read_list(path: &Path) -> Result<Vec<Location>, Problem> {
    let unreadable = |error| {
        Problem::new(Exit::Usage, format!("cannot read the list {}: {error}", path.display()))
    };
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(unreadable)?;
    let mut locations = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            let wrong = |error| {
                Problem::new(Exit::Usage, format!("{}:{}: {error}", path.display(), number + 1))
            };
            locations.push(line.parse().map_err(wrong)?);
        }
    }
    Ok(locations)
}

fn filter(args: &Copy) -> Result<Filter, Problem> {
    let platforms = match (args.platform.as_slice(), args.sparse_index) {
        ([], _) => Platforms::All,
        ([one], None) => Platforms::One(one.clone()),
        (several, None | Some(SparseIndex::Keep)) => Platforms::Sparse(several.to_vec()),
        (several, Some(SparseIndex::Strip)) => Platforms::Stripped(several.to_vec()),
    };
    let referrers = match &args.referrers {
        None => Referring::Counted,
        Some(types) => Referring::Taken(look::types(types)?),
    };
    let types =
        if args.types.is_empty() { TypeFilter::default() } else { look::types(&args.types)? };
    Ok(Filter { platforms, types, referrers, allow_unverified: args.allow_unverified })
}

/// Refuses to copy a layout onto itself.
fn refuse_itself(sources: &[Location], target: &Location) -> Result<(), Problem> {
    let real = |location: &Location| std::fs::canonicalize(&location.path).ok();
    let Some(there) = real(target).filter(|_| !target.is_pipe()) else { return Ok(()) };
    match sources.iter().find(|source| real(source).as_ref() == Some(&there)) {
        Some(source) if target.selector.is_none() || target.kind == Kind::Archive => {
            let text = format!("{source} would be copied onto itself");
            Err(Problem::new(Exit::Usage, text)
                .hint("`longshore tag` gives an artifact a further name"))
        }
        _ => Ok(()),
    }
}

/// Returns what is wanted of a source, each with the names that it has there.
fn wishes(
    args: &Copy,
    location: &Location,
    layout: &Layout,
    output: &Output,
) -> Result<Vec<(Wish, Vec<Name>)>, Problem> {
    if let Some(selector) = &location.selector {
        // A name that is not there fails its root, not the others.
        return Ok(vec![match layout.select(location) {
            Ok(root) => (Wish::Listed(root.descriptor), root.names),
            Err(_) => (Wish::Selector(selector.clone()), Vec::new()),
        }]);
    }
    if !args.all && !args.all_tags {
        let root = layout.select(location)?;
        return Ok(vec![(Wish::Listed(root.descriptor), root.names)]);
    }
    let roots = longshore_store::Repository::roots(&layout.whole()).map_err(Problem::of)?;
    let (taken, left): (Vec<_>, Vec<_>) =
        roots.into_iter().partition(|root| args.all || is_tag(root));
    if !left.is_empty() {
        let count = human::entries(left.len());
        output.note(&format!("{location}: {count} without a tag stay behind; --all takes them"));
    }
    Ok(taken
        .into_iter()
        .map(|Root { descriptor, names }| (Wish::Listed(descriptor), names))
        .collect())
}

/// How many digits of a digest a referrers tag has (row E-87).
const REFERRERS_TAG_DIGITS: usize = 64;

/// Tells whether a root has a name that is more than an account of referrers (row E-97).
fn is_tag(root: &Root) -> bool {
    let is_fallback = |name: &Name| {
        let tag = name.as_str().rsplit(':').next().unwrap_or_default();
        let digest = tag.strip_prefix("sha256-").or_else(|| tag.strip_prefix("sha512-"));
        digest.is_some_and(|hex| {
            hex.len() == REFERRERS_TAG_DIGITS && hex.bytes().all(|b| b.is_ascii_hexdigit())
        })
    };
    root.names.iter().any(|name| !is_fallback(name))
}

/// Gives the one thing that is wanted the name that was typed at the target.
fn rename(wanted: &mut [Wanted<'_>], target: &Location) -> Result<(), Problem> {
    let Some(Selector::Name(name)) = &target.selector else { return Ok(()) };
    match wanted {
        [one] => one.names = vec![name.clone()],
        several => {
            let text = format!("{} artifacts cannot all be called `{name}`", several.len());
            return Err(Problem::new(Exit::Usage, text)
                .hint(format!("write to `{}`: they keep their names", target.whole())));
        }
    }
    Ok(())
}

/// Where a copy goes.
enum Destination {
    Directory(Directory),
    Archive(ArchiveWriter),
    Pipe(ArchiveStream),
}

impl Destination {
    /// Opens the target; `None` for a dry run into something that is not there yet.
    fn open(target: &Location, args: &Copy) -> Result<Option<Self>, Problem> {
        let opened = match target.kind {
            Kind::Directory if args.dry_run && !target.path.exists() => return Ok(None),
            Kind::Directory if args.dry_run => Directory::open(&target.path).map(Self::Directory),
            Kind::Directory => Directory::create(&target.path).map(Self::Directory),
            Kind::Archive if target.is_pipe() && args.dry_run => return Ok(None),
            Kind::Archive if target.is_pipe() && std::io::stdout().is_terminal() => {
                let text = "an archive is not written to a terminal";
                return Err(Problem::new(Exit::Usage, text).hint("redirect stdout, or name a file"));
            }
            Kind::Archive if target.is_pipe() => {
                Ok(Self::Pipe(ArchiveStream::new(Box::new(std::io::stdout()))))
            }
            Kind::Archive => match ArchiveWriter::new(&target.path, args.force) {
                Ok(_) if args.dry_run => return Ok(None),
                opened => opened.map(Self::Archive),
            },
        };
        opened.map(Some).map_err(Problem::of)
    }

    fn place(&self) -> &dyn Place {
        match self {
            Self::Directory(directory) => directory,
            Self::Archive(archive) => archive,
            Self::Pipe(pipe) => pipe,
        }
    }

    fn whole(&self) -> Box<dyn Target + '_> {
        match self {
            Self::Directory(directory) => Box::new(directory.whole()),
            Self::Archive(archive) => Box::new(archive.whole()),
            Self::Pipe(pipe) => Box::new(pipe.whole()),
        }
    }

    /// Tells whether it is whole or not there at all.
    fn has_no_half(&self) -> bool {
        matches!(self, Self::Archive(_) | Self::Pipe(_))
    }
}

/// Tells what the user should know beside failures.
fn tell(
    plan: &Plan<'_>,
    report: &Report,
    destination: &Destination,
    complete: bool,
    output: &Output,
) {
    tell_plan(plan, output);
    for digest in &report.unverified {
        output.warning(&format!("{digest} was taken without proof: its algorithm is not known"));
    }
    if let (Destination::Archive(archive), false) = (destination, complete) {
        let partial = archive.partial().display();
        output.note(&format!(
            "what has come is kept in {partial}; the same command goes on from there"
        ));
    }
}

fn tell_plan(plan: &Plan<'_>, output: &Output) {
    for entry in plan.left_out() {
        if let LeftOut::Absent(_) = entry {
            output.warning(&format!("left out: {}", report::left_out(entry)));
        }
    }
    let filtered =
        plan.left_out().iter().filter(|entry| matches!(entry, LeftOut::Filtered(_))).count();
    if filtered > 0 {
        output.note(&format!("{} of indexes left out, as asked", human::entries(filtered)));
    }
    if plan.referrers_seen() > 0 {
        let count = human::count(plan.referrers_seen(), "referrer");
        output.note(&format!("{count} (signatures, SBOMs, …) stay behind; --referrers takes them"));
    }
}

fn dry_run(plan: &Plan<'_>, totals: Totals, output: &Output) -> Result<Exit, Problem> {
    if let Some(conflict) = plan.conflict() {
        return Err(Problem::of(conflict));
    }
    for failure in plan.failures() {
        output.problem(&problem_of(failure));
    }
    tell_plan(plan, output);
    let report = Report { roots: plan.roots(), ..Report::default() };
    let text = || {
        let Totals { nodes, bytes, missing } = totals;
        format!(
            "{}would copy {}: {} in {}, {} of it not there yet\n",
            roots(&report),
            human::count(done(&report), "artifact"),
            human::size(bytes),
            human::count(nodes, "blob"),
            human::size(missing)
        )
    };
    output.result(&Document::new(plan, &report, totals), text)?;
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
            human::count(done(report), "artifact"),
            human::count(report.moved, "blob"),
            report.existed,
            human::size(report.bytes),
        )
    };
    if let Destination::Pipe(_) = destination {
        // Stdout is the archive.
        output.note(text().trim_end());
        return Ok(());
    }
    output.summary(document, text)
}

fn done(report: &Report) -> u64 {
    report.roots.iter().filter(|root| root.outcome == Outcome::Done).count() as u64
}

/// Returns a line for each root.
fn roots(report: &Report) -> String {
    let rows = report.roots.iter().map(|root| {
        let name = root.names.first().map(ToString::to_string).or_else(|| root.wanted.clone());
        let outcome = match root.outcome {
            Outcome::Done => "",
            Outcome::Failed => "failed",
            Outcome::Skipped => "skipped: not of a wanted type",
        };
        vec![
            name.unwrap_or_else(|| "(referrer)".to_owned()),
            root.artifact_type.clone().unwrap_or_default(),
            root.descriptor
                .as_ref()
                .map_or_else(String::new, |descriptor| descriptor.digest.to_string()),
            outcome.to_owned(),
        ]
    });
    crate::output::table(&rows.collect::<Vec<_>>())
}

/// What `copy --json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    roots: Vec<report::Root>,
    blobs: u64,
    bytes: u64,
    missing: u64,
    written: u64,
    existed: u64,
    read: u64,
    left_out: Vec<String>,
    referrers_left: u64,
    unverified: Vec<String>,
    failures: Vec<report::Failed>,
}

impl Document {
    fn new(plan: &Plan<'_>, report: &Report, totals: Totals) -> Self {
        Self {
            roots: report.roots.iter().map(Into::into).collect(),
            blobs: totals.nodes,
            bytes: totals.bytes,
            missing: totals.missing,
            written: report.moved,
            existed: report.existed,
            read: report.bytes,
            left_out: plan.left_out().iter().map(report::left_out).collect(),
            referrers_left: plan.referrers_seen(),
            unverified: report.unverified.iter().map(ToString::to_string).collect(),
            failures: plan.failures().iter().chain(&report.failures).map(Into::into).collect(),
        }
    }
}
