//! The traits that every place implements.

use std::fmt::Debug;
use std::io::Read as _;
use std::num::NonZeroUsize;

use bytes::Bytes;
use longshore_spec::{Descriptor, Digest, Hasher, Manifest, RepositoryName, Role};

use crate::{Error, Inability, Name, Outline, Reader, Result, Root, Selector, Verifying};

/// Somewhere that content lies: a registry, a layout directory, a layout archive, memory.
pub trait Place: Debug + Send + Sync {
    /// Returns a repository of the place. Asking for one that does not exist is no error: it is
    /// empty, and exists once something is pushed.
    fn repository(&self, name: &RepositoryName) -> Result<Box<dyn Repository + '_>>;

    /// Returns the repositories that hold something, sorted.
    fn repositories(&self) -> Result<Vec<RepositoryName>>;

    /// Tells whether a repository holds something: whether it is among [`Place::repositories`].
    fn has_repository(&self, name: &RepositoryName) -> Result<bool> {
        Ok(self.repositories()?.contains(name))
    }

    /// Returns how many bytes a blob has that some repository of the place can adopt, whichever holds it
    /// (see [`Repository::adopt`]); `None` if there is none. A place where no repository is asked for that
    /// may tell of content that was removed and is not collected yet.
    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        for name in self.repositories()? {
            match self.repository(&name)?.blob(digest) {
                Ok(blob) => return Ok(Some(blob.size)),
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Takes note of all that will come, before the first byte does. A place may refuse here, for
    /// example because it has no room; nothing has changed then. Returns how many bytes of it are there
    /// already, if the place knows that at once and not by a request for each piece.
    fn prepare(&self, outline: &Outline) -> Result<Option<u64>> {
        let _ = outline;
        Ok(None)
    }

    /// Returns in which order the place wants to be given what comes.
    fn order(&self) -> Order {
        Order::LargestFirst
    }

    /// Tells whether it is whole or not there at all, as an archive is: a root that fails takes all others
    /// with it.
    fn has_no_half(&self) -> bool {
        false
    }

    /// Makes everything that was pushed visible and durable; called once, at the end. A server has no
    /// end, and calls it before it says that a change is made.
    ///
    /// `complete` says whether all of the outline has come; to say so wrongly is an error. A place
    /// that has no half, such as an archive, stays invisible if not, and keeps what it has for the
    /// next run.
    fn commit(&self, complete: bool) -> Result<()> {
        let _ = complete;
        Ok(())
    }

    /// Brings what is durable already into the form that others read, too. A server calls it now and then,
    /// and at its end; a place that has but one form does nothing.
    fn settle(&self) -> Result<()> {
        Ok(())
    }
}

/// In which order a place wants to be given what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The largest first, small ones alongside: the last worker is done soon after the first.
    LargestFirst,
    /// As in the outline, several at a time.
    Outline,
    /// As in the outline, one at a time: a pipe. Manifests come before what they refer to.
    Sequence,
}

/// One repository, read.
pub trait Source: Debug + Send + Sync {
    /// Returns the descriptor of a manifest, with what the place says of it (annotations of an
    /// index entry). Fails with [`Error::NotFound`] or [`Error::Ambiguous`].
    fn head(&self, selector: &Selector) -> Result<Descriptor>;

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

    /// Returns every name, sorted.
    fn names(&self) -> Result<Vec<Name>>;

    /// Returns the manifests whose subject is `subject`, each once, sorted by digest. A place that
    /// cannot tell fails; an empty list means that there are none.
    fn referrers(&self, subject: &Digest) -> Result<Referrers>;

    /// Returns where this repository lies, if a target of the same registry could take content over
    /// from it without its bytes being moved (row E-60).
    fn location(&self) -> Option<Location> {
        None
    }
}

/// A repository of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
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

/// One repository, written.
pub trait Target: Debug + Send + Sync {
    /// Tells how much of some content is here already. `Whole` means: under its final name and of
    /// the right size; since names appear only after verification, it is not hashed again.
    fn held(&self, descriptor: &Descriptor, role: Role) -> Result<Held>;

    /// Tells whether a manifest is listed here under all of these names; without any, whether it is
    /// listed at all. What it refers to was here when it was named. A place that keeps no such
    /// account says no.
    fn lists(&self, manifest: &Descriptor, names: &[Name]) -> Result<bool> {
        let _ = (manifest, names);
        Ok(false)
    }

    /// Returns what a name stands for here that is given to something else with the next push: `None`
    /// for one that nothing has. A place that keeps no such account says `None`.
    fn stands_for(&self, name: &Name) -> Result<Option<Digest>> {
        let _ = name;
        Ok(None)
    }

    /// Returns how many names of a manifest one request gives here, if each takes requests of its own:
    /// several are worth being asked for at once then. `None` if all names of an entry are one change.
    fn names_at_once(&self, manifest: &Manifest) -> Option<NonZeroUsize> {
        let _ = manifest;
        None
    }

    /// Returns where this repository lies, if other targets of the same place can take over from it
    /// what it has taken in, without its bytes being moved (row E-60).
    fn offers(&self) -> Option<Location> {
        None
    }

    /// Takes in a blob, whole or not at all. May open it again, from any byte.
    fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed>;

    /// Takes in a manifest, byte for byte. All that it refers to has come before, unless the place
    /// asked for [`Order::Sequence`].
    fn push_manifest(&self, manifest: &Manifest, entry: Entry<'_>) -> Result<Pushed>;

    /// Lists content that is no manifest but was found listed in its source (row A-15), under these
    /// names; its bytes have come as a blob.
    fn list(&self, descriptor: &Descriptor, names: &[Name]) -> Result<()> {
        let _ = names;
        let what = Inability::ManifestsOnly(descriptor.digest.clone());
        Err(Error::unsupported(format!("{self:?}"), what))
    }
}

/// How much of some content a place holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// None of it.
    Nothing,
    /// The first so many bytes, left by an earlier run; not proven yet.
    Prefix(u64),
    /// All of it.
    Whole,
}

/// What became of something that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It was there already.
    Existed,
    /// It was taken over from another repository of the same registry; no byte was moved.
    Mounted,
    /// It was written; so many bytes were read from the source for it.
    Written(u64),
}

/// What a manifest is to the list of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    /// It is reached through another manifest.
    Child,
    /// It is listed on its own account, under these names; without any, by its digest.
    Root(&'a [Name]),
}

/// What a target is given: content that it may open, more than once and from any byte.
pub trait Blob: Send + Sync {
    /// Returns what the content is.
    fn descriptor(&self) -> &Descriptor;

    /// Returns the repository that the content lies in, if that lets a target take it over.
    fn location(&self) -> Option<Location> {
        None
    }

    /// Opens the content after the bytes that `prefix` has seen, or from its first byte.
    fn open(&self, prefix: Option<Hasher>) -> Result<Verifying<'_>>;
}

/// A repository that is read and written. What a place cannot do fails with
/// [`Error::Unsupported`].
pub trait Repository: Source + Target {
    /// Returns every manifest that is listed on its own account, named or not. A manifest may be
    /// listed several times, each time with other names.
    fn roots(&self) -> Result<Vec<Root>>;

    /// Returns the same as far as it can be found out, and what cannot: one name among a thousand is no
    /// reason not to list the others. Fails where nothing can be listed.
    fn known_roots(&self) -> Result<KnownRoots> {
        Ok(KnownRoots { roots: self.roots()?, unknown: Vec::new() })
    }

    /// Takes away a name. What it stood for stays until it is collected. Fails with
    /// [`Error::NotFound`].
    fn untag(&self, name: &Name) -> Result<()>;

    /// Returns what a blob of this repository is. A blob belongs to it if it was pushed here,
    /// adopted here, or if a manifest here lists it; what only other repositories of the place hold
    /// is not found. Fails with [`Error::NotFound`].
    fn blob(&self, digest: &Digest) -> Result<Descriptor>;

    /// Begins to take in a blob whose digest is not known yet. `hasher` is a fresh one of the
    /// algorithm that the digest will most likely have.
    fn upload(&self, hasher: Hasher) -> Result<Box<dyn Upload>> {
        let _ = hasher;
        Err(unsupported(self, Inability::Uploads))
    }

    /// Takes in a blob that another repository of the same place holds; no byte is moved. Whether
    /// whoever asks may know of the blob is the caller's business. Fails with [`Error::NotFound`]
    /// if the place does not hold it.
    fn adopt(&self, blob: &Descriptor) -> Result<()> {
        Err(unsupported(self, Inability::Adoption(blob.digest.clone())))
    }

    /// Takes a manifest out of the repository, with every name on it. Fails with
    /// [`Error::NotFound`].
    fn remove(&self, digest: &Digest) -> Result<()> {
        Err(unsupported(self, Inability::Removal(digest.clone())))
    }

    /// Takes a blob out of the repository; other repositories keep it. Fails with
    /// [`Error::NotFound`], and with [`Error::Unsupported`] while a manifest here needs it.
    fn forget(&self, digest: &Digest) -> Result<()> {
        Err(unsupported(self, Inability::Removal(digest.clone())))
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

/// A blob that comes in pieces, and whose digest is told at the end.
///
/// It is its own owner and outlives the [`Repository`] that began it: a server keeps it from one
/// request to the next. Dropped before [`Upload::finish`], it leaves nothing.
#[expect(clippy::len_without_is_empty, reason = "an upload of no bytes is nothing special")]
pub trait Upload: Send {
    /// Appends `bytes`. After a failure the upload is as long as [`Upload::len`] says.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Returns how many bytes have come.
    fn len(&self) -> u64;

    /// Makes the content a blob of the repository, durable when this returns, if it is what `digest`
    /// says; else fails, with [`Error::Corrupt`] or [`Error::Unverifiable`], and leaves nothing.
    fn finish(self: Box<Self>, digest: &Digest) -> Result<Descriptor>;
}

fn unsupported(repository: &(impl Repository + ?Sized), what: Inability) -> Error {
    Error::unsupported(format!("{repository:?}"), what)
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
