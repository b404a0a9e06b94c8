//! Blobs that come to a repository in pieces.

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

/// The directory, of those of parts, that uploads lie in while they are under way.
pub(super) const UPLOADS: &str = "uploads";

/// The names of uploads begin so.
const PREFIX: &str = "upload-";

impl Directory {
    /// Begins to take in a blob for a repository.
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
        let unfed = hasher.clone();
        let repository = repository.clone();
        Ok(Box::new(Incoming { layout, repository, part, unfed, hasher, len: 0 }))
    }

    /// Removes what uploads of processes that were killed left. Those of living ones are locked.
    pub(super) fn remove_dead_uploads(&self) -> Result<()> {
        let uploads = self.there()?.below(Path::new(PARTIAL).join(UPLOADS))?;
        let Some(uploads) = uploads else { return Ok(()) };
        for (name, _) in uploads.entries()? {
            if !name.to_str().is_some_and(is_upload) {
                continue;
            }
            // It may be gone by now, or be something else that is not ours.
            let Ok(Some(file)) = uploads.read_own(&name) else { continue };
            if lock::take(&file, uploads.path()).is_ok() && uploads.has(&file, &name) {
                uploads.remove(&name)?;
            }
        }
        Ok(())
    }
}

/// Tells whether a name is one that is given to uploads.
pub(super) fn is_upload(name: &str) -> bool {
    let unique = name.strip_prefix(PREFIX);
    unique.is_some_and(|unique| unique.chars().all(|letter| letter.is_ascii_alphanumeric()))
}

/// Creates a file for an upload, locked. Its name is never used again: what takes it away must not
/// take another's.
fn create(directory: &Dir) -> Result<(String, File)> {
    loop {
        let (name, file) = directory.create_unique(PREFIX)?;
        // Between the two, another process may have taken it for a dead one.
        if lock::take(&file, directory.path()).is_ok() && directory.has(&file, &name) {
            return Ok((name, file));
        }
    }
}

/// What has come of an upload. It goes with it; once it has become a blob, there is nothing to remove.
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
        // Nobody is there to hear of a failure, and whoever writes next removes what is left.
        _ = self.directory.remove(&self.name);
    }
}

/// A blob on its way. Dropped before its end, it leaves nothing.
struct Incoming {
    layout: Arc<Dir>,
    repository: RepositoryName,
    part: Part,
    /// What the content is hashed with, before any of it.
    unfed: Hasher,
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
        let hasher = digest.hasher().ok_or_else(unverifiable)?;
        let content = Region::new(&*self.part.file, 0, self.len);
        let path = self.part.path();
        let unreadable = Error::io("read", path.display());
        files::hash(content, self.len, hasher, unreadable).map(Hasher::finish)
    }

    /// Gives back the room that the upload took, which begins anew. A disk that is full stays full
    /// otherwise for as long as whoever pushes may come back.
    fn begin_anew(&mut self) -> std::io::Result<()> {
        self.len = 0;
        self.hasher = self.unfed.clone();
        self.part.file.set_len(0)
    }
}

impl Upload for Incoming {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Err(error) = self.part.file.write_all_at(bytes, self.len) {
            if let Err(error) = self.begin_anew() {
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
        let actual = self.hashed_as(digest)?;
        if actual != *digest {
            return Err(Error::Corrupt { expected: digest.clone(), actual });
        }
        let Self { layout, repository, part, len, .. } = *self;
        let blobs = layout.create_below(blobs_of(digest))?;
        // What is behind the end is left of a write that failed.
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
        let (unfed, hasher) = (Hasher::sha256(), Hasher::sha256());
        let mut upload =
            Incoming { layout, repository: "a".parse().unwrap(), part, unfed, hasher, len: 0 };
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
