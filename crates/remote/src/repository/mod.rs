//! One repository of a registry.

mod blob_head;
mod blob_pull;
mod blob_push;
mod delete;
mod manifest_pull;
mod manifest_push;
mod referrers;
mod tags;

use std::fmt;
use std::num::NonZeroUsize;

use http::{HeaderName, Method};
use longshore_spec::{Descriptor, Digest, Manifest, RepositoryName, Role, Tag};
use longshore_store::{
    Blob, Entry, Error, Flaw, Held, Inability, KnownRoots, MountSource, Name, Pushed, Reader,
    Referrers, Refusal, Repository, Result, Root, Selector, Source, Subject, Target,
};

use self::blob_head::Presence;
use self::manifest_pull::HeadResult;
use crate::Registry;
use crate::auth::Scope;
use crate::http::{Answer, Request};
use crate::list::{ListEntries, ListError};

/// The header that names the digest of the content (rows E-24, E-29).
const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// One repository of a registry.
///
/// Made by [`Registry::remote_repository`]; making one makes no request.
#[derive(Clone)]
pub struct RemoteRepository {
    registry: Registry,
    name: RepositoryName,
}

impl Registry {
    /// Returns a repository. No request is made.
    pub fn remote_repository(&self, name: &RepositoryName) -> RemoteRepository {
        RemoteRepository { registry: self.clone(), name: name.clone() }
    }
}

impl RemoteRepository {
    /// Returns the registry that the repository is in.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the name of the repository.
    pub fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// Tells whether the registry has a list of tags for the repository, even an empty one.
    pub fn has_tag_list(&self) -> Result<bool> {
        Ok(self.fetch_tags()?.is_some())
    }

    /// Returns the tags, or `None` if the registry has no such list. A non-string entry is kept as a tag
    /// name (a tag of digits may come as a number); if it does not resolve, `known_roots` lists it under
    /// `unknown`.
    fn fetch_tags(&self) -> Result<Option<Vec<Name>>> {
        let path = format!("{}/tags/list", self.name);
        let (what, scope) = (format!("the list of tags of {self}"), Scope::pull(&self.name));
        match self.registry.fetch_list(&path, &what, "tags", Some(&self.name), &scope) {
            Err(ListError::Refused(Error::NotFound { .. })) => Ok(None),
            listed => {
                let ListEntries { mut strings, non_strings } = listed?;
                strings.extend(non_strings);
                Ok(Some(strings.into_iter().map(Name::new).collect()))
            }
        }
    }

    /// Returns a request for something in the repository. Errors name a tag with its repository.
    fn request(
        &self,
        method: Method,
        path: &str,
        action: &'static str,
        what: impl Into<Subject>,
    ) -> Request<'static> {
        let what = match what.into() {
            Subject::Name(tag) => Subject::Tagged { repository: self.to_string(), tag },
            what => what,
        };
        Request::new(method, self.registry.url(&format!("{}/{path}", self.name)), action, what)
    }

    /// Makes a request that changes nothing.
    fn read(&self, request: &Request<'_>) -> Result<Answer<'_>> {
        self.registry.read(request, Some(&self.name), Scope::pull(&self.name))
    }

    /// Makes a HEAD request. Returns `None` if the answer is not clear.
    fn probe(&self, request: &Request<'_>) -> Result<Option<Answer<'_>>> {
        self.registry.probe(request, Some(&self.name), Scope::pull(&self.name))
    }

    /// Makes a request that changes something.
    fn write(&self, request: &Request<'_>) -> Result<Answer<'_>> {
        self.registry.send(request, Some(&self.name), [Scope::push(&self.name)])
    }

    /// Returns `error` with the repository, instead of the host, as the place that lacks something.
    fn with_repository_as_place(&self, error: Error) -> Error {
        match error {
            Error::NotFound { what, said, .. } => {
                // The place names the repository already.
                let what = match what {
                    Subject::Tagged { tag, .. } => Subject::Name(tag),
                    what => what,
                };
                Error::NotFound { what, place: self.to_string(), said }
            }
            error => error,
        }
    }

    fn refused(&self, request: &Request<'_>, answer: Answer<'_>) -> Error {
        self.with_repository_as_place(answer.into_error(request.action, &request.what))
    }

    /// Returns the error of a refused push. A 404 is about the repository or the upload, not about the
    /// content that is pushed.
    fn push_error(&self, request: &Request<'_>, answer: Answer<'_>) -> Error {
        match self.refused(request, answer) {
            Error::NotFound { what, place, said: Some(said) } => {
                Error::Refused { action: request.action, what, place, said }
            }
            error => error,
        }
    }

    fn unsupported(&self, what: Inability) -> Error {
        Error::unsupported(self, what)
    }

    /// Returns `name` as a tag: a registry knows no other names.
    fn tag(&self, name: &Name) -> Result<Tag> {
        name.tag().ok_or_else(|| self.unsupported(Inability::NotATag(name.clone())))
    }
}

impl Source for RemoteRepository {
    fn head(&self, selector: &Selector) -> Result<Descriptor> {
        self.head_manifest(selector)
    }

    fn unconfirmed_head(&self, selector: &Selector) -> Result<Descriptor> {
        match self.head_result(selector)? {
            HeadResult::There(said) => Ok(said),
            HeadResult::Absent | HeadResult::Unknown => self.head_manifest(selector),
        }
    }

    fn manifest(&self, selector: &Selector) -> Result<Manifest> {
        self.get_manifest(selector)
    }

    fn child(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.get_child(descriptor)
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Result<Reader<'_>> {
        self.open_blob(blob, offset)
    }

    /// Asks for the size, and reads the content if the registry does not state the size.
    fn size(&self, blob: &Descriptor) -> Result<u64> {
        match self.find_blob(&blob.digest)? {
            Presence::There(Some(size)) if size == blob.size => return Ok(size),
            // HEAD and the descriptor disagree; HEAD is often wrong, so ask GET before believing it.
            Presence::There(Some(_)) => {
                if let Presence::There(Some(size)) = self.get_first_byte(&blob.digest)? {
                    return Ok(size);
                }
            }
            Presence::There(None) | Presence::Absent => {}
        }
        let mut content = self.open_blob(blob, 0)?;
        let read = std::io::copy(&mut content, &mut std::io::sink());
        read.map_err(|error| Error::from_io("read", &blob.digest, error))
    }

    fn has_content(&self, blob: &Descriptor) -> Result<bool> {
        self.first_byte_comes(blob)
    }

    fn blob(&self, digest: &Digest) -> Result<Descriptor> {
        let Presence::There(size) = self.find_blob(digest)? else {
            let said = Some(Box::new(Refusal::of_status(404)));
            return Err(Error::NotFound { what: digest.into(), place: self.to_string(), said });
        };
        let malformed = || {
            let reason = Flaw::Answer("it does not say how large that is".to_owned());
            Error::malformed(format!("the answer about {digest}"), reason)
        };
        let size = size.ok_or_else(malformed)?;
        Ok(Descriptor::new("application/octet-stream", digest.clone(), size))
    }

    fn names(&self) -> Result<Vec<Name>> {
        // A repository that does not exist is empty.
        Ok(self.fetch_tags()?.unwrap_or_default())
    }

    /// Returns the tagged manifests: a registry lists no others. Fallback tags of referrers are left out,
    /// since nobody chose them.
    fn roots(&self) -> Result<Vec<Root>> {
        let KnownRoots { roots, unknown } = self.known_roots()?;
        // A not-found error is no failure: the tag was deleted meanwhile, or the registry lists a tag
        // that it does not have.
        match unknown.into_iter().find(|(_, error)| !error.is_not_found()) {
            Some((_, error)) => Err(error),
            None => Ok(roots),
        }
    }

    fn known_roots(&self) -> Result<KnownRoots> {
        self.tagged_roots()
    }

    fn referrers(&self, subject: &Digest) -> Result<Referrers> {
        self.list_referrers(subject)
    }

    fn location(&self) -> Option<MountSource> {
        let registry = self.registry.host().to_owned();
        Some(MountSource { registry, repository: self.name.clone() })
    }
}

impl Target for RemoteRepository {
    fn held(&self, descriptor: &Descriptor, role: Role) -> Result<Held> {
        let is_held = match role {
            Role::Manifest => self.has(descriptor, &[])?,
            _ => self.holds_blob(descriptor)?,
        };
        Ok(if is_held { Held::Whole } else { Held::Nothing })
    }

    fn lists(&self, manifest: &Descriptor, names: &[Name]) -> Result<bool> {
        self.has(manifest, names)
    }

    fn stands_for(&self, name: &Name) -> Result<Option<Digest>> {
        let found = self.find_manifest(&Selector::Name(name.clone()))?;
        Ok(found.map(|found| found.digest))
    }

    fn names_at_once(&self, manifest: &Manifest) -> Option<NonZeroUsize> {
        Self::tags_at_once(manifest)
    }

    fn offers(&self) -> Option<MountSource> {
        self.location()
    }

    fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        self.upload_blob(blob)
    }

    fn push_manifest(&self, manifest: &Manifest, entry: Entry<'_>) -> Result<Pushed> {
        self.put_manifest(manifest, entry)
    }

    fn list(&self, descriptor: &Descriptor, _: &[Name]) -> Result<()> {
        Err(self.unsupported(Inability::ManifestsOnly(descriptor.digest.clone())))
    }
}

impl Repository for RemoteRepository {
    fn untag(&self, name: &Name) -> Result<()> {
        self.delete_tag(&self.tag(name)?)
    }

    fn remove(&self, digest: &Digest) -> Result<()> {
        self.delete_manifest(digest)
    }
}

impl fmt::Display for RemoteRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry.host(), self.name)
    }
}

impl fmt::Debug for RemoteRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
