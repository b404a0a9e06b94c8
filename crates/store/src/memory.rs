//! The place in memory: for tests, and for content that is made on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use longshore_spec::{Descriptor, Digest, Hasher, Manifest, RepositoryName, Role};

use crate::{
    AnsweredBy, Blob, Entry, Error, Held, Inability, Name, Place, Pushed, Reader, Referrers,
    Repository, Result, Root, Selector, Source, SourcePlace, Subject, Target, TargetPlace, Upload,
    manifest_from,
};

/// Content in memory: blobs shared by all repositories, manifests and names by repository.
#[derive(Default)]
pub struct Memory(Arc<Mutex<State>>);

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
    /// Blobs that were pushed or adopted here.
    blobs: BTreeSet<Digest>,
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
        lock(&self.0)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Puts a blob into a repository, and says whether it was nowhere before.
    fn add_blob(&mut self, repository: &RepositoryName, digest: &Digest, content: Bytes) -> bool {
        let listing = self.repositories.entry(repository.clone()).or_default();
        listing.blobs.insert(digest.clone());
        self.blobs.insert(digest.clone(), content).is_none()
    }

    /// Returns the manifests of a repository.
    fn manifests(&self, repository: &RepositoryName) -> impl Iterator<Item = Manifest> {
        let listing = self.repositories.get(repository);
        let listed = listing.into_iter().flat_map(|listing| listing.manifests.values());
        listed.filter_map(|descriptor| {
            Manifest::parse(self.blobs.get(&descriptor.digest)?.clone(), descriptor.clone()).ok()
        })
    }
}

impl Memory {
    fn view(&self, name: &RepositoryName) -> View<'_> {
        View { memory: self, name: name.clone() }
    }
}

impl SourcePlace for Memory {
    fn source(&self, name: &RepositoryName) -> Result<Box<dyn Source + '_>> {
        Ok(Box::new(self.view(name)))
    }

    fn repositories(&self) -> Result<Vec<RepositoryName>> {
        Ok(self.state().repositories.keys().cloned().collect())
    }
}

impl TargetPlace for Memory {
    fn target(&self, name: &RepositoryName) -> Result<Box<dyn Target + '_>> {
        Ok(Box::new(self.view(name)))
    }
}

impl Place for Memory {
    fn repository(&self, name: &RepositoryName) -> Result<Box<dyn Repository + '_>> {
        Ok(Box::new(self.view(name)))
    }

    fn upload(&self, repository: &RepositoryName, hasher: Hasher) -> Result<Box<dyn Upload>> {
        let (state, repository) = (Arc::clone(&self.0), repository.clone());
        Ok(Box::new(MemoryUpload { state, repository, content: Vec::new(), hasher }))
    }

    fn adopt(&self, repository: &RepositoryName, blob: &Descriptor) -> Result<()> {
        let mut state = self.state();
        let content = state.blobs.get(&blob.digest).cloned();
        let content = content.ok_or_else(|| Error::not_found(&blob.digest, repository))?;
        state.add_blob(repository, &blob.digest, content);
        Ok(())
    }

    fn forget(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        let mut state = self.state();
        let needed = state.manifests(repository).find(|of| listed(of, digest).is_some());
        if needed.is_some() {
            let place = format!("Memory/{repository}");
            return Err(Error::unsupported(place, Inability::Needed(digest.clone())));
        }
        let listing = state.repositories.get_mut(repository);
        let removed = listing.is_some_and(|listing| listing.blobs.remove(digest));
        removed.then_some(()).ok_or_else(|| Error::not_found(digest, repository))
    }
}

impl View<'_> {
    fn not_found(&self, what: impl Into<Subject>) -> Error {
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

    fn size(&self, blob: &Descriptor) -> Result<u64> {
        let content = self.memory.state().blobs.get(&blob.digest).map(Bytes::len);
        content.map(|length| length as u64).ok_or_else(|| self.not_found(&blob.digest))
    }

    fn blob(&self, digest: &Digest) -> Result<Descriptor> {
        let state = self.memory.state();
        let content = state.blobs.get(digest).ok_or_else(|| self.not_found(digest))?;
        let size = content.len() as u64;
        if state.repositories.get(&self.name).is_some_and(|here| here.blobs.contains(digest)) {
            return Ok(Descriptor::new("application/octet-stream", digest.clone(), size));
        }
        let found = state.manifests(&self.name).find_map(|manifest| listed(&manifest, digest));
        let found = found.ok_or_else(|| self.not_found(digest))?;
        // A manifest may be wrong about the size; the content is not.
        Ok(Descriptor { size, ..found })
    }

    fn names(&self) -> Result<Vec<Name>> {
        Ok(self.listed(|listing| listing.names.keys().cloned().collect()))
    }

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

    fn referrers(&self, subject: &Digest) -> Result<Referrers> {
        let state = self.memory.state();
        let entries = state
            .manifests(&self.name)
            .filter(|manifest| manifest.subject().is_some_and(|found| found.digest == *subject))
            .map(|manifest| manifest.as_referrer())
            .collect();
        Ok(Referrers { entries, answered_by: AnsweredBy::Scan })
    }
}

impl Target for View<'_> {
    fn held(&self, descriptor: &Descriptor, role: Role) -> Result<Held> {
        let listed = self.listed(|listing| listing.manifests.contains_key(&descriptor.digest));
        let length = self.memory.state().blobs.get(&descriptor.digest).map(Bytes::len);
        let there = length.is_some_and(|length| length as u64 == descriptor.size);
        Ok(if there && (listed || role != Role::Manifest) { Held::Whole } else { Held::Nothing })
    }

    fn lists(&self, manifest: &Descriptor, names: &[Name]) -> Result<bool> {
        let digest = &manifest.digest;
        Ok(self.listed(|listing| {
            listing.manifests.contains_key(digest)
                && names.iter().all(|name| listing.names.get(name) == Some(digest))
        }))
    }

    fn stands_for(&self, name: &Name) -> Result<Option<Digest>> {
        Ok(self.listed(|listing| listing.names.get(name).cloned()))
    }

    fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        let descriptor = blob.descriptor();
        let content = blob.open(None)?.into_bytes()?;
        let mut state = self.memory.state();
        let new = state.add_blob(&self.name, &descriptor.digest, content.into());
        Ok(if new { Pushed::Written(descriptor.size) } else { Pushed::Existed })
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

    fn list(&self, descriptor: &Descriptor, _: &[Name]) -> Result<()> {
        let what = Inability::ManifestsOnly(descriptor.digest.clone());
        Err(Error::unsupported(format!("{self:?}"), what))
    }
}

impl Repository for View<'_> {
    fn untag(&self, name: &Name) -> Result<()> {
        let mut state = self.memory.state();
        let listing = state.repositories.get_mut(&self.name);
        let removed = listing.and_then(|listing| listing.names.remove(name));
        removed.map(drop).ok_or_else(|| self.not_found(name))
    }

    fn remove(&self, digest: &Digest) -> Result<()> {
        let mut state = self.memory.state();
        let listing = state.repositories.get_mut(&self.name);
        let listing = listing.ok_or_else(|| self.not_found(digest))?;
        listing.manifests.remove(digest).ok_or_else(|| self.not_found(digest))?;
        listing.names.retain(|_, meant| meant != digest);
        listing.roots.remove(digest);
        Ok(())
    }
}

/// A blob on its way into a [`Memory`].
struct MemoryUpload {
    state: Arc<Mutex<State>>,
    repository: RepositoryName,
    content: Vec<u8>,
    hasher: Hasher,
}

impl Upload for MemoryUpload {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.content.extend_from_slice(bytes);
        self.hasher.update(bytes);
        Ok(())
    }

    fn len(&self) -> u64 {
        self.content.len() as u64
    }

    fn finish(self: Box<Self>, digest: &Digest) -> Result<Descriptor> {
        let Self { state, repository, content, hasher } = *self;
        let computed = hasher.finish();
        let actual = if computed.algorithm() == digest.algorithm() {
            Some(computed)
        } else {
            digest.recompute(&content)
        };
        let actual = actual.ok_or_else(|| Error::Unverifiable { digest: digest.clone() })?;
        if actual != *digest {
            return Err(Error::Corrupt { expected: digest.clone(), actual });
        }
        let size = content.len() as u64;
        lock(&state).add_blob(&repository, digest, content.into());
        Ok(Descriptor::new("application/octet-stream", actual, size))
    }
}

/// Returns what `manifest` says of a blob, if it lists it.
fn listed(manifest: &Manifest, digest: &Digest) -> Option<Descriptor> {
    let mut children = manifest.children().map(|(_, child)| child);
    children.find(|child| child.digest == *digest).cloned()
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
