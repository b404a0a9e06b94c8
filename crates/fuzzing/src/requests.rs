//! A server, and requests that nobody would send.

use std::sync::Arc;

use http::{HeaderName, Request};
use longshore_registry::{Access, Handler, RegistryOptions};
use longshore_spec::Digest;
use longshore_store::Memory;

/// What stands behind a target in a line, in this order.
const HEADERS: [&str; 7] = [
    "range",
    "if-range",
    "content-range",
    "content-length",
    "content-type",
    "if-none-match",
    "accept",
];

/// Any sequence of requests is answered, never by a panic or a fault of the server, and what is
/// answered is what was asked for.
///
/// A line of the input is a request: `METHOD TARGET`, then headers and a body, parted by tabs.
pub fn requests(input: &[u8]) {
    let options = RegistryOptions { access: Access::ReadWrite, ..RegistryOptions::default() };
    let registry = Handler::new(Arc::new(Memory::new()), options);
    // The id of the last upload, which nobody can guess: `@` stands for it.
    let mut upload = String::new();
    for line in input.split(|byte| *byte == b'\n').take(32) {
        let mut parts = line.split(|byte| *byte == b'\t');
        let first = String::from_utf8_lossy(parts.next().unwrap_or_default()).replace('@', &upload);
        let Some((method, target)) = first.split_once(' ') else { continue };
        let mut request = Request::builder().method(method).uri(target);
        let mut rest: Vec<_> = parts.collect();
        let body = rest.pop().unwrap_or_default();
        for (name, value) in HEADERS.iter().zip(rest) {
            if !value.is_empty() {
                request = request.header(HeaderName::from_static(name), value);
            }
        }
        let Ok(request) = request.body(body) else { continue };
        let response = registry.handle(request);
        assert!(!response.status().is_server_error(), "{first}: {}", response.status());
        if let Some(id) = response.headers().get("docker-upload-uuid") {
            id.to_str().unwrap_or_default().clone_into(&mut upload);
        }
        let digest = response.headers().get("docker-content-digest").cloned();
        let (status, length) = (response.status().as_u16(), response.body().length());
        let body = response.into_body().into_bytes().expect("memory does not fail");
        assert_eq!(body.len() as u64, length);
        if let (Some(digest), "GET", 200) = (digest, method, status) {
            let digest: Digest = digest.to_str().unwrap_or_default().parse().expect("a digest");
            assert_eq!(digest.recompute(&body), Some(digest), "{first}");
        }
    }
}
