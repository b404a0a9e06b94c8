//! Deleting tags, manifests and blobs (rows F-39 to F-43).

use std::sync::PoisonError;

use http::{Response, StatusCode};
use longshore_spec::{Digest, ManifestContent, RepositoryName};
use longshore_store::{Entry, Error, Name, Repository, Selector};

use crate::body::Body;
use crate::error::{Code, ErrorResponse};
use crate::handler::Handler;
use crate::response;

impl Handler {
    /// Deletes a tag, or a manifest with all its tags.
    pub(crate) fn delete_manifest(
        &self,
        name: &RepositoryName,
        selector: Selector,
    ) -> Result<Response<Body>, ErrorResponse> {
        let repository = self.repository(name)?;
        match &selector {
            Selector::Name(tag) => repository.untag(tag),
            Selector::Digest(digest) => self.remove(&*repository, digest),
        }
        .map_err(ErrorResponse::unknown(Code::ManifestUnknown))?;
        self.place.commit()?;
        Ok(response::empty(StatusCode::ACCEPTED))
    }

    /// Removes a blob from a repository. Fails while a manifest there needs the blob.
    pub(crate) fn delete_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Response<Body>, ErrorResponse> {
        let forgotten = self.place.forget(name, digest);
        forgotten.map_err(ErrorResponse::unknown(Code::BlobUnknown))?;
        self.place.commit()?;
        Ok(response::empty(StatusCode::ACCEPTED))
    }

    /// Deletes a manifest. Fails while an index lists it, with one exception: the list of referrers under
    /// a fallback tag (row E-81) is rewritten, as clients would do themselves.
    fn remove(&self, repository: &dyn Repository, digest: &Digest) -> longshore_store::Result<()> {
        match repository.remove(digest) {
            Err(Error::Unsupported { .. }) => {}
            result => return result,
        }
        // Two manifests that leave one list at once would each rewrite it with the other still in it.
        let _alone = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let was_listed = remove_referrer(repository, digest)?;
        match repository.remove(digest) {
            // Only the list referred to it.
            Err(Error::NotFound { .. }) if was_listed => Ok(()),
            result => result,
        }
    }
}

/// Removes a manifest from the list of referrers under the fallback tag of its subject. Returns whether
/// it was listed.
fn remove_referrer(repository: &dyn Repository, digest: &Digest) -> longshore_store::Result<bool> {
    let manifest = repository.manifest(&Selector::Digest(digest.clone()))?;
    let Some(subject) = manifest.subject() else { return Ok(false) };
    let tag = Name::new(subject.digest.referrers_tag());
    let list = match repository.manifest(&Selector::Name(tag.clone())) {
        Err(Error::NotFound { .. }) => return Ok(false),
        list => list?,
    };
    let before = list.descriptor().digest.clone();
    let ManifestContent::Index(index) = list.content() else { return Ok(false) };
    if index.manifests.iter().all(|entry| entry.digest != *digest) {
        return Ok(false);
    }
    if index.manifests.iter().any(|entry| entry.digest != *digest) {
        let without = |source| Error::Manifest { digest: before.clone(), source };
        let list = list.retain_entries(|entry| entry.digest != *digest).map_err(without)?;
        repository.push_manifest(&list, Entry::Root(&[tag]))?;
    }
    repository.remove(&before)?;
    Ok(true)
}
