//! What several commands show of a manifest.

use std::io::Read as _;

use longshore_spec::artifact_type::{ArtifactType, TypeFilter};
use longshore_spec::{Content, Descriptor, Kind, Manifest, MediaType, Platform};
use longshore_store::{Error, Result, Source, Verifying};

use crate::problem::{Exit, Problem};
use crate::report;

/// A config of more bytes than this is not looked into.
const MAX_CONFIG: u64 = 4 << 20;

/// What an entry turned out to be.
pub(crate) enum Look {
    Manifest(Box<Manifest>),
    /// It is no manifest (row A-15).
    Opaque,
    Broken(Error),
}

/// Reads what a descriptor points to as a manifest.
pub(crate) fn look(source: &dyn Source, descriptor: &Descriptor) -> Look {
    match source.child(descriptor) {
        Ok(manifest) => Look::Manifest(Box::new(manifest)),
        Err(Error::Manifest { .. } | Error::Limit { .. } | Error::Unverifiable { .. })
            if Kind::of(&descriptor.media_type).is_none() =>
        {
            Look::Opaque
        }
        Err(error) => Look::Broken(error),
    }
}

/// Returns the type of a manifest; for container images also by the labels of the config.
pub(crate) fn artifact_type(source: &dyn Source, manifest: &Manifest) -> ArtifactType {
    let of = ArtifactType::of(manifest);
    let images = [MediaType::IMAGE_CONFIG, MediaType::DOCKER_CONFIG];
    let Content::Image(image) = manifest.content() else { return of };
    if of.is_sniffed() || !images.iter().any(|text| image.config.media_type.is(text)) {
        return of;
    }
    config(source, manifest)
        .ok()
        .flatten()
        .map_or(of, |config| ArtifactType::with_config(manifest, &config))
}

/// Returns the config of an image manifest, verified. `None` if there is none, or it is too large.
pub(crate) fn config(source: &dyn Source, manifest: &Manifest) -> Result<Option<Vec<u8>>> {
    let Content::Image(image) = manifest.content() else { return Ok(None) };
    if image.config.size > MAX_CONFIG {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let reader = source.open(&image.config, 0)?;
    let read = Verifying::new(reader, &image.config)?.read_to_end(&mut bytes);
    read.map_err(Error::io("read", &image.config.digest))?;
    Ok(Some(bytes))
}

/// Returns the platforms that something is for: those that an index lists, or that of its
/// descriptor or image config.
pub(crate) fn platforms(source: &dyn Source, manifest: &Manifest) -> Vec<String> {
    if let Content::Index(index) = manifest.content() {
        let mut platforms: Vec<_> = index.manifests.iter().filter_map(report::platform).collect();
        platforms.dedup();
        return platforms;
    }
    if let Some(platform) = report::platform(manifest.descriptor()) {
        return vec![platform];
    }
    let image = artifact_type_is_image(manifest);
    let config = image.then(|| config(source, manifest).ok().flatten()).flatten();
    let platform: Option<Platform> = config.and_then(|config| serde_json::from_slice(&config).ok());
    let said = platform.filter(|platform| {
        !platform.os.is_empty() && !platform.architecture.is_empty() && !platform.is_unknown()
    });
    said.map(|platform| platform.to_string()).into_iter().collect()
}

fn artifact_type_is_image(manifest: &Manifest) -> bool {
    let images = [MediaType::IMAGE_CONFIG, MediaType::DOCKER_CONFIG];
    matches!(manifest.content(), Content::Image(image) if images.iter().any(|text| image.config.media_type.is(text)))
}

/// Reads what was typed behind `--type`.
pub(crate) fn types(typed: &[String]) -> Result<TypeFilter, Problem> {
    TypeFilter::parse(typed).map_err(|error| {
        Problem::new(Exit::Usage, error.to_string())
            .hint("see `longshore types`; a media type works too")
    })
}
