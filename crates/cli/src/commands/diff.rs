//! `diff`: what has changed between two locks, bundles, receipts or places.

use std::path::Path;

use longshore_bundle::{
    Amount, Lock, MAX_RECEIPT, MAX_RECORD, Mapping, Receipt, Record, Snapshot, SnapshotDifference,
    SnapshotRequest, repositories_below,
};
use longshore_spec::Size;
use longshore_store::Source;
use longshore_sync::Silent;

use super::bundle;
use crate::args::{self, DiffInput, Global, SitePlace};
use crate::documents::{ContentAmount, DiffDocument, NameChange};
use crate::human;
use crate::input;
use crate::open;
use crate::output::{Output, table};
use crate::problem::{Exit, Problem};
use crate::registries::Registries;
use crate::report::tell_failures;

/// How names are written in what is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Whole,
    WithoutRegistry,
}

pub(crate) fn run(args: &args::Diff, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let registries = Registries::reading(&args.reading);
    let read = |compared: &DiffInput| snapshot(compared, args, global, &registries);
    let ((before, names_before), (now, names_now)) = (read(&args.before)?, read(&args.now)?);
    let mapping = Mapping::new(args.map.clone(), None);
    let is_short = [names_before, names_now].contains(&Names::WithoutRegistry);
    let alike = |snapshot: Snapshot| -> Result<Snapshot, Problem> {
        let mapped = snapshot.mapped(&mapping);
        let mapped = mapped.map_err(|text| {
            Problem::new(Exit::Usage, text).hint("change the rule that --map gives")
        })?;
        Ok(if is_short { mapped.without_registries() } else { mapped })
    };
    let difference = alike(now)?.difference(&alike(before)?);
    output.result(&document(&difference), || text(&difference))?;
    Ok(if difference.is_empty() { Exit::Done } else { Exit::Difference })
}

/// Returns what one side says.
fn snapshot(
    compared: &DiffInput,
    args: &args::Diff,
    global: &Global,
    registries: &Registries<'_>,
) -> Result<(Snapshot, Names), Problem> {
    match compared {
        DiffInput::Receipt(path) => {
            let bytes = input::bytes(path, MAX_RECEIPT).map_err(Problem::of)?;
            let receipt = Receipt::read(&bytes[..]).map_err(|error| unreadable(path, &error))?;
            Ok((Snapshot::of_receipt(&receipt), Names::WithoutRegistry))
        }
        DiffInput::Json(path) => Ok((of_json(path)?, Names::Whole)),
        DiffInput::Place(SitePlace::Layout(location)) => {
            let opened = open::place(location, &args.reading, registries)?;
            // Its record says it at once.
            if let Some(record) = bundle::record(&opened)? {
                return Ok((Snapshot::of_record(&record), Names::Whole));
            }
            let mut snapshot = Snapshot::default();
            add(&mut snapshot, &*opened.whole(), "", global)?;
            Ok((snapshot, Names::Whole))
        }
        DiffInput::Place(SitePlace::Registry { host, repository }) => {
            let registry = registries.registry(host)?;
            let below = repositories_below(&registry, repository.as_ref());
            let (names, _) = below.map_err(Problem::of)?;
            let mut snapshot = Snapshot::default();
            for name in names {
                add(
                    &mut snapshot,
                    &registry.remote_repository(&name),
                    &format!("{host}/{name}:"),
                    global,
                )?;
            }
            Ok((snapshot, Names::Whole))
        }
    }
}

/// Adds what a repository holds. What cannot be found out ends the command: a difference that nobody
/// looked at is none.
fn add(
    to: &mut Snapshot,
    repository: &dyn Source,
    prefix: &str,
    global: &Global,
) -> Result<(), Problem> {
    let request = SnapshotRequest { repository, prefix, jobs: global.jobs() };
    let (found, failures) = request.run(&Silent).map_err(Problem::of)?;
    if !failures.is_empty() {
        tell_failures(&failures, &longshore_sync::Report::default());
        return Err(Problem::new(Exit::Failed, "nothing was compared"));
    }
    to.names.extend(found.names);
    to.contents.get_or_insert_default().extend(found.contents.unwrap_or_default());
    Ok(())
}

/// Reads a lock, or the record of a bundle.
fn of_json(path: &Path) -> Result<Snapshot, Problem> {
    let bytes = input::bytes(path, input::MAX_LOCK.max(MAX_RECORD)).map_err(Problem::of)?;
    // One of them has blobs, and only the other artifacts.
    let of_record = match Record::parse(&bytes) {
        Ok(record) => return Ok(Snapshot::of_record(&record)),
        Err(error) => error,
    };
    match Lock::parse(&bytes) {
        Ok(lock) => Ok(Snapshot::of_lock(&lock)),
        Err(_) if path.extension().is_some_and(|extension| extension == "json") => {
            Err(unreadable(path, &of_record))
        }
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Problem {
    let text = format!("{} cannot be compared: {error}", path.display());
    Problem::new(Exit::Usage, text)
        .hint("give a lock, a bundle, its `bundle.json`, a receipt or a place")
}

fn document(difference: &SnapshotDifference) -> DiffDocument {
    let SnapshotDifference { added, moved, removed, new_content, old_content } = difference;
    let change = |name: &String,
                  from: Option<&longshore_spec::Digest>,
                  to: Option<&longshore_spec::Digest>| {
        NameChange {
            name: name.clone(),
            from: from.map(ToString::to_string),
            to: to.map(ToString::to_string),
        }
    };
    let amount = |amount: &Amount| ContentAmount { blobs: amount.blobs, bytes: amount.bytes };
    DiffDocument {
        added: added.iter().map(|(name, to)| change(name, None, Some(to))).collect(),
        moved: moved.iter().map(|(name, from, to)| change(name, Some(from), Some(to))).collect(),
        removed: removed.iter().map(|(name, from)| change(name, Some(from), None)).collect(),
        new_content: new_content.as_ref().map(amount),
        old_content: old_content.as_ref().map(amount),
    }
}

fn text(difference: &SnapshotDifference) -> String {
    let SnapshotDifference { added, moved, removed, new_content, old_content } = difference;
    let row =
        |word: &str, name: &str, digests: String| vec![word.to_owned(), name.to_owned(), digests];
    let mut rows = Vec::new();
    rows.extend(added.iter().map(|(name, to)| row("added", name, to.to_string())));
    rows.extend(moved.iter().map(|(name, from, to)| row("moved", name, format!("{from} -> {to}"))));
    rows.extend(removed.iter().map(|(name, from)| row("removed", name, from.to_string())));
    let said = |amount: &Amount| {
        format!("{} in {}", Size(amount.bytes), human::count(amount.blobs, "blob"))
    };
    let names = if rows.is_empty() {
        "no name differs".to_owned()
    } else {
        let counts = [(added.len(), "added"), (moved.len(), "moved"), (removed.len(), "removed")];
        let told = counts.iter().filter(|(count, _)| *count > 0);
        told.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
    };
    let content = match (new_content, old_content) {
        (Some(new), Some(old)) => format!("; new content: {}, gone: {}", said(new), said(old)),
        _ => String::new(),
    };
    format!("{}{names}{content}\n", table(&rows))
}
