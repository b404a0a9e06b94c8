//! Reading YAML.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Budget, Options, Spanned};

use crate::ConfigError;

/// So many texts, lists and maps are read of one file: some hundred thousand objects of Kubernetes, and
/// about a gigabyte of memory.
const MAX_NODES: usize = 5_000_000;

/// Each node has up to two events.
const MAX_EVENTS: usize = 2 * MAX_NODES;

/// So many documents are read of one file.
const MAX_DOCUMENTS: usize = 200_000;

/// YAML nested deeper than this is refused: the reader needs that much of the stack for each level.
pub(super) const MAX_DEPTH: usize = 64;

/// Reads a file of one document.
pub(super) fn one<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, ConfigError> {
    serde_saphyr::from_str_with_options(text, options())
        .map_err(|error| ConfigError::of_yaml(name, &error))
}

/// Reads a file of any number of documents.
pub(super) fn several<T: DeserializeOwned>(name: &str, text: &str) -> Result<Vec<T>, ConfigError> {
    serde_saphyr::from_multiple_with_options(text, options())
        .map_err(|error| ConfigError::of_yaml(name, &error))
}

/// Where the keys of a file stand: line and column by path, such as `0.sync[1].tags`, with the number of its
/// document first.
#[derive(Default)]
pub(super) struct Places(HashMap<String, (u64, u64)>);

impl Places {
    /// Reads all documents of a file once more. What cannot be read so has no places.
    pub(super) fn of(name: &str, text: &str) -> Self {
        let mut places = HashMap::new();
        let documents: Vec<Tree> = several(name, text).unwrap_or_default();
        for (number, document) in documents.iter().enumerate() {
            document.note(&number.to_string(), &mut places);
        }
        Self(places)
    }

    /// Returns where the key at a path stands, or the nearest that it is within.
    pub(super) fn find(&self, path: &str) -> Option<(u64, u64)> {
        let mut path = path;
        loop {
            if let Some(at) = self.0.get(path) {
                return Some(*at);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

/// A value of which only matters where it stands.
enum Tree {
    Map(Vec<(Spanned<String>, Self)>),
    List(Vec<Spanned<Self>>),
    Other,
}

impl Tree {
    fn note(&self, path: &str, places: &mut HashMap<String, (u64, u64)>) {
        match self {
            Self::Map(entries) => {
                for (key, value) in entries {
                    let path = format!("{path}.{}", key.value);
                    value.note(&path, places);
                    places.insert(path, (key.referenced.line(), key.referenced.column()));
                }
            }
            Self::List(items) => {
                for (number, item) in items.iter().enumerate() {
                    let path = format!("{path}[{number}]");
                    item.value.note(&path, places);
                    places.insert(path, (item.referenced.line(), item.referenced.column()));
                }
            }
            Self::Other => {}
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of;

        impl<'de> Visitor<'de> for Of {
            type Value = Tree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Tree::Map(entries))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Tree::List(items))
            }

            fn visit_str<E>(self, _: &str) -> Result<Tree, E> {
                Ok(Tree::Other)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
                Ok(Tree::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
                Ok(Tree::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
                Ok(Tree::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
                Ok(Tree::Other)
            }

            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Other)
            }

            fn visit_none<E>(self) -> Result<Tree, E> {
                Ok(Tree::Other)
            }
        }

        deserializer.deserialize_any(Of)
    }
}

fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_nodes = MAX_NODES;
    budget.max_events = MAX_EVENTS;
    budget.max_depth = MAX_DEPTH;
    budget.max_documents = MAX_DOCUMENTS;
    serde_saphyr::options! { budget: Some(budget) }
}
