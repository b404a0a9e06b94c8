//! Platforms: what content runs on.

use serde::{Deserialize, Serialize};

use crate::descriptor::null_is_default;

/// What an entry of an index runs on (image-spec `image-index.md`, rows B-12 to B-15).
///
/// An entry without `os` or `architecture` breaks the spec; it is read with empty members and
/// matches no wanted platform.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Platform {
    /// The CPU architecture, by `GOARCH` where that has a name for it.
    #[serde(default)]
    pub architecture: String,
    /// The operating system, by `GOOS` where that has a name for it.
    #[serde(default)]
    pub os: String,
    /// The version of the operating system; used by Windows images.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have, such as `win32k`.
    #[serde(default, rename = "os.features", deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// The variant of the CPU, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Reserved by the spec; carried as found.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

/// Why a string is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a platform: {reason}")]
pub struct PlatformError {
    text: String,
    reason: &'static str,
}
