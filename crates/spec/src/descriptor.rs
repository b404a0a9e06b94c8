//! Descriptors: what a piece of content is, how large, and under which digest.

use base64::Engine as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::annotations::{self, Annotations};
use crate::{Digest, MediaType, Platform};

/// A typed pointer to content (image-spec `descriptor.md`, section B of the rules).
///
/// Members that the spec does not know are kept in [`Descriptor::extra`], so that writing a
/// descriptor loses nothing that reading it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    pub media_type: MediaType,
    /// The identity of the content.
    pub digest: Digest,
    /// The length of the content in bytes.
    pub size: u64,
    /// Places outside a registry that hold the content (row B-06).
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Free text by key.
    #[serde(
        default,
        deserialize_with = "annotations::lenient",
        skip_serializing_if = "Annotations::is_empty"
    )]
    pub annotations: Annotations,
    /// The content itself in base64, as found; read it through [`Descriptor::embedded`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The artifact type of the manifest pointed to: a hint, the manifest decides (row D-05).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// What the content runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Box<Platform>>,
    /// Members that no spec names.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// Why the content embedded in a descriptor cannot be used (row B-07).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbeddedDataError {
    /// The text is not padded standard base64.
    #[error("the data embedded for {0} is not padded base64")]
    Encoding(Digest),
    /// The bytes are not those that the descriptor points to.
    #[error("the data embedded for {0} is not what its digest and size say")]
    Content(Digest),
}

impl Descriptor {
    /// Returns a descriptor with only the three members that every descriptor has.
    pub fn new(media_type: impl Into<MediaType>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
            annotations: Annotations::new(),
            data: None,
            artifact_type: None,
            platform: None,
            extra: serde_json::Map::new(),
        }
    }

    /// Returns the descriptor of `bytes`, by sha256 (row A-35).
    pub fn of(media_type: impl Into<MediaType>, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256(bytes), bytes.len() as u64)
    }

    /// Returns the descriptor of the two bytes `{}` (row C-17).
    pub fn empty() -> Self {
        Self::of(MediaType::EMPTY, b"{}")
    }

    /// Returns the embedded content, checked against digest and size (row B-07).
    ///
    /// `None` if there is none, or if its digest cannot be computed here.
    pub fn embedded(&self) -> Result<Option<Vec<u8>>, EmbeddedDataError> {
        let Some(text) = &self.data else { return Ok(None) };
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|_| EmbeddedDataError::Encoding(self.digest.clone()))?;
        match self.digest.recompute(&bytes) {
            None => Ok(None),
            Some(digest) if digest == self.digest && bytes.len() as u64 == self.size => {
                Ok(Some(bytes))
            }
            Some(_) => Err(EmbeddedDataError::Content(self.digest.clone())),
        }
    }
}

/// Reads `null` as the default: Go writes it for a nil slice.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
