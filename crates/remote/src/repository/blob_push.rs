//! Blobs, written.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read as _;

use http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use http::{HeaderName, Method, StatusCode};
use longshore_spec::{Descriptor, Digest, RepositoryName};
use longshore_store::{Blob, Error, Flaw, Pushed, Refusal, Result};

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

/// No registry gets longer chunks: what is cut off goes again from where its chunk began.
const LONGEST_CHUNK: u64 = 1 << 30;

/// Where even chunks are too long, they are halved down to this. In bytes.
const SHORTEST_CHUNK: u64 = 64 << 10;

/// What is no longer is sent with the first request, where the registry takes that: should it not,
/// little was sent for nothing. In bytes.
const SMALL: u64 = 64 << 10;

/// How often in a row a chunk is sent again without the registry having taken much more.
const MOST_STALLS: u32 = 5;

/// So many more bytes are progress: with less, whoever takes a byte of each chunk would be sent all of it
/// again and again.
const PROGRESS: u64 = 64 << 10;

/// How often a long upload is cut off until it goes in chunks, which are not begun anew.
const CUTS_UNTIL_CHUNKS: u32 = 2;

/// How often an upload makes a registry fail until it is sent in another way.
const FAILURES_UNTIL_OTHER: u32 = 2;

const OCTETS: &str = "application/octet-stream";

/// An open upload.
struct Session {
    url: Url,
    least_chunk: u64,
}

/// How a blob is sent. Each is for registries that do not take the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum UploadMethod {
    /// With the request that ends the upload.
    Put,
    /// With one request before that, as Docker does.
    Patch,
    /// In chunks before that.
    Chunks,
}

/// What became of an upload.
enum PushResult {
    Done,
    /// The registry takes nothing in this way, or nothing of this size.
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
        // Whether it goes in another way only since it was cut off.
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
                    // What is long and is cut off again and again gets further in pieces.
                    if cuts >= CUTS_UNTIL_CHUNKS && *size > self.registry.chunk_size() {
                        method = UploadMethod::Chunks;
                    } else if cuts == CUTS_UNTIL_CHUNKS && method == UploadMethod::Put {
                        // Some hang up on content in a way that they do not know.
                        (method, is_fallback) = (UploadMethod::Patch, true);
                    }
                }
                // It was the line, then.
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

    /// Sends the content in `method`, or in the next that the registry takes.
    fn fill(
        &self,
        blob: &dyn Blob,
        session: Session,
        method: &mut UploadMethod,
    ) -> Result<(), AttemptError> {
        let digest = &blob.descriptor().digest;
        let (mut session, tried) = (Some(session), *method);
        let mut first = None;
        // Of several refusals, the first is about what most registries take.
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
                    // What is too large in one request says nothing of others.
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

    /// Asks the registry to take a blob over from another repository (rows E-60 to E-64), from
    /// whichever has it if none is named (row E-62).
    fn mount(&self, digest: &Digest, from: Option<&RepositoryName>) -> Result<MountResult> {
        let url = self.registry.url(&format!("{}/blobs/uploads/", self.name));
        let mut url = with_query(announced(url, digest), "mount", &digest.to_string());
        if let Some(from) = from {
            url = with_query(url, "from", from.as_str());
        }
        let request = Request::new(Method::POST, url, "mount", digest);
        let asked = match from {
            // The registry has to see that the source may be read, too.
            Some(from) => {
                let scopes = [Scope::push(&self.name), Scope::pull(from)];
                self.registry.send(&request, Some(&self.name), scopes)
            }
            // Asked once: this is only worth so much.
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
                Ok(opened(&answer).map_or(MountResult::Refused, MountResult::Session))
            }
            status => refused(&status),
        }
    }

    /// Sends the content with the request that would open an upload (row E-45).
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
            .body(Body::StreamBody(&whole));
        // Another attempt goes the usual way, in case it was this one that was too much.
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
        let session = opened(&answer).ok().filter(|_| status == StatusCode::ACCEPTED);
        Ok(session.map_or(PostResult::Refused, PostResult::Session))
    }

    /// Tells whether a blob is there that a registry says to have taken in answer to a POST. Some say so of
    /// every POST, and have only opened an upload, or keep it under another digest (row E-64). The digest in
    /// the answer shows that the content was looked at; without it the registry is asked, until one blob
    /// that it took in this way was there: one that does not tell both apart never has it.
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
            // Who may push need not be let in to look.
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
        Ok(opened(&answer)?)
    }

    /// Sends the content in one request, and once more into the same upload where the registry was
    /// only too busy: a new one would be more for it to do.
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
            // The upload may be gone by now; another may do better.
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
            // There is nothing to send, but what the descriptor says has to be true all the same.
            prove_empty(blob)?;
        }
        let url = with_query(session.url.clone(), "digest", &digest.to_string());
        let whole = BlobRange::whole(blob);
        let request = Request::new(Method::PUT, url, "push", digest)
            .header(CONTENT_TYPE, OCTETS)
            .body(Body::StreamBody(&whole))
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

    /// Tells the registry that nothing more comes, and returns `result`. Whether the registry
    /// understands does not matter (row E-56).
    fn abandon<T>(&self, url: Url, result: T) -> T {
        let request = Request::new(Method::DELETE, url, "cancel", "an upload");
        if let Err(AttemptError { error, .. }) = self.push_attempt(&request) {
            tracing::debug!(%error, "an upload was left open");
        }
        result
    }

    /// Looks whether a blob was taken where the status does not say so.
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

/// What became of content that was sent with the first request.
enum PostResult {
    Done,
    /// It was not looked at, and an upload is open.
    Session(Session),
    Refused,
}

/// What became of a request to take a blob over.
enum MountResult {
    Done,
    /// It was not taken over, and an upload is open (row E-61).
    Session(Session),
    Refused,
}

/// Tells whether a status may mean that the way is refused in which content was sent. Artifactory says
/// 404, Pulp 400, others that they do not know the method. Firewalls deny it: who may open an upload may
/// write, and where that is not so, the first refusal is told.
fn refuses_method(status: u16) -> bool {
    matches!(status, 400 | 403 | 404 | 405 | 411 | 415 | 416 | 422 | 501 | 505)
}

/// An upload in chunks (rows E-46 to E-55).
struct Chunked<'a> {
    remote: &'a RemoteRepository,
    blob: &'a dyn Blob,
    session: Session,
    /// All of it is one chunk, without a number.
    is_whole: bool,
    stalls: u32,
}

impl Chunked<'_> {
    fn run(&mut self) -> Result<PushResult, AttemptError> {
        let size = self.blob.descriptor().size;
        if size == 0 {
            prove_empty(self.blob)?; // no chunk is sent at all (row E-58)
        }
        let chunk = self.remote.registry.chunk_size().max(self.session.least_chunk);
        let mut length = if self.is_whole { size } else { chunk };
        let mut chunk = BlobRange::whole(self.blob);
        let mut taken = 0;
        while taken < size {
            chunk.move_to(taken, length)?;
            taken = match self.send(&chunk)? {
                ChunkResult::Taken(taken) => taken,
                ChunkResult::TooLong(_) if self.may_be_halved(&chunk) => {
                    length = (chunk.end() - chunk.start()).div_ceil(2).max(SHORTEST_CHUNK);
                    self.remote.registry.shorten_chunks(length);
                    taken
                }
                ChunkResult::TooLong(error) => return Err((*error).into()),
                ChunkResult::Refused(error) => {
                    return Ok(PushResult::Refused(error, UploadMethod::Chunks));
                }
            };
        }
        self.close().map(|()| PushResult::Done)
    }

    /// Tells whether a shorter chunk may be taken: proxies bound what one request may have, some to 1 MiB
    /// if nobody tells them otherwise.
    fn may_be_halved(&self, chunk: &BlobRange<'_>) -> bool {
        let length = chunk.end() - chunk.start();
        length > SHORTEST_CHUNK && length.div_ceil(2) >= self.session.least_chunk
    }

    /// Sends a chunk.
    fn send(&mut self, chunk: &BlobRange<'_>) -> Result<ChunkResult, AttemptError> {
        let digest = chunk.digest();
        let (position, end) = (chunk.start(), chunk.end());
        let mut request = Request::new(Method::PATCH, self.session.url.clone(), "push", digest)
            .header(CONTENT_TYPE, OCTETS)
            .body(Body::StreamBody(chunk))
            .http1();
        if !(self.is_whole && position == 0) {
            request = request.header(CONTENT_RANGE, &format!("{position}-{}", end - 1));
        }
        let taken = match self.remote.push_attempt(&request) {
            Ok(answer) if answer.status().is_success() => {
                self.moved_to(&answer)?;
                match taken(&answer) {
                    Taken::Bytes(count) => count,
                    // Without a range, the registry has said only that it took the chunk.
                    Taken::Unknown => end,
                    Taken::NoneOrOne if end == 1 => end,
                    Taken::NoneOrOne => return Err(AttemptError::passing(self.out_of_step(0))),
                }
            }
            Ok(answer)
                if self.is_whole
                    && (answer.status() == StatusCode::PAYLOAD_TOO_LARGE
                        || refuses_method(answer.status().as_u16())) =>
            {
                return Ok(ChunkResult::Refused(self.remote.push_error(&request, answer).into()));
            }
            Ok(answer) if answer.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                return Ok(ChunkResult::TooLong(self.remote.push_error(&request, answer).into()));
            }
            Ok(answer) if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE => self.status()?,
            Ok(answer) => return Err(self.remote.push_error(&request, answer).into()),
            Err(AttemptError { error, retry: Retry::Never }) => return Err(error.into()),
            // Who takes nothing for so long is asked once.
            Err(trouble) if trouble.retry == Retry::Once && self.stalls > 0 => return Err(trouble),
            Err(AttemptError { error, .. }) if self.stalls < MOST_STALLS => {
                tracing::debug!(%digest, %error, "asking how much has come");
                self.remote.registry.http().wait(self.stalls);
                self.status()?
            }
            Err(trouble) => return Err(trouble),
        };
        // Also behind the end: what was not sent cannot have come.
        if taken > end {
            return Err(self.out_of_step(taken).into());
        }
        if taken == end || taken >= position.saturating_add(PROGRESS) {
            self.stalls = 0;
        } else if self.stalls < MOST_STALLS {
            self.stalls += 1;
        } else {
            return Err(self.out_of_step(taken).into());
        }
        Ok(ChunkResult::Taken(taken))
    }

    /// Asks how many bytes have come (row E-53).
    fn status(&mut self) -> Result<u64, AttemptError> {
        let digest = &self.blob.descriptor().digest;
        let request = Request::new(Method::GET, self.session.url.clone(), "push", digest);
        let answer = self.remote.push_attempt(&request)?;
        if !answer.status().is_success() {
            // The upload is gone; another one may do better.
            return Err(AttemptError::passing(self.remote.push_error(&request, answer)));
        }
        self.moved_to(&answer)?;
        match taken(&answer) {
            Taken::Bytes(count) => Ok(count),
            // Another upload does better than a guess.
            Taken::Unknown | Taken::NoneOrOne => Err(AttemptError::passing(self.out_of_step(0))),
        }
    }

    /// Takes note of where the upload goes on (row E-50).
    fn moved_to(&mut self, answer: &Answer<'_>) -> Result<()> {
        if let Some(location) = answer.header(LOCATION) {
            self.session.url = answer.url().follow(location)?;
        }
        Ok(())
    }

    fn close(&self) -> Result<(), AttemptError> {
        let digest = &self.blob.descriptor().digest;
        let url = with_query(self.session.url.clone(), "digest", &digest.to_string());
        let request = Request::new(Method::PUT, url, "push", digest).header(CONTENT_TYPE, OCTETS);
        let answer = self.remote.push_attempt(&request)?;
        match answer.status().as_u16() {
            201 | 204 => Ok(()),
            200 | 202 => self.remote.check_stored(digest, answer.status()),
            416 => Err(AttemptError::passing(self.remote.push_error(&request, answer))),
            _ => Err(self.remote.push_error(&request, answer).into()),
        }
    }

    fn out_of_step(&self, taken: u64) -> Error {
        let what = format!("what {} says of an upload", self.remote);
        let reason = format!("it has {taken} bytes, whatever is sent");
        Error::malformed(what, Flaw::Answer(reason))
    }
}

/// Tells whether a registry has answered, and does not do what it was asked.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Refused { .. } | Error::Denied { .. })
}

/// Tells whether a registry has only too much to do.
fn is_overload(trouble: &AttemptError) -> bool {
    match &trouble.error {
        Error::Throttled { .. } => true,
        Error::Refused { said, .. } => said.status == StatusCode::SERVICE_UNAVAILABLE,
        _ => false,
    }
}

/// What became of a chunk.
enum ChunkResult {
    /// So many bytes of the blob are there now.
    Taken(u64),
    /// The registry takes none this long.
    TooLong(Box<Error>),
    /// The registry takes none like this.
    Refused(Box<Error>),
}

/// Returns where an upload is opened, told of an algorithm that is not the usual one (row E-47).
fn announced(url: Url, digest: &Digest) -> Url {
    match digest.algorithm() {
        "sha256" => url,
        algorithm => with_query(url, "digest-algorithm", algorithm),
    }
}

/// Returns the upload that an answer opened.
fn opened(answer: &Answer<'_>) -> Result<Session> {
    let location = answer.header(LOCATION).ok_or_else(|| {
        let reason = Flaw::Answer("it does not say where to".to_owned());
        Error::malformed(format!("the answer of {} to an upload", answer.host()), reason)
    })?;
    let least = answer.header(CHUNK_MIN_LENGTH).and_then(|length| length.parse().ok());
    let least_chunk = least.unwrap_or(0).min(LONGEST_CHUNK);
    Ok(Session { url: answer.url().follow(location)?, least_chunk })
}

/// How many bytes have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Bytes(u64),
    /// `0-0`: it is one byte, but also what an empty upload is said to have (row E-54).
    NoneOrOne,
    Unknown,
}

/// Returns how many bytes have come, as `Range` says it: `0-` and the last byte.
fn taken(answer: &Answer<'_>) -> Taken {
    answer.header(RANGE).map_or(Taken::Unknown, taken_of)
}

fn taken_of(range: &str) -> Taken {
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let last = range.strip_prefix("0-").and_then(|last| last.trim().parse::<u64>().ok());
    match last {
        Some(0) => Taken::NoneOrOne,
        last => last.and_then(|last| last.checked_add(1)).map_or(Taken::Unknown, Taken::Bytes),
    }
}

/// Checks that content of no bytes is what its descriptor says.
fn prove_empty(blob: &dyn Blob) -> Result<()> {
    let read = blob.open(None)?.read(&mut [0]);
    read.map(drop).map_err(Error::io("read", &blob.descriptor().digest))
}

#[cfg(test)]
mod tests {
    use super::{Taken, taken_of};

    #[test]
    fn e51_a_range_says_how_much_has_come() {
        for (range, expected) in [
            ("0-99", Taken::Bytes(100)),
            ("bytes=0-99", Taken::Bytes(100)),
            ("0-0", Taken::NoneOrOne),
            ("5-99", Taken::Unknown),
            ("0-18446744073709551615", Taken::Unknown),
            ("0--1", Taken::Unknown),
            ("", Taken::Unknown),
        ] {
            assert_eq!(taken_of(range), expected, "{range}");
        }
    }
}
