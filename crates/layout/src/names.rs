//! Names in a layout: what an entry of `index.json` is called, and which entry a name means.

use std::collections::HashMap;

use longshore_spec::{Descriptor, Digest, Reference, RepositoryName, Tag, keys};
use longshore_store::{Error, Name, Result};

use crate::Index;
use crate::index::Listing;

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
pub(crate) fn of(entry: &Descriptor) -> Option<Name> {
    let image_name = entry.annotations.get(keys::CONTAINERD_IMAGE_NAME);
    let full = image_name.filter(|text| text.parse::<Reference>().is_ok());
    full.or_else(|| entry.annotations.get(keys::REF_NAME)).map(|text| Name::new(text.as_str()))
}

/// Tells whether an entry has a name.
pub(crate) fn is_named(entry: &Descriptor) -> bool {
    of(entry).is_some()
}

/// Returns the entry under `name`. What others wrote beside the name stays (row A-28).
pub(crate) fn named(entry: Descriptor, name: &Name) -> Descriptor {
    let mut entry = unnamed(entry);
    entry.annotations.remove(keys::REPOSITORY);
    entry.annotations.insert(keys::REF_NAME.to_owned(), name.to_string());
    if name.as_str().parse::<Reference>().is_ok() {
        entry.annotations.insert(keys::CONTAINERD_IMAGE_NAME.to_owned(), name.to_string());
    }
    entry
}

/// Takes `ref.name` from an entry that goes by its image name, if another entry is to have it. The
/// entry keeps the name that it goes by: other tools write a tag into one and all of a reference
/// into the other.
pub(crate) fn give_up(entry: &mut Descriptor, taken: impl FnOnce(&Name) -> bool) {
    let beside = entry.annotations.get(keys::REF_NAME).map(|text| Name::new(text.as_str()));
    if let (Some(beside), Some(name)) = (beside, of(entry))
        && beside != name
        && taken(&beside)
    {
        entry.annotations.insert(keys::REF_NAME.to_owned(), name.to_string());
    }
}

/// Tells whether `entry` is in the repository that `other` is marked with; anything is in none.
pub(crate) fn is_where(entry: &Descriptor, other: &Descriptor) -> bool {
    let Some(mark) = other.annotations.get(keys::REPOSITORY) else { return true };
    let same = entry.annotations.get(keys::REPOSITORY) == Some(mark);
    let holds = |name| Scope::Repository { name, bare: false }.holds(entry);
    same || mark.parse().is_ok_and(holds)
}

/// Tells whether nothing gives the repository of an entry: neither its name nor a mark.
pub(crate) fn says_none(entry: &Descriptor) -> bool {
    of_name(entry).or_else(|| of_mark(entry)).is_none()
}

fn of_name(entry: &Descriptor) -> Option<RepositoryName> {
    of(entry).and_then(|name| split(&name).repository?.parse().ok())
}

fn of_mark(entry: &Descriptor) -> Option<RepositoryName> {
    entry.annotations.get(keys::REPOSITORY)?.parse().ok()
}

/// Tells whether an entry says neither a name nor a repository.
pub(crate) fn is_loose(entry: &Descriptor) -> bool {
    of(entry).is_none() && !entry.annotations.contains_key(keys::REPOSITORY)
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

/// Finds entries by name without looking at all of them.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    ref_names: HashMap<Box<str>, Vec<u32>>,
    image_names: HashMap<Box<str>, Vec<u32>>,
    /// Names with a digest behind them, without it.
    pinned: HashMap<Box<str>, Vec<u32>>,
    tags: HashMap<Box<str>, Vec<u32>>,
    digests: HashMap<Digest, Vec<u32>>,
}

impl Listing {
    /// Returns the entries of a digest.
    pub(crate) fn by_digest(&self, digest: &Digest) -> impl Iterator<Item = &Descriptor> {
        let numbers = self.lookup().digests.get(digest).into_iter().flatten();
        numbers.filter_map(|number| self.index().manifests.get(*number as usize))
    }

    /// Returns the entries whose tag is `tag`, whatever their repository.
    pub(crate) fn tagged(&self, tag: &Name) -> impl Iterator<Item = &Descriptor> {
        entries(self.index(), &self.lookup().tags, tag)
    }
}

impl Lookup {
    pub(crate) fn new(index: &Index) -> Self {
        let mut lookup = Self::default();
        for (number, entry) in (0..).zip(&index.manifests) {
            let annotated = |key| entry.annotations.get(key).map(|text| text.as_str().into());
            let name = of(entry);
            let tag = name.as_ref().and_then(|name| Some(split(name).tag?.into()));
            // `NAME:TAG@DIGEST` is found by `NAME:TAG` too.
            let pinned = name
                .as_ref()
                .map(Name::apart)
                .and_then(|(name, digest)| digest.map(|_| name.as_str().into()));
            let maps = [
                &mut lookup.ref_names,
                &mut lookup.image_names,
                &mut lookup.pinned,
                &mut lookup.tags,
            ];
            let names =
                [annotated(keys::REF_NAME), annotated(keys::CONTAINERD_IMAGE_NAME), pinned, tag];
            for (map, name) in maps.into_iter().zip(names) {
                if let Some(name) = name {
                    map.entry(name).or_default().push(number);
                }
            }
            lookup.digests.entry(entry.digest.clone()).or_default().push(number);
        }
        lookup
    }
}

/// Returns the one entry that `name` means: that of exactly this `ref.name`, else of exactly this
/// image name, else of this name with a digest behind it, else the one whose tag it is. Several of
/// different content are an error that lists them (row A-26). Where a digest stands behind the name,
/// that is what is meant, whatever the name stands for.
pub(crate) fn find<'a>(
    listing: &'a Listing,
    name: &Name,
    place: &str,
) -> Result<Option<&'a Descriptor>> {
    let Lookup { ref_names, image_names, pinned, tags, .. } = listing.lookup();
    if let (bare, Some(digest)) = name.apart() {
        let mut entries: Vec<_> = listing.by_digest(&digest).collect();
        // One that is called so first, then one that has a name at all.
        entries.sort_by_key(|entry| {
            let own = of(entry);
            let is_it = own.as_ref().is_some_and(|own| own == name || own.apart().0 == bare);
            (!is_it, own.is_none())
        });
        return Ok(entries.first().copied());
    }
    for map in [ref_names, image_names, pinned, tags] {
        let mut found = entries(listing.index(), map, name);
        let Some(first) = found.next() else { continue };
        let others: Vec<_> = found.filter(|entry| entry.digest != first.digest).collect();
        if others.is_empty() {
            return Ok(Some(first));
        }
        return Err(ambiguous(name, place, std::iter::once(first).chain(others)));
    }
    Ok(None)
}

/// Returns an entry that loses `name` when something else gets it.
pub(crate) fn find_exact<'a>(listing: &'a Listing, name: &Name) -> Option<&'a Descriptor> {
    let Lookup { ref_names, image_names, .. } = listing.lookup();
    let mut found = [ref_names, image_names].into_iter();
    found.find_map(|map| {
        entries(listing.index(), map, name).find(|entry| of(entry).as_ref() == Some(name))
    })
}

/// Returns the error of a name that several entries of different content answer to.
fn ambiguous<'a>(name: &Name, place: &str, entries: impl Iterator<Item = &'a Descriptor>) -> Error {
    let label = |entry: &Descriptor| match of(entry) {
        Some(full) if full != *name => format!("`{full}`"),
        _ => entry.digest.to_string(),
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
) -> Result<Option<&'a Descriptor>> {
    let Scope::Repository { name: repository, bare } = scope else {
        return find(listing, tag, place);
    };
    let nearness = |entry: &Descriptor| {
        let name = of(entry)?;
        let parts = split(&name);
        match &parts.repository {
            Some(found) if found == repository.as_str() => Some(0),
            None => bare.then_some(1),
            Some(_) => parts.is_in(repository, *bare).then_some(2),
        }
    };
    let found: Vec<_> =
        listing.tagged(tag).filter_map(|entry| Some((nearness(entry)?, entry))).collect();
    let Some((nearest, first)) = found.iter().min_by_key(|(nearness, _)| *nearness).copied() else {
        return Ok(None);
    };
    let nearest = || found.iter().filter(move |(nearness, _)| *nearness == nearest);
    if nearest().all(|(_, entry)| entry.digest == first.digest) {
        return Ok(Some(first));
    }
    Err(ambiguous(tag, place, nearest().map(|(_, entry)| *entry)))
}

/// Returns the entries that a map has under a name.
fn entries<'a>(
    index: &'a Index,
    map: &'a HashMap<Box<str>, Vec<u32>>,
    name: &Name,
) -> impl Iterator<Item = &'a Descriptor> {
    let numbers = map.get(name.as_str()).into_iter().flatten();
    numbers.filter_map(|number| index.manifests.get(*number as usize))
}

impl Scope {
    /// Returns the repository that entries without a name are marked with.
    pub(crate) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Layout => None,
            Self::Repository { name, .. } => Some(name),
        }
    }

    /// Returns the name that an entry has in this scope, if it has one here.
    pub(crate) fn name_here(&self, entry: &Descriptor) -> Option<Name> {
        let name = of(entry)?;
        match self {
            Self::Layout => Some(name),
            Self::Repository { name: repository, bare } => {
                let parts = split(&name);
                let tag = parts.tag.filter(|_| parts.is_in(repository, *bare))?;
                Some(Name::new(tag))
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
    pub(crate) fn holds(&self, entry: &Descriptor) -> bool {
        let Self::Repository { name: repository, bare } = self else { return true };
        match (of(entry), entry.annotations.get(keys::REPOSITORY)) {
            (Some(name), _) if split(&name).is_in(repository, *bare) => true,
            (_, Some(mark)) => mark == repository.as_str(),
            (None, None) => *bare,
            (Some(_), None) => false,
        }
    }
}

/// Returns the repositories that names or marks of entries give, sorted, and whether there is an
/// entry that says none.
pub(crate) fn repositories(index: &Index) -> (Vec<RepositoryName>, bool) {
    let (mut found, mut says_none) = (Vec::<RepositoryName>::new(), false);
    for entry in &index.manifests {
        match of_name(entry).or_else(|| of_mark(entry)) {
            Some(repository) => found.push(repository),
            None => says_none = true,
        }
    }
    found.sort_unstable();
    found.dedup();
    (found, says_none)
}

/// A name taken apart.
struct Parts<'a> {
    /// `HOST/PATH` or `PATH`, the host's port after `_` so that it is a repository name.
    repository: Option<String>,
    tag: Option<&'a str>,
}

/// Takes a name apart: a tag, `PATH:TAG`, `HOST/PATH:TAG`, any of them with a digest behind it.
fn split(name: &Name) -> Parts<'_> {
    let text = name.as_str();
    let without_digest =
        text.rsplit_once('@').filter(|(_, digest)| digest.parse::<Digest>().is_ok());
    let text = without_digest.map_or(text, |(text, _)| text);
    if text.parse::<Tag>().is_ok() && without_digest.is_none() {
        return Parts { repository: None, tag: Some(text) };
    }
    let (repository, tag) = match text.rsplit_once(':') {
        Some((repository, tag)) if tag.parse::<Tag>().is_ok() => (repository, Some(tag)),
        _ => (text, None),
    };
    Parts { repository: Some(repository.replace(':', "_")), tag }
}

impl Parts<'_> {
    /// Tells whether the name is one of `repository`, with its host or without.
    fn is_in(&self, repository: &RepositoryName, bare: bool) -> bool {
        let Some(found) = &self.repository else { return bare };
        let without_host = || {
            let (host, path) = found.split_once('/')?;
            (host.contains(['.', '_']) || host == "localhost").then_some(path)
        };
        found == repository.as_str()
            || without_host().is_some_and(|path| path == repository.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            .map(|found| found.map(|entry| entry.digest.clone()))
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
        assert_eq!(of(&full), Some("docker.io/library/alpine:3.20".into()));
        let short =
            entry("1", &[(keys::REF_NAME, "3.20"), (keys::CONTAINERD_IMAGE_NAME, "alpine")]);
        assert_eq!(of(&short), Some("3.20".into()));
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
        for (name, here) in [
            ("localhost_5000/team/app", true),
            ("team/app", true),
            ("app", false),
            ("other/app", false),
        ] {
            let scope = Scope::Repository { name: name.parse().unwrap(), bare: false };
            assert_eq!(scope.holds(&listed), here, "{name}");
            assert_eq!(scope.name_here(&listed), here.then(|| "v1".into()), "{name}");
        }
        let index = Index::of(vec![listed, entry("y", &[(keys::REF_NAME, "v1")])]);
        assert_eq!(repositories(&index), (vec!["localhost_5000/team/app".parse().unwrap()], true));
    }
}
