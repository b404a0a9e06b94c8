#![doc = include_str!("../README.md")]
//!
//! # Design
//!
//! A client of the [OCI distribution spec][spec] (rows E-*): registries as places.
//!
//! - [`Client`] holds what all registries share: connections, tokens, the pace of each host. It is
//!   made of a [`Config`], cheap to clone, and blocking to its callers.
//! - [`Registry`] is one registry, a [`SourcePlace`] and a [`TargetPlace`]; [`RemoteRepository`] one
//!   repository of it.
//! - [`credentials`] reads and writes what `docker login` and its likes keep.
//!
//! Only the module `http` sends requests. It has a small asynchronous runtime of its own, and no
//! asynchronous type leaves it. Nothing here reads the environment: all settings come in the [`Config`].
//! Passwords and tokens are [`Secret`]s, which cannot be printed.
//!
//! [spec]: https://github.com/opencontainers/distribution-spec
//! [`SourcePlace`]: longshore_store::SourcePlace
//! [`TargetPlace`]: longshore_store::TargetPlace

mod auth;
mod catalog;
mod config;
pub mod credentials;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod list;
mod manifest_cache;
mod registry;
mod repository;
mod secret;
mod text;
mod url;

pub use catalog::{InvalidRepository, RegistryCatalog};
pub use config::{
    Certificates, Config, ForeignUrls, Limits, Mirror, PlainHttp, Proxies, PushMode, WarningHandler,
};
pub use registry::{Client, CredentialCheck, Registry};
pub use repository::RemoteRepository;
pub use secret::Secret;
