//! Uploads: blobs that come in pieces.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_spec::{Descriptor, Digest, Hasher, RepositoryName};
use longshore_store::{Error, Result, Upload};

use super::blobs::blobs_of;
use super::marks::mark_blob;
use super::{Directory, PARTIAL};
use crate::dir::Dir;
use crate::files::{self, Region};
use crate::lock;
use crate::persist::{Durable, Named, persist};

/// The directory of uploads, among those of partial blobs.
pub(super) const UPLOADS: &str = "uploads";

/// The beginning of the names of uploads.
const PREFIX: &str = "upload-";

impl Directory {
    /// Begins an upload to a repository.
    pub(super) fn begin_upload(
        &self,
        repository: &RepositoryName,
        hasher: Hasher,
    ) -> Result<Box<dyn Upload>> {
        self.begin()?;
        let layout = self.there()?;
        let directory = layout.create_below(Path::new(PARTIAL).join(UPLOADS))?;
        let (name, file) = create(&directory)?;
        let part = Part { directory, name, file: Arc::new(file) };
        let fresh = hasher.clone();
        let repository = repository.clone();
        Ok(Box::new(Incoming { layout, repository, part, fresh, hasher, len: 0 }))
    }

    /// Removes the uploads that killed processes left. Those of running processes are locked.
    pub(super) fn remove_dead_uploads(&self) -> Result<()> {
        let uploads = self.there()?.below(Path::new(PARTIAL).join(UPLOADS))?;
        let Some(uploads) = uploads else { return Ok(()) };
        for (name, _) in uploads.entries()? {
            if !name.to_str().is_some_and(is_upload) {
                continue;
            }
            // It may be gone by now, or may not be ours.
            let Ok(Some(file)) = uploads.read_own(&name) else { continue };
            if lock::take(&file, uploads.path()).is_ok() && uploads.has(&file, &name) {
                uploads.remove(&name)?;
            }
        }
        Ok(())
    }
}

/// Tells whether a name is that of an upload.
pub(super) fn is_upload(name: &str) -> bool {
    let unique = name.strip_prefix(PREFIX);
    unique.is_some_and(|unique| unique.chars().all(|letter| letter.is_ascii_alphanumeric()))
}

/// Creates and locks a file for an upload. Names are not used twice, so that nobody removes the file of
/// another upload.
fn create(directory: &Dir) -> Result<(String, File)> {
    loop {
        let (name, file) = directory.create_unique(PREFIX)?;
        // Before the lock, another process may have taken it for an abandoned one.
        if lock::take(&file, directory.path()).is_ok() && directory.has(&file, &name) {
            return Ok((name, file));
        }
    }
}

/// The file of an upload. Dropping it removes the file, unless the file has become a blob.
struct Part {
    directory: Dir,
    name: String,
    file: Arc<File>,
}

impl Part {
    fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Nobody can handle an error here, and the next writer removes the file.
        _ = self.directory.remove(&self.name);
    }
}

/// An upload. Dropping it removes its content.
struct Incoming {
    layout: Arc<Dir>,
    repository: RepositoryName,
    part: Part,
    /// The hasher before the first byte.
    fresh: Hasher,
    hasher: Hasher,
    len: u64,
}

impl Incoming {
    /// Returns the digest of the content in the algorithm of `digest`. If the content was hashed with
    /// another algorithm, it is read again.
    fn digest_as(&self, digest: &Digest) -> Result<Digest> {
        let on_the_way = self.hasher.clone().finish();
        if on_the_way.algorithm() == digest.algorithm() {
            return Ok(on_the_way);
        }
        let unverifiable = || Error::Unverifiable { digest: digest.clone() };
        let hasher = digest.hasher().ok_or_else(unverifiable)?;
        let content = Region::new(&*self.part.file, 0, self.len);
        let path = self.part.path();
        let unreadable = Error::io("read", path.display());
        files::hash(content, self.len, hasher, unreadable).map(Hasher::finish)
    }

    /// Drops the content of a failed upload, which starts again from the first byte. Otherwise a full
    /// disk would stay full for as long as the client may come back.
    fn restart(&mut self) -> std::io::Result<()> {
        self.len = 0;
        self.hasher = self.fresh.clone();
        self.part.file.set_len(0)
    }
}

impl Upload for Incoming {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Err(error) = self.part.file.write_all_at(bytes, self.len) {
            if let Err(error) = self.restart() {
                tracing::warn!(%error, "an upload that failed keeps its room");
            }
            return Err(Error::io("write", self.part.path().display())(error));
        }
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn finish(self: Box<Self>, digest: &Digest) -> Result<Descriptor> {
        let actual = self.digest_as(digest)?;
        if actual != *digest {
            return Err(Error::Corrupt { expected: digest.clone(), actual });
        }
        let Self { layout, repository, part, len, .. } = *self;
        let blobs = layout.create_below(blobs_of(digest))?;
        // Bytes after the end are left from a failed write.
        let trim =
            |file: &File| file.set_len(len).map_err(Error::io("write", part.path().display()));
        let encoded = digest.encoded();
        let (from, to) = (Named::new(&part.directory, &part.name), Named::new(&blobs, &encoded));
        persist(&part.file, from, to, Durable::Now, trim)?;
        mark_blob(&layout, &repository, digest)?;
        Ok(Descriptor::new("application/octet-stream", digest.clone(), len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_that_cannot_be_written_gives_its_room_back_and_begins_anew() {
        let scene = tempfile::tempdir().unwrap();
        let layout = Arc::new(Dir::open(scene.path()).unwrap());
        let directory = Dir::open(scene.path()).unwrap();
        let (name, file) = create(&directory).unwrap();
        let path = scene.path().join(&name);
        let part = Part { directory, name, file: Arc::new(file) };
        let (fresh, hasher) = (Hasher::sha256(), Hasher::sha256());
        let mut upload =
            Incoming { layout, repository: "a".parse().unwrap(), part, fresh, hasher, len: 0 };
        upload.write(b"some").unwrap();
        // No file goes so far.
        upload.len = i64::MAX.unsigned_abs();
        upload.write(b"more").unwrap_err();
        assert_eq!((upload.len(), path.metadata().unwrap().len()), (0, 0));
        upload.write(b"again").unwrap();
        let digest = Digest::sha256("again");
        assert_eq!(Box::new(upload).finish(&digest).unwrap().digest, digest);
        assert!(!path.exists());
    }
}
