//! Descriptors: what a piece of content is, how large, and under which digest.

use base64::Engine as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::annotations::{self, Annotations};
use crate::read::null_is_default;
use crate::{Digest, MediaType, Platform};

/// A typed pointer to content (image-spec `descriptor.md`, section B of the rules).
///
/// Members that the spec does not know are kept in [`More::extra`], so that writing a descriptor
/// loses nothing that reading it found.
///
/// A layout may list hundreds of thousands, so they are small: 120 bytes, and of the heap only texts
/// that have no constant and [annotations](Annotations). An entry of an index with a name, the same for
/// containerd, and the mark of a repository takes less than 400 bytes in all; its clones 120.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What the content is.
    pub media_type: MediaType,
    /// The identity of the content.
    pub digest: Digest,
    /// The length of the content in bytes.
    pub size: u64,
    /// Free text by key.
    pub annotations: Annotations,
    /// The artifact type of the manifest pointed to: a hint, the manifest decides (row D-05).
    pub artifact_type: Option<MediaType>,
    /// What the content runs on.
    pub platform: Option<Box<Platform>>,
    /// What few descriptors have, where this one does; see [`Descriptor::change_more`].
    pub more: Option<Box<More>>,
}

/// What few descriptors have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct More {
    /// Places outside a registry that hold the content (row B-06).
    pub urls: Vec<String>,
    /// The content itself in base64, as found; read it through [`Descriptor::embedded`].
    pub data: Option<String>,
    /// Members that no spec names.
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// A descriptor as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    media_type: MediaType,
    digest: Digest,
    size: u64,
    #[serde(default, deserialize_with = "null_is_default")]
    urls: Vec<String>,
    #[serde(default, deserialize_with = "annotations::lenient")]
    annotations: Annotations,
    #[serde(default)]
    data: Option<String>,
    #[serde(default)]
    artifact_type: Option<MediaType>,
    #[serde(default)]
    platform: Option<Box<Platform>>,
    #[serde(flatten)]
    extra: serde_json::Map<String, serde_json::Value>,
}

/// A descriptor as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    media_type: &'a MediaType,
    digest: &'a Digest,
    size: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    urls: &'a [String],
    #[serde(skip_serializing_if = "Annotations::is_empty")]
    annotations: &'a Annotations,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a MediaType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'a Platform>,
    #[serde(flatten)]
    extra: Option<&'a serde_json::Map<String, serde_json::Value>>,
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = Found::deserialize(deserializer)?;
        let Found { media_type, digest, size, annotations, artifact_type, platform, .. } = found;
        let more = More { urls: found.urls, data: found.data, extra: found.extra };
        let more = (more != More::default()).then(|| Box::new(more));
        Ok(Self { media_type, digest, size, annotations, artifact_type, platform, more })
    }
}

impl Serialize for Descriptor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let more = self.more.as_deref();
        let written = Written {
            media_type: &self.media_type,
            digest: &self.digest,
            size: self.size,
            urls: more.map_or(&[], |more| &more.urls),
            annotations: &self.annotations,
            data: more.and_then(|more| more.data.as_ref()),
            artifact_type: self.artifact_type.as_ref(),
            platform: self.platform.as_deref(),
            extra: more.map(|more| &more.extra),
        };
        written.serialize(serializer)
    }
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
            annotations: Annotations::new(),
            artifact_type: None,
            platform: None,
            more: None,
        }
    }

    /// Changes what few descriptors have.
    pub fn change_more(&mut self, change: impl FnOnce(&mut More)) {
        let mut more = self.more.take().unwrap_or_default();
        change(&mut more);
        self.more = (*more != More::default()).then_some(more);
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
        let Some(text) = self.more.as_ref().and_then(|more| more.data.as_ref()) else {
            return Ok(None);
        };
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
