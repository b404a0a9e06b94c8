//! `gc`: what nothing needs any more goes.

use longshore::location::PlaceKind;
use longshore_layout::{Directory, GcMode, GcReport};
use longshore_spec::Size;

use crate::args::{Gc, Global};
use crate::documents::{GcDocument as Document, RemovedBlob as Blob};
use crate::human;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::report::problem_of;

pub(crate) fn run(args: &Gc, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let (PlaceKind::Directory(path), None) = (&args.place.place, &args.place.selector) else {
        let text = format!("`{}` cannot be collected", args.place);
        return Err(
            Problem::new(Exit::Usage, text).hint("give a whole layout directory: `oci:DIR`")
        );
    };
    let directory = Directory::open_alone_with(path, args.links.links()).map_err(Problem::of)?;
    let needed =
        longshore_sync::reachable(&directory.whole(), global.jobs()).map_err(Problem::of)?;
    tracing::debug!("collecting {}", args.place);
    let needed = needed.map_err(|failures| {
        for failure in &failures {
            Output::problem(&problem_of(failure));
        }
        let text = format!(
            "nothing was removed from {}: it is unknown what its damaged manifests need",
            args.place
        );
        Problem::new(Exit::Failed, text)
            .hint("fetch them again, or remove their names with `longshore untag`")
    })?;
    let mode = if args.dry_run { GcMode::DryRun } else { GcMode::Remove };
    let collected = directory.collect(&needed, args.older_than, mode).map_err(Problem::of)?;
    let GcReport { blobs, entries, parts, young } = collected;
    let bytes = blobs.iter().map(|(_, size)| size).sum();
    let document = Document {
        dry_run: args.dry_run,
        removed: blobs
            .iter()
            .map(|(digest, size)| Blob { digest: digest.to_string(), size: *size })
            .collect(),
        bytes,
        entries: entries.iter().map(ToString::to_string).collect(),
        parts,
        kept_for_age: young,
    };
    output.summary(&document, || {
        let verb = if args.dry_run { "would remove" } else { "removed" };
        let lines: String =
            blobs.iter().map(|(digest, size)| format!("{digest}  {}\n", Size(*size))).collect();
        let count = human::count(blobs.len() as u64, "blob");
        let mut parts_of = vec![format!("{verb} {count}, {}", Size(bytes))];
        if !entries.is_empty() {
            parts_of.push(format!("{} of index.json", human::entries(entries.len())));
        }
        if parts > 0 {
            parts_of.push(human::count(parts as u64, "unfinished download"));
        }
        if young > 0 {
            let count = human::count(young as u64, "unneeded blob");
            parts_of.push(format!("kept {count} for now: younger than --older-than"));
        }
        format!("{lines}{}\n", parts_of.join("; "))
    })?;
    Ok(Exit::Done)
}
