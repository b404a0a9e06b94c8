//! A copy of one artifact, in one call.

use longshore_store::Selector;
use longshore_sync::{CopyItem, CopyRequest, Filter, Observer, Report, RootRequest};

use crate::{OpenSource, OpenTarget, PlaceError};

/// How a copy is done.
#[derive(Debug, Clone)]
pub struct CopyOptions {
    /// What is taken of the artifact.
    pub filter: Filter,
    /// How much is done at once.
    pub jobs: usize,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self { filter: Filter::default(), jobs: crate::JOBS }
    }
}

/// Copies what is meant in one place to another, under the name that was written there, or its own. All that
/// went wrong is in the report.
///
/// # Errors
///
/// Nobody can say what is meant, or the target takes nothing.
pub fn copy(
    source: &OpenSource,
    target: &OpenTarget,
    options: &CopyOptions,
    observer: &dyn Observer,
) -> Result<Report, PlaceError> {
    let (from, to) = (source.whole(), target.whole());
    let selector = source.selected()?;
    let own = match &selector {
        Selector::Name(name) => Some(name.clone()),
        Selector::Digest(_) => None,
    };
    let wanted = CopyItem {
        source: &*from,
        request: RootRequest::Selector(selector),
        target: Some(&*to),
        names: target.name.clone().or(own).into_iter().collect(),
        filter: None,
    };
    let filter = options.filter.clone();
    let request = CopyRequest { items: vec![wanted], filter, jobs: options.jobs };
    let mut copy = request.prepare(observer);
    let mut report = copy.run(target.place(), observer).map_err(|failure| *failure.error)?;
    report.failures.splice(0..0, copy.into_failures());
    Ok(report)
}
