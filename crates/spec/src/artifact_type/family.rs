//! Families: the dozen words under which people look for artifacts.

use std::fmt;
use std::str::FromStr;

/// A group of artifact types that people want, or do not want, together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Statements about other content: provenance, exploitability, findings, end of life.
    Attestation,
    /// Kubernetes applications as charts.
    Chart,
    /// Databases, caches and metadata that some tool reads.
    Data,
    /// Disks, virtual machines and indexes over file systems.
    Filesystem,
    /// Files of which nothing more is said.
    Generic,
    /// What runs as a container.
    Image,
    /// Infrastructure and cluster configuration as code.
    Infrastructure,
    /// Models, their data, and agents.
    Model,
    /// What some package manager or installer takes.
    Package,
    /// Rules that are enforced or watched for.
    Policy,
    /// Bills of material.
    Sbom,
    /// Signatures.
    Signature,
    /// WebAssembly.
    Wasm,
}

/// Why a string is no family.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a family of artifact types; write one of: {}", words())]
pub struct FamilyError {
    text: String,
}

impl Family {
    /// Every family, in alphabetical order.
    pub const ALL: [Family; 13] = [
        Family::Attestation,
        Family::Chart,
        Family::Data,
        Family::Filesystem,
        Family::Generic,
        Family::Image,
        Family::Infrastructure,
        Family::Model,
        Family::Package,
        Family::Policy,
        Family::Sbom,
        Family::Signature,
        Family::Wasm,
    ];

    /// Returns the lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::Attestation => "attestation",
            Family::Chart => "chart",
            Family::Data => "data",
            Family::Filesystem => "filesystem",
            Family::Generic => "generic",
            Family::Image => "image",
            Family::Infrastructure => "infrastructure",
            Family::Model => "model",
            Family::Package => "package",
            Family::Policy => "policy",
            Family::Sbom => "sbom",
            Family::Signature => "signature",
            Family::Wasm => "wasm",
        }
    }
}

impl FromStr for Family {
    type Err = FamilyError;

    /// Reads the word in any case.
    fn from_str(text: &str) -> Result<Self, FamilyError> {
        let named = |family: &Family| family.as_str().eq_ignore_ascii_case(text);
        Family::ALL.into_iter().find(named).ok_or_else(|| FamilyError { text: text.to_owned() })
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

fn words() -> String {
    Family::ALL.map(Family::as_str).join(", ")
}
