//! Volumes of a bundle, imported one after another.

use longshore::location::{Location, PlaceKind};
use longshore_bundle::{BundleFiles, Import, Move, OpenVolumes};
use longshore_layout::PartStore;
use longshore_sync::{Report, Silent};

use super::target::Target;
use crate::args::Import as Args;
use crate::commands::volumes;
use crate::documents::VolumesStatus;
use crate::human;
use crate::output::Output;
use crate::problem::{Exit, Problem};

/// The directory of parts in the one that --scratch gives.
const PARTS: &str = "longshore-parts";

/// Returns where parts of blobs wait for the others: in a layout itself, and for a registry in the directory that
/// --scratch gives.
pub(super) fn part_store(args: &Args, target: &Target) -> PartStore {
    match target {
        Target::Layout(directory, _) => directory.part_store(),
        Target::Registry(_) => {
            let scratch = args.reading.scratch.clone().unwrap_or_else(std::env::temp_dir);
            PartStore::new(scratch, PARTS)
        }
    }
}

/// Refuses volumes from a pipe, and --status of what is no volume.
pub(super) fn refuse(files: &BundleFiles<'_>, args: &Args, is_pipe: bool) -> Result<(), Problem> {
    let is_directory = |location: &&Location| matches!(location.place, PlaceKind::Directory(_));
    match files.volumes() {
        Some(_) if let Some(location) = args.bundles.iter().find(is_directory) => {
            Err(volumes::unpacked(location))
        }
        Some(_) if is_pipe => {
            let text = "a volume cannot be imported from stdin: it may hold parts of blobs";
            Err(Problem::new(Exit::Usage, text).hint("save it to a file first"))
        }
        None if args.status => {
            let text = format!("{} is no volume of a bundle", args.bundles[0]);
            Err(Problem::new(Exit::Usage, text).hint("--dry-run says what is not there yet"))
        }
        _ => Ok(()),
    }
}

/// Refuses to keep parts for a registry where nobody said that they outlive this run.
pub(super) fn refuse_scratch(
    import: &Import<'_>,
    args: &Args,
    target: &Target,
) -> Result<(), Problem> {
    let is_said = args.reading.scratch.is_some() || matches!(target, Target::Layout(..));
    if is_said || !import.has_parts_to_keep() {
        return Ok(());
    }
    let text = "some blobs lie in parts, in several volumes, and a registry takes no parts";
    let hint = "give --scratch DIR, which keeps them until the others come, or all volumes at once";
    Err(Problem::new(Exit::Usage, text).hint(hint))
}

/// Keeps parts until the others come.
pub(super) fn keep(import: &Import<'_>, parts: &PartStore) -> Result<(), Problem> {
    import.keep_parts(parts, &Silent).map_err(|error| {
        let exit = if error.is_corruption() { Exit::Failed } else { Exit::Usage };
        Problem::of(error).because(exit)
    })
}

/// Removes parts that are needed no more; returns the volumes that are still to come.
pub(super) fn to_come(
    import: &Import<'_>,
    parts: Option<&PartStore>,
    report: &Report,
) -> Result<Vec<u32>, Problem> {
    let Some(parts) = parts else { return Ok(Vec::new()) };
    import.drop_parts(parts, report).map_err(Problem::of)?;
    Ok(import.volumes_to_come(parts))
}

/// Returns how an import ends that took all that was there, and says what it waits for.
pub(super) fn exit(to_come: &[u32], files: &BundleFiles<'_>, output: &Output) -> Exit {
    if to_come.is_empty() {
        return Exit::Done;
    }
    let count = files.volumes().map_or(0, OpenVolumes::count);
    output.note(&format!("{}; what waits for them has no name yet", said(to_come, count)));
    Exit::Waiting
}

/// Says which volumes are still to come.
pub(super) fn status(
    import: &Import<'_>,
    parts: &PartStore,
    files: &BundleFiles<'_>,
    moves: &[Move],
    output: &Output,
) -> Result<Exit, Problem> {
    let count = files.volumes().map_or(0, OpenVolumes::count);
    let to_come = import.volumes_to_come(parts);
    let reports = import.plan().roots();
    let is_waiting = |(number, _): &(usize, &Move)| {
        reports.get(*number).is_some() && import.plan().is_partial(*number)
    };
    let waiting = moves.iter().enumerate().filter(is_waiting);
    let waiting: Vec<_> = waiting.map(|(_, of)| of.to.to_string()).collect();
    let has_all = to_come.is_empty();
    let is_done = has_all && waiting.is_empty();
    let text = || {
        if is_done {
            return format!("all {count} volumes have come\n");
        }
        let names = human::count(waiting.len() as u64, "name");
        if has_all {
            return format!("all parts have come; import any volume to complete {names}\n");
        }
        format!("{}: {names} not complete\n", said(&to_come, count))
    };
    let document =
        VolumesStatus { count, volumes_to_come: to_come.clone(), waiting: waiting.clone() };
    output.result(&document, text)?;
    Ok(if is_done { Exit::Done } else { Exit::Waiting })
}

/// Says which volumes are still to come.
fn said(to_come: &[u32], count: u32) -> String {
    let numbers: Vec<_> = to_come.iter().map(ToString::to_string).collect();
    let what = if to_come.len() == 1 { "volume" } else { "volumes" };
    format!("{what} {} of {count} still to come", numbers.join(", "))
}
