//! Whether a registry has a blob, without reading the blob.

use std::io::Read as _;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{Method, StatusCode};
use longshore_spec::{Descriptor, Digest, MediaType};
use longshore_store::{ConnectionFailure, Error, Result};

use super::RemoteRepository;
use crate::http::Answer;
use crate::registry::Feature;

/// A blob whose first byte is cut off so many times is not there.
const CUTS: u32 = 2;

/// Whether a registry has a blob.
pub(super) enum Presence {
    Absent,
    /// It has the blob, with this size if it names one.
    There(Option<u64>),
}

impl RemoteRepository {
    /// Checks whether a blob exists. HEAD is believed only if it names the size: registries refuse it,
    /// answer it for any address, or redirect it to addresses that are signed for GET.
    pub(super) fn find_blob(&self, digest: &Digest) -> Result<Presence> {
        match self.head_blob(digest)? {
            Some(there @ Presence::There(_)) => Ok(there),
            _ => self.get_first_byte(digest),
        }
    }

    /// Tells whether the registry shows that it has a blob. If it does not answer clearly, the blob is
    /// sent, and the registry says then what is wrong.
    pub(super) fn holds_blob(&self, blob: &Descriptor) -> Result<bool> {
        match self.head_blob(&blob.digest)? {
            Some(Presence::Absent) => return Ok(false),
            Some(Presence::There(Some(size))) if size == blob.size => return Ok(true),
            _ => {}
        }
        match self.get_first_byte(&blob.digest) {
            Ok(Presence::There(size)) => Ok(size.is_none_or(|size| size == blob.size)),
            Ok(Presence::Absent) => Ok(false),
            Err(error) if self.may_still_accept(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks by HEAD. Returns `None` if the answer is not clear.
    fn head_blob(&self, digest: &Digest) -> Result<Option<Presence>> {
        if !self.registry.may_support(Feature::HeadBlob) {
            return Ok(None);
        }
        let request = self.request(Method::HEAD, &format!("blobs/{digest}"), "look for", digest);
        let Some(answer) = self.probe(&request)? else {
            self.registry.set_unsupported(Feature::HeadBlob);
            return Ok(None);
        };
        Ok(match answer.status().as_u16() {
            200..=299 if is_page(&answer) => None,
            // Some registries answer every HEAD with a length of 0.
            200..=299 => {
                length(&answer).filter(|size| *size > 0).map(|size| Presence::There(Some(size)))
            }
            404 => Some(Presence::Absent),
            // The answers to HEAD and GET may differ for an anonymous client.
            401 => None,
            _ => {
                self.registry.set_unsupported(Feature::HeadBlob);
                None
            }
        })
    }

    /// Requests the first byte of a blob. Further bytes are not read.
    pub(super) fn get_first_byte(&self, digest: &Digest) -> Result<Presence> {
        let request = self
            .request(Method::GET, &format!("blobs/{digest}"), "look for", digest)
            .header(RANGE, "bytes=0-0");
        let answer = self.read(&request)?;
        match answer.status() {
            // The latter means that the blob is empty.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                Ok(Presence::There(whole_length(&answer)))
            }
            StatusCode::NOT_FOUND => Ok(Presence::Absent),
            status if status.is_success() => Ok(Presence::There(length(&answer))),
            _ => Err(self.refused(&request, answer)),
        }
    }

    /// Requests the first byte of a blob and waits for it. A registry with a cache may send the headers of an
    /// answer before it finds that the content is gone, and hangs up then.
    pub(super) fn first_byte_comes(&self, blob: &Descriptor) -> Result<bool> {
        for _ in 0..CUTS {
            match self.read_first_byte(blob) {
                Err(Error::Connection { why: ConnectionFailure::Cut(_), .. }) => {}
                result => return result,
            }
        }
        Ok(false)
    }

    fn read_first_byte(&self, blob: &Descriptor) -> Result<bool> {
        let request = self
            .request(Method::GET, &format!("blobs/{}", blob.digest), "look for", &blob.digest)
            .header(RANGE, "bytes=0-0");
        let mut answer = self.read(&request)?;
        let size = match answer.status() {
            StatusCode::PARTIAL_CONTENT => whole_length(&answer),
            // The blob is empty.
            StatusCode::RANGE_NOT_SATISFIABLE => return Ok(blob.size == 0),
            StatusCode::NOT_FOUND => return Ok(false),
            status if status.is_success() => length(&answer),
            _ => return Err(self.refused(&request, answer)),
        };
        if size.is_some_and(|size| size != blob.size) {
            return Ok(false);
        }
        let read = answer.read(&mut [0]);
        let read = read.map_err(|error| Error::from_io("read", &blob.digest, error))?;
        Ok(read > 0 || blob.size == 0)
    }

    /// Tells whether a registry that answers so may still accept a push.
    pub(super) fn may_still_accept(&self, error: &Error) -> bool {
        match error {
            Error::Denied { said, .. } => said.status == 403,
            Error::NotFound { .. } | Error::Refused { .. } | Error::Limit { .. } => true,
            error => self.registry.is_about_another_host(error),
        }
    }
}

fn length(answer: &Answer<'_>) -> Option<u64> {
    answer.header(CONTENT_LENGTH)?.parse().ok()
}

/// Returns the size of the whole of which a part came: the number after the `/`.
fn whole_length(answer: &Answer<'_>) -> Option<u64> {
    answer.header(CONTENT_RANGE)?.rsplit_once('/')?.1.trim().parse().ok()
}

/// Tells whether the answer is an HTML page: a web site may have one for every address.
fn is_page(answer: &Answer<'_>) -> bool {
    answer.header(CONTENT_TYPE).is_some_and(|sent| MediaType::new(sent).is("text/html"))
}
