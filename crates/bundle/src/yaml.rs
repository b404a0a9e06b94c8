//! Reading YAML.

use serde::de::DeserializeOwned;
use serde_saphyr::{Budget, Options};

use crate::ConfigError;

/// So many texts, lists and maps are read of one file: some hundred thousand objects of Kubernetes, and
/// about a gigabyte of memory.
const MAX_NODES: usize = 5_000_000;

/// Each node has up to two events.
const MAX_EVENTS: usize = 2 * MAX_NODES;

/// So many documents are read of one file.
const MAX_DOCUMENTS: usize = 200_000;

/// YAML nested deeper than this is refused: the reader needs that much of the stack for each level.
pub(crate) const MAX_DEPTH: usize = 64;

/// Reads a file of one document.
pub(crate) fn one<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, ConfigError> {
    serde_saphyr::from_str_with_options(text, options())
        .map_err(|error| ConfigError::of_yaml(name, &error))
}

/// Reads a file of any number of documents.
pub(crate) fn several<T: DeserializeOwned>(name: &str, text: &str) -> Result<Vec<T>, ConfigError> {
    serde_saphyr::from_multiple_with_options(text, options())
        .map_err(|error| ConfigError::of_yaml(name, &error))
}

fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_nodes = MAX_NODES;
    budget.max_events = MAX_EVENTS;
    budget.max_depth = MAX_DEPTH;
    budget.max_documents = MAX_DOCUMENTS;
    serde_saphyr::options! { budget: Some(budget) }
}
