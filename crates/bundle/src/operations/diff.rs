//! What a place holds now, to be compared with what something else says.

use std::collections::BTreeMap;

use longshore_spec::artifact_type::TypeFilter;
use longshore_store::{Result, Source};
use longshore_sync::{Failure, Filter, Observer, Referring, survey_known};

use crate::Snapshot;

/// What a repository or layout is asked for a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotRequest<'a> {
    /// All of a layout, or a repository.
    pub repository: &'a dyn Source,
    /// What stands before each name, with the `:` between: a registry and repository. Empty for a layout,
    /// whose names are whole.
    pub prefix: &'a str,
    /// How much is asked for at once.
    pub jobs: usize,
}

impl SnapshotRequest<'_> {
    /// Finds out what all names stand for, and what content they and their referrers need. Blobs are not
    /// looked for. What could not be found out is returned, too.
    ///
    /// # Errors
    ///
    /// Nothing can be listed.
    pub fn run(&self, observer: &dyn Observer) -> Result<(Snapshot, Vec<Failure>)> {
        let known = self.repository.known_roots()?;
        let mut names = BTreeMap::new();
        for root in &known.roots {
            let called = root
                .names
                .iter()
                .map(|name| (format!("{}{name}", self.prefix), root.descriptor.digest.clone()));
            names.extend(called);
        }
        let referrers = Referring::Taken(TypeFilter::default());
        let filter = Filter { referrers, allow_unverified: true, ..Filter::default() };
        let plan = survey_known(self.repository, known, &filter, self.jobs, observer).seal();
        let outline = plan.outline();
        let contents = outline.nodes().iter().map(|node| (node.digest.clone(), node.size));
        let snapshot = Snapshot { names, contents: Some(contents.collect()) };
        Ok((snapshot, plan.into_failures()))
    }
}
