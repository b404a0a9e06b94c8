//! Content that is large and takes next to no room: files that are holes.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use longshore_fixture::{Content, Draft};
use longshore_spec::{Descriptor, Digest, Hasher};

use crate::run;

/// Writes a layout with an artifact of `count` blobs of `size` bytes, each a hole but for its end,
/// and returns their digests.
pub(super) fn layout(directory: &Path, count: usize, size: u64) -> Result<Vec<Digest>> {
    let layers = blobs(directory, count, size)?;
    let mut content = Content::new();
    let config = content.empty();
    let draft = Draft::image(&config, &layers).artifact_type("application/vnd.example.disk.v1");
    let manifest = content.manifest(&draft);
    content.tag(&manifest, "disk");
    content.write_directory(directory)?;
    Ok(layers.into_iter().map(|layer| layer.digest).collect())
}

/// Writes `count` blobs of `size` bytes into what will be a layout, each a hole but for its end.
pub(super) fn blobs(directory: &Path, count: usize, size: u64) -> Result<Vec<Descriptor>> {
    const END: usize = 16;
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    // All begin with the same hole, which need be hashed only once.
    let hole = size - END as u64;
    let mut hasher = Hasher::sha256();
    feed(&mut hasher, std::io::repeat(0).take(hole))?;
    let mut layers = Vec::new();
    for number in 0..count {
        let end = format!("blob {number:>11}");
        let mut hasher = hasher.clone();
        hasher.update(end.as_bytes());
        let digest = hasher.finish();
        File::create(blobs.join(digest.encoded()))?.write_all_at(end.as_bytes(), hole)?;
        layers.push(Descriptor::new("application/vnd.example.disk", digest, size));
    }
    Ok(layers)
}

/// Returns the sha256 of all that is read.
pub(super) fn hash(from: impl Read) -> Result<Digest> {
    let mut hasher = Hasher::sha256();
    feed(&mut hasher, from)?;
    Ok(hasher.finish())
}

fn feed(hasher: &mut Hasher, mut from: impl Read) -> Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Gives the disk back what lies in the files below `path` and is nothing but zeros.
pub(super) fn dig(path: &Path) -> Result<()> {
    if path.is_dir() {
        return fs::read_dir(path)?.try_for_each(|entry| dig(&entry?.path()));
    }
    let mut fallocate = Command::new("fallocate");
    run::capture(fallocate.arg("--dig-holes").arg(path)).map(drop)
}

/// Returns the bytes that the files below `path` take on the disk.
pub(super) fn used(path: &Path) -> Result<u64> {
    const SECTOR: u64 = 512;
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Ok(found.blocks() * SECTOR);
    }
    fs::read_dir(path)?.map(|entry| used(&entry?.path())).sum()
}
