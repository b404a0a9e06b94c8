//! What a view needs of its layout.

use std::fmt::Debug;
use std::sync::Arc;

use longshore_spec::{Descriptor, Digest, Manifest, MediaType, RepositoryName};
use longshore_store::{Reader, Result, read_manifest};

use crate::listing::Listing;

/// What directories and archives that are read have in common.
pub(crate) trait Backend: Debug + Send + Sync {
    /// Returns its path, for errors.
    fn label(&self) -> String;

    /// Returns the repository of entries that name none.
    fn bare_names_in(&self) -> Option<&RepositoryName> {
        None
    }

    /// Returns the entries. The value is the same until something changes.
    fn listing(&self) -> Result<Arc<Listing>>;

    /// Returns the size of a blob that is stored.
    fn size(&self, digest: &Digest) -> Result<Option<u64>>;

    /// Opens a stored blob at `offset`. Fails with [`Error::NotFound`](longshore_store::Error::NotFound).
    fn open(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>>;

    /// Tells whether a blob was pushed to a repository or adopted by it.
    fn was_pushed(&self, _: &RepositoryName, _: &Digest) -> bool {
        false
    }

    /// Returns the media type of a manifest that was recorded for a repository.
    fn noted_manifest(&self, _: &RepositoryName, _: &Digest) -> Result<Option<MediaType>> {
        Ok(None)
    }

    /// Reads the manifest that `descriptor` points to, verified.
    fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        read_manifest(self.open(&descriptor.digest, 0)?, descriptor)
    }
}
