//! The images that Kubernetes manifests name.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::ConfigError;
use crate::selection::reference;

/// Environment variables by which operators are told of images begin so.
const RELATED: &str = "RELATED_IMAGE_";

/// YAML nested deeper than this is not looked into.
const MAX_DEPTH: usize = 128;

/// An image that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundImage {
    /// The reference in full: host, and tag or digest.
    pub reference: String,
    /// Where it is named: kind and name of the object, as far as it has them.
    pub named_by: String,
}

/// Finds the images that Kubernetes manifests name: every `image`, whatever kind of object it is
/// in, with `reference` where it is an image volume; and the variables `RELATED_IMAGE_*` of
/// operators. `name` is what errors call the file.
///
/// # Errors
///
/// The text is no YAML, such as a template that was not rendered.
pub fn find_images(name: &str, text: &str) -> Result<BTreeSet<FoundImage>, ConfigError> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| ConfigError::of_yaml(name, &error))?;
    let mut found = BTreeSet::new();
    for document in &documents {
        look(document, &object(document), MAX_DEPTH, &mut found);
    }
    Ok(found)
}

/// Returns what an object is called.
fn object(document: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&document["kind"]), text(&document["metadata"]["name"]));
    format!("{kind} {name}").trim().to_owned()
}

fn look(value: &Value, named_by: &str, depth: usize, found: &mut BTreeSet<FoundImage>) {
    if depth == 0 {
        return;
    }
    match value {
        Value::Array(items) => {
            for item in items {
                // A `List` has objects in it.
                let inner =
                    if item["kind"].is_string() { object(item) } else { named_by.to_owned() };
                look(item, &inner, depth - 1, found);
            }
        }
        Value::Object(members) => {
            let image = members.get("image");
            let in_volume = image.and_then(|image| image.get("reference"));
            let is_related = members
                .get("name")
                .and_then(Value::as_str)
                .is_some_and(|name| name.starts_with(RELATED));
            let related = members.get("value").filter(|_| is_related);
            for text in [image, in_volume, related].into_iter().flatten().filter_map(Value::as_str)
            {
                if let Some(reference) = as_image(text) {
                    found.insert(FoundImage { reference, named_by: named_by.to_owned() });
                }
            }
            for member in members.values() {
                look(member, named_by, depth - 1, found);
            }
        }
        _ => {}
    }
}

/// Returns a reference in full, if `text` is one. A word such as `true` or a file name with spaces
/// is none.
fn as_image(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| reference(text).ok())?.map(|reference| reference.to_string())
}
