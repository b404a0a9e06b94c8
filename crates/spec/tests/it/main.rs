//! Tests of the public interface, one module per noun. Names and comments cite the rules they
//! hold the code to (A-30 and so on).

mod artifact_type;
mod descriptor;
mod digest;
mod manifest;
mod media_type;
mod oracle;
mod platform;
mod properties;
mod reference;
mod size;
mod type_filter;

use bytes::Bytes;
use longshore_spec::{Descriptor, Manifest, ManifestError, MediaType};

/// Reads `json` as the manifest that a descriptor of this media type points to.
fn parse_as(media_type: &str, json: &str) -> Result<Manifest, ManifestError> {
    let raw = Bytes::copy_from_slice(json.as_bytes());
    let descriptor = Descriptor::of(media_type, &raw);
    Manifest::parse(raw, descriptor)
}

/// Reads `json`, in which `'` stands for `"`, as what it says it is.
fn manifest(json: &str) -> Manifest {
    let json = json.replace('\'', "\"");
    let media_type = Manifest::media_type_of(json.as_bytes()).expect("the fixture is a manifest");
    parse_as(media_type.as_str(), &json).expect("the fixture is a manifest")
}

/// The JSON of a descriptor of the two bytes `{}` with this media type and more members.
fn blob(media_type: &str, more: &str) -> String {
    let digest = Descriptor::empty().digest;
    let more = if more.is_empty() { String::new() } else { format!(",{more}") };
    format!("{{'mediaType':'{media_type}','digest':'{digest}','size':2{more}}}")
}

/// An image manifest without `mediaType`, of one layer.
fn image(config: &str, layer: &str, more: &str) -> Manifest {
    let config = blob(config, "");
    let more = if more.is_empty() { String::new() } else { format!(",{more}") };
    manifest(&format!("{{'schemaVersion':2,'config':{config},'layers':[{layer}]{more}}}"))
}

/// An OCI image manifest whose config says that it is an image, of one layer of this media type.
fn disguised(layer: &str) -> Manifest {
    image(MediaType::IMAGE_CONFIG, &blob(layer, ""), "")
}
