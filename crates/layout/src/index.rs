//! `index.json`: what a layout lists.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

use longshore_spec::{Descriptor, Digest, MediaType, RepositoryName, keys};
use longshore_store::{Error, Name, Result};
use serde::{Deserialize, Serialize};

use crate::names::{self, Lookup, Scope};

/// The `index.json` of a layout. Members that the spec does not name survive (row A-17).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    schema_version: u32,
    media_type: MediaType,
    /// What is listed, in the order it is written.
    pub manifests: Vec<Descriptor>,
    /// Every other member, `annotations` and `subject` among them.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// An index with what finds its entries; made once for many look-ups.
#[derive(Debug)]
pub(crate) struct Listing {
    index: Index,
    lookup: OnceLock<Lookup>,
    /// Those that entries are in by their names or marks, and whether there are others.
    repositories: OnceLock<(Vec<RepositoryName>, bool)>,
}

impl Listing {
    pub(crate) fn new(index: Index) -> Self {
        Self { index, lookup: OnceLock::new(), repositories: OnceLock::new() }
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn lookup(&self) -> &Lookup {
        self.lookup.get_or_init(|| Lookup::new(&self.index))
    }

    /// Tells whether there is an entry that says no repository.
    pub(crate) fn says_none(&self) -> bool {
        self.found().1
    }

    fn found(&self) -> &(Vec<RepositoryName>, bool) {
        self.repositories.get_or_init(|| names::repositories(&self.index))
    }

    /// Returns the repositories of a layout, sorted: those that names or marks of entries give, and
    /// `bare`.
    pub(crate) fn repositories(&self, bare: Option<&RepositoryName>) -> Vec<RepositoryName> {
        let mut repositories = self.found().0.clone();
        repositories.extend(bare.cloned());
        repositories.sort_unstable();
        repositories.dedup();
        repositories
    }
}

/// A change to what a layout lists.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// List a manifest by its digest alone, unless it is listed already.
    Add(Descriptor),
    /// Let a name stand for a manifest.
    Set(Name, Descriptor),
    /// Take a manifest out of a repository, with every name that it has there. An entry that says
    /// neither name nor repository goes too.
    Remove(Digest, Scope),
    /// A manifest of a repository lists these: they need no entries without a name there.
    Reached(HashSet<Digest>, RepositoryName),
    /// Take a name away.
    Unset(Name),
}

impl Change {
    /// Returns what is listed by it.
    pub(crate) fn named(&self) -> Option<&Digest> {
        match self {
            Self::Add(descriptor) | Self::Set(_, descriptor) => Some(&descriptor.digest),
            Self::Remove(..) | Self::Reached(..) | Self::Unset(_) => None,
        }
    }
}

/// `index.json` as it is found: `mediaType` may be absent and `manifests` may be null (row A-06).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    #[serde(default, rename = "schemaVersion")]
    _schema_version: serde::de::IgnoredAny,
    #[serde(default, rename = "mediaType")]
    _media_type: Option<serde::de::IgnoredAny>,
    manifests: Option<Vec<Descriptor>>,
    #[serde(flatten)]
    extra: serde_json::Map<String, serde_json::Value>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: MediaType::from(MediaType::IMAGE_INDEX),
            manifests: Vec::new(),
            extra: serde_json::Map::new(),
        }
    }
}

impl Index {
    /// Returns the index that lists `manifests`, in the order that layouts are written in: named
    /// entries by name, then the others, each by digest.
    pub fn of(manifests: Vec<Descriptor>) -> Self {
        let mut index = Self { manifests, ..Self::default() };
        index.sort();
        index
    }

    /// Reads the bytes of `index.json`; `what` names it in errors.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self> {
        let malformed = |reason: String| Error::malformed(what, reason);
        let members = serde_json::from_slice::<Members>(bytes).map(|Members(members)| members);
        let members = members.map_err(|error| {
            let other = error.is_data().then(|| "it is not a JSON object".to_owned());
            malformed(other.unwrap_or_else(|| error.to_string()))
        })?;
        if !members.contains_key("manifests") {
            let found = if members.contains_key("config") {
                "it is an image manifest, not an index"
            } else {
                "it has no `manifests`"
            };
            return Err(malformed(found.to_owned()));
        }
        // From the bytes again, in one step: only so are duplicate members noticed (A-42).
        let found: Found =
            serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        Ok(Self {
            manifests: found.manifests.unwrap_or_default(),
            extra: found.extra,
            ..Self::default()
        })
    }

    /// Returns the bytes to write. They depend on the content alone (row A-43).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self)
            .unwrap_or_else(|_| unreachable!("every key of an index is text"));
        bytes.push(b'\n');
        bytes
    }

    /// Returns the bytes to write, unless they are more than the `limit` of those who read them; `what`
    /// names the file in errors.
    pub(crate) fn bytes_within(&self, limit: u64, what: &str) -> Result<Vec<u8>> {
        let bytes = self.to_bytes();
        if bytes.len() as u64 <= limit {
            return Ok(bytes);
        }
        let what = format!("{what} with {} bytes", bytes.len());
        Err(Error::Limit { what, limit: format!("{limit} bytes") })
    }

    /// Makes `changes`, in their order.
    ///
    /// A name that is set stops standing for anything else (row A-25). What it stood for loses its
    /// entry, but not where a repository is given: who knows the digest goes on to find it there.
    /// An entry without a name is listed once for each repository that it is in, and not where the
    /// same digest has a name.
    pub(crate) fn apply(&mut self, changes: &[Change]) {
        let mut named: BTreeMap<&Name, Option<&Descriptor>> = BTreeMap::new();
        let mut added = Vec::new();
        for change in changes {
            match change {
                Change::Set(name, descriptor) => {
                    if let Some(Some(before)) = named.insert(name, Some(descriptor)) {
                        added.extend(kept(before.clone(), descriptor));
                    }
                }
                Change::Unset(name) => _ = named.insert(name, None),
                Change::Remove(digest, scope) => {
                    let goes = |entry: &Descriptor| {
                        entry.digest == *digest && (scope.holds(entry) || names::is_loose(entry))
                    };
                    self.manifests.retain(|entry| !goes(entry));
                    added.retain(|entry| !goes(entry));
                    named.retain(|name, descriptor| {
                        let entry = descriptor.map(|of| names::named(of.clone(), name));
                        entry.is_none_or(|of| !goes(&of))
                    });
                }
                Change::Reached(digests, repository) => {
                    let stays = |entry: &Descriptor| {
                        names::is_named(entry)
                            || entry.annotations.get(keys::REPOSITORY).map(String::as_str)
                                != Some(repository.as_str())
                            || !digests.contains(&entry.digest)
                    };
                    self.manifests.retain(stays);
                    added.retain(stays);
                }
                Change::Add(descriptor) => added.push(names::unnamed(descriptor.clone())),
            }
        }
        self.manifests.retain(|entry| {
            let name = names::of(entry);
            let Some(set) = name.as_ref().and_then(|name| named.get(name)) else { return true };
            added.extend(set.and_then(|set| kept(entry.clone(), set)));
            false
        });
        for entry in &mut self.manifests {
            names::give_up(entry, |name| named.contains_key(name));
        }
        let set: Vec<_> = named
            .into_iter()
            .filter_map(|(name, descriptor)| Some(names::named(descriptor?.clone(), name)))
            .collect();
        let mut listed = Listed::default();
        for entry in &set {
            listed.insert(entry);
        }
        self.manifests.retain(|entry| names::is_named(entry) || !listed.covers(entry));
        for entry in &self.manifests {
            listed.insert(entry);
        }
        self.manifests.extend(set);
        for entry in added {
            if !listed.covers(&entry) {
                listed.insert(&entry);
                self.manifests.push(entry);
            }
        }
        self.sort();
    }

    /// Brings the entries into the order that layouts are written in.
    fn sort(&mut self) {
        let key = |entry: &Descriptor| {
            let name = entry.annotations.get(keys::REF_NAME).cloned();
            (name.is_none(), name, entry.digest.clone(), entry.annotations.clone())
        };
        self.manifests.sort_by_cached_key(key);
    }
}

/// Returns what is left of an entry whose name now stands for `set`.
fn kept(entry: Descriptor, set: &Descriptor) -> Option<Descriptor> {
    let repository = set.annotations.get(keys::REPOSITORY)?;
    (entry.digest != set.digest).then(|| names::marked(entry, repository))
}

/// The names of the members of an object, whatever they hold.
#[derive(Deserialize)]
#[serde(transparent)]
#[expect(clippy::zero_sized_map_values, reason = "serde reads an object into a map only")]
struct Members(BTreeMap<String, serde::de::IgnoredAny>);

/// What entries say about each digest, besides the digest.
#[derive(Default)]
struct Listed(HashMap<Digest, Vec<Descriptor>>);

impl Listed {
    fn insert(&mut self, entry: &Descriptor) {
        self.0.entry(entry.digest.clone()).or_default().push(entry.clone());
    }

    /// Tells whether an entry without a name would say nothing new.
    fn covers(&self, entry: &Descriptor) -> bool {
        let same = self.0.get(&entry.digest);
        same.is_some_and(|same| same.iter().any(|other| names::is_where(other, entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Index::parse(text.as_bytes(), "index.json").unwrap_err().to_string()
    }

    #[test]
    fn a05_other_documents_are_refused() {
        assert!(refused("[]").contains("not a JSON object"));
        assert!(refused("{").contains("malformed"));
        assert!(refused("{}").contains("no `manifests`"));
        assert!(
            refused(r#"{"schemaVersion":2,"config":{},"layers":[]}"#).contains("image manifest")
        );
    }

    #[test]
    fn a06_null_manifests_and_no_media_type_are_read_and_written_right() {
        let index = Index::parse(br#"{"schemaVersion":2,"manifests":null}"#, "index.json").unwrap();
        let written = String::from_utf8(index.to_bytes()).unwrap();
        assert_eq!(
            written,
            "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[]}\n"
        );
    }

    #[test]
    fn a17_unknown_members_survive() {
        let text = r#"{"schemaVersion":2,"artifactType":"a/b","manifests":[],"annotations":{"k":"v"},"x":1.5}"#;
        let written = Index::parse(text.as_bytes(), "index.json").unwrap().to_bytes();
        let [before, after]: [serde_json::Map<_, _>; 2] =
            [text.as_bytes(), &written].map(|bytes| serde_json::from_slice(bytes).unwrap());
        for (key, value) in before {
            assert_eq!(after[&key], value);
        }
    }

    #[test]
    fn what_nobody_would_read_is_not_written() {
        let index = Index::of(vec![Descriptor::of(MediaType::IMAGE_MANIFEST, b"a")]);
        let length = index.to_bytes().len() as u64;
        assert!(index.bytes_within(length, "it").is_ok());
        let error = index.bytes_within(length - 1, "it").unwrap_err().to_string();
        assert_eq!(
            error,
            format!("it with {length} bytes is over the limit of {} bytes", length - 1)
        );
    }

    #[test]
    fn a42_duplicate_members_are_refused() {
        assert!(refused(r#"{"manifests":[],"manifests":[]}"#).contains("duplicate"));
    }

    #[test]
    fn a25_a_name_moves_and_a_digest_is_listed_once_without_a_name() {
        let [a, b] = [b"a", b"b"].map(|bytes| Descriptor::of(MediaType::IMAGE_MANIFEST, bytes));
        let mut index = Index::default();
        index.apply(&[Change::Add(a.clone()), Change::Add(a.clone())]);
        assert_eq!(index.manifests.len(), 1);
        index.apply(&[Change::Set("v1".into(), a.clone()), Change::Set("v2".into(), a.clone())]);
        index.apply(&[Change::Set("v1".into(), b.clone()), Change::Add(b.clone())]);
        let listed = |index: &Index| -> Vec<_> {
            index.manifests.iter().map(|entry| (names::of(entry), entry.digest.clone())).collect()
        };
        assert_eq!(
            listed(&index),
            [(Some("v1".into()), b.digest.clone()), (Some("v2".into()), a.digest.clone())]
        );
        index.apply(&[Change::Unset("v1".into()), Change::Unset("v3".into())]);
        assert_eq!(listed(&index), [(Some("v2".into()), a.digest)]);
    }

    #[test]
    fn a25_a_tag_that_another_tool_wrote_beside_a_full_name_moves_and_the_full_name_stays() {
        let [a, b] = [b"a", b"b"].map(|bytes| Descriptor::of(MediaType::IMAGE_MANIFEST, bytes));
        let mut entry = a.clone();
        let full = "docker.io/library/alpine:3.20";
        entry.annotations.insert(keys::REF_NAME.to_owned(), "3.20".to_owned());
        entry.annotations.insert(keys::CONTAINERD_IMAGE_NAME.to_owned(), full.to_owned());
        let mut index = Index::of(vec![entry]);
        index.apply(&[Change::Set("3.20".into(), b.clone())]);
        let meant = |name: &str| {
            let listing = Listing::new(index.clone());
            names::find(&listing, &name.into(), "here").unwrap().cloned().unwrap()
        };
        assert_eq!(meant("3.20").digest, b.digest);
        assert_eq!(meant(full).digest, a.digest);
        assert_eq!(meant(full).annotations[keys::REF_NAME], full);
    }

    #[test]
    fn a_digest_is_listed_once_for_each_repository_that_has_it() {
        let bare = Descriptor::of(MediaType::IMAGE_MANIFEST, b"a");
        let within = |repository: &str| {
            let mut entry = bare.clone();
            entry.annotations.insert(keys::REPOSITORY.to_owned(), repository.to_owned());
            entry
        };
        let mut index = Index::default();
        let add = |repository| Change::Add(within(repository));
        index.apply(&[add("a/one"), add("b/two"), add("a/one"), Change::Add(bare.clone())]);
        index.apply(&[add("b/two"), add("a/one")]);
        assert_eq!(index.manifests, [within("a/one"), within("b/two")]);
        index.apply(&[Change::Set("a/one:v1".into(), within("a/one"))]);
        assert_eq!(index.manifests[1..], [within("b/two")], "a name takes up only its own entry");
        index.apply(&[add("a/one"), Change::Add(bare.clone())]);
        assert_eq!(index.manifests.len(), 2);
    }
}
