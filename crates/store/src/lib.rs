#![doc = include_str!("../README.md")]
//!
//! # Design
//!
//! What every place that holds OCI content can do.
//!
//! A *place* is a registry, a layout directory, a layout archive or memory. Each implements the
//! same few traits, so that a copy is written once and knows none of them:
//!
//! - [`Place`]: holds repositories; is told what comes ([`Outline`]) and when all has come.
//! - [`Source`]: one repository, read. [`Target`]: one repository, written. [`Repository`]: both.
//! - [`Blob`]: what a target is given; it may be opened again, from any byte.
//! - [`Verifying`]: the only way that bytes reach a target. It hands out the last byte only after
//!   size and digest are right.
//!
//! [`Error`] says what happened, in the same words for every place. The caller, which knows both sides of a
//! copy, adds where it happened. [`walk`] is the one walk over a graph of manifests.

pub mod about;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod memory;
mod name;
mod outline;
mod place;
mod union;
mod verify;
mod walk;

pub use error::{ConnectionFailure, Error, ErrorCode, Flaw, Inability, Refusal, Result, Subject};
pub use memory::Memory;
pub use name::{Name, Selector};
pub use outline::{ExtraFile, Outline, OutlineNode, Root};
pub use place::{
    AnsweredBy, Blob, Entry, Held, KnownRoots, Location, Order, Place, Pushed, Referrers,
    Repository, Source, Target, Upload, manifest_from, read_manifest,
};
pub use union::{Clash, Union};
pub use verify::{Reader, Verifying};
pub use walk::{MAX_DEPTH, TooDeep, in_parallel, walk};
