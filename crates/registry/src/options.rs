//! The options of a handler.

use std::time::Duration;

/// The options of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Whether content may be pushed and deleted.
    pub access: Access,
    /// What happens to a manifest that refers to absent content.
    pub missing: Missing,
    /// An upload that nobody touches for this long is dropped.
    pub upload_idle: Duration,
    /// The most open uploads. Each may hold a file.
    pub max_uploads: usize,
    /// The largest blob, in bytes.
    pub max_blob: u64,
    /// How clients reach the registry, for the commands on the page.
    pub scheme: Scheme,
}

/// Whether content may be pushed and deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Content can only be pulled.
    ReadOnly,
    /// Content can be pulled, pushed and deleted.
    ReadWrite,
}

/// What happens to a manifest that refers to absent content (row F-25). Subjects and nondistributable
/// layers may always be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is refused.
    Refuse,
    /// It is accepted: the repository is sparse.
    Accept,
}

impl Default for RegistryOptions {
    /// Read-only and strict.
    fn default() -> Self {
        Self {
            access: Access::ReadOnly,
            missing: Missing::Refuse,
            upload_idle: Duration::from_hours(1),
            max_uploads: 1 << 10,
            max_blob: 1 << 40,
            scheme: Scheme::Http,
        }
    }
}

/// How clients reach a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS. Many clients need an option for this.
    Http,
    /// With TLS.
    Https,
}
