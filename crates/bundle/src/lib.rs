#![doc = include_str!("../README.md")]
//!
//! # Design
//!
//! A [`Selection`] says which artifacts to export. People write it as `bundle.yaml`
//! ([`Selection::from_yaml`]) or as a list with one reference a line ([`Selection::from_list`]).
//! [`Selection::parse`] tells them apart, and reads the files of some other tools.
//! [`TagRules`] choose among the tags of a repository. [`find_images`] finds the images that
//! Kubernetes manifests name.
//!
//! Artifacts come from registries, or from layouts ([`LayoutPlace`]) in which they have full references;
//! [`Selection::pick`] returns those references. Three files are written: a [`Lock`] (`bundle.lock`) pins a
//! selection to digests, a [`Record`] (`bundle.json`) lists what a bundle holds and why, and a
//! [`DockerManifest`] (`manifest.json`) lets Docker read the bundle. [`SCHEMA`] is the JSON Schema of
//! `bundle.yaml`; the feature `schema` derives the schemas of lock and record.
//!
//! # Operations
//!
//! [`LockRequest`], [`ExportRequest`], [`VerifyRequest`] and [`ImportRequest`] lock, write, verify and import
//! a bundle. Preparing a request returns a value that says what would happen; running that value does it.
//! The caller opens the places, through an [`Opener`]. An [`Observer`](longshore_sync::Observer) is told of
//! progress, and may cancel.
//!
//! Bundles of a name have numbers ([`Sequence`]). An [`ImportState`] keeps what they brought to a place, and a
//! [`PruneRequest`] takes away what a bundle no longer wants.
//!
//! ```
//! use longshore_bundle::{
//!     DockerList, ExportRequest, ExportTarget, Incomplete, LayoutPlace, Opener, SelectedPlaces,
//!     Selection,
//! };
//! use longshore_layout::{ArchiveWriter, Directory};
//! use longshore_store::{Error, Result, Source};
//! use longshore_sync::Silent;
//!
//! /// Takes everything from one directory, whatever registry it is called after.
//! struct Mirror<'d>(&'d Directory);
//!
//! impl<'d> Opener<'d> for Mirror<'d> {
//!     type Error = Error;
//!
//!     fn repository(&self, _: &longshore_spec::Reference) -> Result<Box<dyn Source + 'd>> {
//!         Ok(Box::new(self.0.whole()))
//!     }
//!
//!     fn layout(&self, _: &LayoutPlace) -> Result<Box<dyn Source + 'd>> {
//!         Ok(Box::new(self.0.whole()))
//!     }
//! }
//!
//! # let temporary = tempfile::tempdir()?;
//! # let (from, to) = (temporary.path().join("from"), temporary.path().join("site.tar"));
//! # let mut content = longshore_fixture::Content::new();
//! # let image = longshore_fixture::artifacts::image(&mut content, 1);
//! # content.tag(&image, "v1");
//! # content.write_directory(&from)?;
//! let near = Directory::open(&from)?;
//! let selection = Selection::from_list("list.txt", "registry.example/app:v1")?;
//! let places = SelectedPlaces::open(&selection, &Mirror(&near))?;
//! let archive = ArchiveWriter::new(&to)?;
//! let request = ExportRequest {
//!     places: &places,
//!     locked: None,
//!     target: Some(ExportTarget { place: &archive, whole: &archive.whole() }),
//!     base: None,
//!     sequence: None,
//!     only: None,
//!     docker: DockerList::None,
//!     incomplete: Incomplete::Refused,
//!     allow_unverified: false,
//!     jobs: 8,
//! };
//! let mut bundle = request.prepare(&Silent)?;
//! println!("{} takes {} bytes", bundle.record().id(), bundle.plan().size().bytes);
//! assert!(bundle.write(&Silent)?.is_complete());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests may write files directly"))]

mod bundle_files;
mod config_error;
mod delta;
mod docker;
mod formats;
mod layout_place;
mod lock;
mod mapping;
mod missing_content;
mod operations;
mod pick;
mod platforms;
mod receipt;
mod record;
mod schedule;
mod selected_places;
mod selection;
mod series;
mod served_delta;
mod snapshot;
mod state;
mod tags;
mod volumes;

pub use bundle_files::{
    ApartReason, BundleFile, BundleFiles, BundleFilesError, OpenVolumes, is_volume,
};
pub use config_error::ConfigError;
pub use delta::{Base, Delta};
pub use docker::{
    DOCKER_MANIFEST, DockerManifest, DockerManifestError, MAX_DOCKER_MANIFEST, NotForDocker,
    Obstacle, RecordedDockerManifest,
};
pub use formats::{
    EXAMPLE, Found, FoundImage, MIRROR_EXAMPLE, MirrorFile, Parsed, SCHEMA, UnrecognisedImage,
    find_images, mirror_schema,
};
pub use layout_place::{LayoutKind, LayoutPlace, ReadLayout};
pub use lock::{
    Change, FORMAT_VERSION as LOCK_FORMAT_VERSION, Lock, LockError, Locked, LockedReferrer,
    Outdated,
};
pub use mapping::{Mapping, NameConflict, Rule};
pub use missing_content::{
    MAX_MISSING_CONTENT, MISSING_CONTENT_VERSION, MissingContent, MissingContentError, lost_content,
};
pub use operations::compare::{ArchiveComparison, BundleDifference};
pub use operations::diff::SnapshotRequest;
pub use operations::export::volumes::{Volume, VolumeBundle, VolumeRefusal, VolumeTarget};
pub use operations::export::{
    Bundle, DockerList, ExportError, ExportRequest, ExportTarget, Incomplete, WriteError,
};
pub use operations::import::{
    BaseGap, Import, ImportRefusal, ImportRequest, ImportTarget, Move, MoveError, OpenBundle,
    Routes, StreamGuard, TargetChanges, TargetKind,
};
pub use operations::lock::{Gone, LockProposal, LockRefusal, LockRequest, Resolved};
pub use operations::mirror::{MirrorError, MirrorPass, MirrorRequest, MirrorRoutes};
pub use operations::prune::{
    BroughtName, KeptBecause, KeptName, OpenRepository, Percent, PercentError, Prune, PruneReport,
    PruneRequest, PruneTarget,
};
pub use operations::receipt::{
    Holdings, ReceiptPlace, ReceiptRequest, SelectedRepositories, repositories_below,
};
pub use operations::verify::volumes::{VerifiedVolumes, VolumeFault};
pub use operations::verify::{Verification, Verified, VerifyRequest};
pub use pick::{Picked, ReferenceLookup};
pub use platforms::{Gap, LackingPlatform, UndecidedIndex};
pub use receipt::{
    MAX_RECEIPT, RECEIPT_VERSION, Receipt, ReceiptError, ReceiptManifest, ReceiptRepository,
    SiteName, SiteNameError,
};
pub use record::{
    Difference, FORMAT_VERSION, INVENTORY, LeftBehind, MAX_RECORD, MAX_VOLUME_FILE, MAX_VOLUMES,
    OpenError, RECORD, Record, RecordError, RecordedBase, RecordedBlob, RecordedPart,
    RecordedReferrer, RecordedRoot, RecordedSelection, VOLUME, VolumeFile, Why,
};
pub use schedule::Schedule;
pub use selected_places::{Opener, SelectedPlaces, only_root};
pub use selection::{Choice, ChoiceSet, Explicit, Item, Selection, SparseIndex};
pub use series::{BundleName, BundleNameError, Sequence, SequenceError};
pub use served_delta::ServedDelta;
pub use snapshot::{Amount, Contents, NameDifference, Snapshot, SnapshotDifference};
pub use state::{
    Brought, Delivery, DeliveryKey, ImportState, MAX_STATE, OlderBundle, STATE, STATE_VERSION,
    StateError,
};
pub use tags::{NoSuchTags, TagRules};
pub use volumes::{FAT32, LEAST_ROOM, VolumeSizes, volume_path, volumes_there};
