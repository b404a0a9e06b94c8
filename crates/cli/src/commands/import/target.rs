//! Where a bundle goes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_bundle::{Mapping, TargetKind};
use longshore_layout::Directory;
use longshore_remote::Registry;

use crate::args::{Import, ImportDestination};
use crate::problem::{Exit, Problem};
use crate::registries::Registries;
use crate::store;

/// Where a bundle goes.
pub(in crate::commands) enum Target {
    Registry(Registry),
    Layout(Arc<Directory>, PathBuf),
}

/// Returns what artifacts are called where they go.
pub(super) fn mapping(args: &Import) -> Mapping {
    let elsewhere = match &args.target {
        Some(ImportDestination::Registry { prefix, .. }) => Some(prefix.clone()),
        Some(ImportDestination::Layout(_)) | None => None,
    };
    Mapping::new(args.map.clone(), elsewhere).under(args.prefix.clone())
}

/// Returns what names are like where they go.
pub(super) fn kind(args: &Import) -> TargetKind {
    match &args.target {
        Some(ImportDestination::Registry { .. }) => TargetKind::Registry,
        Some(ImportDestination::Layout(_)) | None => TargetKind::Layout,
    }
}

impl Target {
    /// Opens what is named, or the store.
    pub(in crate::commands) fn open(
        named: Option<&ImportDestination>,
        registries: &Registries<'_>,
    ) -> Result<Self, Problem> {
        let path = match named {
            None => store::path().ok_or_else(|| {
                let text =
                    "there is no place to import to, and no home directory to keep a store in";
                Problem::new(Exit::Usage, text)
                    .hint(format!("write HOST[/PREFIX] or `oci:DIR`, or set {}", store::VARIABLE))
            })?,
            Some(ImportDestination::Layout(path)) => path.clone(),
            Some(ImportDestination::Registry { host, .. }) => {
                let registry = registries.registry(host)?;
                // Told once, and not for every blob.
                registry.ping().map_err(Problem::of)?;
                return Ok(Self::Registry(registry));
            }
        };
        // Nothing is created before something is written.
        let directory = Directory::create(&path).map_err(Problem::of)?;
        Ok(Self::Layout(Arc::new(directory), path))
    }

    /// Returns a directory on the disk that a layout is on, or will be.
    pub(super) fn disk(&self) -> Option<PathBuf> {
        match self {
            Self::Registry(..) => None,
            Self::Layout(_, path) => {
                let absolute = std::path::absolute(path).ok()?;
                absolute.ancestors().find(|path| path.is_dir()).map(Path::to_owned)
            }
        }
    }
}
