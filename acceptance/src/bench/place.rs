//! Where artifacts lie.

use std::path::PathBuf;

/// One artifact somewhere.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Registry { host: String, repository: String, tag: String },
    Directory { path: PathBuf, tag: String },
    Archive { path: PathBuf, tag: String },
}

impl Place {
    pub(super) fn registry(host: &str, repository: &str, tag: &str) -> Self {
        Self::Registry { host: host.into(), repository: repository.into(), tag: tag.into() }
    }

    /// Returns the place as most programs write it: with a prefix where it is not a registry.
    pub(super) fn prefixed(&self, registry: &str, directory: &str, archive: &str) -> String {
        match self {
            Self::Registry { host, repository, tag } => {
                format!("{registry}{host}/{repository}:{tag}")
            }
            Self::Directory { path, tag } => format!("{directory}{}:{tag}", path.display()),
            Self::Archive { path, tag } => format!("{archive}{}:{tag}", path.display()),
        }
    }

    /// Returns the host, if this is in a registry.
    pub(super) fn host(&self) -> Option<&str> {
        match self {
            Self::Registry { host, .. } => Some(host),
            _ => None,
        }
    }
}
