//! Referrers in a layout: how they are stored there is not specified (row A-29), so they are found
//! by the `subject` of every manifest that can be reached from `index.json`. That covers untagged
//! entries (oras), fallback tags (regctl) and attestations inside an index (BuildKit) alike.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use longshore_spec::{Descriptor, Digest, Kind, Role};
use longshore_store::{AnsweredBy, Error, Referrers, Result, walk};

use crate::Index;
use crate::index::Listing;
use crate::view::Contents;

/// How many manifests are read at once: they are small, and a cold disk likes company.
const JOBS: usize = 4;

type BySubject = HashMap<Digest, Vec<Descriptor>>;

/// What a look at every manifest found, kept until `index.json` changes.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Option<(Arc<Listing>, Arc<BySubject>)>>);

impl Cache {
    /// Returns the referrers of `subject`; looks at every manifest when first asked.
    pub(crate) fn referrers(&self, contents: &dyn Contents, subject: &Digest) -> Result<Referrers> {
        let entries = self.by_subject(contents)?.get(subject).cloned().unwrap_or_default();
        Ok(Referrers { entries, answered_by: AnsweredBy::Scan })
    }

    fn by_subject(&self, contents: &dyn Contents) -> Result<Arc<BySubject>> {
        let listing = contents.listing()?;
        // Held while looking: others who ask meanwhile want the same answer.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, found)) = &*kept
            && Arc::ptr_eq(of, &listing)
        {
            return Ok(Arc::clone(found));
        }
        let found = Arc::new(scan(contents, listing.index())?);
        *kept = Some((listing, Arc::clone(&found)));
        Ok(found)
    }
}

/// Reads every manifest that can be reached. One that is absent says nothing (row A-13); one that
/// is damaged is an error, since what it said is not known.
fn scan(contents: &dyn Contents, index: &Index) -> Result<BySubject> {
    let mut found = BySubject::new();
    let mut seen = HashSet::new();
    let mut failure = None;
    let roots =
        index.manifests.iter().filter(|entry| seen.insert(entry.digest.clone())).cloned().collect();
    let mut seen: HashSet<Digest> = seen;
    let look = |descriptor: &Descriptor| match contents.manifest(descriptor) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(Error::NotFound { .. }) => Ok(None),
        // An entry of unknown type may be anything (rows A-15, C-22).
        Err(Error::Manifest { .. } | Error::Limit { .. } | Error::Unverifiable { .. })
            if Kind::of(&descriptor.media_type).is_none() =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    };
    let walked = walk(roots, JOBS, look, |_, manifest| match manifest {
        Ok(None) => Vec::new(),
        Ok(Some(manifest)) => {
            if let Some(subject) = manifest.subject() {
                found.entry(subject.digest.clone()).or_default().push(manifest.as_referrer());
            }
            let nested = manifest.children().filter(|(role, _)| *role == Role::Manifest);
            nested
                .map(|(_, child)| child.clone())
                .filter(|child| seen.insert(child.digest.clone()))
                .collect()
        }
        Err(error) => {
            failure.get_or_insert(error);
            Vec::new()
        }
    });
    if let Some(error) = failure {
        return Err(error);
    }
    walked.map_err(|error| Error::Limit { what: contents.label(), limit: error.to_string() })?;
    for list in found.values_mut() {
        list.sort_unstable_by(|a, b| a.digest.cmp(&b.digest));
    }
    Ok(found)
}
