//! Pushing manifests (rows F-22 to F-29).

use std::collections::HashSet;
use std::io::Read;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use longshore_spec::{Descriptor, Digest, Kind, Manifest, MediaType, RepositoryName, Role};
use longshore_store::{Entry, Error, Name, Outline, Repository, Selector, walk};
use serde::Deserialize;

use crate::blob_push::{content_length, read, supported_digest};
use crate::body::Body;
use crate::context::{ClientSite, Context};
use crate::error::{Code, ErrorResponse};
use crate::handler::Handler;
use crate::manifest_memory::{self, ReservedMemory};
use crate::options::Missing;
use crate::{response, route};

/// The most tags with one manifest. The spec asks for 10.
const MAX_TAGS: usize = 64;

/// A body of unknown length is read in pieces of so many bytes.
const STEP: usize = 64 << 10;

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const TAG: HeaderName = HeaderName::from_static("oci-tag");

impl Handler {
    pub(crate) fn put_manifest(
        &self,
        name: &RepositoryName,
        selector: Selector,
        context: Context<'_>,
    ) -> Result<Response<Body>, ErrorResponse> {
        let extra_tags = extra_tags(&selector, &context)?;
        // This comes before the body is read, which would be in vain.
        if let Selector::Digest(digest) = &selector {
            supported_digest(&digest.to_string())?;
        }
        let length = content_length(context.headers)?;
        let (raw, _taken) = self.receive_manifest(context.body, length, context.site)?;
        let digest = match &selector {
            Selector::Name(_) => Digest::sha256(&raw),
            Selector::Digest(digest) => verify_digest(digest, &raw)?,
        };
        let media_type = media_type(context.headers, &raw)?;
        let descriptor = Descriptor::new(media_type, digest, raw.len() as u64);
        let manifest = Manifest::parse(raw, descriptor).map_err(invalid)?;
        // Content that is found from here on must not be collected before the manifest refers to it.
        self.place.prepare(&Outline::default())?;
        let repository = self.repository(name)?;
        match self.options.missing {
            Missing::Refuse => check_children(&*repository, &manifest)?,
            Missing::Accept => {}
        }
        check_nested(&*repository, &manifest)?;
        let names: Vec<Name> = match selector {
            Selector::Name(tag) => vec![tag],
            Selector::Digest(_) => extra_tags.clone(),
        };
        let digest = &manifest.descriptor().digest;
        let moved_tags = moved_tags(&*repository, &names, digest);
        repository.push_manifest(&manifest, Entry::Root(&names)).map_err(over_limit)?;
        self.place.commit()?;
        for (tag, from) in moved_tags {
            tracing::warn!("the tag {tag} of {name} moved from {from} to {digest}");
        }

        let mut response = response::created(format!("/v2/{name}/manifests/{digest}"), digest);
        let headers = response.headers_mut();
        if let Some(subject) = manifest.subject() {
            response::insert(headers, SUBJECT, &subject.digest);
        }
        for tag in extra_tags {
            if let Ok(tag) = HeaderValue::from_str(tag.as_str()) {
                headers.append(TAG, tag);
            }
        }
        Ok(response)
    }

    /// Reads a manifest, whose length may be unknown (row F-23), and reserves memory for it: for the
    /// announced length, or for the longest manifest.
    fn receive_manifest(
        &self,
        body: &mut dyn Read,
        length: Option<u64>,
        site: Option<ClientSite>,
    ) -> Result<(Bytes, ReservedMemory<'_>), ErrorResponse> {
        let too_large = || {
            let message = format!("a manifest may have at most {} bytes", Manifest::MAX_SIZE);
            ErrorResponse::new(Code::SizeInvalid, message).status(StatusCode::PAYLOAD_TOO_LARGE)
        };
        if length.is_some_and(|length| length > Manifest::MAX_SIZE) {
            return Err(too_large());
        }
        let mut taken = self.manifest_memory.take(site, length.unwrap_or_default())?;
        let (mut raw, mut piece) = (Vec::new(), vec![0; STEP]);
        loop {
            let count = read(body, &mut piece)?;
            if count == 0 {
                break;
            }
            let is_long = (raw.len() + count) as u64 > manifest_memory::SHORT;
            if is_long && !taken.is_counted() {
                taken = self.manifest_memory.take(site, Manifest::MAX_SIZE)?;
            }
            raw.extend_from_slice(&piece[..count]);
            if raw.len() as u64 > Manifest::MAX_SIZE {
                return Err(too_large());
            }
        }
        if length.is_some_and(|length| length != raw.len() as u64) {
            let message =
                format!("the body has {} bytes, not those that were announced", raw.len());
            return Err(ErrorResponse::new(Code::SizeInvalid, message));
        }
        Ok((raw.into(), taken))
    }
}

/// Returns the tags that stand for another digest, with that digest.
fn moved_tags<'n>(
    repository: &dyn Repository,
    names: &'n [Name],
    digest: &Digest,
) -> Vec<(&'n Name, Digest)> {
    let found = names.iter().filter_map(|name| {
        // If this fails, the push may still succeed.
        let from = repository.stands_for(name).ok().flatten()?;
        Some((name, from))
    });
    found.filter(|(_, from)| from != digest).collect()
}

/// Returns the tags that were sent with a digest (row F-28).
fn extra_tags(selector: &Selector, context: &Context<'_>) -> Result<Vec<Name>, ErrorResponse> {
    let Selector::Digest(_) = selector else { return Ok(Vec::new()) };
    if context.query.all("tag").count() > MAX_TAGS {
        let message = format!("at most {MAX_TAGS} tags may be given");
        return Err(
            ErrorResponse::new(Code::ManifestInvalid, message).status(StatusCode::URI_TOO_LONG)
        );
    }
    context.query.all("tag").map(route::tag).collect()
}

fn verify_digest(digest: &Digest, raw: &[u8]) -> Result<Digest, ErrorResponse> {
    match digest.recompute(raw) {
        Some(actual) if actual == *digest => Ok(actual),
        Some(actual) => {
            let message = format!("{digest} was asked for, but the content hashes to {actual}");
            Err(ErrorResponse::new(Code::DigestInvalid, message))
        }
        None => Err(Error::Unverifiable { digest: digest.clone() }.into()),
    }
}

/// Returns the media type of a manifest: that of `Content-Type`, or if that is generic, the type that the
/// document names. If they contradict each other, the manifest is refused: clients would disagree about
/// its meaning.
fn media_type(headers: &HeaderMap, raw: &[u8]) -> Result<MediaType, ErrorResponse> {
    // By default, `curl` says that it sends a form.
    const GENERIC: [&str; 3] =
        ["application/octet-stream", "application/json", "application/x-www-form-urlencoded"];
    // No manifest has a type of another kind, and a browser would run some of those.
    const KIND: &str = "application/";
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let given = given.map(|text| MediaType::new(MediaType::from(text).essence()));
    let is_of_use = |given: &MediaType| {
        let is_generic = GENERIC.iter().any(|text| given.is(text));
        given.is_well_formed() && given.starts_with(KIND) && !is_generic
    };
    let given = given.filter(is_of_use);
    let named = named_type(raw)?;
    let is_kind = |media_type: &MediaType| Kind::of(media_type).is_some();
    match (given, named) {
        (Some(given), Some(named)) if is_kind(&given) && given != named => {
            let message = format!("Content-Type is `{given}`, but the manifest says `{named}`");
            Err(ErrorResponse::new(Code::ManifestInvalid, message))
        }
        (Some(given), _) if is_kind(&given) => Ok(given),
        (_, Some(named)) if is_kind(&named) => Ok(named),
        (Some(given), _) => Ok(given),
        (None, _) => Manifest::media_type_of(raw).map_err(invalid),
    }
}

/// Returns the media type that a document gives itself.
fn named_type(raw: &[u8]) -> Result<Option<MediaType>, ErrorResponse> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        #[serde(default)]
        media_type: Option<MediaType>,
    }
    let typed: Typed = serde_json::from_slice(raw).map_err(invalid)?;
    Ok(typed.media_type.filter(|media_type| !media_type.as_str().is_empty()))
}

/// Returns the response to a manifest that would exceed the limits of the list.
fn over_limit(error: Error) -> ErrorResponse {
    let Error::Limit { limit, .. } = &error else { return error.into() };
    tracing::error!(%error, "a manifest cannot be listed");
    let message = format!("the registry lists as much as it can: its limit is {limit}");
    ErrorResponse::new(Code::SizeInvalid, message).status(StatusCode::INSUFFICIENT_STORAGE)
}

fn invalid(error: impl std::error::Error) -> ErrorResponse {
    ErrorResponse::new(Code::ManifestInvalid, format!("the manifest cannot be taken: {error}"))
}

/// Checks that everything exists that a manifest refers to. Its subject may be absent (row F-24), and so
/// may nondistributable layers (row F-25).
fn check_children(repository: &dyn Repository, manifest: &Manifest) -> Result<(), ErrorResponse> {
    for (role, child) in manifest.children() {
        if role == Role::Layer && child.media_type.is_nondistributable() {
            continue;
        }
        match find_child(repository, role, child) {
            Ok(found) if found.size == child.size => {}
            Ok(found) => {
                let Descriptor { digest, size, .. } = child;
                let message = format!("{digest} has {} bytes, not {size}", found.size);
                return Err(ErrorResponse::new(Code::ManifestInvalid, message));
            }
            Err(Error::NotFound { .. }) => {
                let message = format!("{} is not in this repository; push it first", child.digest);
                return Err(ErrorResponse::new(Code::ManifestBlobUnknown, message));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Checks that the manifests that an index lists are manifests, if they exist, and that they are not
/// nested too deeply to be read.
fn check_nested(repository: &dyn Repository, manifest: &Manifest) -> Result<(), ErrorResponse> {
    let mut seen = HashSet::new();
    let mut found_wrong = None;
    let look = |child: &Descriptor| {
        let is_itself = child.digest == manifest.descriptor().digest;
        if is_itself { Ok(manifest.clone()) } else { repository.child(child) }
    };
    let root = manifest.descriptor().clone();
    let walked = walk(vec![root], 1, look, |descriptor, found| match found {
        Ok(found) => {
            let listed = found.children().filter(|(role, _)| *role == Role::Manifest);
            let typed = listed.filter_map(|(_, child)| Some((Kind::of(&child.media_type)?, child)));
            let new = typed.filter(|(kind, child)| seen.insert((*kind, child.digest.clone())));
            new.map(|(_, child)| child.clone()).collect()
        }
        // Absent manifests were checked before.
        Err(Error::NotFound { .. }) => Vec::new(),
        Err(error) => {
            found_wrong.get_or_insert_with(|| not_a_manifest(&descriptor, error));
            Vec::new()
        }
    });
    if let Some(error) = found_wrong {
        return Err(error);
    }
    walked.map_err(invalid)
}

/// Returns the response to an index that lists something as a manifest that cannot be read as one.
fn not_a_manifest(
    Descriptor { media_type, digest, size, .. }: &Descriptor,
    error: Error,
) -> ErrorResponse {
    let reason = match error {
        Error::Manifest { source, .. } => source.to_string(),
        Error::Limit { limit, .. } => format!("it may have at most {limit}"),
        Error::Size { .. } => format!("it does not have {size} bytes"),
        error => return error.into(),
    };
    let message = format!("{digest} is listed as `{media_type}`, which it is not: {reason}");
    ErrorResponse::new(Code::ManifestInvalid, message)
}

/// Looks for a child. An entry of an index may not be a manifest (row C-22), and a layer may be one.
fn find_child(
    repository: &dyn Repository,
    role: Role,
    child: &Descriptor,
) -> Result<Descriptor, Error> {
    let as_manifest = || repository.head(&Selector::Digest(child.digest.clone()));
    let as_blob = || repository.blob(&child.digest);
    let absent = |error: &Error| matches!(error, Error::NotFound { .. } | Error::Manifest { .. });
    if role == Role::Manifest {
        as_manifest().or_else(|error| if absent(&error) { as_blob() } else { Err(error) })
    } else {
        as_blob().or_else(|error| if absent(&error) { as_manifest() } else { Err(error) })
    }
}
