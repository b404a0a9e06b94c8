//! A registry in memory, and requests to it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request};
use longshore_registry::{Access, Handler, Missing, RegistryOptions};
use longshore_spec::{Descriptor, Digest, MediaType};
use longshore_store::{Memory, Place};

pub(crate) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// Returns a header, or an empty text if it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Returns the code of the one error.
    pub(crate) fn code(&self) -> String {
        let json = self.json();
        assert_eq!(json["errors"].as_array().unwrap().len(), 1);
        assert!(json["errors"][0]["message"].is_string());
        json["errors"][0]["code"].as_str().unwrap().to_owned()
    }

    /// Returns the entries of a list.
    pub(crate) fn list(&self, member: &str) -> Vec<String> {
        let json = self.json();
        let items = json[member].as_array().unwrap().iter();
        items.map(|item| item.as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) fn registry(access: Access, missing: Missing) -> Handler {
    over(Arc::new(Memory::new()), access, missing)
}

pub(crate) fn over(place: Arc<dyn Place>, access: Access, missing: Missing) -> Handler {
    Handler::new(place, RegistryOptions { access, missing, ..RegistryOptions::default() })
}

pub(crate) fn writable() -> Handler {
    registry(Access::ReadWrite, Missing::Refuse)
}

pub(crate) fn sparse() -> Handler {
    registry(Access::ReadWrite, Missing::Accept)
}

/// Sends `request`, which is written `METHOD TARGET`.
pub(crate) fn ask(
    registry: &Handler,
    request: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let (method, target) = request.split_once(' ').unwrap();
    let mut builder = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    let (parts, body) = registry.handle(builder.body(body).unwrap()).into_parts();
    let length = body.length();
    let body = body.into_bytes().unwrap();
    assert_eq!(body.len() as u64, length, "{request}");
    if method != "HEAD" && parts.status != 204 && parts.status != 304 {
        let said = parts.headers["content-length"].to_str().unwrap();
        assert_eq!(said, length.to_string(), "{request}");
    }
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

pub(crate) fn get(registry: &Handler, target: &str) -> Answer {
    ask(registry, &format!("GET {target}"), &[], b"")
}

/// Makes a request, and fails if the answer has another status.
pub(crate) fn expect(
    registry: &Handler,
    request: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    status: u16,
) -> Answer {
    let answer = ask(registry, request, headers, body);
    assert_eq!(answer.status, status, "{request} {headers:?}: {:?}", answer.body);
    answer
}

pub(crate) fn push_blob(registry: &Handler, name: &str, content: &[u8]) -> Digest {
    let digest = Digest::sha256(content);
    let request = format!("POST /v2/{name}/blobs/uploads/?digest={digest}");
    expect(registry, &request, &[], content, 201);
    digest
}

/// Returns an image manifest of a config and layers.
pub(crate) fn image(config: &[u8], layers: &[&[u8]], subject: Option<&Descriptor>) -> Vec<u8> {
    let describe = |content: &&[u8]| Descriptor::of(MediaType::LAYER_TAR, content);
    let mut document = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::IMAGE_MANIFEST,
        "config": Descriptor::of(MediaType::IMAGE_CONFIG, config),
        "layers": layers.iter().map(describe).collect::<Vec<_>>(),
    });
    if let Some(subject) = subject {
        document["subject"] = serde_json::to_value(subject).unwrap();
    }
    // White space that must be kept.
    serde_json::to_vec_pretty(&document).unwrap()
}

pub(crate) const IMAGE: (&str, &str) = ("content-type", MediaType::IMAGE_MANIFEST);

/// Pushes an image with its blobs under a tag or digest, and returns its descriptor.
pub(crate) fn push_image(registry: &Handler, name: &str, tag: &str, layer: &[u8]) -> Descriptor {
    push_blob(registry, name, b"{}");
    push_blob(registry, name, layer);
    let raw = image(b"{}", &[layer], None);
    expect(registry, &format!("PUT /v2/{name}/manifests/{tag}"), &[IMAGE], &raw, 201);
    Descriptor::of(MediaType::IMAGE_MANIFEST, &raw)
}

/// Begins an upload and returns its location.
pub(crate) fn begin(registry: &Handler, name: &str) -> String {
    let answer = expect(registry, &format!("POST /v2/{name}/blobs/uploads/"), &[], b"", 202);
    answer.header("location").to_owned()
}
