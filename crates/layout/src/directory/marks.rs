//! Which repository a blob was pushed to, and a manifest that has no entry of its own: files below
//! `.longshore/repositories`.
//!
//! A mark lets a repository hold what none of its manifests needs, or not yet. It is no root: what
//! nothing else needs is collected when its mark is old, and the mark with it.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use longshore_spec::{Descriptor, Digest, MediaType, RepositoryName};
use longshore_store::{Error, Result};

use super::collect::{below, is_younger};
use super::{Directory, own};
use crate::files;
use crate::persist::sync_directory;

/// Where marks of blobs lie. No part of a repository's name begins with `_`.
const BLOBS: &str = "_blobs";

/// Where marks of manifests lie; they hold the media type that the manifest was pushed with.
const MANIFESTS: &str = "_manifests";

/// A media type of more bytes than this was not written here.
const MAX_MEDIA_TYPE: u64 = 1 << 10;

impl Directory {
    /// Takes note that a blob belongs to a repository.
    pub(super) fn adopt_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        // First of all: this waits for whoever collects, who may take the blob away.
        self.begin()?;
        if self.blob_size(digest)?.is_none() {
            return Err(Error::not_found(digest, self.root.display()));
        }
        mark_blob(&self.root, repository, digest)
    }

    /// Tells whether a blob was pushed to a repository or adopted by it.
    pub(super) fn was_pushed(&self, repository: &RepositoryName, digest: &Digest) -> bool {
        mark(&self.root, repository, BLOBS, digest).exists()
    }

    /// Takes note that a blob no longer belongs to a repository; false if it did not.
    pub(super) fn forget_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool> {
        self.unmark(repository, BLOBS, digest)
    }

    /// Takes note that a manifest belongs to a repository, whoever reaches it.
    pub(super) fn mark_manifest(
        &self,
        repository: &RepositoryName,
        manifest: &Descriptor,
    ) -> Result<()> {
        self.begin()?;
        let mark = mark(&self.root, repository, MANIFESTS, &manifest.digest);
        leave(&mark, manifest.media_type.as_str())
    }

    /// Returns the media type of a manifest that was noted to belong to a repository.
    pub(super) fn marked_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<MediaType>> {
        let mark = mark(&self.root, repository, MANIFESTS, digest);
        if !mark.exists() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&files::read(&mark, MAX_MEDIA_TYPE)?).into_owned();
        Ok(Some(MediaType::new(text)))
    }

    /// Takes note that a manifest no longer belongs to a repository; false if it did not.
    pub(super) fn unmark_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool> {
        self.unmark(repository, MANIFESTS, digest)
    }

    fn unmark(&self, repository: &RepositoryName, kind: &str, digest: &Digest) -> Result<bool> {
        self.begin()?;
        let mark = mark(&self.root, repository, kind, digest);
        let was_there = mark.exists();
        files::remove(&mark)?;
        Ok(was_there)
    }

    /// Returns the repositories that something was pushed to, whether a name followed or not.
    /// However many blobs they hold, only directories are looked into.
    pub(super) fn pushed_to(&self) -> Result<Vec<RepositoryName>> {
        let root = own(&self.root).join("repositories");
        let (mut found, mut next) = (Vec::new(), vec![root.clone()]);
        while let Some(directory) = next.pop() {
            for path in directories_in(&directory)? {
                let name = path.file_name().unwrap_or_default();
                if name != BLOBS && name != MANIFESTS {
                    next.push(path);
                    continue;
                }
                let repository = directory.strip_prefix(&root).ok().and_then(Path::to_str);
                if let Some(repository) = repository.and_then(|name| name.parse().ok())
                    && !below_is_empty(&path)?
                {
                    found.push(repository);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Returns what was pushed or adopted less than `age` ago: who did that is about to use it.
    pub(super) fn marked_lately(&self, age: Duration) -> Result<HashSet<Digest>> {
        let marks = below(&own(&self.root).join("repositories"))?;
        let young = marks.iter().filter(|mark| is_younger(mark, age));
        Ok(young.filter_map(|mark| marked(mark.path())).collect())
    }

    /// Removes marks that are older than `age`, and those of what is gone: what a manifest of the
    /// repository needs belongs to it without one.
    pub(super) fn collect_marks(&self, age: Duration) -> Result<()> {
        let root = own(&self.root).join("repositories");
        for mark in below(&root)? {
            let is_there = marked(mark.path()).map(|digest| self.blob_size(&digest)).transpose()?;
            if !is_younger(&mark, age) || is_there.flatten().is_none() {
                files::remove(mark.path())?;
            }
        }
        let mut directories = vec![root];
        let mut at = 0;
        while let Some(directory) = directories.get(at) {
            let within = directories_in(directory)?;
            directories.extend(within);
            at += 1;
        }
        // From the deepest; one that is not empty stays.
        for directory in directories.iter().rev() {
            _ = std::fs::remove_dir(directory);
        }
        Ok(())
    }
}

/// Takes note that a blob that is there belongs to a repository.
pub(super) fn mark_blob(root: &Path, repository: &RepositoryName, digest: &Digest) -> Result<()> {
    leave(&mark(root, repository, BLOBS, digest), "")
}

/// Returns the path of a mark. A name of a repository is a relative path by its grammar.
fn mark(root: &Path, repository: &RepositoryName, kind: &str, digest: &Digest) -> PathBuf {
    let directory = own(root).join("repositories").join(repository.as_str()).join(kind);
    directory.join(digest.algorithm()).join(digest.encoded())
}

/// Returns what a mark at this path is about.
fn marked(path: &Path) -> Option<Digest> {
    let encoded = path.file_name()?.to_str()?;
    let algorithm = path.parent()?.file_name()?.to_str()?;
    format!("{algorithm}:{encoded}").parse().ok()
}

/// Leaves a mark, durable when this returns. One that is there becomes young again.
fn leave(mark: &Path, text: &str) -> Result<()> {
    let write = || Error::io("write", mark.display());
    let was_there = mark.exists();
    files::create_directory(mark.parent().unwrap_or(mark))?;
    let mut file = files::open_or_create(mark)?;
    if was_there {
        return file.set_modified(SystemTime::now()).map_err(write());
    }
    file.write_all(text.as_bytes()).map_err(write())?;
    if !text.is_empty() {
        file.sync_all().map_err(write())?;
    }
    sync_directory(mark)
}

/// Returns the directories in a directory, which need not be there.
fn directories_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let look = || Error::io("look into", directory.display());
    let entries = match directory.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(look()(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(look())?;
        if entry.file_type().is_ok_and(|found| found.is_dir()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Tells whether no directory of an algorithm holds a file.
fn below_is_empty(directory: &Path) -> Result<bool> {
    for algorithm in directories_in(directory)? {
        let entries = algorithm.read_dir().map_err(Error::io("look into", algorithm.display()));
        if entries?.next().is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}
