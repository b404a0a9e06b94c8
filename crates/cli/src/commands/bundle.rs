//! What `import` and `verify` have in common: the record of a bundle.

use longshore_bundle::{
    DOCKER_MANIFEST, Difference, MAX_DOCKER_MANIFEST, MAX_RECORD, RECORD, Record, RecordError,
};
use longshore_store::{Error, Root};
use longshore_sync::Plan;

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

/// Returns every way in which a layout is not what a record says: `listed` is all that it lists, and the
/// plan knows what that needs.
pub(crate) fn differences(
    record: &Record,
    layout: &Opened,
    listed: &[Root],
    plan: &Plan<'_>,
) -> Result<Vec<Difference>, Problem> {
    let mut differences = record.differences(listed, &plan.outline(Vec::new()));
    if record.docker_manifest.is_some() {
        let found = match layout.extra_file(DOCKER_MANIFEST, MAX_DOCKER_MANIFEST) {
            Err(Error::Limit { .. }) => None,
            found => found.map_err(Problem::of)?,
        };
        differences.extend(record.docker_difference(found.as_deref()));
    }
    Ok(differences)
}
