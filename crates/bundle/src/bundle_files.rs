//! A bundle that lies in several files.

use longshore_layout::{Layout, LayoutUnion, PartStore};
use longshore_spec::Digest;
use longshore_store::Error;

use crate::{OpenBundle, OpenError, OpenVolumes, Record, is_volume};

/// One of the files of a bundle.
#[derive(Debug, Clone, Copy)]
pub struct BundleFile<'a> {
    /// What errors call it.
    pub name: &'a str,
    /// The layout in it.
    pub layout: &'a dyn Layout,
}

/// A bundle in one file or in several, read as one layout: one record says what it holds, and the content lies
/// in any of them.
#[derive(Debug)]
pub struct BundleFiles<'a> {
    first: &'a dyn Layout,
    together: Together<'a>,
}

/// How several files are one.
#[derive(Debug)]
enum Together<'a> {
    /// There is only one.
    One,
    /// Content lies in any of them.
    Union(LayoutUnion<'a>),
    /// They are volumes, or one is.
    Volumes(Box<OpenVolumes<'a>>),
}

/// Why files are not one bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleFilesError {
    /// One cannot be read.
    #[error("{name}: {error}")]
    Unreadable {
        /// The file.
        name: String,
        /// Why.
        error: Box<OpenError>,
    },
    /// One says nothing of the bundle that it belongs to.
    #[error("{0} has no `bundle.json`, so nothing says which bundle it belongs to")]
    NoRecord(String),
    /// One is of another bundle.
    #[error("{name} is of another bundle than {first}: of {id}, and not of {expected}")]
    OtherBundle {
        /// The file.
        name: String,
        /// The bundle that it is of.
        id: Digest,
        /// The file that says which bundle it is.
        first: String,
        /// The bundle that this is.
        expected: Digest,
    },
    /// One is not a volume as the others are.
    #[error("{name} is no volume of a bundle: {reason}")]
    NoVolume {
        /// The file.
        name: String,
        /// Why not.
        reason: String,
    },
    /// What they list cannot be read.
    #[error(transparent)]
    Store(#[from] Error),
}

impl<'a> BundleFiles<'a> {
    /// Puts files together, in any order. Of a single one nothing is asked but whether it is a volume.
    ///
    /// # Errors
    ///
    /// They are not one bundle, or cannot be read.
    pub fn open(
        first: BundleFile<'a>,
        others: &[BundleFile<'a>],
    ) -> Result<Self, BundleFilesError> {
        let mut files = std::iter::once(&first).chain(others);
        if files.any(|file| matches!(is_volume(file.layout), Ok(true))) {
            let files = std::iter::once(&first).chain(others);
            let files = files.map(|file| (file.name.to_owned(), Box::new(file.layout) as _));
            let volumes = OpenVolumes::open(files.collect())?;
            return Ok(Self {
                first: first.layout,
                together: Together::Volumes(Box::new(volumes)),
            });
        }
        if others.is_empty() {
            return Ok(Self { first: first.layout, together: Together::One });
        }
        let expected = id_of(first)?;
        for other in others {
            let id = id_of(*other)?;
            if id != expected {
                let [name, first] = [other.name, first.name].map(str::to_owned);
                return Err(BundleFilesError::OtherBundle { name, id, first, expected });
            }
        }
        let names = others
            .iter()
            .fold(first.name.to_owned(), |names, other| format!("{names} and {}", other.name));
        let roots = first.layout.whole().roots()?;
        let others = others.iter().map(|other| Box::new(other.layout) as _);
        let union = LayoutUnion::new(names, roots, Box::new(first.layout), others.collect());
        Ok(Self { first: first.layout, together: Together::Union(union) })
    }

    /// Returns all of them as one layout. It lists what the `index.json` lists beside the record.
    pub fn layout(&self) -> &dyn Layout {
        match &self.together {
            Together::One => self.first,
            Together::Union(union) => union,
            Together::Volumes(volumes) => volumes.layout(),
        }
    }

    /// Lets parts of blobs of volumes be read from where they wait for the others, too.
    #[must_use]
    pub fn with_parts(self, parts: PartStore) -> Self {
        let together = match self.together {
            Together::Volumes(volumes) => Together::Volumes(Box::new(volumes.with_parts(parts))),
            together @ (Together::One | Together::Union(_)) => together,
        };
        Self { together, ..self }
    }

    /// Lets no volume count as being there: to ask what of the bundle has come.
    #[must_use]
    pub fn asked_about(self) -> Self {
        let together = match self.together {
            Together::Volumes(volumes) => Together::Volumes(Box::new(volumes.asked_about())),
            together @ (Together::One | Together::Union(_)) => together,
        };
        Self { together, ..self }
    }

    /// Returns the bundle, of which volumes may be missing.
    ///
    /// # Errors
    ///
    /// It cannot be read, or its record cannot be believed.
    pub fn bundle(&self) -> Result<OpenBundle<'_>, OpenError> {
        match &self.together {
            Together::Volumes(volumes) => OpenBundle::of_volumes(volumes),
            Together::One | Together::Union(_) => OpenBundle::read(self.layout()),
        }
    }

    /// Returns the volumes, if they are some.
    pub fn volumes(&self) -> Option<&OpenVolumes<'a>> {
        match &self.together {
            Together::Volumes(volumes) => Some(volumes),
            Together::One | Together::Union(_) => None,
        }
    }
}

/// Reads the record of a file, and keeps of it who it is.
fn id_of(file: BundleFile<'_>) -> Result<Digest, BundleFilesError> {
    let name = || file.name.to_owned();
    let record = Record::read(file.layout);
    let record = record
        .map_err(|error| BundleFilesError::Unreadable { name: name(), error: Box::new(error) })?;
    Ok(record.ok_or_else(|| BundleFilesError::NoRecord(name()))?.id())
}
