//! Writing to a directory, or to one of its repositories.

use std::collections::HashSet;

use longshore_spec::{Descriptor, Digest, Manifest, RepositoryName, Role, keys};
use longshore_store::{
    Blob, Entry, Error, Held, Inability, Name, Pushed, Repository, Result, Selector, Source as _,
    Target,
};

use super::Directory;
use crate::backend::Backend as _;
use crate::index::Change;
use crate::lookup;
use crate::manifest_blob::ManifestBlob;
use crate::membership::Member;
use crate::names::{self, Scope};
use crate::view::View;

impl View<'_, Directory> {
    fn needs(&self, digest: &Digest) -> Error {
        // The error goes to the clients of a server, which need not know the path of the layout.
        let place = self.scope.repository().map_or_else(|| self.label(), ToString::to_string);
        Error::unsupported(place, Inability::Needed(digest.clone()))
    }

    /// Records that `manifest` refers to the manifests that it lists, and returns that change. They stay
    /// in the repository without entries of their own, which are for entry points.
    fn record_children(
        &self,
        manifest: &Manifest,
        repository: &RepositoryName,
    ) -> Result<Option<Change>> {
        let children = manifest.children().filter(|(role, _)| *role == Role::Manifest);
        let children: HashSet<_> = children.map(|(_, child)| child.digest.clone()).collect();
        if children.is_empty() {
            return Ok(None);
        }
        let listing = self.backend.listing()?;
        for child in &children {
            let mut entries = listing.of_digest_in(child, repository.as_str());
            if let Some(entry) = entries.find(|entry| entry.mark() == Some(repository.as_str())) {
                self.backend.mark_manifest(repository, entry.descriptor())?;
            }
        }
        Ok(Some(Change::Reached(children, repository.clone())))
    }

    /// Returns the changes that list `descriptor` under `names`, or by its digest.
    fn listing_changes(&self, descriptor: &Descriptor, names: &[Name]) -> Vec<Change> {
        let mut descriptor = descriptor.clone();
        if let Some(repository) = self.scope.repository() {
            descriptor.annotations.insert(keys::REPOSITORY.to_owned(), repository.to_string());
        }
        let set =
            names.iter().map(|name| Change::Set(self.scope.name_listed(name), descriptor.clone()));
        let add = names.is_empty().then(|| Change::Add(descriptor.clone()));
        set.chain(add).collect()
    }

    /// Returns the changes that remove a name.
    fn untag_changes(&self, name: &Name) -> Result<Vec<Change>> {
        let entry = self.head(&Selector::Name(name.clone()))?;
        let listing_changes = names::of(&entry).ok_or_else(|| self.not_found(name))?;
        let mut changes = vec![Change::Unset(Name::new(listing_changes))];
        // A referrer stays one without its name, and a repository keeps its content.
        let is_referrer =
            || self.backend.manifest(&entry).is_ok_and(|manifest| manifest.subject().is_some());
        if let Some(repository) = self.scope.repository() {
            changes.push(Change::Add(names::marked(entry.clone(), repository.as_str())));
        } else if is_referrer() {
            changes.push(Change::Add(entry.clone()));
        }
        Ok(changes)
    }

    /// Removes a blob from the repository; see [`Place::forget`](longshore_store::Place::forget).
    pub(super) fn forget(&self, digest: &Digest) -> Result<()> {
        if self.member(digest).is_ok() {
            return Err(self.needs(digest));
        }
        let repository = self.scope.repository().ok_or_else(|| self.not_found(digest))?;
        if self.backend.forget_blob(repository, digest)? {
            Ok(())
        } else {
            Err(self.not_found(digest))
        }
    }
}

impl Target for View<'_, Directory> {
    fn held(&self, descriptor: &Descriptor, _: Role) -> Result<Held> {
        self.backend.held(&descriptor.digest, descriptor.size)
    }

    fn lists(&self, manifest: &Descriptor, names: &[Name]) -> Result<bool> {
        let listing = self.backend.listing()?;
        let entries = self.entries_of(&listing, &manifest.digest).into_iter();
        if names.is_empty() {
            return Ok(entries.len() > 0);
        }
        let here: HashSet<_> = entries.filter_map(|entry| self.scope.name_here(entry)).collect();
        Ok(names.iter().all(|name| here.contains(name)))
    }

    fn stands_for(&self, name: &Name) -> Result<Option<Digest>> {
        // A push does not wait for other pushes here.
        let listing = self.backend.listed_by_now()?;
        let found = match self.scope {
            // Only the exact name moves, not a longer name with the same tag.
            Scope::Layout => lookup::find_exact(&listing, name),
            Scope::Repository { .. } => {
                lookup::find_tag(&listing, name, &self.scope, &self.label()).ok().flatten()
            }
        };
        Ok(found.map(|entry| entry.descriptor().digest.clone()))
    }

    fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        let pushed = self.backend.push_blob(blob)?;
        if let Some(repository) = self.scope.repository() {
            self.backend.adopt_blob(repository, &blob.descriptor().digest)?;
        }
        Ok(pushed)
    }

    fn push_manifest(&self, manifest: &Manifest, entry: Entry<'_>) -> Result<Pushed> {
        let pushed = self.backend.push_blob(&ManifestBlob(manifest))?;
        if let Entry::Root(names) = entry {
            let reached = match self.scope.repository() {
                Some(repository) => self.record_children(manifest, repository)?,
                None => None,
            };
            // In one step: a manifest that loses its entry to an index must always have one of both.
            let listing_changes = self.listing_changes(manifest.descriptor(), names);
            self.backend.note_changes(reached.into_iter().chain(listing_changes).collect())?;
        }
        Ok(pushed)
    }

    fn list(&self, descriptor: &Descriptor, names: &[Name]) -> Result<()> {
        self.backend.note_changes(self.listing_changes(descriptor, names))
    }
}

impl Repository for View<'_, Directory> {
    fn untag(&self, name: &Name) -> Result<()> {
        self.backend.write_changes()?;
        self.backend.note_changes(self.untag_changes(name)?)?;
        self.backend.write_changes()
    }

    fn untag_all(&self, names: &[Name]) -> Result<Vec<Result<()>>> {
        self.backend.write_changes()?;
        // All are looked up before the first is changed: whoever looks afterwards waits until it is written.
        let (mut changes, mut outcomes) = (Vec::new(), Vec::with_capacity(names.len()));
        for name in names {
            outcomes.push(self.untag_changes(name).map(|of_name| changes.extend(of_name)));
        }
        self.backend.note_changes(changes)?;
        self.backend.write_changes()?;
        Ok(outcomes)
    }

    fn remove(&self, digest: &Digest) -> Result<()> {
        self.backend.write_changes()?;
        let listing = self.backend.listing()?;
        let mut is_here = !self.entries_of(&listing, digest).is_empty();
        if let Some(repository) = self.scope.repository() {
            match self.member(digest) {
                // A manifest in an index may lose its names. If it has none, it stays.
                Ok(Member { role: Some(Role::Manifest), .. }) if !is_here => {
                    return Err(self.needs(digest));
                }
                Ok(Member { role: None, .. }) => is_here = true,
                Ok(_) | Err(Error::NotFound { .. }) => {}
                // A damaged manifest can be removed.
                Err(_) if is_here => {}
                Err(error) => return Err(error),
            }
            is_here |= self.backend.unmark_manifest(repository, digest)?;
        }
        if !is_here {
            return Err(self.not_found(digest));
        }
        self.backend.note_changes(vec![Change::Remove(digest.clone(), self.scope.clone())])?;
        self.backend.write_changes()
    }
}
