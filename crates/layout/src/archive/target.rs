//! An archive that is written, as a target: its content was announced by the outline.

use std::fmt::Debug;

use longshore_spec::{Descriptor, Digest, Manifest, Role};
use longshore_store::{Blob, Entry, Held, Name, Pushed, Result, Target};

use crate::manifest_blob::ManifestBlob;

/// What archives that are written have in common.
pub(super) trait Sink: Debug + Send + Sync {
    /// See [`Target::held`].
    fn held(&self, descriptor: &Descriptor) -> Result<Held>;

    /// See [`Target::push_blob`].
    fn push(&self, blob: &dyn Blob) -> Result<Pushed>;
}

/// A whole archive that is written, as one repository. The outline announced all names, and they are in
/// `index.json` already.
#[derive(Debug)]
pub struct ArchiveTarget<'a>(pub(super) &'a dyn Sink);

impl Target for ArchiveTarget<'_> {
    fn held(&self, descriptor: &Descriptor, _: Role) -> Result<Held> {
        self.0.held(descriptor)
    }

    /// A new archive has no names yet.
    fn stands_for(&self, _: &Name) -> Result<Option<Digest>> {
        Ok(None)
    }

    fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        self.0.push(blob)
    }

    fn push_manifest(&self, manifest: &Manifest, _: Entry<'_>) -> Result<Pushed> {
        self.0.push(&ManifestBlob(manifest))
    }

    fn list(&self, _: &Descriptor, _: &[Name]) -> Result<()> {
        Ok(())
    }
}
