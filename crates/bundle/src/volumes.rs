//! Volumes: a bundle in several archives, each as long as a medium takes.
//!
//! Each volume is a layout of its own: manifests, and what signatures and attestations consist of, are in all of
//! them, and `index.json` lists what is whole in it. The record is the same in each, and says which volume every
//! other blob lies in. A blob that is longer than a volume lies in parts.

pub(crate) mod placement;

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

/// A volume has room for so many bytes of content beside what is in each of them; a smaller one is of no use.
pub const LEAST_ROOM: u64 = 64 << 10;

/// The longest file on a FAT32 file system, in bytes.
pub const FAT32: u64 = (4 << 30) - 1;

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
