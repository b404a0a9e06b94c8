//! What `import` and `verify` have in common: the record of a bundle.

use longshore_bundle::{MAX_RECORD, RECORD, Record, RecordError};

use crate::opened::Opened;
use crate::problem::{Exit, Problem};

/// What to do about a bundle that is not what its record says.
pub(crate) const AGAIN: &str =
    "get the bundle again from where it came; `longshore copy --all` takes what is in it unseen";

/// Reads the record of a bundle; `None` for a layout that is none.
pub(crate) fn record(layout: &Opened) -> Result<Option<Record>, Problem> {
    let found = layout.extra_file(RECORD, MAX_RECORD).map_err(Problem::of)?;
    found.map(|bytes| Record::parse(&bytes)).transpose().map_err(|error| {
        let problem = Problem::new(Exit::Difference, error.to_string());
        match error {
            RecordError::Newer(_) => {
                problem.because(Exit::Usage).hint("use a newer version of longshore")
            }
            RecordError::Malformed(_) | RecordError::Changed { .. } => problem.hint(AGAIN),
        }
    })
}
