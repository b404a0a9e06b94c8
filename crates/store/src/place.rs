//! What is read, written and administered: one repository, and a place of them.

use longshore_spec::{Descriptor, Digest, Hasher, RepositoryName};

use crate::{Name, Result, Source, SourcePlace, Target, TargetPlace};

/// A repository that is read and written, and from which something can be removed.
pub trait Repository: Source + Target {
    /// Removes a name. What it stood for stays until it is collected. Fails with
    /// [`Error::NotFound`](crate::Error::NotFound).
    fn untag(&self, name: &Name) -> Result<()>;

    /// Removes several names, and says what became of each, in their order. A place whose names are one list
    /// writes it once. Fails if the list cannot be written.
    fn untag_all(&self, names: &[Name]) -> Result<Vec<Result<()>>> {
        Ok(names.iter().map(|name| self.untag(name)).collect())
    }

    /// Removes a manifest from the repository, with every name on it. Fails with
    /// [`Error::NotFound`](crate::Error::NotFound).
    fn remove(&self, digest: &Digest) -> Result<()>;
}

/// A place that a server can serve, pushes included.
pub trait Place: SourcePlace + TargetPlace {
    /// Returns a repository of the place. Asking for one that does not exist is no error: it is
    /// empty, and exists once something is pushed.
    fn repository(&self, name: &RepositoryName) -> Result<Box<dyn Repository + '_>>;

    /// Begins to take a blob into a repository whose digest is not known yet. `hasher` is a fresh one of
    /// the algorithm that the digest will most likely have.
    fn upload(&self, repository: &RepositoryName, hasher: Hasher) -> Result<Box<dyn Upload>>;

    /// Adds a blob to a repository that another repository of the place holds; no byte is moved. Whether
    /// whoever asks may know of the blob is the caller's business. Fails with
    /// [`Error::NotFound`](crate::Error::NotFound) if the place does not hold it.
    fn adopt(&self, repository: &RepositoryName, blob: &Descriptor) -> Result<()>;

    /// Removes a blob from a repository; other repositories keep it. Fails with
    /// [`Error::NotFound`](crate::Error::NotFound), and with
    /// [`Error::Unsupported`](crate::Error::Unsupported) while a manifest there needs it.
    fn forget(&self, repository: &RepositoryName, digest: &Digest) -> Result<()>;

    /// Brings what is durable already into the form that others read, too. A server calls it now and then,
    /// and at its end; a place that has but one form does nothing.
    fn settle(&self) -> Result<()> {
        Ok(())
    }
}

/// A blob that comes in pieces, and whose digest is told at the end.
///
/// It is its own owner and outlives the request that began it: a server keeps it from one
/// request to the next. Dropped before [`Upload::finish`], it leaves nothing.
#[expect(clippy::len_without_is_empty, reason = "an upload of no bytes is nothing special")]
pub trait Upload: Send {
    /// Appends `bytes`. After a failure the upload is as long as [`Upload::len`] says.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Returns how many bytes have come.
    fn len(&self) -> u64;

    /// Makes the content a blob of the repository, durable when this returns, if it is what `digest`
    /// says; else fails, with [`Error::Corrupt`](crate::Error::Corrupt) or
    /// [`Error::Unverifiable`](crate::Error::Unverifiable), and leaves nothing.
    fn finish(self: Box<Self>, digest: &Digest) -> Result<Descriptor>;
}
