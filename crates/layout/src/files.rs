//! Files as this crate uses them: errors that name the path, positioned reads, room on a disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use longshore_store::{Error, Result};

use crate::persist::sync_directory;

/// How much is read and written at once: larger pieces win nothing (2 × this a job is the bound
/// on memory).
pub(crate) const PIECE: usize = 256 << 10;

/// Returns a buffer for content of `size` bytes.
pub(crate) fn buffer(size: u64) -> Vec<u8> {
    vec![0; usize::try_from(size).unwrap_or(PIECE).clamp(1, PIECE)]
}

/// Opens a file for reading.
pub(crate) fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(Error::io("open", path.display()))
}

/// Opens a file for reading and writing; what is in it stays.
pub(crate) fn open_or_create(path: &Path) -> Result<File> {
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
    options.open(path).map_err(Error::io("write", path.display()))
}

/// Reads a whole file that must not have more than `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    // Opening a pipe would wait for somebody to write to it.
    let found = std::fs::metadata(path).map_err(Error::io("read", path.display()))?;
    if !found.is_file() && !found.is_dir() {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
        return Err(Error::io("read", path.display())(error));
    }
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Error::io("read", path.display()))?;
    if bytes.len() as u64 > limit {
        return Err(Error::Limit {
            what: path.display().to_string(),
            limit: format!("{limit} bytes"),
        });
    }
    Ok(bytes)
}

/// Creates a directory and those above it, for good: what is synced into a directory is lost with
/// it. One that is there is fine.
pub(crate) fn create_directory(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_directory(parent)?;
    }
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(Error::io("create the directory", path.display())(error)),
        Ok(()) => sync_directory(path),
    }
}

/// Removes a file; one that is not there is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(Error::io("remove", path.display())),
    }
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

/// What Linux calls FAT file systems; exFAT is another, and has no such bound.
#[cfg(target_os = "linux")]
const FAT: u64 = 0x4d44;

/// Tells whether `directory` is on a FAT file system, where the system says so.
#[cfg(target_os = "linux")]
pub(crate) fn is_on_fat(directory: &Path) -> bool {
    rustix::fs::statfs(directory).is_ok_and(|found| u64::try_from(found.f_type) == Ok(FAT))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_on_fat(_: &Path) -> bool {
    false
}

/// A part of a file, read without moving the position that other readers of the file share.
pub(crate) struct Region {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Region {
    pub(crate) fn new(file: Arc<File>, at: u64, length: u64) -> Self {
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

impl Read for Region {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
