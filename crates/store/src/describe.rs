//! What a manifest says of itself, with the help of its config.

use longshore_spec::artifact_type::ArtifactType;
use longshore_spec::{Descriptor, Manifest, ManifestContent, MediaType, Platform};

use crate::{Result, Source, Verifying};

/// A config of more bytes than this is not looked into.
const MAX_CONFIG: u64 = 4 << 20;

/// So many entries of an index are looked at to tell what it holds.
const MAX_ENTRIES: usize = 16;

/// Returns the type of a manifest of `source`; that of a container image also by the labels of its
/// config.
pub fn artifact_type(source: &dyn Source, manifest: &Manifest) -> ArtifactType {
    let of = ArtifactType::of(manifest);
    if of.is_sniffed() || !has_image_config(manifest) {
        return of;
    }
    let config = config(source, manifest).ok().flatten();
    config.map_or(of, |config| ArtifactType::with_config(manifest, &config))
}

/// Returns the one type that the entries of an index have which declares none itself (row I-03):
/// that of an image for several platforms, for example. Attestations do not count, they say
/// something about the rest (row B-17), nor does what is not here; of many entries the first are
/// looked at. `None` for what is no such index.
pub fn type_of_entries(source: &dyn Source, manifest: &Manifest) -> Option<ArtifactType> {
    let ManifestContent::Index(index) = manifest.content() else { return None };
    if manifest.artifact_type().is_some() {
        return None;
    }
    let says_something = |entry: &&Descriptor| {
        entry.platform.as_deref().is_none_or(|platform| !platform.is_unknown())
    };
    let entries = index.manifests.iter().filter(says_something).take(MAX_ENTRIES);
    let mut types = entries.filter_map(|entry| {
        let manifest = source.child(entry).ok()?;
        Some(artifact_type(source, &manifest))
    });
    let first = types.next()?;
    types.all(|other| other.name() == first.name()).then_some(first)
}

/// Returns the config of an image manifest of `source`, verified. `None` if it has none, or one of
/// more than 4 MiB. Fails as [`Source::open`] does, and on content that is not what its digest
/// says.
pub fn config(source: &dyn Source, manifest: &Manifest) -> Result<Option<Vec<u8>>> {
    let ManifestContent::Image(image) = manifest.content() else { return Ok(None) };
    if image.config.size > MAX_CONFIG {
        return Ok(None);
    }
    if let Ok(Some(embedded)) = image.config.embedded() {
        return Ok(Some(embedded));
    }
    let reader = source.open(&image.config, 0)?;
    Verifying::new(reader, &image.config)?.into_bytes().map(Some)
}

/// Returns the platforms that a manifest of `source` is for: those that an index lists, or that of
/// its descriptor or image config.
pub fn platforms(source: &dyn Source, manifest: &Manifest) -> Vec<Platform> {
    let said = |platform: &Platform| !platform.is_unknown();
    if let ManifestContent::Index(index) = manifest.content() {
        let listed = index.manifests.iter().filter_map(|entry| entry.platform.as_deref());
        let mut platforms: Vec<_> = listed.filter(|platform| said(platform)).cloned().collect();
        platforms.dedup();
        return platforms;
    }
    let listed = manifest.descriptor().platform.as_deref().filter(|platform| said(platform));
    if let Some(platform) = listed {
        return vec![platform.clone()];
    }
    let config = has_image_config(manifest).then(|| config(source, manifest).ok().flatten());
    config.flatten().and_then(|config| Platform::of_config(&config)).into_iter().collect()
}

fn has_image_config(manifest: &Manifest) -> bool {
    let images = [MediaType::IMAGE_CONFIG, MediaType::DOCKER_CONFIG];
    matches!(manifest.content(), ManifestContent::Image(image) if images.iter().any(|text| image.config.media_type.is(text)))
}
