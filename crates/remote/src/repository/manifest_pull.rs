//! Pulling manifests.

use http::Method;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use longshore_spec::{Descriptor, Digest, Kind, Manifest, ManifestError, MediaType};
use longshore_store::{Error, Flaw, Name, Result, Selector, manifest_from};
use serde::Deserialize;

use super::{DIGEST, RemoteRepository};
use crate::auth::Scope;
use crate::http::{Answer, Request, is_page};
use crate::manifest_cache;
use crate::registry::Feature;

/// Every type of manifest that is supported (row E-20). Without this list, old registries convert
/// manifests into another type (row E-21).
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.artifact.manifest.v1+json, \
     application/vnd.cncf.oras.artifact.manifest.v1+json";

impl RemoteRepository {
    pub(super) fn head_manifest(&self, selector: &Selector) -> Result<Descriptor> {
        match self.head_result(selector)? {
            HeadResult::There(said) if self.is_confirmed(selector, &said) => Ok(said),
            // Some registries and proxies do not support HEAD (row E-30), and no answer to HEAD can
            // explain a refusal.
            head_result => {
                let found = self.head_by_content(selector)?;
                if matches!(head_result, HeadResult::Unknown) {
                    self.registry.set_unsupported(Feature::HeadManifest);
                }
                Ok(found)
            }
        }
    }

    /// Returns the descriptor of a manifest from its content, and caches the manifest.
    pub(super) fn head_by_content(&self, selector: &Selector) -> Result<Descriptor> {
        let manifest = self.get_manifest(selector)?;
        self.keep(&manifest);
        Ok(manifest.descriptor().clone())
    }

    /// Tells whether a GET confirms the answer to HEAD, or fails. Nothing else shows that HEAD names a
    /// wrong digest, type or size. For a digest, HEAD is checked only once for each registry.
    pub(super) fn is_confirmed(&self, selector: &Selector, said: &Descriptor) -> bool {
        let is_kept =
            self.registry.manifest_cache().descriptor(&self.key(&said.digest)) == Some(said);
        if is_kept || matches!(selector, Selector::Digest(_)) && !self.registry.should_check_head()
        {
            return true;
        }
        let Some(found) = self.get_once(selector) else { return true };
        if found == *said {
            return true;
        }
        self.registry.set_unsupported(Feature::HeadManifest);
        // With the words that are used for a GET.
        self.warn_once(&format!(
            "{self} says that {selector} is {}; by its content it is {}",
            distinguishing(said, &found),
            distinguishing(&found, said),
        ));
        false
    }

    fn key(&self, digest: &Digest) -> manifest_cache::Key {
        (self.registry.host().to_owned(), self.name.clone(), digest.clone())
    }

    /// Caches a manifest.
    pub(super) fn keep(&self, manifest: &Manifest) {
        let descriptor = manifest.descriptor();
        let (key, raw) = (self.key(&descriptor.digest), manifest.raw().clone());
        self.registry.manifest_cache().keep(key, descriptor.clone(), raw);
    }

    /// Requests a manifest once, caches it, and returns its descriptor. Returns `None` if that fails.
    pub(super) fn get_once(&self, selector: &Selector) -> Option<Descriptor> {
        let request = self.manifest_request(Method::GET, selector).ok()?.whole(Manifest::MAX_SIZE);
        let answer =
            self.registry.read_once(&request, Some(&self.name), Scope::pull(&self.name))?;
        let found = self.take(&request, answer, selector).ok()?;
        let (manifest, _) = self.version(found, selector).ok()?;
        self.keep(&manifest);
        Some(manifest.descriptor().clone())
    }

    pub(super) fn warn_once(&self, text: &str) {
        self.registry.http().warn_once(text);
    }

    /// Returns the descriptor of a manifest that the registry shows to have. Returns `None` if it does
    /// not show that.
    pub(super) fn find_manifest(&self, selector: &Selector) -> Result<Option<Descriptor>> {
        match self.head_result(selector)? {
            HeadResult::There(descriptor) => Ok(Some(descriptor)),
            HeadResult::Absent => Ok(None),
            HeadResult::Unknown => match self.get_manifest(selector) {
                Ok(found) => Ok(Some(found.descriptor().clone())),
                Err(error) if self.may_still_accept(&error) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Asks by HEAD.
    pub(super) fn head_result(&self, selector: &Selector) -> Result<HeadResult> {
        if !self.registry.may_support(Feature::HeadManifest) {
            return Ok(HeadResult::Unknown);
        }
        let request = self.manifest_request(Method::HEAD, selector)?;
        let Some(answer) = self.probe(&request)? else { return Ok(HeadResult::Unknown) };
        Ok(match answer.status().as_u16() {
            200..=299 => {
                described(&answer, selector).map_or(HeadResult::Unknown, HeadResult::There)
            }
            404 => HeadResult::Absent,
            _ => HeadResult::Unknown,
        })
    }

    pub(super) fn get_manifest(&self, selector: &Selector) -> Result<Manifest> {
        Ok(self.get_version(selector)?.0)
    }

    /// Returns a manifest, and the strong entity tag of its state if the registry sends one.
    pub(super) fn get_version(&self, selector: &Selector) -> Result<(Manifest, Option<String>)> {
        let found = self.fetch(selector)?;
        self.version(found, selector)
    }

    /// Reads a manifest by the type that its content has.
    fn version(&self, found: Fetched, selector: &Selector) -> Result<(Manifest, Option<String>)> {
        let type_conflict = found.type_conflict();
        if let Some((named, sent)) = &type_conflict {
            self.warn_once(&format!(
                "{self} says that {selector} is `{sent}`; by its content it is `{named}`"
            ));
        }
        let digest = found.digest.clone();
        let unreadable = |source| Error::Manifest { digest: digest.clone(), source };
        let media_type = match (type_conflict, found.media_type) {
            // The digest proves the bytes, and nothing that headers say about them.
            (Some((named, _)), _) => named,
            (None, Some(sent)) if is_known(&sent) => MediaType::new(sent.essence()), // row E-22
            // The header does not name a type of manifest, so the bytes decide.
            _ => Manifest::media_type_of(&found.raw).map_err(unreadable)?,
        };
        let size = found.raw.len() as u64;
        let manifest = Manifest::parse(found.raw, Descriptor::new(media_type, found.digest, size));
        Ok((manifest.map_err(unreadable)?, found.etag))
    }

    /// Returns the manifest that `descriptor` points to. Its media type is the descriptor's, whatever the
    /// registry says: the digest is right (row B-32).
    pub(super) fn get_child(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let kept = self.registry.manifest_cache().raw(&self.key(&descriptor.digest));
        if let Some(raw) = kept {
            return manifest_from(raw, descriptor.clone());
        }
        let found = self.fetch(&Selector::Digest(descriptor.digest.clone()))?;
        let sent = found.media_type.as_ref().filter(|sent| **sent != descriptor.media_type);
        if let Some(sent) = sent.filter(|sent| is_known(sent)) {
            let (digest, expected) = (&descriptor.digest, &descriptor.media_type);
            self.warn_once(&format!(
                "{self} says that {digest} is `{sent}`; it is taken for `{expected}`"
            ));
        }
        manifest_from(found.raw, descriptor.clone())
    }

    /// Tells whether the registry has a manifest under all of these names, or at all if there are none.
    pub(super) fn has(&self, manifest: &Descriptor, names: &[Name]) -> Result<bool> {
        let is_here = |selector: &Selector| match self.find_manifest(selector)? {
            Some(found) if found.digest != manifest.digest => Ok(false),
            Some(found) if found.size == manifest.size => Ok(true),
            // One of both sizes is wrong, and the digest is right.
            Some(_) => match self.get_manifest(&manifest.digest.clone().into()) {
                Ok(found) => Ok(found.descriptor().size == manifest.size),
                Err(error) if self.may_still_accept(&error) => Ok(false),
                Err(error) => Err(error),
            },
            None => Ok(false),
        };
        if names.is_empty() {
            return is_here(&Selector::Digest(manifest.digest.clone()));
        }
        for name in names {
            if !is_here(&Selector::Name(name.clone()))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn manifest_request(&self, method: Method, selector: &Selector) -> Result<Request<'static>> {
        let reference = match selector {
            Selector::Name(name) => self.tag(name)?.to_string(),
            Selector::Digest(digest) => digest.to_string(),
        };
        let path = format!("manifests/{reference}");
        Ok(self.request(method, &path, "read", selector).header(ACCEPT, ACCEPTED))
    }

    fn fetch(&self, selector: &Selector) -> Result<Fetched> {
        let request = self.manifest_request(Method::GET, selector)?.whole(Manifest::MAX_SIZE);
        let answer = self.read(&request)?;
        self.take(&request, answer, selector)
    }

    /// Reads a manifest and finds its digest.
    fn take(
        &self,
        request: &Request<'_>,
        answer: Answer<'_>,
        selector: &Selector,
    ) -> Result<Fetched> {
        if !answer.status().is_success() {
            return Err(self.refused(request, answer));
        }
        let claimed = claimed_digest(&answer);
        let media_type = answer.header(CONTENT_TYPE).map(MediaType::new);
        let etag = answer.header(ETAG).filter(|etag| etag.starts_with('"')).map(str::to_owned);
        let raw = answer.into_bytes(&request.what, Manifest::MAX_SIZE)?;
        let schema1 = [MediaType::DOCKER_SCHEMA1, MediaType::DOCKER_SCHEMA1_SIGNED];
        let asked = match selector {
            Selector::Digest(digest) => Some(digest),
            Selector::Name(_) => None,
        };
        let is_schema1 = |sent: &&MediaType| schema1.iter().any(|text| sent.is(text));
        let media_type = match media_type.as_ref().filter(is_schema1) {
            None => media_type,
            Some(sent) => {
                let Ok(named) = Manifest::media_type_of(&raw) else {
                    // The digest does not cover all bytes, so "corrupt" would be wrong.
                    let digest = asked.cloned().unwrap_or_else(|| Digest::sha256(&raw));
                    return Err(Error::Manifest { digest, source: ManifestError::Schema1 });
                };
                self.warn_once(&format!(
                    "{self} says that {selector} is `{sent}`; by its content it is `{named}`"
                ));
                None
            }
        };
        if asked.is_none() && is_page(&raw) {
            let what = format!("the manifest {}", request.what);
            return Err(Error::malformed(what, Flaw::WebPage));
        }
        let digest = identify(&raw, asked, claimed.as_ref())?;
        let is_other =
            |claimed: &Digest| claimed.algorithm() == digest.algorithm() && *claimed != digest;
        // Content that was requested by its digest is right, whatever the header says.
        if let (None, Some(claimed)) = (asked, claimed.filter(is_other)) {
            self.warn_once(&format!(
                "{self} says that {selector} is {claimed}; by its content it is {digest}"
            ));
        }
        Ok(Fetched { raw, digest, media_type, etag })
    }
}

/// A manifest that was fetched.
struct Fetched {
    raw: bytes::Bytes,
    digest: Digest,
    media_type: Option<MediaType>,
    /// A strong entity tag (RFC 9110 8.8.3).
    etag: Option<String>,
}

impl Fetched {
    /// Returns the type that the manifest names, or that its members imply, and the type in the header,
    /// if both are types of manifests and differ (row E-23).
    fn type_conflict(&self) -> Option<(MediaType, MediaType)> {
        let sent = self.media_type.as_ref().filter(|sent| is_known(sent))?;
        let sent = MediaType::new(sent.essence());
        let named = named_media_type(&self.raw).filter(is_known);
        let looks = || Manifest::media_type_of(&self.raw).ok();
        let looks_other = || looks().filter(|looks| Kind::of(looks) != Kind::of(&sent));
        let named = named.or_else(looks_other).filter(|named| *named != sent)?;
        Some((named, sent))
    }
}

/// Returns the digest of `raw`, after comparing it with the requested one (row E-25). For a tag, it is
/// the digest in the header if that is right (row E-24).
fn identify(raw: &[u8], asked: Option<&Digest>, claimed: Option<&Digest>) -> Result<Digest> {
    if let Some(asked) = asked {
        return match asked.recompute(raw) {
            Some(actual) if actual == *asked => Ok(actual),
            Some(actual) => Err(Error::Corrupt { expected: asked.clone(), actual }),
            None => Err(Error::Unverifiable { digest: asked.clone() }),
        };
    }
    let actual = claimed.and_then(|claimed| claimed.recompute(raw));
    Ok(actual.unwrap_or_else(|| Digest::sha256(raw)))
}

/// Returns the descriptor that the headers of an answer give, if they are complete and do not contradict
/// the request.
fn described(answer: &Answer<'_>, selector: &Selector) -> Option<Descriptor> {
    let claimed = claimed_digest(answer);
    let digest = match (selector, claimed) {
        (Selector::Digest(asked), Some(claimed)) => {
            let is_other = claimed.algorithm() == asked.algorithm() && claimed != *asked;
            (!is_other).then(|| asked.clone())
        }
        (Selector::Digest(asked), None) => Some(asked.clone()),
        (Selector::Name(_), claimed) => claimed,
    }?;
    let media_type = answer.header(CONTENT_TYPE).map(MediaType::new).filter(is_known)?;
    // No manifest is empty, but some registries answer every HEAD with a length of 0.
    let size = answer.header(CONTENT_LENGTH)?.parse().ok().filter(|size| *size > 0)?;
    Some(Descriptor::new(MediaType::new(media_type.essence()), digest, size))
}

/// Returns the first member in which a descriptor differs from another.
fn distinguishing(one: &Descriptor, other: &Descriptor) -> String {
    if one.digest != other.digest {
        one.digest.to_string()
    } else if one.size != other.size {
        format!("{} bytes long", one.size)
    } else {
        format!("`{}`", one.media_type)
    }
}

/// The result of a HEAD request for a manifest.
pub(super) enum HeadResult {
    There(Descriptor),
    Absent,
    Unknown,
}

/// Tells whether a type is one of a supported manifest.
fn is_known(media_type: &MediaType) -> bool {
    Kind::of(media_type).is_some()
}

/// Returns the digest in the header of an answer.
pub(super) fn claimed_digest(answer: &Answer<'_>) -> Option<Digest> {
    answer.header(DIGEST)?.parse().ok()
}

/// Returns the `mediaType` that a manifest names.
pub(super) fn named_media_type(raw: &[u8]) -> Option<MediaType> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        media_type: MediaType,
    }
    serde_json::from_slice::<Named>(raw).ok().map(|named| named.media_type)
}
