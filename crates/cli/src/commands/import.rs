//! `import`: a bundle into a registry, a layout or the store.

mod target;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use longshore_bundle::{DOCKER_MANIFEST, MAX_DOCKER_MANIFEST, MAX_RECORD, Mapping, RECORD, Record};
use longshore_layout::{Archive, Came, Directory, Received, Receiving, check_writable, write_file};
use longshore_spec::artifact_type::{TypeFilter, cosign_tag};
use longshore_spec::{Digest, Reference, RepositoryName, Size};
use longshore_store::{Name, Repository, Root};
use longshore_sync::{
    Filter, LeftOut, Moved as MovedTo, Observer as _, Outcome, Plan, Platforms, Referring, Report,
    RootReport, Wanted, Wish,
};

pub(crate) use self::target::Destination;
use self::target::Target;
use super::{bundle, destination};
use crate::args::{Global, Import, SparseIndex};
use crate::documents::{ImportDocument as Document, ImportedRoot as Moved, MovedName, Part};
use crate::human;
use crate::interrupt;
use crate::opened::Opened;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::progress::Progress;
use crate::registries::Registries;
use crate::report::{self, tell_called, tell_failures, tell_moved};

pub(crate) fn run(args: &Import, global: &Global, output: &Output) -> Result<Exit, Problem> {
    if let Some(path) = args.report.as_deref().filter(|_| !args.dry_run) {
        check_writable(path).map_err(Problem::of)?;
    }
    let begun = Instant::now();
    let registries = Registries::reading(&args.reading);
    // A pipe is read once, and may go on for long: that there is a place for it is seen first.
    let is_pipe = args.bundle.is_pipe();
    let target = if is_pipe { Some(Target::open(args, &registries)?) } else { None };
    let layout = open(args, target.as_ref(), output)?;
    let record = bundle::record(&layout).map_err(|problem| match problem.exit {
        Exit::Difference => problem.because(Exit::Failed),
        _ => problem,
    })?;
    let listed = layout.whole().roots().map_err(Problem::of)?;
    let mapping = target::mapping(args);
    let moves = moves(&listed, &mapping, args.target.as_ref())?;
    warn_of_idle(&mapping, &moves, output);
    let target = target.map_or_else(|| Target::open(args, &registries), Ok)?;
    let repositories = target.repositories(&moves)?;
    let sources = Sources::of(&layout, &moves)?;

    let wanted = || {
        let wanted = moves.iter().map(|moved| Wanted {
            source: sources.of_reference(&moved.from),
            wish: Wish::Listed(moved.root.descriptor.clone()),
            target: repositories.get(&moved.to),
            names: target.names(&moved.to),
            filter: None,
        });
        wanted.collect()
    };
    let referrers = Referring::Taken(TypeFilter::default());
    let allow_unverified = args.allow_unverified;
    let filter = Filter { referrers, allow_unverified, ..Filter::default() };
    let plan = Plan::discover(wanted(), &filter, global.jobs());
    tell_damaged(&layout, &plan, output);
    tell_failures(plan.failures(), &Report::default());
    if let (Some(record), Some(opened), true) =
        (&record, layout.layout(), plan.failures().is_empty())
    {
        let differences =
            longshore_bundle::differences(record, opened, &listed, &plan).map_err(Problem::of)?;
        if let Some(first) = differences.first() {
            let more = differences.len() - 1;
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            let text = format!("the bundle is not what its `bundle.json` says: {first}{more}");
            return Err(Problem::new(Exit::Failed, text).hint(again(&layout)));
        }
        refuse_gaps(&layout, &plan)?;
    }
    // What the bundle is was seen as it is: what is written anew stands in no record.
    let plan = match args.sparse_index {
        SparseIndex::Keep => plan,
        SparseIndex::Strip => {
            let filter = Filter { platforms: Platforms::Present, ..filter };
            Plan::discover(wanted(), &filter, global.jobs())
        }
    };
    tell(&listed, &moves, record.as_ref(), &plan, output);
    let changed = plan.moved(global.jobs());
    if args.dry_run {
        return dry_run(&plan, &moves, &changed, global, output);
    }

    if let Target::Layout(directory, _) = &target {
        destination::warn_if_crowded(directory, &plan, output);
    }
    if !is_pipe {
        interrupt::promise_to_go_on(output);
    }
    let progress = Progress::new(output, "importing", plan.size().bytes).of_artifacts(&plan);
    let result = plan.execute(target.place(), Vec::new(), global.jobs(), &progress);
    progress.finish();
    let mut report = result.map_err(|failure| Problem::of(*failure.error))?;
    tell_called(&report, |number, _| moves.get(number).map(|of| of.to.to_string()));
    count_received(&layout, &mut report);
    let document = Document::new(&plan, &moves, &report, None);
    let document = document.with_moved(&changed, &moves, &report.roots);
    tell_moved(&document.moved, "moved", output);
    if let Some(path) = &args.report {
        write_report(path, &document.roots)?;
    }
    output.summary(&document, || {
        let (artifacts, referrers) = counts(&moves, &report.roots);
        format!(
            "{}imported {}{}: {} written, {} there before; {} in {:.1} s\n",
            table(&moves, &report.roots),
            human::count(artifacts, "artifact"),
            with_referrers(referrers),
            human::count(report.moved, "blob"),
            report.existed,
            Size(report.bytes),
            begun.elapsed().as_secs_f64(),
        )
    })?;
    let complete = report.is_complete() && plan.failures().is_empty();
    Ok(if complete { Exit::Done } else { Exit::Failed })
}

/// Says what would go where, and how much of it is not there.
fn dry_run(
    plan: &Plan<'_>,
    moves: &[Move],
    changed: &[MovedTo],
    global: &Global,
    output: &Output,
) -> Result<Exit, Problem> {
    let missing = plan.totals(global.jobs()).map_err(Problem::of)?.missing;
    let reports = plan.roots();
    let document = Document::new(plan, moves, &Report::default(), Some(missing));
    let document = document.with_moved(changed, moves, &reports);
    tell_moved(&document.moved, "would move", output);
    let text = || {
        let (artifacts, referrers) = counts(moves, &reports);
        let count = human::count(artifacts, "artifact") + &with_referrers(referrers);
        let size = plan.size().bytes;
        let table = table(moves, &reports);
        format!(
            "{table}would import {count}: {}, {} of it not there yet\n",
            Size(size),
            Size(missing)
        )
    };
    output.result(&document, text)?;
    Ok(if plan.failures().is_empty() { Exit::Done } else { Exit::Failed })
}

/// Warns of rules that fit nothing in the bundle.
fn warn_of_idle(mapping: &Mapping, moves: &[Move], output: &Output) {
    let names: Vec<_> = moves.iter().map(|of| of.from.clone()).collect();
    for (rule, name) in mapping.idle(&names).zip(names.iter().cycle()) {
        output.warning(&format!(
            "--map {rule} fits nothing in the bundle; names there are full, such as {name}"
        ));
    }
}

/// Opens the bundle. One that comes through a pipe goes straight to its place in a layout, where
/// nothing names it yet; on its way elsewhere it is kept in an unnamed file.
fn open(args: &Import, target: Option<&Target>, output: &Output) -> Result<Opened, Problem> {
    if !args.bundle.is_pipe() {
        let registries = Registries::reading(&args.reading);
        return Opened::open(&args.bundle, &args.reading, &registries);
    }
    if let (Some(Target::Layout(directory, _)), false) = (target, args.dry_run) {
        return receive(args, directory, output).map(Opened::Received);
    }
    let scratch = || args.reading.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let directory = target.and_then(Target::disk).unwrap_or_else(scratch);
    Archive::from_pipe(std::io::stdin().lock(), &directory)
        .map(Opened::Archive)
        .map_err(Problem::of)
}

/// Takes the content of a pipe into a layout.
fn receive(
    args: &Import,
    directory: &Arc<Directory>,
    output: &Output,
) -> Result<Received, Problem> {
    let files = [(RECORD, MAX_RECORD), (DOCKER_MANIFEST, MAX_DOCKER_MANIFEST)];
    let receiving = Receiving { files: &files, allow_unverified: args.allow_unverified };
    let progress = Progress::without_end(output, "receiving");
    let observe = |bytes| progress.advanced(bytes);
    let received = Received::read(std::io::stdin(), Arc::clone(directory), receiving, &observe);
    progress.finish();
    received.map_err(Problem::of)
}

/// Tells what came damaged through a pipe. What nothing lacks would not have been looked at in a file.
fn tell_damaged(layout: &Opened, plan: &Plan<'_>, output: &Output) {
    let Opened::Received(received) = layout else { return };
    let came: HashSet<Digest> = received.stored().into_iter().collect();
    let lacking: HashSet<&Digest> =
        plan.digests().filter(|digest| !came.contains(digest)).collect();
    for (digest, error) in &received.came().damaged {
        if lacking.contains(digest) {
            Output::problem(&Problem::new(Exit::Failed, error.to_string()));
        } else {
            output.warning(&format!("{error}; nothing lacks it"));
        }
    }
}

/// Counts what came through a pipe before the plan was made, which found it there then.
fn count_received(layout: &Opened, report: &mut Report) {
    let Opened::Received(received) = layout else { return };
    let Came { written, bytes, unverified, .. } = received.came();
    let needed = (*written).min(report.existed);
    report.existed -= needed;
    report.moved += needed;
    report.bytes += bytes;
    report.unverified.extend(unverified.iter().cloned());
}

/// Refuses a bundle that lacks content, before hours have gone into the rest of it.
fn refuse_gaps(layout: &Opened, plan: &Plan<'_>) -> Result<(), Problem> {
    let outline = plan.outline(Vec::new());
    let stored: HashSet<Digest> = layout.stored().map_err(Problem::of)?.into_iter().collect();
    let needed = outline.nodes().iter().map(|node| &node.digest);
    let missing: BTreeSet<&Digest> = needed.filter(|digest| !stored.contains(*digest)).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let more = missing.len() - 1;
    let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    let text = format!("the bundle is not complete: {first} is not in it{more}");
    Err(Problem::new(Exit::Failed, text).hint(again(layout)))
}

/// Returns what to do about a bundle that is not taken.
fn again(layout: &Opened) -> &'static str {
    if matches!(layout, Opened::Received(_)) {
        "get it again from where it came; what has come has no name, and goes with `longshore gc`"
    } else {
        "get it again from where it came; nothing was written"
    }
}

/// A root of the bundle, and what it is called here and there.
pub(super) struct Move {
    root: Root,
    from: Reference,
    to: Reference,
}

impl Move {
    /// Tells whether it is attached to something by its tag, as cosign does it (row E-97).
    fn is_attached(&self) -> bool {
        self.from.tag().is_some_and(|tag| cosign_tag(tag.as_str()).is_some())
    }
}

/// Returns where every root with a name goes. Two that meet are refused.
fn moves(
    listed: &[Root],
    mapping: &Mapping,
    target: Option<&Destination>,
) -> Result<Vec<Move>, Problem> {
    let mut moves = Vec::new();
    for root in listed {
        for name in &root.names {
            let from: Reference = name.as_str().parse().map_err(|_| {
                let text =
                    format!("`{name}` of the bundle is no full reference, so it goes nowhere");
                Problem::new(Exit::Usage, text)
                    .hint("`longshore copy` takes artifacts under any name")
            })?;
            let to = mapping.map(&from).map_err(|error| {
                Problem::new(Exit::Usage, error).hint("change the rule that --map gives")
            })?;
            moves.push(Move { root: root.clone(), from, to });
        }
    }
    if moves.is_empty() {
        let text = "the bundle lists nothing that has a name";
        return Err(Problem::new(Exit::Usage, text));
    }
    if !matches!(target, Some(Destination::Registry { .. })) {
        without_digests(&mut moves);
    }
    let roots = moves.iter().map(|of| (&of.from, &of.to, &of.root.descriptor.digest));
    Mapping::check(roots).map_err(|clash| {
        Problem::new(Exit::Usage, clash.to_string())
            .hint("give one of them another name, such as --map HOST/=SITE/PREFIX/")
    })?;
    Ok(moves)
}

/// Takes digests off the names that roots have in a layout: what has the name says which it is. Names
/// of different content that differ by nothing else keep theirs.
fn without_digests(moves: &mut [Move]) {
    let bare = |of: &Move| of.to.clone().with_digest(None);
    let mut meant: BTreeMap<Reference, BTreeSet<Digest>> = BTreeMap::new();
    for of in moves.iter() {
        meant.entry(bare(of)).or_default().insert(of.root.descriptor.digest.clone());
    }
    for of in moves.iter_mut().filter(|of| of.to.tag().is_some()) {
        if meant.get(&bare(of)).is_some_and(|meant| meant.len() == 1) {
            of.to = bare(of);
        }
    }
}

/// The repositories of the bundle, each as a source: what refers to what in one of them is no
/// business of the others.
struct Sources<'l> {
    by_repository: BTreeMap<String, Box<dyn Repository + 'l>>,
}

impl<'l> Sources<'l> {
    fn of(layout: &'l Opened, moves: &[Move]) -> Result<Self, Problem> {
        let mut by_repository: BTreeMap<String, Box<dyn Repository + 'l>> = BTreeMap::new();
        for Move { from, .. } in moves {
            let key = key(from);
            if by_repository.contains_key(&key) {
                continue;
            }
            let source = match key.parse::<RepositoryName>() {
                Ok(name) => layout.repository(&name).map_err(Problem::of)?,
                // A host that no repository can be named after, such as an IPv6 address.
                Err(_) => layout.whole(),
            };
            by_repository.insert(key, source);
        }
        Ok(Self { by_repository })
    }

    fn of_reference(&self, from: &Reference) -> &dyn longshore_store::Source {
        &*self.by_repository[&key(from)]
    }
}

/// Returns the name under which a layout has a repository: the port of its host stands behind `_`.
fn key(from: &Reference) -> String {
    format!("{}/{}", from.registry().replace(':', "_"), from.repository())
}

/// Tells what is not as whoever asked may think, though nothing failed.
fn tell(
    listed: &[Root],
    moves: &[Move],
    record: Option<&Record>,
    plan: &Plan<'_>,
    output: &Output,
) {
    let known = record.map(|record| &record.left_out[..]).unwrap_or_default();
    let known: HashSet<&Digest> = known.iter().filter_map(|left| left.digest.as_ref()).collect();
    for left in plan.left_out() {
        let (LeftOut::Absent(entry) | LeftOut::Filtered(entry)) = left;
        if !known.contains(&entry.digest) {
            output.warning(&format!("left out: {}", report::left_out(left)));
        }
    }
    if !known.is_empty() {
        output.note(&format!(
            "{} left out when the bundle was made; `longshore verify` names them",
            human::entries(known.len())
        ));
    }
    report::tell_unfit(plan.unfit(), output);
    let unnamed = moves.iter().filter(|of| of.to.tag().is_none()).count() as u64;
    if unnamed > 0 {
        let count = human::count(unnamed, "artifact");
        output.warning(&format!(
            "{count} without a tag: some registries remove what is known by its digest only"
        ));
    }
    let there: HashSet<&Digest> = plan.digests().collect();
    let others = listed.iter().filter(|root| root.names.is_empty());
    let others = others.filter(|root| !there.contains(&root.descriptor.digest)).count();
    if others > 0 {
        let entries = human::entries(others);
        output.note(&format!("{entries} without a name, that refer to nothing, stay behind"));
    }
}

/// Counts the artifacts and the referrers that are there with all that they refer to.
fn counts(moves: &[Move], reports: &[RootReport]) -> (u64, u64) {
    let done = reports.iter().filter(|root| root.outcome == Outcome::Done).count();
    let referrers = referrers(moves, reports).count();
    ((done - referrers) as u64, referrers as u64)
}

/// Returns the referrers that are there with all that they refer to.
fn referrers<'r>(
    moves: &'r [Move],
    reports: &'r [RootReport],
) -> impl Iterator<Item = &'r RootReport> {
    let is_artifact = |number: usize| moves.get(number).is_some_and(|of| !of.is_attached());
    let others = reports.iter().enumerate().filter(move |(number, _)| !is_artifact(*number));
    others.map(|(_, root)| root).filter(|root| root.outcome == Outcome::Done)
}

fn part(of: &RootReport) -> Option<Part> {
    let artifact_type = of.artifact_type.as_deref().map(str::to_owned);
    Some(Part { artifact_type, ..of.descriptor.as_ref()?.into() })
}

fn with_referrers(count: u64) -> String {
    if count == 0 { String::new() } else { format!(" with {}", human::count(count, "referrer")) }
}

/// Returns a line for each root; `reports` begin with those of the roots, in their order.
fn table(moves: &[Move], reports: &[RootReport]) -> String {
    let roots = moves.iter().enumerate().filter(|(_, of)| !of.is_attached());
    let rows = roots.map(|(number, of)| {
        let outcome = reports.get(number).map_or("", |report| match report.outcome {
            Outcome::Done | Outcome::Skipped => "",
            Outcome::Failed => "failed",
        });
        let report = reports.get(number);
        let digest = report.map_or(&of.root.descriptor.digest, |report| digest_of(of, report));
        let to = report.map_or_else(|| of.to.clone(), |report| goes_to(of, report));
        vec![of.from.to_string(), to.to_string(), digest.to_string(), outcome.to_owned()]
    });
    crate::output::table(&rows.collect::<Vec<_>>())
}

/// Writes what was imported into a file, for whatever sets up a site.
fn write_report(path: &Path, roots: &[Moved]) -> Result<(), Problem> {
    let mut bytes = serde_json::to_vec_pretty(roots)
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot write JSON: {error}")))?;
    bytes.push(b'\n');
    write_file(path, &bytes).map_err(|error| Problem::of(error).because(Exit::Failed))
}

impl Document {
    /// Returns the document with the names that move with what is done.
    fn with_moved(self, changed: &[MovedTo], moves: &[Move], reports: &[RootReport]) -> Self {
        // A tag alone does not say whose it is.
        let call = |moved: &MovedTo| match moves.get(moved.root) {
            Some(of) => of.to.clone().with_digest(None).to_string(),
            None => moved.name.to_string(),
        };
        Self { moved: MovedName::all(changed, reports, call), ..self }
    }

    fn new(plan: &Plan<'_>, moves: &[Move], report: &Report, missing: Option<u64>) -> Self {
        let reports = if report.roots.is_empty() { plan.roots() } else { report.roots.clone() };
        let roots = moves.iter().zip(&reports).map(|(of, report)| Moved {
            from: of.from.to_string(),
            to: goes_to(of, report).to_string(),
            digest: digest_of(of, report).to_string(),
            media_type: of.root.descriptor.media_type.to_string(),
            artifact_type: report.artifact_type.as_deref().map(str::to_owned),
            outcome: match report.outcome {
                Outcome::Done => "done",
                Outcome::Failed => "failed",
                Outcome::Skipped => "skipped",
            },
        });
        let size = plan.size();
        Self {
            roots: roots.collect(),
            referrers: referrers(moves, &reports).filter_map(part).collect(),
            blobs: size.nodes,
            bytes: size.bytes,
            missing_bytes: missing,
            written: report.moved,
            existed: report.existed,
            read: report.bytes,
            moved: Vec::new(),
            left_out: plan.left_out().iter().map(report::left_behind).collect(),
            unverified: report.unverified.iter().map(ToString::to_string).collect(),
            failures: plan.failures().iter().chain(&report.failures).map(Into::into).collect(),
        }
    }
}

/// Returns what a root is where it goes: another index than in the bundle, if it was written anew.
fn digest_of<'r>(of: &'r Move, report: &'r RootReport) -> &'r Digest {
    report.descriptor.as_ref().map_or(&of.root.descriptor.digest, |found| &found.digest)
}

/// Returns what a root is called where it goes: a digest in its name is the one that it has there.
fn goes_to(of: &Move, report: &RootReport) -> Reference {
    match of.to.digest() {
        None => of.to.clone(),
        Some(_) => of.to.clone().with_digest(Some(digest_of(of, report).clone())),
    }
}

/// Returns the name that a root has where it goes; a digest alone is no name in a registry.
fn tag(to: &Reference) -> Vec<Name> {
    to.tag().map(|tag| Name::new(tag.as_str())).into_iter().collect()
}
