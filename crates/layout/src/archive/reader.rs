//! Reading an archive in place.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_spec::{Digest, RepositoryName};
use longshore_store::{Error, Flaw, Reader, Result, Source, SourcePlace};

use super::decompress;
use super::inventory::{self, Inventory};
use super::members::Members;
use crate::backend::Backend;
use crate::dir;
use crate::directory::{MAX_INDEX, MAX_LAYOUT_FILE, check_layout};
use crate::files::Region;
use crate::index::IndexJson;
use crate::layout::Layout;
use crate::listing::Listing;
use crate::membership;
use crate::view::View;

/// An OCI image layout as a tar archive, read in place.
///
/// Opening it reads all headers, unless a file in it lists its content. An archive compressed with gzip
/// or zstd is unpacked once into an unnamed file.
pub struct Archive {
    path: PathBuf,
    file: Arc<File>,
    members: Members,
    listing: Arc<Listing>,
    /// What is known about repositories.
    known: membership::Cache,
    bare_names_in: Option<RepositoryName>,
}

/// How archives are opened.
#[derive(Debug, Clone, Default)]
pub struct ArchiveOptions {
    /// Where a compressed archive is unpacked if its own directory is not writable.
    pub scratch: Option<PathBuf>,
    /// The file that lists the content, used if the archive has it and matches it. Opening the archive
    /// takes a few reads then. The header of a blob is checked when the blob is opened, so open an
    /// archive without an inventory to check all of it.
    pub inventory: Option<Inventory>,
}

impl Archive {
    /// Opens an archive.
    ///
    /// Fails with [`Error::Malformed`] if the file is not a tar, is cut off, has members that lead out of
    /// it, or has no layout in it.
    pub fn open(path: impl Into<PathBuf>, options: &ArchiveOptions) -> Result<Self> {
        let path = path.into();
        let file = dir::open_file(&path)?;
        let beside = dir::parent(&path).to_owned();
        Self::of(file, path, &beside, options)
    }

    /// Opens an archive from a pipe. It is stored in an unnamed file in `directory`, since content is
    /// read at any offset. The file goes with this value.
    ///
    /// Fails as [`Archive::open`] does, and with [`Error::NoSpace`].
    pub fn from_pipe(pipe: impl std::io::Read, directory: &Path) -> Result<Self> {
        let path = PathBuf::from("the pipe");
        let file = decompress::spool(pipe, &path, directory)?;
        Self::of(file, path, directory, &ArchiveOptions::default())
    }

    fn of(file: File, path: PathBuf, beside: &Path, options: &ArchiveOptions) -> Result<Self> {
        let what = path.display().to_string();
        let malformed = |reason: Flaw| Error::malformed(&what, reason);
        if file.metadata().map_err(Error::io("open", &what))?.len() == 0 {
            return Err(malformed(Flaw::Empty));
        }
        let file = Arc::new(decompress::file(file, &path, beside, options.scratch.as_deref())?);
        let listed = options.inventory.and_then(|inventory| inventory::find(&file, &inventory));
        let members = listed.map_or_else(|| Members::find(&file, &what), Ok)?;
        let layout = members.read(&file, "oci-layout", MAX_LAYOUT_FILE)?;
        let layout = layout.ok_or_else(|| malformed(no_layout(&members)))?;
        check_layout(&layout, &format!("`oci-layout` in {what}"))?;
        let index = members.read(&file, "index.json", MAX_INDEX)?;
        let index = index.ok_or_else(|| malformed(Flaw::NoIndex))?;
        let index = IndexJson::parse(&index, &format!("`index.json` in {what}"))?;
        let listing = Arc::new(Listing::new(index));
        Ok(Self {
            path,
            file,
            members,
            listing,
            known: membership::Cache::default(),
            bare_names_in: None,
        })
    }

    /// Sets the repository of entries that name none, such as bare tags.
    #[must_use]
    pub fn with_bare_names_in(mut self, name: RepositoryName) -> Self {
        self.bare_names_in = Some(name);
        self
    }

    /// Returns the whole layout as one repository, whose names are those of the entries.
    pub fn whole(&self) -> View<'_, Self> {
        View::whole(self, &self.known)
    }

    /// Returns the archive's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells whether the archive matches its inventory, as far as that can be seen without reading
    /// content: its length, beginning and end, and the header of each blob. Returns false if it was
    /// opened without an inventory.
    pub fn is_as_recorded(&self) -> bool {
        let what = self.label();
        self.members.listed_by.is_some()
            && self
                .members
                .blobs
                .keys()
                .all(|digest| matches!(self.members.locate(&self.file, digest, &what), Ok(Some(_))))
    }
}

/// Returns what an archive without `oci-layout` may be (row G-10).
fn no_layout(members: &Members) -> Flaw {
    if members.files.contains_key(&b"manifest.json"[..]) {
        Flaw::DockerArchive
    } else {
        Flaw::NoLayoutInside
    }
}

impl SourcePlace for Archive {
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

impl Layout for Archive {
    fn whole(&self) -> Box<dyn Source + '_> {
        Box::new(self.whole())
    }

    fn extra_file(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        self.members.read(&self.file, name, limit)
    }

    fn blob_digests(&self) -> Result<Vec<Digest>> {
        Ok(self.members.blobs.keys().cloned().collect())
    }

    fn open_blob(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>> {
        Backend::open(self, digest, offset)
    }

    fn is_written_once(&self) -> bool {
        true
    }
}

impl Backend for Archive {
    fn label(&self) -> String {
        self.path.display().to_string()
    }

    fn bare_names_in(&self) -> Option<&RepositoryName> {
        self.bare_names_in.as_ref()
    }

    fn listing(&self) -> Result<Arc<Listing>> {
        Ok(Arc::clone(&self.listing))
    }

    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.members.blobs.get(digest).map(|extent| extent.size))
    }

    fn open(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>> {
        let extent = self.members.locate(&self.file, digest, &self.label())?;
        let extent = extent.ok_or_else(|| Error::not_found(digest, self.label()))?;
        Ok(Box::new(Region::new(Arc::clone(&self.file), extent.at, extent.size).after(offset)))
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Archive({})", self.path.display())
    }
}
