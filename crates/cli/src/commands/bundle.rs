//! What `import` and `verify` have in common: what a bundle is, and says of itself.

use std::path::PathBuf;

use longshore_bundle::{
    DOCKER_MANIFEST, Difference, MAX_DOCKER_MANIFEST, MAX_RECORD, RECORD, Record, RecordError,
};
use longshore_store::{Error, Root};
use longshore_sync::Plan;

use crate::location::{Location, Where};
use crate::opened::Opened;
use crate::problem::{Exit, Problem};

/// What to do about a bundle that is not what its record says.
pub(crate) const AGAIN: &str =
    "get the bundle again from where it came; `longshore copy --all` takes what is in it unseen";

/// Fails if what was given is what a run left that broke off: it is neither missing nor damaged.
pub(crate) fn check_finished(location: &Location) -> Result<(), Problem> {
    unfinished(location).map_or(Ok(()), Err)
}

/// Says that what was given is what a run left that broke off, if it is.
fn unfinished(location: &Location) -> Option<Problem> {
    const SUFFIX: &str = ".partial";
    let Where::Archive(path) = &location.place else { return None };
    let text = path.display().to_string();
    let partial = match text.strip_suffix(SUFFIX) {
        Some(_) => path.clone(),
        None if path.exists() => return None,
        None => PathBuf::from(format!("{text}{SUFFIX}")),
    };
    let journal = PathBuf::from(format!("{}.journal", partial.display()));
    if !partial.exists() || !journal.exists() {
        return None;
    }
    let text = format!("{} is not finished: whatever wrote it broke off", partial.display());
    let hint = "run the same command again, and it goes on from there; nothing of it is damaged";
    Some(Problem::new(Exit::Usage, text).hint(hint))
}

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
