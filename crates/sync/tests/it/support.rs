//! A source made of a fixture, and a target that watches; both with one fault on request.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::sync::Mutex;

use bytes::Bytes;
use longshore_fixture::Content;
use longshore_spec::artifact_type::TypeFilter;
use longshore_spec::{Descriptor, Digest, Manifest, RepositoryName, Role, keys};
use longshore_store::{
    AnsweredBy, Blob, Entry, Error, Held, Memory, MountSource, Name, Order, Outline, Place, Pushed,
    Reader, Referrers, Repository, Result, Selector, Source, Target, TargetPlace, manifest_from,
};
use longshore_sync::{CopyItem, Filter, Outcome, Plan, Referring, Report, RootRequest, Silent};

/// What a source does wrong with one digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It cannot be read at all.
    Unreadable,
    /// One byte is another, or there is one too many.
    Flipped,
    /// The last byte is not there, or there is one too many.
    Cut,
    /// It is not there.
    Gone,
}

/// The content of a fixture as a source.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    pub(crate) content: Content,
    pub(crate) faults: BTreeMap<Digest, Fault>,
    /// Content that is no manifest is found as a blob only, as in a registry.
    pub(crate) apart: bool,
    /// Nobody can be asked what refers to what.
    pub(crate) mute: bool,
    /// What it answers when it is asked for names, if it does not list what it has.
    pub(crate) unlisted: Option<fn() -> Result<Vec<Name>>>,
    /// Sets what its lists of referrers say of the artifact type.
    pub(crate) lie: Option<&'static str>,
    /// Where it lies, if that is a registry.
    pub(crate) location: Option<MountSource>,
    pub(crate) referrers: BTreeMap<Digest, Vec<Descriptor>>,
}

impl Shelf {
    pub(crate) fn new(content: Content) -> Self {
        let mut referrers: BTreeMap<Digest, Vec<Descriptor>> = BTreeMap::new();
        for (digest, raw) in &content.blobs {
            let Ok(media_type) = Manifest::media_type_of(raw) else { continue };
            let descriptor = Descriptor::new(media_type, digest.clone(), raw.len() as u64);
            let Ok(manifest) = Manifest::parse(raw.clone(), descriptor) else { continue };
            if let Some(subject) = manifest.subject() {
                referrers.entry(subject.digest.clone()).or_default().push(manifest.as_referrer());
            }
        }
        let faults = BTreeMap::new();
        Self {
            content,
            faults,
            apart: false,
            mute: false,
            unlisted: None,
            lie: None,
            location: None,
            referrers,
        }
    }

    pub(crate) fn of(make: impl FnOnce(&mut Content) -> Descriptor) -> Self {
        Self::new(Content::tagged("app", make))
    }

    pub(crate) fn with_fault(mut self, digest: &Digest, fault: Fault) -> Self {
        self.faults.insert(digest.clone(), fault);
        self
    }

    /// Everything that is listed, under the names that it has.
    pub(crate) fn wanted<'a>(&'a self, target: Option<&'a dyn Target>) -> Vec<CopyItem<'a>> {
        let wanted = |entry: &Descriptor| CopyItem {
            source: self,
            request: RootRequest::Listed(entry.clone()),
            target,
            names: name(entry).into_iter().collect(),
            filter: None,
        };
        self.content.entries.iter().map(wanted).collect()
    }

    fn read(&self, digest: &Digest) -> Result<Bytes> {
        let found =
            self.content.blobs.get(digest).filter(|_| self.fault(digest) != Some(Fault::Gone));
        let raw = found.ok_or_else(|| Error::not_found(digest, "the shelf"))?;
        let mut changed = raw.to_vec();
        match self.fault(digest) {
            None | Some(Fault::Gone) => return Ok(raw.clone()),
            Some(Fault::Unreadable) => {
                return Err(Error::io("read", digest)(io::Error::other("the disk is gone")));
            }
            Some(Fault::Flipped) if !changed.is_empty() => changed[0] ^= 1,
            Some(Fault::Cut) if !changed.is_empty() => drop(changed.pop()),
            Some(_) => changed.push(b'x'),
        }
        Ok(changed.into())
    }

    fn fault(&self, digest: &Digest) -> Option<Fault> {
        self.faults.get(digest).copied()
    }
}

impl Source for Shelf {
    fn head(&self, selector: &Selector) -> Result<Descriptor> {
        let is_meant = |entry: &&Descriptor| match selector {
            Selector::Name(wanted) => name(entry).as_ref() == Some(wanted),
            Selector::Digest(digest) => entry.digest == *digest,
        };
        let found = self.content.entries.iter().find(is_meant).cloned();
        // What no entry lists is known by its digest alone.
        let unlisted = || match selector {
            Selector::Name(_) => None,
            Selector::Digest(digest) => {
                let raw = self.read(digest).ok()?;
                let media_type = Manifest::media_type_of(&raw).ok()?;
                Some(Descriptor::new(media_type, digest.clone(), raw.len() as u64))
            }
        };
        found.or_else(unlisted).ok_or_else(|| Error::not_found(selector, "the shelf"))
    }

    fn manifest(&self, selector: &Selector) -> Result<Manifest> {
        self.child(&self.head(selector)?)
    }

    fn child(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let raw = self.read(&descriptor.digest)?;
        if self.apart && Manifest::media_type_of(&raw).is_err() {
            return Err(Error::not_found(&descriptor.digest, "the manifests"));
        }
        manifest_from(raw, descriptor.clone())
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Result<Reader<'_>> {
        let raw = self.read(&blob.digest)?;
        Ok(Box::new(io::Cursor::new(raw.slice(usize::try_from(offset).unwrap()..))))
    }

    fn names(&self) -> Result<Vec<Name>> {
        if let Some(answer) = self.unlisted {
            return answer();
        }
        let mut names: Vec<_> = self.content.entries.iter().filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    fn referrers(&self, subject: &Digest) -> Result<Referrers> {
        if self.mute {
            return Err(Error::io("list", subject)(io::Error::other("no answer")));
        }
        let mut entries = self.referrers.get(subject).cloned().unwrap_or_default();
        for entry in &mut entries {
            entry.artifact_type = self.lie.map(Into::into).or(entry.artifact_type.take());
        }
        Ok(Referrers { entries, answered_by: AnsweredBy::Place })
    }

    fn location(&self) -> Option<MountSource> {
        self.location.clone()
    }
}

/// A place in memory that notes what it is given and in which order.
#[derive(Debug)]
pub(crate) struct Watched {
    memory: Memory,
    order: Order,
    /// What it refuses.
    pub(crate) refused: Option<Digest>,
    /// What makes it panic.
    pub(crate) deadly: Option<Digest>,
    /// How many bytes it has room for.
    pub(crate) room: u64,
    /// How many writers it wants for each job.
    pub(crate) writers: usize,
    pushed: Mutex<Vec<Digest>>,
    committed: Mutex<Vec<bool>>,
}

impl Watched {
    pub(crate) fn new(order: Order) -> Self {
        Self {
            memory: Memory::new(),
            order,
            refused: None,
            deadly: None,
            room: u64::MAX,
            writers: 1,
            pushed: Mutex::default(),
            committed: Mutex::default(),
        }
    }

    /// Returns the one repository that tests use.
    pub(crate) fn repository(&self) -> Box<dyn Repository + '_> {
        self.memory.repository(&repository_name()).expect("memory has every repository")
    }

    /// Returns what it was given, in that order.
    pub(crate) fn pushed(&self) -> Vec<Digest> {
        self.pushed.lock().unwrap().clone()
    }

    /// Returns what it was told at the end.
    pub(crate) fn committed(&self) -> Vec<bool> {
        self.committed.lock().unwrap().clone()
    }

    pub(crate) fn names(&self) -> BTreeSet<Name> {
        self.repository().names().unwrap().into_iter().collect()
    }

    /// Returns the content under a digest, however it came.
    pub(crate) fn content(&self, digest: &Digest) -> Option<Vec<u8>> {
        let descriptor = Descriptor::new("a/b", digest.clone(), 0);
        let mut bytes = Vec::new();
        let repository = self.repository();
        repository.open(&descriptor, 0).ok()?.read_to_end(&mut bytes).unwrap();
        Some(bytes)
    }

    fn take(&self, digest: &Digest) -> Result<()> {
        assert_ne!(self.deadly.as_ref(), Some(digest), "the target panics");
        if self.refused.as_ref() == Some(digest) {
            return Err(Error::io("write", digest)(io::Error::other("the target refuses")));
        }
        self.pushed.lock().unwrap().push(digest.clone());
        Ok(())
    }
}

impl TargetPlace for Watched {
    fn target(&self, name: &RepositoryName) -> Result<Box<dyn Target + '_>> {
        self.memory.target(name)
    }

    fn prepare(&self, outline: &Outline) -> Result<Option<u64>> {
        let needed = outline.nodes().iter().map(|node| node.size).sum();
        if needed > self.room {
            let place = "the target".to_owned();
            return Err(Error::NoSpace { place, needed, available: self.room });
        }
        Ok(None)
    }

    fn order(&self) -> Order {
        self.order
    }

    fn writers(&self, jobs: usize) -> usize {
        jobs * self.writers
    }

    fn commit(&self) -> Result<()> {
        self.committed.lock().unwrap().push(true);
        Ok(())
    }

    fn commit_partial(&self) -> Result<()> {
        self.committed.lock().unwrap().push(false);
        Ok(())
    }
}

impl Target for Watched {
    fn held(&self, descriptor: &Descriptor, role: Role) -> Result<Held> {
        self.repository().held(descriptor, role)
    }

    fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        self.take(&blob.descriptor().digest)?;
        if blob.location().is_some() {
            return Ok(Pushed::Mounted);
        }
        self.repository().push_blob(blob)
    }

    fn push_manifest(&self, manifest: &Manifest, entry: Entry<'_>) -> Result<Pushed> {
        self.take(&manifest.descriptor().digest)?;
        self.repository().push_manifest(manifest, entry)
    }

    fn list(&self, descriptor: &Descriptor, names: &[Name]) -> Result<()> {
        self.repository().list(descriptor, names)
    }
}

/// Copies everything that `source` lists.
pub(crate) fn copy(source: &Shelf, target: &Watched, filter: &Filter, jobs: usize) -> Report {
    let plan = Plan::discover(source.wanted(Some(target)), filter, jobs).seal();
    plan.execute(target, jobs, &Silent).expect("a plan that can be begun")
}

pub(crate) fn with_referrers() -> Filter {
    let referrers = Referring::Taken(TypeFilter::default());
    Filter { referrers, ..Filter::default() }
}

pub(crate) fn types(items: &[&str]) -> TypeFilter {
    TypeFilter::parse(items).expect("the items mean something")
}

/// Returns the digests of everything that can be reached, as a walk by hand finds it.
pub(crate) fn closure(content: &Content, root: &Descriptor) -> BTreeSet<Digest> {
    let mut found = BTreeSet::new();
    let mut left = vec![(Role::Manifest, root.clone())];
    while let Some((role, descriptor)) = left.pop() {
        found.insert(descriptor.digest.clone());
        let Some(raw) = content.blobs.get(&descriptor.digest) else { continue };
        if role == Role::Manifest
            && let Ok(manifest) = Manifest::parse(raw.clone(), descriptor)
        {
            left.extend(manifest.children().map(|(role, child)| (role, child.clone())));
        }
    }
    found
}

pub(crate) fn name(entry: &Descriptor) -> Option<Name> {
    entry.annotations.get(keys::REF_NAME).map(|text| Name::from(text.as_str()))
}

pub(crate) fn repository_name() -> RepositoryName {
    "app".parse().expect("a name of the grammar")
}

/// Returns the first names of the roots that became this.
pub(crate) fn named(report: &Report, outcome: Outcome) -> Vec<String> {
    let roots = report.roots.iter().filter(|root| root.outcome == outcome);
    let mut names: Vec<_> = roots
        .map(|root| root.names.first().map_or_else(|| "-".to_owned(), ToString::to_string))
        .collect();
    names.sort();
    names
}

/// Returns what went wrong, as text.
pub(crate) fn texts(failures: &[longshore_sync::Failure]) -> Vec<String> {
    failures.iter().map(ToString::to_string).collect()
}
