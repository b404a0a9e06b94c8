//! Media types, compared as the specs ask and kept as they were written.

use std::convert::Infallible;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::read::from_text;

/// A media type exactly as somebody wrote it.
///
/// Any text is accepted: types outside RFC 6838 exist in the field and must survive a copy
/// (row B-02); [`MediaType::is_well_formed`] tells them apart. Two media types are equal if they
/// differ only in case or in parameters (row I-01). Cloning is cheap, and those that have a constant
/// are kept as its number: two words, and for any other its text once for all clones.
#[derive(Clone)]
pub struct MediaType(Repr);

#[derive(Clone)]
enum Repr {
    /// A number in [`KNOWN`].
    Known(u8),
    Other(Arc<str>),
}

macro_rules! media_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl MediaType {
            $($(#[$doc])* pub const $name: &'static str = $text;)*
        }

        /// Every media type that has a constant.
        const KNOWN: &[&str] = &[$(MediaType::$name),*];
    };
}

media_types! {
    /// An OCI image manifest.
    IMAGE_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
    /// An OCI image index.
    IMAGE_INDEX = "application/vnd.oci.image.index.v1+json";
    /// The config of an OCI image.
    IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json";
    /// The two bytes `{}` (row C-17).
    EMPTY = "application/vnd.oci.empty.v1+json";
    /// A Docker schema 2 manifest (row G-01).
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
    /// A Docker manifest list (row G-01).
    DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// The config of a Docker image.
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
    /// The withdrawn OCI artifact manifest (row D-11).
    ARTIFACT_MANIFEST = "application/vnd.oci.artifact.manifest.v1+json";
    /// The withdrawn ORAS artifact manifest (row D-11).
    ORAS_MANIFEST = "application/vnd.cncf.oras.artifact.manifest.v1+json";
    /// A Docker schema 1 manifest, which is refused (row G-06).
    DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json";
    /// A signed Docker schema 1 manifest, which is refused (row G-06).
    DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    /// An uncompressed OCI layer.
    LAYER_TAR = "application/vnd.oci.image.layer.v1.tar";
    /// A gzip-compressed OCI layer.
    LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A zstd-compressed OCI layer.
    LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// A gzip-compressed Docker layer, interchangeable with [`MediaType::LAYER_GZIP`] (row G-02).
    DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip";
}

impl MediaType {
    /// Takes over `text` as it is.
    pub fn new(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        let known = KNOWN.iter().position(|known| *known == text);
        Self(match known.and_then(|number| u8::try_from(number).ok()) {
            Some(number) => Repr::Known(number),
            None => Repr::Other(text.into()),
        })
    }

    /// Returns the text as it was written.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Known(number) => KNOWN[usize::from(*number)],
            Repr::Other(text) => text,
        }
    }

    /// Returns the type without parameters and white space around it.
    pub fn essence(&self) -> &str {
        essence(self.as_str())
    }

    /// Tells whether this is `text`, whatever the case and parameters of either.
    pub fn is(&self, text: &str) -> bool {
        self.essence().eq_ignore_ascii_case(essence(text))
    }

    /// Tells whether the type begins with `prefix`, whatever the case.
    pub fn starts_with(&self, prefix: &str) -> bool {
        self.as_str().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    }

    /// Tells whether the text is a name of RFC 6838 section 4.2 (row B-01), without parameters.
    pub fn is_well_formed(&self) -> bool {
        const LIMIT: usize = 127;
        let name = |text: &str| {
            (1..=LIMIT).contains(&text.len())
                && text.as_bytes()[0].is_ascii_alphanumeric()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
        };
        self.as_str().split_once('/').is_some_and(|(kind, subtype)| name(kind) && name(subtype))
    }

    /// Tells whether layers of this type are marked as not to be distributed (rows C-32, G-03).
    pub fn is_nondistributable(&self) -> bool {
        const PREFIXES: [&str; 2] = [
            "application/vnd.oci.image.layer.nondistributable.",
            "application/vnd.docker.image.rootfs.foreign.",
        ];
        PREFIXES.iter().any(|prefix| self.starts_with(prefix))
    }
}

fn essence(text: &str) -> &str {
    text.split(';').next().unwrap_or(text).trim()
}

impl PartialEq for MediaType {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.as_str())
    }
}

impl Eq for MediaType {}

impl Hash for MediaType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.essence().bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(b';'); // the end, which no type has in it
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, |text| Ok::<_, Infallible>(Self::new(text)))
    }
}
