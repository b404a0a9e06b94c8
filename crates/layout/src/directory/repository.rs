//! A directory, or the part of it that belongs to a repository, written.

use std::collections::HashSet;

use longshore_spec::{Descriptor, Digest, Manifest, RepositoryName, Role, keys};
use longshore_store::{
    Blob, Entry, Error, Held, Inability, Name, Pushed, Repository, Result, Selector, Source as _,
    Target,
};

use super::Directory;
use crate::index::Change;
use crate::manifest_blob::ManifestBlob;
use crate::membership::Member;
use crate::names::{self, Scope};
use crate::view::{Backend as _, View};

impl View<'_, Directory> {
    fn needs(&self, digest: &Digest) -> Error {
        // Clients of a server are told, and where its content lies is not their business.
        let place = self.scope.repository().map_or_else(|| self.label(), ToString::to_string);
        Error::unsupported(place, Inability::Needed(digest.clone()))
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
                self.contents.mark_manifest(repository, entry.descriptor())?;
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

    /// Removes a blob from the repository; see [`Place::forget`](longshore_store::Place::forget).
    pub(super) fn forget(&self, digest: &Digest) -> Result<()> {
        if self.member(digest).is_ok() {
            return Err(self.needs(digest));
        }
        let repository = self.scope.repository().ok_or_else(|| self.not_found(digest))?;
        if self.contents.forget_blob(repository, digest)? {
            Ok(())
        } else {
            Err(self.not_found(digest))
        }
    }
}

impl Target for View<'_, Directory> {
    fn held(&self, descriptor: &Descriptor, _: Role) -> Result<Held> {
        self.contents.partial_or_whole(&descriptor.digest, descriptor.size)
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
        let listing = self.contents.listed_by_now()?;
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
        let pushed = push(self.contents, blob)?;
        if let Some(repository) = self.scope.repository() {
            self.contents.adopt_blob(repository, &blob.descriptor().digest)?;
        }
        Ok(pushed)
    }

    fn push_manifest(&self, manifest: &Manifest, entry: Entry<'_>) -> Result<Pushed> {
        let pushed = push(self.contents, &ManifestBlob(manifest))?;
        if let Entry::Root(names) = entry {
            let reached = match self.scope.repository() {
                Some(repository) => self.reach(manifest, repository)?,
                None => None,
            };
            // At once: what loses its entry to an index must not be without both.
            let listed = self.listed(manifest.descriptor(), names);
            self.contents.note_changes(reached.into_iter().chain(listed).collect())?;
        }
        Ok(pushed)
    }

    fn list(&self, descriptor: &Descriptor, names: &[Name]) -> Result<()> {
        self.contents.note_changes(self.listed(descriptor, names))
    }
}

impl Repository for View<'_, Directory> {
    fn untag(&self, name: &Name) -> Result<()> {
        self.contents.write_changes()?;
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
        self.contents.note_changes(changes)?;
        self.contents.write_changes()
    }

    fn remove(&self, digest: &Digest) -> Result<()> {
        self.contents.write_changes()?;
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
            is_here |= self.contents.unmark_manifest(repository, digest)?;
        }
        if !is_here {
            return Err(self.not_found(digest));
        }
        self.contents.note_changes(vec![Change::Remove(digest.clone(), self.scope.clone())])?;
        self.contents.write_changes()
    }
}

fn push(directory: &Directory, blob: &dyn Blob) -> Result<Pushed> {
    directory.begin()?;
    directory.push_blob(blob)
}
