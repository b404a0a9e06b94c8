//! Reports of the engine, as text and as JSON.

use std::collections::{BTreeSet, HashMap, HashSet};

use longshore_bundle::{LeftBehind, Why};
use longshore_spec::artifact_type::{ArtifactType, cosign_tag};
use longshore_spec::{Descriptor, keys};
use longshore_store::{Error, Name};
use longshore_sync::{
    Action, Failure, LeftOut, Moved, Outcome, Report, RootReport, SealedPlan, Unfit,
};

use crate::documents::{Cause, Failed, MovedName, Part, Root, Transfer};
use crate::hint;
use crate::human;
use crate::output::Output;
use crate::problem::{Exit, Problem};

impl MovedName {
    /// Returns the names that move, or have moved with the roots of a `report` that are done; `call` says
    /// what one is called for people.
    pub(crate) fn all(
        moved: &[Moved],
        report: &[RootReport],
        call: impl Fn(&Moved) -> String,
    ) -> Vec<Self> {
        let is_done = |moved: &&Moved| {
            report.get(moved.root).is_some_and(|root| root.outcome == Outcome::Done)
        };
        let moved = moved.iter().filter(is_done);
        moved
            .map(|moved| {
                let (name, from, to) = (call(moved), moved.from.to_string(), moved.to.to_string());
                Self { name, from, to }
            })
            .collect()
    }
}

impl Transfer {
    /// Returns what a plan moves, and what a `report` says was moved; `missing` bytes are not there yet, if
    /// that was found out.
    pub(crate) fn new(
        plan: &SealedPlan<'_>,
        report: &Report,
        missing: Option<u64>,
        moved: Vec<MovedName>,
    ) -> Self {
        let size = plan.size();
        Self {
            blobs: size.nodes,
            bytes: size.bytes,
            missing_bytes: missing,
            written: report.moved,
            existed: report.existed,
            read: report.bytes,
            moved,
            left_out: plan.left_out().iter().map(left_behind).collect(),
        }
    }
}

/// Tells about names that came to stand for something else; `moved` is the verb.
pub(crate) fn tell_moved(names: &[MovedName], moved: &str, output: &Output) {
    for MovedName { name, from, to } in names {
        output.note(&format!("{name} {moved} from {from} to {to}"));
    }
}

impl From<&RootReport> for Root {
    fn from(root: &RootReport) -> Self {
        let descriptor = root.descriptor.as_ref();
        Self {
            wanted: root.wanted.as_ref().map(ToString::to_string),
            names: root.names.iter().map(ToString::to_string).collect(),
            digest: descriptor.map(|descriptor| descriptor.digest.to_string()),
            media_type: descriptor.map(|descriptor| descriptor.media_type.to_string()),
            artifact_type: root.artifact_type.as_deref().map(str::to_owned),
            outcome: match root.outcome {
                Outcome::Done => "done",
                Outcome::Failed => "failed",
                Outcome::Skipped => "skipped",
            },
        }
    }
}

impl From<&Failure> for Failed {
    fn from(failure: &Failure) -> Self {
        Self {
            side: failure.side.to_string(),
            action: failure.action.to_string(),
            subject: failure.subject.clone(),
            message: failure.to_string(),
            cause: (&*failure.error).into(),
        }
    }
}

impl From<&Descriptor> for Part {
    fn from(descriptor: &Descriptor) -> Self {
        let of = descriptor.artifact_type.as_ref().map(ArtifactType::declared_as);
        Self {
            media_type: descriptor.media_type.to_string(),
            digest: descriptor.digest.to_string(),
            size: descriptor.size,
            title: descriptor.annotations.get(keys::TITLE).cloned(),
            name: None,
            platform: platform(descriptor),
            artifact_type: of.map(|of| of.name().to_owned()),
            declared: descriptor.artifact_type.as_ref().map(ToString::to_string),
        }
    }
}

impl From<&Error> for Cause {
    fn from(error: &Error) -> Self {
        let said = error.said();
        let codes = said.map(|said| said.codes.iter().map(ToString::to_string).collect());
        Self {
            kind: kind(error),
            status: said.map(|said| said.status),
            codes: codes.unwrap_or_default(),
        }
    }
}

/// Returns what sort of error it is, for programs. These are in `docs/json.md`.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::Ambiguous { .. } => "ambiguous",
        Error::Busy { .. } => "busy",
        Error::Cancelled => "cancelled",
        Error::Conflict { .. } => "conflict",
        Error::Connection { .. } => "connection",
        Error::Corrupt { .. } | Error::Size { .. } => "corrupt",
        Error::Denied { .. } => "denied",
        Error::Exists { .. } => "exists",
        Error::Io { .. } => "io",
        Error::LeadsOut { .. } => "leads-out",
        Error::Limit { .. } => "limit",
        Error::Malformed { .. } => "malformed",
        Error::Manifest { .. } => "manifest",
        Error::NoSpace { .. } => "no-space",
        Error::NoDirectory { .. } | Error::NotFound { .. } | Error::NothingChosen { .. } => {
            "not-found"
        }
        Error::Refused { .. } => "refused",
        Error::Throttled { .. } => "throttled",
        Error::Unsupported { .. } => "unsupported",
        Error::Unverifiable { .. } => "unverifiable",
    }
}

/// Tells about what refers to indexes that do not come as they are.
pub(crate) fn tell_unfit(unfit: &[Unfit], output: &Output) {
    const SHOWN: usize = 20;
    for unfit in unfit.iter().take(SHOWN) {
        let what = if unfit.is_carried {
            "copied, but its index is changed, so it no longer fits"
        } else {
            "not copied, because its index is changed"
        };
        output.warning(&format!("{what}: {unfit}"));
    }
    if let more @ 1.. = unfit.len().saturating_sub(SHOWN) {
        let count = human::count(more as u64, "more referrer");
        output.warning(&format!("{count} of changed indexes"));
    }
}

/// Tells about everything that went wrong, and which roots it concerns.
pub(crate) fn tell_failures(discovery: &[Failure], report: &Report) {
    // One failure at the end of all needs no line for each root.
    let failed = report.roots.iter().filter(|_| !report.uncommitted);
    let failed = failed.filter(|root| root.outcome == Outcome::Failed);
    let called = failed.filter_map(|root| root.wanted.as_ref().map(ToString::to_string));
    tell_all(discovery.iter().chain(&report.failures), called, |_| None);
}

/// Tells what is left out of a bundle, and why, where the command may know more of failures than they say
/// themselves. Among artifacts of many repositories a tag alone does not say which one is meant.
pub(crate) fn tell_left_out(
    failures: &[Failure],
    roots: &[RootReport],
    explain: impl Fn(&Failure) -> Option<Problem>,
) {
    let told: HashSet<&str> = failures.iter().map(|failure| failure.subject.as_str()).collect();
    let is_told = |root: &&RootReport| {
        root.wanted.as_ref().is_none_or(|wanted| told.contains(wanted.as_str()))
    };
    let called = roots.iter().filter(|root| !is_told(root));
    let called = called.filter_map(|root| root.names.first().or(root.wanted.as_ref()));
    tell_all(failures.iter(), called.map(ToString::to_string), explain);
}

fn tell_all<'f>(
    failures: impl Iterator<Item = &'f Failure>,
    incomplete: impl Iterator<Item = String>,
    explain: impl Fn(&Failure) -> Option<Problem>,
) {
    for problem in problems(&failures.collect::<Vec<_>>(), incomplete, explain) {
        Output::problem(&problem);
    }
}

/// Returns what is told of failures: what concerns many is said once.
fn problems(
    failures: &[&Failure],
    incomplete: impl Iterator<Item = String>,
    explain: impl Fn(&Failure) -> Option<Problem>,
) -> Vec<Problem> {
    let lost = lost_hosts(failures);
    let mut problems = Vec::new();
    let (mut hints, mut told, mut lost_told) = (BTreeSet::new(), HashSet::new(), HashSet::new());
    for failure in failures {
        told.insert(failure.subject.as_str());
        let mut problem = match failure.error.lost_host() {
            Some((host, _)) if !lost_told.insert(host) => continue,
            Some((host, _)) => host_lost(failure, lost[host].len()),
            None => explain(failure).unwrap_or_else(|| problem_of(failure)),
        };
        problem.hint.take_if(|hint| !hints.insert(hint.shown()));
        problems.push(problem);
    }
    for wanted in incomplete.filter(|wanted| !told.contains(wanted.as_str())) {
        problems.push(Problem::new(Exit::Failed, format!("`{wanted}` is not complete")));
    }
    problems
}

/// Returns the hosts that could not be reached, each with the artifacts that are asked of it.
fn lost_hosts<'f>(failures: &[&'f Failure]) -> HashMap<&'f str, HashSet<&'f str>> {
    let mut lost: HashMap<_, HashSet<_>> = HashMap::new();
    for failure in failures {
        let Some((host, _)) = failure.error.lost_host() else { continue };
        let subjects = lost.entry(host).or_default();
        // Who refers to them is asked of repositories.
        if failure.action != Action::ListReferrers {
            subjects.insert(failure.subject.as_str());
        }
    }
    lost
}

/// Says once that a host cannot be reached, however many artifacts that concerns.
fn host_lost(failure: &Failure, count: usize) -> Problem {
    let needed = match count {
        0 | 1 => String::new(),
        count => format!("; {count} artifacts need it"),
    };
    let hint = hint::advice(&failure.error, Some(failure.action)).hint();
    Problem { hint, ..Problem::new(Exit::Failed, format!("{}{needed}", failure.error)) }
}

/// Does the like for what was carried out, with other names for roots: among artifacts of many
/// repositories a tag alone does not say which one is meant.
pub(crate) fn tell_called(report: &Report, name: impl Fn(usize, &RootReport) -> Option<String>) {
    let roots = report.roots.iter().enumerate().filter(|_| !report.uncommitted);
    let failed = roots.filter(|(_, root)| root.outcome == Outcome::Failed && root.wanted.is_some());
    let called = failed.filter_map(|(number, root)| name(number, root));
    tell_all(report.failures.iter(), called, |_| None);
}

/// Returns a failure as a problem: what, and what to do.
pub(crate) fn problem_of(failure: &Failure) -> Problem {
    let problem = Problem::new(Exit::Failed, failure.to_string());
    let hint = if failure.absent.is_empty() {
        hint::advice(&failure.error, Some(failure.action)).hint()
    } else {
        Some(hint::wants_all())
    };
    Problem { hint, ..problem }
}

/// Returns what an entry of an index was, for people.
pub(crate) fn left_out(entry: &LeftOut) -> String {
    let (descriptor, why) = match entry {
        LeftOut::Absent(descriptor) => (descriptor, "the source does not have it"),
        LeftOut::Filtered(descriptor) => (descriptor, "not asked for"),
    };
    format!(
        "{} {}: {why}",
        platform(descriptor).unwrap_or_else(|| "an entry".to_owned()),
        descriptor.digest
    )
}

/// Returns the like for programs.
pub(crate) fn left_behind(entry: &LeftOut) -> LeftBehind {
    let (descriptor, why) = match entry {
        LeftOut::Absent(descriptor) => (descriptor, Why::Absent),
        LeftOut::Filtered(descriptor) => (descriptor, Why::Platform),
    };
    LeftBehind {
        why,
        reference: None,
        digest: Some(descriptor.digest.clone()),
        platform: platform(descriptor),
    }
}

/// Returns how many artifacts are done, and how many of them were attached to others and came along.
pub(crate) fn done(roots: &[RootReport]) -> String {
    let done = roots.iter().filter(|root| root.outcome == Outcome::Done);
    let (referrers, artifacts): (Vec<_>, Vec<_>) = done.partition(|root| is_attached(root));
    let referrers = referrers.len() as u64;
    match (artifacts.len() as u64, human::count(referrers, "referrer")) {
        (artifacts, _) if referrers == 0 => human::count(artifacts, "artifact"),
        (0, referrers) => referrers,
        (artifacts, referrers) => {
            format!("{} with {referrers}", human::count(artifacts, "artifact"))
        }
    }
}

/// Tells whether a root came along for what it refers to, or is attached to that by its tag, as cosign does
/// it (row E-97).
fn is_attached(root: &RootReport) -> bool {
    let is_tag = |name: &Name| {
        let tag = name.as_str().rsplit(':').next().unwrap_or_default();
        cosign_tag(tag).is_some()
    };
    root.subject.is_some() || !root.names.is_empty() && root.names.iter().all(is_tag)
}

/// Returns the platform of a descriptor, if it has one that says something.
pub(crate) fn platform(descriptor: &Descriptor) -> Option<String> {
    let platform = descriptor.platform.as_deref().filter(|platform| !platform.is_unknown())?;
    Some(platform.to_string())
}

#[cfg(test)]
mod tests {
    use longshore_store::ConnectionFailure;
    use longshore_sync::Side;

    use super::*;

    #[test]
    fn a_host_that_is_lost_is_told_once_however_much_is_wanted_of_it() {
        let lost = |host: &str, subject: &str, why| {
            let error = Error::unreachable(host, why);
            Failure::new(Side::Source, Action::Resolve, subject.to_owned(), error)
        };
        let failures = [
            lost("a.example", "a.example/x:1", ConnectionFailure::NoRoute),
            lost("a.example", "a.example/x:2", ConnectionFailure::NoRoute),
            lost("b.example", "b.example/y:1", ConnectionFailure::NoAddress("unknown".to_owned())),
            lost("a.example", "a.example/x:1", ConnectionFailure::ConnectTimeout),
        ];
        let incomplete = ["a.example/x:2".to_owned(), "c.example/z:1".to_owned()];
        let failures: Vec<_> = failures.iter().collect();
        let told = problems(&failures, incomplete.into_iter(), |_| None);
        let told: Vec<_> = told.into_iter().map(|problem| problem.message).collect();
        let expected = [
            "cannot reach a.example: no network leads there; 2 artifacts need it",
            "cannot reach b.example: its name has no address: unknown",
            "`c.example/z:1` is not complete",
        ];
        assert_eq!(told, expected);
    }
}
