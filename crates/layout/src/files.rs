//! Reading files: errors with the path, positioned reads, and free space.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use longshore_spec::Hasher;
use longshore_store::{Error, Result};

/// The size of pieces for reading and writing. Larger ones are not faster. The memory of a job is twice
/// this size.
pub(crate) const PIECE: usize = 256 << 10;

/// Returns a buffer for content of `size` bytes.
pub(crate) fn buffer(size: u64) -> Vec<u8> {
    vec![0; usize::try_from(size).unwrap_or(PIECE).clamp(1, PIECE)]
}

/// Hands the bytes of `reader` to `take`, a piece at a time. `size` is about how many there are.
pub(crate) fn each_piece(
    mut reader: impl Read,
    size: u64,
    unreadable: impl FnOnce(io::Error) -> Error,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut buffer = buffer(size);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&buffer[..count])?,
            Err(error) => return Err(unreadable(error)),
        }
    }
}

/// Feeds the bytes of `reader` to `hasher`. `size` is about how many there are.
pub(crate) fn hash(
    reader: impl Read,
    size: u64,
    mut hasher: Hasher,
    unreadable: impl FnOnce(io::Error) -> Error,
) -> Result<Hasher> {
    each_piece(reader, size, unreadable, |piece| {
        hasher.update(piece);
        Ok(())
    })?;
    Ok(hasher)
}

/// Reads a whole file of up to `limit` bytes. Errors call the file `what`.
pub(crate) fn read(file: &File, what: &Path, limit: u64) -> Result<Vec<u8>> {
    let read = || Error::io("read", what.display());
    let over =
        || Error::Limit { what: what.display().to_string(), limit: format!("{limit} bytes") };
    if file.metadata().map_err(read())?.len() > limit {
        return Err(over());
    }
    let mut bytes = Vec::new();
    // The file may grow meanwhile, and some files contain more than their size.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(read())?;
    if bytes.len() as u64 > limit { Err(over()) } else { Ok(bytes) }
}

/// Fails with [`Error::NoSpace`] unless `needed` bytes can be written below `directory`.
pub(crate) fn check_room(directory: &Path, needed: u64) -> Result<()> {
    let available = room(directory)?;
    if available < needed {
        return Err(Error::NoSpace { place: directory.display().to_string(), needed, available });
    }
    Ok(())
}

/// Returns how many bytes can be written below `directory`.
pub(crate) fn room(directory: &Path) -> Result<u64> {
    let found = rustix::fs::statvfs(directory).map_err(io::Error::from);
    let found = found.map_err(Error::io("see how much room is left in", directory.display()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The magic number of FAT file systems in Linux. exFAT has another one, and no such bound.
#[cfg(target_os = "linux")]
const FAT: u64 = 0x4d44;

/// Tells whether `directory` is on a FAT file system, if the system reports that.
#[cfg(target_os = "linux")]
pub(crate) fn is_on_fat(directory: &Path) -> bool {
    rustix::fs::statfs(directory).is_ok_and(|found| u64::try_from(found.f_type) == Ok(FAT))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_on_fat(_: &Path) -> bool {
    false
}

/// A range of a file, read without moving the position that other readers of the file share.
pub(crate) struct Region<F> {
    file: F,
    at: u64,
    left: u64,
}

impl<F: Deref<Target = File>> Region<F> {
    pub(crate) fn new(file: F, at: u64, length: u64) -> Self {
        Self { file, at, left: length }
    }

    /// Returns the region without its first `offset` bytes.
    pub(crate) fn after(mut self, offset: u64) -> Self {
        let offset = offset.min(self.left);
        self.at += offset;
        self.left -= offset;
        self
    }
}

impl<F: Deref<Target = File>> Read for Region<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
