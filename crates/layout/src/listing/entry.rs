//! An entry of `index.json`, and what it is called.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use longshore_spec::{Descriptor, Reference, RepositoryName, keys};

use crate::index;
use crate::names::{self, Parts};

/// An entry of `index.json`.
#[derive(Debug)]
pub(crate) struct Entry {
    descriptor: Descriptor,
    /// Whether it goes by the name that containerd gives it.
    goes_by_image_name: bool,
    /// Its repository by its name: `HOST/PATH` or `PATH`, the host's port after `_`.
    repository: Option<Arc<str>>,
    /// Where the path begins in that, behind a host; 0 if there is none.
    path: u32,
    /// Where its tag is in its name.
    tag: Option<(u32, u32)>,
    /// How it is written, once it was.
    json: OnceLock<Box<[u8]>>,
}

impl Entry {
    pub(crate) fn new(descriptor: Descriptor) -> Self {
        Self::sharing(descriptor, &mut HashSet::new())
    }

    /// Returns an entry that has the text of its repository together with others.
    pub(super) fn sharing(descriptor: Descriptor, known: &mut HashSet<Arc<str>>) -> Self {
        let image_name = descriptor.annotations.get(keys::CONTAINERD_IMAGE_NAME);
        let is_full = image_name.is_some_and(|text| text.parse::<Reference>().is_ok());
        let mut entry = Self {
            descriptor,
            goes_by_image_name: is_full,
            repository: None,
            path: 0,
            tag: None,
            json: OnceLock::new(),
        };
        let Parts { repository, tag } = entry.name().map(names::split).unwrap_or_default();
        entry.tag = tag.map(|tag| (short(tag.start), short(tag.end)));
        if let Some(repository) = repository {
            let path =
                names::without_host(&repository).map_or(0, |path| repository.len() - path.len());
            entry.path = short(path);
            let shared = known.get(&*repository).cloned();
            entry.repository = Some(shared.unwrap_or_else(|| {
                let new: Arc<str> = repository.into();
                known.insert(Arc::clone(&new));
                new
            }));
        }
        entry
    }

    pub(crate) fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Returns what it is called; see [`names::of`].
    pub(crate) fn name(&self) -> Option<&str> {
        if self.goes_by_image_name { self.image_name() } else { self.ref_name() }
    }

    /// Returns all names that it is found by.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.ref_name().into_iter().chain(self.image_name())
    }

    pub(super) fn ref_name(&self) -> Option<&str> {
        names::ref_name(&self.descriptor)
    }

    pub(super) fn image_name(&self) -> Option<&str> {
        self.descriptor.annotations.get(keys::CONTAINERD_IMAGE_NAME).map(|text| &**text)
    }

    /// Returns its name without the digest that stands behind it, if one does.
    pub(super) fn pinned(&self) -> Option<&str> {
        names::apart(self.name()?).map(|(name, _)| name)
    }

    pub(crate) fn tag(&self) -> Option<&str> {
        let (begin, end) = self.tag?;
        self.name()?.get(begin as usize..end as usize)
    }

    /// Returns the repository that it is marked with.
    pub(crate) fn mark(&self) -> Option<&str> {
        self.descriptor.annotations.get(keys::REPOSITORY).map(|text| &**text)
    }

    /// Tells whether it says neither a name nor a repository.
    pub(crate) fn is_loose(&self) -> bool {
        self.name().is_none() && self.mark().is_none()
    }

    /// Returns the repository that its name gives, with its host.
    pub(crate) fn named_in(&self) -> Option<&str> {
        self.repository.as_deref()
    }

    /// Returns the repository that it says it is in: by its name, else by its mark.
    pub(crate) fn says(&self) -> Option<&str> {
        let is_name = |text: &&str| text.parse::<RepositoryName>().is_ok();
        self.named_in().filter(is_name).or_else(|| self.mark().filter(is_name))
    }

    /// By so many names of repositories it is found at most: by its name, with the host and without, and
    /// by its mark.
    pub(super) const REPOSITORIES: u32 = 3;

    /// Returns how many names of repositories it is found by.
    pub(super) fn repository_count(&self) -> u32 {
        let by_name = match (self.name(), &self.repository) {
            (Some(_), None) => 1,
            (Some(_), Some(_)) => 1 + u32::from(self.path > 0),
            (None, _) => 0,
        };
        let by_mark = u32::from(self.mark().is_some());
        if by_name + by_mark == 0 { 1 } else { by_name + by_mark }
    }

    /// Returns one of the names of repositories that it is found by: that of its name, with its host
    /// and without, and its mark. None stands for an entry that does not say one.
    pub(super) fn repository(&self, nth: u32) -> &str {
        match (self.named_in(), nth) {
            (None, 0) if self.name().is_some() => "",
            (Some(repository), 0) => repository,
            (Some(repository), 1) if self.path > 0 => {
                repository.get(self.path as usize..).unwrap_or_default()
            }
            _ => self.mark().unwrap_or_default(),
        }
    }

    /// Returns every name of a repository that it is found by.
    pub(crate) fn repositories(&self) -> impl Iterator<Item = &str> {
        (0..self.repository_count()).map(|nth| self.repository(nth))
    }

    /// Returns how it is written.
    pub(super) fn json(&self) -> &[u8] {
        self.json.get_or_init(|| {
            let written = serde_json::to_vec(&self.descriptor);
            written.unwrap_or_else(|_| unreachable!("every key of a descriptor is text")).into()
        })
    }

    /// Compares by the order that entries are written in.
    pub(super) fn in_order(&self, other: &Self) -> Ordering {
        index::in_order(&self.descriptor, &other.descriptor)
    }
}

/// A name is part of an `index.json`, which is never so long.
fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
