//! Manifests as blobs.

use longshore_spec::{Descriptor, Hasher, Manifest};
use longshore_store::{Blob, Result, Verifying};

/// A manifest in memory, as a blob that is pushed.
pub(crate) struct ManifestBlob<'a>(pub(crate) &'a Manifest);

impl Blob for ManifestBlob<'_> {
    fn descriptor(&self) -> &Descriptor {
        self.0.descriptor()
    }

    fn open(&self, prefix: Option<Hasher>) -> Result<Verifying<'_>> {
        let raw = self.0.raw();
        let Some(prefix) = prefix else {
            return Verifying::new(Box::new(&raw[..]), self.descriptor());
        };
        let seen = usize::try_from(prefix.count()).unwrap_or(usize::MAX).min(raw.len());
        Ok(Verifying::resume(Box::new(&raw[seen..]), self.descriptor(), prefix))
    }
}
