//! `lock`: what is wanted, pinned to digests.

use std::path::{Path, PathBuf};

use longshore_bundle::{
    Change, Gone, Lock, LockError, LockRefusal, LockRequest, LockedReferrer, Outdated, Resolved,
    SelectedPlaces, Selection,
};
use longshore_layout::write_file;
use longshore_spec::Digest;
use longshore_store::{Error, Subject};
use longshore_sync::{Failure, Report, Silent};

use super::platforms;
use super::selection::{self, Layouts, Places};
use crate::args::{self, Export, Global};
use crate::documents::{LockChange, LockDocument as Document, LockOutdated};
use crate::human;
use crate::input;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::Registries;
use crate::report::tell_failures;
use crate::shell;

pub(crate) fn run(args: &args::Lock, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let selection = selection::selection(&[], Some(&args.file), &args.defaults, output)?;
    let path = beside(&args.file)?;
    let before = match read(&args.file, &path) {
        Ok(lock) => Some(lock),
        Err(_) if !path.exists() && !args.check => None,
        Err(problem) => return Err(problem),
    };
    let (Resolved { lock: next, is_whole }, failures) =
        resolve(before.as_ref(), args, &selection, global, output)?;
    let outdated = before.as_ref().map(|before| before.outdated(&selection)).unwrap_or_default();
    let changes = before.as_ref().map(|before| before.changes(&next)).unwrap_or_default();
    let lines: String = changes.iter().map(|change| format!("{change}\n")).collect();
    let document = Document {
        file: path.display().to_string(),
        artifacts: next.len() as u64,
        changes: changes.iter().map(Into::into).collect(),
        outdated: outdated.iter().map(Into::into).collect(),
        failures: failures.iter().map(Into::into).collect(),
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
        return Ok(match same {
            false => Exit::Difference,
            // What cannot be had may have been locked, or never have been.
            true if !is_whole || !failures.is_empty() => Exit::Failed,
            true => Exit::Done,
        });
    }
    write_file(&path, &next.to_bytes()).map_err(Problem::of)?;
    let are = if next.len() == 1 { "is" } else { "are" };
    output.summary(&document, || format!("{lines}{count} {are} locked in {}\n", path.display()))?;
    Ok(if is_whole { Exit::Done } else { Exit::Failed })
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

/// Finds out what is wanted now, and says and returns what cannot be had.
fn resolve(
    before: Option<&Lock>,
    args: &args::Lock,
    selection: &Selection,
    global: &Global,
    output: &Output,
) -> Result<(Resolved, Vec<Failure>), Problem> {
    let gone = if args.check { Gone::Dropped } else { Gone::Kept };
    let request =
        LockRequest { selection, before, update: &args.update, gone, jobs: global.jobs() };
    let asked = request.asked();
    let registries = Registries::reading(&args.reading);
    let layouts = Layouts::open(&asked, &args.reading, &registries)?;
    let opener = Places { layouts: &layouts, registries: &registries };
    let mut proposal = request.prepare(&SelectedPlaces::open(&asked, &opener)?, &Silent);
    platforms::refuse_undecided(&proposal.undecided)?;
    let (unchosen, lost) = proposal.failures.split_at(proposal.unchosen);
    tell_failures(unchosen, &Report::default());
    let roots = proposal.lost_roots.clone();
    tell_failures(lost, &Report { roots, ..Report::default() });
    platforms::warn(&proposal.lacking, output);
    let failures = std::mem::take(&mut proposal.failures);
    match proposal.resolve() {
        Ok(resolved) => Ok((resolved, failures)),
        Err(refusal) => Err(refused(&refusal, args, &failures)),
    }
}

/// Says why nothing is locked.
fn refused(refusal: &LockRefusal, args: &args::Lock, failures: &[Failure]) -> Problem {
    match refusal {
        LockRefusal::NothingFound => {
            let what =
                if args.check { "it is unknown what has changed" } else { "nothing is locked" };
            let text = format!("nothing that is wanted is available, so {what}");
            Problem::new(Exit::Failed, text).with(failures.iter())
        }
        LockRefusal::Unavailable(name) => {
            let text = format!("`{name}` is not available, so nothing is locked");
            Problem::new(Exit::Failed, text).with(failures.iter())
        }
        LockRefusal::NotWanted(name) => {
            let text = format!("nothing that is wanted is called `{name}`");
            Problem::new(Exit::Usage, text)
                .hint("give a reference in full, or a repository: host and path")
        }
    }
}

/// Returns the path of the lock of a file.
fn beside(file: &Path) -> Result<PathBuf, Problem> {
    if file == Path::new("-") {
        return Err(Problem::new(
            Exit::Usage,
            "a lock is written beside its file, and stdin has no place",
        ));
    }
    Ok(file.with_extension("lock"))
}

/// Returns the command that locks what a file wants, ready to be pasted; `rest` are its other words.
fn command(file: &Path, rest: &[&str]) -> String {
    let rest: String = rest.iter().map(|word| format!(" {}", shell::word(word))).collect();
    format!("`longshore lock -f {}{rest}`", shell::word(file.display()))
}

/// Reads the lock of a file at its path.
fn read(file: &Path, path: &Path) -> Result<Lock, Problem> {
    let bytes = input::bytes(path, input::MAX_LOCK)
        .map_err(|error| Problem::of(error).hint(format!("{} writes it", command(file, &[]))))?;
    Lock::parse(&bytes).map_err(|error| {
        let problem = Problem::new(Exit::Usage, format!("{}: {error}", path.display()));
        match error {
            LockError::Newer(_) => problem.hint("use a newer version of longshore"),
            LockError::Malformed(_) => {
                problem.hint(format!("remove it, and {} writes it anew", command(file, &[])))
            }
        }
    })
}

/// Returns the lock that `export --locked` takes; `None` without the flag.
pub(crate) fn of_export(args: &Export, selection: &Selection) -> Result<Option<Lock>, Problem> {
    let Some(file) = args.file.as_ref().filter(|_| args.locked) else { return Ok(None) };
    if !args.wanted.is_empty() {
        let text = "--locked exports what is locked, so no references can be given";
        return Err(Problem::new(Exit::Usage, text).hint(format!("add them to {}", file.display())));
    }
    let path = beside(file)?;
    let lock = read(file, &path)?;
    if let [first, others @ ..] = &lock.outdated(selection)[..] {
        let more = match others.len() as u64 {
            0 => String::new(),
            1 => "; and 1 more difference".to_owned(),
            more => format!("; and {more} more differences"),
        };
        let text = format!("{} is out of date: {first}{more}", path.display());
        let hint = format!(
            "{} locks what is wanted now; flags such as --platform are part of it",
            command(file, &[])
        );
        return Err(Problem::new(Exit::Usage, text).hint(hint));
    }
    Ok(Some(lock))
}

/// Returns what it means that something cannot be had because what is locked is gone, if that is why.
pub(crate) fn gone(file: &Path, locked: &Lock, failure: &Failure) -> Option<Problem> {
    let Error::NotFound { what: Subject::Digest(digest), place, .. } = &*failure.error else {
        return None;
    };
    let (reference, _) = locked.artifacts().find(|(_, locked)| locked.digest == *digest)?;
    let text = format!("{reference} is locked to {digest}, which is gone from {place}");
    let hint = format!("{} locks what it is now", command(file, &["--update", reference]));
    Some(Problem::new(Exit::Failed, text).hint(hint))
}

/// Refuses a bundle that is not what was locked.
pub(crate) fn refuse_changes(file: &Path, changes: &[Change]) -> Result<(), Problem> {
    for change in changes {
        Output::problem(&Problem::new(Exit::Failed, format!("not as locked: {change}")));
    }
    if !changes.is_empty() {
        let text = "what was locked is not the same any more";
        return Err(Problem::new(Exit::Failed, text)
            .hint(format!("{} says what has changed", command(file, &["--check"]))));
    }
    Ok(())
}
