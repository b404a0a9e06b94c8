//! Referrers in a layout: how they are stored there is not specified (row A-29), so they are found
//! by the `subject` of every manifest that can be reached from `index.json`. That covers untagged
//! entries (oras), fallback tags (regctl) and attestations inside an index (BuildKit) alike.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use longshore_spec::{Descriptor, Digest};
use longshore_store::{AnsweredBy, Referrers, Result};

use crate::Index;
use crate::index::Listing;
use crate::view::Contents;
use crate::visit::visit;

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

fn scan(contents: &dyn Contents, index: &Index) -> Result<BySubject> {
    let mut found = BySubject::new();
    visit(contents, index.manifests.iter(), |manifest| {
        if let Some(subject) = manifest.subject() {
            found.entry(subject.digest.clone()).or_default().push(manifest.as_referrer());
        }
    })?;
    for list in found.values_mut() {
        list.sort_unstable_by(|a, b| a.digest.cmp(&b.digest));
    }
    Ok(found)
}
