//! Artifact types: what a manifest holds, beyond the shape of the manifest.
//!
//! A type only decides what is shown, filtered and assumed by default, never whether something is
//! copied (row I-02). What is known by name is one table, [`TABLE`].

mod cosign;
mod family;
mod filter;
mod sniff;
mod table;

use crate::{Manifest, ManifestContent, MediaType};

pub use cosign::{cosign_tag, cosign_tags};
pub use family::{Family, FamilyError};
pub use filter::{TypeFilter, TypeFilterError};
pub use table::{Evidence, Known, TABLE};

/// What a manifest turned out to be.
///
/// The rules, in order (row I-01):
///
/// 1. The declared type (rows D-01 to D-05, [`Manifest::artifact_type`]) is one that the table
///    lists, and says something: many artifacts are declared as container images, or as nothing in
///    particular, because a registry would take nothing else (row D-06).
/// 2. The declared type begins as the table says.
/// 3. The manifest shows other evidence: media types and annotations of its layers, its own
///    annotations, those of its index entry, labels of its image config.
/// 4. What it declares, whatever that is.
///
/// Media types are compared without regard to case and parameters; a prefix may contain parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactType {
    declared: Option<MediaType>,
    known: Option<&'static Known>,
    sniffed: bool,
    is_index: bool,
}

/// Declared types that say nothing, or that artifacts of all sorts carry (row D-06).
const GENERIC: [&str; 5] = [
    MediaType::IMAGE_CONFIG,
    MediaType::DOCKER_CONFIG,
    MediaType::EMPTY,
    "application/vnd.unknown.config.v1+json",
    "application/vnd.unknown.artifact.v1",
];

impl ArtifactType {
    /// The name of an index that declares no type (row D-02).
    pub const INDEX: &'static str = "index";
    /// The name of any other manifest that declares no type (row D-04).
    pub const UNTYPED: &'static str = "untyped";

    /// Returns the type of `manifest` as far as it shows without the config.
    pub fn of(manifest: &Manifest) -> Self {
        Self::classify(manifest, &sniff::Labels::new())
    }

    /// Returns the type of content that is no manifest, by its media type (row A-15).
    pub fn declared_as(media_type: &MediaType) -> Self {
        let known = Known::by_type(media_type);
        Self { declared: Some(media_type.clone()), known, sniffed: false, is_index: false }
    }

    /// Returns the type of `manifest` whose config has the bytes `config`.
    ///
    /// Some kinds only show in the labels of their image config: bootc images, imgpkg bundles, OLM
    /// catalogs. Configs of any other type are not read (row C-08), and one that cannot be read has
    /// no labels.
    pub fn with_config(manifest: &Manifest, config: &[u8]) -> Self {
        Self::classify(manifest, &sniff::labels(manifest, config))
    }

    /// Returns the type that the manifest declares, as it is written there (rows D-01 to D-05).
    pub fn declared(&self) -> Option<&MediaType> {
        self.declared.as_ref()
    }

    /// Returns the entry of [`TABLE`] that applies.
    pub fn known(&self) -> Option<&'static Known> {
        self.known
    }

    /// Returns the name to show: that of the entry of [`TABLE`], else the declared type as it is
    /// written, else [`ArtifactType::INDEX`] or [`ArtifactType::UNTYPED`].
    pub fn name(&self) -> &str {
        match (self.known, &self.declared) {
            (Some(known), _) => known.name,
            (None, Some(declared)) if !declared.is(MediaType::EMPTY) => declared.as_str(),
            (None, None) if self.is_index => Self::INDEX,
            (None, _) => Self::UNTYPED,
        }
    }

    /// Returns the family, if the type is known.
    pub fn family(&self) -> Option<Family> {
        self.known.map(|known| known.family)
    }

    /// Tells whether the type comes from evidence and not from what the manifest declares.
    pub fn is_sniffed(&self) -> bool {
        self.sniffed
    }

    fn classify(manifest: &Manifest, labels: &sniff::Labels) -> Self {
        let declared = manifest.artifact_type().cloned();
        let known = declared.as_ref().and_then(Known::by_type);
        let says_something = known.is_some() && !declared.as_ref().is_some_and(is_generic);
        let evident = if says_something { None } else { sniff::sniff(manifest, labels) };
        Self {
            declared,
            known: evident.or(known),
            sniffed: evident.is_some(),
            is_index: matches!(manifest.content(), ManifestContent::Index(_)),
        }
    }
}

fn is_generic(media_type: &MediaType) -> bool {
    GENERIC.iter().any(|text| media_type.is(text))
}
