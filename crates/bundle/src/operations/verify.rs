//! Proving that all of a bundle, or of any layout or repository, is there.

use std::collections::HashSet;

use longshore_layout::Layout;
use longshore_spec::Digest;
use longshore_store::{Error, KnownRoots, Result, Root, Source};
use longshore_sync::{Failure, Filter, Observer, Report, SealedPlan, survey_known};

use crate::{DOCKER_MANIFEST, Difference, MAX_DOCKER_MANIFEST, Record};

/// What is to be verified.
#[derive(Debug, Clone, Copy)]
pub struct VerifyRequest<'a> {
    /// Where it lies: all of a layout, or a repository.
    pub view: &'a dyn Source,
    /// The layout, if all that it lists is verified: what it stores beside that is found, too.
    pub layout: Option<&'a dyn Layout>,
    /// The record to compare with. Of the blobs that it assumes the site has, only those are looked at that the
    /// layout holds.
    pub record: Option<&'a Record>,
    /// Whether content whose digest cannot be computed passes (row A-38).
    pub allow_unverified: bool,
    /// How many manifests are looked into at once.
    pub jobs: usize,
}

/// All that is needed by what is verified, known before the first blob is read.
#[derive(Debug)]
pub struct Verification<'a> {
    request: VerifyRequest<'a>,
    listed: Vec<Root>,
    plan: SealedPlan<'a>,
}

/// What was verified.
#[derive(Debug)]
pub struct Verified<'a> {
    verification: Verification<'a>,
    /// What came of it.
    pub report: Report,
}

impl<'a> VerifyRequest<'a> {
    /// Finds out what `known` needs. Each name in `known.unknown` is looked up again and fails alone.
    pub fn prepare(&self, known: KnownRoots, observer: &dyn Observer) -> Verification<'a> {
        let listed = known.roots.clone();
        let filter = Filter { allow_unverified: self.allow_unverified, ..Filter::default() };
        let mut plan = survey_known(self.view, known, &filter, self.jobs, observer).seal();
        let assumed = self.record.map(Record::assumed).unwrap_or_default();
        if !assumed.is_empty() {
            let is_absent = |digest: &Digest| match self.layout {
                Some(layout) => !matches!(layout.blob_size(digest), Ok(Some(_))),
                None => true,
            };
            let assumed = assumed.iter().map(|blob| &blob.digest);
            let assumed: HashSet<&Digest> = assumed.filter(|digest| is_absent(digest)).collect();
            plan.assume(|digest| assumed.contains(digest));
        }
        Verification { request: *self, listed, plan }
    }
}

impl<'a> Verification<'a> {
    /// Returns the plan of all that is needed.
    pub fn plan(&self) -> &SealedPlan<'a> {
        &self.plan
    }

    /// Reads and hashes all of it, with `cores` threads.
    pub fn run(self, cores: usize, observer: &dyn Observer) -> Verified<'a> {
        let report = self.plan.verify(cores, observer);
        Verified { verification: self, report }
    }
}

impl<'a> Verified<'a> {
    /// Returns the plan of all that was needed.
    pub fn plan(&self) -> &SealedPlan<'a> {
        &self.verification.plan
    }

    /// Returns everything that went wrong, before content was read and while it was.
    pub fn into_failures(self) -> impl Iterator<Item = Failure> {
        self.verification.plan.into_failures().into_iter().chain(self.report.failures)
    }

    /// Returns what the layout stores and nothing needs that is listed (row A-12), sorted.
    pub fn orphans(&self) -> Result<Vec<Digest>> {
        let Some(layout) = self.verification.request.layout else { return Ok(Vec::new()) };
        let needed: HashSet<&Digest> = self.plan().digests().collect();
        let mut orphans = layout.blob_digests()?;
        orphans.retain(|digest| !needed.contains(digest));
        orphans.sort_unstable();
        Ok(orphans)
    }

    /// Returns every way in which the layout is not what its record says; `orphans` is what
    /// [`orphans`](Self::orphans) returned. A damaged manifest would make everything that needs it look
    /// wrongly recorded, so nothing is returned if the plan has failures; those of the report do not
    /// matter, since the record is compared with what manifests say.
    pub fn differences(&self, orphans: &[Digest]) -> Result<Vec<Difference>> {
        let Verification { request: VerifyRequest { layout, record, .. }, listed, plan } =
            &self.verification;
        let (Some(layout), Some(record), true) = (layout, record, plan.failures().is_empty())
        else {
            return Ok(Vec::new());
        };
        // What repairs another bundle has no manifests that say what its content is.
        let mut found = match record.repairs {
            None => layout_differences(record, *layout, listed, plan)?,
            Some(_) => Vec::new(),
        };
        // What they list was found by their record; their own `index.json` is compared apart.
        if record.base.is_some() || record.repairs.is_some() {
            found.extend(record.misnamed(&layout.whole().roots()?));
        }
        // A directory may keep what an earlier export had begun; an archive is all of one export.
        if layout.is_written_once() {
            found.extend(record.unknown(orphans));
        }
        Ok(found)
    }

    /// Returns every way in which what is listed and needed is not what another record says.
    pub(crate) fn differences_from(&self, record: &Record) -> Vec<Difference> {
        let Verification { listed, plan, .. } = &self.verification;
        // Of what repairs another bundle nothing says what it is.
        if !plan.failures().is_empty() || record.repairs.is_some() {
            return Vec::new();
        }
        record.differences(listed, &plan.outline(), &plan.assumed())
    }
}

/// Returns every way in which a layout is not what a record says: `listed` is all that it lists, and
/// `plan` has what that needs.
pub(super) fn layout_differences(
    record: &Record,
    layout: &dyn Layout,
    listed: &[Root],
    plan: &SealedPlan<'_>,
) -> Result<Vec<Difference>> {
    let mut differences = record.differences(listed, &plan.outline(), &plan.assumed());
    if record.docker_manifest.is_some() {
        let found = match layout.extra_file(DOCKER_MANIFEST, MAX_DOCKER_MANIFEST) {
            // One that is over the limit is not the one that was recorded.
            Err(Error::Limit { .. }) => None,
            found => found?,
        };
        differences.extend(record.docker_difference(found.as_deref()));
    }
    Ok(differences)
}
