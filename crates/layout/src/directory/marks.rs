//! Which repository a blob was pushed to, and a manifest that has no entry of its own: files below
//! `.longshore/repositories`.
//!
//! A mark lets a repository hold what none of its manifests needs, or not yet. It is no root: what
//! nothing else needs is collected when its mark is old, and the mark with it.

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

/// Where marks lie, in a directory for each repository.
const REPOSITORIES: &str = "repositories";

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
        if self.size(digest)?.is_none() {
            return Err(Error::not_found(digest, self.root.display()));
        }
        mark_blob(&*self.there()?, repository, digest)
    }

    /// Tells whether a blob was pushed to a repository or adopted by it.
    pub(super) fn was_pushed(&self, repository: &RepositoryName, digest: &Digest) -> bool {
        self.find_mark(repository, BLOBS, digest).is_ok_and(|mark| mark.is_some())
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
        let directory = marks_of(repository, MANIFESTS, &manifest.digest);
        let directory = self.there()?.create_below(directory)?;
        leave(&directory, &manifest.digest, manifest.media_type.as_str())
    }

    /// Returns the media type of a manifest that was noted to belong to a repository.
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
        let Some(directory) = self.find_mark(repository, kind, digest)? else { return Ok(false) };
        directory.remove(digest.encoded())?;
        Ok(true)
    }

    /// Returns the directory that a mark is in, if it is there.
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

    /// Returns the repositories that something was pushed to, whether a name followed or not.
    /// However many blobs they hold, only directories are looked into.
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

    /// Tells whether something was pushed to a repository, whether a name followed or not.
    pub(super) fn was_pushed_to(&self, repository: &RepositoryName) -> Result<bool> {
        let Some(root) = self.opened()? else { return Ok(false) };
        let own = Path::new(OWN).join(REPOSITORIES).join(repository.as_str());
        for kind in [BLOBS, MANIFESTS] {
            let marks = match root.below(own.join(kind)) {
                // Nothing can have been pushed to a name that no directory can have.
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

    /// Returns what was pushed or adopted less than `age` ago: who did that is about to use it.
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

    /// Removes marks that are older than `age`, and those of what is gone: what a manifest of the
    /// repository needs belongs to it without one.
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
            // One that is not empty stays.
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

    /// Visits every directory of marks, with the repository that they are about.
    fn each_marked(&self, visit: &mut Visit<'_>) -> Result<()> {
        let Some(root) = self.opened()? else { return Ok(()) };
        match root.below(Path::new(OWN).join(REPOSITORIES))? {
            Some(repositories) => each_below(&repositories, None, visit),
            None => Ok(()),
        }
    }
}

/// What is done with a directory of marks of a repository.
type Visit<'a> = dyn FnMut(&RepositoryName, &Dir) -> Result<()> + 'a;

/// Visits the directories of marks of a repository, and of those whose names begin with its name.
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

/// Removes directories in which nothing is, from the deepest.
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

/// Returns the repository whose marks lie in a directory within that of another. What is no name is none
/// of ours, and names have an end, which bounds how deep this goes.
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

/// Takes note that a blob that is there belongs to a repository of the opened layout.
pub(super) fn mark_blob(root: &Dir, repository: &RepositoryName, digest: &Digest) -> Result<()> {
    leave(&root.create_below(marks_of(repository, BLOBS, digest))?, digest, "")
}

/// Returns the directory that a mark is in. A name of a repository is a relative path by its grammar.
fn marks_of(repository: &RepositoryName, kind: &str, digest: &Digest) -> PathBuf {
    let repository = Path::new(OWN).join(REPOSITORIES).join(repository.as_str());
    repository.join(kind).join(digest.algorithm())
}

/// Leaves a mark, durable when this returns. One that is there becomes young again.
fn leave(directory: &Dir, digest: &Digest, text: &str) -> Result<()> {
    let name = &digest.encoded();
    let path = directory.path().join(name);
    let write = || Error::io("write", path.display());
    let mut file = match directory.create_new(name)? {
        Some(new) => new,
        None => match directory.part(name)? {
            Part::Ours(file) => return file.set_modified(SystemTime::now()).map_err(write()),
            // Whatever it is, nothing is done to it; only its name is ours.
            Part::Absent | Part::Foreign { .. } => directory.create_anew(name)?,
        },
    };
    file.write_all(text.as_bytes()).map_err(write())?;
    if !text.is_empty() {
        file.sync_all().map_err(write())?;
    }
    sync_directory(directory)
}

/// Tells whether no directory of an algorithm holds a file.
fn below_is_empty(directory: &Dir) -> Result<bool> {
    for (_, algorithm) in directories_in(directory)? {
        if !algorithm.entries()?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}
