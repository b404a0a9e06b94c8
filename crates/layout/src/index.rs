//! `index.json`.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;

use longshore_spec::{Descriptor, Digest, MediaType, RepositoryName};
use longshore_store::{Error, Name};
use serde::Serialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::names::{self, Scope};

/// The `index.json` of a layout. Unknown members are kept (row A-17).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexJson {
    schema_version: u32,
    media_type: MediaType,
    /// The entries, in the order in which they are written.
    pub manifests: Vec<Descriptor>,
    /// All other members, such as `annotations` and `subject`.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// A change to the entries of a layout.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Adds an entry without a name, unless the manifest has an entry.
    Add(Descriptor),
    /// Sets a name.
    Set(Name, Descriptor),
    /// Removes a manifest with all its names from a repository. An entry without name and repository is
    /// removed, too.
    Remove(Digest, Scope),
    /// A manifest of the repository lists these manifests: they need no entries without a name there.
    Reached(HashSet<Digest>, RepositoryName),
    /// Removes a name.
    Unset(Name),
}

impl Change {
    /// Returns the digest that the change adds.
    pub(crate) fn named(&self) -> Option<&Digest> {
        match self {
            Self::Add(descriptor) | Self::Set(_, descriptor) => Some(&descriptor.digest),
            Self::Remove(..) | Self::Reached(..) | Self::Unset(_) => None,
        }
    }
}

/// `index.json` as it was read: `mediaType` may be absent, and `manifests` may be null (row A-06).
#[derive(Default)]
struct RawIndex {
    /// Whether the document is an object.
    is_object: bool,
    manifests: Option<Vec<Descriptor>>,
    extra: serde_json::Map<String, serde_json::Value>,
}

/// Reads an index in one pass, so that duplicate members are noticed (row A-42), and many entries are in
/// memory only once.
struct RawIndexReader<'a>(&'a mut RawIndex);

impl<'de> DeserializeSeed<'de> for RawIndexReader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RawIndexReader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an image index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.0.is_object = true;
        let mut ours = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            let ours_is_new = |key| ours.insert(key);
            match key.as_str() {
                "schemaVersion" => once("schemaVersion", ours_is_new)?,
                "mediaType" => once("mediaType", ours_is_new)?,
                "manifests" => {
                    once("manifests", ours_is_new)?;
                    let listed: Option<Vec<Descriptor>> = members.next_value()?;
                    self.0.manifests = Some(listed.unwrap_or_default());
                    continue;
                }
                _ => {
                    let value = members.next_value()?;
                    self.0.extra.insert(key, value);
                    continue;
                }
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Fails if the member is a duplicate.
fn once<E: de::Error>(
    key: &'static str,
    is_new: impl FnOnce(&'static str) -> bool,
) -> Result<(), E> {
    if is_new(key) { Ok(()) } else { Err(E::duplicate_field(key)) }
}

impl Default for IndexJson {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: MediaType::from(MediaType::IMAGE_INDEX),
            manifests: Vec::new(),
            extra: serde_json::Map::new(),
        }
    }
}

impl IndexJson {
    /// Returns the index of `manifests` in the order of layouts: entries with names first, by name, then
    /// the others by digest.
    pub fn of(manifests: Vec<Descriptor>) -> Self {
        let mut index = Self { manifests, ..Self::default() };
        index.sort();
        index
    }

    /// Parses `index.json`. Errors call it `what`.
    pub fn parse(bytes: &[u8], what: &str) -> longshore_store::Result<Self> {
        let malformed = |reason: String| Error::malformed(what, reason);
        let mut found = RawIndex::default();
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let read = RawIndexReader(&mut found).deserialize(&mut reader).and_then(|()| reader.end());
        read.map_err(|error| {
            let other = !found.is_object && error.is_data();
            malformed(if other { "it is not a JSON object".to_owned() } else { error.to_string() })
        })?;
        let RawIndex { manifests, extra, .. } = found;
        let manifests = manifests.ok_or_else(|| {
            let found = if extra.contains_key("config") {
                "it is an image manifest, not an index"
            } else {
                "it has no `manifests`"
            };
            malformed(found.to_owned())
        })?;
        Ok(Self { manifests, extra, ..Self::default() })
    }

    /// Returns the bytes of the file. They depend only on the content (row A-43).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self)
            .unwrap_or_else(|_| unreachable!("every key of an index is text"));
        bytes.push(b'\n');
        bytes
    }

    /// Sorts the entries in the order of layouts.
    fn sort(&mut self) {
        self.manifests.sort_by(in_order);
    }
}

/// Refuses an `index.json` that is longer than the `limit` of its readers. Errors call it `what`.
pub(crate) fn check_length(length: u64, limit: u64, what: &str) -> longshore_store::Result<()> {
    if length <= limit {
        return Ok(());
    }
    let what = format!("{what} with {length} bytes");
    Err(Error::Limit { what, limit: format!("{limit} bytes") })
}

/// Compares entries in the order of layouts.
pub(crate) fn in_order(a: &Descriptor, b: &Descriptor) -> Ordering {
    let name = |entry| names::ref_name(entry);
    (name(a).is_none(), name(a))
        .cmp(&(name(b).is_none(), name(b)))
        .then_with(|| a.digest.cmp(&b.digest))
        .then_with(|| a.annotations.cmp(&b.annotations))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        IndexJson::parse(text.as_bytes(), "index.json").unwrap_err().to_string()
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
        let index =
            IndexJson::parse(br#"{"schemaVersion":2,"manifests":null}"#, "index.json").unwrap();
        let written = String::from_utf8(index.to_bytes()).unwrap();
        assert_eq!(
            written,
            "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[]}\n"
        );
    }

    #[test]
    fn a17_unknown_members_survive() {
        let text = r#"{"schemaVersion":2,"artifactType":"a/b","manifests":[],"annotations":{"k":"v"},"x":1.5}"#;
        let written = IndexJson::parse(text.as_bytes(), "index.json").unwrap().to_bytes();
        let [before, after]: [serde_json::Map<_, _>; 2] =
            [text.as_bytes(), &written].map(|bytes| serde_json::from_slice(bytes).unwrap());
        for (key, value) in before {
            assert_eq!(after[&key], value);
        }
    }

    #[test]
    fn a17_unknown_numbers_are_written_as_the_same_numbers() {
        let text = br#"{"manifests":[],"x":[1111111111105550021E051,18446744073709551616,-0.1]}"#;
        let index = IndexJson::parse(text, "index.json").unwrap();
        let again = IndexJson::parse(&index.to_bytes(), "index.json").unwrap();
        assert_eq!(again, index);
    }

    #[test]
    fn what_nobody_would_read_is_not_written() {
        let length = 100;
        assert!(check_length(length, length, "it").is_ok());
        let error = check_length(length, length - 1, "it").unwrap_err().to_string();
        assert_eq!(
            error,
            format!("it with {length} bytes is over the limit of {} bytes", length - 1)
        );
    }

    #[test]
    fn a42_duplicate_members_are_refused() {
        assert!(refused(r#"{"manifests":[],"manifests":[]}"#).contains("duplicate"));
    }
}
