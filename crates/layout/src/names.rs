//! Names in a layout: what an entry of `index.json` is called, and which entry a name means.

use std::ops::Range;

use longshore_spec::{Descriptor, Digest, Reference, RepositoryName, Tag, host_as_path, keys};
use longshore_store::{Error, Name, Result};

use crate::listing::{By, Entry, Listing};

/// Which part of a layout is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of it; names are those of the entries.
    Layout,
    /// What belongs to one repository; names are its tags. What says no repository belongs to it
    /// too if it takes `bare` names.
    Repository { name: RepositoryName, bare: bool },
}

/// Returns what an entry is called: the image name that containerd writes if it is a full
/// reference, else `ref.name` as it stands (rows ).
pub(crate) fn of(entry: &Descriptor) -> Option<&str> {
    let image_name = entry.annotations.get(keys::CONTAINERD_IMAGE_NAME).map(|text| &**text);
    let full = image_name.filter(|text| text.parse::<Reference>().is_ok());
    full.or_else(|| ref_name(entry))
}

/// Returns the `ref.name` of an entry.
pub(crate) fn ref_name(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get(keys::REF_NAME).map(|text| &**text)
}

/// Returns the entry under `name`. What others wrote beside the name stays (row A-28).
pub(crate) fn named(entry: Descriptor, name: &str) -> Descriptor {
    let mut entry = unnamed(entry);
    entry.annotations.remove(keys::REPOSITORY);
    entry.annotations.insert(keys::REF_NAME.to_owned(), name.to_owned());
    if name.parse::<Reference>().is_ok() {
        entry.annotations.insert(keys::CONTAINERD_IMAGE_NAME.to_owned(), name.to_owned());
    }
    entry
}

/// Returns the entry without its name, marked as one of a repository.
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

/// Returns the one entry that `name` means: that of exactly this `ref.name`, else of exactly this
/// image name, else of this name with a digest behind it, else the one whose tag it is. Several of
/// different content are an error that lists them (row A-26). Where a digest stands behind the name,
/// that is what is meant, whatever the name stands for.
pub(crate) fn find<'a>(
    listing: &'a Listing,
    name: &Name,
    place: &str,
) -> Result<Option<&'a Entry>> {
    if let (bare, Some(digest)) = name.apart() {
        let entries = listing.of_digest(&digest, &Scope::Layout);
        // One that is called so first, then one that has a name at all.
        let rank = |entry: &&Entry| {
            let is_it = |own| {
                own == name.as_str() || apart(own).map_or(own, |(own, _)| own) == bare.as_str()
            };
            (!entry.name().is_some_and(is_it), entry.name().is_none())
        };
        return Ok(entries.into_iter().min_by_key(rank));
    }
    for by in [By::RefName, By::ImageName, By::Pinned, By::Tag] {
        let mut found = listing.called(by, name.as_str());
        let Some(first) = found.next() else { continue };
        let is_other = |entry: &&Entry| entry.descriptor().digest != first.descriptor().digest;
        let others: Vec<_> = found.filter(is_other).collect();
        if others.is_empty() {
            return Ok(Some(first));
        }
        return Err(ambiguous(name, place, std::iter::once(first).chain(others)));
    }
    Ok(None)
}

/// Returns an entry that loses `name` when something else gets it.
pub(crate) fn find_exact<'a>(listing: &'a Listing, name: &Name) -> Option<&'a Entry> {
    [By::RefName, By::ImageName].into_iter().find_map(|by| {
        listing.called(by, name.as_str()).find(|entry| entry.name() == Some(name.as_str()))
    })
}

/// Returns the error of a name that several entries of different content answer to.
fn ambiguous<'a>(name: &Name, place: &str, entries: impl Iterator<Item = &'a Entry>) -> Error {
    let label = |entry: &Entry| match entry.name() {
        Some(full) if full != name.as_str() => format!("`{full}`"),
        _ => entry.descriptor().digest.to_string(),
    };
    let (name, place) = (name.to_string(), place.to_owned());
    Error::Ambiguous { name, place, candidates: entries.map(label).collect() }
}

/// Returns the one entry that a tag means in a repository: one of exactly its name, else one that
/// says no repository, else one of its name behind a host. Several of different content are an error
/// that lists them (row A-26).
pub(crate) fn find_tag<'a>(
    listing: &'a Listing,
    tag: &Name,
    scope: &Scope,
    place: &str,
) -> Result<Option<&'a Entry>> {
    let Scope::Repository { name: repository, .. } = scope else {
        return find(listing, tag, place);
    };
    let nearness = |entry: &Entry| match entry.named_in() {
        Some(found) if found == repository.as_str() => 0,
        None => 1,
        Some(_) => 2,
    };
    let found = listing.tagged(tag.as_str(), scope).into_iter();
    // One that is marked as being here need not be called so here.
    let found = found.filter(|entry| scope.name_here(entry).is_some());
    let found: Vec<_> = found.map(|entry| (nearness(entry), entry)).collect();
    let Some((nearest, first)) = found.iter().min_by_key(|(nearness, _)| *nearness).copied() else {
        return Ok(None);
    };
    let nearest = || found.iter().filter(move |(nearness, _)| *nearness == nearest);
    if nearest().all(|(_, entry)| entry.descriptor().digest == first.descriptor().digest) {
        return Ok(Some(first));
    }
    Err(ambiguous(tag, place, nearest().map(|(_, entry)| *entry)))
}

/// Takes a digest off the end of a name, if one is there.
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

    /// Returns the names of repositories by which entries of this one are found; none stands for those
    /// that do not say where they are.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let (name, bare) = match self {
            Self::Layout => (None, false),
            Self::Repository { name, bare } => (Some(name.as_str()), *bare),
        };
        name.into_iter().chain(bare.then_some(""))
    }

    /// Returns the name that an entry has in this scope, if it has one here.
    pub(crate) fn name_here(&self, entry: &Entry) -> Option<Name> {
        match self {
            Self::Layout => entry.name().map(Name::new),
            Self::Repository { name: repository, bare } => {
                let is_in = match entry.named_in() {
                    None => *bare,
                    Some(found) => {
                        found == repository.as_str()
                            || without_host(found).is_some_and(|path| path == repository.as_str())
                    }
                };
                entry.tag().filter(|_| is_in).map(Name::new)
            }
        }
    }

    /// Returns the name under which an entry is listed that is called `name` in this scope.
    pub(crate) fn name_listed(&self, name: &Name) -> Name {
        match self {
            Self::Layout => name.clone(),
            Self::Repository { name: repository, .. } => Name::new(format!("{repository}:{name}")),
        }
    }

    /// Tells whether an entry belongs to this scope, with or without a name.
    pub(crate) fn holds(&self, entry: &Entry) -> bool {
        matches!(self, Self::Layout)
            || entry.repositories().any(|found| self.keys().any(|key| key == found))
    }
}

/// A name taken apart.
#[derive(Default)]
pub(crate) struct Parts {
    /// `HOST/PATH` or `PATH`, the host's port after `_` so that it is a repository name.
    pub(crate) repository: Option<String>,
    /// Where the tag is in the name.
    pub(crate) tag: Option<Range<usize>>,
}

/// Takes a name apart: a tag, `PATH:TAG`, `HOST/PATH:TAG`, any of them with a digest behind it.
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

/// Returns the path behind a host, if a repository begins with one.
pub(crate) fn without_host(repository: &str) -> Option<&str> {
    let (host, path) = repository.split_once('/')?;
    (host.contains(['.', '_']) || host == "localhost").then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Index;

    fn entry(content: &str, annotations: &[(&str, &str)]) -> Descriptor {
        let mut entry = Descriptor::of("a/b", content.as_bytes());
        entry.annotations = annotations
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        entry
    }

    fn meant(index: &Index, name: &str) -> Result<Option<Digest>> {
        find(&Listing::new(index.clone()), &name.into(), "here")
            .map(|found| found.map(|entry| entry.descriptor().digest.clone()))
    }

    #[test]
    fn a28_containerd_names_win_only_if_they_are_full_references() {
        let full = entry(
            "1",
            &[
                (keys::REF_NAME, "3.20"),
                (keys::CONTAINERD_IMAGE_NAME, "docker.io/library/alpine:3.20"),
            ],
        );
        assert_eq!(of(&full), Some("docker.io/library/alpine:3.20"));
        let short =
            entry("1", &[(keys::REF_NAME, "3.20"), (keys::CONTAINERD_IMAGE_NAME, "alpine")]);
        assert_eq!(of(&short), Some("3.20"));
    }

    #[test]
    fn a26_lookup_goes_from_exact_names_to_tags_and_lists_what_is_ambiguous() {
        let index = Index::of(vec![
            entry("alpine", &[(keys::REF_NAME, "docker.io/library/alpine:3.20")]),
            entry("busybox", &[(keys::REF_NAME, "docker.io/library/busybox:1")]),
            entry("other", &[(keys::REF_NAME, "ghcr.io/acme/other:1")]),
            entry("bare", &[(keys::REF_NAME, "v1")]),
            entry("host", &[(keys::REF_NAME, "localhost:5000/app:v1")]),
        ]);
        assert_eq!(meant(&index, "3.20").unwrap(), Some(Digest::sha256("alpine")));
        assert_eq!(meant(&index, "ghcr.io/acme/other:1").unwrap(), Some(Digest::sha256("other")));
        assert_eq!(
            meant(&index, "v1").unwrap(),
            Some(Digest::sha256("bare")),
            "an exact name comes before a tag"
        );
        assert_eq!(meant(&index, "v2").unwrap(), None);
        let error = meant(&index, "1").unwrap_err().to_string();
        assert!(
            error.contains("docker.io/library/busybox:1") && error.contains("ghcr.io/acme/other:1"),
            "{error}"
        );
    }

    #[test]
    fn a21_where_a_digest_stands_behind_a_name_that_is_what_is_meant() {
        let digest = Digest::sha256("old");
        let other = Digest::sha256("other");
        let pinned = format!("ghcr.io/acme/app:2@{other}");
        let index = Index::of(vec![
            entry("new", &[(keys::REF_NAME, "ghcr.io/acme/app:1")]),
            entry("old", &[]),
            entry("other", &[(keys::REF_NAME, &pinned)]),
        ]);
        let behind = format!("ghcr.io/acme/app:1@{digest}");
        assert_eq!(meant(&index, &behind).unwrap(), Some(digest), "the tag has moved");
        assert_eq!(meant(&index, &pinned).unwrap(), Some(other.clone()));
        assert_eq!(meant(&index, "ghcr.io/acme/app:2").unwrap(), Some(other.clone()));
        assert_eq!(meant(&index, "2").unwrap(), Some(other));
        let absent = format!("ghcr.io/acme/app:1@{}", Digest::sha256("absent"));
        assert_eq!(meant(&index, &absent).unwrap(), None);
    }

    #[test]
    fn a26_one_name_on_one_digest_twice_is_not_ambiguous() {
        let twice =
            vec![entry("x", &[(keys::REF_NAME, "v1")]), entry("x", &[(keys::REF_NAME, "v1")])];
        assert!(meant(&Index::of(twice), "v1").unwrap().is_some());
        let two =
            vec![entry("x", &[(keys::REF_NAME, "v1")]), entry("y", &[(keys::REF_NAME, "v1")])];
        assert!(meant(&Index::of(two), "v1").is_err());
    }

    #[test]
    fn repositories_are_seen_with_and_without_their_host() {
        let listed = entry("x", &[(keys::REF_NAME, "localhost:5000/team/app:v1")]);
        let found = Entry::new(listed.clone());
        for (name, here) in [
            ("localhost_5000/team/app", true),
            ("team/app", true),
            ("app", false),
            ("other/app", false),
        ] {
            let scope = Scope::Repository { name: name.parse().unwrap(), bare: false };
            assert_eq!(scope.holds(&found), here, "{name}");
            assert_eq!(scope.name_here(&found), here.then(|| "v1".into()), "{name}");
        }
        let listing = Listing::new(Index::of(vec![listed, entry("y", &[(keys::REF_NAME, "v1")])]));
        assert_eq!(listing.repositories(None), ["localhost_5000/team/app".parse().unwrap()]);
        assert!(listing.says_none());
    }
}
