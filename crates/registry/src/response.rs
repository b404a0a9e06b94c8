//! Building responses.

use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH,
    LINK, LOCATION,
};
use http::{HeaderMap, Response, StatusCode};
use longshore_spec::{Descriptor, Digest};
use serde::Serialize;

use crate::body::Body;

pub(crate) const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Returns a response without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
    }
    response
}

/// Returns `document` as JSON.
pub(crate) fn json(document: &impl Serialize) -> Response<Body> {
    // The keys of these documents are strings, so this cannot fail.
    let text = serde_json::to_vec(document).unwrap_or_default();
    with_body(Body::from(text), HeaderValue::from_static("application/json"))
}

/// Returns a response with a body. It always has a length, and is never chunked (row F-05).
pub(crate) fn with_body(body: Body, media_type: HeaderValue) -> Response<Body> {
    let length = HeaderValue::from(body.length());
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

/// Sets the headers of content: type, length and digest (rows F-05, F-06).
pub(crate) fn set_content_headers(response: &mut Response<Body>, content: &Descriptor) {
    let media_type = HeaderValue::from_str(content.media_type.essence());
    let media_type = media_type.ok().filter(|value| !value.is_empty()).unwrap_or(OCTET_STREAM);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(content.size));
    insert(headers, DIGEST, &content.digest);
    insert(headers, ETAG, etag(&content.digest));
}

/// Says that ranges may be requested.
pub(crate) fn accept_ranges(response: &mut Response<Body>) {
    response.headers_mut().insert(CONTENT_TYPE, OCTET_STREAM);
    response.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
}

/// Returns `201 Created` for content that now lies at `location`.
pub(crate) fn created(location: impl ToString, digest: &Digest) -> Response<Body> {
    let mut response = empty(StatusCode::CREATED);
    insert(response.headers_mut(), LOCATION, location);
    insert(response.headers_mut(), DIGEST, digest);
    response
}

/// Sets a header. The grammars allow no value that a header cannot hold; such a value would be left out.
pub(crate) fn insert(headers: &mut HeaderMap, name: HeaderName, value: impl ToString) {
    if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
        headers.insert(name, value);
    }
}

/// Adds the link to the next page of a list (row F-32).
pub(crate) fn next_page(response: &mut Response<Body>, target: &str) {
    insert(response.headers_mut(), LINK, format!("<{target}>; rel=\"next\""));
}

/// Returns the entity tag of content, which is its digest.
pub(crate) fn etag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// Tells whether the client has the content already, by `If-None-Match`.
pub(crate) fn is_cached_by_client(headers: &HeaderMap, digest: &Digest) -> bool {
    let etag = etag(digest);
    let listed = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = listed.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Returns the response to a client that has the content already.
pub(crate) fn not_modified(content: &Descriptor) -> Response<Body> {
    let mut response = empty(StatusCode::NOT_MODIFIED);
    insert(response.headers_mut(), DIGEST, &content.digest);
    insert(response.headers_mut(), ETAG, etag(&content.digest));
    response
}
