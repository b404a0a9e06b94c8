//! `diff`: what has changed between two locks, bundles, receipts or places.

use std::path::Path;

use longshore_bundle::{
    Amount, Lock, MAX_RECEIPT, MAX_RECORD, Mapping, NameDifference, Receipt, Record, Snapshot,
    SnapshotDifference, SnapshotRequest, repositories_below,
};
use longshore_spec::{Digest, Size};
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
            if let (Some(record), Some(layout)) = (bundle::record(&opened)?, opened.layout()) {
                let snapshot = Snapshot::of_bundle(layout, &record, global.jobs());
                return Ok((snapshot, Names::Whole));
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
    let failures = request.add_to(to, &Silent).map_err(Problem::of)?;
    if !failures.is_empty() {
        tell_failures(&failures, &longshore_sync::Report::default());
        return Err(Problem::new(Exit::Failed, "nothing was compared"));
    }
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
    let changes = |all: &[NameDifference]| all.iter().map(Into::into).collect();
    let amount = |amount: &Amount| ContentAmount { blobs: amount.blobs, bytes: amount.bytes };
    DiffDocument {
        added: changes(added),
        moved: changes(moved),
        removed: changes(removed),
        new_content: new_content.as_ref().map(amount),
        old_content: old_content.as_ref().map(amount),
    }
}

impl From<&NameDifference> for NameChange {
    fn from(NameDifference { name, from, to, bytes }: &NameDifference) -> Self {
        let text = |digest: &Option<Digest>| digest.as_ref().map(ToString::to_string);
        Self { name: name.clone(), from: text(from), to: text(to), bytes: *bytes }
    }
}

/// Returns a row for each name that differs; `removed` is the word for names that only the earlier side has.
pub(super) fn rows(difference: &SnapshotDifference, removed: &str) -> Vec<Vec<String>> {
    let words = [
        ("added", &difference.added),
        ("moved", &difference.moved),
        (removed, &difference.removed),
    ];
    let row = |word: &str, NameDifference { name, from, to, bytes }: &NameDifference| {
        let digests: Vec<_> = from.iter().chain(to).map(ToString::to_string).collect();
        let mut row = vec![word.to_owned(), name.clone(), digests.join(" -> ")];
        row.extend(bytes.map(|bytes| Size(bytes).to_string()));
        row
    };
    words.iter().flat_map(|(word, changes)| changes.iter().map(|of| row(word, of))).collect()
}

/// Counts the names that differ; `removed` as for [`rows`].
pub(super) fn counts(difference: &SnapshotDifference, removed: &str) -> String {
    let SnapshotDifference { added, moved, removed: gone, .. } = difference;
    let counts = [(added.len(), "added"), (moved.len(), "moved"), (gone.len(), removed)];
    let told: Vec<_> = counts.iter().filter(|(count, _)| *count > 0).collect();
    if told.is_empty() {
        return "no name differs".to_owned();
    }
    told.iter().map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

fn text(difference: &SnapshotDifference) -> String {
    let said = |amount: &Amount| {
        format!("{} in {}", Size(amount.bytes), human::count(amount.blobs, "blob"))
    };
    let content = match (&difference.new_content, &difference.old_content) {
        (Some(new), Some(old)) => format!("; new content: {}, gone: {}", said(new), said(old)),
        _ => String::new(),
    };
    let names = counts(difference, "removed");
    format!("{}{names}{content}\n", table(&rows(difference, "removed")))
}
