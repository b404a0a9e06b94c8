//! Blobs of a layout directory: partial first, under their name once proven.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_spec::{Descriptor, Digest, Hasher};
use longshore_store::{Blob, Error, Flaw, Held, Pushed, Reader, Result, Verifying};

use super::{Directory, own};
use crate::files::{self, Region};
use crate::lock;
use crate::persist::{Durable, persist};

impl Directory {
    /// Returns how many bytes lie under the final name of a blob.
    pub(super) fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        size(&self.blob_path(digest))
    }

    /// Opens a blob under its final name.
    pub(super) fn open_blob(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>> {
        let path = self.blob_path(digest);
        let Some(size) = size(&path)? else {
            return Err(Error::not_found(digest, self.root.display()));
        };
        Ok(Box::new(Region::new(Arc::new(files::open(&path)?), 0, size).after(offset)))
    }

    /// Tells how much of a blob is there, under its final name or as a part.
    pub(super) fn partial_or_whole(&self, digest: &Digest, expected: u64) -> Result<Held> {
        if self.blob_size(digest)? == Some(expected) {
            return Ok(Held::Whole);
        }
        Ok(match size(&self.partial_path(digest))? {
            None | Some(0) => Held::Nothing,
            Some(there) => Held::Prefix(there.min(expected)),
        })
    }

    /// Takes in a blob: goes on with the part that an earlier run left, if there is one.
    pub(super) fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        let Descriptor { digest, size, .. } = blob.descriptor();
        if self.blob_size(digest)? == Some(*size) {
            return Ok(Pushed::Existed);
        }
        let target = self.blob_path(digest);
        let shared = self.partial_path(digest);
        for path in [&target, &shared] {
            files::create_directory(path.parent().unwrap_or(&self.root))?;
        }
        let (partial, mut file) = Self::claim(shared)?;
        if self.blob_size(digest)? == Some(*size) {
            // Another writer was faster, and its part was ours.
            files::remove(&partial)?;
            return Ok(Pushed::Existed);
        }
        let mut resumed = resume(&mut file, blob)?;
        let prefix = resumed.as_ref().map_or(0, Hasher::count);
        let persist = |write: &mut dyn FnMut(&File) -> Result<u64>| {
            persist(&file, &partial, &target, Durable::WithTheOthers, write)
        };
        let result = match persist(&mut |file| fill(file, &partial, blob, resumed.take())) {
            // The part may have been damaged: once more from the first byte.
            Err(error) if error.is_corruption() && prefix > 0 => {
                persist(&mut |file| fill(file, &partial, blob, None))
            }
            result => result,
        };
        let read = result.or_else(|error| discard(&partial, error))?;
        self.appeared(target)?;
        Ok(Pushed::Written(read))
    }

    /// Takes in a blob that can be read only once, and is read to its end: what was there of it is written
    /// over. One whose digest cannot be computed is taken as it is; that is the caller's to allow.
    pub(crate) fn take_in(&self, blob: &Descriptor, mut content: Reader<'_>) -> Result<Pushed> {
        let Descriptor { digest, size, .. } = blob;
        self.begin()?;
        if self.blob_size(digest)? == Some(*size) {
            std::io::copy(&mut content, &mut std::io::sink()).map_err(Error::io("read", digest))?;
            return Ok(Pushed::Existed);
        }
        files::check_room(&self.root, *size)?;
        let target = self.blob_path(digest);
        let shared = self.partial_path(digest);
        for path in [&target, &shared] {
            files::create_directory(path.parent().unwrap_or(&self.root))?;
        }
        let (partial, file) = Self::claim(shared)?;
        let reader = match digest.hasher() {
            Some(_) => Verifying::new(content, blob)?,
            None => Verifying::unverified(content, blob),
        };
        let written = persist(&file, &partial, &target, Durable::WithTheOthers, |file| {
            file.set_len(0).map_err(Error::io("write", partial.display()))?;
            write(file, &partial, reader, blob)
        });
        written.or_else(|error| discard(&partial, error))?;
        self.appeared(target)?;
        Ok(Pushed::Written(*size))
    }

    /// Opens the part of a blob for this writer alone. Where another process is at it, this one
    /// takes a part of its own: both end with the same bytes under the same name.
    fn claim(shared: PathBuf) -> Result<(PathBuf, File)> {
        let file = files::open_or_create(&shared)?;
        match lock::take(&file, &shared) {
            Ok(()) if lock::is_at(&file, &shared) => Ok((shared, file)),
            Ok(()) | Err(Error::Busy { .. }) => free_file(&shared),
            Err(error) => Err(error),
        }
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        blob_path(&self.root, digest)
    }

    fn partial_path(&self, digest: &Digest) -> PathBuf {
        own(&self.root).join("partial").join(digest.algorithm()).join(digest.encoded())
    }
}

/// Creates a file beside `path` that nobody else has. Its name is free, not merely unlikely: process
/// numbers are the same in many containers that share a directory.
fn free_file(path: &Path) -> Result<(PathBuf, File)> {
    let mut number = 0;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("~{number}"));
        let path = PathBuf::from(name);
        match File::options().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(Error::io("write", path.display())(error)),
        }
    }
}

/// The path of a blob (row A-09). The grammar of digests lets nothing leave the directory.
pub(super) fn blob_path(root: &Path, digest: &Digest) -> PathBuf {
    root.join("blobs").join(digest.algorithm()).join(digest.encoded())
}

/// Hashes the part that is there, so that the source can go on behind it.
fn resume(file: &mut File, blob: &dyn Blob) -> Result<Option<Hasher>> {
    let Descriptor { digest, size, .. } = blob.descriptor();
    let read_part = || Error::io("read the part of", digest);
    let there = file.metadata().map_err(read_part())?.len();
    let Some(mut hasher) = digest.hasher().filter(|_| (1..=*size).contains(&there)) else {
        return Ok(None);
    };
    let mut buffer = files::buffer(there);
    file.seek(SeekFrom::Start(0)).map_err(read_part())?;
    loop {
        match file.read(&mut buffer).map_err(read_part())? {
            0 => return Ok(Some(hasher)),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Writes the rest of a blob behind the bytes that `prefix` has seen. Returns how many bytes were
/// read from the source.
fn fill(mut file: &File, partial: &Path, blob: &dyn Blob, prefix: Option<Hasher>) -> Result<u64> {
    let size = &blob.descriptor().size;
    let writing = || Error::io("write", partial.display());
    let start = prefix.as_ref().map_or(0, Hasher::count);
    file.set_len(start).map_err(writing())?;
    file.seek(SeekFrom::Start(start)).map_err(writing())?;
    let reader = match prefix {
        // All of it is there, only its name is not. A source need not know how to send no bytes.
        Some(all) if start == *size => {
            Verifying::resume(Box::new(std::io::empty()), blob.descriptor(), all)
        }
        prefix => blob.open(prefix)?,
    };
    write(file, partial, reader, blob.descriptor())?;
    Ok(size - start)
}

/// Writes what is left of a blob to where the file stands.
fn write(
    mut file: &File,
    partial: &Path,
    mut reader: Verifying<'_>,
    blob: &Descriptor,
) -> Result<()> {
    let mut buffer = files::buffer(blob.size.saturating_sub(reader.position()));
    loop {
        match reader.read(&mut buffer).map_err(Error::io("read", &blob.digest))? {
            0 => return Ok(()),
            count => {
                file.write_all(&buffer[..count]).map_err(Error::io("write", partial.display()))?;
            }
        }
    }
}

/// Throws a part away that proved wrong; a part that is merely unfinished is kept for the next run.
fn discard<T>(partial: &Path, error: Error) -> Result<T> {
    if error.is_corruption() {
        files::remove(partial)?;
    }
    Err(error)
}

/// Returns how many bytes a file has, if it is there.
fn size(path: &Path) -> Result<Option<u64>> {
    match path.metadata() {
        Ok(found) if found.is_file() => Ok(Some(found.len())),
        Ok(_) => Err(Error::malformed(path.display(), Flaw::NotAFile)),
        // A digest of another algorithm may be longer than any name of a file.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidFilename) => {
            Ok(None)
        }
        Err(error) => Err(Error::io("open", path.display())(error)),
    }
}
