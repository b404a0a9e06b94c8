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

    /// The work begins, and so many bytes of content are there already. Nobody says so where that is not
    /// known at once; then each piece that is there is told as it is met.
    fn resumed(&self, there: u64) {
        let _ = there;
    }

    /// Content begins to move: of the artifact that is called `name`, or one of several that have it.
    fn began(&self, name: Option<&Name>, digest: &Digest, size: u64) {
        let _ = (name, digest, size);
    }

    /// So many bytes of content have come from a source.
    fn advanced(&self, bytes: u64) {
        let _ = bytes;
    }

    /// The content of a digest has moved, and is there.
    fn finished(&self, digest: &Digest, size: u64) {
        let _ = (digest, size);
    }

    /// The content of a digest is there, and no byte was moved for it.
    fn existed(&self, digest: &Digest, size: u64) {
        let _ = (digest, size);
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

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}
