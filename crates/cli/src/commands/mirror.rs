//! `mirror`: a registry or a layout is kept equal to what a file says.

use std::path::Path;
use std::time::Instant;

use longshore_bundle::{
    ImportTarget, Mapping, MirrorError, MirrorFile, MirrorPass, MirrorRequest, MirrorRoutes,
    MoveError, SelectedPlaces,
};
use longshore_spec::Size;
use longshore_sync::{Moved, Outcome, Report, RootReport, Silent, Unchanged};

use super::import::target::Target;
use super::platforms;
use super::selection::{Layouts, Places};
use crate::args::{self, Global, ImportDestination};
use crate::documents::{MirrorDocument as Document, MirroredRoot, MovedName, Transfer};
use crate::human;
use crate::input;
use crate::interrupt;
use crate::location::layout_in_file;
use crate::output::{Output, table};
use crate::problem::{Exit, Mistake, Problem};
use crate::progress::Progress;
use crate::registries::Registries;
use crate::report::{self, tell_called, tell_failures, tell_moved};

pub(crate) fn run(args: &args::Mirror, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let begun = Instant::now();
    let file = read(&args.file)?;
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
    let mirror = request.prepare(&Silent).map_err(|error| match error {
        MirrorError::Conflict(error) => Problem::of(error),
        MirrorError::Undecided(undecided) => platforms::undecided(&undecided),
    })?;
    let pass = Pass { file: &file, routes: &routes, mirror: &mirror, begun, global, output };
    for failures in [routes.failures(), mirror.plan().failures()] {
        tell_failures(failures, &Report::default());
    }
    report::tell_unfit(mirror.plan().unfit(), output);
    if args.dry_run || args.check { pass.would_be(args) } else { pass.carry_out() }
}

/// Where artifacts go, and how that is written.
struct NamedTarget {
    text: String,
    to: ImportDestination,
}

/// Reads `mirror.yaml`.
fn read(path: &Path) -> Result<MirrorFile<NamedTarget>, Problem> {
    let (name, text) =
        (input::name(path), input::text(path, input::MAX_LIST).map_err(Problem::of)?);
    let target = |text: &str| {
        let to: Result<_, Mistake> = text.parse();
        Ok(NamedTarget { text: text.to_owned(), to: to.map_err(|mistake| mistake.to_string())? })
    };
    let file = MirrorFile::parse(&name, &text, &layout_in_file, target)
        .map_err(|error| Problem::new(Exit::Usage, error.to_string()))?;
    if file.selection.items.is_empty() {
        let text = format!("{name} names no artifact, so nothing is wanted");
        return Err(Problem::new(Exit::Usage, text)
            .hint("`longshore init --mirror` writes an example of what can be wanted"));
    }
    Ok(file)
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
}

impl Pass<'_> {
    /// Says what would change, and how much of it is not there.
    fn would_be(&self, args: &args::Mirror) -> Result<Exit, Problem> {
        let plan = self.mirror.plan();
        let missing = plan.totals(self.global.jobs()).map_err(Problem::of)?.missing;
        let moved = plan.moved(self.global.jobs());
        let reports = plan.roots();
        let document = self.document(&Report::default(), &reports, Some(missing), &moved);
        tell_moved(&document.transfer.moved, "would move", self.output);
        let is_equal = document.roots.iter().all(|root| root.outcome == "skipped") && missing == 0;
        let has_failed = !document.failures.is_empty();
        self.output.result(&document, || {
            format!(
                "{}would bring {} to {}: {} is not there yet; {} unchanged\n",
                rows(&document),
                count(&document, "done"),
                self.file.target.text,
                Size(missing),
                human::count(document.unchanged, "artifact"),
            )
        })?;
        Ok(match (has_failed, args.check && !is_equal) {
            (true, _) => Exit::Failed,
            (false, true) => Exit::Difference,
            (false, false) => Exit::Done,
        })
    }

    /// Brings what has changed to the target.
    fn carry_out(&self) -> Result<Exit, Problem> {
        let Self { mirror, output, .. } = *self;
        let plan = mirror.plan();
        let moved = plan.moved(self.global.jobs());
        interrupt::promise_to_go_on(output);
        let progress = Progress::new(output, "mirroring", plan.size().bytes).of_artifacts(plan);
        let result = mirror.run(&progress);
        progress.finish();
        let report = result.map_err(|failure| Problem::of(*failure.error))?;
        tell_called(&report, |number, _| Some(self.routes.names().nth(number)?.1.to_string()));
        let document = self.document(&report, &report.roots, None, &moved);
        tell_moved(&document.transfer.moved, "moved", output);
        let complete = report.is_complete() && document.failures.is_empty();
        output.summary(&document, || {
            format!(
                "{}mirrored {} to {}: {} written; {} unchanged; {} in {:.1} s\n",
                rows(&document),
                count(&document, "done"),
                self.file.target.text,
                human::count(report.moved, "blob"),
                human::count(document.unchanged, "artifact"),
                Size(report.bytes),
                self.begun.elapsed().as_secs_f64(),
            )
        })?;
        Ok(if complete { Exit::Done } else { Exit::Failed })
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
