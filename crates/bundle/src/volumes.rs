//! Volumes: a bundle in several archives, each as long as a medium takes.
//!
//! Each volume is a layout of its own: manifests, and what signatures and attestations consist of, are in all of
//! them, and `index.json` lists what is whole in it. The record is the same in each, and says which volume every
//! other blob lies in. A blob that is longer than a volume lies in parts.

pub(crate) mod placement;
mod set;

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use longshore_spec::Digest;
use longshore_store::ExtraFile;
use serde::{Deserialize, Serialize};

use crate::Record;

pub use self::set::{OpenVolumes, is_volume};

/// The name of the file in a volume that says which it is.
pub const VOLUME: &str = "volume.json";

/// The most bytes of a `volume.json`.
pub const MAX_VOLUME_FILE: u64 = 4096;

/// A bundle has at most so many volumes, and a blob so many parts: the number of a part has four digits.
pub const MAX_VOLUMES: u32 = 9999;

/// A volume has room for so many bytes of content beside what is in each of them; a smaller one is of no use.
pub const LEAST_ROOM: u64 = 64 << 10;

/// The longest file on a FAT32 file system, in bytes.
pub const FAT32: u64 = (4 << 30) - 1;

/// A part of a blob that lies in parts.
// Fields are in the order of canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordedPart {
    /// What it is.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The volume that it lies in, from 1.
    pub volume: u32,
}

/// What a volume says of itself: the content of `volume.json`.
// Fields are in the order of canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeFile {
    /// The id of the bundle.
    pub bundle: Digest,
    /// Which of its volumes it is, from 1.
    pub number: u32,
}

/// How long volumes are at most, in bytes: the first, the second, …; the last is that of all that follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSizes {
    first: Vec<NonZeroU64>,
    others: NonZeroU64,
}

impl VolumeSizes {
    /// Returns the sizes of a list; `None` if it is empty.
    pub fn new(mut sizes: Vec<NonZeroU64>) -> Option<Self> {
        let others = sizes.pop()?;
        Some(Self { first: sizes, others })
    }

    /// Returns how long a volume is at most, in bytes. They are counted from 1.
    pub fn of(&self, number: u32) -> u64 {
        let place = usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
        self.first.get(place).unwrap_or(&self.others).get()
    }

    /// Returns each size that was given.
    pub(crate) fn all(&self) -> impl Iterator<Item = u64> {
        self.first.iter().chain([&self.others]).map(|size| size.get())
    }
}

impl VolumeFile {
    /// Returns the file as it lies in a volume.
    pub fn file(&self) -> ExtraFile {
        let content = serde_json::to_vec(self)
            .unwrap_or_else(|_| unreachable!("a digest and a number are written as JSON"));
        ExtraFile { name: VOLUME.to_owned(), content: content.into() }
    }

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// It is not in the form that it must have; in words.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("`{VOLUME}` is malformed: {error}"))
    }
}

/// Returns the path of a volume of the bundle at `path`: `NAME.v001.tar` for `NAME.tar`.
pub fn volume_path(path: &Path, number: u32) -> PathBuf {
    let end = format!("v{number:03}");
    match path.extension() {
        Some(extension) => {
            let mut with = std::ffi::OsString::from(end);
            with.push(".");
            with.push(extension);
            path.with_extension(with)
        }
        None => path.with_extension(end),
    }
}

/// Returns the numbers of the volumes of the bundle at `path` that are there, sorted. One that cannot be looked
/// for is not there.
pub fn volumes_there(path: &Path) -> Vec<u32> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let Ok(entries) = parent.unwrap_or(Path::new(".")).read_dir() else { return Vec::new() };
    let number = |name: &Path| {
        let without = match path.extension() {
            Some(extension) if name.extension() == Some(extension) => name.file_stem()?,
            Some(_) => return None,
            None => name.file_name()?,
        };
        let number = Path::new(without).extension()?.to_str()?.strip_prefix('v')?.parse().ok()?;
        (volume_path(path, number).file_name() == name.file_name()).then_some(number)
    };
    let names = entries.filter_map(|entry| number(Path::new(&entry.ok()?.file_name())));
    let mut numbers: Vec<u32> = names.collect();
    numbers.sort_unstable();
    numbers
}

/// Checks what a record says of volumes, which may be anything; says what is wrong in words.
pub(crate) fn check(record: &Record) -> Result<(), String> {
    let volumes = record.volumes.unwrap_or_default();
    if record.volumes.is_some() && !(2..=MAX_VOLUMES).contains(&volumes) {
        return Err(format!("it has {volumes} volumes, and a bundle has 2 to {MAX_VOLUMES}"));
    }
    let is_one = |volume: u32| (1..=volumes).contains(&volume);
    for blob in record.blobs.iter().chain(record.assumed()) {
        let digest = &blob.digest;
        if blob.volume.is_some_and(|volume| !is_one(volume)) {
            return Err(format!("{digest} lies in a volume that there is not"));
        }
        if blob.parts.is_empty() {
            continue;
        }
        let size = blob.parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.size));
        let fits = size == Some(blob.size)
            && blob.volume.is_none()
            && blob.parts.iter().all(|part| part.size > 0 && is_one(part.volume))
            && blob.parts.is_sorted_by(|one, next| one.volume < next.volume);
        if !fits {
            return Err(format!("the parts of {digest} do not make a blob of its size"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_called_after_its_bundle() {
        for (path, first, large) in [
            ("d/site.tar", "d/site.v001.tar", "d/site.v1234.tar"),
            ("site", "site.v001", "site.v1234"),
            ("a.b.oci", "a.b.v001.oci", "a.b.v1234.oci"),
        ] {
            assert_eq!(volume_path(Path::new(path), 1), Path::new(first));
            assert_eq!(volume_path(Path::new(path), 1234), Path::new(large));
        }
    }

    #[test]
    fn volumes_are_found_by_their_names() {
        let scene = tempfile::tempdir().unwrap();
        let names = [
            "s.v002.tar",
            "s.v001.tar",
            "s.v1000.tar",
            "s.v01.tar",
            "s.v0001.tar",
            "s.tar",
            "s.v003.tar.partial",
            "t.v003.tar",
            "s.v004",
            "s.vx.tar",
        ];
        for name in names {
            std::fs::write(scene.path().join(name), "").unwrap();
        }
        assert_eq!(volumes_there(&scene.path().join("s.tar")), [1, 2, 1000]);
        assert_eq!(volumes_there(&scene.path().join("s")), [4]);
        assert!(volumes_there(&scene.path().join("none/s.tar")).is_empty());
    }

    #[test]
    fn the_last_size_is_that_of_all_that_follow() {
        let size = |size| NonZeroU64::new(size).unwrap();
        let sizes = VolumeSizes::new(vec![size(3), size(5)]).unwrap();
        assert_eq!([1, 2, 3, 99].map(|number| sizes.of(number)), [3, 5, 5, 5]);
        assert_eq!(VolumeSizes::new(Vec::new()), None);
    }
}
