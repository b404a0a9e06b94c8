//! Pulling manifests and blobs (rows F-05 to F-09).

use std::io;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderValue, IF_RANGE, RANGE};
use http::{HeaderMap, Method, Response, StatusCode};
use longshore_spec::{Descriptor, Digest, Manifest, RepositoryName};
use longshore_store::{Error, Selector, Source, Verifying};

use crate::body::{Body, Part};
use crate::context::Context;
use crate::error::{Code, ErrorResponse};
use crate::handler::Handler;
use crate::range::{self, RequestedRange};
use crate::response;

/// Manifests of up to so many bytes are held in memory while they are sent. Most have a few thousand.
const SHORT: u64 = 16 << 10;

impl Handler {
    /// Serves a manifest as it is stored, whatever `Accept` says: another form would have another digest
    /// (row F-08). For `HEAD`, the content is not read.
    pub(crate) fn pull_manifest(
        &self,
        method: &Method,
        name: &RepositoryName,
        selector: &Selector,
        context: &Context<'_>,
    ) -> Result<Response<Body>, ErrorResponse> {
        let repository = self.repository(name)?;
        let descriptor = repository.head(selector).map_err(no_manifest)?;
        if response::is_cached_by_client(context.headers, &descriptor.digest) {
            return Ok(response::not_modified(&descriptor));
        }
        let body = if *method == Method::GET {
            self.manifest_body(name, &*repository, &descriptor)?
        } else {
            Body::empty()
        };
        let mut response = Response::new(body);
        response::set_content_headers(&mut response, &descriptor);
        Ok(response)
    }

    /// Returns a manifest. A short one is held in memory. A long one is read once to verify it, and again
    /// while it is sent: many clients that ask for one and do not take it would fill the memory.
    fn manifest_body(
        &self,
        name: &RepositoryName,
        repository: &dyn Source,
        descriptor: &Descriptor,
    ) -> Result<Body, ErrorResponse> {
        if descriptor.size <= SHORT || descriptor.size > Manifest::MAX_SIZE {
            let manifest = repository.child(descriptor).map_err(no_manifest)?;
            return Ok(manifest.raw().clone().into());
        }
        let content = repository.open(descriptor, 0).map_err(no_manifest)?;
        let mut content = Verifying::new(content, descriptor).map_err(no_manifest)?;
        io::copy(&mut content, &mut io::sink()).map_err(Error::io("read", &descriptor.digest))?;
        let (place, repository) = (Arc::clone(&self.place), name.clone());
        let (blob, length) = (descriptor.clone(), descriptor.size);
        Ok(Body::blob(Part { place, repository, blob, start: 0, length }))
    }

    /// Serves a blob, or the range of it that a `GET` asks for.
    pub(crate) fn pull_blob(
        &self,
        method: &Method,
        name: &RepositoryName,
        digest: &Digest,
        context: &Context<'_>,
    ) -> Result<Response<Body>, ErrorResponse> {
        let blob = self.find_blob(name, digest)?;
        if response::is_cached_by_client(context.headers, digest) {
            return Ok(response::not_modified(&blob));
        }
        let wanted = if *method == Method::GET {
            wanted(context.headers, &blob)
        } else {
            RequestedRange::All
        };
        match wanted {
            RequestedRange::All => Ok(self.blob_part(name, blob, None)),
            RequestedRange::Part { start, length } => {
                Ok(self.blob_part(name, blob, Some((start, length))))
            }
            RequestedRange::Nothing => {
                let message = format!("the blob has {} bytes", blob.size);
                let mut range = HeaderMap::new();
                response::insert(&mut range, CONTENT_RANGE, format!("bytes */{}", blob.size));
                let error = ErrorResponse::new(Code::SizeInvalid, message);
                Err(error.status(StatusCode::RANGE_NOT_SATISFIABLE).headers(range))
            }
        }
    }

    fn find_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor, ErrorResponse> {
        self.repository(name)?.blob(digest).map_err(ErrorResponse::unknown(Code::BlobUnknown))
    }

    /// Returns `length` bytes from `start` on, or the whole blob.
    fn blob_part(
        &self,
        name: &RepositoryName,
        blob: Descriptor,
        part: Option<(u64, u64)>,
    ) -> Response<Body> {
        let mut response = Response::new(());
        let (start, length) = part.unwrap_or((0, blob.size));
        let place = Arc::clone(&self.place);
        let content = Part { place, repository: name.clone(), blob: blob.clone(), start, length };
        if part.is_some() {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        let mut response = response.map(|()| Body::blob(content));
        response::set_content_headers(&mut response, &blob);
        response::accept_ranges(&mut response);
        if part.is_some() {
            let range = format!("bytes {start}-{}/{}", start + length - 1, blob.size);
            response::insert(response.headers_mut(), CONTENT_RANGE, range);
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }
}

/// Returns the response if a manifest cannot be read. Content that is not a manifest counts as unknown.
fn no_manifest(error: Error) -> ErrorResponse {
    match error {
        Error::Manifest { digest, .. } => {
            ErrorResponse::new(Code::ManifestUnknown, format!("{digest} is no manifest"))
        }
        error => ErrorResponse::unknown(Code::ManifestUnknown)(error),
    }
}

/// Returns the range of a blob that is requested. If `If-Range` is not the entity tag of the blob, the
/// client has another version, and gets the whole blob.
fn wanted(headers: &HeaderMap, blob: &Descriptor) -> RequestedRange {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let is_same = text(IF_RANGE).is_none_or(|tag| tag.trim() == response::etag(&blob.digest));
    match text(RANGE) {
        Some(range) if is_same => range::wanted(range, blob.size),
        _ => RequestedRange::All,
    }
}
