//! The place in memory: for tests, and for content that is made on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use longshore_spec::{Descriptor, Digest, Manifest, RepositoryName, Role};

use crate::{
    AnsweredBy, Blob, Entry, Error, Held, Name, Place, Pushed, Reader, Referrers, Repository,
    Result, Root, Selector, Source, Target, manifest_from,
};

/// Content in memory: blobs shared by all repositories, manifests and names by repository.
#[derive(Default)]
pub struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    blobs: BTreeMap<Digest, Bytes>,
    repositories: BTreeMap<RepositoryName, Listing>,
}

/// What one repository lists.
#[derive(Default)]
struct Listing {
    manifests: BTreeMap<Digest, Descriptor>,
    names: BTreeMap<Name, Digest>,
    /// Manifests that are there on their own account.
    roots: BTreeSet<Digest>,
}

/// One repository of a [`Memory`].
struct View<'a> {
    memory: &'a Memory,
    name: RepositoryName,
}

impl Memory {
    /// Returns an empty place.
    pub fn new() -> Self {
        Self::default()
    }

    /// Locks what is there. A panic of another thread cannot have left it half changed: every
    /// change is one insertion or removal at a time.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place for Memory {
    fn repository(&self, name: &RepositoryName) -> Result<Box<dyn Repository + '_>> {
        Ok(Box::new(View { memory: self, name: name.clone() }))
    }

    fn repositories(&self) -> Result<Vec<RepositoryName>> {
        Ok(self.state().repositories.keys().cloned().collect())
    }
}

impl View<'_> {
    fn not_found(&self, what: impl ToString) -> Error {
        Error::not_found(what, &self.name)
    }

    /// Calls `look` with what this repository lists.
    fn listed<T>(&self, look: impl FnOnce(&Listing) -> T) -> T {
        match self.memory.state().repositories.get(&self.name) {
            Some(listing) => look(listing),
            None => look(&Listing::default()),
        }
    }
}

impl Source for View<'_> {
    fn head(&self, selector: &Selector) -> Result<Descriptor> {
        let found = self.listed(|listing| {
            let digest = match selector {
                Selector::Name(name) => listing.names.get(name)?,
                Selector::Digest(digest) => digest,
            };
            listing.manifests.get(digest).cloned()
        });
        found.ok_or_else(|| self.not_found(selector))
    }

    fn manifest(&self, selector: &Selector) -> Result<Manifest> {
        let descriptor = self.head(selector)?;
        let raw = self.memory.state().blobs.get(&descriptor.digest).cloned();
        manifest_from(raw.ok_or_else(|| self.not_found(selector))?, descriptor)
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Result<Reader<'_>> {
        let content = self.memory.state().blobs.get(&blob.digest).cloned();
        let content = content.ok_or_else(|| self.not_found(&blob.digest))?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        Ok(Box::new(std::io::Cursor::new(content.slice(start..))))
    }

    fn names(&self) -> Result<Vec<Name>> {
        Ok(self.listed(|listing| listing.names.keys().cloned().collect()))
    }

    fn referrers(&self, subject: &Digest) -> Result<Referrers> {
        let state = self.memory.state();
        let listed = state
            .repositories
            .get(&self.name)
            .into_iter()
            .flat_map(|listing| listing.manifests.values());
        let parsed = listed.filter_map(|descriptor| {
            Manifest::parse(state.blobs.get(&descriptor.digest)?.clone(), descriptor.clone()).ok()
        });
        let entries = parsed
            .filter(|manifest| manifest.subject().is_some_and(|found| found.digest == *subject))
            .map(|manifest| manifest.as_referrer())
            .collect();
        Ok(Referrers { entries, answered_by: AnsweredBy::Scan })
    }
}

impl Target for View<'_> {
    fn held(&self, descriptor: &Descriptor, role: Role) -> Result<Held> {
        let listed = self.listed(|listing| listing.manifests.contains_key(&descriptor.digest));
        let there = self.memory.state().blobs.contains_key(&descriptor.digest);
        Ok(if there && (listed || role != Role::Manifest) { Held::Whole } else { Held::Nothing })
    }

    fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        let descriptor = blob.descriptor();
        let mut content = Vec::new();
        blob.open(None)?
            .read_to_end(&mut content)
            .map_err(Error::io("read", &descriptor.digest))?;
        let mut state = self.memory.state();
        state.repositories.entry(self.name.clone()).or_default();
        Ok(match state.blobs.insert(descriptor.digest.clone(), content.into()) {
            Some(_) => Pushed::Existed,
            None => Pushed::Written(descriptor.size),
        })
    }

    fn push_manifest(&self, manifest: &Manifest, entry: Entry<'_>) -> Result<Pushed> {
        let descriptor = manifest.descriptor();
        let mut state = self.memory.state();
        state.blobs.insert(descriptor.digest.clone(), manifest.raw().clone());
        let listing = state.repositories.entry(self.name.clone()).or_default();
        let before = listing.manifests.insert(descriptor.digest.clone(), descriptor.clone());
        if let Entry::Root(names) = entry {
            listing.roots.insert(descriptor.digest.clone());
            listing
                .names
                .extend(names.iter().map(|name| (name.clone(), descriptor.digest.clone())));
        }
        Ok(if before.is_some() { Pushed::Existed } else { Pushed::Written(descriptor.size) })
    }
}

impl Repository for View<'_> {
    fn roots(&self) -> Result<Vec<Root>> {
        let root = |listing: &Listing, digest: &Digest| {
            let descriptor = listing.manifests.get(digest)?.clone();
            let names = listing.names.iter().filter(|(_, meant)| *meant == digest);
            Some(Root { descriptor, names: names.map(|(name, _)| name.clone()).collect() })
        };
        Ok(self.listed(|listing| {
            listing.roots.iter().filter_map(|digest| root(listing, digest)).collect()
        }))
    }

    fn untag(&self, name: &Name) -> Result<()> {
        let mut state = self.memory.state();
        let listing = state.repositories.get_mut(&self.name);
        let removed = listing.and_then(|listing| listing.names.remove(name));
        removed.map(drop).ok_or_else(|| self.not_found(name))
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        write!(f, "Memory({} repositories, {} blobs)", state.repositories.len(), state.blobs.len())
    }
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memory/{}", self.name)
    }
}
