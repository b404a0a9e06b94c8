//! `lock`: what is wanted, pinned to digests.

use std::path::{Path, PathBuf};

use longshore_bundle::{Change, LeftBehind, Lock, LockError, LockedReferrer, Outdated, Selection};
use longshore_layout::write_file;
use longshore_spec::Digest;
use longshore_store::{Error, Subject};
use longshore_sync::{Failure, Filter, Plan, Report, Wanted};

use super::platforms;
use super::wanted::{self, Layouts, Sources};
use crate::args::{self, Export, Global};
use crate::documents::{LockChange, LockDocument as Document, LockOutdated};
use crate::human;
use crate::input;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::Registries;
use crate::report::tell_failures;

pub(crate) fn run(args: &args::Lock, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let selection = wanted::selection(&[], Some(&args.file), &args.taken, output)?;
    let path = beside(&args.file)?;
    let before = match read(&path) {
        Ok(lock) => Some(lock),
        Err(_) if !path.exists() && !args.check => None,
        Err(problem) => return Err(problem),
    };
    let now = resolve(args, &selection, global, output)?;
    let next = match &before {
        Some(before) if !args.update.is_empty() => {
            args.update.iter().try_fold(before.clone(), |lock, name| {
                lock.updated(&now, name).ok_or_else(|| {
                    let text = format!("nothing that is wanted is called `{name}`");
                    Problem::new(Exit::Usage, text)
                        .hint("give a reference in full, or a repository: host and path")
                })
            })?
        }
        _ => now,
    };
    let outdated = before.as_ref().map(|before| before.outdated(&selection)).unwrap_or_default();
    let changes = before.as_ref().map(|before| before.changes(&next)).unwrap_or_default();
    let lines: String = changes.iter().map(|change| format!("{change}\n")).collect();
    let document = Document {
        file: path.display().to_string(),
        artifacts: next.len() as u64,
        changes: changes.iter().map(Into::into).collect(),
        outdated: outdated.iter().map(Into::into).collect(),
    };
    let count = human::count(next.len() as u64, "artifact");
    if args.check {
        for outdated in &outdated {
            output.warning(&format!("{} is out of date: {outdated}", path.display()));
        }
        output.summary(&document, || match changes.len() as u64 {
            0 if next.len() == 1 => format!("{count} is as it was locked\n"),
            0 => format!("{count} are as they were locked\n"),
            several => {
                format!("{lines}{} since it was locked\n", human::count(several, "change"))
            }
        })?;
        let same = changes.is_empty() && outdated.is_empty();
        return Ok(if same { Exit::Done } else { Exit::Difference });
    }
    write_file(&path, &next.to_bytes()).map_err(Problem::of)?;
    let are = if next.len() == 1 { "is" } else { "are" };
    output.summary(&document, || format!("{lines}{count} {are} locked in {}\n", path.display()))?;
    Ok(Exit::Done)
}

impl From<&Change> for LockChange {
    fn from(change: &Change) -> Self {
        let of = |change, reference: &String| Self {
            change,
            reference: reference.clone(),
            from: None,
            to: None,
            artifact_type: None,
        };
        let some = |digest: &Digest| Some(digest.to_string());
        match change {
            Change::New(reference, digest) => Self { to: some(digest), ..of("new", reference) },
            Change::Gone(reference) => of("gone", reference),
            Change::Moved { reference, before, now } => {
                Self { from: some(before), to: some(now), ..of("moved", reference) }
            }
            Change::Platforms(reference) => of("platforms", reference),
            Change::NewReferrer(reference, LockedReferrer { digest, artifact_type }) => Self {
                to: some(digest),
                artifact_type: Some(artifact_type.clone()),
                ..of("new-referrer", reference)
            },
            Change::GoneReferrer(reference, LockedReferrer { digest, artifact_type }) => Self {
                from: some(digest),
                artifact_type: Some(artifact_type.clone()),
                ..of("gone-referrer", reference)
            },
        }
    }
}

impl From<&Outdated> for LockOutdated {
    fn from(outdated: &Outdated) -> Self {
        let of =
            |change, of: &String| Self { change, of: of.clone(), key: None, from: None, to: None };
        match outdated {
            Outdated::Key { of: item, key, before, now } => Self {
                key: Some(key.clone()),
                from: before.clone(),
                to: now.clone(),
                ..of("key", item)
            },
            Outdated::Unwanted(item) => of("unwanted", item),
            Outdated::Wanted(item) => of("wanted", item),
        }
    }
}

/// Finds out what is wanted now. All of it has to be there, but to a check what is gone is an answer
/// too.
fn resolve(
    args: &args::Lock,
    selection: &Selection,
    global: &Global,
    output: &Output,
) -> Result<Lock, Problem> {
    let registries = Registries::reading(&args.reading);
    let layouts = Layouts::open(selection, &args.reading, &registries)?;
    let sources = Sources::open(selection, &registries, &layouts)?;
    let (picked, failures) = selection.pick(global.jobs(), &sources.offered(None));
    let filters: Vec<Filter> = picked.iter().map(|picked| picked.item.filter()).collect();
    let wanted = picked
        .iter()
        .zip(&filters)
        .map(|(picked, filter)| Wanted { filter: Some(filter), ..sources.wanted(picked) });
    let plan = Plan::discover(wanted.collect(), &Filter::default(), global.jobs());
    tell_failures(&failures, &Report::default());
    tell_failures(plan.failures(), &Report::default());
    let mut failed = failures.iter().chain(plan.failures()).peekable();
    if failed.peek().is_some() && !(args.check && failed.all(|it| it.error.is_not_found())) {
        let what = if args.check { "nobody knows what has changed" } else { "nothing is locked" };
        let text = format!("not all that is wanted can be had, so {what}");
        let failed = failures.iter().chain(plan.failures());
        return Err(Problem::new(Exit::Failed, text).with(failed));
    }
    platforms::warn(&picked, &plan.roots(), output);
    Ok(Lock::of(&plan, selection))
}

/// Returns the path of the lock of a file.
fn beside(file: &Path) -> Result<PathBuf, Problem> {
    if file == Path::new("-") {
        return Err(Problem::new(Exit::Usage, "a lock lies beside a file, and stdin is none"));
    }
    Ok(file.with_extension("lock"))
}

fn read(path: &Path) -> Result<Lock, Problem> {
    let bytes = input::bytes(path, input::MAX_LOCK)
        .map_err(|error| Problem::of(error).hint("`longshore lock` writes it"))?;
    Lock::parse(&bytes).map_err(|error| {
        let problem = Problem::new(Exit::Usage, format!("{}: {error}", path.display()));
        match error {
            LockError::Newer(_) => problem.hint("use a newer version of longshore"),
            LockError::Malformed(_) => {
                problem.hint("remove it, and `longshore lock` writes it anew")
            }
        }
    })
}

/// Returns the lock that `export --locked` takes; `None` without the flag.
pub(crate) fn of_export(args: &Export, selection: &Selection) -> Result<Option<Lock>, Problem> {
    let Some(file) = args.file.as_ref().filter(|_| args.locked) else { return Ok(None) };
    if !args.wanted.is_empty() {
        let text = "--locked takes what is locked, and no references beside";
        return Err(Problem::new(Exit::Usage, text).hint(format!("add them to {}", file.display())));
    }
    let path = beside(file)?;
    let lock = read(&path)?;
    if let [first, others @ ..] = &lock.outdated(selection)[..] {
        let more = match others.len() as u64 {
            0 => String::new(),
            1 => "; and 1 more difference".to_owned(),
            more => format!("; and {more} more differences"),
        };
        let text = format!("{} is out of date: {first}{more}", path.display());
        let hint = format!(
            "`longshore lock -f {}` locks what is wanted now; flags such as --platform are part of it",
            file.display()
        );
        return Err(Problem::new(Exit::Usage, text).hint(hint));
    }
    Ok(Some(lock))
}

/// Returns what it means that something cannot be had because what is locked is gone, if that is why.
pub(crate) fn gone(locked: &Lock, failure: &Failure) -> Option<Problem> {
    let Error::NotFound { what: Subject::Digest(digest), place, .. } = &*failure.error else {
        return None;
    };
    let (reference, _) = locked.artifacts().find(|(_, locked)| locked.digest == *digest)?;
    let text = format!("{reference} is locked to {digest}, which {place} does not have any more");
    let hint = format!("`longshore lock --update {reference}` locks what it is now");
    Some(Problem::new(Exit::Failed, text).hint(hint))
}

/// Refuses a plan that is not what was locked, but for what was `dropped` from it.
pub(crate) fn refuse_changes(
    locked: &Lock,
    now: &Lock,
    dropped: &[LeftBehind],
) -> Result<(), Problem> {
    let mut changes = locked.changes(now);
    changes.retain(|change| match change {
        Change::Gone(gone) => dropped.iter().all(|left| left.reference.as_ref() != Some(gone)),
        Change::GoneReferrer(_, gone) => {
            dropped.iter().all(|left| left.digest.as_ref() != Some(&gone.digest))
        }
        _ => true,
    });
    for change in &changes {
        Output::problem(&Problem::new(Exit::Failed, format!("not as locked: {change}")));
    }
    if !changes.is_empty() {
        let text = "what is locked cannot be had as it was";
        return Err(
            Problem::new(Exit::Failed, text).hint("`longshore lock --check` says what has changed")
        );
    }
    Ok(())
}
