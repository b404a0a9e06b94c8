//! The layout as a directory.

mod blobs;
mod bounds;
mod changes;
mod collect;
mod entries;
mod journal;
mod marks;
mod repository;
mod uploads;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longshore_spec::{Descriptor, Digest, Hasher, MediaType, RepositoryName};
use longshore_store::{
    Error, ExtraFile, Flaw, Held, Inability, Outline, Place, Reader, Repository, Result, Source,
    SourcePlace, Target, TargetPlace, Upload,
};
use rustix::fs::FileType;

use self::blobs::{blobs_of, verify_content};
use self::changes::{Seen, Writing};
pub use self::collect::{GcMode, GcReport};
use self::entries::digests_in;
use crate::backend::Backend;
use crate::dir::{Dir, Found, Links, Located, missing};
use crate::files::{self, Region};
use crate::index::IndexJson;
use crate::layout::Layout;
use crate::listing::Listing;
use crate::lock::Lock;
use crate::membership;
use crate::persist::{Durable, Named, persist};
use crate::view::View;

/// The only version of layouts (row A-04).
const VERSION: &str = "1.0.0";

pub(crate) const LAYOUT: &str = "{\"imageLayoutVersion\":\"1.0.0\"}\n";

/// A longer `index.json` is refused. This is enough for some 150,000 entries.
pub(crate) const MAX_INDEX: u64 = 64 << 20;

/// A longer `oci-layout` is refused.
pub(crate) const MAX_LAYOUT_FILE: u64 = 1 << 20;

/// The file that marks a directory as a layout.
const LAYOUT_FILE: &str = "oci-layout";

/// The file with the entries of a layout.
const INDEX: &str = "index.json";

/// The directory for longshore's own files. Nothing in it is reached through a link.
const OWN: &str = ".longshore";

/// Writers share this lock; `gc` holds it alone.
const LOCK: &str = "lock";

/// The directory of partial blobs, with a directory for each algorithm.
const PARTIAL: &str = ".longshore/partial";

/// An OCI image layout as a directory, read and written in place.
///
/// Several processes may write to it at once: blobs appear as a whole, and `index.json` is changed under
/// a lock by reading, changing and replacing it. Readers take no lock. longshore keeps its own files in
/// `.longshore/`, which other tools ignore.
///
/// A layout may contain anything. Only regular files are read, behind links only as [`Links`] allows, and
/// nothing is written or removed through a link.
pub struct Directory {
    /// The path that the user named, for errors and for checks of the file system.
    root: PathBuf,
    /// `None` until the directory exists.
    opened: Mutex<Option<Arc<Dir>>>,
    links: Links,
    /// `None` if the directory is only read.
    writing: Option<Writing>,
    listing: Mutex<Option<Box<Seen>>>,
    pub(crate) membership: membership::Cache,
    bare_names_in: Option<RepositoryName>,
    /// A longer `index.json` is neither read nor written.
    max_index: u64,
    /// If `index.json` has at least so many bytes, changes are first appended to a journal. `None`: there
    /// is no journal.
    journal_from: Option<u64>,
    /// Files beside the content that are written after all content.
    extra: Mutex<Vec<ExtraFile>>,
}

/// The access for which a directory is opened.
enum Access {
    /// Writing, while nobody else writes.
    Alone(Lock),
    Reading,
    /// Writing, while others write.
    Shared,
}

impl Directory {
    /// Opens a layout for reading. Nothing is created or locked, so the media may be read-only.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(root, Links::Inside)
    }

    /// Opens a layout as [`Directory::open`] does, with a rule for links.
    pub fn open_with(root: impl Into<PathBuf>, links: Links) -> Result<Self> {
        let directory = Self::at(root.into(), Access::Reading, links);
        directory.check()?;
        Ok(directory)
    }

    /// Opens a layout for writing. If nothing is there, or an empty directory, the layout is created with
    /// the first write. Writing waits while `gc` runs.
    ///
    /// Fails with [`Error::Malformed`] if the directory contains something else.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self> {
        Self::create_with(root, Links::Inside)
    }

    /// Opens a layout as [`Directory::create`] does, with a rule for links that are read.
    pub fn create_with(root: impl Into<PathBuf>, links: Links) -> Result<Self> {
        let directory = Self::at(root.into(), Access::Shared, links);
        let Some(there) = directory.opened()? else { return Ok(directory) };
        if there.stat(LAYOUT_FILE)?.is_some() {
            // A layout that cannot be read is not changed.
            directory.check()?;
        } else if !there.entries()?.is_empty() && there.below(OWN)?.is_none() {
            // The order matters: another process may be creating the layout now.
            return Err(Error::malformed(directory.label(), Flaw::NotEmpty));
        }
        Ok(directory)
    }

    /// Opens a layout for [`Directory::collect`], while nobody else writes. Fails with [`Error::Busy`] if
    /// another process does.
    pub fn open_alone(root: impl Into<PathBuf>) -> Result<Self> {
        Self::open_alone_with(root, Links::Inside)
    }

    /// Opens a layout as [`Directory::open_alone`] does, with a rule for links that are read.
    pub fn open_alone_with(root: impl Into<PathBuf>, links: Links) -> Result<Self> {
        let root = root.into();
        let there = Self::open_with(&root, links)?.there()?;
        let lock = Lock::try_exclusive(&there.create_below(OWN)?, LOCK, &root)?;
        Ok(Self::at(root, Access::Alone(lock), links))
    }

    /// Makes changes of a long `index.json` durable in `.longshore/index.journal` first. This is for
    /// servers, which answer after each change. [`Place::settle`] writes `index.json`, and so does
    /// dropping this. longshore reads both files; to other tools `index.json` is a second behind.
    #[must_use]
    pub fn with_journal(mut self) -> Self {
        self.journal_from = Some(changes::SHORT_INDEX);
        self
    }

    /// Sets the repository of entries that name none, such as bare tags.
    #[must_use]
    pub fn with_bare_names_in(mut self, name: RepositoryName) -> Self {
        self.bare_names_in = Some(name);
        self
    }

    /// Returns the whole layout as one repository, whose names are those of the entries.
    pub fn whole(&self) -> View<'_, Self> {
        View::whole(self, &self.membership)
    }

    /// Returns how many blobs of an outline go into one directory, if that may be too many for the file
    /// system: a directory of FAT has room for some 10,900 names of this length, or fewer if it has other
    /// files. For other file systems, `outline` is not called.
    pub fn crowded<O: Borrow<Outline>>(&self, outline: impl FnOnce() -> O) -> Option<usize> {
        let there = self.root.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
        if files::is_on_fat(there) { fullest_directory(outline().borrow()) } else { None }
    }

    /// Returns the directory's path.
    pub fn path(&self) -> &Path {
        &self.root
    }

    fn at(root: PathBuf, access: Access, links: Links) -> Self {
        let lock = match access {
            Access::Alone(lock) => Some(Some(lock)),
            Access::Shared => Some(None),
            Access::Reading => None,
        };
        let writing = lock.map(Writing::new);
        Self {
            root,
            opened: Mutex::default(),
            links,
            writing,
            listing: Mutex::default(),
            membership: membership::Cache::default(),
            bare_names_in: None,
            max_index: MAX_INDEX,
            journal_from: None,
            extra: Mutex::default(),
        }
    }

    /// Returns the open directory, if it exists.
    fn opened(&self) -> Result<Option<Arc<Dir>>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.is_none() {
            *opened = match Dir::open(&self.root) {
                Ok(there) => Some(Arc::new(there)),
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => None,
                Err(_) if self.root.metadata().is_ok_and(|found| !found.is_dir()) => {
                    return Err(Error::malformed(self.label(), Flaw::NotADirectory));
                }
                Err(error) => return Err(error),
            };
        }
        Ok(opened.clone())
    }

    /// Returns the open directory, which must exist.
    fn there(&self) -> Result<Arc<Dir>> {
        self.opened()?.ok_or_else(|| missing(&self.root))
    }

    /// Opens the directory again if its path belongs to another one now: a layout may be replaced as a
    /// whole while it is served.
    fn look_again(&self) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.as_ref().is_some_and(|there| there.has_moved()) {
            *opened = None;
        }
    }

    fn is_laid_out(&self) -> Result<bool> {
        let Some(there) = self.opened()? else { return Ok(false) };
        Ok(there.stat(LAYOUT_FILE)?.is_some())
    }

    /// Creates the files of an empty layout. `oci-layout` comes last: if it exists, `index.json` must
    /// exist, too.
    fn create_layout(&self) -> Result<()> {
        if self.is_laid_out()? {
            return Ok(());
        }
        let _lock = self.lock_index()?;
        let there = self.there()?;
        there.create_below("blobs")?;
        if there.stat(INDEX)?.is_none() {
            self.write(INDEX, &IndexJson::default().to_bytes())?;
        }
        self.write(LAYOUT_FILE, LAYOUT.as_bytes()).map(drop)
    }

    /// Checks that a readable layout is there.
    fn check(&self) -> Result<()> {
        self.check_layout_file()?;
        self.listing().map(drop)
    }

    /// Checks rows.
    fn check_layout_file(&self) -> Result<()> {
        let Some(Found { file, .. }) = self.there()?.read(LAYOUT_FILE, self.links)? else {
            return Err(Error::malformed(self.label(), Flaw::NotALayout));
        };
        let path = self.root.join(LAYOUT_FILE);
        check_layout(&files::read(&file, &path, MAX_LAYOUT_FILE)?, &path.display().to_string())
    }

    fn extra(&self) -> MutexGuard<'_, Vec<ExtraFile>> {
        self.extra.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_path(&self) -> PathBuf {
        self.root.join(INDEX)
    }

    /// Keeps other processes from changing `index.json` at the same time.
    fn lock_index(&self) -> Result<Lock> {
        Lock::exclusive(&self.there()?.create_below(OWN)?, "index.lock")
    }

    /// Replaces a file at the top of the layout, and returns the new one. The caller must hold the lock
    /// of `index.json`.
    fn write(&self, name: &str, content: &[u8]) -> Result<File> {
        self.write_with(name, |file| file.write_all(content))
    }

    /// The same for content that is written in pieces.
    fn write_with(
        &self,
        name: &str,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<File> {
        let there = self.there()?;
        let own = there.create_below(OWN)?;
        let partial = format!("{name}.new");
        let file = own.create_anew(&partial)?;
        let (partial, target) = (Named::new(&own, &partial), Named::new(&there, name));
        let written = persist(&file, partial, target, Durable::Now, |mut file| {
            content(&mut file).map_err(Error::io("write", partial.path().display()))
        });
        if let Err(error) = written {
            // On a full disk, it would take room from everything else.
            _ = partial.directory.remove(partial.name);
            return Err(error);
        }
        Ok(file)
    }

    /// Prepares for the first write. Later calls do nothing.
    fn begin(&self) -> Result<&Writing> {
        let writing = self.writing()?;
        let mut lock = writing.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_none() {
            if self.opened()?.is_none() {
                Dir::create(&self.root)?;
            }
            let shared = Lock::shared(&self.there()?.create_below(OWN)?, LOCK)?;
            self.create_layout()?;
            self.check_layout_file()?;
            self.remove_dead_uploads()?;
            *lock = Some(shared);
        }
        Ok(writing)
    }

    fn writing(&self) -> Result<&Writing> {
        let read_only = || Error::unsupported(self.label(), Inability::ReadOnly);
        self.writing.as_ref().ok_or_else(read_only)
    }
}

impl SourcePlace for Directory {
    fn source(&self, name: &RepositoryName) -> Result<Box<dyn Source + '_>> {
        Ok(Box::new(View::repository(self, &self.membership, name)))
    }

    fn repositories(&self) -> Result<Vec<RepositoryName>> {
        let mut found = self.membership.names(self)?;
        found.extend(self.pushed_to()?);
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn has_repository(&self, name: &RepositoryName) -> Result<bool> {
        Ok(self.membership.has_name(self, name)? || self.was_pushed_to(name)?)
    }

    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        self.size(digest)
    }
}

impl TargetPlace for Directory {
    fn target(&self, name: &RepositoryName) -> Result<Box<dyn Target + '_>> {
        Ok(Box::new(View::repository(self, &self.membership, name)))
    }

    /// Fails before anything is created if there is not enough room.
    fn prepare(&self, outline: &Outline) -> Result<Option<u64>> {
        self.writing()?;
        let (mut needed, mut there) = (0_u64, 0_u64);
        for node in outline.nodes() {
            let held = match self.held(&node.digest, node.size)? {
                Held::Whole => node.size,
                Held::Prefix(there) => there.min(node.size),
                Held::Nothing => 0,
            };
            there = there.saturating_add(held);
            needed = needed.saturating_add(node.size - held);
        }
        let disk = self.root.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
        files::check_room(disk, needed)?;
        self.check_roots(outline)?;
        self.begin()?;
        outline.files().clone_into(&mut self.extra());
        Ok(Some(there))
    }

    /// Makes all changes visible. Extra files appear last.
    fn commit(&self) -> Result<()> {
        self.write_changes()?;
        let files = std::mem::take(&mut *self.extra());
        let _lock = if files.is_empty() { None } else { Some(self.lock_index()?) };
        files.iter().try_for_each(|ExtraFile { name, content }| self.write(name, content).map(drop))
    }

    /// Makes every change visible, and no extra file appear.
    fn commit_partial(&self) -> Result<()> {
        self.write_changes()?;
        self.extra().clear();
        Ok(())
    }
}

impl Place for Directory {
    fn repository(&self, name: &RepositoryName) -> Result<Box<dyn Repository + '_>> {
        Ok(Box::new(View::repository(self, &self.membership, name)))
    }

    fn upload(&self, repository: &RepositoryName, hasher: Hasher) -> Result<Box<dyn Upload>> {
        self.begin_upload(repository, hasher)
    }

    fn adopt(&self, repository: &RepositoryName, blob: &Descriptor) -> Result<()> {
        self.adopt_blob(repository, &blob.digest)
    }

    fn forget(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        View::repository(self, &self.membership, repository).forget(digest)
    }

    /// Writes `index.json` if its journal has changes.
    fn settle(&self) -> Result<()> {
        self.write_changes()?;
        self.take_in_journal()
    }
}

impl Backend for Directory {
    fn label(&self) -> String {
        self.root.display().to_string()
    }

    fn bare_names_in(&self) -> Option<&RepositoryName> {
        self.bare_names_in.as_ref()
    }

    fn listing(&self) -> Result<Arc<Listing>> {
        self.listed()
    }

    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        let Some(root) = self.opened()? else { return Ok(None) };
        root.size(blobs_of(digest).join(digest.encoded()), self.links)
    }

    fn open(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>> {
        let absent = || Error::not_found(digest, self.root.display());
        let root = self.opened()?.ok_or_else(absent)?;
        let found = root.read(blobs_of(digest).join(digest.encoded()), self.links)?;
        let Found { file, size, located } = found.ok_or_else(absent)?;
        if located == Located::Outside {
            verify_content(&file, size, digest)?;
        }
        Ok(Box::new(Region::new(Arc::new(file), 0, size).after(offset)))
    }

    fn was_pushed(&self, repository: &RepositoryName, digest: &Digest) -> bool {
        self.was_pushed(repository, digest)
    }

    fn noted_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<MediaType>> {
        self.marked_manifest(repository, digest)
    }
}

impl Layout for Directory {
    fn whole(&self) -> Box<dyn Source + '_> {
        Box::new(self.whole())
    }

    fn extra_file(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(Found { file, .. }) = self.there()?.read(name, self.links)? else {
            return Ok(None);
        };
        files::read(&file, &self.root.join(name), limit).map(Some)
    }

    /// Includes every file with the path of a blob (row A-11).
    fn blob_digests(&self) -> Result<Vec<Digest>> {
        let Some(blobs) = self.there()?.read_directory("blobs", self.links)? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for (name, kind) in blobs.entries()? {
            let is_directory = matches!(kind, FileType::Directory | FileType::Symlink);
            let Some(algorithm) = name.to_str().filter(|_| is_directory) else { continue };
            // The target of a link may not be a directory.
            let Ok(Some(directory)) = blobs.read_directory(algorithm, self.links) else { continue };
            found.extend(digests_in(&directory, algorithm)?.into_iter().map(|(digest, _)| digest));
        }
        Ok(found)
    }

    fn open_blob(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>> {
        Backend::open(self, digest, offset)
    }
}

impl Drop for Directory {
    /// Writes pending names even if nobody committed. Nobody can handle an error here.
    fn drop(&mut self) {
        // If nothing was written, no names are pending.
        let lock = self.writing.as_ref().map(|writing| &writing.lock);
        let lock = lock.map(|lock| lock.lock().unwrap_or_else(PoisonError::into_inner).is_some());
        if lock != Some(true) {
            return;
        }
        if let Err(error) = self.write_changes() {
            tracing::warn!(%error, "the last changes of names are lost");
        } else if let Err(error) = self.take_in_journal() {
            tracing::warn!(%error, "index.json lacks the last changes, which its journal keeps");
        }
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Directory({})", self.root.display())
    }
}

/// More blobs are too many for a directory of FAT.
const FAT_BLOBS: usize = 8000;

/// Returns the number of blobs in the fullest directory, if it exceeds [`FAT_BLOBS`].
fn fullest_directory(outline: &Outline) -> Option<usize> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for node in outline.nodes() {
        *counts.entry(node.digest.algorithm()).or_default() += 1;
    }
    counts.into_values().max().filter(|most| *most > FAT_BLOBS)
}

/// Checks the content of `oci-layout` (rows ).
pub(crate) fn check_layout(bytes: &[u8], what: &str) -> Result<()> {
    let malformed = |reason: Flaw| Error::malformed(what, reason);
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string().into()))?;
    match value.get("imageLayoutVersion").and_then(serde_json::Value::as_str) {
        Some(VERSION) => Ok(()),
        Some(version) => {
            Err(malformed(Flaw::Version { found: version.to_owned(), known: VERSION }))
        }
        None => Err(malformed("it does not say `imageLayoutVersion`".into())),
    }
}

#[cfg(test)]
mod tests {
    use longshore_spec::Role;
    use longshore_store::OutlineNode;

    use super::*;

    #[test]
    fn more_blobs_than_a_directory_of_fat_holds_are_counted_by_algorithm() {
        let outline = |sha256: usize, sha512: usize| {
            let node = |digest: Digest| OutlineNode { role: Role::Layer, digest, size: 1 };
            let first = (0..sha256).map(|number| node(Digest::sha256(number.to_string())));
            let second = (0..sha512).map(|number| node(Digest::sha512(number.to_string())));
            Outline::new(first.chain(second).collect(), Vec::new(), Vec::new())
        };
        assert_eq!(fullest_directory(&outline(FAT_BLOBS, 100)), None);
        assert_eq!(fullest_directory(&outline(FAT_BLOBS + 1, 100)), Some(FAT_BLOBS + 1));
        let directory = tempfile::tempdir().unwrap();
        let here = Directory::create(directory.path().join("new")).unwrap();
        let is_fat = files::is_on_fat(directory.path());
        assert_eq!(here.crowded(|| outline(FAT_BLOBS + 1, 0)).is_some(), is_fat);
    }
}
