//! What the program was not given: whether it is as it was, and whether it was copied.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::scene::{Scene, holds_mark};

/// How much of a file is looked through for what must not be in it.
const LOOKED_THROUGH: u64 = 16 << 20;

/// All that lies outside.
pub(super) struct Outside {
    files: BTreeMap<PathBuf, Known>,
}

/// What is known of a file or directory.
#[derive(PartialEq, Eq)]
struct Known {
    inode: (u64, u64),
    mode: u32,
    modified: (i64, i64),
    /// Of a file.
    bytes: Vec<u8>,
}

impl Outside {
    pub(super) fn look(scene: &Scene) -> Result<Self> {
        let outside = scene.outside();
        let mut files = BTreeMap::new();
        walk(&outside, &mut |path, found| {
            let bytes = if found.is_file() { fs::read(path)? } else { Vec::new() };
            let known = Known {
                inode: (found.dev(), found.ino()),
                mode: found.mode(),
                modified: (found.mtime(), found.mtime_nsec()),
                bytes,
            };
            files.insert(path.strip_prefix(&outside)?.to_owned(), known);
            Ok(())
        })?;
        Ok(Self { files })
    }

    /// Returns what was done to it.
    pub(super) fn changes(&self, scene: &Scene) -> Result<Vec<String>> {
        let now = Self::look(scene)?;
        let paths: BTreeSet<_> = self.files.keys().chain(now.files.keys()).collect();
        let mut found = Vec::new();
        for path in paths {
            let what = match (self.files.get(path), now.files.get(path)) {
                (Some(before), Some(after)) if before == after => continue,
                (Some(_), Some(_)) => "changes",
                (Some(_), None) => "removes",
                (None, _) => "makes",
            };
            found.push(format!("{what} outside/{}", path.display()));
        }
        Ok(found)
    }

    /// Returns which files hold what is from outside, and did not before.
    pub(super) fn copies(&self, scene: &Scene) -> Result<Vec<String>> {
        let inodes: BTreeSet<_> = self.files.values().map(|known| known.inode).collect();
        let outside = scene.outside();
        let mut copies = Vec::new();
        walk(&scene.root, &mut |path, found| {
            let is_known = inodes.contains(&(found.dev(), found.ino()));
            if found.is_file() && !is_known && !path.starts_with(&outside) {
                let mut bytes = Vec::new();
                File::open(path)?.take(LOOKED_THROUGH).read_to_end(&mut bytes)?;
                if holds_mark(&bytes) {
                    let path = path.strip_prefix(&scene.root)?.display();
                    copies.push(format!("copies it to {path}"));
                }
            }
            Ok(())
        })?;
        Ok(copies)
    }
}

/// Visits all in a directory, and the directory, following no link.
fn walk(root: &Path, visit: &mut dyn FnMut(&Path, &Metadata) -> Result<()>) -> Result<()> {
    let found = root.symlink_metadata().with_context(|| root.display().to_string())?;
    if found.is_dir() {
        for entry in root.read_dir().with_context(|| root.display().to_string())? {
            walk(&entry?.path(), visit)?;
        }
    }
    visit(root, &found)
}
