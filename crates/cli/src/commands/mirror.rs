//! `mirror`: a registry or a layout is kept equal to what a file says, once or for as long as it runs.

mod pass;
mod service;
mod status;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use longshore_bundle::MirrorFile;

use crate::args::{Global, ImportDestination, Mirror};
use crate::input;
use crate::interrupt;
use crate::location::layout_in_file;
use crate::output::Output;
use crate::problem::{Exit, Mistake, Problem};

/// Where artifacts go, and how that is written.
struct NamedTarget {
    text: String,
    to: ImportDestination,
}

pub(crate) fn run(args: &Mirror, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let file = read(&args.file)?;
    let writes = !(args.dry_run || args.check);
    let _alone = if writes { Some(Alone::with(&args.file)?) } else { None };
    if file.schedule.is_some() && writes && !args.once {
        return service::run(file, args, global, output);
    }
    if !args.listen.is_empty() {
        let text = "--listen is for a mirror that stays, and this makes one pass";
        return Err(Problem::new(Exit::Usage, text).hint(
            "write a `schedule` into the file, and leave out --once, --dry-run and --check",
        ));
    }
    if writes {
        interrupt::promise_to_go_on(output);
    }
    let made = pass::run(&file, args, global, output, &AtomicBool::new(false))?;
    if writes {
        output.summary(&made.document, || made.text)?;
    } else {
        output.result(&made.document, || made.text)?;
    }
    Ok(made.exit)
}

/// Reads `mirror.yaml`.
fn read(path: &Path) -> Result<MirrorFile<NamedTarget>, Problem> {
    let name = input::name(path);
    let text = input::text(path, input::MAX_LIST).map_err(|error| {
        let is_there = path == Path::new("-") || path.exists();
        let problem = Problem::of(error);
        if is_there {
            problem
        } else {
            problem.hint("name another with -f; `longshore init --mirror` writes an example")
        }
    })?;
    let target = |text: &str| {
        let to: Result<_, Mistake> = text.parse();
        Ok(NamedTarget { text: text.to_owned(), to: to.map_err(|mistake| mistake.to_string())? })
    };
    let file = MirrorFile::parse(&name, &text, &layout_in_file, target)
        .map_err(|error| Problem::new(Exit::Usage, error.to_string()))?;
    if file.selection.items.is_empty() {
        let text = format!("{name} names no artifact, so nothing is wanted");
        return Err(Problem::new(Exit::Usage, text)
            .hint("`longshore init --mirror` writes an example of what can be wanted"));
    }
    Ok(file)
}

/// The right to make passes by a file, which one process of a machine has at a time.
struct Alone {
    _locked: Option<std::fs::File>,
}

impl Alone {
    /// Fails if another process makes passes by this file. Nothing is written for it: the file itself is locked.
    fn with(path: &Path) -> Result<Self, Problem> {
        // A pipe was read to its end, and nobody else has it: to open it again would wait for ever.
        if !path.is_file() {
            return Ok(Self { _locked: None });
        }
        let file = std::fs::File::open(path).map_err(|error| {
            Problem::of(longshore_store::Error::io("read", path.display())(error))
        })?;
        if is_locked_elsewhere(&file) {
            let text = format!("another process mirrors by {}", path.display());
            return Err(Problem::new(Exit::Usage, text).hint("wait for it, or end it"));
        }
        Ok(Self { _locked: Some(file) })
    }
}

/// Locks a file, and tells whether another process has done so. Where files cannot be locked, nobody has.
#[cfg(unix)]
fn is_locked_elsewhere(file: &std::fs::File) -> bool {
    use rustix::fs::{FlockOperation, flock};
    use rustix::io::Errno;

    flock(file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
}

#[cfg(not(unix))]
fn is_locked_elsewhere(_: &std::fs::File) -> bool {
    false
}
