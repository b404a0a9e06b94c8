//! What a handler allows, and how much of it.

use std::time::Duration;

/// What a registry allows, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Whether content may be pushed and deleted.
    pub access: Access,
    /// What becomes of a manifest that refers to content that is not there.
    pub missing: Missing,
    /// An upload that nobody touches for so long is forgotten.
    pub upload_idle: Duration,
    /// So many uploads may be open at once; each may hold a file.
    pub max_uploads: usize,
    /// A blob of more bytes than this is refused.
    pub max_blob: u64,
    /// How clients reach the registry, as far as it is for people to know.
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

/// What becomes of a manifest that refers to content that is not there (row F-25). Subjects and
/// layers that are not to be distributed may always be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is refused.
    Refuse,
    /// It is taken: a sparse repository.
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
    /// Without TLS. Many clients have to be told.
    Http,
    /// With TLS.
    Https,
}
