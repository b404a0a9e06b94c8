//! What is read: one repository, and a place of them.

use std::fmt::Debug;
use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use longshore_spec::{Descriptor, Digest, Manifest, RepositoryName};

use crate::{Error, Name, Reader, Result, Root, Selector, Verifying};

/// A place that is read: a registry, a layout directory, a layout archive, memory.
pub trait SourcePlace: Debug + Send + Sync {
    /// Returns a repository of the place. Asking for one that does not exist is no error: it is
    /// empty.
    fn source(&self, name: &RepositoryName) -> Result<Box<dyn Source + '_>>;

    /// Returns the repositories that hold something, sorted.
    fn repositories(&self) -> Result<Vec<RepositoryName>>;

    /// Tells whether a repository holds something: whether it is among
    /// [`SourcePlace::repositories`].
    fn has_repository(&self, name: &RepositoryName) -> Result<bool> {
        Ok(self.repositories()?.contains(name))
    }

    /// Returns how many bytes a blob has that some repository of the place holds, whichever does; `None`
    /// if there is none. A place where no repository is asked for that may tell of content that was
    /// removed and is not collected yet.
    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        for name in self.repositories()? {
            match self.source(&name)?.blob(digest) {
                Ok(blob) => return Ok(Some(blob.size)),
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

impl<P: SourcePlace + ?Sized> SourcePlace for &P {
    fn source(&self, name: &RepositoryName) -> Result<Box<dyn Source + '_>> {
        (**self).source(name)
    }

    fn repositories(&self) -> Result<Vec<RepositoryName>> {
        (**self).repositories()
    }

    fn has_repository(&self, name: &RepositoryName) -> Result<bool> {
        (**self).has_repository(name)
    }

    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        (**self).blob_size(digest)
    }
}

impl<P: SourcePlace + ?Sized> SourcePlace for Arc<P> {
    fn source(&self, name: &RepositoryName) -> Result<Box<dyn Source + '_>> {
        (**self).source(name)
    }

    fn repositories(&self) -> Result<Vec<RepositoryName>> {
        (**self).repositories()
    }

    fn has_repository(&self, name: &RepositoryName) -> Result<bool> {
        (**self).has_repository(name)
    }

    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        (**self).blob_size(digest)
    }
}

/// One repository, read.
pub trait Source: Debug + Send + Sync {
    /// Returns the descriptor of a manifest, with what the place says of it (annotations of an
    /// index entry). Fails with [`Error::NotFound`] or [`Error::Ambiguous`].
    fn head(&self, selector: &Selector) -> Result<Descriptor>;

    /// Returns what the place says that a selector stands for, in the cheapest way that it has, and without
    /// proof: a registry answers HEAD, which may be wrong and does not count as a pull. Good for telling what
    /// has changed, and not for what is taken. Fails as [`Source::head`] does.
    fn unconfirmed_head(&self, selector: &Selector) -> Result<Descriptor> {
        self.head(selector)
    }

    /// Returns a manifest, verified, in one round trip. Fails as [`Source::head`] does, with
    /// [`Error::Manifest`] if the content is no manifest, and on content that is not what its
    /// digest says.
    fn manifest(&self, selector: &Selector) -> Result<Manifest>;

    /// Returns the manifest that `descriptor` points to, verified; its media type is the
    /// descriptor's (row B-32). Fails as [`Source::manifest`] does.
    fn child(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let found = self.manifest(&Selector::Digest(descriptor.digest.clone()))?;
        manifest_from(found.raw().clone(), descriptor.clone())
    }

    /// Opens a blob at `offset`, unverified: only the engine does this, and wraps it in
    /// [`Verifying`]. Fails with [`Error::NotFound`].
    fn open(&self, blob: &Descriptor, offset: u64) -> Result<Reader<'_>>;

    /// Returns how many bytes a blob has here, whatever its descriptor says. Fails with
    /// [`Error::NotFound`]. The default reads all of it.
    fn size(&self, blob: &Descriptor) -> Result<u64> {
        let mut content = self.open(blob, 0)?;
        let read = std::io::copy(&mut content, &mut std::io::sink());
        read.map_err(|error| Error::from_io("read", &blob.digest, error))
    }

    /// Proves by its first byte that a blob is here, as long as its descriptor says: a registry may say
    /// of content that it is there when it is gone, and a layout may have a file that was cut off. What
    /// has no bytes is only asked for. That its bytes are the right ones is not proven.
    fn has_content(&self, blob: &Descriptor) -> Result<bool> {
        let mut content = match self.open(blob, 0) {
            Err(error) if error.is_not_found() => return Ok(false),
            content => content?,
        };
        let read = content.read(&mut [0]);
        let read = read.map_err(|error| Error::from_io("read", &blob.digest, error))?;
        Ok(read > 0 || blob.size == 0)
    }

    /// Returns what a blob of this repository is. A blob belongs to it if it was pushed here,
    /// adopted here, or if a manifest here lists it; what only other repositories of the place hold
    /// is not found. Fails with [`Error::NotFound`].
    ///
    /// The default says how large it is: right for a place that shares nothing between repositories.
    fn blob(&self, digest: &Digest) -> Result<Descriptor> {
        let untyped = Descriptor::new("application/octet-stream", digest.clone(), 0);
        let size = self.size(&untyped)?;
        Ok(Descriptor { size, ..untyped })
    }

    /// Returns every name, sorted.
    fn names(&self) -> Result<Vec<Name>>;

    /// Returns every manifest that is listed on its own account, named or not. A manifest may be
    /// listed several times, each time with other names.
    ///
    /// The default looks up each name: right for a place that lists nothing without one.
    fn roots(&self) -> Result<Vec<Root>> {
        let root = |name: Name| {
            let descriptor = self.head(&Selector::Name(name.clone()))?;
            Ok(Root { descriptor, names: vec![name] })
        };
        self.names()?.into_iter().map(root).collect()
    }

    /// Returns the same as far as it can be found out, and what cannot: one name among a thousand is no
    /// reason not to list the others. Fails where nothing can be listed.
    fn known_roots(&self) -> Result<KnownRoots> {
        Ok(KnownRoots { roots: self.roots()?, unknown: Vec::new() })
    }

    /// Returns the manifests whose subject is `subject`, each once, sorted by digest. A place that
    /// cannot tell fails; an empty list means that there are none.
    fn referrers(&self, subject: &Digest) -> Result<Referrers>;

    /// Returns where this repository lies, if a target of the same registry could take content over
    /// from it without its bytes being moved (row E-60).
    fn location(&self) -> Option<MountSource> {
        None
    }
}

/// What a repository lists.
#[derive(Debug, Default)]
pub struct KnownRoots {
    /// What its names stand for, and what has none.
    pub roots: Vec<Root>,
    /// The names of which that could not be found out, and why.
    pub unknown: Vec<(Name, Error)>,
}

/// A repository of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MountSource {
    /// The registry: host and port.
    pub registry: String,
    /// The repository there.
    pub repository: RepositoryName,
}

/// The manifests that say something about a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrers {
    /// Their descriptors, by rows D-01, D-02 and E-84.
    pub entries: Vec<Descriptor>,
    /// Who knew.
    pub answered_by: AnsweredBy,
}

/// Who knew the referrers of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnsweredBy {
    /// The place itself, which keeps account of them.
    Place,
    /// The fallback tag of a registry without a referrers API (row E-90).
    FallbackTag,
    /// A look at every manifest that is there (row A-29).
    Scan,
}

/// Reads `raw` as the manifest that `descriptor` points to, after checking its size and digest.
pub fn manifest_from(raw: Bytes, descriptor: Descriptor) -> Result<Manifest> {
    let Descriptor { digest, size, .. } = &descriptor;
    if raw.len() as u64 != *size {
        let actual = raw.len() as u64;
        return Err(Error::Size { digest: digest.clone(), expected: *size, actual, more: false });
    }
    match digest.recompute(&raw) {
        None => return Err(Error::Unverifiable { digest: digest.clone() }),
        Some(actual) if actual != *digest => {
            return Err(Error::Corrupt { expected: digest.clone(), actual });
        }
        Some(_) => {}
    }
    let digest = digest.clone();
    Manifest::parse(raw, descriptor).map_err(|source| Error::Manifest { digest, source })
}

/// Reads all of `reader` as the manifest that `descriptor` points to, bounded and verified.
pub fn read_manifest(reader: Reader<'_>, descriptor: &Descriptor) -> Result<Manifest> {
    let Descriptor { digest, size, .. } = descriptor;
    if *size > Manifest::MAX_SIZE {
        return Err(Error::Limit {
            what: format!("the manifest {digest} with {size} bytes"),
            limit: format!("{} bytes", Manifest::MAX_SIZE),
        });
    }
    let raw = Verifying::new(reader, descriptor)?.into_bytes()?;
    Manifest::parse(raw.into(), descriptor.clone())
        .map_err(|source| Error::Manifest { digest: digest.clone(), source })
}
