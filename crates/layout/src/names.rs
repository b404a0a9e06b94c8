//! The names of entries in `index.json`, and the repositories that they belong to.

use std::ops::Range;

use longshore_spec::{Descriptor, Digest, Reference, RepositoryName, Tag, host_as_path, keys};
use longshore_store::Name;

/// The part of a layout that is read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The whole layout. Names are those of entries.
    Layout,
    /// One repository. Names are its tags. With `bare`, entries that name no repository belong to it,
    /// too.
    Repository { name: RepositoryName, bare: bool },
}

/// Returns the name of an entry: the image name that containerd writes if it is a full reference, else
/// `ref.name` (rows ).
pub(crate) fn of(entry: &Descriptor) -> Option<&str> {
    let image_name = entry.annotations.get(keys::CONTAINERD_IMAGE_NAME).map(|text| &**text);
    let full = image_name.filter(|text| text.parse::<Reference>().is_ok());
    full.or_else(|| ref_name(entry))
}

/// Returns the `ref.name` of an entry.
pub(crate) fn ref_name(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get(keys::REF_NAME).map(|text| &**text)
}

/// Returns the entry with this name. Other annotations stay (row A-28).
pub(crate) fn named(entry: Descriptor, name: &str) -> Descriptor {
    let mut entry = unnamed(entry);
    entry.annotations.remove(keys::REPOSITORY);
    entry.annotations.insert(keys::REF_NAME.to_owned(), name.to_owned());
    if name.parse::<Reference>().is_ok() {
        entry.annotations.insert(keys::CONTAINERD_IMAGE_NAME.to_owned(), name.to_owned());
    }
    entry
}

/// Returns the entry without its name, marked with a repository.
pub(crate) fn marked(entry: Descriptor, repository: &str) -> Descriptor {
    let mut entry = unnamed(entry);
    entry.annotations.insert(keys::REPOSITORY.to_owned(), repository.to_owned());
    entry
}

/// Returns the entry without a name.
pub(crate) fn unnamed(mut entry: Descriptor) -> Descriptor {
    entry.annotations.remove(keys::REF_NAME);
    entry.annotations.remove(keys::CONTAINERD_IMAGE_NAME);
    entry
}

/// Splits a name and the digest at its end, if there is one.
pub(crate) fn apart(name: &str) -> Option<(&str, Digest)> {
    let (name, digest) = name.rsplit_once('@').filter(|(name, _)| !name.is_empty())?;
    Some((name, digest.parse().ok()?))
}

impl Scope {
    /// Returns the repository that entries without a name are marked with.
    pub(crate) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Layout => None,
            Self::Repository { name, .. } => Some(name),
        }
    }

    /// Returns the repositories whose entries belong to this scope. The empty one stands for entries that
    /// name none.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let (name, bare) = match self {
            Self::Layout => (None, false),
            Self::Repository { name, bare } => (Some(name.as_str()), *bare),
        };
        name.into_iter().chain(bare.then_some(""))
    }

    /// Returns the name in `index.json` of an entry that is called `name` in this scope.
    pub(crate) fn name_listed(&self, name: &Name) -> Name {
        match self {
            Self::Layout => name.clone(),
            Self::Repository { name: repository, .. } => Name::new(format!("{repository}:{name}")),
        }
    }
}

/// The parts of a name.
#[derive(Default)]
pub(crate) struct Parts {
    /// `HOST/PATH` or `PATH`. A `_` precedes the port of a host, so that it is a repository name.
    pub(crate) repository: Option<String>,
    /// The range of the tag in the name.
    pub(crate) tag: Option<Range<usize>>,
}

/// Splits a name: a tag, `PATH:TAG` or `HOST/PATH:TAG`, each with an optional digest.
pub(crate) fn split(name: &str) -> Parts {
    let without_digest =
        name.rsplit_once('@').filter(|(_, digest)| digest.parse::<Digest>().is_ok());
    let text = without_digest.map_or(name, |(text, _)| text);
    if text.parse::<Tag>().is_ok() && without_digest.is_none() {
        return Parts { repository: None, tag: Some(0..text.len()) };
    }
    let (repository, tag) = match text.rsplit_once(':') {
        Some((repository, tag)) if tag.parse::<Tag>().is_ok() => {
            (repository, Some(repository.len() + 1..text.len()))
        }
        _ => (text, None),
    };
    Parts { repository: Some(host_as_path(repository)), tag }
}

/// Returns the path after the host, if a repository begins with one.
pub(crate) fn without_host(repository: &str) -> Option<&str> {
    let (host, path) = repository.split_once('/')?;
    (host.contains(['.', '_']) || host == "localhost").then_some(path)
}
