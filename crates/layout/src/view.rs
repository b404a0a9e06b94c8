//! A layout, or the part of it that belongs to a repository, as a repository.

use std::collections::HashSet;
use std::fmt::{self, Debug};
use std::io::Read as _;
use std::sync::Arc;

use longshore_spec::{
    Descriptor, Digest, Hasher, Kind, Manifest, ManifestError, MediaType, RepositoryName, Role,
    keys,
};
use longshore_store::{
    Blob, Entry, Error, Held, Inability, Name, Pushed, Reader, Referrers, Repository, Result, Root,
    Selector, Source, Subject, Target, Upload, Verifying, read_manifest,
};

use crate::index::Change;
use crate::listing::{Entry as Listed, Listing};
use crate::membership::{self, Member};
use crate::names::{self, Scope};

/// What directories and archives have in common. What one cannot do fails with
/// [`Error::Unsupported`].
pub(crate) trait Backend: Debug + Send + Sync {
    /// Returns what to call it in errors: its path.
    fn label(&self) -> String;

    /// Returns the repository that what says none belongs to.
    fn bare_names_in(&self) -> Option<&RepositoryName> {
        None
    }

    /// Returns what is listed. The same value as before as long as nothing has changed.
    fn listing(&self) -> Result<Arc<Listing>>;

    /// Returns what is listed, without changes that are still to be written; waits for nobody.
    fn listing_by_now(&self) -> Result<Arc<Listing>> {
        self.listing()
    }

    /// Returns how many bytes are stored under a digest.
    fn size(&self, digest: &Digest) -> Result<Option<u64>>;

    /// Opens what is stored under a digest at `offset`. Fails with [`Error::NotFound`].
    fn open(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>>;

    /// Returns what was found out of repositories so far.
    fn membership(&self) -> &membership::Cache;

    /// See [`Target::held`]. A place that keeps no parts holds all of a blob or nothing.
    fn held(&self, descriptor: &Descriptor) -> Result<Held> {
        let there = self.size(&descriptor.digest)? == Some(descriptor.size);
        Ok(if there { Held::Whole } else { Held::Nothing })
    }

    /// See [`Target::push_blob`].
    fn push(&self, blob: &dyn Blob) -> Result<Pushed>;

    /// Changes what is listed; visible at the latest when the place is committed.
    fn change(&self, changes: Vec<Change>) -> Result<()>;

    /// Makes every change visible now; most places keep none back.
    fn flush(&self) -> Result<()> {
        Ok(())
    }

    /// See [`Repository::upload`].
    fn upload(&self, _: Option<&RepositoryName>, _: Hasher) -> Result<Box<dyn Upload>> {
        Err(Error::unsupported(self.label(), Inability::Uploads))
    }

    /// See [`Repository::adopt`].
    fn adopt(&self, _: &RepositoryName, digest: &Digest) -> Result<()> {
        Err(Error::unsupported(self.label(), Inability::Adoption(digest.clone())))
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
        Err(Error::unsupported(self.label(), Inability::Removal(digest.clone())))
    }

    /// Takes note that a manifest belongs to a repository, where account is kept of that.
    fn note_manifest(&self, _: &RepositoryName, _: &Descriptor) -> Result<()> {
        Ok(())
    }

    /// Returns the media type of a manifest that was noted to belong to a repository.
    fn noted_manifest(&self, _: &RepositoryName, _: &Digest) -> Result<Option<MediaType>> {
        Ok(None)
    }

    /// Takes note that a manifest no longer belongs to a repository; false if it did not.
    fn forget_manifest(&self, _: &RepositoryName, _: &Digest) -> Result<bool> {
        Ok(false)
    }

    /// Reads the manifest that `descriptor` points to, verified.
    fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        read_manifest(self.open(&descriptor.digest, 0)?, descriptor)
    }
}

/// A layout, or the part of it that belongs to a repository, as a [`Repository`].
#[derive(Clone)]
pub struct View<'a> {
    contents: &'a dyn Backend,
    scope: Scope,
}

impl<'a> View<'a> {
    /// All of a layout; names are those of its entries.
    pub(crate) fn whole(contents: &'a dyn Backend) -> Self {
        Self { contents, scope: Scope::Layout }
    }

    /// What belongs to one repository; names are its tags.
    pub(crate) fn repository(contents: &'a dyn Backend, name: &RepositoryName) -> Self {
        let bare = contents.bare_names_in() == Some(name);
        Self { contents, scope: Scope::Repository { name: name.clone(), bare } }
    }

    fn not_found(&self, what: impl Into<Subject>) -> Error {
        Error::not_found(what, self.label())
    }

    fn needs(&self, digest: &Digest) -> Error {
        // Clients of a server are told, and where its content lies is not their business.
        let place = self.scope.repository().map_or_else(|| self.label(), ToString::to_string);
        Error::unsupported(place, Inability::Needed(digest.clone()))
    }

    fn label(&self) -> String {
        match self.scope.repository() {
            None => self.contents.label(),
            Some(name) => format!("{} of {}", name, self.contents.label()),
        }
    }

    /// Tells whether an entry belongs here on its own account. One that says no repository and refers to
    /// something is where that is.
    fn holds(&self, entry: &Listed) -> bool {
        let is_whole = self.scope.repository().is_none();
        is_whole || !self.contents.membership().is_tied(self.contents, entry)
    }

    /// Returns the entries that a digest has here.
    fn entries_of<'l>(&self, listing: &'l Listing, digest: &Digest) -> Vec<&'l Listed> {
        let mut entries = listing.of_digest(digest, &self.scope);
        entries.retain(|entry| self.holds(entry));
        entries
    }

    /// Returns what this repository holds under a digest, if it is stored.
    fn member(&self, digest: &Digest) -> Result<Member> {
        if self.scope.repository().is_none() {
            return Err(self.not_found(digest));
        }
        // First what costs least: most of what is asked for and not held here is nowhere.
        if self.contents.size(digest)?.is_none() {
            return Err(self.not_found(digest));
        }
        let found = self.contents.membership().find(self.contents, &self.scope, digest)?;
        found.ok_or_else(|| self.not_found(digest))
    }

    /// Returns the entry that a digest has, or describes what is stored under it.
    fn by_digest(&self, digest: &Digest) -> Result<Descriptor> {
        let listing = self.contents.listing()?;
        let entries = self.entries_of(&listing, digest);
        if let Some(first) = entries.first() {
            return self.listed_as(&entries, names::unnamed(first.descriptor().clone()));
        }
        let mut given = None;
        if let Some(repository) = self.scope.repository() {
            given = self.contents.noted_manifest(repository, digest)?;
            if given.is_none() {
                // What other repositories have is none of its business.
                given = Some(self.member(digest)?.media_type);
            }
        }
        let size = self.contents.size(digest)?.ok_or_else(|| self.not_found(digest))?;
        if let Some(media_type) = given.filter(|given| Kind::of(given).is_some()) {
            return Ok(Descriptor::new(media_type, digest.clone(), size));
        }
        // Only its own bytes tell what it is; those of a large layer do not.
        if size > Manifest::MAX_SIZE {
            let source = ManifestError::Unknown;
            return Err(Error::Manifest { digest: digest.clone(), source });
        }
        let untyped = Descriptor::new(MediaType::new(""), digest.clone(), size);
        let manifest = self.contents.manifest(&untyped)?;
        let of = Manifest::media_type_of(manifest.raw());
        let media_type = of.map_err(|source| Error::Manifest { digest: digest.clone(), source })?;
        Ok(Descriptor::new(media_type, digest.clone(), size))
    }

    /// Returns the first of the entries of a digest, with the size that its content has. Where they
    /// disagree on what it is, its own bytes tell.
    fn listed_as(&self, entries: &[&Listed], first: Descriptor) -> Result<Descriptor> {
        let size = self.contents.size(&first.digest)?.unwrap_or(first.size);
        let agree = entries.iter().all(|entry| entry.descriptor().media_type == first.media_type);
        let mut found = Descriptor { size, ..first };
        if agree || size > Manifest::MAX_SIZE {
            return Ok(found);
        }
        let untyped = Descriptor::new(MediaType::new(""), found.digest.clone(), size);
        match self.contents.manifest(&untyped) {
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

    /// Takes note that the manifests that `manifest` lists are reached by it, and returns the change
    /// that this is. They stay in the repository without entries of their own: those are for what one
    /// may begin at.
    fn reach(&self, manifest: &Manifest, repository: &RepositoryName) -> Result<Option<Change>> {
        let children = manifest.children().filter(|(role, _)| *role == Role::Manifest);
        let children: HashSet<_> = children.map(|(_, child)| child.digest.clone()).collect();
        if children.is_empty() {
            return Ok(None);
        }
        let listing = self.contents.listing()?;
        for child in &children {
            let mut entries = listing.of_digest_in(child, repository.as_str());
            if let Some(entry) = entries.find(|entry| entry.mark() == Some(repository.as_str())) {
                self.contents.note_manifest(repository, entry.descriptor())?;
            }
        }
        Ok(Some(Change::Reached(children, repository.clone())))
    }

    /// Returns the changes that list `descriptor` under `names`, or by its digest.
    fn listed(&self, descriptor: &Descriptor, names: &[Name]) -> Vec<Change> {
        let mut descriptor = descriptor.clone();
        if let Some(repository) = self.scope.repository() {
            descriptor.annotations.insert(keys::REPOSITORY.to_owned(), repository.to_string());
        }
        let set =
            names.iter().map(|name| Change::Set(self.scope.name_listed(name), descriptor.clone()));
        let add = names.is_empty().then(|| Change::Add(descriptor.clone()));
        set.chain(add).collect()
    }
}

impl Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label())
    }
}

impl Source for View<'_> {
    fn head(&self, selector: &Selector) -> Result<Descriptor> {
        let name = match selector {
            Selector::Digest(digest) => return self.by_digest(digest),
            Selector::Name(name) => name,
        };
        let listing = self.contents.listing()?;
        let found = names::find_tag(&listing, name, &self.scope, &self.label())?;
        found.map(|entry| entry.descriptor().clone()).ok_or_else(|| self.not_found(name))
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

    fn size(&self, blob: &Descriptor) -> Result<u64> {
        self.contents.size(&blob.digest)?.ok_or_else(|| self.not_found(&blob.digest))
    }

    fn has_content(&self, blob: &Descriptor) -> Result<bool> {
        if self.contents.size(&blob.digest)? != Some(blob.size) {
            return Ok(false);
        }
        let read = self.open(blob, 0)?.read(&mut [0]);
        let read = read.map_err(|error| Error::from_io("read", &blob.digest, error))?;
        Ok(read > 0 || blob.size == 0)
    }

    fn names(&self) -> Result<Vec<Name>> {
        let listing = self.contents.listing()?;
        let entries = listing.within(&self.scope).into_iter();
        let mut names: Vec<_> = entries.filter_map(|entry| self.scope.name_here(entry)).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn referrers(&self, subject: &Digest) -> Result<Referrers> {
        self.contents.membership().referrers(self.contents, &self.scope, subject)
    }
}

impl Target for View<'_> {
    fn held(&self, descriptor: &Descriptor, _: Role) -> Result<Held> {
        self.contents.held(descriptor)
    }

    fn lists(&self, manifest: &Descriptor, names: &[Name]) -> Result<bool> {
        let listing = self.contents.listing()?;
        let entries = self.entries_of(&listing, &manifest.digest).into_iter();
        if names.is_empty() {
            return Ok(entries.len() > 0);
        }
        let here: HashSet<_> = entries.filter_map(|entry| self.scope.name_here(entry)).collect();
        Ok(names.iter().all(|name| here.contains(name)))
    }

    fn stands_for(&self, name: &Name) -> Result<Option<Digest>> {
        // A push does not wait here for those of others.
        let listing = match self.contents.listing_by_now() {
            // What is written as a whole has nothing yet.
            Err(Error::Unsupported { .. }) => return Ok(None),
            listing => listing?,
        };
        let found = match self.scope {
            // Only the name itself moves, and not what has it as its tag.
            Scope::Layout => names::find_exact(&listing, name),
            Scope::Repository { .. } => {
                names::find_tag(&listing, name, &self.scope, &self.label()).ok().flatten()
            }
        };
        Ok(found.map(|entry| entry.descriptor().digest.clone()))
    }

    fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        let pushed = self.contents.push(blob)?;
        if let Some(repository) = self.scope.repository() {
            self.contents.note_pushed(repository, &blob.descriptor().digest)?;
        }
        Ok(pushed)
    }

    fn push_manifest(&self, manifest: &Manifest, entry: Entry<'_>) -> Result<Pushed> {
        let pushed = self.contents.push(&PushedManifest(manifest))?;
        if let Entry::Root(names) = entry {
            let reached = match self.scope.repository() {
                Some(repository) => self.reach(manifest, repository)?,
                None => None,
            };
            // At once: what loses its entry to an index must not be without both.
            let listed = self.listed(manifest.descriptor(), names);
            self.contents.change(reached.into_iter().chain(listed).collect())?;
        }
        Ok(pushed)
    }

    fn list(&self, descriptor: &Descriptor, names: &[Name]) -> Result<()> {
        self.contents.change(self.listed(descriptor, names))
    }
}

impl Repository for View<'_> {
    fn roots(&self) -> Result<Vec<Root>> {
        let listing = self.contents.listing()?;
        let listed = listing.within(&self.scope).into_iter().filter(|entry| self.holds(entry));
        let root = |entry: &Listed| Root {
            descriptor: entry.descriptor().clone(),
            names: self.scope.name_here(entry).into_iter().collect(),
        };
        Ok(listed.map(root).collect())
    }

    fn untag(&self, name: &Name) -> Result<()> {
        self.contents.flush()?;
        let entry = self.head(&Selector::Name(name.clone()))?;
        let listed = names::of(&entry).ok_or_else(|| self.not_found(name))?;
        let mut changes = vec![Change::Unset(Name::new(listed))];
        // A referrer stays one without its name, and a repository keeps what is in it.
        let is_referrer =
            || self.contents.manifest(&entry).is_ok_and(|manifest| manifest.subject().is_some());
        if let Some(repository) = self.scope.repository() {
            changes.push(Change::Add(names::marked(entry.clone(), repository.as_str())));
        } else if is_referrer() {
            changes.push(Change::Add(entry.clone()));
        }
        self.contents.change(changes)?;
        self.contents.flush()
    }

    fn blob(&self, digest: &Digest) -> Result<Descriptor> {
        let describe = |media_type, size| Ok(Descriptor::new(media_type, digest.clone(), size));
        let was_pushed =
            self.scope.repository().is_none_or(|name| self.contents.was_pushed(name, digest));
        let stored = self.contents.size(digest)?;
        match stored.filter(|_| was_pushed) {
            Some(size) => describe(MediaType::new("application/octet-stream"), size),
            // A manifest may be wrong about the size; the content is not.
            None => self
                .member(digest)
                .and_then(|found| describe(found.media_type, stored.unwrap_or(found.size))),
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
        self.contents.flush()?;
        let listing = self.contents.listing()?;
        let mut is_here = !self.entries_of(&listing, digest).is_empty();
        if let Some(repository) = self.scope.repository() {
            match self.member(digest) {
                // Its names may go: an index goes on to hold it. Where it has none, nothing would.
                Ok(Member { role: Some(Role::Manifest), .. }) if !is_here => {
                    return Err(self.needs(digest));
                }
                Ok(Member { role: None, .. }) => is_here = true,
                Ok(_) | Err(Error::NotFound { .. }) => {}
                // What is damaged may go.
                Err(_) if is_here => {}
                Err(error) => return Err(error),
            }
            is_here |= self.contents.forget_manifest(repository, digest)?;
        }
        if !is_here {
            return Err(self.not_found(digest));
        }
        self.contents.change(vec![Change::Remove(digest.clone(), self.scope.clone())])?;
        self.contents.flush()
    }

    fn forget(&self, digest: &Digest) -> Result<()> {
        if self.member(digest).is_ok() {
            return Err(self.needs(digest));
        }
        let repository = self.scope.repository().ok_or_else(|| self.not_found(digest))?;
        if self.contents.forget(repository, digest)? { Ok(()) } else { Err(self.not_found(digest)) }
    }
}

/// A manifest in hand, as a blob.
struct PushedManifest<'a>(&'a Manifest);

impl Blob for PushedManifest<'_> {
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
