//! The manifests of hauler: of kind `Images`; what others want is an error, and never left out unseen.

use longshore_spec::Reference;
use serde_json::Value;

use super::foreign_file::ForeignFile;
use crate::selection::reference;
use crate::{Choice, ConfigError, Item};

const GROUP: &str = "content.hauler.cattle.io/";

const PLATFORM: &str = "hauler.dev/platform";
const REGISTRY: &str = "hauler.dev/registry";
const KEY: &str = "hauler.dev/key";

/// What it means that a key is not used: hauler would refuse an image that it does not fit.
const NOT_VERIFIED: &str =
    "signatures are not verified, so this key is ignored; `cosign verify --key` verifies them";

pub(super) fn is_its(documents: &[Value]) -> bool {
    let is_its = |document: &Value| {
        document["apiVersion"].as_str().is_some_and(|version| version.starts_with(GROUP))
    };
    documents.iter().any(is_its)
}

pub(super) fn read(documents: &[Value], found: &mut ForeignFile<'_>) -> Result<(), ConfigError> {
    for (at, document) in documents.iter().enumerate().filter(|(_, document)| !document.is_null()) {
        let Some(kind) = document["kind"].as_str() else {
            found.ignore_in(at, "", "a document without `kind` is ignored");
            continue;
        };
        if kind != "Images" {
            let what_to_do = match kind {
                "Charts" => {
                    "write a chart that lies in a registry as `ref: HOST/PATH:VERSION` of `bundle.yaml`"
                }
                "Files" => {
                    "push files to a registry first, such as with oras, and write that as `ref`"
                }
                _ => "take the document out, and write what it wants as `ref` of `bundle.yaml`",
            };
            let message = format!("`{kind}` are not read; {what_to_do}");
            return Err(found.wrong_in(at, "kind", message));
        }
        let annotations = &document["metadata"]["annotations"];
        if let Some(annotations) = annotations.as_object() {
            let path = "metadata.annotations.";
            found.ignore_others_in(at, path, annotations, &[PLATFORM, REGISTRY, KEY]);
            if annotations.contains_key(KEY) {
                found.ignore_in(at, format!("{path}{KEY}"), NOT_VERIFIED);
            }
        }
        let images = document["spec"]["images"].as_array().into_iter().flatten();
        for (number, image) in images.enumerate() {
            let path = format!("spec.images[{number}].");
            if let Some(image) = image.as_object() {
                found.ignore_others_in(at, &path, image, &["name", "platform", "key"]);
                if image.contains_key("key") {
                    found.ignore_in(at, format!("{path}key"), NOT_VERIFIED);
                }
            }
            let name = image["name"].as_str().unwrap_or_default();
            let field = format!("{path}name");
            let mut wanted =
                reference(name).map_err(|message| found.wrong_in(at, &field, message))?;
            if let Some(registry) = annotations[REGISTRY].as_str() {
                wanted = in_registry(name, registry, wanted)
                    .map_err(|message| found.wrong_in(at, &field, message))?;
            }
            let mut item = Item::new(Choice::Reference(wanted), 0);
            let platform = image["platform"].as_str().or_else(|| annotations[PLATFORM].as_str());
            for platform in platform.into_iter().filter(|platform| *platform != "all") {
                let read = platform.parse().map_err(|error: longshore_spec::PlatformError| {
                    found.wrong_in(at, format!("{path}platform"), error.to_string())
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
