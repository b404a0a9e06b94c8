//! A layout, or the part of it that belongs to a repository, as a repository.

use std::fmt::Debug;
use std::sync::Arc;

use longshore_spec::{Descriptor, Digest, Hasher, Manifest, MediaType, RepositoryName, Role, keys};
use longshore_store::{
    Blob, Entry, Error, Held, Name, Pushed, Reader, Referrers, Repository, Result, Root, Selector,
    Source, Target, Upload, Verifying, read_manifest,
};

use crate::children;
use crate::index::{Change, Listing};
use crate::names::{self, Scope};
use crate::referrers;

/// What directories and archives have in common. What one cannot do fails with
/// [`Error::Unsupported`].
pub(crate) trait Contents: Debug + Send + Sync {
    /// Returns what to call it in errors: its path.
    fn label(&self) -> String;

    /// Returns the repository that what says none belongs to.
    fn bare_names_in(&self) -> Option<&RepositoryName> {
        None
    }

    /// Returns what is listed. The same value as before as long as nothing has changed.
    fn listing(&self) -> Result<Arc<Listing>>;

    /// Returns how many bytes are stored under a digest.
    fn size(&self, digest: &Digest) -> Result<Option<u64>>;

    /// Opens what is stored under a digest at `offset`. Fails with [`Error::NotFound`].
    fn open(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>>;

    /// Returns what was found of referrers so far.
    fn referrers(&self) -> &referrers::Cache;

    /// Returns what was found of what manifests refer to so far.
    fn children(&self) -> &children::Cache;

    /// See [`Target::held`].
    fn held(&self, descriptor: &Descriptor) -> Result<Held>;

    /// See [`Target::push_blob`].
    fn push(&self, blob: &dyn Blob) -> Result<Pushed>;

    /// Changes what is listed; visible at the latest when the place is committed.
    fn change(&self, changes: Vec<Change>) -> Result<()>;

    /// Makes every change visible now.
    fn flush(&self) -> Result<()>;

    /// See [`Repository::upload`].
    fn upload(&self, _: Option<&RepositoryName>, _: Hasher) -> Result<Box<dyn Upload>> {
        let what = "takes no uploads".to_owned();
        Err(Error::Unsupported { place: self.label(), what })
    }

    /// See [`Repository::adopt`].
    fn adopt(&self, _: &RepositoryName, digest: &Digest) -> Result<()> {
        let what = format!("does not take over {digest}");
        Err(Error::Unsupported { place: self.label(), what })
    }

    /// Takes note that a blob was pushed to a repository, where account is kept of that.
    fn note_pushed(&self, _: &RepositoryName, _: &Digest) -> Result<()> {
        Ok(())
    }

    /// Tells whether a blob was pushed to a repository or adopted by it.
    fn was_pushed(&self, _: &RepositoryName, _: &Digest) -> bool {
        false
    }

    /// Takes a blob out of a repository that it was pushed to; false if it was not.
    fn forget(&self, _: &RepositoryName, digest: &Digest) -> Result<bool> {
        let what = format!("does not remove {digest}");
        Err(Error::Unsupported { place: self.label(), what })
    }

    /// Reads the manifest that `descriptor` points to, verified.
    fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        read_manifest(self.open(&descriptor.digest, 0)?, descriptor)
    }
}

/// A layout, or the part of it that belongs to a repository, as a [`Repository`].
#[derive(Debug, Clone)]
pub struct View<'a> {
    contents: &'a dyn Contents,
    scope: Scope,
}

impl<'a> View<'a> {
    /// All of a layout; names are those of its entries.
    pub(crate) fn whole(contents: &'a dyn Contents) -> Self {
        Self { contents, scope: Scope::Layout }
    }

    /// What belongs to one repository; names are its tags.
    pub(crate) fn repository(contents: &'a dyn Contents, name: &RepositoryName) -> Self {
        let bare = contents.bare_names_in() == Some(name);
        Self { contents, scope: Scope::Repository { name: name.clone(), bare } }
    }

    fn not_found(&self, what: impl ToString) -> Error {
        Error::not_found(what, self.label())
    }

    fn label(&self) -> String {
        match self.scope.repository() {
            None => self.contents.label(),
            Some(name) => format!("{} of {}", name, self.contents.label()),
        }
    }

    /// Returns what a manifest here refers to under a digest, if it is stored.
    fn member(&self, digest: &Digest) -> Result<Descriptor> {
        let Some(name) = self.scope.repository() else { return Err(self.not_found(digest)) };
        let found = self.contents.children().find(self.contents, name, &self.scope, digest)?;
        let is_stored = self.contents.size(digest)?.is_some();
        found.filter(|_| is_stored).ok_or_else(|| self.not_found(digest))
    }

    /// Returns the entry that a digest has, or describes what is stored under it.
    fn by_digest(&self, digest: &Digest) -> Result<Descriptor> {
        let listing = self.contents.listing()?;
        if let Some(entry) = listing.by_digest(digest).find(|entry| self.scope.holds(entry)) {
            return Ok(names::unnamed(entry.clone()));
        }
        if self.scope.repository().is_some() {
            // What other repositories have is none of its business.
            self.member(digest)?;
        }
        let size = self.contents.size(digest)?.ok_or_else(|| self.not_found(digest))?;
        // A child: only its own bytes tell what it is.
        let untyped = Descriptor::new(MediaType::new(""), digest.clone(), size);
        let manifest = self.contents.manifest(&untyped)?;
        let of = Manifest::media_type_of(manifest.raw());
        let media_type = of.map_err(|source| Error::Manifest { digest: digest.clone(), source })?;
        Ok(Descriptor::new(media_type, digest.clone(), size))
    }
}

impl Source for View<'_> {
    fn head(&self, selector: &Selector) -> Result<Descriptor> {
        let name = match selector {
            Selector::Digest(digest) => return self.by_digest(digest),
            Selector::Name(name) => name,
        };
        let listing = self.contents.listing()?;
        let found = names::find(&listing, &self.scope.name_listed(name), &self.label())?;
        // The host may have been left away.
        let here = |entry: &&Descriptor| self.scope.name_here(entry).as_ref() == Some(name);
        let found = found.or_else(|| listing.tagged(name).find(here));
        found.cloned().ok_or_else(|| self.not_found(name))
    }

    fn manifest(&self, selector: &Selector) -> Result<Manifest> {
        self.contents.manifest(&self.head(selector)?)
    }

    fn child(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.contents.manifest(descriptor)
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Result<Reader<'_>> {
        self.contents.open(&blob.digest, offset)
    }

    fn names(&self) -> Result<Vec<Name>> {
        let listing = self.contents.listing()?;
        let mut names: Vec<_> = listing
            .index()
            .manifests
            .iter()
            .filter_map(|entry| self.scope.name_here(entry))
            .collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn referrers(&self, subject: &Digest) -> Result<Referrers> {
        let mut found = self.contents.referrers().referrers(self.contents, subject)?;
        if self.scope.repository().is_some() {
            let listing = self.contents.listing()?;
            // What no entry lists is part of something that one does.
            let is_here = |of: &Descriptor| {
                let mut entries = listing.by_digest(&of.digest).peekable();
                entries.peek().is_none() || entries.any(|entry| self.scope.holds(entry))
            };
            found.entries.retain(is_here);
        }
        Ok(found)
    }
}

impl Target for View<'_> {
    fn held(&self, descriptor: &Descriptor, _: Role) -> Result<Held> {
        self.contents.held(descriptor)
    }

    fn lists(&self, manifest: &Descriptor, names: &[Name]) -> Result<bool> {
        let listing = self.contents.listing()?;
        let mut entries =
            listing.by_digest(&manifest.digest).filter(|entry| self.scope.holds(entry));
        if names.is_empty() {
            return Ok(entries.next().is_some());
        }
        let here: Vec<_> = entries.filter_map(|entry| self.scope.name_here(entry)).collect();
        Ok(names.iter().all(|name| here.contains(name)))
    }

    fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        let pushed = self.contents.push(blob)?;
        if let Some(repository) = self.scope.repository() {
            self.contents.note_pushed(repository, &blob.descriptor().digest)?;
        }
        Ok(pushed)
    }

    fn push_manifest(&self, manifest: &Manifest, entry: Entry<'_>) -> Result<Pushed> {
        let pushed = self.contents.push(&Received(manifest))?;
        if let Entry::Root(names) = entry {
            self.list(manifest.descriptor(), names)?;
        }
        Ok(pushed)
    }

    fn list(&self, descriptor: &Descriptor, names: &[Name]) -> Result<()> {
        let mut descriptor = descriptor.clone();
        if let Some(repository) = self.scope.repository() {
            descriptor.annotations.insert(keys::REPOSITORY.to_owned(), repository.to_string());
        }
        let set =
            names.iter().map(|name| Change::Set(self.scope.name_listed(name), descriptor.clone()));
        let add = names.is_empty().then(|| Change::Add(descriptor.clone()));
        self.contents.change(set.chain(add).collect())
    }
}

impl Repository for View<'_> {
    fn roots(&self) -> Result<Vec<Root>> {
        let listing = self.contents.listing()?;
        let listed = listing.index().manifests.iter().filter(|entry| self.scope.holds(entry));
        let names = |entry| self.scope.name_here(entry).into_iter().collect();
        Ok(listed.map(|entry| Root { descriptor: entry.clone(), names: names(entry) }).collect())
    }

    fn untag(&self, name: &Name) -> Result<()> {
        let entry = self.head(&Selector::Name(name.clone()))?;
        let listed = names::of(&entry).ok_or_else(|| self.not_found(name))?;
        let mut changes = vec![Change::Unset(listed)];
        // A referrer stays one without its name, and a repository keeps what is in it.
        let is_referrer =
            || self.contents.manifest(&entry).is_ok_and(|manifest| manifest.subject().is_some());
        if let Some(repository) = self.scope.repository() {
            let mut entry = names::unnamed(entry.clone());
            entry.annotations.insert(keys::REPOSITORY.to_owned(), repository.to_string());
            changes.push(Change::Add(entry));
        } else if is_referrer() {
            changes.push(Change::Add(entry.clone()));
        }
        self.contents.change(changes)?;
        self.contents.flush()
    }

    fn blob(&self, digest: &Digest) -> Result<Descriptor> {
        let was_pushed =
            self.scope.repository().is_none_or(|name| self.contents.was_pushed(name, digest));
        match self.contents.size(digest)?.filter(|_| was_pushed) {
            Some(size) => Ok(Descriptor::new("application/octet-stream", digest.clone(), size)),
            None => self.member(digest),
        }
    }

    fn upload(&self, hasher: Hasher) -> Result<Box<dyn Upload>> {
        self.contents.upload(self.scope.repository(), hasher)
    }

    fn adopt(&self, blob: &Descriptor) -> Result<()> {
        match self.scope.repository() {
            Some(repository) => self.contents.adopt(repository, &blob.digest),
            None => self.blob(&blob.digest).map(drop),
        }
    }

    fn remove(&self, digest: &Digest) -> Result<()> {
        let listing = self.contents.listing()?;
        if !listing.by_digest(digest).any(|entry| self.scope.holds(entry)) {
            return Err(self.not_found(digest));
        }
        self.contents.change(vec![Change::Remove(digest.clone(), self.scope.clone())])?;
        self.contents.flush()
    }

    fn forget(&self, digest: &Digest) -> Result<()> {
        let needed = self.member(digest);
        if needed.is_ok() {
            let what = format!("needs {digest} for one of its manifests");
            return Err(Error::Unsupported { place: self.label(), what });
        }
        let repository = self.scope.repository().ok_or_else(|| self.not_found(digest))?;
        if self.contents.forget(repository, digest)? { Ok(()) } else { Err(self.not_found(digest)) }
    }
}

/// A manifest in hand, as a blob.
struct Received<'a>(&'a Manifest);

impl Blob for Received<'_> {
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
