//! A layout, or one repository of it, as a source.

use std::fmt;
use std::io::Read as _;

use longshore_spec::{
    Descriptor, Digest, Kind, Manifest, ManifestError, MediaType, RepositoryName,
};
use longshore_store::{Error, Name, Reader, Referrers, Result, Root, Selector, Source, Subject};

use crate::backend::Backend;
use crate::listing::{Entry as Listed, Listing};
use crate::lookup;
use crate::membership::{Cache, Member};
use crate::names::{self, Scope};

/// A layout or one repository of it, as a [`Source`]. The view of a directory is also a target.
pub struct View<'a, B> {
    pub(crate) backend: &'a B,
    membership: &'a Cache,
    pub(crate) scope: Scope,
}

#[expect(private_bounds, reason = "which layouts there are is this crate's business")]
impl<'a, B: Backend> View<'a, B> {
    /// Returns the view of a whole layout, whose names are those of the entries.
    pub(crate) fn whole(backend: &'a B, membership: &'a Cache) -> Self {
        Self { backend, membership, scope: Scope::Layout }
    }

    /// Returns the view of one repository, whose names are its tags.
    pub(crate) fn repository(backend: &'a B, membership: &'a Cache, name: &RepositoryName) -> Self {
        let bare = backend.bare_names_in() == Some(name);
        Self { backend, membership, scope: Scope::Repository { name: name.clone(), bare } }
    }

    pub(crate) fn not_found(&self, what: impl Into<Subject>) -> Error {
        Error::not_found(what, self.label())
    }

    pub(crate) fn label(&self) -> String {
        match self.scope.repository() {
            None => self.backend.label(),
            Some(name) => format!("{} of {}", name, self.backend.label()),
        }
    }

    /// Tells whether an entry belongs here by itself. An entry that names no repository and refers to
    /// stored content belongs where that content is.
    fn holds(&self, entry: &Listed) -> bool {
        let is_whole = self.scope.repository().is_none();
        is_whole || !self.membership.is_tied(self.backend, entry)
    }

    /// Returns the entries of a digest in this view.
    pub(crate) fn entries_of<'l>(&self, listing: &'l Listing, digest: &Digest) -> Vec<&'l Listed> {
        let mut entries = listing.of_digest(digest, &self.scope);
        entries.retain(|entry| self.holds(entry));
        entries
    }

    /// Returns the content of this repository with this digest, if it is stored.
    pub(crate) fn member(&self, digest: &Digest) -> Result<Member> {
        if self.scope.repository().is_none() {
            return Err(self.not_found(digest));
        }
        // The cheap check comes first: most requests for absent content are for content that is not
        // stored at all.
        if self.backend.size(digest)?.is_none() {
            return Err(self.not_found(digest));
        }
        let found = self.membership.find(self.backend, &self.scope, digest)?;
        found.ok_or_else(|| self.not_found(digest))
    }

    /// Returns the entry of a digest, or describes the stored content.
    fn by_digest(&self, digest: &Digest) -> Result<Descriptor> {
        let listing = self.backend.listing()?;
        let entries = self.entries_of(&listing, digest);
        if let Some(first) = entries.first() {
            return self.listed_as(&entries, names::unnamed(first.descriptor().clone()));
        }
        let mut given = None;
        if let Some(repository) = self.scope.repository() {
            given = self.backend.noted_manifest(repository, digest)?;
            if given.is_none() {
                // Content of other repositories is not visible here.
                given = Some(self.member(digest)?.media_type);
            }
        }
        let size = self.backend.size(digest)?.ok_or_else(|| self.not_found(digest))?;
        if let Some(media_type) = given.filter(|given| Kind::of(given).is_some()) {
            return Ok(Descriptor::new(media_type, digest.clone(), size));
        }
        // Only a manifest names its type, and a large layer is not one.
        if size > Manifest::MAX_SIZE {
            let source = ManifestError::Unknown;
            return Err(Error::Manifest { digest: digest.clone(), source });
        }
        let untyped = Descriptor::new(MediaType::new(""), digest.clone(), size);
        let manifest = self.backend.manifest(&untyped)?;
        let of = Manifest::media_type_of(manifest.raw());
        let media_type = of.map_err(|source| Error::Manifest { digest: digest.clone(), source })?;
        Ok(Descriptor::new(media_type, digest.clone(), size))
    }

    /// Returns the first of the entries of a digest, with the size of the content. If the entries
    /// disagree about the type, the content decides.
    fn listed_as(&self, entries: &[&Listed], first: Descriptor) -> Result<Descriptor> {
        let size = self.backend.size(&first.digest)?.unwrap_or(first.size);
        let agree = entries.iter().all(|entry| entry.descriptor().media_type == first.media_type);
        let mut found = Descriptor { size, ..first };
        if agree || size > Manifest::MAX_SIZE {
            return Ok(found);
        }
        let untyped = Descriptor::new(MediaType::new(""), found.digest.clone(), size);
        match self.backend.manifest(&untyped) {
            Ok(manifest) => {
                let of = Manifest::media_type_of(manifest.raw());
                let unreadable = |source| Error::Manifest { digest: found.digest.clone(), source };
                found.media_type = of.map_err(unreadable)?;
            }
            Err(Error::Manifest { .. } | Error::Unverifiable { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(found)
    }
}

impl<B: Backend> fmt::Debug for View<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label())
    }
}

impl<B: Backend> Source for View<'_, B> {
    fn head(&self, selector: &Selector) -> Result<Descriptor> {
        let name = match selector {
            Selector::Digest(digest) => return self.by_digest(digest),
            Selector::Name(name) => name,
        };
        let listing = self.backend.listing()?;
        let found = lookup::find_tag(&listing, name, &self.scope, &self.label())?;
        found.map(|entry| entry.descriptor().clone()).ok_or_else(|| self.not_found(name))
    }

    fn manifest(&self, selector: &Selector) -> Result<Manifest> {
        self.backend.manifest(&self.head(selector)?)
    }

    fn child(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.backend.manifest(descriptor)
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Result<Reader<'_>> {
        self.backend.open(&blob.digest, offset)
    }

    fn size(&self, blob: &Descriptor) -> Result<u64> {
        self.backend.size(&blob.digest)?.ok_or_else(|| self.not_found(&blob.digest))
    }

    fn has_content(&self, blob: &Descriptor) -> Result<bool> {
        if self.backend.size(&blob.digest)? != Some(blob.size) {
            return Ok(false);
        }
        let read = self.open(blob, 0)?.read(&mut [0]);
        let read = read.map_err(|error| Error::from_io("read", &blob.digest, error))?;
        Ok(read > 0 || blob.size == 0)
    }

    fn blob(&self, digest: &Digest) -> Result<Descriptor> {
        let describe = |media_type, size| Ok(Descriptor::new(media_type, digest.clone(), size));
        let was_pushed =
            self.scope.repository().is_none_or(|name| self.backend.was_pushed(name, digest));
        let stored = self.backend.size(digest)?;
        match stored.filter(|_| was_pushed) {
            Some(size) => describe(MediaType::new("application/octet-stream"), size),
            // The size in a manifest may be wrong; that of the content is right.
            None => self
                .member(digest)
                .and_then(|found| describe(found.media_type, stored.unwrap_or(found.size))),
        }
    }

    fn names(&self) -> Result<Vec<Name>> {
        let listing = self.backend.listing()?;
        let entries = listing.within(&self.scope).into_iter();
        let mut names: Vec<_> = entries.filter_map(|entry| self.scope.name_here(entry)).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn roots(&self) -> Result<Vec<Root>> {
        let listing = self.backend.listing()?;
        let listed = listing.within(&self.scope).into_iter().filter(|entry| self.holds(entry));
        let root = |entry: &Listed| Root {
            descriptor: entry.descriptor().clone(),
            names: self.scope.name_here(entry).into_iter().collect(),
        };
        Ok(listed.map(root).collect())
    }

    fn referrers(&self, subject: &Digest) -> Result<Referrers> {
        self.membership.referrers(self.backend, &self.scope, subject)
    }
}
