//! A registry in memory behind a [`Stub`], with every optional feature.

use std::collections::BTreeMap;
use std::sync::Mutex;

use longshore_spec::{Descriptor, Digest, Manifest};
use serde_json::json;

use crate::stub::{Request, Response, Stub};

/// The features of the registry.
#[expect(clippy::struct_excessive_bools, reason = "each can be lacking on its own")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile {
    pub(crate) referrers_api: bool,
    pub(crate) subject_header: bool,
    pub(crate) digest_header: bool,
    pub(crate) head: bool,
    pub(crate) mounts: bool,
    pub(crate) tag_params: bool,
    pub(crate) whole_uploads: bool,
}

impl Profile {
    /// The current specification.
    pub(crate) const NEW: Self = Self {
        referrers_api: true,
        subject_header: true,
        digest_header: true,
        head: true,
        mounts: true,
        tag_params: true,
        whole_uploads: true,
    };
    /// A registry of the first edition.
    pub(crate) const OLD: Self = Self {
        referrers_api: false,
        subject_header: false,
        digest_header: false,
        head: false,
        mounts: false,
        tag_params: false,
        whole_uploads: false,
    };
}

#[derive(Debug, Default)]
struct State {
    blobs: BTreeMap<(String, String), Vec<u8>>,
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    tags: BTreeMap<(String, String), String>,
    uploads: BTreeMap<String, Vec<u8>>,
}

pub(crate) fn registry(profile: Profile) -> Stub {
    let state = Mutex::new(State::default());
    Stub::new(move |request| state.lock().unwrap().handle(profile, request))
}

fn error(status: u16, code: &str) -> Response {
    Response::new(status).body(json!({"errors": [{"code": code, "message": "no"}]}).to_string())
}

impl State {
    fn handle(&mut self, profile: Profile, request: &Request) -> Response {
        let path = request.path().strip_prefix("/v2/").unwrap_or("");
        if path.is_empty() {
            return Response::ok("{}");
        }
        if path == "_catalog" {
            let mut names: Vec<_> = self.manifests.keys().map(|(name, _)| name).collect();
            names.dedup();
            return Response::ok(json!({"repositories": names}).to_string());
        }
        let split = |middle| path.split_once(middle);
        if let Some((name, rest)) = split("/blobs/uploads/") {
            return self.upload(profile, request, name, rest);
        }
        if let Some((name, digest)) = split("/blobs/") {
            let key = (name.to_owned(), digest.to_owned());
            return match self.blobs.get(&key) {
                Some(blob) => ranged(request, blob),
                None => error(404, "BLOB_UNKNOWN"),
            };
        }
        if let Some((name, reference)) = split("/manifests/") {
            return self.manifest(profile, request, name, reference);
        }
        if let Some((name, _)) = split("/tags/list") {
            let tags = self.tags.keys().filter(|(of, _)| of == name).map(|(_, tag)| tag);
            let tags: Vec<_> = tags.collect();
            return if tags.is_empty() {
                error(404, "NAME_UNKNOWN")
            } else {
                Response::ok(json!({"name": name, "tags": tags}).to_string())
            };
        }
        match split("/referrers/") {
            Some((name, subject)) if profile.referrers_api => self.referrers(name, subject),
            _ => Response::new(404).body("404 page not found"),
        }
    }

    fn upload(&mut self, profile: Profile, request: &Request, name: &str, id: &str) -> Response {
        let location = |id: &str| format!("/v2/{name}/blobs/uploads/{id}?_state=a%2Bb%3D");
        match request.method.as_str() {
            "POST" => {
                let mounted = request.param("mount").zip(request.param("from"));
                if let Some((digest, from)) = mounted.filter(|_| profile.mounts)
                    && let Some(blob) = self.blobs.get(&(from, digest.clone())).cloned()
                {
                    self.blobs.insert((name.to_owned(), digest), blob);
                    return Response::new(201).header("location", "/x");
                }
                let id = format!("u{}", self.uploads.len());
                self.uploads.insert(id.clone(), Vec::new());
                Response::new(202).header("location", location(&id))
            }
            "DELETE" => Response::new(204),
            method => {
                let Some(upload) = self.uploads.get_mut(id) else {
                    return error(404, "BLOB_UPLOAD_UNKNOWN");
                };
                if method == "PUT" && !request.body.is_empty() && !profile.whole_uploads {
                    return error(413, "SIZE_INVALID");
                }
                upload.extend_from_slice(&request.body);
                if method == "PATCH" {
                    let last = upload.len().saturating_sub(1);
                    return Response::new(202)
                        .header("location", location(id))
                        .header("range", format!("0-{last}"));
                }
                let digest: Digest =
                    request.param("digest").unwrap().replace("%3D", "=").parse().unwrap();
                if digest.recompute(upload).as_ref() != Some(&digest) {
                    return error(400, "DIGEST_INVALID");
                }
                self.blobs.insert((name.to_owned(), digest.to_string()), upload.clone());
                Response::new(201).header("location", "/x")
            }
        }
    }

    fn manifest(
        &mut self,
        profile: Profile,
        request: &Request,
        name: &str,
        reference: &str,
    ) -> Response {
        let key = |reference: &str| (name.to_owned(), reference.to_owned());
        let digest = self.tags.get(&key(reference)).cloned().unwrap_or(reference.to_owned());
        match request.method.as_str() {
            "HEAD" if !profile.head => error(405, "UNSUPPORTED"),
            "GET" | "HEAD" => match self.manifests.get(&key(&digest)) {
                Some((media_type, raw)) => {
                    let response = Response::ok(raw.clone()).header("content-type", media_type);
                    if profile.digest_header {
                        response.header("docker-content-digest", digest)
                    } else {
                        response
                    }
                }
                None => error(404, "MANIFEST_UNKNOWN"),
            },
            "PUT" => {
                let mut digest = Digest::sha256(&request.body).to_string();
                if reference.contains(':') {
                    reference.clone_into(&mut digest);
                } else {
                    self.tags.insert(key(reference), digest.clone());
                }
                let mut response = Response::new(201).header("location", "/x");
                for tag in request.params("tag").into_iter().filter(|_| profile.tag_params) {
                    self.tags.insert(key(&tag), digest.clone());
                    response = response.header("OCI-Tag", tag);
                }
                let media_type = request.header("content-type").unwrap().to_owned();
                let manifest = parse(&media_type, &request.body);
                if let Some(subject) = manifest.subject().filter(|_| profile.subject_header) {
                    response = response.header("OCI-Subject", &subject.digest);
                }
                self.manifests.insert(key(&digest), (media_type, request.body.clone()));
                response.header("Docker-Content-Digest", digest)
            }
            _ if self.tags.remove(&key(reference)).is_some() => Response::new(202),
            _ if self.manifests.remove(&key(reference)).is_some() => {
                self.tags.retain(|_, digest| digest != reference);
                Response::new(202)
            }
            _ => error(404, "MANIFEST_UNKNOWN"),
        }
    }

    fn referrers(&self, name: &str, subject: &str) -> Response {
        let all = self.manifests.iter().filter(|((of, _), _)| of == name);
        let all = all.map(|(_, (media_type, raw))| parse(media_type, raw));
        let found = all.filter(|manifest| {
            manifest.subject().is_some_and(|found| found.digest.to_string() == subject)
        });
        let entries: Vec<_> = found.map(|manifest| json!(manifest.as_referrer())).collect();
        let media_type = "application/vnd.oci.image.index.v1+json";
        let list = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
        Response::ok(list.to_string()).header("content-type", media_type)
    }
}

fn parse(media_type: &str, raw: &[u8]) -> Manifest {
    Manifest::parse(raw.to_vec().into(), Descriptor::of(media_type, raw)).unwrap()
}

/// Answers with the requested range.
pub(crate) fn ranged(request: &Request, blob: &[u8]) -> Response {
    let range = request.header("range").and_then(|range| range.strip_prefix("bytes="));
    let Some(start) = range.and_then(|range| range.strip_suffix('-')) else {
        return Response::ok(blob);
    };
    let start: usize = start.parse().unwrap();
    if start >= blob.len() {
        return error(416, "RANGE_INVALID");
    }
    let range = format!("bytes {start}-{}/{}", blob.len() - 1, blob.len());
    Response::new(206).header("content-range", range).body(&blob[start..])
}
