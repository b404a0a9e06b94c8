//! The blobs of a layout directory. A blob is partial until it is verified, and gets its name then.

use std::fs::File;
use std::path::{Path, PathBuf};

use longshore_spec::{Descriptor, Digest};
use longshore_store::{Blob, Error, Held, Pushed, Reader, Result, Verifying};
use rustix::fs::FileType;

use super::{Directory, PARTIAL};
use crate::backend::Backend as _;
use crate::dir::{Dir, Part};
use crate::files::{self, Region};
use crate::lock;
use crate::persist::{Durable, Named, persist};
use crate::resume::{self, Partial};

impl Directory {
    /// Returns how much of a blob is there, complete or partial.
    pub(super) fn held(&self, digest: &Digest, expected: u64) -> Result<Held> {
        if self.has_blob(digest, expected)? {
            return Ok(Held::Whole);
        }
        Ok(match self.part_size(digest)? {
            0 => Held::Nothing,
            there => Held::Prefix(there.min(expected)),
        })
    }

    /// Writes a blob, continuing a partial one of an earlier run.
    pub(super) fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        let Descriptor { digest, size, .. } = blob.descriptor();
        self.begin()?;
        let Some(blobs) = self.blobs_without(digest, *size)? else { return Ok(Pushed::Existed) };
        let incoming = self.claim(digest, blobs)?;
        if incoming.is_continued && self.has_blob(digest, *size)? {
            // Another writer was faster, and its partial blob was the same file.
            incoming.remove()?;
            return Ok(Pushed::Existed);
        }
        let read = incoming.persist(|partial| {
            let unreadable = Error::io("read the part of", digest);
            let there = partial.file.metadata().map_err(unreadable)?.len();
            partial.length = Some(there);
            let prefix = resume::hash_prefix(partial, blob.descriptor(), there)?;
            resume::fill(partial, blob, prefix)
        })?;
        self.appeared(blobs_of(digest))?;
        Ok(Pushed::Written(read))
    }

    /// Writes a blob that can be read only once, and reads all of it. A partial blob is overwritten.
    /// Without verification if the digest cannot be computed; whether that is allowed, the caller
    /// decides.
    pub(crate) fn push_stream(&self, blob: &Descriptor, mut content: Reader<'_>) -> Result<Pushed> {
        let Descriptor { digest, size, .. } = blob;
        self.begin()?;
        let Some(blobs) = self.blobs_without(digest, *size)? else {
            std::io::copy(&mut content, &mut std::io::sink()).map_err(Error::io("read", digest))?;
            return Ok(Pushed::Existed);
        };
        files::check_room(&self.root, *size)?;
        let reader = match digest.hasher() {
            Some(_) => Verifying::new(content, blob)?,
            None => Verifying::unverified(content, blob),
        };
        self.claim(digest, blobs)?.persist(|partial| {
            partial.keep(0)?;
            resume::append(partial, reader, blob, 0)
        })?;
        self.appeared(blobs_of(digest))?;
        Ok(Pushed::Written(*size))
    }

    /// Opens the directory that a blob is to be written to. Returns `None` if the blob is there.
    fn blobs_without(&self, digest: &Digest, size: u64) -> Result<Option<Dir>> {
        let blobs = self.there()?.create_below(blobs_of(digest));
        let is_there = match &blobs {
            Ok(blobs) => match blobs.stat(digest.encoded())? {
                Some(found) if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile => {
                    u64::try_from(found.st_size) == Ok(size)
                }
                // There may be a link.
                Some(_) => self.has_blob(digest, size)?,
                None => false,
            },
            // A blob behind a link is there, and needs no place.
            Err(_) => self.has_blob(digest, size)?,
        };
        if is_there { Ok(None) } else { blobs.map(Some) }
    }

    /// Tells whether a blob of this size is there. A blob behind a link that leads out counts as absent;
    /// a new one replaces the link.
    fn has_blob(&self, digest: &Digest, size: u64) -> Result<bool> {
        match self.size(digest) {
            Err(Error::LeadsOut { .. }) => Ok(false),
            there => Ok(there? == Some(size)),
        }
    }

    /// Returns the size of a partial blob that can be continued.
    fn part_size(&self, digest: &Digest) -> Result<u64> {
        let Some(root) = self.opened()? else { return Ok(0) };
        let Some(partials) = root.below(partials_of(digest))? else { return Ok(0) };
        let Some(found) = partials.stat(digest.encoded())? else { return Ok(0) };
        let size = u64::try_from(found.st_size).unwrap_or(0);
        Ok(if partials.reason_not_ours(&found)?.is_none() { size } else { 0 })
    }

    /// Opens the partial blob for this writer alone. If another process is writing it, or if it is not
    /// ours, this writer gets a file of its own: both end with the same bytes under the same name.
    fn claim(&self, digest: &Digest, blobs: Dir) -> Result<Incoming> {
        let partials = self.there()?.create_below(partials_of(digest))?;
        let encoded = digest.encoded();
        let shared = encoded.as_str();
        let created = partials.create_new(shared)?;
        let is_continued = created.is_none();
        let file = match created {
            Some(file) => Some(file),
            None => match partials.part(shared)? {
                Part::Ours(file) => Some(file),
                Part::Absent => partials.create_new(shared)?,
                Part::Foreign { reason } => {
                    let part = partials.path().join(shared);
                    tracing::warn!(part = %part.display(), reason, "not used");
                    None
                }
            },
        };
        let file = match file.map(|file| (lock::take(&file, partials.path()), file)) {
            Some((Ok(()), file)) if partials.has(&file, shared) => Some(file),
            Some((Err(error), _)) if !matches!(error, Error::Busy { .. }) => return Err(error),
            _ => None,
        };
        let (name, file) = match file {
            Some(file) => (shared.to_owned(), file),
            None => partials.create_unique(&format!("{shared}{OWN_PART_SEPARATOR}"))?,
        };
        Ok(Incoming { blobs, encoded, partials, name, file, is_continued })
    }
}

/// Separates the name of a blob from a random suffix in the name of a partial blob.
pub(super) const OWN_PART_SEPARATOR: char = '~';

/// A blob that only this writer is writing.
struct Incoming {
    blobs: Dir,
    /// Its final name in `blobs`.
    encoded: String,
    partials: Dir,
    /// The name of the partial blob in `partials`.
    name: String,
    file: File,
    /// Whether the partial blob was there: another writer may have written it to its end meanwhile.
    is_continued: bool,
}

impl Incoming {
    /// Gives the blob its final name once `write` has written it. If the blob proves wrong, the partial
    /// one is removed; if it is merely incomplete, it is kept for the next run.
    fn persist<T>(&self, write: impl FnOnce(&mut PartFile<'_>) -> Result<T>) -> Result<T> {
        let partial = Named::new(&self.partials, &self.name);
        let target = Named::new(&self.blobs, &self.encoded);
        let written = persist(&self.file, partial, target, Durable::Batched, |file| {
            write(&mut PartFile { file, path: partial.path(), length: None })
        });
        if written.as_ref().is_err_and(Error::is_corruption) {
            self.remove()?;
        }
        written
    }

    fn remove(&self) -> Result<()> {
        self.partials.remove(&self.name)
    }
}

/// The file of a partial blob.
struct PartFile<'a> {
    file: &'a File,
    path: PathBuf,
    /// How many bytes it has, if that is known and nothing was written since.
    length: Option<u64>,
}

impl Partial for PartFile<'_> {
    fn file(&self) -> &File {
        self.file
    }

    fn offset(&self) -> u64 {
        0
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn keep(&mut self, length: u64) -> Result<()> {
        if self.length.take() == Some(length) {
            return Ok(());
        }
        self.file.set_len(length).map_err(Error::io("write", self.path.display()))
    }
}

/// The directory of a blob (row A-09). The grammar of digests keeps the path inside the layout.
pub(super) fn blobs_of(digest: &Digest) -> PathBuf {
    Path::new("blobs").join(digest.algorithm())
}

/// The directory of a partial blob.
fn partials_of(digest: &Digest) -> PathBuf {
    Path::new(PARTIAL).join(digest.algorithm())
}

/// Reads a file outside of the layout, and fails unless it has this digest. The file may change
/// afterwards, so its reader verifies it, too.
pub(super) fn verify_content(file: &File, size: u64, digest: &Digest) -> Result<()> {
    let hasher = digest.hasher().ok_or_else(|| Error::Unverifiable { digest: digest.clone() })?;
    let content = Region::new(file, 0, size);
    let actual = files::hash(content, size, hasher, Error::io("read", digest))?.finish();
    if actual == *digest {
        Ok(())
    } else {
        Err(Error::Corrupt { expected: digest.clone(), actual })
    }
}
