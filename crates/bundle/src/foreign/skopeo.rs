//! The YAML of `skopeo sync --src yaml`: by registry, images with tags, patterns or versions.

use longshore_spec::{Digest, Reference};
use serde_json::{Map, Value};

use super::Found;
use crate::document::{range, regex_error};
use crate::{ConfigError, Item, TagRules, What};

const IMAGES: &str = "images";
const BY_REGEX: &str = "images-by-tag-regex";
const BY_VERSION: &str = "images-by-semver";

pub(super) fn is_its(document: &Map<String, Value>) -> bool {
    let is_registry = |value: &Value| {
        [IMAGES, BY_REGEX, BY_VERSION]
            .iter()
            .any(|key| value.get(key).is_some_and(Value::is_object))
    };
    !document.is_empty() && document.values().all(is_registry)
}

pub(super) fn read(
    document: &Map<String, Value>,
    found: &mut Found<'_>,
) -> Result<(), ConfigError> {
    for (host, registry) in document {
        let Some(registry) = registry.as_object() else { continue };
        found.ignore_others(&format!("{host}."), registry, &[IMAGES, BY_REGEX, BY_VERSION]);
        let under = |key: &str| registry.get(key).and_then(Value::as_object).into_iter().flatten();
        for (image, tags) in under(IMAGES) {
            let path = format!("{host}.{IMAGES}.{image}");
            images(host, image, tags, &path, found)?;
        }
        for (image, pattern) in under(BY_REGEX) {
            let path = format!("{host}.{BY_REGEX}.{image}");
            let pattern = pattern.as_str().unwrap_or_default();
            // It may match anywhere in a tag.
            let regex = regex::Regex::new(pattern)
                .map_err(|error| found.wrong(&path, regex_error(&error)))?;
            let rules = TagRules { regex: Some(regex), ..TagRules::default() };
            choose(host, image, rules, &path, found)?;
        }
        for (image, versions) in under(BY_VERSION) {
            let path = format!("{host}.{BY_VERSION}.{image}");
            let semver = range(versions.as_str().unwrap_or_default())
                .map_err(|message| found.wrong(&path, message))?;
            let rules = TagRules { semver: Some(semver), ..TagRules::default() };
            choose(host, image, rules, &path, found)?;
        }
    }
    Ok(())
}

/// Takes all tags of an image, or those that are listed, some of which may be digests.
fn images(
    host: &str,
    image: &str,
    listed: &Value,
    path: &str,
    found: &mut Found<'_>,
) -> Result<(), ConfigError> {
    let listed = listed.as_array().map(Vec::as_slice).unwrap_or_default();
    if listed.is_empty() {
        return choose(host, image, TagRules::default(), path, found);
    }
    for selector in listed {
        let text = match selector {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let separator = if text.parse::<Digest>().is_ok() { '@' } else { ':' };
        let reference = reference(&format!("{host}/{image}{separator}{text}"), path, found)?;
        found.items.push(Item::new(What::Reference(reference), 0));
    }
    Ok(())
}

fn choose(
    host: &str,
    image: &str,
    rules: TagRules,
    path: &str,
    found: &mut Found<'_>,
) -> Result<(), ConfigError> {
    let repository = reference(&format!("{host}/{image}"), path, found)?;
    found.items.push(Item::new(What::Repository(repository, rules), 0));
    Ok(())
}

fn reference(text: &str, path: &str, found: &Found<'_>) -> Result<Reference, ConfigError> {
    Reference::from_docker_name(text).map_err(|error| found.wrong(path, error.to_string()))
}
