//! Annotations: text by key, small, and shared by those who have the same.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Annotations of a descriptor or manifest, sorted by key so that output is stable (row A-43).
///
/// There may be as many as there are names in a layout, and most have the same few keys: all of them
/// are one allocation beside the texts, the keys of [`keys`] are kept as numbers, and clones share
/// everything until one of them is changed.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Annotations(Option<Arc<[Pair]>>);

/// A key, and the text that it has.
type Pair = (Key, String);

/// The key of an annotation: a number in [`keys::KNOWN`], or any other text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Known(u8),
    Other(Box<str>),
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Annotation keys that mean something to more than one part of the program.
        pub mod keys {
            $($(#[$doc])* pub const $name: &str = $text;)*

            /// All of them, which are not kept as text.
            pub(super) const KNOWN: &[&str] = &[$($name),*];
        }
    };
}

keys! {
    /// The name of an entry of `index.json` (rows ).
    REF_NAME = "org.opencontainers.image.ref.name";
    /// The full reference that containerd gives an entry of `index.json` (row A-28).
    CONTAINERD_IMAGE_NAME = "io.containerd.image.name";
    /// The repository of an entry of `index.json` that has no name there.
    REPOSITORY = "dev.longshore.repository";
    /// The artifact type of an index made before indexes could have one (row D-12).
    CNAB_ARTIFACT_TYPE = "org.opencontainers.artifactType";
    /// What an entry of a BuildKit index is to another entry (row B-17).
    DOCKER_REFERENCE_TYPE = "vnd.docker.reference.type";
    /// The entry of a BuildKit index that another entry belongs to (row B-17).
    DOCKER_REFERENCE_DIGEST = "vnd.docker.reference.digest";
    /// A file name, as oras writes it.
    TITLE = "org.opencontainers.image.title";
    /// The version of what is packed.
    VERSION = "org.opencontainers.image.version";
    /// What is packed, in a few words.
    DESCRIPTION = "org.opencontainers.image.description";
    /// When it was built, as RFC 3339 has it.
    CREATED = "org.opencontainers.image.created";
}

impl Annotations {
    /// Returns annotations of which there are none.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs().is_empty()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.pairs().len()
    }

    /// Returns the text of a key.
    pub fn get(&self, key: &str) -> Option<&String> {
        /// Of so few it is quicker to look at each: most differ by length.
        const FEW: usize = 8;
        let pairs = self.pairs();
        if pairs.len() > FEW {
            return self.find(key).ok().map(|at| &pairs[at].1);
        }
        pairs.iter().find(|(other, _)| other.as_str() == key).map(|(_, text)| text)
    }

    /// Tells whether there is a text of this key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Gives a key a text; returns the one that it had. Several at once are better extended by.
    pub fn insert(&mut self, key: String, text: String) -> Option<String> {
        let found = self.find(&key);
        let mut pairs = self.take();
        let before = match found {
            Ok(at) => Some(std::mem::replace(&mut pairs[at].1, text)),
            Err(at) => {
                pairs.insert(at, (Key::from(key), text));
                None
            }
        };
        self.put(pairs);
        before
    }

    /// Takes a key away; returns the text that it had.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        let at = self.find(key).ok()?;
        let mut pairs = self.take();
        let (_, text) = pairs.remove(at);
        self.put(pairs);
        Some(text)
    }

    /// Returns every key with its text, sorted by key.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.pairs().iter())
    }

    /// Returns what is said beside names and the repository that they are in.
    pub fn beside_names(&self) -> impl Iterator<Item = (&str, &String)> {
        const NAMES: [&str; 3] = [keys::REF_NAME, keys::CONTAINERD_IMAGE_NAME, keys::REPOSITORY];
        self.iter().filter(|(key, _)| !NAMES.contains(key))
    }

    /// Returns every key, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(key, _)| key)
    }

    /// Returns every text, sorted by key.
    pub fn values(&self) -> impl Iterator<Item = &String> {
        self.iter().map(|(_, text)| text)
    }

    fn pairs(&self) -> &[Pair] {
        self.0.as_deref().unwrap_or_default()
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.pairs().binary_search_by(|(other, _)| other.as_str().cmp(key))
    }

    /// Takes everything out. What others share stays theirs.
    fn take(&mut self) -> Vec<Pair> {
        match self.0.take() {
            None => Vec::new(),
            Some(mut pairs) => match Arc::get_mut(&mut pairs) {
                Some(pairs) => pairs.iter_mut().map(std::mem::take).collect(),
                None => pairs.to_vec(),
            },
        }
    }

    fn put(&mut self, mut pairs: Vec<Pair>) {
        for (_, text) in &mut pairs {
            text.shrink_to_fit();
        }
        self.0 = (!pairs.is_empty()).then(|| pairs.into());
    }

    /// Puts pairs in whose order is any; of the same key the last one counts.
    fn put_unsorted(&mut self, mut pairs: Vec<Pair>) {
        pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        // What is kept of two is the earlier one.
        pairs.dedup_by(|(later, text), (earlier, kept)| {
            let is_same = later == earlier;
            if is_same {
                std::mem::swap(text, kept);
            }
            is_same
        });
        self.put(pairs);
    }
}

/// Goes through annotations, sorted by key.
#[derive(Debug, Clone)]
pub struct Iter<'a>(std::slice::Iter<'a, Pair>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a String);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, text)| (key.as_str(), text))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Annotations {
    type Item = (&'a str, &'a String);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl FromIterator<(String, String)> for Annotations {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let mut all = Self::new();
        all.extend(pairs);
        all
    }
}

impl Extend<(String, String)> for Annotations {
    fn extend<I: IntoIterator<Item = (String, String)>>(&mut self, pairs: I) {
        let mut all = self.take();
        all.extend(pairs.into_iter().map(|(key, text)| (Key::from(key), text)));
        self.put_unsorted(all);
    }
}

impl Index<&str> for Annotations {
    type Output = String;

    /// Returns the text of a key that is known to be there; panics as a map does.
    fn index(&self, key: &str) -> &String {
        self.get(key).expect("the key is there")
    }
}

impl fmt::Debug for Annotations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl Serialize for Annotations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl Key {
    fn as_str(&self) -> &str {
        match self {
            Self::Known(number) => keys::KNOWN[usize::from(*number)],
            Self::Other(text) => text,
        }
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        let known = keys::KNOWN.iter().position(|known| *known == text);
        match known.and_then(|number| u8::try_from(number).ok()) {
            Some(number) => Self::Known(number),
            None => Self::Other(text.into()),
        }
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::Known(0)
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Reads annotations as they are found: `null` is none (row B-22), and a value that is no string
/// is kept as its JSON text, since a copy must not fail on it (row B-20).
pub(crate) fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Annotations, D::Error> {
    Ok(Option::<Found>::deserialize(deserializer)?.map(|Found(found)| found).unwrap_or_default())
}

/// Annotations as they are found.
struct Found(Annotations);

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Found;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Found, A::Error> {
                let mut pairs = Vec::new();
                while let Some((key, value)) = members.next_entry::<String, serde_json::Value>()? {
                    let text = match value {
                        serde_json::Value::String(text) => text,
                        other => other.to_string(),
                    };
                    pairs.push((Key::from(key), text));
                }
                let mut all = Annotations::new();
                all.put_unsorted(pairs);
                Ok(Found(all))
            }
        }

        deserializer.deserialize_map(Members)
    }
}
