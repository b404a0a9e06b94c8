//! Blobs of a layout directory: partial first, under their name once proven.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_spec::{Descriptor, Digest, Hasher};
use longshore_store::{Blob, Error, Held, Pushed, Reader, Result, Verifying};

use super::{Directory, PARTIAL};
use crate::dir::{Dir, Found, Lies, Part};
use crate::files::{self, Region};
use crate::lock;
use crate::persist::{Durable, Named, persist};

impl Directory {
    /// Returns how many bytes lie under the final name of a blob.
    pub(super) fn size_of_blob(&self, digest: &Digest) -> Result<Option<u64>> {
        let Some(root) = self.opened()? else { return Ok(None) };
        root.size(blobs_of(digest).join(digest.encoded()), self.links)
    }

    /// Opens a blob under its final name.
    pub(super) fn open_blob(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>> {
        let absent = || Error::not_found(digest, self.root.display());
        let root = self.opened()?.ok_or_else(absent)?;
        let found = root.read(blobs_of(digest).join(digest.encoded()), self.links)?;
        let Found { file, size, lies } = found.ok_or_else(absent)?;
        let file = Arc::new(file);
        if lies == Lies::Outside {
            prove(&file, size, digest)?;
        }
        Ok(Box::new(Region::new(file, 0, size).after(offset)))
    }

    /// Tells how much of a blob is there, under its final name or as a part.
    pub(super) fn partial_or_whole(&self, digest: &Digest, expected: u64) -> Result<Held> {
        if self.holds(digest, expected)? {
            return Ok(Held::Whole);
        }
        Ok(match self.part_size(digest)? {
            0 => Held::Nothing,
            there => Held::Prefix(there.min(expected)),
        })
    }

    /// Takes in a blob: goes on with the part that an earlier run left, if there is one.
    pub(super) fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        let Descriptor { digest, size, .. } = blob.descriptor();
        if self.holds(digest, *size)? {
            return Ok(Pushed::Existed);
        }
        let mut coming = self.claim(digest)?;
        if self.holds(digest, *size)? {
            // Another writer was faster, and its part was ours.
            coming.remove()?;
            return Ok(Pushed::Existed);
        }
        let mut resumed = resume(&mut coming.file, blob)?;
        let prefix = resumed.as_ref().map_or(0, Hasher::count);
        let what = coming.partial().path();
        let result = match coming.persist(|file| fill(file, &what, blob, resumed.take())) {
            // The part may have been damaged: once more from the first byte.
            Err(error) if error.is_corruption() && prefix > 0 => {
                coming.persist(|file| fill(file, &what, blob, None))
            }
            result => result,
        };
        let read = result.or_else(|error| coming.discard(error))?;
        self.appeared(blobs_of(digest))?;
        Ok(Pushed::Written(read))
    }

    /// Takes in a blob that can be read only once, and is read to its end: what was there of it is written
    /// over. One whose digest cannot be computed is taken as it is; that is the caller's to allow.
    pub(crate) fn take_in(&self, blob: &Descriptor, mut content: Reader<'_>) -> Result<Pushed> {
        let Descriptor { digest, size, .. } = blob;
        self.begin()?;
        if self.holds(digest, *size)? {
            std::io::copy(&mut content, &mut std::io::sink()).map_err(Error::io("read", digest))?;
            return Ok(Pushed::Existed);
        }
        files::check_room(&self.root, *size)?;
        let coming = self.claim(digest)?;
        let reader = match digest.hasher() {
            Some(_) => Verifying::new(content, blob)?,
            None => Verifying::unverified(content, blob),
        };
        let what = coming.partial().path();
        let written = coming.persist(|file| {
            file.set_len(0).map_err(Error::io("write", what.display()))?;
            write(file, &what, reader, blob)
        });
        written.or_else(|error| coming.discard(error))?;
        self.appeared(blobs_of(digest))?;
        Ok(Pushed::Written(*size))
    }

    /// Tells whether a blob of this size is there. One behind a link that leads out counts as missing:
    /// what comes takes the place of the link.
    fn holds(&self, digest: &Digest, size: u64) -> Result<bool> {
        match self.size_of_blob(digest) {
            Err(Error::LeadsOut { .. }) => Ok(false),
            there => Ok(there? == Some(size)),
        }
    }

    /// Returns how many bytes there are of a part that may be gone on with.
    fn part_size(&self, digest: &Digest) -> Result<u64> {
        let Some(root) = self.opened()? else { return Ok(0) };
        let Some(partials) = root.below(partials_of(digest))? else { return Ok(0) };
        let Some(found) = partials.stat(digest.encoded())? else { return Ok(0) };
        let size = u64::try_from(found.st_size).unwrap_or(0);
        Ok(if partials.foreign(&found)?.is_none() { size } else { 0 })
    }

    /// Opens the part of a blob for this writer alone. Where another process is at it, or it is not ours,
    /// this one takes a part of its own: both end with the same bytes under the same name.
    fn claim(&self, digest: &Digest) -> Result<Coming> {
        let root = self.there()?;
        let blobs = root.create_below(blobs_of(digest))?;
        let partials = root.create_below(partials_of(digest))?;
        let encoded = digest.encoded();
        let shared = encoded.as_str();
        let file = match partials.part(shared)? {
            Part::Ours(file) => Some(file),
            Part::Absent => partials.create_new(shared)?,
            Part::Foreign { reason } => {
                tracing::warn!(part = %partials.path().join(shared).display(), reason, "not used");
                None
            }
        };
        let file = match file.map(|file| (lock::take(&file, partials.path()), file)) {
            Some((Ok(()), file)) if partials.has(&file, shared) => Some(file),
            Some((Err(error), _)) if !matches!(error, Error::Busy { .. }) => return Err(error),
            _ => None,
        };
        let (name, file) = match file {
            Some(file) => (shared.to_owned(), file),
            None => partials.create_unique(&format!("{shared}{OF_ITS_OWN}"))?,
        };
        Ok(Coming { blobs, encoded, partials, name, file })
    }
}

/// Stands between the name of a blob and what tells one part of it from the other.
pub(super) const OF_ITS_OWN: char = '~';

/// A blob on its way to its name.
struct Coming {
    blobs: Dir,
    /// Its name there.
    encoded: String,
    partials: Dir,
    /// The name of its part there.
    name: String,
    file: File,
}

impl Coming {
    fn partial(&self) -> Named<'_> {
        Named::new(&self.partials, &self.name)
    }

    fn persist<T>(&self, write: impl FnOnce(&File) -> Result<T>) -> Result<T> {
        let target = Named::new(&self.blobs, &self.encoded);
        persist(&self.file, self.partial(), target, Durable::WithTheOthers, write)
    }

    /// Throws a part away that proved wrong; a part that is merely unfinished is kept for the next run.
    fn discard<T>(&self, error: Error) -> Result<T> {
        if error.is_corruption() {
            self.remove()?;
        }
        Err(error)
    }

    fn remove(&self) -> Result<()> {
        self.partials.remove(&self.name)
    }
}

/// The directory that a blob lies in (row A-09). The grammar of digests lets nothing leave the layout.
pub(super) fn blobs_of(digest: &Digest) -> PathBuf {
    Path::new("blobs").join(digest.algorithm())
}

/// The directory that the part of a blob lies in.
fn partials_of(digest: &Digest) -> PathBuf {
    Path::new(PARTIAL).join(digest.algorithm())
}

/// Reads all of a file that lies elsewhere; fails unless it is what its digest says. What is proven so
/// may change again: whoever reads it verifies it too.
fn prove(file: &Arc<File>, size: u64, digest: &Digest) -> Result<()> {
    let mut hasher =
        digest.hasher().ok_or_else(|| Error::Unverifiable { digest: digest.clone() })?;
    let mut content = Region::new(Arc::clone(file), 0, size);
    let mut buffer = files::buffer(size);
    loop {
        match content.read(&mut buffer).map_err(Error::io("read", digest))? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    let actual = hasher.finish();
    if actual == *digest {
        Ok(())
    } else {
        Err(Error::Corrupt { expected: digest.clone(), actual })
    }
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
