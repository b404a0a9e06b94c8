#![doc = include_str!("../README.md")]
//!
//! # Design
//!
//! OCI nouns as values: parse, print, compare.
//!
//! Nothing here touches a file, a socket or a clock. The types carry what the
//! [image specification][image] and the [distribution specification][dist] say about digests,
//! descriptors, platforms, references and manifests, plus the table of artifact types that are
//! known by name.
//!
//! Two rules shape the crate:
//!
//! - **Bytes are identity.** A [`Manifest`] keeps the exact bytes it was parsed from; everything
//!   else is a view of them. Nothing here re-serialises a manifest that it did not author.
//! - **Reading is lenient, naming is strict.** A document with unknown members, `null` lists or a
//!   missing `mediaType` is read; a digest, tag or repository name outside its grammar is not.
//!
//! [image]: https://github.com/opencontainers/image-spec
//! [dist]: https://github.com/opencontainers/distribution-spec

mod annotations;
pub mod artifact_type;
mod descriptor;
mod digest;
mod manifest;
mod media_type;
mod platform;
mod read;
mod reference;
#[cfg(feature = "schema")]
mod schema;
mod size;
mod text;

pub use annotations::{Annotations, keys};
pub use artifact_type::{ArtifactType, Family, TypeFilter, TypeFilterError};
pub use descriptor::{Descriptor, EmbeddedDataError, More};
pub use digest::{Digest, DigestError, Hasher};
pub use manifest::{Artifact, Image, Index, Kind, Manifest, ManifestContent, ManifestError, Role};
pub use media_type::MediaType;
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError, RepositoryName, Tag, host_as_path};
pub use size::Size;
pub use text::{is_printable, printable, printable_line};
