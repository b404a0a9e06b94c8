#![doc = include_str!("../README.md")]
//!
//! # Design
//!
//! [`Places`] opens what is written as people write it: `oci:DIR:REF`, `oci-archive:FILE:REF`, a plain path, or a
//! reference such as `HOST/REPO:TAG`; [`location`] has this grammar. [`copy()`] takes one artifact from one place to another, [`export()`] makes a bundle, and
//! [`ExportRequest`], [`ImportRequest`], [`VerifyRequest`] and [`LockRequest`] do what is done with bundles.
//! Everything else is in the crates below, each under a name of its own here.
//!
//! Nothing here reads the environment: credentials, proxies and certificates come in [`remote::Config`].

mod copy;
mod export;
pub mod location;
mod open;
mod places;

/// How much is done at once, if nobody says otherwise: jobs mostly wait for a disk or a network.
const JOBS: usize = 8;

pub use longshore_bundle as bundle;
pub use longshore_layout as layout;
pub use longshore_registry as registry;
pub use longshore_remote as remote;
pub use longshore_spec as spec;
pub use longshore_store as store;
pub use longshore_sync as sync;

pub use longshore_bundle::{
    Base, Bundle, BundleFile, BundleFiles, DockerList, ExportRequest, ExportTarget, Import,
    ImportRequest, ImportTarget, Incomplete, Lock, LockRequest, Mapping, MirrorRequest,
    MirrorRoutes, MissingContent, OpenBundle, Record, Routes, SelectedPlaces, Selection,
    SparseIndex, TargetKind, VerifyRequest,
};
pub use longshore_store::{Error, Result};
pub use longshore_sync::{Filter, Observer, Report, Silent};

pub use copy::{CopyOptions, copy};
pub use export::{ExportFailure, ExportOptions, Exported, export};
pub use open::{Destination, OpenPlace};
pub use places::{OpenLayouts, OpenSource, OpenTarget, PlaceError, Places};
