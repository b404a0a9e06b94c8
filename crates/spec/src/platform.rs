//! Platforms: what content runs on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::read::null_is_default;

/// What an entry of an index runs on (image-spec `image-index.md`, rows B-12 to B-15).
///
/// An entry without `os` or `architecture` breaks the spec; it is read with empty members and
/// matches no wanted platform.
///
/// As text a platform is `os/arch[/variant]`, and `os(version)/arch[/variant]` when it has an
/// `os.version`, as containerd prints it. Text is normalised when it is parsed (`x86_64` is
/// `amd64`, `aarch64` is `arm64`, ...); platforms read from JSON stay as they were found and are
/// normalised only to compare them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Platform {
    /// The CPU architecture, by `GOARCH` where that has a name for it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub architecture: String,
    /// The operating system, by `GOOS` where that has a name for it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub os: String,
    /// The version of the operating system; used by Windows images.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have, such as `win32k`.
    #[serde(
        default,
        rename = "os.features",
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the CPU, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Reserved by the spec; carried as found.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Members that no spec names.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// Why a string is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a platform: {reason}")]
pub struct PlatformError {
    text: String,
    reason: &'static str,
}

impl Platform {
    /// Returns the platform of this operating system and architecture, both normalised, with
    /// nothing else said.
    pub fn new(os: &str, architecture: &str) -> Self {
        let (architecture, variant) = normal_architecture(architecture);
        Self {
            os: normal_os(os),
            architecture,
            variant: variant.map(str::to_owned),
            ..Self::default()
        }
    }

    /// Tells whether something made for `offered` is what somebody who asks for `self` wants.
    ///
    /// - Operating system and architecture are the same after normalisation. If either is missing
    ///   on either side, nothing matches (row B-12); unknown names compare as text (row B-13).
    /// - A variant that is asked for is the variant offered, where none means the baseline:
    ///   `arm64` is `arm64/v8`, `amd64` is `amd64/v1`, `arm` is `arm/v7`, as containerd has it (row
    ///   B-15). Nothing falls back to an older variant: `arm/v7` is not `arm/v6`.
    /// - If no variant is asked for, any will do, except that `arm` still means `arm/v7`: its
    ///   variants do not run each other's code.
    /// - An `os.version` that is asked for is the one offered or a prefix of it that ends at a dot:
    ///   `10.0.17763` accepts `10.0.17763.5329` (row B-14).
    /// - Each of the `os.features` asked for is offered.
    ///
    /// Of several entries that match, the first one counts (row B-16).
    pub fn accepts(&self, offered: &Platform) -> bool {
        let (want, have) = (self.normalised(), offered.normalised());
        let named =
            |platform: &Platform| !platform.os.is_empty() && !platform.architecture.is_empty();
        named(&want)
            && (&want.os, &want.architecture) == (&have.os, &have.architecture)
            && (want.variant.is_none() || want.variant_or_baseline() == have.variant_or_baseline())
            && want.os_version.as_ref().is_none_or(|version| have.has_version(version))
            && want.os_features.iter().all(|feature| have.os_features.contains(feature))
    }

    /// Returns the platform that the config of a container image names (rows B-11, C-07), if it names an
    /// operating system and an architecture.
    pub fn of_config(config: &[u8]) -> Option<Self> {
        let named: Self = serde_json::from_slice(config).ok()?;
        let is_full = !named.os.is_empty() && !named.architecture.is_empty();
        (is_full && !named.is_unknown()).then_some(named)
    }

    /// Tells whether this is `unknown/unknown`, by which BuildKit marks what does not run, such as
    /// attestations (row B-17).
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    fn normalised(&self) -> Self {
        let (architecture, implied) = normal_architecture(&self.architecture);
        let given =
            self.variant.as_deref().filter(|variant| !variant.is_empty()).map(normal_variant);
        let implied = implied.or((architecture == "arm").then_some("v7")).map(str::to_owned);
        let os_version = self.os_version.clone().filter(|version| !version.is_empty());
        Self {
            os: normal_os(&self.os),
            architecture,
            variant: given.or(implied),
            os_version,
            ..self.clone()
        }
    }

    fn variant_or_baseline(&self) -> Option<&str> {
        match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm64", None | Some("v8.0")) => Some("v8"),
            ("amd64", None) => Some("v1"),
            (_, variant) => variant,
        }
    }

    fn has_version(&self, wanted: &str) -> bool {
        self.os_version
            .as_deref()
            .and_then(|version| version.strip_prefix(wanted))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || wanted.ends_with('.'))
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let error = |reason| PlatformError { text: text.to_owned(), reason };
        let mut parts = text.split('/');
        let (Some(os), Some(architecture), variant, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(error(
                "write OS/ARCH or OS/ARCH/VARIANT, such as linux/amd64 or linux/arm/v7",
            ));
        };
        let (os, version) = match os.split_once('(') {
            None => (os, None),
            Some((os, version)) => {
                let version = version.strip_suffix(')').ok_or_else(|| {
                    error(
                        "the parenthesis after the operating system is not closed before the slash",
                    )
                })?;
                (os, Some(version))
            }
        };
        if ![Some(os), version, Some(architecture), variant].into_iter().flatten().all(is_word) {
            return Err(error(
                "each part must be one or more letters, digits, `.`, `_` or `-`, as in linux/arm64 or \
                 windows(10.0.17763)/amd64",
            ));
        }
        let mut platform = Self::new(os, architecture);
        platform.os_version = version.map(str::to_owned);
        platform.variant = variant.map(normal_variant).or(platform.variant);
        Ok(platform)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.os)?;
        if let Some(version) = &self.os_version {
            write!(f, "({version})")?;
        }
        write!(f, "/{}", self.architecture)?;
        match self.variant.as_deref() {
            None | Some("") => Ok(()),
            Some(variant) => write!(f, "/{variant}"),
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn normal_os(os: &str) -> String {
    match os.to_ascii_lowercase().as_str() {
        "macos" => "darwin".to_owned(),
        os => os.to_owned(),
    }
}

/// Returns the name that Go has for an architecture, and the variant that the given name implies
/// (the names that containerd knows).
fn normal_architecture(architecture: &str) -> (String, Option<&'static str>) {
    let lower = architecture.to_ascii_lowercase();
    let (name, variant) = match lower.as_str() {
        "x86_64" | "x86-64" => ("amd64", None),
        "i386" => ("386", None),
        "aarch64" => ("arm64", None),
        "armhf" => ("arm", Some("v7")),
        "armel" => ("arm", Some("v6")),
        other => (other, None),
    };
    (name.to_owned(), variant)
}

/// People write `arm/7` for `arm/v7`.
fn normal_variant(variant: &str) -> String {
    let lower = variant.to_ascii_lowercase();
    if lower.starts_with(|c: char| c.is_ascii_digit()) { format!("v{lower}") } else { lower }
}
