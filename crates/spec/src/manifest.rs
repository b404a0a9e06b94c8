//! Manifests: the exact bytes that were received, and what they say.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use crate::annotations::{self, Annotations, keys};
use crate::{Descriptor, Digest, MediaType};

/// A manifest as received: its exact bytes and what they say.
///
/// The bytes are the identity and are never written anew (row A-40); everything else is a view.
#[derive(Debug, Clone)]
pub struct Manifest {
    raw: Bytes,
    descriptor: Descriptor,
    /// Clones share what the bytes say, as they share the bytes.
    content: Arc<ManifestContent>,
}

/// What a manifest holds, by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestContent {
    /// An OCI image manifest or a Docker schema 2 manifest.
    Image(Image),
    /// An OCI image index or a Docker manifest list.
    Index(Index),
    /// One of the two withdrawn artifact manifests (row D-11).
    Artifact(Artifact),
}

/// The three shapes that manifests come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// See [`ManifestContent::Image`].
    Image,
    /// See [`ManifestContent::Index`].
    Index,
    /// See [`ManifestContent::Artifact`].
    Artifact,
}

/// An image manifest (image-spec `manifest.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The type of the artifact, if the manifest names one; an empty string counts as none.
    pub artifact_type: Option<MediaType>,
    /// The config, opaque unless its media type is known (row C-08).
    pub config: Descriptor,
    /// The layers in the order they are listed (row C-12). May be empty (row C-09).
    pub layers: Vec<Descriptor>,
    /// The manifest that this one says something about (row C-13).
    pub subject: Option<Descriptor>,
    /// Free text by key.
    pub annotations: Annotations,
}

/// An image index (image-spec `image-index.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The type of the artifact, if the index names one (CNAB does so by an annotation, row D-12);
    /// an empty string counts as none.
    pub artifact_type: Option<MediaType>,
    /// The entries in the order they are listed. May be empty (row C-20).
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one says something about (row C-13).
    pub subject: Option<Descriptor>,
    /// Free text by key.
    pub annotations: Annotations,
}

/// A withdrawn artifact manifest (row D-11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The type of the artifact.
    pub artifact_type: Option<MediaType>,
    /// The content in the order it is listed.
    pub blobs: Vec<Descriptor>,
    /// The manifest that this one says something about.
    pub subject: Option<Descriptor>,
    /// Free text by key.
    pub annotations: Annotations,
}

/// What a child is to its manifest. It comes from the member that lists the child, never from the
/// child's media type: layers with the media type of a manifest exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// An entry of an index, or a root.
    Manifest,
    /// The config of an image manifest.
    Config,
    /// A layer of an image manifest, or a blob of an artifact manifest.
    Layer,
}

/// Why bytes cannot be read as a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not a JSON object with members of the right kinds.
    #[error("{0}")]
    Json(String),
    /// `manifests` stands together with `layers`, `config` or `blobs` (row C-36).
    #[error(
        "it says that it is an index and an image at once, so what it means depends on who reads it"
    )]
    Ambiguous,
    /// The members are not those of the kind that the media type names.
    #[error("its media type is `{media_type}`, but it has no `{missing}`")]
    Missing {
        /// What the manifest is said to be.
        media_type: MediaType,
        /// The member that such a manifest must have.
        missing: &'static str,
    },
    /// A Docker schema 1 manifest, whose digest does not cover its bytes (row G-06).
    #[error(
        "it is a Docker schema 1 manifest, which cannot be carried: its digest does not cover its bytes. \
         Push the image again with a current tool"
    )]
    Schema1,
    /// Neither media type nor members are those of a manifest.
    #[error("nothing in it says that it is a manifest")]
    Unknown,
}

impl Kind {
    /// Returns the kind of manifest that `media_type` stands for, if it stands for one.
    pub fn of(media_type: &MediaType) -> Option<Self> {
        const KINDS: [(&str, Kind); 6] = [
            (MediaType::IMAGE_MANIFEST, Kind::Image),
            (MediaType::IMAGE_INDEX, Kind::Index),
            (MediaType::DOCKER_MANIFEST, Kind::Image),
            (MediaType::DOCKER_LIST, Kind::Index),
            (MediaType::ARTIFACT_MANIFEST, Kind::Artifact),
            (MediaType::ORAS_MANIFEST, Kind::Artifact),
        ];
        KINDS.iter().find(|(text, _)| media_type.is(text)).map(|(_, kind)| *kind)
    }
}

impl Manifest {
    /// A manifest of more bytes than this is refused before it is read (the specs ask for at
    /// least 4 MB, row C-30; real ones stay far below).
    pub const MAX_SIZE: u64 = 8 << 20;

    /// Reads `raw` as the manifest that `descriptor` points to.
    ///
    /// Which kind it is: the descriptor's media type if it is one of a manifest (row B-32), else
    /// the document's own `mediaType`, else its members. The caller has checked `raw` against the
    /// descriptor's digest and size; nothing is checked again here.
    pub fn parse(raw: Bytes, descriptor: Descriptor) -> Result<Self, ManifestError> {
        let schema1 = [MediaType::DOCKER_SCHEMA1, MediaType::DOCKER_SCHEMA1_SIGNED];
        if schema1.iter().any(|text| descriptor.media_type.is(text)) {
            return Err(ManifestError::Schema1);
        }
        let document = Document::read(&raw)?;
        let content = document.interpret(&descriptor.media_type)?;
        Ok(Self { raw, descriptor, content: Arc::new(content) })
    }

    /// Returns the media type that the document `raw` names for itself, or whose members it has.
    ///
    /// For bytes that come without a descriptor that types them.
    pub fn media_type_of(raw: &[u8]) -> Result<MediaType, ManifestError> {
        let document = Document::read(raw)?;
        let kind = document.kind(&MediaType::new(""))?;
        let named = document.media_type.filter(|media_type| Kind::of(media_type).is_some());
        Ok(named.unwrap_or_else(|| {
            MediaType::from(match kind {
                Kind::Image => MediaType::IMAGE_MANIFEST,
                Kind::Index => MediaType::IMAGE_INDEX,
                Kind::Artifact => MediaType::ARTIFACT_MANIFEST,
            })
        }))
    }

    /// Returns this index without the entries that `keep` refuses: a new manifest with a new digest,
    /// of the same algorithm as before. Every other member stays; anything else than an index
    /// comes back as it is.
    pub fn retain_entries(self, keep: impl Fn(&Descriptor) -> bool) -> Result<Self, ManifestError> {
        let ManifestContent::Index(index) = self.content() else { return Ok(self) };
        let error = |error: serde_json::Error| ManifestError::Json(error.to_string());
        let mut document: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&self.raw).map_err(error)?;
        if let Some(serde_json::Value::Array(entries)) = document.get_mut("manifests") {
            let mut kept = index.manifests.iter().map(keep);
            entries.retain(|_| kept.next().unwrap_or(false));
        }
        let raw = Bytes::from(serde_json::to_vec(&document).map_err(error)?);
        let mut descriptor = self.descriptor;
        descriptor.digest =
            descriptor.digest.recompute(&raw).unwrap_or_else(|| Digest::sha256(&raw));
        descriptor.size = raw.len() as u64;
        descriptor.change_more(|more| more.data = None);
        Self::parse(raw, descriptor)
    }

    /// Returns the same manifest as another finder described it.
    #[must_use]
    pub fn described(mut self, descriptor: Descriptor) -> Self {
        self.descriptor = descriptor;
        self
    }

    /// Returns the bytes as they were received.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Returns the descriptor under which the manifest was found, with what its finder said of it
    /// (annotations of an index entry, platform).
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Returns what the bytes say.
    pub fn content(&self) -> &ManifestContent {
        &self.content
    }

    /// Returns the children in the order they are listed, each with its role. The subject is no
    /// child (row C-13).
    pub fn children(&self) -> impl Iterator<Item = (Role, &Descriptor)> {
        let (config, rest, role) = match self.content() {
            ManifestContent::Image(image) => (Some(&image.config), &image.layers, Role::Layer),
            ManifestContent::Index(index) => (None, &index.manifests, Role::Manifest),
            ManifestContent::Artifact(artifact) => (None, &artifact.blobs, Role::Layer),
        };
        let config = config.into_iter().map(|config| (Role::Config, config));
        config.chain(rest.iter().map(move |child| (role, child)))
    }

    /// Returns the manifest that this one says something about.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self.content() {
            ManifestContent::Image(image) => image.subject.as_ref(),
            ManifestContent::Index(index) => index.subject.as_ref(),
            ManifestContent::Artifact(artifact) => artifact.subject.as_ref(),
        }
    }

    /// Returns the annotations of the document, not those of its descriptor.
    pub fn annotations(&self) -> &Annotations {
        match self.content() {
            ManifestContent::Image(image) => &image.annotations,
            ManifestContent::Index(index) => &index.annotations,
            ManifestContent::Artifact(artifact) => &artifact.annotations,
        }
    }

    /// Returns the artifact type that the manifest declares: `artifactType`, else the media type
    /// of its config; of an index only `artifactType`, or the annotation that CNAB uses (rows D-01
    /// to D-05, D-11, D-12).
    pub fn artifact_type(&self) -> Option<&MediaType> {
        match self.content() {
            ManifestContent::Image(image) => {
                Some(image.artifact_type.as_ref().unwrap_or(&image.config.media_type))
            }
            ManifestContent::Index(index) => index.artifact_type.as_ref(),
            ManifestContent::Artifact(artifact) => artifact.artifact_type.as_ref(),
        }
    }

    /// Returns the descriptor by which a list of referrers names this manifest: media type, digest
    /// and size, the artifact type by D-01 and D-02, and the annotations of the document (rows
    /// E-84, F-35).
    pub fn as_referrer(&self) -> Descriptor {
        let Descriptor { media_type, digest, size, .. } = &self.descriptor;
        let mut descriptor = Descriptor::new(media_type.clone(), digest.clone(), *size);
        descriptor.artifact_type = self.artifact_type().cloned();
        descriptor.annotations = self.annotations().clone();
        descriptor
    }
}

/// Every member that any kind of manifest has. Duplicate members are an error (row A-42), unknown
/// ones are none (row A-41).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    schema_version: Option<serde_json::Value>,
    #[serde(default)]
    media_type: Option<MediaType>,
    #[serde(default)]
    artifact_type: Option<MediaType>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
    #[serde(default)]
    blobs: Option<Vec<Descriptor>>,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    fs_layers: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    subject: Option<Descriptor>,
    #[serde(default, deserialize_with = "annotations::lenient")]
    annotations: Annotations,
}

impl Document {
    fn read(raw: &[u8]) -> Result<Self, ManifestError> {
        // Serde would also fill the members from an array, in the order in which they stand above.
        if raw.trim_ascii_start().first().is_some_and(|byte| *byte != b'{') {
            return Err(ManifestError::Json("it is no JSON object".to_owned()));
        }
        serde_json::from_slice(raw).map_err(|error| ManifestError::Json(error.to_string()))
    }

    fn kind(&self, expected: &MediaType) -> Result<Kind, ManifestError> {
        if self.fs_layers.is_some()
            || self.schema_version.as_ref().is_some_and(|version| version == 1)
        {
            return Err(ManifestError::Schema1);
        }
        let image = self.config.is_some() || self.layers.is_some();
        if self.manifests.is_some() && (image || self.blobs.is_some()) {
            return Err(ManifestError::Ambiguous);
        }
        let by_members = || match () {
            () if self.manifests.is_some() => Some(Kind::Index),
            () if self.config.is_some() => Some(Kind::Image),
            () if self.blobs.is_some() && !image => Some(Kind::Artifact),
            () => None,
        };
        Kind::of(expected)
            .or_else(|| self.media_type.as_ref().and_then(Kind::of))
            .or_else(by_members)
            .ok_or(ManifestError::Unknown)
    }

    fn interpret(self, expected: &MediaType) -> Result<ManifestContent, ManifestError> {
        let kind = self.kind(expected)?;
        let Self { artifact_type, config, layers, blobs, manifests, subject, annotations, .. } =
            self;
        let missing = |missing| ManifestError::Missing {
            media_type: self.media_type.as_ref().unwrap_or(expected).clone(),
            missing,
        };
        let artifact_type = artifact_type.filter(|text| !text.as_str().is_empty());
        match kind {
            Kind::Image => {
                let config = config.ok_or_else(|| missing("config"))?;
                let layers = layers.unwrap_or_default();
                Ok(ManifestContent::Image(Image {
                    artifact_type,
                    config,
                    layers,
                    subject,
                    annotations,
                }))
            }
            Kind::Index if config.is_some() || layers.is_some() || blobs.is_some() => {
                Err(missing("manifests"))
            }
            Kind::Index => {
                let manifests = manifests.unwrap_or_default();
                let cnab =
                    annotations.get(keys::CNAB_ARTIFACT_TYPE).filter(|text| !text.is_empty());
                let artifact_type =
                    artifact_type.or_else(|| cnab.map(|text| MediaType::from(text.as_str())));
                Ok(ManifestContent::Index(Index { artifact_type, manifests, subject, annotations }))
            }
            Kind::Artifact
                if blobs.is_none()
                    && (config.is_some() || layers.is_some() || manifests.is_some()) =>
            {
                Err(missing("blobs"))
            }
            Kind::Artifact => {
                let blobs = blobs.unwrap_or_default();
                Ok(ManifestContent::Artifact(Artifact {
                    artifact_type,
                    blobs,
                    subject,
                    annotations,
                }))
            }
        }
    }
}
