//! What manifests of a repository refer to. A server asks this for every blob, so it is found out
//! once for each state of `index.json`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use longshore_spec::{Descriptor, Digest, MediaType, RepositoryName};
use longshore_store::Result;

use crate::index::Listing;
use crate::names::Scope;
use crate::view::Contents;
use crate::visit::visit;

/// So many repositories are remembered; with more, all are forgotten and found out again.
const MAX_REPOSITORIES: usize = 1000;

type Children = HashMap<Digest, (MediaType, u64)>;

/// What was found out, by repository.
#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<RepositoryName, Known>>);

/// What was found out of a repository, for one state of what is listed.
type Known = (Arc<Listing>, Arc<Children>);

impl Cache {
    /// Returns what a manifest of the repository refers to under this digest, as the manifest
    /// describes it; manifests that an index lists are among them.
    pub(crate) fn find(
        &self,
        contents: &dyn Contents,
        repository: &RepositoryName,
        scope: &Scope,
        digest: &Digest,
    ) -> Result<Option<Descriptor>> {
        let children = self.children(contents, repository, scope)?;
        let found = children.get(digest);
        Ok(found
            .map(|(media_type, size)| Descriptor::new(media_type.clone(), digest.clone(), *size)))
    }

    fn children(
        &self,
        contents: &dyn Contents,
        repository: &RepositoryName,
        scope: &Scope,
    ) -> Result<Arc<Children>> {
        let listing = contents.listing()?;
        // Held while looking: others who ask meanwhile want the same answer.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, children)) = kept.get(repository)
            && Arc::ptr_eq(of, &listing)
        {
            return Ok(Arc::clone(children));
        }
        let mut children = Children::new();
        let here = listing.index().manifests.iter().filter(|entry| scope.holds(entry));
        visit(contents, here, |manifest| {
            for (_, child) in manifest.children() {
                children
                    .entry(child.digest.clone())
                    .or_insert_with(|| (child.media_type.clone(), child.size));
            }
        })?;
        if kept.len() >= MAX_REPOSITORIES {
            kept.clear();
        }
        let children = Arc::new(children);
        kept.insert(repository.clone(), (listing, Arc::clone(&children)));
        Ok(children)
    }
}
