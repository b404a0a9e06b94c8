//! Deleting tags, manifests and blobs (rows F-39 to F-43).

use http::{Response, StatusCode};
use longshore_spec::{Digest, RepositoryName};
use longshore_store::Selector;

use crate::body::Body;
use crate::fault::{Code, Fault};
use crate::registry::Registry;
use crate::reply;

impl Registry {
    /// Takes away a tag, or a manifest with every tag on it.
    pub(crate) fn delete_manifest(
        &self,
        name: &RepositoryName,
        selector: Selector,
    ) -> Result<Response<Body>, Fault> {
        let repository = self.repository(name)?;
        match &selector {
            Selector::Name(tag) => repository.untag(tag),
            Selector::Digest(digest) => repository.remove(digest),
        }
        .map_err(Fault::unknown(Code::ManifestUnknown))?;
        self.place.commit(true)?;
        Ok(reply::empty(StatusCode::ACCEPTED))
    }

    /// Takes a blob out of a repository; refused while a manifest there needs it.
    pub(crate) fn delete_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Response<Body>, Fault> {
        let repository = self.repository(name)?;
        repository.forget(digest).map_err(Fault::unknown(Code::BlobUnknown))?;
        self.place.commit(true)?;
        Ok(reply::empty(StatusCode::ACCEPTED))
    }
}
