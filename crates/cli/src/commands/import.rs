//! `import`: a bundle into a registry, a layout or the store.

mod preview;
mod state;
pub(in crate::commands) mod target;
mod volumes;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use longshore::OpenPlace;
use longshore::location::Location;
use longshore_bundle::{
    BaseGap, BundleFiles, DOCKER_MANIFEST, ImportRefusal, ImportRequest, ImportTarget,
    MAX_DOCKER_MANIFEST, MAX_RECORD, MAX_VOLUME_FILE, Mapping, Move, MoveError, OpenBundle,
    PruneTarget, RECORD, ReceiptPlace, Routes, StreamGuard, VOLUME, lost_content,
};
use longshore_layout::{
    Archive, Directory, PartStore, StreamObserver, StreamOptions, StreamedArchive, check_writable,
    write_file,
};
use longshore_spec::{Digest, Reference, Size};
use longshore_store::Error;
use longshore_sync::{
    Action, Failure, GivenName, LeftOut, Moved as MovedTo, Observer as _, Outcome, Proof, Report,
    RootReport, SealedPlan, Side, Silent,
};

use self::state::{LockedState, Pruning, Repositories, SiteState};
use self::target::Target;
use super::bundle_files::OpenFiles;
use super::missing::MissingFile;
use super::receipt::{self, Names, NextReceipt};
use super::{bundle, destination};
use crate::args::{Global, Import, SparseIndex};
use crate::documents::{
    ImportDocument as Document, ImportedRoot as Moved, MovedName, Part, Transfer,
};
use crate::human;
use crate::interrupt;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::progress::Progress;
use crate::registries::Registries;
use crate::report::{self, tell_called, tell_failures, tell_moved};

pub(crate) fn run(args: &Import, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let missing = args.missing.as_deref().map(MissingFile::of).transpose()?;
    let result = import(args, missing.as_ref(), global, output);
    if let Some(missing) = &missing {
        missing.warn_if_stale(output);
    }
    result
}

fn import(
    args: &Import,
    missing: Option<&MissingFile<'_>>,
    global: &Global,
    output: &Output,
) -> Result<Exit, Problem> {
    if let Some(path) = args.report.as_deref().filter(|_| !args.dry_run) {
        check_writable(path).map_err(Problem::of)?;
    }
    let next = args.receipt.as_deref().map(|path| NextReceipt::of(Some(path), None)).transpose()?;
    let begun = Instant::now();
    let registries = Registries::reading(&args.reading);
    // A pipe is read once, and may go on for long: that there is a place for it is seen first.
    let is_pipe = args.bundles.iter().any(Location::is_pipe);
    let target =
        if is_pipe { Some(Target::open(args.target.as_ref(), &registries)?) } else { None };
    let files = open(args, target.as_ref(), global, output)?;
    let opened = files.first();
    let together = files.together().map_err(failed)?;
    volumes::refuse(&together, args, is_pipe)?;
    // Parts that came before are read from where they wait.
    let target = match target {
        None if together.volumes().is_some() => {
            Some(Target::open(args.target.as_ref(), &registries)?)
        }
        target => target,
    };
    let parts = target.as_ref().map(|target| volumes::part_store(args, target));
    let together = match &parts {
        Some(parts) => together.with_parts(parts.clone()),
        None => together,
    };
    let together = if args.status { together.asked_about() } else { together };
    let bundle =
        OpenBundle::of_files(&together).map_err(|error| failed(bundle::unreadable(error)))?;
    let mapping = target::mapping(args);
    let moves = bundle.moves(&mapping, target::kind(args)).map_err(refused_move)?;
    warn_of_idle(&mapping, &moves, output);
    let target = target.map_or_else(|| Target::open(args.target.as_ref(), &registries), Ok)?;
    let history = SiteState::read(args, &bundle, &target)?;
    let (whole, repositories);
    let (to, prune_target) = match &target {
        Target::Registry(registry) => {
            let host = registry.host();
            repositories = Repositories(registry);
            (
                ImportTarget::Registry { place: registry, content: registry, host },
                PruneTarget::Registry { repositories: &repositories, host },
            )
        }
        Target::Layout(directory, _) => {
            whole = directory.whole();
            (
                ImportTarget::Layout { place: &**directory, whole: &whole, content: &whole },
                PruneTarget::Layout(&whole),
            )
        }
    };
    let known = next.as_ref().and_then(|next| next.before.as_ref());
    let routes = Routes::open(&bundle, &moves, to, known).map_err(refused_move)?;

    let request = ImportRequest {
        bundle: &bundle,
        routes: &routes,
        sparse_index: match args.sparse_index {
            SparseIndex::Keep => longshore_bundle::SparseIndex::Keep,
            SparseIndex::Strip => longshore_bundle::SparseIndex::Strip,
        },
        allow_unverified: args.allow_unverified,
        jobs: global.jobs(),
    };
    let import = request.prepare(&Silent);
    tell_damaged(opened, import.plan(), output);
    tell_failures(import.plan().failures(), &Report::default());
    let lost = lost_content(import.plan().failures());
    let import = checked(import, &bundle, &lost, missing, opened, output)?;
    if let (Some(parts), true) = (&parts, args.status) {
        return volumes::status(&import, parts, &together, &moves, output);
    }
    let plan = import.plan();
    tell(&bundle, &moves, plan, output);
    let names = plan.given_names(global.jobs());
    let changed: Vec<_> = names.iter().filter_map(GivenName::moved).collect();
    if args.no_overwrite && !changed.is_empty() {
        return Err(would_overwrite(&changed, &moves, &plan.roots()));
    }
    let site = history.as_ref();
    let pruning = Pruning::prepare(site, args, &moves, prune_target, global.jobs(), output)?;
    let importing = Importing {
        args,
        global,
        output,
        bundle: &bundle,
        missing,
        moves: &moves,
        target: &target,
        together: &together,
        parts: parts.as_ref(),
        begun,
    };
    if args.dry_run {
        importing.write_missing(&lost)?;
        return preview::run(&importing, &import, names, &changed, pruning.as_ref());
    }
    volumes::refuse_scratch(&import, args, &target)?;
    let locked = site.map(|site| site.lock(plan, &moves, args, &target)).transpose()?;
    importing.carry_out(import, &changed, &lost, pruning, locked, next)
}

/// An import with all that was typed for it.
struct Importing<'a> {
    args: &'a Import,
    global: &'a Global,
    output: &'a Output,
    bundle: &'a OpenBundle<'a>,
    missing: Option<&'a MissingFile<'a>>,
    moves: &'a [Move],
    target: &'a Target,
    together: &'a BundleFiles<'a>,
    /// Where parts of blobs wait for others, if it lies in volumes.
    parts: Option<&'a PartStore>,
    begun: Instant,
}

impl Importing<'_> {
    /// Brings all of a bundle to its place, takes away what is to be pruned, and says what was done.
    fn carry_out(
        &self,
        import: longshore_bundle::Import<'_>,
        changed: &[MovedTo],
        lost: &[Digest],
        mut pruning: Option<Pruning<'_>>,
        locked: Option<LockedState<'_, '_>>,
        next: Option<NextReceipt<'_>>,
    ) -> Result<Exit, Problem> {
        let Self { args, global, output, moves, target, parts, begun, .. } = *self;
        let plan = import.plan();
        if let Target::Layout(directory, _) = target {
            destination::warn_if_crowded(directory, plan, output);
        }
        if !args.bundles.iter().any(Location::is_pipe) {
            interrupt::promise_to_go_on(output);
        }
        if let Some(parts) = parts {
            volumes::keep(&import, parts)?;
        }
        let progress = Progress::new(output, "importing", plan.size().bytes).of_artifacts(plan);
        let result = import.run(&progress);
        progress.finish();
        let report = result.map_err(|failure| Problem::of(*failure.error))?;
        let to_come = volumes::to_come(&import, parts, &report)?;
        tell_called(&report, |number, _| moves.get(number).map(|of| of.to.to_string()));
        let mut document = Document::new(plan, moves, &report, None, changed);
        document.volumes_to_come = Some(to_come.clone()).filter(|to_come| !to_come.is_empty());
        tell_moved(&document.transfer.moved, "moved", output);
        if let Some(locked) = locked {
            locked.finish(moves, args, &report, pruning.as_mut(), plan, output)?;
        }
        if let Some(pruning) = &pruning {
            pruning.add_to(&mut document);
        }
        self.write_missing(&[lost, &lost_content(&report.failures)].concat())?;
        if let Some(path) = &args.report {
            write_report(path, &document.roots)?;
        }
        // What the target holds now is found out with a plan of its own.
        drop(import);
        if let Some(next) = next.filter(|_| report.is_complete() && to_come.is_empty()) {
            write_receipt(next, target, moves, global, output)?;
        }
        output.summary(&document, || {
            let (artifacts, referrers) = counts(moves, &report.roots);
            format!(
                "{}imported {}{}: {} written, {} there before; {} in {:.1} s{}\n",
                table(moves, &report.roots),
                human::count(artifacts, "artifact"),
                with_referrers(referrers),
                human::count(report.moved, "blob"),
                report.existed,
                Size(report.bytes),
                begun.elapsed().as_secs_f64(),
                pruning.as_ref().map(Pruning::text).unwrap_or_default(),
            )
        })?;
        let is_pruned = pruning.is_none_or(|pruning| pruning.is_done());
        if !(report.is_complete() && is_pruned) {
            return Ok(Exit::Failed);
        }
        Ok(volumes::exit(&to_come, self.together, output))
    }

    /// Writes down what is missing, if that was asked for.
    fn write_missing(&self, lost: &[Digest]) -> Result<(), Problem> {
        match self.missing {
            Some(missing) => missing.write(self.bundle, lost, self.output),
            None => Ok(()),
        }
    }
}

/// Compares a bundle with its record, and looks for what it takes for granted. What is missing is written
/// down, with what was `lost` before.
fn checked<'a>(
    import: longshore_bundle::Import<'a>,
    bundle: &OpenBundle<'_>,
    lost: &[Digest],
    missing: Option<&MissingFile<'_>>,
    opened: &OpenPlace,
    output: &Output,
) -> Result<longshore_bundle::Import<'a>, Problem> {
    let refusal = match import.check(&Silent) {
        Ok(import) => return Ok(import),
        Err(refusal) => refusal,
    };
    let lost = [lost, &refusal.missing()].concat();
    if let Some(missing) = missing.filter(|_| !lost.is_empty()) {
        missing.write(bundle, &lost, output)?;
    }
    Err(refused(refusal, opened, missing.is_some()))
}

/// Returns a problem of a bundle that is not what its record says: here that is a failure.
fn failed(problem: Problem) -> Problem {
    match problem.exit {
        Exit::Difference => problem.because(Exit::Failed),
        _ => problem,
    }
}

/// Writes down what the target holds now: all of a layout, and of a registry the repositories of the bundle and
/// those of the receipt before.
fn write_receipt(
    next: NextReceipt<'_>,
    target: &Target,
    moves: &[Move],
    global: &Global,
    output: &Output,
) -> Result<(), Problem> {
    let place = match target {
        Target::Layout(directory, _) => ReceiptPlace::Layout(&**directory),
        Target::Registry(registry) => {
            let before = next.before.iter().flat_map(|receipt| &receipt.repositories);
            let before = before.filter_map(|repository| repository.name.clone());
            let here = moves.iter().map(|of| of.to.repository().clone());
            let names: BTreeSet<_> = before.chain(here).collect();
            ReceiptPlace::Repositories(registry, names.into_iter().collect())
        }
    };
    let found = receipt::holdings_of(&[place], Proof::FirstByte, global)?;
    let is_bare = next.before.as_ref().is_some_and(|before| {
        let mut names = before.repositories.iter().map(|repository| &repository.name);
        names.next() == Some(&None) && names.next().is_none()
    });
    let names = if is_bare { Names::LeftOut } else { Names::Said };
    if let Some((_, text)) = next.write(found, names, output)? {
        output.note(text.trim_end());
    }
    Ok(())
}

/// Warns of rules that fit nothing in the bundle.
fn warn_of_idle(mapping: &Mapping, moves: &[Move], output: &Output) {
    let names: Vec<_> = moves.iter().map(|of| of.from.clone()).collect();
    for (rule, name) in mapping.idle(&names).zip(names.iter().cycle()) {
        output.warning(&format!(
            "--map {rule} matches nothing in the bundle; its names are full, such as {name}"
        ));
    }
}

/// Opens the bundle. One that comes through a pipe goes straight to its place in a layout, where
/// nothing names it yet; on its way elsewhere it is kept in an unnamed file.
fn open(
    args: &Import,
    target: Option<&Target>,
    global: &Global,
    output: &Output,
) -> Result<OpenFiles, Problem> {
    let pipe = match &args.bundles[..] {
        [pipe] if pipe.is_pipe() => pipe,
        files => {
            return OpenFiles::open(files, &args.reading, &Registries::reading(&args.reading));
        }
    };
    if let (Some(Target::Layout(directory, _)), false) = (target, args.dry_run) {
        let received = receive(args, directory, global, output)?;
        return Ok(OpenFiles::one(pipe, OpenPlace::StreamedArchive(received)));
    }
    let scratch = || args.reading.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let directory = target.and_then(Target::disk).unwrap_or_else(scratch);
    let archive = Archive::from_pipe(std::io::stdin().lock(), &directory).map_err(Problem::of)?;
    Ok(OpenFiles::one(pipe, OpenPlace::Archive(archive)))
}

/// Takes the content of a pipe into a layout; of a delta nothing, if the layout does not hold its base.
fn receive(
    args: &Import,
    directory: &Arc<Directory>,
    global: &Global,
    output: &Output,
) -> Result<StreamedArchive, Problem> {
    let files =
        [(RECORD, MAX_RECORD), (VOLUME, MAX_VOLUME_FILE), (DOCKER_MANIFEST, MAX_DOCKER_MANIFEST)];
    let receiving = StreamOptions { files: &files, allow_unverified: args.allow_unverified };
    let progress = Progress::without_end(output, "receiving");
    let observe = |bytes| progress.advanced(bytes);
    let whole = directory.whole();
    let guard = StreamGuard::new(&whole, global.jobs(), &observe);
    // A list of what is missing is made when all of the bundle is there: it may lack more.
    let observer: &dyn StreamObserver = if args.missing.is_none() { &guard } else { &observe };
    let received =
        StreamedArchive::read(std::io::stdin(), Arc::clone(directory), receiving, observer);
    progress.finish();
    received.map_err(|error| match guard.into_gaps() {
        gaps if gaps.is_empty() => Problem::of(error),
        gaps => without_base(&gaps, None, false),
    })
}

/// Tells what came damaged through a pipe. What nothing lacks would not have been looked at in a file.
fn tell_damaged(layout: &OpenPlace, plan: &SealedPlan<'_>, output: &Output) {
    let OpenPlace::StreamedArchive(received) = layout else { return };
    let came: HashSet<&Digest> = received.stats().blobs().collect();
    let lacking: HashSet<&Digest> =
        plan.digests().filter(|digest| !came.contains(*digest)).collect();
    for (digest, error) in &received.stats().damaged {
        if lacking.contains(digest) {
            Output::problem(&Problem::new(Exit::Failed, error.to_string()));
        } else {
            output.warning(&format!("{error}; nothing lacks it"));
        }
    }
}

/// Says why an artifact can go nowhere.
fn refused_move(error: MoveError) -> Problem {
    let problem = Problem::new(Exit::Usage, error.to_string());
    match error {
        MoveError::NoReference(_) => {
            problem.hint("`longshore copy` copies artifacts under any name")
        }
        MoveError::NotMapped(_) => problem.hint("change the rule that --map gives"),
        MoveError::NoNames => problem,
        MoveError::Conflict(_) => {
            problem.hint("give one of them another name, such as --map HOST/=SITE/PREFIX/")
        }
        MoveError::OtherRegistry { .. } => {
            problem.hint("import goes to one registry; run it once for each")
        }
        MoveError::Store(error) => Problem::of(error),
    }
}

/// Says why a bundle is not taken.
fn refused(refusal: ImportRefusal, opened: &OpenPlace, is_listed: bool) -> Problem {
    let more = |count: usize| match count - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let text = match refusal {
        ImportRefusal::Store(error) => return Problem::of(error),
        ImportRefusal::Different(all) => {
            let (first, more) = (&all[0], more(all.len()));
            format!("the bundle does not match its `bundle.json`: {first}{more}")
        }
        ImportRefusal::Incomplete(all) => {
            let (first, more) = (&all[0], more(all.len()));
            format!("the bundle is not complete: {first} is not in it{more}")
        }
        ImportRefusal::BaseAbsent(gaps) => return without_base(&gaps, Some(opened), is_listed),
    };
    Problem::new(Exit::Failed, text).hint(again(opened))
}

/// Returns the names that `changed`, in full: a tag alone does not say whose it is.
fn moved_names(changed: &[MovedTo], moves: &[Move], reports: &[RootReport]) -> Vec<MovedName> {
    MovedName::all(changed, reports, |moved| match moves.get(moved.root) {
        Some(of) => of.to.clone().with_digest(None).to_string(),
        None => moved.name.to_string(),
    })
}

/// Names all that would come to stand for something else.
fn would_overwrite(changed: &[MovedTo], moves: &[Move], reports: &[RootReport]) -> Problem {
    for MovedName { name, from, to } in moved_names(changed, moves, reports) {
        let text = format!("{name} would move from {from} to {to}");
        Output::problem(&Problem::new(Exit::Failed, text));
    }
    let count = human::count(changed.len() as u64, "name");
    let text = format!("{count} at the target would stand for something else; nothing was written");
    Problem::new(Exit::Failed, text).hint("without --no-overwrite they move")
}

/// Names all that a bundle takes for granted and that is not where it goes. A bundle that is not opened was refused
/// before the first of its blobs came.
fn without_base(gaps: &[BaseGap], opened: Option<&OpenPlace>, is_listed: bool) -> Problem {
    let absent = |gap: &BaseGap| {
        let place =
            gap.repository.as_ref().map_or_else(|| "the layout".to_owned(), ToString::to_string);
        let subject = gap.digest.to_string();
        Failure::new(Side::Target, Action::Check, subject, Error::not_found(&gap.digest, place))
    };
    let failures: Vec<Failure> = gaps.iter().map(absent).collect();
    for failure in &failures {
        Output::problem(&Problem::new(Exit::Failed, failure.to_string()));
    }
    let sizes: BTreeMap<&Digest, u64> = gaps.iter().map(|gap| (&gap.digest, gap.size)).collect();
    let bytes = sizes.values().fold(0, |sum: u64, size| sum.saturating_add(*size));
    let count = human::count(sizes.len() as u64, "blob");
    let done = match opened {
        Some(OpenPlace::StreamedArchive(_)) => {
            "nothing got a name, and `longshore gc` removes what came"
        }
        _ => "nothing was written",
    };
    let text = format!(
        "the bundle takes {count} for granted ({}) that the target does not hold; {done}",
        Size(bytes)
    );
    let hint = if is_listed {
        "import the bundle together with what `export --only` makes of the list"
    } else {
        "--missing FILE lists it, for `export --only` where the bundle was made; or export the bundle again with a new receipt of the site"
    };
    Problem::new(Exit::Failed, text).hint(hint).with(failures.iter())
}

/// Returns what to do about a bundle that is not taken.
fn again(layout: &OpenPlace) -> &'static str {
    if matches!(layout, OpenPlace::StreamedArchive(_)) {
        "fetch it again from its source; `longshore gc` removes what has arrived"
    } else {
        "fetch it again from its source; nothing was written"
    }
}

/// Tells what is not as whoever asked may think, though nothing failed.
fn tell(bundle: &OpenBundle<'_>, moves: &[Move], plan: &SealedPlan<'_>, output: &Output) {
    let known = bundle.record.as_ref().map(|record| &record.left_out[..]).unwrap_or_default();
    let known: HashSet<&Digest> = known.iter().filter_map(|left| left.digest.as_ref()).collect();
    for left in plan.left_out() {
        let (LeftOut::Absent(entry) | LeftOut::Filtered(entry)) = left;
        if !known.contains(&entry.digest) {
            output.warning(&format!("left out: {}", report::left_out(left)));
        }
    }
    if !known.is_empty() {
        output.note(&format!(
            "{} left out when the bundle was created; `longshore verify` names them",
            human::entries(known.len())
        ));
    }
    report::tell_unfit(plan.unfit(), output);
    let unnamed = moves.iter().filter(|of| of.to.tag().is_none()).count() as u64;
    if unnamed > 0 {
        let count = human::count(unnamed, "artifact");
        output.warning(&format!(
            "{count} pushed by digest only: some registries remove manifests without a tag"
        ));
    }
    let there: HashSet<&Digest> = plan.digests().collect();
    let others = bundle.listed.iter().filter(|root| root.names.is_empty());
    let others = others.filter(|root| !there.contains(&root.descriptor.digest)).count();
    if others > 0 {
        let entries = human::entries(others);
        output.note(&format!("{entries} without a name not imported"));
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
            Outcome::Done => "",
            Outcome::Skipped => "waiting",
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
    /// Returns the document of what was done, or would be, with the names that `changed` by it.
    fn new(
        plan: &SealedPlan<'_>,
        moves: &[Move],
        report: &Report,
        missing: Option<u64>,
        changed: &[MovedTo],
    ) -> Self {
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
                Outcome::Skipped => "waiting",
            },
        });
        let renamed = moved_names(changed, moves, &reports);
        Self {
            roots: roots.collect(),
            referrers: referrers(moves, &reports).filter_map(part).collect(),
            transfer: Transfer::new(plan, report, missing, renamed),
            volumes_to_come: None,
            changes: None,
            unverified: report.unverified.iter().map(ToString::to_string).collect(),
            pruned: None,
            kept: None,
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
