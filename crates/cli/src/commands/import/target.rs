//! Where a bundle goes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore::location::{Location, PlaceKind};
use longshore_bundle::{Mapping, TargetKind};
use longshore_layout::Directory;
use longshore_remote::Registry;
use longshore_spec::{Reference, ReferenceError};

use crate::args::Import;
use crate::problem::{Exit, Mistake, Problem};
use crate::registries::Registries;
use crate::store;

/// Where a bundle goes.
pub(super) enum Target {
    Registry(Registry),
    Layout(Arc<Directory>, PathBuf),
}

/// Returns what artifacts are called where they go.
pub(super) fn mapping(args: &Import) -> Mapping {
    let elsewhere = match &args.target {
        Some(Destination::Registry { prefix, .. }) => Some(prefix.clone()),
        Some(Destination::Layout(_)) | None => None,
    };
    Mapping::new(args.map.clone(), elsewhere).under(args.prefix.clone())
}

/// Returns what names are like where they go.
pub(super) fn kind(args: &Import) -> TargetKind {
    match &args.target {
        Some(Destination::Registry { .. }) => TargetKind::Registry,
        Some(Destination::Layout(_)) | None => TargetKind::Layout,
    }
}

impl Target {
    /// Opens what is named, or the store.
    pub(super) fn open(args: &Import, registries: &Registries<'_>) -> Result<Self, Problem> {
        let path = match &args.target {
            None => store::path().ok_or_else(|| {
                let text =
                    "there is no place to import to, and no home directory to keep a store in";
                Problem::new(Exit::Usage, text)
                    .hint(format!("write HOST[/PREFIX] or `oci:DIR`, or set {}", store::VARIABLE))
            })?,
            Some(Destination::Layout(path)) => path.clone(),
            Some(Destination::Registry { host, .. }) => {
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

/// Where a bundle goes, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    Registry {
        host: String,
        /// Host, and what stands before every path there.
        prefix: String,
    },
    Layout(PathBuf),
}

impl std::str::FromStr for Destination {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let location: Option<Location> = text.parse().ok();
        let is_layout = location.is_some_and(|location| location.path().is_some());
        if is_layout || text.starts_with("oci:") || text.starts_with("oci-archive:") {
            let location: Location = text.parse()?;
            return match (location.place, location.selector) {
                (PlaceKind::Directory(path), None) => Ok(Self::Layout(path)),
                (PlaceKind::Directory(_), Some(_)) => Err(Mistake::new(
                    format!("`{text}` names an artifact, but a bundle keeps its names"),
                    "write `oci:DIR`",
                )),
                _ => Err(Mistake::new(
                    format!("`{text}` cannot be imported to"),
                    "`longshore copy --all` makes an archive of another",
                )),
            };
        }
        let (host, prefix) = registry_prefix(text, "imported to")?;
        Ok(Self::Registry { host, prefix })
    }
}

/// Reads a registry, or the beginning of names in it: returns its host, and that with what stands before
/// every path. `verb` says in errors what it cannot be.
pub(crate) fn registry_prefix(text: &str, verb: &str) -> Result<(String, String), Mistake> {
    const BELOW: &str = "/x";
    let prefix = text.strip_prefix("docker://").unwrap_or(text).trim_end_matches('/');
    // Whatever stands behind it has to make a reference of it.
    let reference: Reference = format!("{prefix}{BELOW}").parse().map_err(|error| {
        let error: ReferenceError = error;
        let instead = error.instead().filter(|instead| instead.parse::<Reference>().is_ok());
        match instead.and_then(|instead| instead.strip_suffix(BELOW)) {
            Some(instead) => Mistake::new(
                format!("`{text}` cannot be {verb}: {}", error.reason()),
                format!("write `{instead}`"),
            ),
            None => Mistake::new(
                format!("`{text}` is not a registry"),
                "write `HOST`, `HOST/PREFIX`, or `oci:DIR` for a layout",
            ),
        }
    })?;
    let host = reference.registry().to_owned();
    // What is in upper case in the host is the same host.
    let prefix = format!("{host}{}", prefix.get(host.len()..).unwrap_or_default());
    Ok((host, prefix))
}
