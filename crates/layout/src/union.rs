//! Several layouts, read as one.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use longshore_spec::{Digest, RepositoryName};
use longshore_store::{Error, Reader, Result, Root, Source, SourcePlace};

use crate::backend::Backend;
use crate::index::IndexJson;
use crate::layout::Layout;
use crate::listing::Listing;
use crate::membership;
use crate::names;
use crate::view::View;

/// Several layouts, read as one: what one of them lists, or what a record of it says, with content that lies in
/// any of them.
pub struct LayoutUnion<'a> {
    label: String,
    listing: Arc<Listing>,
    first: Arc<dyn Layout + 'a>,
    others: Vec<Arc<dyn Layout + 'a>>,
    /// What is known about repositories.
    known: membership::Cache,
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
        let entries = roots.into_iter().flat_map(|Root { descriptor, names }| {
            let mut entries: Vec<_> =
                names.iter().map(|name| names::named(descriptor.clone(), name.as_str())).collect();
            if entries.is_empty() {
                entries.push(names::unnamed(descriptor));
            }
            entries
        });
        let listing = Arc::new(Listing::new(IndexJson::of(entries.collect())));
        Self { label: label.into(), listing, first, others, known: membership::Cache::default() }
    }

    /// Returns the whole layout as one repository, whose names are those of the entries.
    pub fn whole(&self) -> View<'_, Self> {
        View::whole(self, &self.known)
    }

    fn layouts(&self) -> impl Iterator<Item = &dyn Layout> {
        self.others.iter().chain([&self.first]).map(|layout| -> &dyn Layout { &**layout })
    }
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

    fn listing(&self) -> Result<Arc<Listing>> {
        Ok(Arc::clone(&self.listing))
    }

    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        for layout in self.layouts() {
            if let Some(size) = layout.blob_size(digest)? {
                return Ok(Some(size));
            }
        }
        Ok(None)
    }

    fn open(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>> {
        for layout in self.layouts() {
            match layout.open_blob(digest, offset) {
                Err(error) if error.is_not_found() => {}
                opened => return opened,
            }
        }
        Err(Error::not_found(digest, &self.label))
    }
}

impl fmt::Debug for LayoutUnion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LayoutUnion({})", self.label)
    }
}
