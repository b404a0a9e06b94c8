//! The manifests of hauler: of kind `Images`; others are named.

use longshore_spec::Reference;
use serde_json::Value;

use super::Found;
use crate::selection::reference;
use crate::{ConfigError, Item, What};

const GROUP: &str = "content.hauler.cattle.io/";

const PLATFORM: &str = "hauler.dev/platform";
const REGISTRY: &str = "hauler.dev/registry";

pub(super) fn is_its(documents: &[Value]) -> bool {
    let is_its = |document: &Value| {
        document["apiVersion"].as_str().is_some_and(|version| version.starts_with(GROUP))
    };
    documents.iter().any(is_its)
}

pub(super) fn read(documents: &[Value], found: &mut Found<'_>) -> Result<(), ConfigError> {
    for (number, document) in (1..).zip(documents).filter(|(_, document)| !document.is_null()) {
        let Some(kind) = document["kind"].as_str() else {
            found.ignore(format!("document {number}, which has no `kind`"));
            continue;
        };
        if kind != "Images" {
            let name = document["metadata"]["name"].as_str().unwrap_or_default();
            found.ignore(format!("{kind} {name}").trim().to_owned());
            continue;
        }
        let annotations = &document["metadata"]["annotations"];
        if let Some(annotations) = annotations.as_object() {
            found.ignore_others("metadata.annotations.", annotations, &[PLATFORM, REGISTRY]);
        }
        let images = document["spec"]["images"].as_array().into_iter().flatten();
        for (number, image) in images.enumerate() {
            let path = format!("spec.images[{number}].");
            if let Some(image) = image.as_object() {
                found.ignore_others(&path, image, &["name", "platform"]);
            }
            let name = image["name"].as_str().unwrap_or_default();
            let field = format!("{path}name");
            let mut wanted = reference(name).map_err(|message| found.wrong(&field, message))?;
            if let Some(registry) = annotations[REGISTRY].as_str() {
                wanted = in_registry(name, registry, wanted)
                    .map_err(|message| found.wrong(&field, message))?;
            }
            let mut item = Item::new(What::Reference(wanted), 0);
            let platform = image["platform"].as_str().or_else(|| annotations[PLATFORM].as_str());
            for platform in platform.into_iter().filter(|platform| *platform != "all") {
                let read = platform.parse().map_err(|error: longshore_spec::PlatformError| {
                    found.wrong(format!("{path}platform"), error.to_string())
                })?;
                item.platforms.push(read);
            }
            found.items.push(item);
        }
    }
    Ok(())
}

/// Puts a name that has no host into the registry that the manifest says.
fn in_registry(name: &str, registry: &str, wanted: Reference) -> Result<Reference, String> {
    let has_host = name.parse::<Reference>().is_ok();
    if has_host { Ok(wanted) } else { reference(&format!("{registry}/{name}")) }
}
