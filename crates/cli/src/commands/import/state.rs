//! What bundles brought to a target: the order of bundles of one name, and what is pruned.

use std::collections::HashSet;
use std::path::Path;

use longshore_bundle::{
    BroughtName, BundleName, DeliveryKey, ImportState, KeptBecause, KeptName, MAX_STATE, Move,
    OpenBundle, OpenRepository, Prune, PruneReport, PruneRequest, PruneTarget, Record, STATE,
};
use longshore_layout::{LockedFile, OwnFile, check_writable};
use longshore_remote::Registry;
use longshore_spec::{Digest, RepositoryName};
use longshore_store::{Error, Repository, TargetPlace as _};
use longshore_sync::{Outcome, Report, SealedPlan};

use super::target::{self, Target};
use crate::args::{Import, ImportDestination};
use crate::documents::{Failed, ImportDocument, KeptTag, PrunedTag};
use crate::human;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::report::tell_failures;

/// What is known of a target, and the bundle that goes there.
pub(super) struct SiteState<'a> {
    file: OwnFile<'a>,
    /// The file as it was read; `None` if there was none.
    found: Option<Digest>,
    state: ImportState,
    key: DeliveryKey,
    record: &'a Record,
}

/// The same while no other import may change it.
pub(super) struct LockedState<'s, 'a> {
    of: &'s SiteState<'a>,
    locked: LockedFile,
}

/// The repositories of a registry, to take names away.
#[derive(Debug)]
pub(super) struct Repositories<'r>(pub(super) &'r Registry);

impl OpenRepository for Repositories<'_> {
    fn open(&self, name: &RepositoryName) -> Box<dyn Repository + '_> {
        Box::new(self.0.remote_repository(name))
    }
}

impl<'a> SiteState<'a> {
    /// Reads what is known, and refuses a bundle that is older than the last. `None` if nothing is to be known:
    /// for a bundle without a name, and for a registry without --state.
    pub(super) fn read(
        args: &Import,
        bundle: &'a OpenBundle<'a>,
        target: &'a Target,
    ) -> Result<Option<Self>, Problem> {
        let named = bundle.record.as_ref().and_then(|record| Some((record, record.name.clone()?)));
        let Some((record, name)) = named else {
            let Some(flag) = flag(args) else { return Ok(None) };
            let text = format!("the bundle has no name, so {flag} has nothing to go by");
            return Err(Problem::new(Exit::Usage, text)
                .hint("give it one with `name:` in bundle.yaml, and export it again"));
        };
        let file = match (target, &args.series.state) {
            (Target::Registry(_), Some(path)) => OwnFile::at(path),
            (Target::Registry(_), None) if args.series.prune => {
                let text = "there is no state, so nothing is known that could be removed";
                return Err(Problem::new(Exit::Usage, text)
                    .hint("the first import with --state FILE begins one"));
            }
            (Target::Registry(_), None) => return Ok(None),
            (Target::Layout(..), Some(_)) => {
                let text = "--state is for registries: a layout has its state in itself";
                return Err(Problem::new(Exit::Usage, text).hint("leave out --state"));
            }
            (Target::Layout(directory, _), None) => OwnFile::of_layout(directory, STATE),
        };
        if let Some(path) = args.series.state.as_deref().filter(|_| !args.dry_run) {
            check_writable(path).map_err(Problem::of)?;
        }
        let bytes = file.read(MAX_STATE).map_err(Problem::of)?;
        let found = bytes.as_deref().map(Digest::sha256);
        let state = match bytes {
            Some(bytes) => parse(&file.path(), &bytes)?,
            None => ImportState::default(),
        };
        let key = DeliveryKey { bundle: name, target: place_of(args) };
        if !args.series.allow_older {
            state.check_order(&key, record.sequence).map_err(|older| {
                let text = format!("{older}; nothing got a name");
                Problem::new(Exit::Failed, text).hint("--allow-older imports it all the same")
            })?;
        }
        Ok(Some(Self { file, found, state, key, record }))
    }

    /// Keeps other imports from changing what is known. The plan is what comes: there is room for it, and for
    /// what is known then.
    pub(super) fn lock(
        &self,
        plan: &SealedPlan<'_>,
        moves: &[Move],
        args: &Import,
        target: &Target,
    ) -> Result<LockedState<'_, 'a>, Problem> {
        let mut next = self.state.clone();
        next.note_arrivals(&self.key, self.record, moves, &plan.roots(), target::kind(args));
        let path = self.file.path();
        next.to_bytes().map_err(|error| {
            let text = format!("{}: {error}", path.display());
            Problem::new(Exit::Usage, text)
                .hint("keep the bundles of each name in a state of its own")
        })?;
        if let Target::Layout(directory, _) = target {
            // It must exist, and is not created before there is room for what comes.
            directory.prepare(&plan.outline()).map_err(Problem::of)?;
        }
        let locked = self.file.lock().map_err(|error| match error {
            busy @ Error::Busy { .. } => {
                Problem::of(busy).hint("another import uses this state; try again when it is done")
            }
            error => Problem::of(error),
        })?;
        let found = locked.read(MAX_STATE).map_err(Problem::of)?;
        if found.as_deref().map(Digest::sha256) != self.found {
            let text = format!("another import has changed {} meanwhile", path.display());
            return Err(Problem::new(Exit::Failed, text).hint("import again"));
        }
        Ok(LockedState { of: self, locked })
    }
}

impl LockedState<'_, '_> {
    /// Writes down what came, and takes away what is to be pruned.
    pub(super) fn finish(
        self,
        moves: &[Move],
        args: &Import,
        report: &Report,
        pruning: Option<&mut Pruning<'_>>,
        plan: &SealedPlan<'_>,
        output: &Output,
    ) -> Result<(), Problem> {
        let Self { of, locked } = self;
        let mut state = of.state.clone();
        let kind = target::kind(args);
        state.note_arrivals(&of.key, of.record, moves, &report.roots, kind);
        if state != of.state {
            of.replace(&locked, &state)?;
        }
        let Some(pruning) = pruning else { return Ok(()) };
        if !report.is_complete() {
            output.warning("nothing was removed, since not all of the bundle came");
            pruning.done = Some(PruneReport::default());
            return Ok(());
        }
        if report.roots.iter().any(|root| root.outcome == Outcome::Skipped) {
            output.note("nothing was removed, since volumes are still to come");
            pruning.done = Some(PruneReport::default());
            return Ok(());
        }
        let needed: HashSet<&Digest> = plan.digests().collect();
        let pruned = pruning.prune.run(&|digest| needed.contains(digest));
        tell_pruned(&pruned, output);
        let has_changed = state.note_pruned(&of.key, &pruning.prune, &pruned);
        pruning.done = Some(pruned);
        if has_changed { of.replace(&locked, &state) } else { Ok(()) }
    }
}

impl SiteState<'_> {
    fn replace(&self, locked: &LockedFile, state: &ImportState) -> Result<(), Problem> {
        let path = self.file.path();
        let bytes = state
            .to_bytes()
            .map_err(|error| Problem::new(Exit::Failed, format!("{}: {error}", path.display())))?;
        locked.replace(&bytes).map_err(|error| {
            Problem::of(error)
                .because(Exit::Failed)
                .hint("the bundle came, and the state does not know of it; import it again")
        })
    }
}

/// A prune that is wanted, and what came of it.
pub(super) struct Pruning<'s> {
    bundle: &'s BundleName,
    prune: Prune<'s>,
    done: Option<PruneReport>,
}

impl<'s> Pruning<'s> {
    /// Finds out what would be removed, if that is wanted, and says what is not known. Too much is refused, unless
    /// it is to be shown first.
    pub(super) fn prepare(
        site: Option<&'s SiteState<'s>>,
        args: &Import,
        moves: &'s [Move],
        target: PruneTarget<'s>,
        jobs: usize,
        output: &Output,
    ) -> Result<Option<Self>, Problem> {
        let Some(SiteState { state, key, record, .. }) = site.filter(|_| args.series.prune) else {
            return Ok(None);
        };
        let prune = PruneRequest { state, key, moves, record, target, jobs }.prepare();
        let pruning = Self { bundle: &key.bundle, prune, done: None };
        pruning.tell(args, output);
        if !args.dry_run {
            pruning.check_limit(args)?;
        }
        Ok(Some(pruning))
    }

    /// Refuses to remove more than a share of what is known, before anything is written.
    pub(super) fn check_limit(&self, args: &Import) -> Result<(), Problem> {
        let Self { bundle, prune, .. } = self;
        let limit = args.series.prune_limit;
        if args.series.yes || !prune.is_certain() || !prune.exceeds(limit) {
            return Ok(());
        }
        let text = format!(
            "{} of {} that bundles of {bundle} brought would be removed, more than {limit}; nothing was written",
            prune.names.len(),
            human::count(prune.known as u64, "name"),
        );
        Err(Problem::new(Exit::Failed, text)
            .hint("--dry-run shows them; --yes removes them all the same"))
    }

    fn tell(&self, args: &Import, output: &Output) {
        let Self { bundle, prune, .. } = self;
        if prune.known == 0 {
            output.note(&format!(
                "no earlier bundle of {bundle} is known at this target, so nothing is removed"
            ));
        }
        if !prune.is_certain() {
            tell_failures(&prune.failures, &Report::default());
            Output::problem(&uncertain(prune, args));
            return;
        }
        if args.dry_run {
            for of in &prune.names {
                output.note(&format!("would remove {} ({})", of.name, of.digest));
            }
            tell_kept(&prune.kept, output);
        }
    }

    /// Adds to the document of an import what was pruned, or would be.
    pub(super) fn add_to(&self, document: &mut ImportDocument) {
        let Self { prune, done, .. } = self;
        let (names, kept, failures) = match done {
            Some(PruneReport { removed, kept, failures, .. }) => {
                (&removed[..], kept, &failures[..])
            }
            None if prune.is_certain() => (&prune.names[..], &prune.kept, &[][..]),
            None => (&[][..], &prune.kept, &[][..]),
        };
        let pruned = names.iter().map(|BroughtName { name, digest }| PrunedTag {
            name: name.to_string(),
            digest: digest.to_string(),
        });
        document.pruned = Some(pruned.collect());
        document.kept = Some(kept.iter().map(KeptTag::from).collect());
        document.failures.extend(prune.failures.iter().chain(failures).map(Failed::from));
    }

    /// Returns what the last line of the import says of it.
    pub(super) fn text(&self) -> String {
        let removed = self.done.as_ref().map_or(0, |done| done.removed.len());
        format!("; {} removed", human::count(removed as u64, "name"))
    }

    /// Tells whether it is known of every name whether it may go.
    pub(super) fn is_certain(&self) -> bool {
        self.prune.is_certain()
    }

    /// Tells whether all is done that was to be.
    pub(super) fn is_done(&self) -> bool {
        self.is_certain() && self.done.as_ref().is_some_and(|done| done.failures.is_empty())
    }
}

/// Says what was removed, and what was not.
fn tell_pruned(report: &PruneReport, output: &Output) {
    for of in &report.removed {
        output.note(&format!("removed {} ({})", of.name, of.digest));
    }
    tell_kept(&report.kept, output);
    tell_failures(&report.failures, &Report::default());
}

fn tell_kept(kept: &[KeptName], output: &Output) {
    for KeptName { name, why, .. } in kept {
        let text = format!("{name} stays: it {why}");
        match why {
            KeptBecause::Shared(_) | KeptBecause::Mapped(_) => output.note(&text),
            KeptBecause::Moved(_) => output.warning(&text),
            KeptBecause::Tagged(_) | KeptBecause::Listed(_) | KeptBecause::Needed => {
                output.warning(&format!("{text}, and the registry deletes no tag alone"));
            }
        }
    }
}

/// Says why nothing is removed.
fn uncertain(prune: &Prune<'_>, args: &Import) -> Problem {
    let done = if args.dry_run { "nothing would be removed" } else { "nothing is removed" };
    if prune.failures.is_empty() {
        let count = human::count(prune.lacking as u64, "artifact");
        let text = format!("{done}: the bundle was made without {count} that it was to have");
        return Problem::new(Exit::Failed, text).hint("prune with a bundle that has all of it");
    }
    let count = human::count(prune.failures.len() as u64, "name");
    let text = format!("{done}: it is not known what {count} at the target stand for");
    Problem::new(Exit::Failed, text).hint("try again when the target answers")
}

impl From<&KeptName> for KeptTag {
    fn from(KeptName { name, digest, why }: &KeptName) -> Self {
        let (word, by) = match why {
            KeptBecause::Moved(digest) => ("moved", Some(digest.to_string())),
            KeptBecause::Shared(bundle) => ("shared", Some(bundle.to_string())),
            KeptBecause::Mapped(to) => ("mapped", Some(to.to_string())),
            KeptBecause::Tagged(tag) => ("tagged", Some(tag.to_string())),
            KeptBecause::Listed(index) => ("listed", Some(index.to_string())),
            KeptBecause::Needed => ("needed", None),
        };
        Self { name: name.to_string(), digest: digest.to_string(), why: word, by }
    }
}

/// Returns the flag that wants something of a state.
fn flag(args: &Import) -> Option<&'static str> {
    if args.series.prune {
        Some("--prune")
    } else {
        args.series.state.is_some().then_some("--state")
    }
}

/// Returns what a state calls the target: where paths begin there.
fn place_of(args: &Import) -> String {
    match (&args.target, &args.prefix) {
        (Some(ImportDestination::Registry { prefix: place, .. }), None) => place.clone(),
        (Some(ImportDestination::Registry { prefix: place, .. }), Some(prefix)) => {
            format!("{place}/{prefix}")
        }
        (Some(ImportDestination::Layout(_)) | None, _) => DeliveryKey::HERE.to_owned(),
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<ImportState, Problem> {
    ImportState::parse(bytes).map_err(|error| {
        let text = format!("{} does not say what was imported before: {error}", path.display());
        Problem::new(Exit::Usage, text)
            .hint("bring back a copy of it, or remove it: then nothing that came before is pruned")
    })
}
