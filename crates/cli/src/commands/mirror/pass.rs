//! One pass of a mirror.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use longshore_bundle::{
    ImportTarget, Mapping, MirrorError, MirrorFile, MirrorPass, MirrorRequest, MirrorRoutes,
    MoveError, SelectedPlaces,
};
use longshore_spec::{Digest, Size};
use longshore_store::Name;
use longshore_sync::{
    Arrival, Failure, Moved, Observer, Outcome, Report, RootReport, Silent, Unchanged,
};

use super::NamedTarget;
use crate::args::{self, Global, ImportDestination};
use crate::commands::import::target::Target;
use crate::commands::platforms;
use crate::commands::selection::{Layouts, Places};
use crate::documents::{MirrorDocument as Document, MirroredRoot, MovedName, Transfer};
use crate::human;
use crate::output::{Output, table};
use crate::problem::{Exit, Problem};
use crate::progress::Progress;
use crate::registries::Registries;
use crate::report::{self, tell_called, tell_failures, tell_moved};

/// What a pass has done, or would do.
pub(super) struct Made {
    pub(super) exit: Exit,
    pub(super) document: Document,
    /// The same for people.
    pub(super) text: String,
}

/// Makes a pass, or finds out what it would change, and says what goes wrong meanwhile. Once `stop` is true
/// it ends, and what has come is kept.
///
/// # Errors
///
/// It cannot begin, or the target takes nothing.
pub(super) fn run(
    file: &MirrorFile<NamedTarget>,
    args: &args::Mirror,
    global: &Global,
    output: &Output,
    stop: &AtomicBool,
) -> Result<Made, Problem> {
    let begun = Instant::now();
    let registries = Registries::reading(&args.reading);
    let layouts = Layouts::open(&file.selection, &args.reading, &registries)?;
    let opener = Places { layouts: &layouts, registries: &registries };
    let places = SelectedPlaces::open(&file.selection, &opener)?;
    let target = Target::open(Some(&file.target.to), &registries)?;
    let whole;
    let to = match &target {
        Target::Registry(registry) => {
            ImportTarget::Registry { place: registry, content: registry, host: registry.host() }
        }
        Target::Layout(directory, _) => {
            whole = directory.whole();
            ImportTarget::Layout { place: &**directory, whole: &whole, content: &whole }
        }
    };
    let elsewhere = match &file.target.to {
        ImportDestination::Registry { prefix, .. } => Some(prefix.clone()),
        ImportDestination::Layout(_) => None,
    };
    let mapping = Mapping::new(file.map.clone(), elsewhere);
    let routes = MirrorRoutes::open(&places, &mapping, to, global.jobs()).map_err(refused_move)?;
    let request = MirrorRequest {
        places: &places,
        routes: &routes,
        unchanged: match args.unchanged {
            args::Unchanged::Closure => Unchanged::Closure,
            args::Unchanged::Digest => Unchanged::Digest,
        },
        allow_unverified: args.allow_unverified,
        jobs: global.jobs(),
    };
    let mirror =
        request.prepare(&Stoppable { observer: &Silent, stop }).map_err(|error| match error {
            MirrorError::Conflict(error) => Problem::of(error),
            MirrorError::Undecided(undecided) => platforms::undecided(&undecided),
        })?;
    let pass = Pass { file, routes: &routes, mirror: &mirror, begun, global, output, stop };
    for failures in [routes.failures(), mirror.plan().failures()] {
        tell_failures(failures, &Report::default());
    }
    report::tell_unfit(mirror.plan().unfit(), output);
    if args.dry_run || args.check { pass.would_be(args) } else { pass.carry_out() }
}

/// Says why an artifact can go nowhere.
fn refused_move(error: MoveError) -> Problem {
    let problem = Problem::new(Exit::Usage, error.to_string());
    match error {
        MoveError::NotMapped(_) => problem.hint("change the rule in `map`"),
        MoveError::OtherRegistry { .. } => {
            problem.hint("a mirror has one target; write a file for each")
        }
        MoveError::Store(error) => Problem::of(error),
        MoveError::NoReference(_) | MoveError::NoNames | MoveError::Conflict(_) => problem,
    }
}

/// One pass, with all that there is to say about it.
struct Pass<'a> {
    file: &'a MirrorFile<NamedTarget>,
    routes: &'a MirrorRoutes<'a>,
    mirror: &'a MirrorPass<'a>,
    begun: Instant,
    global: &'a Global,
    output: &'a Output,
    stop: &'a AtomicBool,
}

impl Pass<'_> {
    /// Says what would change, and how much of it is not there.
    fn would_be(&self, args: &args::Mirror) -> Result<Made, Problem> {
        let plan = self.mirror.plan();
        let missing = plan.totals(self.global.jobs()).map_err(Problem::of)?.missing;
        let moved = plan.moved(self.global.jobs());
        let reports = plan.roots();
        let document = self.document(&Report::default(), &reports, Some(missing), &moved);
        tell_moved(&document.transfer.moved, "would move", self.output);
        let is_equal = document.roots.iter().all(|root| root.outcome == "skipped") && missing == 0;
        let has_failed = !document.failures.is_empty();
        let text = format!(
            "{}would bring {} to {}: {} is not there yet; {} unchanged\n",
            rows(&document),
            count(&document, "done"),
            self.file.target.text,
            Size(missing),
            human::count(document.unchanged, "artifact"),
        );
        let exit = match (has_failed, args.check && !is_equal) {
            (true, _) => Exit::Failed,
            (false, true) => Exit::Difference,
            (false, false) => Exit::Done,
        };
        Ok(Made { exit, document, text })
    }

    /// Brings what has changed to the target.
    fn carry_out(&self) -> Result<Made, Problem> {
        let Self { mirror, output, .. } = *self;
        let plan = mirror.plan();
        let moved = plan.moved(self.global.jobs());
        let progress = Progress::new(output, "mirroring", plan.size().bytes).of_artifacts(plan);
        let result = mirror.run(&Stoppable { observer: &progress, stop: self.stop });
        progress.finish();
        let report = result.map_err(|failure| Problem::of(*failure.error))?;
        let names: Vec<_> = self.routes.names().collect();
        tell_called(&report, |number, _| names.get(number).map(|(_, to)| to.to_string()));
        let document = self.document(&report, &report.roots, None, &moved);
        tell_moved(&document.transfer.moved, "moved", output);
        let complete = report.is_complete() && document.failures.is_empty();
        let text = format!(
            "{}mirrored {} to {}: {} written; {} unchanged; {} in {:.1} s\n",
            rows(&document),
            count(&document, "done"),
            self.file.target.text,
            human::count(report.moved, "blob"),
            human::count(document.unchanged, "artifact"),
            Size(report.bytes),
            self.begun.elapsed().as_secs_f64(),
        );
        let exit = if complete { Exit::Done } else { Exit::Failed };
        Ok(Made { exit, document, text })
    }

    fn document(
        &self,
        report: &Report,
        reports: &[RootReport],
        missing: Option<u64>,
        moved: &[Moved],
    ) -> Document {
        let plan = self.mirror.plan();
        let names: Vec<_> = self.routes.names().collect();
        let is_unchanged =
            |number: usize| plan.is_unchanged(number) && reports[number].outcome == Outcome::Done;
        let (wanted, referrers) = reports.split_at(names.len().min(reports.len()));
        let roots = names.iter().zip(wanted).enumerate();
        let roots = roots.filter(|(number, _)| !is_unchanged(*number));
        let roots = roots.map(|(_, ((from, to), root))| MirroredRoot {
            from: from.to_string(),
            to: to.to_string(),
            digest: root.descriptor.as_ref().map(|descriptor| descriptor.digest.to_string()),
            artifact_type: root.artifact_type.as_deref().map(str::to_owned),
            outcome: match root.outcome {
                Outcome::Done => "done",
                Outcome::Failed => "failed",
                Outcome::Skipped => "skipped",
            },
        });
        let roots: Vec<_> = roots.collect();
        let done = referrers.iter().filter(|root| root.outcome == Outcome::Done);
        let moved = MovedName::all(moved, reports, |moved| match names.get(moved.root) {
            Some((_, to)) => (*to).clone().with_digest(None).to_string(),
            None => moved.name.to_string(),
        });
        Document {
            target: self.file.target.text.clone(),
            unchanged: (wanted.len() - roots.len()) as u64,
            roots,
            referrers: done.count() as u64,
            transfer: Transfer::new(plan, report, missing, moved),
            unverified: report.unverified.iter().map(ToString::to_string).collect(),
            failures: self.mirror.failures().chain(&report.failures).map(Into::into).collect(),
        }
    }
}

/// Returns a line for each artifact that is not unchanged.
fn rows(document: &Document) -> String {
    let rows = document.roots.iter().map(|root| {
        let outcome = if root.outcome == "done" { "" } else { root.outcome };
        let digest = root.digest.clone().unwrap_or_default();
        vec![root.from.clone(), root.to.clone(), digest, outcome.to_owned()]
    });
    table(&rows.collect::<Vec<_>>())
}

/// Counts the artifacts with an outcome.
fn count(document: &Document, outcome: &str) -> String {
    let count = document.roots.iter().filter(|root| root.outcome == outcome).count();
    human::count(count as u64, "artifact")
}

/// An observer that ends the work once somebody wants it to.
struct Stoppable<'a> {
    observer: &'a dyn Observer,
    stop: &'a AtomicBool,
}

impl Observer for Stoppable<'_> {
    fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.observer.is_cancelled()
    }

    fn resumed(&self, there: u64) {
        self.observer.resumed(there);
    }

    fn began(&self, name: Option<&Name>, digest: &Digest, size: u64) {
        self.observer.began(name, digest, size);
    }

    fn advanced(&self, bytes: u64) {
        self.observer.advanced(bytes);
    }

    fn finished(&self, digest: &Digest, size: u64, arrival: Arrival) {
        self.observer.finished(digest, size, arrival);
    }

    fn named(&self, names: &[Name], digest: &Digest) {
        self.observer.named(names, digest);
    }

    fn failed(&self, failure: &Failure) {
        self.observer.failed(failure);
    }
}
