//! The second stage: what a manifest is when its declared type does not say (row D-06).

use serde::Deserialize;

use super::is_generic;
use super::table::{Evidence, Known, TABLE};
use crate::annotations::{self, Annotations};
use crate::{Descriptor, Manifest, ManifestContent, MediaType, Role};

/// Labels of an image config, by key.
pub(super) type Labels = Annotations;

/// Returns the first entry of the table for which `manifest` shows evidence.
pub(super) fn sniff(manifest: &Manifest, labels: &Labels) -> Option<&'static Known> {
    by_config_type(manifest).or_else(|| {
        TABLE
            .iter()
            .find(|known| known.evidence.iter().any(|evidence| shows(manifest, labels, evidence)))
    })
}

/// Returns the labels in the image config `config` of `manifest`; none if it is no image config.
pub(super) fn labels(manifest: &Manifest, config: &[u8]) -> Labels {
    #[derive(Deserialize)]
    struct ImageConfig {
        config: Option<Runtime>,
    }
    #[derive(Deserialize)]
    struct Runtime {
        #[serde(default, rename = "Labels", deserialize_with = "annotations::lenient")]
        labels: Labels,
    }

    let is_image = |media_type: &MediaType| {
        [MediaType::IMAGE_CONFIG, MediaType::DOCKER_CONFIG].iter().any(|text| media_type.is(text))
    };
    match manifest.content() {
        ManifestContent::Image(image) if is_image(&image.config.media_type) => {
            serde_json::from_slice::<ImageConfig>(config)
                .ok()
                .and_then(|image| image.config)
                .map(|runtime| runtime.labels)
                .unwrap_or_default()
        }
        _ => Labels::new(),
    }
}

/// A config's media type is evidence where the manifest names another, useless artifact type.
fn by_config_type(manifest: &Manifest) -> Option<&'static Known> {
    let ManifestContent::Image(image) = manifest.content() else { return None };
    Known::by_type(&image.config.media_type).filter(|_| !is_generic(&image.config.media_type))
}

fn shows(manifest: &Manifest, labels: &Labels, evidence: &Evidence) -> bool {
    let mut parts =
        manifest.children().filter(|(role, _)| *role != Role::Config).map(|(_, part)| part);
    match *evidence {
        Evidence::Layer(media_type) => {
            parts.any(|part: &Descriptor| is_like(&part.media_type, media_type))
        }
        Evidence::LayerAnnotation(key, value) => {
            parts.any(|part| holds(&part.annotations, key, value))
        }
        Evidence::Annotation(key, value) => holds(manifest.annotations(), key, value),
        Evidence::EntryAnnotation(key, value) => {
            holds(&manifest.descriptor().annotations, key, value)
        }
        Evidence::ConfigLabel(key, value) => holds(labels, key, value),
    }
}

fn is_like(media_type: &MediaType, pattern: &str) -> bool {
    if pattern.contains('*') {
        matches(media_type.as_str(), pattern)
    } else {
        media_type.is(pattern)
    }
}

fn holds(pairs: &Annotations, key: &str, value: &str) -> bool {
    pairs.iter().any(|(k, v)| matches(k, key) && matches(v, value))
}

/// Tells whether `text` is `pattern`, in which a `*` at one end stands for anything.
fn matches(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.to_ascii_lowercase(), pattern.to_ascii_lowercase());
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(start), _) => text.starts_with(start),
        (_, Some(end)) => text.ends_with(end),
        (None, None) => text == pattern,
    }
}
