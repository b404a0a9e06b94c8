//! Several archives that hold the content of one layout.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use longshore_spec::{Descriptor, Digest, Manifest, RepositoryName};
use longshore_store::{Error, Reader, Result, Root, Source, SourcePlace, read_manifest};

use super::reader::Archive;
use super::tar_layout::index_of;
use crate::backend::Backend;
use crate::layout::Layout;
use crate::listing::Listing;
use crate::membership;
use crate::view::View;

/// Archives that hold the content of one layout, in any order, read in place. What it lists is said apart: an
/// archive of a set lists only what is whole in it. What several of them hold is read from the first that has
/// it, and a manifest from the first where it is right.
pub struct ArchiveSet {
    archives: Vec<Archive>,
    cut: HashMap<Digest, CutBlob>,
    listing: Arc<Listing>,
    known: membership::Cache,
    bare_names_in: Option<RepositoryName>,
}

/// A blob that lies in parts, in several archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutBlob {
    /// What it is.
    pub digest: Digest,
    /// The sizes of its parts in bytes, in their order.
    pub parts: Vec<u64>,
}

impl ArchiveSet {
    /// Returns the layout of `archives` that lists `roots`. Blobs that are `cut` are there if all of their parts
    /// are, each with its size.
    pub fn new(
        archives: Vec<Archive>,
        roots: &[Root],
        cut: impl IntoIterator<Item = CutBlob>,
    ) -> Self {
        Self {
            archives,
            cut: cut.into_iter().map(|cut| (cut.digest.clone(), cut)).collect(),
            listing: Arc::new(Listing::new(index_of(roots))),
            known: membership::Cache::default(),
            bare_names_in: None,
        }
    }

    /// Returns the same that lists `roots` instead.
    #[must_use]
    pub fn listing(self, roots: &[Root]) -> Self {
        let listing = Arc::new(Listing::new(index_of(roots)));
        Self { listing, known: membership::Cache::default(), ..self }
    }

    /// Sets the repository of entries that name none, such as bare tags.
    #[must_use]
    pub fn with_bare_names_in(mut self, name: RepositoryName) -> Self {
        self.bare_names_in = Some(name);
        self
    }

    /// Returns all of it as one repository, whose names are those of the entries.
    pub fn whole(&self) -> View<'_, Self> {
        View::whole(self, &self.known)
    }

    /// Returns the archives.
    pub fn archives(&self) -> &[Archive] {
        &self.archives
    }

    /// Returns the archive that has a part of a blob.
    fn part(&self, cut: &CutBlob, number: usize) -> Option<&Archive> {
        let size = *cut.parts.get(number)?;
        let number = u32::try_from(number + 1).ok()?;
        self.archives.iter().find(|archive| archive.part_size(&cut.digest, number) == Some(size))
    }

    /// Returns a blob of which all parts are there, and its size.
    fn whole_cut(&self, digest: &Digest) -> Option<(&CutBlob, u64)> {
        let cut = self.cut.get(digest)?;
        let is_there = (0..cut.parts.len()).all(|number| self.part(cut, number).is_some());
        let size = cut.parts.iter().try_fold(0_u64, |sum, size| sum.checked_add(*size))?;
        is_there.then_some((cut, size))
    }

    /// Returns what `read` returns of the first archive that has a blob, where that does not fail.
    fn first<'s, T>(
        &'s self,
        digest: &Digest,
        read: impl Fn(&'s Archive) -> Result<T>,
    ) -> Option<Result<T>> {
        let mut failed = None;
        for archive in &self.archives {
            if !matches!(Backend::size(archive, digest), Ok(Some(_))) {
                continue;
            }
            match read(archive) {
                Ok(found) => return Some(Ok(found)),
                Err(error) => failed = failed.or(Some(Err(error))),
            }
        }
        failed
    }
}

impl SourcePlace for ArchiveSet {
    fn source(&self, name: &RepositoryName) -> Result<Box<dyn Source + '_>> {
        Ok(Box::new(View::repository(self, &self.known, name)))
    }

    fn repositories(&self) -> Result<Vec<RepositoryName>> {
        self.known.names(self)
    }

    fn has_repository(&self, name: &RepositoryName) -> Result<bool> {
        self.known.has_name(self, name)
    }

    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        Backend::size(self, digest)
    }
}

impl Layout for ArchiveSet {
    fn whole(&self) -> Box<dyn Source + '_> {
        Box::new(self.whole())
    }

    /// Returns a file of the first archive that has it.
    fn extra_file(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        for archive in &self.archives {
            if let Some(file) = archive.extra_file(name, limit)? {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    fn blob_digests(&self) -> Result<Vec<Digest>> {
        let mut digests = HashSet::new();
        for archive in &self.archives {
            digests.extend(archive.blob_digests()?);
        }
        let cut = self.cut.keys().filter(|digest| self.whole_cut(digest).is_some());
        digests.extend(cut.cloned());
        Ok(digests.into_iter().collect())
    }

    fn is_written_once(&self) -> bool {
        true
    }
}

impl Backend for ArchiveSet {
    fn label(&self) -> String {
        let label = |archive: &Archive| archive.path().display().to_string();
        match &self.archives[..] {
            [] => "no archives".to_owned(),
            [one] => label(one),
            [first, others @ ..] => format!("{} and {} more", label(first), others.len()),
        }
    }

    fn bare_names_in(&self) -> Option<&RepositoryName> {
        self.bare_names_in.as_ref()
    }

    fn listing(&self) -> Result<Arc<Listing>> {
        Ok(Arc::clone(&self.listing))
    }

    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        for archive in &self.archives {
            if let Some(size) = Backend::size(archive, digest)? {
                return Ok(Some(size));
            }
        }
        Ok(self.whole_cut(digest).map(|(_, size)| size))
    }

    fn open(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>> {
        if let Some(found) = self.first(digest, |archive| Backend::open(archive, digest, offset)) {
            return found;
        }
        let found = self.whole_cut(digest);
        let (cut, _) = found.ok_or_else(|| Error::not_found(digest, self.label()))?;
        Ok(Box::new(PartsReader { set: self, cut, next: 0, skip: offset, part: None }))
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let digest = &descriptor.digest;
        let read = |archive| read_manifest(Backend::open(archive, digest, 0)?, descriptor);
        self.first(digest, read).unwrap_or_else(|| Err(Error::not_found(digest, self.label())))
    }
}

/// A blob that is read part by part.
struct PartsReader<'a> {
    set: &'a ArchiveSet,
    cut: &'a CutBlob,
    /// The next part, from 0.
    next: usize,
    /// How many bytes are skipped before the next part's first.
    skip: u64,
    part: Option<Reader<'a>>,
}

impl<'a> PartsReader<'a> {
    /// Opens the next part; `None` after the last.
    fn open_next(&mut self) -> Result<Option<Reader<'a>>> {
        while let Some(size) = self.cut.parts.get(self.next) {
            let number = self.next;
            self.next += 1;
            if self.skip >= *size {
                self.skip -= size;
                continue;
            }
            let digest = &self.cut.digest;
            let archive = self.set.part(self.cut, number);
            let archive = archive.ok_or_else(|| Error::not_found(digest, self.set.label()))?;
            let number = u32::try_from(number + 1).unwrap_or(u32::MAX);
            return archive.open_part(digest, number, std::mem::take(&mut self.skip)).map(Some);
        }
        Ok(None)
    }
}

impl Read for PartsReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(part) = &mut self.part {
                let count = part.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
            }
            self.part = self.open_next()?;
            if self.part.is_none() {
                return Ok(0);
            }
        }
    }
}

impl fmt::Debug for ArchiveSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArchiveSet({})", self.label())
    }
}
