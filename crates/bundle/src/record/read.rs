//! Reading the record of a bundle that is there.

use longshore_layout::Layout;
use longshore_spec::Digest;
use longshore_store::Error;

use super::{MAX_RECORD, RECORD, Record, RecordError};

/// Why a bundle cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] Error),
    /// Its record is none that can be believed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// It is none by itself: it repairs the bundle with this id.
    #[error("the bundle only repairs another one, {0}")]
    Repair(Digest),
}

impl Record {
    /// Reads the record of a bundle; `None` for a layout that is none.
    ///
    /// # Errors
    ///
    /// The layout cannot be read, or what it has is no record that can be believed.
    pub fn read(layout: &dyn Layout) -> Result<Option<Self>, OpenError> {
        let found = layout.extra_file(RECORD, MAX_RECORD)?;
        Ok(found.map(|bytes| Self::parse(&bytes)).transpose()?)
    }
}
