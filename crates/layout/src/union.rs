//! Several layouts, read as one.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use longshore_spec::{Descriptor, Digest, Manifest, RepositoryName};
use longshore_store::{Error, Reader, Result, Root, Source, SourcePlace, read_manifest};

use crate::backend::Backend;
use crate::index::IndexJson;
use crate::layout::Layout;
use crate::listing::Listing;
use crate::membership;
use crate::names;
use crate::part_store::PartStore;
use crate::view::View;

/// Several layouts, read as one: what one of them lists, or what a record of it says, with content that lies in
/// any of them.
pub struct LayoutUnion<'a> {
    label: String,
    listing: Arc<Listing>,
    first: Arc<dyn Layout + 'a>,
    others: Vec<Arc<dyn Layout + 'a>>,
    /// Blobs that lie in parts, in several of them.
    cut: HashMap<Digest, CutBlob>,
    /// Parts that lie in none of them.
    parts: Option<PartStore>,
    /// What is known about repositories.
    known: membership::Cache,
    bare_names_in: Option<RepositoryName>,
}

/// A blob that lies in parts, in several layouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutBlob {
    /// What it is.
    pub digest: Digest,
    /// The sizes of its parts in bytes, in their order.
    pub parts: Vec<u64>,
}

impl<'a> LayoutUnion<'a> {
    /// Returns a layout that lists `roots`, and whose files are those of `first`. Content is read from the
    /// `others` before `first`: it may be damaged there. Errors call it `label`.
    pub fn new(
        label: impl Into<String>,
        roots: Vec<Root>,
        first: Arc<dyn Layout + 'a>,
        others: Vec<Arc<dyn Layout + 'a>>,
    ) -> Self {
        Self {
            label: label.into(),
            listing: listing(roots),
            first,
            others,
            cut: HashMap::new(),
            parts: None,
            known: membership::Cache::default(),
            bare_names_in: None,
        }
    }

    /// Returns the same with blobs that are there if all of their parts are, each with its size.
    #[must_use]
    pub fn with_cut(self, cut: impl IntoIterator<Item = CutBlob>) -> Self {
        Self { cut: cut.into_iter().map(|cut| (cut.digest.clone(), cut)).collect(), ..self }
    }

    /// Returns the same with parts that lie elsewhere.
    #[must_use]
    pub fn with_parts(self, parts: PartStore) -> Self {
        Self { parts: Some(parts), ..self }
    }

    /// Returns the same that lists `roots` instead.
    #[must_use]
    pub fn listing(self, roots: Vec<Root>) -> Self {
        Self { listing: listing(roots), known: membership::Cache::default(), ..self }
    }

    /// Sets the repository of entries that name none, such as bare tags.
    #[must_use]
    pub fn with_bare_names_in(self, name: RepositoryName) -> Self {
        Self { bare_names_in: Some(name), ..self }
    }

    /// Returns the whole layout as one repository, whose names are those of the entries.
    pub fn whole(&self) -> View<'_, Self> {
        View::whole(self, &self.known)
    }

    /// Returns the layouts, in the order in which content is looked for in them: the first is the last.
    pub fn layouts(&self) -> impl Iterator<Item = &dyn Layout> {
        self.others.iter().chain([&self.first]).map(|layout| -> &dyn Layout { &**layout })
    }

    /// Returns what has a part of a blob, and the part's number.
    fn part(&self, cut: &CutBlob, place: usize) -> Option<(PartPlace<'_>, u32)> {
        let (size, number) = (*cut.parts.get(place)?, u32::try_from(place + 1).ok()?);
        let mut layouts = self.layouts();
        let found = layouts.find(|layout| layout.part_size(&cut.digest, number) == Some(size));
        let store = || {
            let store = self.parts.as_ref()?;
            (store.part_size(&cut.digest, number) == Some(size)).then_some(PartPlace::Store(store))
        };
        Some((found.map(PartPlace::Layout).or_else(store)?, number))
    }

    /// Returns a blob of which all parts are there, and its size.
    fn whole_cut(&self, digest: &Digest) -> Option<(&CutBlob, u64)> {
        let cut = self.cut.get(digest)?;
        let is_there = (0..cut.parts.len()).all(|place| self.part(cut, place).is_some());
        let size = cut.parts.iter().try_fold(0_u64, |sum, size| sum.checked_add(*size))?;
        is_there.then_some((cut, size))
    }
}

/// What has a part of a blob.
enum PartPlace<'u> {
    Layout(&'u dyn Layout),
    Store(&'u PartStore),
}

/// Returns the listing of `roots`.
fn listing(roots: Vec<Root>) -> Arc<Listing> {
    let entries = roots.into_iter().flat_map(|Root { descriptor, names }| {
        let mut entries: Vec<_> =
            names.iter().map(|name| names::named(descriptor.clone(), name.as_str())).collect();
        if entries.is_empty() {
            entries.push(names::unnamed(descriptor));
        }
        entries
    });
    Arc::new(Listing::new(IndexJson::of(entries.collect())))
}

impl SourcePlace for LayoutUnion<'_> {
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
        self.size(digest)
    }
}

impl Layout for LayoutUnion<'_> {
    fn whole(&self) -> Box<dyn Source + '_> {
        Box::new(self.whole())
    }

    fn extra_file(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        self.first.extra_file(name, limit)
    }

    fn blob_digests(&self) -> Result<Vec<Digest>> {
        let mut all = HashSet::new();
        for layout in self.layouts() {
            all.extend(layout.blob_digests()?);
        }
        let cut = self.cut.keys().filter(|digest| self.whole_cut(digest).is_some());
        all.extend(cut.cloned());
        Ok(all.into_iter().collect())
    }

    fn open_blob(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>> {
        Backend::open(self, digest, offset)
    }

    fn is_written_once(&self) -> bool {
        self.layouts().all(Layout::is_written_once)
    }
}

impl Backend for LayoutUnion<'_> {
    fn label(&self) -> String {
        self.label.clone()
    }

    fn bare_names_in(&self) -> Option<&RepositoryName> {
        self.bare_names_in.as_ref()
    }

    fn listing(&self) -> Result<Arc<Listing>> {
        Ok(Arc::clone(&self.listing))
    }

    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        for layout in self.layouts() {
            if let Some(size) = layout.blob_size(digest)? {
                return Ok(Some(size));
            }
        }
        Ok(self.whole_cut(digest).map(|(_, size)| size))
    }

    fn open(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>> {
        for layout in self.layouts() {
            match layout.open_blob(digest, offset) {
                Err(error) if error.is_not_found() => {}
                opened => return opened,
            }
        }
        let cut = self.whole_cut(digest);
        let (cut, _) = cut.ok_or_else(|| Error::not_found(digest, &self.label))?;
        Ok(Box::new(PartsReader { union: self, cut, next: 0, skip: offset, part: None }))
    }

    /// Reads it from the first layout where it is right.
    fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let mut failed = None;
        for layout in self.layouts() {
            let opened = layout.open_blob(&descriptor.digest, 0);
            match opened.and_then(|reader| read_manifest(reader, descriptor)) {
                Err(error) if error.is_not_found() => {}
                Err(error) => failed = failed.or(Some(error)),
                found => return found,
            }
        }
        Err(failed.unwrap_or_else(|| Error::not_found(&descriptor.digest, &self.label)))
    }
}

/// A blob that is read part by part.
struct PartsReader<'r, 'a> {
    union: &'r LayoutUnion<'a>,
    cut: &'r CutBlob,
    /// The place of the next part.
    next: usize,
    /// How many bytes are skipped before the next part's first.
    skip: u64,
    part: Option<Reader<'r>>,
}

impl<'r> PartsReader<'r, '_> {
    /// Opens the next part; `None` after the last.
    fn open_next(&mut self) -> Result<Option<Reader<'r>>> {
        while let Some(size) = self.cut.parts.get(self.next) {
            let place = self.next;
            self.next += 1;
            if self.skip >= *size {
                self.skip -= size;
                continue;
            }
            let (union, digest) = (self.union, &self.cut.digest);
            let found = union.part(self.cut, place);
            let (place, number) = found.ok_or_else(|| Error::not_found(digest, &union.label))?;
            let skip = std::mem::take(&mut self.skip);
            return match place {
                PartPlace::Layout(layout) => layout.open_part(digest, number, skip),
                PartPlace::Store(store) => store.open_part(digest, number, skip),
            }
            .map(Some);
        }
        Ok(None)
    }
}

impl Read for PartsReader<'_, '_> {
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

impl fmt::Debug for LayoutUnion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LayoutUnion({})", self.label)
    }
}
