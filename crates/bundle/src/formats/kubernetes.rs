//! The images that Kubernetes manifests name.

use std::collections::BTreeSet;

use serde_json::Value;

use super::yaml;
use crate::ConfigError;
use crate::selection::reference;

/// Prefix of the environment variables that tell operators which images to use.
const RELATED_PREFIX: &str = "RELATED_IMAGE_";

/// An image that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundImage {
    /// The reference in full: host, and tag or digest.
    pub reference: String,
    /// Where it is named: kind and name of the object, as far as it has them.
    pub named_by: String,
}

/// Text that stands where an image should, and is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnrecognisedImage {
    /// What stands there.
    pub text: String,
    /// Where: kind and name of the object, as far as it has them.
    pub named_by: String,
}

/// What manifests name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The images.
    pub images: BTreeSet<FoundImage>,
    /// What may mean an image, such as a template within quotes or one made of parts.
    pub unrecognised: BTreeSet<UnrecognisedImage>,
}

/// Finds the images that Kubernetes manifests name: every `image`, whatever kind of object it is
/// in, with `reference` where it is an image volume; and the variables `RELATED_IMAGE_*` of
/// operators. `name` is what errors call the file.
///
/// # Errors
///
/// The text is no YAML, such as a template that was not rendered.
pub fn find_images(name: &str, text: &str) -> Result<Found, ConfigError> {
    let documents: Vec<Value> = yaml::several(name, text)?;
    let mut found = Found::default();
    for document in &documents {
        collect_images(document, &object_label(document), yaml::MAX_DEPTH, &mut found);
    }
    Ok(found)
}

/// Returns kind and name of an object.
fn object_label(document: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&document["kind"]), text(&document["metadata"]["name"]));
    format!("{kind} {name}").trim().to_owned()
}

/// Adds the images in `value`, a part of the object `named_by`, to `found`.
fn collect_images(value: &Value, named_by: &str, depth: usize, found: &mut Found) {
    // The parser refuses deeper nesting.
    if depth == 0 {
        return;
    }
    match value {
        Value::Array(items) => {
            for item in items {
                // A `List` has objects in it.
                let inner =
                    if item["kind"].is_string() { object_label(item) } else { named_by.to_owned() };
                collect_images(item, &inner, depth - 1, found);
            }
        }
        Value::Object(members) => {
            let image = members.get("image");
            let in_volume = image.and_then(|image| image.get("reference"));
            let is_related = members
                .get("name")
                .and_then(Value::as_str)
                .is_some_and(|name| name.starts_with(RELATED_PREFIX));
            let related = members.get("value").filter(|_| is_related);
            for text in [image, in_volume, related].into_iter().flatten().filter_map(Value::as_str)
            {
                found.take(text.trim(), named_by);
            }
            if let Some(text) = image.and_then(in_parts) {
                found
                    .unrecognised
                    .insert(UnrecognisedImage { text, named_by: named_by.to_owned() });
            }
            for member in members.values() {
                collect_images(member, named_by, depth - 1, found);
            }
        }
        _ => {}
    }
}

impl Found {
    fn take(&mut self, text: &str, named_by: &str) {
        let named_by = named_by.to_owned();
        match reference(text) {
            Ok(reference) => {
                let reference = reference.to_string();
                self.images.insert(FoundImage { reference, named_by });
            }
            Err(_) if text.is_empty() => {}
            Err(_) => {
                self.unrecognised.insert(UnrecognisedImage { text: text.to_owned(), named_by });
            }
        }
    }
}

/// Returns an `image` given in parts (`repository`, `tag`, …), as text: how to join them depends on the
/// chart.
fn in_parts(image: &Value) -> Option<String> {
    let part = |key: &str| image.get(key).and_then(Value::as_str);
    part("repository")?;
    let parts = ["registry", "repository", "tag", "digest"];
    let parts = parts.iter().filter_map(|key| Some(format!("{key}: {}", part(key)?)));
    Some(format!("{{ {} }}", parts.collect::<Vec<_>>().join(", ")))
}
