#![doc = include_str!("../README.md")]
//!
//! # Design
//!
//! What every place that holds OCI content can do.
//!
//! A *place* is a registry, a layout directory, a layout archive or memory. Each implements those of
//! the same few traits that it can, so that a copy is written once and knows none of them:
//!
//! | | one repository | a place of them | who |
//! |---|---|---|---|
//! | read | [`Source`] | [`SourcePlace`] | every place but an archive that is being written |
//! | written | [`Target`] | [`TargetPlace`] | every place but an archive that is read |
//! | both, and administered | [`Repository`] | [`Place`] | directories, memory, [`Union`] |
//!
//! A remote registry is a [`SourcePlace`] and a [`TargetPlace`], and its repositories are
//! [`Repository`]: uploads of others are not its business.
//!
//! A [`TargetPlace`] is told what comes ([`Outline`]) and when all has come.
//!
//! - [`Blob`]: what a target is given; it may be opened again, from any byte.
//! - [`Verifying`]: the only way that bytes reach a target. It hands out the last byte only after
//!   size and digest are right.
//!
//! [`Error`] says what happened, in the same words for every place. The caller, which knows both sides of a
//! copy, adds where it happened. [`walk`] is the one walk over a graph of manifests.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod describe;
mod error;
mod memory;
mod name;
mod outline;
mod place;
mod source;
mod target;
mod union;
mod verify;
mod walk;

pub use error::{ConnectionFailure, Error, ErrorCode, Flaw, Inability, Refusal, Result, Subject};
pub use memory::Memory;
pub use name::{Name, Selector};
pub use outline::{ExtraFile, Outline, OutlineNode, OutlinePart, Root};
pub use place::{Place, Repository, Upload};
pub use source::{
    AnsweredBy, KnownRoots, MountSource, Referrers, Source, SourcePlace, manifest_from,
    read_manifest,
};
pub use target::{Atomicity, Blob, Entry, Held, Order, Pushed, Target, TargetPlace};
pub use union::{Clash, Union};
pub use verify::{Reader, Verifying};
pub use walk::{MAX_DEPTH, TooDeep, in_parallel, walk};
