//! `lock`: what is wanted, pinned to digests.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_bundle::{
    Change, Choosable, Item, LeftBehind, Lock, LockError, LockedReferrer, Outdated, Picked,
    SelectedPlaces, Selection, What,
};
use longshore_layout::write_file;
use longshore_spec::Digest;
use longshore_store::{Error, Selector, Subject};
use longshore_sync::{Failure, Filter, Plan, Report, Wanted, Wish};

use super::platforms;
use super::wanted::{self, Layouts, Places};
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
    let Resolved { lock: next, is_whole } = match &before {
        Some(before) if !args.update.is_empty() => {
            update(before, args, &selection, global, output)?
        }
        before => resolve(before.as_ref(), args, &selection, global, output)?,
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
        return Ok(match (same, is_whole) {
            (false, _) => Exit::Difference,
            (true, false) => Exit::Failed,
            (true, true) => Exit::Done,
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

/// What is wanted, pinned.
struct Resolved {
    lock: Lock,
    /// Whether all of it could be had; what could not was named.
    is_whole: bool,
}

/// Finds out what is wanted now. What cannot be had is named, and stays as it was locked before, if it
/// was: one tag among a thousand is no reason not to lock the others. To a check what is gone is gone.
fn resolve(
    before: Option<&Lock>,
    args: &args::Lock,
    selection: &Selection,
    global: &Global,
    output: &Output,
) -> Result<Resolved, Problem> {
    let found = Found::of(selection, selection, args, |_| Some(Pin::Anew), global, output)?;
    let lost: Vec<_> = found.lost.iter().filter(|lost| !(args.check && lost.is_gone)).collect();
    if found.lock.is_empty() && !lost.is_empty() {
        let what = if args.check { "nobody knows what has changed" } else { "nothing is locked" };
        let text = format!("nothing that is wanted can be had, so {what}");
        return Err(Problem::new(Exit::Failed, text).with(found.failures.iter()));
    }
    let is_whole = lost.is_empty();
    let lost: Choosable = lost.into_iter().map(|lost| &lost.what).collect();
    let lock = match before {
        Some(before) => found.lock.with_missing(before, |reference| lost.has(reference)),
        None => found.lock,
    };
    Ok(Resolved { lock, is_whole })
}

/// Pins anew what is named, and what was not asked for when `before` was made; nothing else moves, or is
/// even asked for. What is asked for otherwise than it was keeps its digest.
fn update(
    before: &Lock,
    args: &args::Lock,
    selection: &Selection,
    global: &Global,
    output: &Output,
) -> Result<Resolved, Problem> {
    let is_named = |reference: &str| args.update.iter().any(|name| is_called(reference, name));
    let was_asked = before.asked_before();
    let is_new = |item: &Item| !was_asked(item);
    let may_be_meant = |item: &&Item| {
        is_new(item)
            || match &item.what {
                What::Reference(reference) => is_named(&reference.to_string()),
                What::Repository(repository, _) => {
                    args.update.iter().any(|name| is_called(name, &repository.to_string()))
                }
                What::Layout(_) | What::References(..) => true,
            }
    };
    let pin = |picked: &Picked<'_>| {
        if is_named(&picked.reference.to_string()) {
            return Some(Pin::Anew);
        }
        let pinned = before.get(&picked.reference).map(|locked| locked.digest.clone());
        is_new(picked.item).then(|| pinned.map_or(Pin::Anew, Pin::To))
    };
    let asked = Selection { items: selection.items.iter().filter(may_be_meant).cloned().collect() };
    let found = Found::of(&asked, selection, args, pin, global, output)?;
    let is_found = |name: &&String| {
        let mut references = found.lock.artifacts().map(|(reference, _)| reference);
        references.any(|reference| is_called(reference, name))
    };
    if let Some(name) = args.update.iter().find(|name| !is_found(name)) {
        if !found.lost.is_empty() {
            let text = format!("`{name}` cannot be had, so nothing is locked");
            return Err(Problem::new(Exit::Failed, text).with(found.failures.iter()));
        }
        let text = format!("nothing that is wanted is called `{name}`");
        return Err(Problem::new(Exit::Usage, text)
            .hint("give a reference in full, or a repository: host and path"));
    }
    let is_whole = found.lost.is_empty();
    let lost: Choosable = found.lost.iter().map(|lost| &lost.what).collect();
    let old = selection.items.iter().filter(|item| !is_new(item));
    let old: Choosable = old.map(|item| &item.what).collect();
    let stays = |reference: &str| {
        let is_asked = || found.others.contains(reference) || old.has(reference);
        lost.has(reference) || !is_named(reference) && is_asked()
    };
    Ok(Resolved { lock: found.lock.with_missing(before, stays), is_whole })
}

/// What an artifact is pinned to.
enum Pin {
    /// To what its name stands for now.
    Anew,
    To(Digest),
}

/// What was found out of what is wanted.
struct Found {
    lock: Lock,
    lost: Vec<Lost>,
    failures: Vec<Failure>,
    /// What is wanted and nobody asked about.
    others: HashSet<String>,
}

/// What is wanted and could not be had.
struct Lost {
    what: What,
    /// Whether it is not there, and not only out of reach.
    is_gone: bool,
}

impl Found {
    /// Finds out what `asked` chooses, as far as `pin` says to what it is pinned; the lock is that of
    /// `selection`, of which that is a part.
    fn of(
        asked: &Selection,
        selection: &Selection,
        args: &args::Lock,
        pin: impl Fn(&Picked<'_>) -> Option<Pin>,
        global: &Global,
        output: &Output,
    ) -> Result<Self, Problem> {
        let registries = Registries::reading(&args.reading);
        let layouts = Layouts::open(asked, &args.reading, &registries)?;
        let opener = Places { layouts: &layouts, registries: &registries };
        let places = SelectedPlaces::open(asked, &opener)?;
        let (all, failures) = places.pick(None, global.jobs());
        let (mut picked, mut wanted, mut others) = (Vec::new(), Vec::new(), HashSet::new());
        for of in all {
            match pin(&of) {
                None => {
                    others.insert(of.reference.to_string());
                    continue;
                }
                Some(Pin::Anew) => wanted.push(places.wanted(&of)),
                Some(Pin::To(digest)) => {
                    let wish = Wish::Selector(Selector::Digest(digest));
                    wanted.push(Wanted { wish, ..places.wanted(&of) });
                }
            }
            picked.push(of);
        }
        for (wanted, picked) in wanted.iter_mut().zip(&picked) {
            wanted.filter = Some(Arc::new(picked.item.filter()));
        }
        let mut plan = Plan::discover(wanted, &Filter::default(), global.jobs());
        platforms::refuse_sparse(&picked, &plan)?;
        let (lost_in_plan, roots) = plan.drop_failed();
        tell_failures(&failures, &Report::default());
        tell_failures(&lost_in_plan, &Report { roots: roots.clone(), ..Report::default() });
        platforms::warn(&picked, &plan.roots(), output);
        let mut by_name: HashMap<String, Vec<&What>> = HashMap::new();
        for item in asked.items.iter().filter(|_| !failures.is_empty()) {
            by_name.entry(item.what.to_string()).or_default().push(&item.what);
        }
        let mut lost = Vec::new();
        for failure in &failures {
            let is_gone = failure.error.is_not_found();
            let whats = by_name.get(&failure.subject).into_iter().flatten();
            lost.extend(whats.map(|what| Lost { what: (*what).clone(), is_gone }));
        }
        let is_gone = lost_in_plan.iter().all(|failure| failure.error.is_not_found());
        let names = roots.iter().flat_map(|root| &root.names);
        let references = names.filter_map(|name| name.as_str().parse().ok());
        lost.extend(references.map(|of| Lost { what: What::Reference(of), is_gone }));
        let failures = failures.into_iter().chain(lost_in_plan).collect();
        Ok(Self { lock: Lock::of(&plan, selection), lost, failures, others })
    }
}

/// Tells whether a reference is the one that is named, or one of the repository that is.
fn is_called(reference: &str, name: &str) -> bool {
    let rest = reference.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']))
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
