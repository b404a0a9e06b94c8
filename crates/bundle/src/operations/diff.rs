//! What a place or a bundle holds, to be compared with what something else says.

use longshore_layout::Layout;
use longshore_spec::artifact_type::TypeFilter;
use longshore_store::{Result, Source};
use longshore_sync::{Failure, Filter, Observer, Referring, survey, survey_known};

use crate::{Delta, Record, Snapshot};

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
    /// Finds out what all names stand for, and what content they and their referrers need, and adds it to a snapshot.
    /// Blobs are not looked for. Returns what could not be found out.
    ///
    /// # Errors
    ///
    /// Nothing can be listed.
    pub fn add_to(&self, snapshot: &mut Snapshot, observer: &dyn Observer) -> Result<Vec<Failure>> {
        let known = self.repository.known_roots()?;
        for root in &known.roots {
            let called = root
                .names
                .iter()
                .map(|name| (format!("{}{name}", self.prefix), root.descriptor.digest.clone()));
            snapshot.names.extend(called);
        }
        let referrers = Referring::Taken(TypeFilter::default());
        let filter = Filter { referrers, allow_unverified: true, ..Filter::default() };
        let plan = survey_known(self.repository, known, &filter, self.jobs, observer).seal();
        snapshot.contents.get_or_insert_default().add_plan(&plan);
        Ok(plan.into_failures())
    }
}

impl Snapshot {
    /// Returns what a bundle brings by its record, and by its manifests what each name needs of that. Of manifests that
    /// cannot be read that is not known.
    pub fn of_bundle(layout: &dyn Layout, record: &Record, jobs: usize) -> Self {
        let mut snapshot = Self::of_record(record);
        let Ok(listed) = record.listed_in(layout) else { return snapshot };
        let view = Delta::whole(layout, record);
        let plan = survey(&view, &listed, jobs).seal();
        snapshot.contents.get_or_insert_default().add_references(&plan);
        snapshot
    }
}
