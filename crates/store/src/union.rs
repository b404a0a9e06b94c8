//! Several places as one.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;

use longshore_spec::{Descriptor, Digest, Hasher, Manifest, RepositoryName, Role, keys};

use crate::{
    AnsweredBy, Atomicity, Blob, Entry, Error, Held, Inability, MAX_DEPTH, Name, Order, Outline,
    Place, Pushed, Reader, Referrers, Repository, Result, Root, Selector, Source, SourcePlace,
    Subject, Target, TargetPlace, Upload, Verifying,
};

/// Several places as one, of which at most one is written to.
///
/// A repository holds what it holds in any of them. A name means what it means in the place that is
/// written to; if that does not have it, the others must agree on it, unless some of them are
/// [preferred](Union::preferring), else it is ambiguous. What is
/// pushed and needs content of the others is given that content, so that the place that is written
/// to is whole by itself. What the others hold cannot be removed, even where it is in both: it would
/// go on to be found.
pub struct Union {
    writable: Option<Box<dyn Place>>,
    others: Vec<Box<dyn SourcePlace>>,
    /// The names of so many of the others, the first, are taken before those of the rest.
    preferred: usize,
}

/// A name that stands for different content in several places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// The repository.
    pub repository: RepositoryName,
    /// The name.
    pub name: Name,
    /// What it stands for, with the number of the place among those that are not written to.
    pub meanings: Vec<(usize, Digest)>,
}

impl Union {
    /// Returns places as one: what is pushed goes to `writable`, and nothing to the `others`.
    pub fn new(writable: Option<Box<dyn Place>>, others: Vec<Box<dyn SourcePlace>>) -> Self {
        Self { writable, others, preferred: 0 }
    }

    /// Lets the names of the first `count` of the other places be taken before those of the rest, which may
    /// mean something else there.
    #[must_use]
    pub fn preferring(self, count: usize) -> Self {
        Self { preferred: count, ..self }
    }

    /// Returns the place that is written to.
    pub fn written(&self) -> Option<&dyn Place> {
        self.writable.as_deref()
    }

    /// Returns every name that is ambiguous, sorted by repository and name.
    pub fn clashes(&self) -> Result<Vec<Clash>> {
        let mut found = Vec::new();
        for repository in self.repositories()? {
            let mut meanings: BTreeMap<Name, Vec<(usize, Digest)>> = BTreeMap::new();
            for (number, place) in self.others.iter().enumerate() {
                let here = place.source(&repository)?;
                for name in here.names()? {
                    match here.head(&Selector::Name(name.clone())) {
                        Ok(entry) => meanings.entry(name).or_default().push((number, entry.digest)),
                        // In this place alone: whoever asks for it is told.
                        Err(Error::Ambiguous { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            if let Some(writable) = &self.writable {
                for name in writable.source(&repository)?.names()? {
                    meanings.remove(&name);
                }
            }
            for meanings in meanings.values_mut() {
                if meanings.iter().any(|(number, _)| *number < self.preferred) {
                    meanings.retain(|(number, _)| *number < self.preferred);
                }
            }
            let differ = |list: &[(usize, Digest)]| list.iter().any(|(_, of)| *of != list[0].1);
            let clashes = meanings.into_iter().filter(|(_, meanings)| differ(meanings));
            found.extend(clashes.map(|(name, meanings)| Clash {
                repository: repository.clone(),
                name,
                meanings,
            }));
        }
        Ok(found)
    }

    fn places(&self) -> impl Iterator<Item = &dyn SourcePlace> {
        let writable = self.writable.iter().map(|place| -> &dyn SourcePlace { &**place });
        writable.chain(self.others.iter().map(|place| &**place))
    }

    fn view(&self, name: &RepositoryName) -> Result<View<'_>> {
        let writable = match self.writable.as_deref() {
            Some(place) => Some(Writable { place, repository: place.repository(name)? }),
            None => None,
        };
        let others = self.others.iter().map(|place| place.source(name));
        let others = others.collect::<Result<_>>()?;
        Ok(View { name: name.clone(), writable, others, preferred: self.preferred })
    }
}

impl SourcePlace for Union {
    fn source(&self, name: &RepositoryName) -> Result<Box<dyn Source + '_>> {
        Ok(Box::new(self.view(name)?))
    }

    fn repositories(&self) -> Result<Vec<RepositoryName>> {
        let mut found = Vec::new();
        for place in self.places() {
            found.extend(place.repositories()?);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn has_repository(&self, name: &RepositoryName) -> Result<bool> {
        for place in self.places() {
            if place.has_repository(name)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        for place in self.places() {
            if let Some(size) = place.blob_size(digest)? {
                return Ok(Some(size));
            }
        }
        Ok(None)
    }
}

impl TargetPlace for Union {
    fn target(&self, name: &RepositoryName) -> Result<Box<dyn Target + '_>> {
        Ok(Box::new(self.view(name)?))
    }

    fn prepare(&self, outline: &Outline) -> Result<Option<u64>> {
        self.writable.as_ref().map_or(Ok(None), |place| place.prepare(outline))
    }

    fn order(&self) -> Order {
        self.writable.as_ref().map_or(Order::LargestFirst, |place| place.order())
    }

    fn atomicity(&self) -> Atomicity {
        self.writable.as_ref().map_or(Atomicity::EachRoot, |place| place.atomicity())
    }

    fn commit(&self) -> Result<()> {
        self.writable.as_ref().map_or(Ok(()), |place| place.commit())
    }

    fn commit_partial(&self) -> Result<()> {
        self.writable.as_ref().map_or(Ok(()), |place| place.commit_partial())
    }
}

impl Place for Union {
    fn repository(&self, name: &RepositoryName) -> Result<Box<dyn Repository + '_>> {
        Ok(Box::new(self.view(name)?))
    }

    fn upload(&self, repository: &RepositoryName, hasher: Hasher) -> Result<Box<dyn Upload>> {
        let writable = self.writable.as_ref().ok_or_else(|| read_only(repository))?;
        writable.upload(repository, hasher)
    }

    fn adopt(&self, repository: &RepositoryName, blob: &Descriptor) -> Result<()> {
        let view = self.view(repository)?;
        if view.copy_blob(view.writable()?, blob)? {
            return Ok(());
        }
        Err(Error::not_found(&blob.digest, repository))
    }

    fn forget(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        let view = self.view(repository)?;
        let place = view.writable()?.place;
        view.refuse_elsewhere(digest, |part| part.blob(digest))?;
        place.forget(repository, digest)
    }

    fn settle(&self) -> Result<()> {
        self.writable.as_ref().map_or(Ok(()), |place| place.settle())
    }
}

impl fmt::Debug for Union {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.places()).finish()
    }
}

/// One repository of a [`Union`].
struct View<'a> {
    name: RepositoryName,
    writable: Option<Writable<'a>>,
    others: Vec<Box<dyn Source + 'a>>,
    preferred: usize,
}

/// The part of it that is written to, and its place.
struct Writable<'a> {
    place: &'a dyn Place,
    repository: Box<dyn Repository + 'a>,
}

fn read_only(repository: &RepositoryName) -> Error {
    Error::unsupported(repository, Inability::ReadOnly)
}

impl<'v> View<'v> {
    fn parts(&self) -> impl Iterator<Item = &dyn Source> {
        let writable = self.writable.iter().map(|part| -> &dyn Source { &*part.repository });
        writable.chain(self.others.iter().map(|part| -> &dyn Source { &**part }))
    }

    /// Returns the first answer that is not that something is not there.
    fn first<'a, T>(
        &'a self,
        what: impl Into<Subject>,
        ask: impl Fn(&'a dyn Source) -> Result<T>,
    ) -> Result<T> {
        for part in self.parts() {
            match ask(part) {
                Err(Error::NotFound { .. }) => {}
                answer => return answer,
            }
        }
        Err(Error::not_found(what, &self.name))
    }

    /// Returns the part that a name or digest is looked up in, and what it finds.
    fn locate(&self, selector: &Selector) -> Result<(&dyn Source, Descriptor)> {
        let head = |part| -> Result<(&dyn Source, _)> { Ok((part, Source::head(part, selector)?)) };
        let Selector::Name(name) = selector else { return self.first(selector, head) };
        if let Some(writable) = &self.writable {
            match head(&*writable.repository) {
                Err(Error::NotFound { .. }) => {}
                answer => return answer,
            }
        }
        let mut found = Vec::new();
        for (number, part) in self.others.iter().enumerate() {
            if number >= self.preferred && found.iter().any(|(of, _)| *of < self.preferred) {
                break;
            }
            match head(&**part) {
                Ok(here) => found.push((number, here)),
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let found: Vec<_> = found.into_iter().map(|(_, here)| here).collect();
        if found.iter().any(|(_, other)| other.digest != found[0].1.digest) {
            let candidates = found.iter().map(|(_, entry)| label(name, entry)).collect();
            let (name, place) = (name.to_string(), self.name.to_string());
            return Err(Error::Ambiguous { name, place, candidates });
        }
        found.into_iter().next().ok_or_else(|| Error::not_found(name, &self.name))
    }

    fn writable(&self) -> Result<&Writable<'v>> {
        self.writable.as_ref().ok_or_else(|| read_only(&self.name))
    }

    fn written(&self) -> Result<&dyn Repository> {
        Ok(&*self.writable()?.repository)
    }

    /// Refuses to remove what is in the other places: it would still be there.
    fn refuse_elsewhere(
        &self,
        what: impl Into<Subject>,
        look_up: impl Fn(&dyn Source) -> Result<Descriptor>,
    ) -> Result<()> {
        let is_there = |part: &dyn Source| !matches!(look_up(part), Err(Error::NotFound { .. }));
        if self.others.iter().any(|part| is_there(&**part)) {
            return Err(Error::unsupported(&self.name, Inability::Elsewhere(what.into())));
        }
        Ok(())
    }

    /// Gives what `manifest` refers to from the other places to the one that is written to. What
    /// nobody has is left out: whether it may be is the business of whoever pushes.
    fn copy_children(&self, manifest: &Manifest, depth: usize) -> Result<()> {
        let target = self.writable()?;
        if depth == MAX_DEPTH {
            let what = format!("{} in {}", manifest.descriptor().digest, self.name);
            let limit = format!("{MAX_DEPTH} levels of manifests");
            return Err(Error::Limit { what, limit });
        }
        for (role, child) in manifest.children() {
            if role == Role::Manifest {
                if target.repository.head(&Selector::Digest(child.digest.clone())).is_ok() {
                    continue;
                }
                let nested = self.others.iter().find_map(|part| part.child(child).ok());
                if let Some(nested) = nested {
                    self.copy_children(&nested, depth + 1)?;
                    target.repository.push_manifest(&nested, Entry::Root(&[]))?;
                    continue;
                }
            }
            self.copy_blob(target, child)?;
        }
        Ok(())
    }

    /// Says whether the content is there then.
    fn copy_blob(&self, target: &Writable<'_>, blob: &Descriptor) -> Result<bool> {
        match target.repository.blob(&blob.digest) {
            Err(Error::NotFound { .. }) => {}
            found => return found.map(|_| true),
        }
        match target.place.adopt(&self.name, blob) {
            Err(Error::NotFound { .. } | Error::Unsupported { .. }) => {}
            adopted => return adopted.map(|()| true),
        }
        let mut others = self.others.iter().map(|part| -> &dyn Source { &**part });
        let Some(from) = others.find(|part| part.open(blob, 0).is_ok()) else { return Ok(false) };
        target.repository.push_blob(&BlobOf { from, blob })?;
        Ok(true)
    }
}

/// Returns what one of several meanings of a name is called: its full name, or its digest.
fn label(name: &Name, entry: &Descriptor) -> String {
    let full = [keys::CONTAINERD_IMAGE_NAME, keys::REF_NAME].map(|key| entry.annotations.get(key));
    let full = full.into_iter().flatten().find(|full| full.as_str() != name.as_str());
    full.map_or_else(|| entry.digest.to_string(), |full| format!("`{full}` ({})", entry.digest))
}

impl Source for View<'_> {
    fn head(&self, selector: &Selector) -> Result<Descriptor> {
        self.locate(selector).map(|(_, descriptor)| descriptor)
    }

    fn manifest(&self, selector: &Selector) -> Result<Manifest> {
        let (part, descriptor) = self.locate(selector)?;
        part.child(&descriptor)
    }

    fn child(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.first(&descriptor.digest, |part| part.child(descriptor))
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Result<Reader<'_>> {
        self.first(&blob.digest, |part| part.open(blob, offset))
    }

    fn size(&self, blob: &Descriptor) -> Result<u64> {
        self.first(&blob.digest, |part| part.size(blob))
    }

    fn has_content(&self, blob: &Descriptor) -> Result<bool> {
        for part in self.parts() {
            if part.has_content(blob)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn blob(&self, digest: &Digest) -> Result<Descriptor> {
        self.first(digest, |part| part.blob(digest))
    }

    fn names(&self) -> Result<Vec<Name>> {
        let mut found = Vec::new();
        for part in self.parts() {
            found.extend(part.names()?);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn roots(&self) -> Result<Vec<Root>> {
        let mut found = Vec::new();
        for part in self.parts() {
            found.extend(part.roots()?);
        }
        Ok(found)
    }

    fn referrers(&self, subject: &Digest) -> Result<Referrers> {
        let mut all = Referrers { entries: Vec::new(), answered_by: AnsweredBy::Place };
        for part in self.parts() {
            let Referrers { entries, answered_by } = part.referrers(subject)?;
            all.entries.extend(entries);
            all.answered_by = answered_by;
        }
        all.entries.sort_by(|a, b| a.digest.cmp(&b.digest));
        all.entries.dedup_by(|a, b| a.digest == b.digest);
        Ok(all)
    }
}

impl Target for View<'_> {
    fn held(&self, descriptor: &Descriptor, role: Role) -> Result<Held> {
        self.written()?.held(descriptor, role)
    }

    fn lists(&self, manifest: &Descriptor, names: &[Name]) -> Result<bool> {
        self.written()?.lists(manifest, names)
    }

    fn stands_for(&self, name: &Name) -> Result<Option<Digest>> {
        self.written()?.stands_for(name)
    }

    fn names_at_once(&self, manifest: &Manifest) -> Option<NonZeroUsize> {
        self.written().ok()?.names_at_once(manifest)
    }

    fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        self.written()?.push_blob(blob)
    }

    fn push_manifest(&self, manifest: &Manifest, entry: Entry<'_>) -> Result<Pushed> {
        if !self.others.is_empty() {
            self.copy_children(manifest, 0)?;
        }
        self.written()?.push_manifest(manifest, entry)
    }

    fn list(&self, descriptor: &Descriptor, names: &[Name]) -> Result<()> {
        self.written()?.list(descriptor, names)
    }
}

impl Repository for View<'_> {
    fn untag(&self, name: &Name) -> Result<()> {
        let (written, selector) = (self.written()?, Selector::Name(name.clone()));
        self.refuse_elsewhere(name, |part| part.head(&selector))?;
        written.untag(name)
    }

    fn remove(&self, digest: &Digest) -> Result<()> {
        let (written, selector) = (self.written()?, Selector::Digest(digest.clone()));
        self.refuse_elsewhere(digest, |part| part.head(&selector))?;
        written.remove(digest)
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parts()).finish()
    }
}

/// A blob of one place on its way to another.
struct BlobOf<'a> {
    from: &'a dyn Source,
    blob: &'a Descriptor,
}

impl Blob for BlobOf<'_> {
    fn descriptor(&self) -> &Descriptor {
        self.blob
    }

    fn open(&self, prefix: Option<Hasher>) -> Result<Verifying<'_>> {
        let reader = self.from.open(self.blob, prefix.as_ref().map_or(0, Hasher::count))?;
        match prefix {
            None => Verifying::new(reader, self.blob),
            Some(prefix) => Ok(Verifying::resume(reader, self.blob, prefix)),
        }
    }
}
