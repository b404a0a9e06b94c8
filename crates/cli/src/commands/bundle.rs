//! What `import` and `verify` have in common: the record of a bundle.

use longshore::OpenPlace;
use longshore_bundle::{OpenError, Record, RecordError};

use crate::problem::{Exit, Problem};

/// What to do about a bundle that is not what its record says.
pub(crate) const AGAIN: &str = "fetch the bundle again from its source; `longshore copy --all` copies what is in it without this check";

/// Reads the record of a bundle; `None` for a layout that is none.
pub(crate) fn record(opened: &OpenPlace) -> Result<Option<Record>, Problem> {
    opened.layout().map_or(Ok(None), |layout| Record::read(layout).map_err(unreadable))
}

/// Says why a bundle cannot be opened.
pub(crate) fn unreadable(error: OpenError) -> Problem {
    let error = match error {
        OpenError::Store(error) => return Problem::of(error),
        OpenError::Record(error) => error,
        error @ OpenError::Repair(_) => {
            return Problem::new(Exit::Usage, error.to_string())
                .hint("import it together with that: `longshore import BUNDLE REPAIR DST`");
        }
    };
    let problem = Problem::new(Exit::Difference, error.to_string());
    match error {
        RecordError::Newer(_) => {
            problem.because(Exit::Usage).hint("use a newer version of longshore")
        }
        RecordError::Malformed(_) | RecordError::Changed { .. } => problem.hint(AGAIN),
    }
}
