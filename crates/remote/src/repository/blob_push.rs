//! Pushing blobs.

mod chunks;

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read as _;

use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderName, Method, StatusCode};
use longshore_spec::{Descriptor, Digest, RepositoryName};
use longshore_store::{Blob, Error, Flaw, Pushed, Refusal, Result};

use self::chunks::Chunked;
use super::RemoteRepository;
use super::blob_head::Presence;
use super::manifest_pull::claimed_digest;
use crate::PushMode;
use crate::auth::Scope;
use crate::http::{Answer, AttemptError, BlobRange, Body, Request, Retry};
use crate::registry::Feature;
use crate::url::{Url, with_query};

/// The header by which a registry asks for longer chunks (row E-49).
const CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// Chunks are never longer: after a cut, a chunk is sent again from its beginning.
const LONGEST_CHUNK: u64 = 1 << 30;

/// Blobs of up to so many bytes are sent in the first request, if the registry accepts that. If it does
/// not, little was sent in vain.
const SMALL: u64 = 64 << 10;

/// After so many cuts, a long blob is sent in chunks, which need not start again from the first byte.
const CUTS_UNTIL_CHUNKS: u32 = 2;

/// After so many failures of a registry, the next method is tried.
const FAILURES_UNTIL_OTHER: u32 = 2;

const OCTETS: &str = "application/octet-stream";

/// An open upload.
struct Session {
    url: Url,
    least_chunk: u64,
}

/// How a blob is sent. Each method is for registries that refuse the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum UploadMethod {
    /// In the PUT that ends the upload.
    Put,
    /// In one PATCH before the PUT, as Docker does.
    Patch,
    /// In several PATCH requests before the PUT.
    Chunks,
}

/// The result of sending a blob.
enum PushResult {
    Done,
    /// The registry refuses this method, or this size. The next method to try follows.
    Refused(Box<Error>, UploadMethod),
}

impl RemoteRepository {
    pub(super) fn upload_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        let Descriptor { digest, size, .. } = blob.descriptor();
        let is_small = *size <= SMALL && self.registry.push_mode() == PushMode::Whole;
        let from = blob.location().filter(|from| from.registry == self.registry.host());
        let from = from.map(|from| from.repository).filter(|from| *from != self.name);
        let from = from.filter(|_| self.registry.may_support(Feature::Mount));
        let mut session = None;
        if from.is_some() || !is_small && self.registry.may_support(Feature::Discovery) {
            match self.mount(digest, from.as_ref())? {
                MountResult::Done => return Ok(Pushed::Mounted),
                MountResult::Session(open) => session = Some(open),
                MountResult::Refused => {}
            }
        }
        let mut method = match self.registry.push_mode() {
            PushMode::Chunks => UploadMethod::Chunks,
            PushMode::Whole if self.registry.may_support(Feature::Put) => UploadMethod::Put,
            PushMode::Whole => UploadMethod::Patch,
        };
        let (mut cuts, mut failures) = (0, 0);
        // Whether another method is used only because of cuts.
        let mut is_fallback = false;
        self.registry.http().persist(|| {
            if session.is_none() && is_small && self.registry.may_support(Feature::SinglePost) {
                match self.post_whole(blob)? {
                    PostResult::Done => return Ok(()),
                    PostResult::Session(open) => session = Some(open),
                    PostResult::Refused => {}
                }
            }
            let session = match session.take() {
                Some(session) => session,
                None => self.begin(digest)?,
            };
            let result = self.fill(blob, session, &mut method);
            match &result {
                Err(AttemptError {
                    error: Error::Connection { .. },
                    retry: Retry::Perhaps | Retry::Once,
                }) => {
                    cuts += 1;
                    // A long blob that is cut off again and again gets further in chunks.
                    if cuts >= CUTS_UNTIL_CHUNKS && *size > self.registry.chunk_size() {
                        method = UploadMethod::Chunks;
                    } else if cuts == CUTS_UNTIL_CHUNKS && method == UploadMethod::Put {
                        // Some registries hang up on a method that they do not support.
                        (method, is_fallback) = (UploadMethod::Patch, true);
                    }
                }
                // The cuts were not caused by the method.
                Err(AttemptError { error, retry: Retry::Never })
                    if is_fallback && is_refusal(error) =>
                {
                    (method, is_fallback) = (UploadMethod::Put, false);
                    return result.map_err(|trouble| AttemptError::passing(trouble.error));
                }
                Ok(()) if is_fallback => self.registry.set_unsupported(Feature::Put),
                Err(AttemptError { error: Error::Refused { .. }, retry: Retry::Perhaps }) => {
                    failures += 1;
                    if failures >= FAILURES_UNTIL_OTHER {
                        method = method.max(UploadMethod::Patch);
                    }
                }
                _ => {}
            }
            result
        })?;
        Ok(Pushed::Written(*size))
    }

    /// Sends the content by `method`, or by the next one that the registry accepts.
    fn fill(
        &self,
        blob: &dyn Blob,
        session: Session,
        method: &mut UploadMethod,
    ) -> Result<(), AttemptError> {
        let digest = &blob.descriptor().digest;
        let (mut session, tried) = (Some(session), *method);
        let mut first = None;
        // Of several refusals, the first is reported: it is about the method that most registries accept.
        let first_refusal = |first: Option<Error>, trouble: AttemptError| match (&trouble, first) {
            (AttemptError { error, retry: Retry::Never }, Some(first)) if is_refusal(error) => {
                AttemptError::lasting(first)
            }
            _ => trouble,
        };
        loop {
            let open = match session.take() {
                Some(open) => open,
                None => {
                    self.begin(digest).map_err(|trouble| first_refusal(first.take(), trouble))?
                }
            };
            let (url, result) = match method {
                UploadMethod::Put => (open.url.clone(), self.put_with_retry(blob, &open)),
                UploadMethod::Patch | UploadMethod::Chunks => {
                    let is_whole = *method == UploadMethod::Patch;
                    let mut upload =
                        Chunked { remote: self, blob, session: open, is_whole, stalls: 0 };
                    let result = upload.run();
                    (upload.session.url, result)
                }
            };
            let (error, next) = match result {
                Ok(PushResult::Done) => {
                    // A blob that is too large for one request says nothing about others.
                    if (tried, *method) == (UploadMethod::Put, UploadMethod::Patch) {
                        self.registry.set_unsupported(Feature::Put);
                    }
                    return Ok(());
                }
                Ok(PushResult::Refused(error, next)) => (error, next),
                Err(trouble) => return self.abandon(url, Err(first_refusal(first, trouble))),
            };
            self.abandon(url, ());
            tracing::debug!(%digest, %error, ?next, "sending it in another way");
            first.get_or_insert(*error);
            *method = next;
        }
    }

    /// Asks the registry to mount a blob from another repository (rows E-60 to E-64), or from any if none
    /// is named (row E-62).
    fn mount(&self, digest: &Digest, from: Option<&RepositoryName>) -> Result<MountResult> {
        let url = self.registry.url(&format!("{}/blobs/uploads/", self.name));
        let mut url = with_query(announced(url, digest), "mount", &digest.to_string());
        if let Some(from) = from {
            url = with_query(url, "from", from.as_str());
        }
        let request = Request::new(Method::POST, url, "mount", digest);
        let asked = match from {
            // The registry must see that the client may read the source, too.
            Some(from) => {
                let scopes = [Scope::push(&self.name), Scope::pull(from)];
                self.registry.send(&request, Some(&self.name), scopes)
            }
            // Only once: a mount is not worth more.
            None => self.push_attempt(&request).map_err(|trouble| trouble.error),
        };
        let refused = |reason: &dyn fmt::Display| {
            tracing::debug!(%digest, %reason, "not mounted");
            if from.is_none() {
                self.registry.set_unsupported(Feature::Discovery);
            }
            Ok(MountResult::Refused)
        };
        let answer = match asked {
            Ok(answer) => answer,
            Err(error) => return refused(&error),
        };
        match answer.status() {
            StatusCode::CREATED => {
                let feature = from.map_or(Feature::Discovery, |_| Feature::Mount);
                if self.is_stored(digest, &answer, feature) {
                    return Ok(MountResult::Done);
                }
                if digest.algorithm() == "sha256" {
                    self.registry.set_unsupported(feature);
                }
                refused(&"it is not there")
            }
            StatusCode::ACCEPTED => {
                Ok(session_of(&answer).map_or(MountResult::Refused, MountResult::Session))
            }
            status => refused(&status),
        }
    }

    /// Sends the content in the POST that would open an upload (row E-45).
    fn post_whole(&self, blob: &dyn Blob) -> Result<PostResult, AttemptError> {
        let Descriptor { digest, size, .. } = blob.descriptor();
        if *size == 0 {
            prove_empty(blob)?;
        }
        let url = self.registry.url(&format!("{}/blobs/uploads/", self.name));
        let url = with_query(url, "digest", &digest.to_string());
        let whole = BlobRange::whole(blob);
        let request = Request::new(Method::POST, url, "push", digest)
            .header(CONTENT_TYPE, OCTETS)
            .body(Body::Streamed(&whole));
        // If this request was too much, the next attempt goes the usual way.
        let answer = self
            .push_attempt(&request)
            .inspect_err(|_| self.registry.set_unsupported(Feature::SinglePost))?;
        let status = answer.status();
        match status.as_u16() {
            201 | 204 if self.is_stored(digest, &answer, Feature::SinglePost) => {
                return Ok(PostResult::Done);
            }
            401 | 403 => return Err(self.push_error(&request, answer).into()),
            _ => {}
        }
        tracing::debug!(%digest, %status, "not taken with the first request");
        self.registry.set_unsupported(Feature::SinglePost);
        let session = session_of(&answer).ok().filter(|_| status == StatusCode::ACCEPTED);
        Ok(session.map_or(PostResult::Refused, PostResult::Session))
    }

    /// Tells whether the registry has stored a blob, as its answer to a POST claims. Some registries
    /// claim so for every POST although they only opened an upload, or store the blob under another
    /// digest (row E-64). The digest in the answer proves that the registry read the content. Without a
    /// digest the registry is asked, until it has once stored a blob in this way: a registry that always
    /// claims so never has the blob.
    fn is_stored(&self, digest: &Digest, answer: &Answer<'_>, feature: Feature) -> bool {
        let is_named = match claimed_digest(answer) {
            Some(named) if named == *digest => return true,
            named => named.is_some(),
        };
        if !is_named && digest.algorithm() == "sha256" && self.registry.is_known_to_support(feature)
        {
            return true;
        }
        match self.find_blob(digest) {
            Ok(Presence::There(_)) => {
                self.registry.set_supported(feature);
                true
            }
            Ok(Presence::Absent) => false,
            // A client that may push need not be allowed to read.
            Err(_) => true,
        }
    }

    /// Opens an upload.
    fn begin(&self, digest: &Digest) -> Result<Session, AttemptError> {
        let url = self.registry.url(&format!("{}/blobs/uploads/", self.name));
        let request = Request::new(Method::POST, announced(url, digest), "push", digest);
        let answer = self.push_attempt(&request)?;
        if !answer.status().is_success() {
            return Err(self.push_error(&request, answer).into());
        }
        Ok(session_of(&answer)?)
    }

    /// Sends the content in one request, and once more to the same upload if the registry was overloaded:
    /// a new upload would be more work for it.
    fn put_with_retry(
        &self,
        blob: &dyn Blob,
        session: &Session,
    ) -> Result<PushResult, AttemptError> {
        let busy = match self.put_whole(blob, session) {
            Err(trouble) if is_overload(&trouble) => trouble,
            result => return result,
        };
        self.registry.http().wait(0);
        match self.put_whole(blob, session) {
            // The upload may be gone by now. A new one may do better.
            Err(AttemptError { retry: Retry::Never, .. }) | Ok(PushResult::Refused(..)) => {
                Err(busy)
            }
            result => result,
        }
    }

    /// Sends the content in one request.
    fn put_whole(&self, blob: &dyn Blob, session: &Session) -> Result<PushResult, AttemptError> {
        let digest = &blob.descriptor().digest;
        if blob.descriptor().size == 0 {
            // There is nothing to send, but the digest must still be right.
            prove_empty(blob)?;
        }
        let url = with_query(session.url.clone(), "digest", &digest.to_string());
        let whole = BlobRange::whole(blob);
        let request = Request::new(Method::PUT, url, "push", digest)
            .header(CONTENT_TYPE, OCTETS)
            .body(Body::Streamed(&whole))
            .http1();
        let answer = self.push_attempt(&request)?;
        match answer.status().as_u16() {
            201 | 204 => Ok(PushResult::Done),
            200 | 202 => self.check_stored(digest, answer.status()).map(|()| PushResult::Done),
            413 => Ok(PushResult::Refused(
                self.push_error(&request, answer).into(),
                UploadMethod::Chunks,
            )),
            status if refuses_method(status) => Ok(PushResult::Refused(
                self.push_error(&request, answer).into(),
                UploadMethod::Patch,
            )),
            _ => Err(self.push_error(&request, answer).into()),
        }
    }

    fn push_attempt(&self, request: &Request<'_>) -> Result<Answer<'_>, AttemptError> {
        let scopes = BTreeSet::from([Scope::push(&self.name)]);
        self.registry.attempt(request, Some(&self.name), &scopes)
    }

    /// Cancels an upload, and returns `result`. Whether the registry supports that does not matter (row
    /// E-56).
    fn abandon<T>(&self, url: Url, result: T) -> T {
        let request = Request::new(Method::DELETE, url, "cancel", "an upload");
        if let Err(AttemptError { error, .. }) = self.push_attempt(&request) {
            tracing::debug!(%error, "an upload was left open");
        }
        result
    }

    /// Checks that a blob was stored if the status does not say so.
    fn check_stored(&self, digest: &Digest, status: StatusCode) -> Result<(), AttemptError> {
        if let Presence::There(_) = self.find_blob(digest)? {
            return Ok(());
        }
        let said = Refusal::of_status(status.as_u16());
        let said =
            Box::new(said.saying("only 201 would say that it was taken, and it is not there"));
        Err(Error::Refused { action: "push", what: digest.into(), place: self.to_string(), said }
            .into())
    }
}

/// The result of sending content in the first request.
enum PostResult {
    Done,
    /// The registry ignored the content and opened an upload.
    Session(Session),
    Refused,
}

/// The result of a mount.
enum MountResult {
    Done,
    /// The blob was not mounted, and an upload is open (row E-61).
    Session(Session),
    Refused,
}

/// Tells whether a status may mean that the method is refused. Artifactory answers 404, Pulp 400, others
/// that they do not know the method. Firewalls answer 403: a client that may open an upload may write,
/// and if it may not, the first refusal is reported.
fn refuses_method(status: u16) -> bool {
    matches!(status, 400 | 403 | 404 | 405 | 411 | 415 | 416 | 422 | 501 | 505)
}

/// Tells whether a registry answered, and refused.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Refused { .. } | Error::Denied { .. })
}

/// Tells whether a registry is only overloaded.
fn is_overload(trouble: &AttemptError) -> bool {
    match &trouble.error {
        Error::Throttled { .. } => true,
        Error::Refused { said, .. } => said.status == StatusCode::SERVICE_UNAVAILABLE,
        _ => false,
    }
}

/// Returns the address that opens an upload, with the algorithm if it is not sha256 (row E-47).
fn announced(url: Url, digest: &Digest) -> Url {
    match digest.algorithm() {
        "sha256" => url,
        algorithm => with_query(url, "digest-algorithm", algorithm),
    }
}

/// Returns the upload that an answer opened.
fn session_of(answer: &Answer<'_>) -> Result<Session> {
    let location = answer.header(LOCATION).ok_or_else(|| {
        let reason = Flaw::Answer("it does not say where to".to_owned());
        Error::malformed(format!("the answer of {} to an upload", answer.host()), reason)
    })?;
    let least = answer.header(CHUNK_MIN_LENGTH).and_then(|length| length.parse().ok());
    let least_chunk = least.unwrap_or(0).min(LONGEST_CHUNK);
    Ok(Session { url: answer.url().follow(location)?, least_chunk })
}

/// Checks that the digest of an empty blob is right.
fn prove_empty(blob: &dyn Blob) -> Result<()> {
    let read = blob.open(None)?.read(&mut [0]);
    read.map(drop).map_err(Error::io("read", &blob.descriptor().digest))
}
