//! Blobs that come to a repository in pieces.

use std::fs::{File, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use longshore_spec::{Descriptor, Digest, Hasher, RepositoryName};
use longshore_store::{Error, Result, Upload};
use tempfile::NamedTempFile;

use super::blobs::blob_path;
use super::collect::below;
use super::marks::mark_blob;
use super::{Directory, own};
use crate::files;
use crate::lock;
use crate::persist::{Durable, persist};

impl Directory {
    /// Begins to take in a blob for a repository, or for the layout as a whole.
    pub(super) fn begin_upload(
        &self,
        repository: Option<&RepositoryName>,
        hasher: Hasher,
    ) -> Result<Box<dyn Upload>> {
        self.begin()?;
        let directory = uploads(&self.root);
        files::create_directory(&directory)?;
        let part = create(&directory)?;
        let (root, repository) = (self.root.clone(), repository.cloned());
        Ok(Box::new(Incoming { root, repository, part, hasher, len: 0 }))
    }

    /// Removes what uploads of processes that were killed left. Those of living ones are locked.
    pub(super) fn remove_dead_uploads(&self) -> Result<()> {
        for entry in below(&uploads(&self.root))? {
            let path = entry.path();
            // It may be gone by now.
            let Ok(file) = files::open(path) else { continue };
            if lock::take(&file, path).is_ok() && lock::is_at(&file, path) {
                files::remove(path)?;
            }
        }
        Ok(())
    }
}

/// Where uploads lie while they are under way.
pub(super) fn uploads(root: &Path) -> PathBuf {
    own(root).join("partial/uploads")
}

/// Creates a file for an upload, locked. Its name is never used again: what takes it away must not
/// take another's.
fn create(directory: &Path) -> Result<NamedTempFile> {
    loop {
        let part = tempfile::Builder::new()
            .prefix("upload-")
            .permissions(Permissions::from_mode(0o666)) // as far as the umask allows
            .tempfile_in(directory)
            .map_err(Error::io("write to", directory.display()))?;
        // Between the two, another process may have taken it for a dead one.
        if lock::take(part.as_file(), part.path()).is_ok()
            && lock::is_at(part.as_file(), part.path())
        {
            return Ok(part);
        }
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
            mark_blob(&root, repository, digest)?;
        }
        Ok(Descriptor::new("application/octet-stream", digest.clone(), len))
    }
}
