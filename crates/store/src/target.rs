//! What is written: one repository, and a place of them.

use std::fmt::Debug;
use std::num::NonZeroUsize;

use longshore_spec::{Descriptor, Digest, Hasher, Manifest, RepositoryName, Role};

use crate::{MountSource, Name, Outline, Result, Verifying};

/// A place that is written: a registry, a layout directory, an archive that is being made, memory.
pub trait TargetPlace: Debug + Send + Sync {
    /// Returns a repository of the place, which exists once something is pushed to it.
    fn target(&self, name: &RepositoryName) -> Result<Box<dyn Target + '_>>;

    /// Takes note of all that will come, before the first byte does. A place may refuse here, for
    /// example because it has no room; nothing has changed then. Returns how many bytes of it are there
    /// already, if the place knows that at once and not by a request for each piece.
    fn prepare(&self, outline: &Outline) -> Result<Option<u64>> {
        let _ = outline;
        Ok(None)
    }

    /// Returns in which order the place wants to be given what comes.
    fn order(&self) -> Order {
        Order::LargestFirst
    }

    /// Returns how many threads may write what is in memory, where `jobs` threads transfer content. More
    /// than these help a place that waits for a disk with each piece, and can wait for many at once.
    fn writers(&self, jobs: usize) -> usize {
        jobs
    }

    /// Returns what a root that fails means for the others.
    fn atomicity(&self) -> Atomicity {
        Atomicity::EachRoot
    }

    /// Makes everything that was pushed visible and durable; called once, at the end, when all of the
    /// outline has come. A server has no end, and calls it before it says that a change is made. Fails
    /// if not all has come.
    fn commit(&self) -> Result<()> {
        Ok(())
    }

    /// Ends the work before all of the outline has come: makes what was pushed durable, and visible as far
    /// as that may be. A place of [`Atomicity::AllOrNothing`], such as an archive, stays invisible, and
    /// keeps what it has for the next run.
    fn commit_partial(&self) -> Result<()> {
        Ok(())
    }
}

/// In which order a place wants to be given what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The largest first, small ones alongside: the last worker is done soon after the first.
    LargestFirst,
    /// As in the outline, several at a time.
    Outline,
    /// As in the outline, one at a time: a pipe. Manifests come before what they refer to.
    Sequence,
}

/// What becomes visible together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Atomicity {
    /// Each root by itself, when its closure is there.
    EachRoot,
    /// All roots at once, as in an archive: one that fails takes all others with it.
    AllOrNothing,
}

/// One repository, written.
pub trait Target: Debug + Send + Sync {
    /// Tells how much of some content is here already. `Whole` means: under its final name and of
    /// the right size; since names appear only after verification, it is not hashed again.
    fn held(&self, descriptor: &Descriptor, role: Role) -> Result<Held>;

    /// Tells whether a manifest is listed here under all of these names; without any, whether it is
    /// listed at all. What it refers to was here when it was named. A place that keeps no such
    /// account says no.
    fn lists(&self, manifest: &Descriptor, names: &[Name]) -> Result<bool> {
        let _ = (manifest, names);
        Ok(false)
    }

    /// Returns what a name stands for here that is given to something else with the next push: `None`
    /// for one that nothing has. A place that keeps no such account says `None`.
    fn stands_for(&self, name: &Name) -> Result<Option<Digest>> {
        let _ = name;
        Ok(None)
    }

    /// Returns how many names of a manifest one request gives here, if each takes requests of its own:
    /// several are worth being asked for at once then. `None` if all names of an entry are one change.
    fn names_at_once(&self, manifest: &Manifest) -> Option<NonZeroUsize> {
        let _ = manifest;
        None
    }

    /// Returns where this repository lies, if other targets of the same place can take over from it
    /// what it has taken in, without its bytes being moved (row E-60).
    fn offers(&self) -> Option<MountSource> {
        None
    }

    /// Takes in a blob, whole or not at all. May open it again, from any byte.
    fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed>;

    /// Takes in a manifest, byte for byte. All that it refers to has come before, unless the place
    /// asked for [`Order::Sequence`].
    fn push_manifest(&self, manifest: &Manifest, entry: Entry<'_>) -> Result<Pushed>;

    /// Lists content that is no manifest but was found listed in its source (row A-15), under these
    /// names; its bytes have come as a blob. Fails with [`Error::Unsupported`](crate::Error::Unsupported)
    /// where only manifests can be listed.
    fn list(&self, descriptor: &Descriptor, names: &[Name]) -> Result<()>;
}

/// How much of some content a place holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// None of it.
    Nothing,
    /// The first so many bytes, left by an earlier run; not proven yet.
    Prefix(u64),
    /// All of it.
    Whole,
}

/// What became of something that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It was there already.
    Existed,
    /// It was taken over from another repository of the same registry; no byte was moved.
    Mounted,
    /// It was written; so many bytes were read from the source for it.
    Written(u64),
}

/// What a manifest is to the list of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    /// It is reached through another manifest.
    Child,
    /// It is listed on its own account, under these names; without any, by its digest.
    Root(&'a [Name]),
}

/// What a target is given: content that it may open, more than once and from any byte.
pub trait Blob: Send + Sync {
    /// Returns what the content is.
    fn descriptor(&self) -> &Descriptor;

    /// Returns the repository that the content lies in, if that lets a target take it over.
    fn location(&self) -> Option<MountSource> {
        None
    }

    /// Opens the content after the bytes that `prefix` has seen, or from its first byte.
    fn open(&self, prefix: Option<Hasher>) -> Result<Verifying<'_>>;
}
