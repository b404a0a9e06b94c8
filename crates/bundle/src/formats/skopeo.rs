//! The YAML of `skopeo sync --src yaml`: by registry, images with tags, patterns or versions.

use std::collections::BTreeMap;

use longshore_spec::{Digest, Reference};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::foreign_file::ForeignFile;
use super::yaml;
use crate::{Choice, ConfigError, Item, TagRules, tags};

const IMAGES: &str = "images";
const BY_REGEX: &str = "images-by-tag-regex";
const BY_VERSION: &str = "images-by-semver";

/// Values as they are written: `3.10` is a tag, and no number.
#[derive(Deserialize)]
struct Registry {
    #[serde(default)]
    images: Option<BTreeMap<String, Option<Vec<String>>>>,
    #[serde(default, rename = "images-by-tag-regex")]
    by_regex: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "images-by-semver")]
    by_version: Option<BTreeMap<String, String>>,
}

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
    text: &str,
    found: &mut ForeignFile<'_>,
) -> Result<(), ConfigError> {
    for (host, registry) in document {
        if let Some(registry) = registry.as_object() {
            found.ignore_others(&format!("{host}."), registry, &[IMAGES, BY_REGEX, BY_VERSION]);
        }
    }
    let registries: BTreeMap<String, Registry> = yaml::one(found.name, text)?;
    for (host, Registry { images: listed, by_regex, by_version }) in &registries {
        for (image, tags) in listed.iter().flatten() {
            let path = format!("{host}.{IMAGES}.{image}");
            images(host, image, tags.as_deref().unwrap_or_default(), &path, found)?;
        }
        for (image, pattern) in by_regex.iter().flatten() {
            let path = format!("{host}.{BY_REGEX}.{image}");
            let regex =
                anywhere(pattern).map_err(|error| found.wrong(&path, tags::regex_error(&error)))?;
            let rules = TagRules { regex: Some(regex), ..TagRules::default() };
            choose(host, image, rules, &path, found)?;
        }
        for (image, versions) in by_version.iter().flatten() {
            let path = format!("{host}.{BY_VERSION}.{image}");
            let semver =
                tags::range(&exact(versions)).map_err(|message| found.wrong(&path, message))?;
            let rules = TagRules { semver: Some(semver), ..TagRules::default() };
            choose(host, image, rules, &path, found)?;
        }
    }
    Ok(())
}

/// Reads a pattern that may match anywhere in a tag.
fn anywhere(pattern: &str) -> Result<regex::Regex, regex::Error> {
    regex::Regex::new(pattern)?;
    tags::anchored(&format!(".*(?:{pattern}).*"))
}

/// Returns a range in which a version without an operator is meant as it stands: there `1.2` is any
/// `1.2.x`, and here it would be `^1.2`.
fn exact(range: &str) -> String {
    let exact = |condition: &str| {
        let at = condition.find(|c| !"<>=~^".contains(c)).unwrap_or(condition.len());
        let (operator, version) = condition.split_at(at);
        let version = version.strip_prefix('v').unwrap_or(version);
        let is_bare = operator.is_empty()
            && version.starts_with(|c: char| c.is_ascii_digit())
            && !version.contains(['*', 'x', 'X']);
        format!("{}{version}", if is_bare { "=" } else { operator })
    };
    tags::conditions(range).split(',').map(exact).collect::<Vec<_>>().join(",")
}

/// Takes all tags of an image, or those that are listed, some of which may be digests.
fn images(
    host: &str,
    image: &str,
    listed: &[String],
    path: &str,
    found: &mut ForeignFile<'_>,
) -> Result<(), ConfigError> {
    if listed.is_empty() {
        return choose(host, image, TagRules::default(), path, found);
    }
    for text in listed {
        let separator = if text.parse::<Digest>().is_ok() { '@' } else { ':' };
        let reference = reference(&format!("{host}/{image}{separator}{text}"), path, found)?;
        found.items.push(Item::new(Choice::Reference(reference), 0));
    }
    Ok(())
}

fn choose(
    host: &str,
    image: &str,
    rules: TagRules,
    path: &str,
    found: &mut ForeignFile<'_>,
) -> Result<(), ConfigError> {
    let repository = reference(&format!("{host}/{image}"), path, found)?;
    found.items.push(Item::new(Choice::Repository(repository, rules), 0));
    Ok(())
}

fn reference(text: &str, path: &str, found: &ForeignFile<'_>) -> Result<Reference, ConfigError> {
    Reference::from_docker_name(text).map_err(|error| found.wrong(path, error.to_string()))
}
