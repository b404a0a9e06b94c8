//! Blobs that come to a repository in pieces, and which repository a blob was pushed to.

use std::fs::{File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use longshore_spec::{Descriptor, Digest, Hasher, RepositoryName};
use longshore_store::{Error, Result, Upload};
use tempfile::NamedTempFile;

use super::blobs::blob_path;
use super::collect::below;
use super::{Directory, own};
use crate::files;
use crate::persist::{Durable, persist, sync_directory};

impl Directory {
    /// Begins to take in a blob for a repository, or for the layout as a whole.
    pub(super) fn begin_upload(
        &self,
        repository: Option<&RepositoryName>,
        hasher: Hasher,
    ) -> Result<Box<dyn Upload>> {
        self.begin()?;
        let directory = own(&self.root).join("partial/uploads");
        files::create_directory(&directory)?;
        // A name that is never used again: what takes it away must not take another's.
        let part = tempfile::Builder::new()
            .prefix("upload-")
            .permissions(Permissions::from_mode(0o666)) // as far as the umask allows
            .tempfile_in(&directory)
            .map_err(Error::io("write to", directory.display()))?;
        let (root, repository) = (self.root.clone(), repository.cloned());
        Ok(Box::new(Incoming { root, repository, part, hasher, len: 0 }))
    }

    /// Takes note that a blob belongs to a repository.
    pub(super) fn adopt_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        if self.blob_size(digest)?.is_none() {
            return Err(Error::not_found(digest, self.root.display()));
        }
        self.begin()?;
        mark(&self.root, repository, digest)
    }

    /// Returns the repositories that blobs were pushed to, whether a manifest followed or not.
    pub(super) fn pushed_to(&self) -> Result<Vec<RepositoryName>> {
        let root = own(&self.root).join("repositories");
        let repository = |marker: &Path| {
            // REPOSITORY/_blobs/ALGORITHM/ENCODED
            let name = marker.ancestors().nth(3)?.strip_prefix(&root).ok()?;
            name.to_str()?.parse().ok()
        };
        let mut found: Vec<_> =
            below(&root)?.iter().filter_map(|entry| repository(entry.path())).collect();
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Tells whether a blob was pushed to a repository or adopted by it.
    pub(super) fn was_pushed(&self, repository: &RepositoryName, digest: &Digest) -> bool {
        marker(&self.root, repository, digest).exists()
    }

    /// Takes note that a blob no longer belongs to a repository; false if it did not.
    pub(super) fn forget_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool> {
        self.begin()?;
        let marker = marker(&self.root, repository, digest);
        let was_there = marker.exists();
        files::remove(&marker)?;
        Ok(was_there)
    }
}

/// A blob on its way. Dropped before its end, it leaves nothing.
struct Incoming {
    root: PathBuf,
    repository: Option<RepositoryName>,
    /// It is removed with the upload, unless it has become a blob.
    part: NamedTempFile,
    hasher: Hasher,
    len: u64,
}

impl Incoming {
    /// Returns what the content hashes to under the algorithm of `digest`: what was hashed on the
    /// way, or if that was another algorithm, the content read again.
    fn hashed_as(&self, digest: &Digest) -> Result<Digest> {
        let on_the_way = self.hasher.clone().finish();
        if on_the_way.algorithm() == digest.algorithm() {
            return Ok(on_the_way);
        }
        let unverifiable = || Error::Unverifiable { digest: digest.clone() };
        let mut hasher = digest.hasher().ok_or_else(unverifiable)?;
        let file = files::open(self.part.path())?;
        let mut content = file.take(self.len);
        let mut buffer = files::buffer(self.len);
        loop {
            match content
                .read(&mut buffer)
                .map_err(Error::io("read", self.part.path().display()))?
            {
                0 => return Ok(hasher.finish()),
                count => hasher.update(&buffer[..count]),
            }
        }
    }
}

impl Upload for Incoming {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let write = self.part.as_file().write_all_at(bytes, self.len);
        write.map_err(Error::io("write", self.part.path().display()))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn finish(self: Box<Self>, digest: &Digest) -> Result<Descriptor> {
        let actual = self.hashed_as(digest)?;
        if actual != *digest {
            return Err(Error::Corrupt { expected: digest.clone(), actual });
        }
        let target = blob_path(&self.root, digest);
        files::create_directory(target.parent().unwrap_or(&self.root))?;
        // What is behind the end is left of a write that failed.
        let trim = |file: &File| {
            file.set_len(self.len).map_err(Error::io("write", self.part.path().display()))
        };
        persist(self.part.as_file(), self.part.path(), &target, Durable::Now, trim)?;
        let Self { root, repository, part, len, .. } = *self;
        // It has another name now, and only gives its own up.
        drop(part.into_temp_path().keep());
        if let Some(repository) = &repository {
            mark(&root, repository, digest)?;
        }
        Ok(Descriptor::new("application/octet-stream", digest.clone(), len))
    }
}

/// An empty file that says that a blob belongs to a repository. A name of a repository is a
/// relative path by its grammar; `blobs` with a leading `_` cannot be a part of one.
fn marker(root: &Path, repository: &RepositoryName, digest: &Digest) -> PathBuf {
    let directory = own(root).join("repositories").join(repository.as_str()).join("_blobs");
    directory.join(digest.algorithm()).join(digest.encoded())
}

fn mark(root: &Path, repository: &RepositoryName, digest: &Digest) -> Result<()> {
    let marker = marker(root, repository, digest);
    if marker.exists() {
        return Ok(());
    }
    files::create_directory(marker.parent().unwrap_or(root))?;
    let mut file = files::open_or_create(&marker)?;
    file.flush().map_err(Error::io("write", marker.display()))?;
    sync_directory(&marker)
}
