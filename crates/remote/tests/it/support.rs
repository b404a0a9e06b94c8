//! Helpers for all tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use longshore_remote::{Client, Config, Registry, RemoteRepository};
use longshore_spec::{Descriptor, Hasher, Manifest, MediaType};
use longshore_store::{Blob, MountSource, Result, Verifying, manifest_from};

/// A config without long waits.
pub(crate) fn config() -> Config {
    Config { backoff: Duration::from_millis(1), retries: 3, ..Config::default() }
}

pub(crate) fn registry(host: &str) -> Registry {
    Client::new(&config()).unwrap().registry(host).unwrap()
}

pub(crate) fn remote(host: &str) -> RemoteRepository {
    registry(host).remote_repository(&"library/app".parse().unwrap())
}

/// A blob in memory.
pub(crate) struct Piece {
    pub(crate) descriptor: Descriptor,
    pub(crate) content: Bytes,
    pub(crate) location: Option<MountSource>,
    pub(crate) opened: Arc<AtomicUsize>,
}

impl Piece {
    pub(crate) fn new(content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let descriptor = Descriptor::of("application/octet-stream", &content);
        Self { descriptor, content, location: None, opened: Arc::default() }
    }
}

impl Blob for Piece {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn location(&self) -> Option<MountSource> {
        self.location.clone()
    }

    fn open(&self, prefix: Option<Hasher>) -> Result<Verifying<'_>> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let Some(prefix) = prefix else {
            return Verifying::new(Box::new(&self.content[..]), &self.descriptor);
        };
        let rest = &self.content[usize::try_from(prefix.count()).unwrap()..];
        Ok(Verifying::resume(Box::new(rest), &self.descriptor, prefix))
    }
}

/// Content that no reader can get past by chance.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap()).collect()
}

pub(crate) fn image(subject: Option<&Descriptor>) -> Manifest {
    let config = serde_json::json!(Descriptor::empty());
    let mut document = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::IMAGE_MANIFEST,
        "config": config,
        "layers": [],
        "annotations": {"note": subject.map_or("plain", |_| "signature")},
    });
    if let Some(subject) = subject {
        document["subject"] = serde_json::json!(subject);
    }
    manifest(&document.to_string())
}

pub(crate) fn manifest(raw: &str) -> Manifest {
    let media_type = Manifest::media_type_of(raw.as_bytes()).unwrap();
    manifest_from(raw.to_owned().into(), Descriptor::of(media_type, raw.as_bytes())).unwrap()
}
