//! Writing a planned archive to a pipe.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use longshore_spec::{Descriptor, RepositoryName};
use longshore_store::{
    Atomicity, Blob, Error, Held, Order, Outline, Pushed, Result, Target, TargetPlace,
};

use super::tar_layout::{self, END, TarLayout};
use super::target::{ArchiveTarget, Sink};
use super::{INCOMPLETE, unannounced};
use crate::files;

/// The name of the archive in errors.
const LABEL: &str = "standard output";

/// An archive that is written to a pipe, with the same bytes as [`super::ArchiveWriter`] writes to a
/// file.
///
/// A pipe cannot be rewound: after a failure the end of the archive is missing, and readers notice that.
pub struct ArchiveStream {
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    layout: Option<TarLayout>,
    /// The number of the next slot; `None` after a member was cut off.
    next: Option<usize>,
}

impl ArchiveStream {
    /// Returns an archive that is written to `out`.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { state: Mutex::new(State { out, layout: None, next: Some(0) }) }
    }

    /// Returns the archive as one repository, whose names are those of the entries.
    pub fn whole(&self) -> ArchiveTarget<'_> {
        ArchiveTarget(self)
    }
}

impl TargetPlace for ArchiveStream {
    fn target(&self, _: &RepositoryName) -> Result<Box<dyn Target + '_>> {
        Ok(Box::new(self.whole()))
    }

    fn prepare(&self, outline: &Outline) -> Result<Option<u64>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let layout = TarLayout::new(outline)?;
        for piece in layout.head.pieces() {
            state.out.write_all(piece).map_err(failed())?;
        }
        state.layout = Some(layout);
        Ok(None)
    }

    fn atomicity(&self) -> Atomicity {
        Atomicity::AllOrNothing
    }

    fn order(&self) -> Order {
        Order::Sequence
    }

    /// Writes the end of the archive. Fails if content is missing.
    fn commit(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let all =
            state.layout.as_ref().is_some_and(|layout| Some(layout.slots.len()) == state.next);
        if !all {
            return Err(unannounced(LABEL.to_owned(), INCOMPLETE));
        }
        state.out.write_all(&END).and_then(|()| state.out.flush()).map_err(failed())
    }

    /// Writes no end, so that readers see that the archive was cut off.
    fn commit_partial(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.out.flush().map_err(failed())
    }
}

impl Sink for ArchiveStream {
    fn held(&self, _: &Descriptor) -> Result<Held> {
        Ok(Held::Nothing)
    }

    /// Writes `blob`, which must be the next in the order of the outline.
    fn push(&self, blob: &dyn Blob) -> Result<Pushed> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { out, layout, next } = &mut *state;
        let Descriptor { digest, size, .. } = blob.descriptor();
        let slot = layout.as_ref().and_then(|layout| layout.slot(digest));
        let Some((number, slot)) =
            slot.filter(|(number, slot)| Some(*number as usize) == *next && slot.size == *size)
        else {
            let what = format!("takes content in one order only, and {digest} is not next");
            return Err(unannounced(LABEL.to_owned(), what));
        };
        let reader = blob.open(None)?;
        // If something fails from here on, half a member is in the pipe.
        *next = None;
        out.write_all(&tar_layout::blob_header(digest, *size)).map_err(failed())?;
        files::each_piece(reader, *size, Error::io("read", digest), |piece| {
            out.write_all(piece).map_err(failed())
        })?;
        out.write_all(slot.padding()).map_err(failed())?;
        *next = Some(number as usize + 1);
        Ok(Pushed::Written(*size))
    }
}

impl fmt::Debug for ArchiveStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArchiveStream")
    }
}

fn failed() -> impl FnOnce(std::io::Error) -> Error {
    Error::io("write", LABEL)
}
