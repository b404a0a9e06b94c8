//! Deleting tags and manifests (rows E-110, E-111).

use http::Method;
use longshore_spec::{Digest, Tag};
use longshore_store::{Inability, Refusal, Result, Selector, Subject};

use super::RemoteRepository;
use crate::auth::Scope;

impl RemoteRepository {
    /// Deletes a tag, never its manifest: that would delete all other tags of the manifest, too.
    pub(super) fn delete_tag(&self, tag: &Tag) -> Result<()> {
        self.delete(tag, |said| Inability::TagDelete { said })
    }

    /// Deletes a manifest with all its tags.
    pub(super) fn delete_manifest(&self, digest: &Digest) -> Result<()> {
        let manifest = self.get_manifest(&Selector::Digest(digest.clone()))?;
        // Look up the subject first: afterwards it is unknown (row E-95).
        let listed_under = match manifest.subject() {
            Some(subject) if self.uses_fallback_tag(&subject.digest)? => Some(&subject.digest),
            _ => None,
        };
        self.delete(digest, |said| Inability::ManifestDelete { said })?;
        match listed_under {
            Some(subject) => self.remove_referrer(subject, digest),
            None => Ok(()),
        }
    }

    fn delete(
        &self,
        reference: impl Into<Subject>,
        unsupported: impl FnOnce(Box<Refusal>) -> Inability,
    ) -> Result<()> {
        let reference = reference.into();
        let path = format!("manifests/{reference}");
        let request = self.request(Method::DELETE, &path, "delete", reference);
        let scopes = [Scope::delete(&self.name)];
        let answer = self.registry.send(&request, Some(&self.name), scopes)?;
        match answer.status().as_u16() {
            200..=299 => Ok(()),
            // A registry that allows no deletion answers 405, and one that does not know it 501.
            // Distribution 2.8 answers 400 to any tag.
            400 | 405 | 501 => Err(self.unsupported(unsupported(answer.into_refusal().into()))),
            _ => Err(self.refused(&request, answer)),
        }
    }
}
