//! `import --dry-run`: what an import would change at its target.

use longshore_bundle::{Import, NameDifference, SnapshotDifference, TargetChanges};
use longshore_spec::Size;
use longshore_sync::{GivenName, Moved, Report};

use super::state::Pruning;
use super::{Importing, counts, table, with_referrers};
use crate::commands::diff;
use crate::documents::{ImportChanges, ImportDocument, NameChange};
use crate::human;
use crate::problem::{Exit, Problem};

/// What a name is called that the target has and the bundle does not.
const LEFT: &str = "left";

/// Says what would go where, how much of it is not there, and what becomes of the names at the target.
pub(super) fn run(
    importing: &Importing<'_>,
    import: &Import<'_>,
    names: Vec<GivenName>,
    renamed: &[Moved],
    pruning: Option<&Pruning<'_>>,
) -> Result<Exit, Problem> {
    let Importing { args, output, moves, .. } = *importing;
    let plan = import.plan();
    let changes = import.changes(names).map_err(Problem::of)?;
    for (name, error) in &changes.unknown {
        output.warning(&format!("it is not known what {name} stands for now: {error}"));
    }
    for (repository, error) in &changes.unlisted {
        output.warning(&format!(
            "it is not known which names of {repository} the bundle does not have: {error}"
        ));
    }
    let missing = changes.difference.new_content.map(|amount| amount.bytes).unwrap_or_default();
    let mut document = ImportDocument {
        changes: Some(document(&changes)),
        ..ImportDocument::new(plan, moves, &Report::default(), Some(missing), renamed)
    };
    if let Some(pruning) = pruning {
        pruning.add_to(&mut document);
    }
    let reports = plan.roots();
    let text = || {
        let (artifacts, referrers) = counts(moves, &reports);
        format!(
            "{}{}would import {}{}: {}, {} of it not there yet; {}\n",
            table(moves, &reports),
            crate::output::table(&diff::rows(&changes.difference, LEFT)),
            human::count(artifacts, "artifact"),
            with_referrers(referrers),
            Size(plan.size().bytes),
            Size(missing),
            names_text(&changes.difference),
        )
    };
    output.result(&document, text)?;
    let is_pruned = match pruning {
        // Now that it has been shown.
        Some(pruning) => pruning.check_limit(args).map(|()| pruning.is_certain())?,
        None => true,
    };
    let complete = plan.failures().is_empty() && is_pruned;
    Ok(if complete { Exit::Done } else { Exit::Failed })
}

fn names_text(difference: &SnapshotDifference) -> String {
    let names = diff::counts(difference, LEFT);
    if difference.removed.is_empty() {
        return names;
    }
    format!("{names} (at the target and not in the bundle; they stay as they are)")
}

fn document(changes: &TargetChanges) -> ImportChanges {
    let TargetChanges { difference, unknown, unlisted } = changes;
    let names =
        |all: &[NameDifference]| -> Vec<NameChange> { all.iter().map(Into::into).collect() };
    let first = |all: &[(String, _)]| all.iter().map(|(name, _)| name.clone()).collect();
    ImportChanges {
        added: names(&difference.added),
        moved: names(&difference.moved),
        left: difference.removed.iter().map(|of| of.name.clone()).collect(),
        unknown: first(unknown),
        unlisted: first(unlisted),
    }
}
