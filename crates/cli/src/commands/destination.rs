//! Where content goes.

use std::io::IsTerminal as _;
use std::path::Path;

use longshore::Destination;
use longshore::location::{Location, PlaceKind};
use longshore_layout::{ArchiveStream, ArchiveWriter, Directory};
use longshore_store::Error;
use longshore_sync::SealedPlan;

use crate::args::Global;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::{Registries, refuse_short};
use crate::shell;

/// How a destination is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening {
    /// Nothing is created.
    pub(crate) dry_run: bool,
    /// An archive that is there is replaced.
    pub(crate) force: bool,
}

/// Opens the target; `None` for a dry run into something that is not there yet.
pub(crate) fn open(
    target: &Location,
    opening: Opening,
    global: &Global,
    registries: &Registries<'_>,
) -> Result<Option<Destination>, Problem> {
    tracing::debug!("writing to {}", target.whole());
    let opened = match &target.place {
        PlaceKind::Directory(path) if opening.dry_run && !path.exists() => return Ok(None),
        // `create` writes nothing yet. A directory left by an interrupted run counts as existing, so a
        // dry run opens it too.
        PlaceKind::Directory(path) => Directory::create(path).map(Destination::Directory),
        PlaceKind::Archive(_) if target.is_pipe() => return pipe(opening, global),
        PlaceKind::Archive(path) if path.is_dir() => {
            let path = path.display();
            let text = format!("{path} is a directory, where an archive is a file");
            return Err(Problem::new(Exit::Usage, text).hint(format!(
                "write `{}`, or choose another name",
                shell::word(format!("oci:{path}"))
            )));
        }
        PlaceKind::Archive(path) => {
            refuse_compressed(path)?;
            let writer = if opening.force {
                ArchiveWriter::replacing(path)
            } else {
                ArchiveWriter::new(path)
            };
            writer.map(Destination::Archive)
        }
        PlaceKind::Registry(place) => {
            refuse_short(place, target)?;
            let remote = registries.remote(place)?;
            // Check access once here, not per blob.
            remote.registry().ping().map_err(Problem::of)?;
            return Ok(Some(Destination::Registry(remote)));
        }
    };
    opened.map(Some).map_err(Problem::of)
}

/// Returns an archive on stdout; `None` for a dry run.
fn pipe(opening: Opening, global: &Global) -> Result<Option<Destination>, Problem> {
    if opening.dry_run {
        return Ok(None);
    }
    if std::io::stdout().is_terminal() {
        let text = "an archive is not written to a terminal";
        return Err(Problem::new(Exit::Usage, text).hint("redirect stdout, or name a file"));
    }
    if global.json {
        let text = "stdout cannot hold both the archive and a JSON document";
        return Err(Problem::new(Exit::Usage, text).hint("leave out --json, or name a file"));
    }
    Ok(Some(Destination::Stream(ArchiveStream::new(Box::new(std::io::stdout())))))
}

/// Returns how many bytes of a plan are not there yet. Nothing is written.
pub(crate) fn missing(
    destination: &Destination,
    plan: &SealedPlan<'_>,
    jobs: usize,
) -> Result<u64, Problem> {
    let missing = match destination {
        Destination::Archive(archive) => {
            let already_written = archive.left_of(&plan.outline());
            already_written.map(|written| plan.size().bytes.saturating_sub(written))
        }
        Destination::Directory(_) | Destination::Stream(_) | Destination::Registry(_) => {
            plan.totals(jobs).map(|totals| totals.missing)
        }
    };
    missing.map_err(Problem::of)
}

/// Tells whether stdout is the archive, so that nothing else may go there.
pub(crate) fn is_stdout(destination: &Destination) -> bool {
    matches!(destination, Destination::Stream(_))
}

/// Words a write error. What stdout does not take is a
/// failure, as it is for every command, and nothing goes on there with the next run.
pub(crate) fn problem(destination: &Destination, error: Error) -> Problem {
    let is_of_stdout = is_stdout(destination) && matches!(error, Error::Io { .. });
    let problem = Problem::of(error);
    if is_of_stdout {
        problem.because(Exit::Failed).hint("check where stdout goes; the archive is incomplete")
    } else {
        problem
    }
}

/// Endings of names that say that a file is compressed, and what compresses one so.
const COMPRESSED: [(&str, &str); 9] = [
    (".gz", "gzip"),
    (".tgz", "gzip"),
    (".zst", "zstd"),
    (".tzst", "zstd"),
    (".xz", "xz"),
    (".txz", "xz"),
    (".bz2", "bzip2"),
    (".tbz2", "bzip2"),
    (".lz4", "lz4"),
];

/// Refuses a name that says that the archive is compressed: archives are written as they are, so that
/// content is found in them by its offset, and a run that broke off goes on.
pub(crate) fn refuse_compressed(path: &Path) -> Result<(), Problem> {
    let name = path.to_string_lossy();
    let Some((ending, program)) =
        COMPRESSED.iter().find(|(ending, _)| name.to_lowercase().ends_with(ending))
    else {
        return Ok(());
    };
    let bare = &name[..name.len() - ending.len()];
    let is_tar = Path::new(bare).extension().is_some_and(|end| end.eq_ignore_ascii_case("tar"));
    let plain = if is_tar { bare.to_owned() } else { format!("{bare}.tar") };
    let text = format!("{name} names a compressed archive, and archives are written uncompressed");
    Err(Problem::new(Exit::Usage, text).hint(format!(
        "write `{0}`, then run `{program} {0}`; layers are compressed already",
        shell::word(plain)
    )))
}

/// Warns of a directory on a FAT file system that takes more, or nearly more, files than one holds.
pub(crate) fn warn_if_crowded(directory: &Directory, plan: &SealedPlan<'_>, output: &Output) {
    if let Some(blobs) = directory.crowded(|| plan.outline()) {
        output.warning(&format!(
            "{} is on a FAT file system, where a directory holds about 10,900 files, and {blobs} blobs go \
             into one; an archive (`oci-archive:FILE`) has no such bound",
            directory.path().display()
        ));
    }
}
