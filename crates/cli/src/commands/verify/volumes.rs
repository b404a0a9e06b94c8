//! `verify` of volumes.

use std::fmt::Write as _;
use std::time::Instant;

use longshore_bundle::{Delta, OpenVolumes, Verification, VerifiedVolumes, VerifyRequest};
use longshore_spec::printable_line;
use longshore_store::{KnownRoots, Source};
use longshore_sync::Silent;

use super::super::volumes::Damage;
use super::{Found, base_of, conclude};
use crate::args::{Global, Verify};
use crate::documents::{VerifiedVolumesDocument, VolumeFaultDocument};
use crate::human;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::progress::Progress;

/// So many names are shown of the roots that a volume is needed for.
const SHOWN: usize = 5;

/// Verifies the volumes that are there, and says which are missing or damaged.
pub(super) fn run(
    volumes: &OpenVolumes<'_>,
    damage: Damage,
    args: &Verify,
    global: &Global,
    output: &Output,
) -> Result<Exit, Problem> {
    let record = volumes.record();
    let known = base_of(args, Some(record), global, output)?;
    let whole = volumes.layout().whole();
    let delta = record.base.is_some().then(|| Delta::whole(volumes.layout(), record));
    let request = VerifyRequest {
        view: delta.as_ref().map_or(&whole as &dyn Source, |delta| delta),
        layout: Some(volumes.layout()),
        record: Some(record),
        allow_unverified: args.allow_unverified,
        jobs: global.jobs(),
    };
    let begun = Instant::now();
    let roots = whole.roots().map_err(Problem::of)?;
    let verification = request.prepare(KnownRoots { roots, unknown: Vec::new() }, &Silent);
    let progress = Progress::new(output, "verifying", Verification::size_of_volumes(volumes));
    let verified = verification.run_volumes(volumes, global.cores(), &progress);
    progress.finish();
    let orphaned = verified.verified.orphans().map_err(Problem::of)?;
    let differences = verified.differences(volumes, &orphaned).map_err(Problem::of)?;
    let VerifiedVolumes { verified, faults } = verified;
    let here = volumes.files().map(|(number, name, _)| (number, name.to_owned()));
    let faults = faults.into_iter().map(|(number, fault)| VolumeFaultDocument {
        number,
        missing: fault.files.is_empty(),
        files: fault.files.into_iter().collect(),
        roots: fault.roots.into_iter().collect(),
    });
    let document = VerifiedVolumesDocument {
        count: volumes.count(),
        files: here.map(|(_, name)| name).collect(),
        faults: faults.collect(),
    };
    let found =
        Found { record: Some(record), known, orphaned, differences, volumes: Some(document) };
    let exit = conclude(&verified, found, begun, output)?;
    Ok(if damage == Damage::Unreadable { Exit::Difference } else { exit })
}

/// Returns a line for each volume that is missing or damaged.
pub(super) fn text(document: &VerifiedVolumesDocument) -> String {
    let mut text = String::new();
    for VolumeFaultDocument { number, missing, files, roots } in &document.faults {
        let what = if *missing {
            format!("volume {number} of {} is missing", document.count)
        } else {
            format!("volume {number} of {} is damaged: {}", document.count, files.join(", "))
        };
        let shown = roots.iter().take(SHOWN).map(|root| printable_line(root).into_owned());
        let shown = shown.collect::<Vec<_>>().join(", ");
        let needed = match roots.len().saturating_sub(SHOWN) {
            0 if roots.is_empty() => String::new(),
            0 => format!("; needed by {shown}"),
            more => format!("; needed by {shown} and {}", human::count(more as u64, "more name")),
        };
        let _ = writeln!(text, "{what}{needed}");
    }
    text
}
