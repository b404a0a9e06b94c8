//! A bundle that lies in several files.

use std::fmt;
use std::sync::Arc;

use longshore_layout::{Layout, LayoutUnion};
use longshore_spec::Digest;

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
#[error("{name} {reason}")]
pub struct BundleFilesError {
    /// The file.
    pub name: String,
    /// What is wrong with it.
    pub reason: Box<ApartReason>,
}

/// Why a file is not of the bundle of the others.
#[derive(Debug)]
pub enum ApartReason {
    /// It cannot be read.
    Unreadable(OpenError),
    /// It says nothing of the bundle that it belongs to.
    NoRecord,
    /// It is of another bundle.
    OtherBundle {
        /// The bundle that it is of.
        id: Digest,
        /// The file that says which bundle it is.
        first: String,
        /// The bundle that this is.
        expected: Digest,
    },
    /// It repairs another bundle.
    OtherRepair {
        /// The bundle that it repairs.
        bundle: Digest,
        /// The file that says which bundle it is.
        first: String,
        /// The bundle that this is.
        expected: Digest,
    },
    /// It repairs a bundle that is not among the files.
    NothingToRepair(Digest),
}

/// What a file says it is.
enum Identity {
    /// The bundle with this id, or a part of it.
    Bundle(Digest),
    /// What was missing for the bundle with this id.
    Repair(Digest),
}

impl<'a> BundleFiles<'a> {
    /// Puts files together, in any order: those that have one and the same record, and those that repair that
    /// bundle. Of a single one nothing is asked.
    ///
    /// # Errors
    ///
    /// They are not one bundle, or cannot be read.
    pub fn open(one: BundleFile<'a>, others: &[BundleFile<'a>]) -> Result<Self, BundleFilesError> {
        if others.is_empty() {
            return Ok(Self { first: one.layout, union: None });
        }
        let (mut bundles, mut repairs) = (Vec::new(), Vec::new());
        for file in [&one].into_iter().chain(others) {
            match Identity::read(*file)? {
                Identity::Bundle(id) => bundles.push((*file, id)),
                Identity::Repair(bundle) => repairs.push((*file, bundle)),
            }
        }
        let Some((first, expected)) = bundles.first().cloned() else {
            let (file, bundle) = repairs.swap_remove(0);
            return Err(file.because(ApartReason::NothingToRepair(bundle)));
        };
        let name = || first.name.to_owned();
        if let Some((other, id)) = bundles.iter().find(|(_, id)| *id != expected) {
            let (id, first) = (id.clone(), name());
            return Err(other.because(ApartReason::OtherBundle { id, first, expected }));
        }
        if let Some((other, bundle)) = repairs.iter().find(|(_, bundle)| *bundle != expected) {
            let (bundle, first) = (bundle.clone(), name());
            return Err(other.because(ApartReason::OtherRepair { bundle, first, expected }));
        }
        let roots = first.layout.whole().roots();
        let roots = roots.map_err(|error| first.because(ApartReason::Unreadable(error.into())))?;
        // What repairs the bundle comes before what is damaged in it.
        let others: Vec<_> = repairs.iter().chain(&bundles[1..]).map(|(file, _)| *file).collect();
        let names =
            others.iter().fold(name(), |names, other| format!("{names} and {}", other.name));
        let others = others.iter().map(|other| Arc::new(other.layout) as _);
        let union = LayoutUnion::new(names, roots, Arc::new(first.layout), others.collect());
        Ok(Self { first: first.layout, union: Some(union) })
    }

    /// Returns all of them as one layout. It lists what the `index.json` lists beside the record.
    pub fn layout(&self) -> &dyn Layout {
        self.union.as_ref().map_or(self.first, |union| union)
    }
}

impl BundleFile<'_> {
    fn because(&self, reason: ApartReason) -> BundleFilesError {
        BundleFilesError { name: self.name.to_owned(), reason: Box::new(reason) }
    }
}

impl Identity {
    /// Reads the record of a file, and keeps nothing else of it.
    fn read(file: BundleFile<'_>) -> Result<Self, BundleFilesError> {
        let record = Record::read(file.layout)
            .map_err(|error| file.because(ApartReason::Unreadable(error)))?;
        let record = record.ok_or_else(|| file.because(ApartReason::NoRecord))?;
        Ok(match record.repairs {
            Some(bundle) => Self::Repair(bundle),
            None => Self::Bundle(record.id()),
        })
    }
}

impl fmt::Display for ApartReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::NoRecord => {
                f.write_str("has no `bundle.json`, so nothing says which bundle it belongs to")
            }
            Self::OtherBundle { id, first, expected } => {
                write!(f, "is of another bundle than {first}: of {id}, and not of {expected}")
            }
            Self::OtherRepair { bundle, first, expected } => {
                write!(f, "repairs another bundle than {first}: {bundle}, and not {expected}")
            }
            Self::NothingToRepair(bundle) => {
                write!(f, "only repairs another bundle, {bundle}")
            }
        }
    }
}
