#![doc = include_str!("../README.md")]
//!
//! # Design
//!
//! The OCI image layout as a directory and as an archive (image-spec `image-layout.md`, rows A-*).
//!
//! - [`Directory`] is read and written in place, by several processes at once.
//! - [`Archive`] reads a tar without unpacking it. A compressed archive is unpacked once.
//! - [`ArchiveWriter`] fills a planned tar in parallel and continues after a kill. [`ArchiveStream`] writes the
//!   same bytes to a pipe. [`StreamedArchive`] reads an archive from a pipe into a directory.
//!
//! A layout is one list of names. [`Directory::whole`] and the like return the whole list as one repository,
//! [`SourcePlace::source`] the part of one repository.
//!
//! Readers accept what layouts in use contain; writers are strict. Only this crate builds paths in layouts, and
//! only its module `persist` gives a file its final name.
//!
//! [`SourcePlace::source`]: longshore_store::SourcePlace::source

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests may write files directly"))]

mod archive;
mod backend;
mod dir;
mod directory;
mod files;
mod index;
mod layout;
mod listing;
mod lock;
mod lookup;
mod manifest_blob;
mod membership;
mod names;
mod own_file;
mod part_store;
mod persist;
mod resume;
mod union;
mod view;

pub use archive::{
    Archive, ArchiveOptions, ArchiveSeries, ArchiveStream, ArchiveTarget, ArchiveWriter,
    FileLookup, Inventory, Listed, StreamObserver, StreamOptions, StreamedArchive,
};
pub use dir::{Links, open_file};
pub use directory::{Directory, GcMode, GcReport};
pub use index::IndexJson;
pub use layout::{Layout, StreamStats};
pub use own_file::{LockedFile, OwnFile};
pub use part_store::PartStore;
pub use persist::{check_writable, write_file};
pub use union::{CutBlob, LayoutUnion};
pub use view::View;
