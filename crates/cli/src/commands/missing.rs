//! Lists of missing content: `import --missing` writes them, and `export --only` reads them.

use std::cell::Cell;
use std::path::Path;

use longshore_bundle::{MAX_MISSING_CONTENT, MissingContent, OpenBundle};
use longshore_layout::{check_writable, write_file};
use longshore_spec::{Digest, Size};
use longshore_store::Error;

use crate::human;
use crate::input;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::shell;

/// Reads what a site asked for.
pub(crate) fn read(path: &Path) -> Result<MissingContent, Problem> {
    let bytes = input::bytes(path, MAX_MISSING_CONTENT).map_err(Problem::of)?;
    MissingContent::parse(&bytes).map_err(|error| {
        let text = format!("{} is no list of missing content: {error}", path.display());
        Problem::new(Exit::Usage, text).hint("give the file that `import --missing` wrote")
    })
}

/// The file that an import writes what is missing to. One that is there is never left as if it were of this
/// import.
pub(crate) struct MissingFile<'a> {
    path: &'a Path,
    /// Whether the file says what this import found.
    is_current: Cell<bool>,
}

impl<'a> MissingFile<'a> {
    /// Makes sure that the file can be written, and that what it replaces is such a list.
    pub(crate) fn of(path: &'a Path) -> Result<Self, Problem> {
        check_writable(path).map_err(Problem::of)?;
        let is_there = path.exists();
        if is_there {
            read(path).map_err(|problem| {
                problem.hint("it is not replaced; choose another name for --missing")
            })?;
        }
        Ok(Self { path, is_current: Cell::new(!is_there) })
    }

    /// Writes down what is missing of a bundle, as far as its record knows it. If that is nothing, no file
    /// is there afterwards.
    pub(crate) fn write(
        &self,
        bundle: &OpenBundle<'_>,
        digests: &[Digest],
        output: &Output,
    ) -> Result<(), Problem> {
        let path = self.path.display();
        let record = bundle.record.as_ref();
        let Some(missing) = record.and_then(|record| MissingContent::of(record, digests)) else {
            return self.remove(output);
        };
        let written = write_file(self.path, missing.to_string().as_bytes());
        written.map_err(|error| Problem::of(error).because(Exit::Failed))?;
        self.is_current.set(true);
        let count = human::count(missing.blobs.len() as u64, "blob");
        output.note(&format!(
            "wrote {path}: {count} missing, {}; where the bundle was made, `longshore export -f FILE \
             --only {} -o repair.tar` makes a bundle of exactly that",
            Size(missing.size()),
            shell::word(path.to_string())
        ));
        Ok(())
    }

    /// Removes what an earlier import wrote.
    fn remove(&self, output: &Output) -> Result<(), Problem> {
        if !self.is_current.replace(true) {
            let path = self.path.display();
            std::fs::remove_file(self.path).map_err(|error| {
                Problem::of(Error::io("remove", path)(error)).because(Exit::Failed)
            })?;
            output.note(&format!("removed {}: nothing of it is missing now", self.path.display()));
        }
        Ok(())
    }

    /// Tells that a file of an earlier import is still there, where this one came to no answer.
    pub(crate) fn warn_if_stale(&self, output: &Output) {
        if !self.is_current.get() {
            let path = self.path.display();
            output.warning(&format!("{path} is of an earlier import: this one did not get so far"));
        }
    }
}
