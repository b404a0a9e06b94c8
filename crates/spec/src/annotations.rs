//! Annotations: a sorted map of text to text.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// Annotations of a descriptor or manifest, sorted by key so that output is stable (row A-43).
pub type Annotations = BTreeMap<String, String>;

/// Annotation keys that mean something to more than one part of the program.
pub mod keys {
    /// The name of an entry of `index.json` (rows ).
    pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
    /// The full reference that containerd gives an entry of `index.json` (row A-28).
    pub const CONTAINERD_IMAGE_NAME: &str = "io.containerd.image.name";
    /// The repository of an entry of `index.json` that has no name there.
    pub const REPOSITORY: &str = "dev.longshore.repository";
    /// The artifact type of an index made before indexes could have one (row D-12).
    pub const CNAB_ARTIFACT_TYPE: &str = "org.opencontainers.artifactType";
    /// What an entry of a BuildKit index is to another entry (row B-17).
    pub const DOCKER_REFERENCE_TYPE: &str = "vnd.docker.reference.type";
    /// The entry of a BuildKit index that another entry belongs to (row B-17).
    pub const DOCKER_REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
    /// A file name, as oras writes it.
    pub const TITLE: &str = "org.opencontainers.image.title";
    /// The version of what is packed.
    pub const VERSION: &str = "org.opencontainers.image.version";
    /// What is packed, in a few words.
    pub const DESCRIPTION: &str = "org.opencontainers.image.description";
    /// When it was built, as RFC 3339 has it.
    pub const CREATED: &str = "org.opencontainers.image.created";
}

/// Reads annotations as they are found: `null` is none (row B-22), and a value that is no string
/// is kept as its JSON text, since a copy must not fail on it (row B-20).
pub(crate) fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Annotations, D::Error> {
    let found = Option::<BTreeMap<String, serde_json::Value>>::deserialize(deserializer)?;
    let text = |value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(found.unwrap_or_default().into_iter().map(|(key, value)| (key, text(value))).collect())
}
