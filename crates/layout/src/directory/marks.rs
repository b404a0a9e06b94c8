//! Marks: files below `.longshore/repositories` that record which repository a blob was pushed to, or has
//! a manifest without an entry of its own.
//!
//! A mark lets a repository hold content that none of its manifests refers to yet. Marks are no roots:
//! content that nothing else needs is collected when its mark is old, together with the mark.

use std::collections::HashSet;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use longshore_spec::{Descriptor, Digest, MediaType, RepositoryName};
use longshore_store::{Error, Result};

use rustix::fs::FileType;

use super::entries::{digest_of, directories_in, is_younger};
use super::{Directory, OWN};
use crate::backend::Backend as _;
use crate::dir::{Dir, Part};
use crate::files;
use crate::persist::sync_directory;

/// The directory of marks, with a directory for each repository.
const REPOSITORIES: &str = "repositories";

/// The directory of the marks of blobs. No part of a repository's name begins with `_`.
const BLOBS: &str = "_blobs";

/// The directory of the marks of manifests. Each contains the media type of the manifest.
const MANIFESTS: &str = "_manifests";

/// longshore writes no longer media type.
const MAX_MEDIA_TYPE: u64 = 1 << 10;

impl Directory {
    /// Records that a blob belongs to a repository.
    pub(super) fn adopt_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        // This comes first: it waits for a running `gc`, which may remove the blob.
        self.begin()?;
        if self.size(digest)?.is_none() {
            return Err(Error::not_found(digest, self.root.display()));
        }
        mark_blob(&*self.there()?, repository, digest)
    }

    /// Tells whether a blob was pushed to a repository or adopted by it.
    pub(super) fn was_pushed(&self, repository: &RepositoryName, digest: &Digest) -> bool {
        self.find_mark(repository, BLOBS, digest).is_ok_and(|mark| mark.is_some())
    }

    /// Removes the record that a blob belongs to a repository. Returns false if there was none.
    pub(super) fn forget_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool> {
        self.unmark(repository, BLOBS, digest)
    }

    /// Records that a manifest belongs to a repository, whatever refers to it.
    pub(super) fn mark_manifest(
        &self,
        repository: &RepositoryName,
        manifest: &Descriptor,
    ) -> Result<()> {
        self.begin()?;
        let directory = marks_of(repository, MANIFESTS, &manifest.digest);
        let directory = self.there()?.create_below(directory)?;
        write_mark(&directory, &manifest.digest, manifest.media_type.as_str())
    }

    /// Returns the recorded media type of a manifest of a repository.
    pub(super) fn marked_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<MediaType>> {
        let Some(directory) = self.find_mark(repository, MANIFESTS, digest)? else {
            return Ok(None);
        };
        let Some(file) = directory.read_own(digest.encoded())? else { return Ok(None) };
        let what = directory.path().join(digest.encoded());
        let text =
            String::from_utf8_lossy(&files::read(&file, &what, MAX_MEDIA_TYPE)?).into_owned();
        Ok(Some(MediaType::new(text)))
    }

    /// Removes the record that a manifest belongs to a repository. Returns false if there was none.
    pub(super) fn unmark_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool> {
        self.unmark(repository, MANIFESTS, digest)
    }

    fn unmark(&self, repository: &RepositoryName, kind: &str, digest: &Digest) -> Result<bool> {
        self.begin()?;
        let Some(directory) = self.find_mark(repository, kind, digest)? else { return Ok(false) };
        directory.remove(digest.encoded())?;
        Ok(true)
    }

    /// Returns the directory of a mark, if the mark exists.
    fn find_mark(
        &self,
        repository: &RepositoryName,
        kind: &str,
        digest: &Digest,
    ) -> Result<Option<Dir>> {
        let Some(root) = self.opened()? else { return Ok(None) };
        let Some(directory) = root.below(marks_of(repository, kind, digest))? else {
            return Ok(None);
        };
        let is_there = directory.stat(digest.encoded())?.is_some();
        Ok(is_there.then_some(directory))
    }

    /// Returns the repositories that something was pushed to, with or without a name. Only directories
    /// are read, however many blobs there are.
    pub(super) fn pushed_to(&self) -> Result<Vec<RepositoryName>> {
        let mut found = Vec::new();
        self.each_marked(&mut |repository, marks| {
            if !below_is_empty(marks)? {
                found.push(repository.clone());
            }
            Ok(())
        })?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Tells whether something was pushed to a repository, with or without a name.
    pub(super) fn was_pushed_to(&self, repository: &RepositoryName) -> Result<bool> {
        let Some(root) = self.opened()? else { return Ok(false) };
        let own = Path::new(OWN).join(REPOSITORIES).join(repository.as_str());
        for kind in [BLOBS, MANIFESTS] {
            let marks = match root.below(own.join(kind)) {
                // Nothing was pushed to a repository whose name no directory can have.
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::InvalidFilename => {
                    None
                }
                marks => marks?,
            };
            if let Some(marks) = marks
                && !below_is_empty(&marks)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns what was pushed or adopted less than `age` ago: a client is about to use it.
    pub(super) fn marked_lately(&self, age: Duration) -> Result<HashSet<Digest>> {
        let mut found = HashSet::new();
        self.each_marked(&mut |_, marks| {
            each_mark(marks, &mut |directory, digest| {
                let mark = directory.stat(digest.encoded())?;
                if mark.is_some_and(|mark| is_younger(&mark, age)) {
                    found.insert(digest);
                }
                Ok(())
            })
        })?;
        Ok(found)
    }

    /// Removes marks that are older than `age`, and marks of absent blobs. Content that a manifest of the
    /// repository refers to needs no mark.
    pub(super) fn collect_marks(&self, age: Duration) -> Result<()> {
        self.each_marked(&mut |_, marks| {
            each_mark(marks, &mut |directory, digest| {
                let is_young =
                    directory.stat(digest.encoded())?.is_some_and(|mark| is_younger(&mark, age));
                if !is_young || self.size(&digest)?.is_none() {
                    directory.remove(digest.encoded())?;
                }
                Ok(())
            })?;
            // A directory that is not empty stays.
            for (algorithm, _) in directories_in(marks)? {
                marks.remove_empty(algorithm);
            }
            Ok(())
        })?;
        if let Some(own) = self.there()?.below(OWN)?
            && let Some(repositories) = own.below(REPOSITORIES)?
        {
            remove_empty(&repositories, None)?;
            own.remove_empty(REPOSITORIES);
        }
        Ok(())
    }

    /// Visits every directory of marks, with its repository.
    fn each_marked(&self, visit: &mut Visit<'_>) -> Result<()> {
        let Some(root) = self.opened()? else { return Ok(()) };
        match root.below(Path::new(OWN).join(REPOSITORIES))? {
            Some(repositories) => each_below(&repositories, None, visit),
            None => Ok(()),
        }
    }
}

/// Called with a repository and a directory of its marks.
type Visit<'a> = dyn FnMut(&RepositoryName, &Dir) -> Result<()> + 'a;

/// Visits the marks of a repository and of those below it.
fn each_below(
    directory: &Dir,
    repository: Option<&RepositoryName>,
    visit: &mut Visit<'_>,
) -> Result<()> {
    for (name, below) in directories_in(directory)? {
        if name == BLOBS || name == MANIFESTS {
            repository.map_or(Ok(()), |repository| visit(repository, &below))?;
        } else if let Some(repository) = name.to_str().and_then(|name| within(repository, name)) {
            each_below(&below, Some(&repository), visit)?;
        }
    }
    Ok(())
}

/// Removes empty directories, the deepest first.
fn remove_empty(directory: &Dir, repository: Option<&RepositoryName>) -> Result<()> {
    for (name, below) in directories_in(directory)? {
        if let Some(repository) = name.to_str().and_then(|name| within(repository, name)) {
            remove_empty(&below, Some(&repository))?;
            directory.remove_empty(name);
        } else if name == BLOBS || name == MANIFESTS {
            directory.remove_empty(name);
        }
    }
    Ok(())
}

/// Returns the repository of a directory below that of another. Invalid names are skipped, and the length
/// of names bounds the depth.
fn within(repository: Option<&RepositoryName>, name: &str) -> Option<RepositoryName> {
    let above = repository.map_or(String::new(), |above| format!("{above}/"));
    format!("{above}{name}").parse().ok()
}

/// Visits every mark in a directory of marks.
fn each_mark(marks: &Dir, visit: &mut dyn FnMut(&Dir, Digest) -> Result<()>) -> Result<()> {
    for (algorithm, directory) in directories_in(marks)? {
        for (name, kind) in directory.entries()? {
            let digest = algorithm.to_str().zip(name.to_str());
            let digest = digest.and_then(|(algorithm, encoded)| digest_of(algorithm, encoded));
            if let Some(digest) = digest.filter(|_| kind != FileType::Directory) {
                visit(&directory, digest)?;
            }
        }
    }
    Ok(())
}

/// Records that a stored blob belongs to a repository.
pub(super) fn mark_blob(root: &Dir, repository: &RepositoryName, digest: &Digest) -> Result<()> {
    write_mark(&root.create_below(marks_of(repository, BLOBS, digest))?, digest, "")
}

/// Returns the directory of a mark. The grammar of repository names makes it a relative path.
fn marks_of(repository: &RepositoryName, kind: &str, digest: &Digest) -> PathBuf {
    let repository = Path::new(OWN).join(REPOSITORIES).join(repository.as_str());
    repository.join(kind).join(digest.algorithm())
}

/// Writes a mark, which is durable when this returns. An existing mark becomes young again.
fn write_mark(directory: &Dir, digest: &Digest, text: &str) -> Result<()> {
    let name = &digest.encoded();
    let path = directory.path().join(name);
    let write = || Error::io("write", path.display());
    let mut file = match directory.create_new(name)? {
        Some(new) => new,
        None => match directory.part(name)? {
            Part::Ours(file) => return file.set_modified(SystemTime::now()).map_err(write()),
            // Something else has the name: it is replaced, and nothing is written to it.
            Part::Absent | Part::Foreign { .. } => directory.create_anew(name)?,
        },
    };
    file.write_all(text.as_bytes()).map_err(write())?;
    if !text.is_empty() {
        file.sync_all().map_err(write())?;
    }
    sync_directory(directory)
}

/// Tells whether the directories of all algorithms are empty.
fn below_is_empty(directory: &Dir) -> Result<bool> {
    for (_, algorithm) in directories_in(directory)? {
        if !algorithm.entries()?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}
