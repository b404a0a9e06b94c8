//! Pushing blobs (rows F-10 to F-21, F-49).

use std::io::{self, Read};
use std::time::Instant;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName, LOCATION, RANGE};
use http::{HeaderMap, Response, StatusCode};
use longshore_spec::{Descriptor, Digest, Hasher, RepositoryName};
use longshore_store::Error;

use crate::body::{Body, PIECE};
use crate::context::Context;
use crate::error::{Code, ErrorResponse};
use crate::handler::Handler;
use crate::range;
use crate::response;
use crate::route;
use crate::uploads::Lease;

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

impl Handler {
    /// Begins an upload, or completes it at once: by a mount, or with the content in this request.
    pub(crate) fn begin_upload(
        &self,
        name: &RepositoryName,
        context: Context<'_>,
    ) -> Result<Response<Body>, ErrorResponse> {
        if let Some(digest) = context.query.first("mount") {
            let digest = route::digest(digest)?;
            if self.mount(name, &digest, context.query.first("from"))? {
                return Ok(created(name, &digest));
            }
        }
        let digest = context.query.first("digest").map(supported_digest).transpose()?;
        let hasher = match (&digest, context.query.first("digest-algorithm")) {
            (Some((_, hasher)), _) => hasher.clone(),
            (None, Some(algorithm)) => hasher_of(algorithm)?,
            (None, None) => Hasher::sha256(),
        };
        let now = Instant::now();
        self.expire_uploads(now);
        let begin = || Ok(self.place.upload(name, hasher)?);
        let mut lease = self.uploads.add(name, context.site, now, begin)?;
        let Some((digest, _)) = digest else {
            return Ok(status(StatusCode::ACCEPTED, name, &lease));
        };
        if let Err(error) = self.receive(&mut lease, content_length(context.headers)?, context.body)
        {
            lease.discard();
            return Err(error);
        }
        finish(name, lease, &digest)
    }

    /// Appends a chunk, or a stream if there is neither `Content-Range` nor `Content-Length` (row F-15).
    pub(crate) fn append(
        &self,
        name: &RepositoryName,
        id: &str,
        context: Context<'_>,
    ) -> Result<Response<Body>, ErrorResponse> {
        let mut lease = self.uploads.lease(name, id)?;
        let length = chunk_length(name, &lease, context.headers)?;
        self.receive(&mut lease, length, context.body)?;
        Ok(status(StatusCode::ACCEPTED, name, &lease))
    }

    /// Appends the rest, if there is any, and ends the upload.
    pub(crate) fn finish_upload(
        &self,
        name: &RepositoryName,
        id: &str,
        context: Context<'_>,
    ) -> Result<Response<Body>, ErrorResponse> {
        let mut lease = self.uploads.lease(name, id)?;
        let digest = context.query.first("digest");
        let digest =
            digest.ok_or_else(|| ErrorResponse::new(Code::DigestInvalid, "no digest is given"))?;
        let (digest, _) = supported_digest(digest)?;
        let length = chunk_length(name, &lease, context.headers)?;
        self.receive(&mut lease, length, context.body)?;
        finish(name, lease, &digest)
    }

    pub(crate) fn upload_status(
        &self,
        name: &RepositoryName,
        id: &str,
    ) -> Result<Response<Body>, ErrorResponse> {
        let lease = self.uploads.lease(name, id)?;
        Ok(status(StatusCode::NO_CONTENT, name, &lease))
    }

    pub(crate) fn cancel_upload(
        &self,
        name: &RepositoryName,
        id: &str,
    ) -> Result<Response<Body>, ErrorResponse> {
        self.uploads.cancel(name, id)?;
        Ok(response::empty(StatusCode::NO_CONTENT))
    }

    /// Mounts a blob from another repository, and returns whether it was there. Without `from`, any
    /// repository may be the source: a client that may push may read everything.
    fn mount(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        from: Option<&str>,
    ) -> Result<bool, ErrorResponse> {
        let found = match from.map(str::parse) {
            Some(Ok(from)) => match self.repository(&from)?.blob(digest) {
                Ok(blob) => Some(blob),
                Err(Error::NotFound { .. }) => None,
                Err(error) => return Err(error.into()),
            },
            Some(Err(_)) => None,
            None => self
                .place
                .blob_size(digest)?
                .map(|size| Descriptor::new("application/octet-stream", digest.clone(), size)),
        };
        let Some(blob) = found else { return Ok(false) };
        match self.place.adopt(name, &blob) {
            Ok(()) => Ok(true),
            Err(Error::NotFound { .. } | Error::Unsupported { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Appends a body to an upload. The body must have exactly `length` bytes, if given. After an error
    /// the bytes before it stay in the upload, so that the client can continue; but if the place could
    /// not write, they are dropped, since a full disk needs room.
    fn receive(
        &self,
        lease: &mut Lease<'_>,
        length: Option<u64>,
        body: &mut dyn Read,
    ) -> Result<(), ErrorResponse> {
        let room = self.options.max_blob.saturating_sub(lease.len());
        if length.is_some_and(|length| length > room) {
            return Err(self.too_large());
        }
        let mut left = length.unwrap_or(room);
        let mut piece = vec![0; usize::try_from(left).unwrap_or(PIECE).min(PIECE)];
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let count = read(body, &mut piece[..wanted])?;
            if count == 0 {
                break;
            }
            if let Err(error) = lease.write(&piece[..count]) {
                lease.abort();
                return Err(error.into());
            }
            left -= count as u64;
        }
        let ended = left > 0 || read(body, &mut [0])? == 0;
        match length {
            None if ended => Ok(()),
            None => Err(self.too_large()),
            Some(_) if ended && left == 0 => Ok(()),
            Some(length) => {
                let message =
                    format!("the body does not have the {length} bytes that were announced");
                Err(ErrorResponse::new(Code::SizeInvalid, message))
            }
        }
    }

    fn too_large(&self) -> ErrorResponse {
        let message = format!("a blob may have at most {} bytes", self.options.max_blob);
        ErrorResponse::new(Code::SizeInvalid, message).status(StatusCode::PAYLOAD_TOO_LARGE)
    }
}

/// Reads once. The error says why a body is incomplete.
pub(crate) fn read(body: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, ErrorResponse> {
    loop {
        let error = match body.read(buffer) {
            Ok(count) => return Ok(count),
            Err(error) => error,
        };
        let status = match error.kind() {
            io::ErrorKind::Interrupted => continue,
            io::ErrorKind::TimedOut => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        };
        let message = format!("the body did not come whole: {error}");
        return Err(ErrorResponse::new(Code::BlobUploadInvalid, message).status(status));
    }
}

/// Returns the announced length of a body.
pub(crate) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, ErrorResponse> {
    let Some(value) = headers.get(CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(range::number);
    let message = "Content-Length is not a number";
    length.map(Some).ok_or_else(|| ErrorResponse::new(Code::SizeInvalid, message))
}

/// Returns the length of the chunk that a request carries. The chunk must follow the bytes before it (row
/// F-14).
fn chunk_length(
    name: &RepositoryName,
    lease: &Lease<'_>,
    headers: &HeaderMap,
) -> Result<Option<u64>, ErrorResponse> {
    let announced = content_length(headers)?;
    let Some(value) = headers.get(CONTENT_RANGE) else { return Ok(announced) };
    let invalid = || {
        let message = "Content-Range of a chunk is written FIRST-LAST";
        ErrorResponse::new(Code::BlobUploadInvalid, message)
    };
    let (first, last) = value.to_str().ok().and_then(range::chunk).ok_or_else(invalid)?;
    let at = lease.len();
    if first != at || last < first {
        let message = format!("the next byte is {at}, but the chunk is {first}-{last}");
        let mut headers = HeaderMap::new();
        progress(&mut headers, name, lease);
        return Err(ErrorResponse::new(Code::BlobUploadInvalid, message)
            .status(StatusCode::RANGE_NOT_SATISFIABLE)
            .headers(headers));
    }
    let length = (last - first).saturating_add(1);
    if announced.is_some_and(|announced| announced != length) {
        let message = format!("Content-Range has {length} bytes and Content-Length says otherwise");
        return Err(ErrorResponse::new(Code::SizeInvalid, message));
    }
    Ok(Some(length))
}

fn finish(
    name: &RepositoryName,
    lease: Lease<'_>,
    digest: &Digest,
) -> Result<Response<Body>, ErrorResponse> {
    match lease.finish(digest) {
        Ok(_) => Ok(created(name, digest)),
        Err(error) if error.is_corruption() => {
            Err(ErrorResponse::new(Code::DigestInvalid, error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

fn created(name: &RepositoryName, digest: &Digest) -> Response<Body> {
    response::created(format!("/v2/{name}/blobs/{digest}"), digest)
}

/// Returns the location and the progress of an upload.
fn status(status: StatusCode, name: &RepositoryName, lease: &Lease<'_>) -> Response<Body> {
    let mut response = response::empty(status);
    progress(response.headers_mut(), name, lease);
    response
}

/// An empty upload has the range `0-0`, too: the grammar knows no other (row F-16).
fn progress(headers: &mut HeaderMap, name: &RepositoryName, lease: &Lease<'_>) {
    response::insert(headers, LOCATION, format!("/v2/{name}/blobs/uploads/{}", lease.id()));
    response::insert(headers, RANGE, format!("0-{}", lease.len().saturating_sub(1)));
    response::insert(headers, UPLOAD_ID, lease.id());
}

/// Parses a digest whose algorithm is supported (row F-19).
pub(crate) fn supported_digest(text: &str) -> Result<(Digest, Hasher), ErrorResponse> {
    let digest = route::digest(text)?;
    let hasher = digest.hasher().ok_or_else(|| unsupported(digest.algorithm()))?;
    Ok((digest, hasher))
}

fn hasher_of(algorithm: &str) -> Result<Hasher, ErrorResponse> {
    match algorithm {
        "sha256" => Ok(Hasher::sha256()),
        "sha512" => Ok(Hasher::sha512()),
        _ => Err(unsupported(algorithm)),
    }
}

fn unsupported(algorithm: &str) -> ErrorResponse {
    let message = format!("the algorithm `{algorithm}` is not supported; use sha256 or sha512");
    ErrorResponse::new(Code::DigestInvalid, message)
}
