//! Looking up entries of `index.json` by name, in a layout or in one of its repositories.

use longshore_store::{Error, Name, Result};

use crate::listing::{By, Entry, Listing};
use crate::names::{Scope, apart, without_host};

/// Returns the entry that `name` means: the one with this `ref.name`, else with this image name, else
/// with this name and a digest, else with this tag. Several entries with different content are an error
/// that lists them (row A-26). If `name` has a digest, the digest decides, whatever the rest stands for.
pub(crate) fn find<'a>(
    listing: &'a Listing,
    name: &Name,
    place: &str,
) -> Result<Option<&'a Entry>> {
    if let (bare, Some(digest)) = name.apart() {
        let entries = listing.of_digest(&digest, &Scope::Layout);
        // An entry with this name comes first, then one with any name.
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

/// Returns the entry that loses `name` when another manifest gets it.
pub(crate) fn find_exact<'a>(listing: &'a Listing, name: &Name) -> Option<&'a Entry> {
    [By::RefName, By::ImageName].into_iter().find_map(|by| {
        listing.called(by, name.as_str()).find(|entry| entry.name() == Some(name.as_str()))
    })
}

/// Returns the error of a name that several entries with different content have.
fn ambiguous<'a>(name: &Name, place: &str, entries: impl Iterator<Item = &'a Entry>) -> Error {
    let label = |entry: &Entry| match entry.name() {
        Some(full) if full != name.as_str() => format!("`{full}`"),
        _ => entry.descriptor().digest.to_string(),
    };
    let (name, place) = (name.to_string(), place.to_owned());
    Error::Ambiguous { name, place, candidates: entries.map(label).collect() }
}

/// Returns the entry that a tag means in a repository: one with this repository and tag, else one that
/// names no repository, else one that names the repository with a host. Several entries with different
/// content are an error that lists them (row A-26).
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
    // An entry that is marked with this repository may have a name of another one.
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

impl Scope {
    /// Returns the name of an entry in this scope, if it has one there.
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

    /// Tells whether an entry belongs to this scope, with or without a name.
    pub(crate) fn holds(&self, entry: &Entry) -> bool {
        matches!(self, Self::Layout)
            || entry.repositories().any(|found| self.keys().any(|key| key == found))
    }
}

#[cfg(test)]
mod tests {
    use longshore_spec::{Descriptor, Digest, keys};

    use super::*;
    use crate::{IndexJson, names};

    fn entry(content: &str, annotations: &[(&str, &str)]) -> Descriptor {
        let mut entry = Descriptor::of("a/b", content.as_bytes());
        entry.annotations = annotations
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        entry
    }

    fn meant(index: &IndexJson, name: &str) -> Result<Option<Digest>> {
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
        assert_eq!(names::of(&full), Some("docker.io/library/alpine:3.20"));
        let short =
            entry("1", &[(keys::REF_NAME, "3.20"), (keys::CONTAINERD_IMAGE_NAME, "alpine")]);
        assert_eq!(names::of(&short), Some("3.20"));
    }

    #[test]
    fn a26_lookup_goes_from_exact_names_to_tags_and_lists_what_is_ambiguous() {
        let index = IndexJson::of(vec![
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
        let index = IndexJson::of(vec![
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
        assert!(meant(&IndexJson::of(twice), "v1").unwrap().is_some());
        let two =
            vec![entry("x", &[(keys::REF_NAME, "v1")]), entry("y", &[(keys::REF_NAME, "v1")])];
        assert!(meant(&IndexJson::of(two), "v1").is_err());
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
        let listing =
            Listing::new(IndexJson::of(vec![listed, entry("y", &[(keys::REF_NAME, "v1")])]));
        assert_eq!(listing.repositories(None), ["localhost_5000/team/app".parse().unwrap()]);
        assert!(listing.says_none());
    }
}
