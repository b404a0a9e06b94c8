//! What a user can be told while a plan is made and carried out.

use longshore_spec::Digest;
use longshore_store::Name;

use crate::Failure;

/// Is told what happens, and may end it. Called by several threads at once; should return soon.
pub trait Observer: Sync {
    /// Tells whether the work is to end: nothing new is begun then, what moves is broken off with
    /// [`Error::Cancelled`](longshore_store::Error::Cancelled), and what has come is kept for the next run.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// The work begins, and so many bytes of content are there already. Not called if the amount is
    /// unknown at the start; then `finished` is called with `Existed` for each piece.
    fn resumed(&self, there: u64) {
        let _ = there;
    }

    /// Content begins to move. `name`: one of the artifacts that contain it.
    fn began(&self, name: Option<&Name>, digest: &Digest, size: u64) {
        let _ = (name, digest, size);
    }

    /// So many bytes of content have come from a source.
    fn advanced(&self, bytes: u64) {
        let _ = bytes;
    }

    /// The content of a digest is there.
    fn finished(&self, digest: &Digest, size: u64, arrival: Arrival) {
        let _ = (digest, size, arrival);
    }

    /// A root is there, with all that it refers to.
    fn named(&self, names: &[Name], digest: &Digest) {
        let _ = (names, digest);
    }

    /// Something went wrong; the rest goes on.
    fn failed(&self, failure: &Failure) {
        let _ = failure;
    }
}

/// How content came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Its bytes were moved, or checked.
    Moved,
    /// It was there before, or the target took it over from another of its repositories.
    Existed,
}

/// An observer that ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}
