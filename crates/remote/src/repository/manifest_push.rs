//! Pushing manifests.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use http::header::{CONTENT_TYPE, IF_MATCH};
use http::{HeaderName, Method, StatusCode};
use longshore_spec::{Digest, Manifest, MediaType, Tag};
use longshore_store::{Entry, Error, Pushed, Result, Subject};

use super::RemoteRepository;
use super::manifest_pull::{claimed_digest, named_media_type};
use crate::http::{Answer, Body, Request};
use crate::url::with_query;

/// The header by which a registry says that it supports `subject` (row E-80).
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// The header that names the tags that were set along with the manifest (row E-75).
const TAGS: HeaderName = HeaderName::from_static("oci-tag");

/// How many tags are sent in one request (row E-76).
const TAGS_AT_ONCE: NonZeroUsize = NonZeroUsize::new(10).unwrap();

impl RemoteRepository {
    /// Returns how many names one request sets. A referrer gets all its names from one worker, which also
    /// updates the list of referrers.
    pub(super) fn tags_at_once(manifest: &Manifest) -> Option<NonZeroUsize> {
        let is_sha256 = manifest.descriptor().digest.algorithm() == "sha256";
        let at_once = if is_sha256 { NonZeroUsize::MIN } else { TAGS_AT_ONCE };
        manifest.subject().is_none().then_some(at_once)
    }

    pub(super) fn put_manifest(&self, manifest: &Manifest, entry: Entry<'_>) -> Result<Pushed> {
        let digest = &manifest.descriptor().digest;
        let names = match entry {
            Entry::Child => &[][..],
            Entry::Root(names) => names,
        };
        let tags = names.iter().map(|name| self.tag(name)).collect::<Result<BTreeSet<_>>>()?;
        let tags: Vec<_> = tags.into_iter().collect();
        // A registry that has a referrer may not list it yet (row E-90), so this is not checked for one.
        if matches!(entry, Entry::Root(_))
            && manifest.subject().is_none()
            && self.has(manifest.descriptor(), names).is_ok_and(|has| has)
        {
            return Ok(Pushed::Existed);
        }
        let mut knows_subject = false;
        if tags.is_empty() {
            knows_subject = self.put(manifest, digest)?.knows_subject;
        } else if digest.algorithm() == "sha256" {
            for tag in &tags {
                knows_subject |= self.put(manifest, tag)?.knows_subject;
            }
        } else {
            // For a tag, a registry would choose the digest's algorithm itself (row E-77).
            for tags in tags.chunks(TAGS_AT_ONCE.get()) {
                knows_subject |= self.put_with_tags(manifest, tags)?;
            }
        }
        if let Some(subject) = manifest.subject().filter(|_| !knows_subject) {
            self.add_referrer(&subject.digest, manifest)?;
        }
        Ok(Pushed::Written(manifest.descriptor().size))
    }

    /// Puts a manifest under its digest with `tags`, and one by one under those that the registry does
    /// not set along. Returns whether the registry supports `subject`.
    fn put_with_tags(&self, manifest: &Manifest, tags: &[Tag]) -> Result<bool> {
        let digest = &manifest.descriptor().digest;
        let mut request = self.put_request(manifest, digest);
        for tag in tags {
            request.url = with_query(request.url, "tag", tag.as_str());
        }
        let answer = self.write(&request)?;
        // The tags are too many for one address, or for one answer (row E-76).
        if matches!(answer.status().as_u16(), 414 | 431) && !tags.is_empty() {
            drop(answer);
            let (one, other) = tags.split_at(tags.len() / 2);
            if one.is_empty() {
                // Not even one tag fits: put the manifest without tags, and then under the tag.
                let knows_subject = self.put(manifest, digest)?.knows_subject;
                return Ok(knows_subject | self.put_tag(manifest, &other[0])?);
            }
            let knows_subject = self.put_with_tags(manifest, one)?;
            return Ok(knows_subject | self.put_with_tags(manifest, other)?);
        }
        let put = self.taken(&request, answer, manifest)?;
        let mut knows_subject = put.knows_subject;
        for tag in tags.iter().filter(|tag| !put.tags.contains(tag.as_str())) {
            knows_subject |= self.put_tag(manifest, tag)?;
        }
        Ok(knows_subject)
    }

    /// Puts a manifest under a tag, which may then stand for another digest of the manifest.
    fn put_tag(&self, manifest: &Manifest, tag: &Tag) -> Result<bool> {
        let put = self.put(manifest, tag)?;
        if put.digest.as_ref() != Some(&manifest.descriptor().digest) {
            tracing::warn!("{self}:{tag} leads to the same manifest by another digest");
        }
        Ok(put.knows_subject)
    }

    /// Puts a manifest, byte for byte.
    fn put(&self, manifest: &Manifest, reference: impl Into<Subject>) -> Result<PutResult> {
        let request = self.put_request(manifest, reference);
        let answer = self.write(&request)?;
        self.taken(&request, answer, manifest)
    }

    /// Puts a manifest under a tag if the tag still has the state of `etag`; without an entity tag,
    /// always. Returns whether it did (row E-86).
    pub(super) fn replace(
        &self,
        manifest: &Manifest,
        tag: &str,
        etag: Option<&str>,
    ) -> Result<bool> {
        let mut request = self.put_request(manifest, tag);
        if let Some(etag) = etag {
            request = request.header(IF_MATCH, etag);
        }
        let answer = self.write(&request)?;
        if answer.status() == StatusCode::PRECONDITION_FAILED && etag.is_some() {
            return Ok(false);
        }
        self.taken(&request, answer, manifest).map(|_| true)
    }

    fn put_request(&self, manifest: &Manifest, reference: impl Into<Subject>) -> Request<'static> {
        let reference = reference.into();
        self.request(Method::PUT, &format!("manifests/{reference}"), "push", reference)
            .header(CONTENT_TYPE, content_type(manifest).as_str())
            .body(Body::Bytes(manifest.raw().clone()))
    }

    fn taken(
        &self,
        request: &Request<'_>,
        answer: Answer<'_>,
        manifest: &Manifest,
    ) -> Result<PutResult> {
        let descriptor = manifest.descriptor();
        match answer.status().as_u16() {
            200..=299 => {
                let put = PutResult::of(&answer);
                drop(answer);
                self.check_put(&put, &descriptor.digest)?;
                Ok(put)
            }
            413 => {
                let what = format!("the manifest {} with {} bytes", request.what, descriptor.size);
                Err(answer.into_error(request.action, &what.into()))
            }
            _ => Err(self.push_error(request, answer)),
        }
    }

    /// Checks that a registry stored the right manifest if its answer names another digest (row E-74).
    fn check_put(&self, put: &PutResult, expected: &Digest) -> Result<()> {
        // A digest of another algorithm says nothing about the bytes.
        let is_other =
            |found: &&Digest| found.algorithm() == expected.algorithm() && *found != expected;
        let Some(actual) = put.digest.as_ref().filter(is_other) else { return Ok(()) };
        if self.get_manifest(&expected.clone().into()).is_ok() {
            self.warn_once(&format!("{self} calls {actual} what it has as {expected}"));
            return Ok(());
        }
        Err(Error::Corrupt { expected: expected.clone(), actual: actual.clone() })
    }
}

/// The answer of a registry that accepted a manifest.
struct PutResult {
    digest: Option<Digest>,
    knows_subject: bool,
    tags: BTreeSet<String>,
}

impl PutResult {
    fn of(answer: &Answer<'_>) -> Self {
        let digest = claimed_digest(answer);
        let tags = answer.headers().get_all(TAGS).iter().filter_map(|value| value.to_str().ok());
        let tags = tags.flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned());
        let knows_subject = answer.headers().contains_key(SUBJECT);
        Self { knows_subject, tags: tags.collect(), digest }
    }
}

/// Returns the `Content-Type` of a manifest: the type that it names, which is the only one that
/// registries accept (row E-70), else the type of its descriptor, without parameters (row E-71).
fn content_type(manifest: &Manifest) -> MediaType {
    let named = named_media_type(manifest.raw());
    let found = || MediaType::new(manifest.descriptor().media_type.essence());
    named.filter(|named| !named.as_str().is_empty()).unwrap_or_else(found)
}
