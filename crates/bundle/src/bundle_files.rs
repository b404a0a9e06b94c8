//! A bundle that lies in several files.

use longshore_layout::{Layout, LayoutUnion};
use longshore_spec::Digest;
use longshore_store::Error;

use crate::{OpenError, Record};

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
    /// All of them; `None` for one.
    union: Option<LayoutUnion<'a>>,
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
        error: OpenError,
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
    /// What they list cannot be read.
    #[error(transparent)]
    Store(#[from] Error),
}

impl<'a> BundleFiles<'a> {
    /// Puts files together, in any order. Of a single one nothing is asked.
    ///
    /// # Errors
    ///
    /// They are not one bundle, or cannot be read.
    pub fn open(
        first: BundleFile<'a>,
        others: &[BundleFile<'a>],
    ) -> Result<Self, BundleFilesError> {
        if others.is_empty() {
            return Ok(Self { first: first.layout, union: None });
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
        Ok(Self { first: first.layout, union: Some(union) })
    }

    /// Returns all of them as one layout. It lists what the `index.json` lists beside the record.
    pub fn layout(&self) -> &dyn Layout {
        self.union.as_ref().map_or(self.first, |union| union)
    }
}

/// Reads the record of a file, and keeps of it who it is.
fn id_of(file: BundleFile<'_>) -> Result<Digest, BundleFilesError> {
    let name = || file.name.to_owned();
    let record = Record::read(file.layout);
    let record = record.map_err(|error| BundleFilesError::Unreadable { name: name(), error })?;
    Ok(record.ok_or_else(|| BundleFilesError::NoRecord(name()))?.id())
}
