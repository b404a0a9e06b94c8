#![doc = include_str!("../README.md")]
//!
//! # Design
//!
//! A client of the [OCI distribution spec][spec] (rows E-*).
//!
//! - [`Client`] is what all registries share: connections, tokens, and the throttle of each host. It is made
//!   from a [`Config`], cheap to clone, and its calls block.
//! - [`Registry`] is one registry, a [`SourcePlace`] and a [`TargetPlace`]; [`RemoteRepository`] is one
//!   repository of it.
//! - [`credentials`] reads and writes the files of `docker login` and similar programs.
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
    Certificates, Config, ForeignUrls, Limits, Mirror, PlainHttp, Proxies, PushMode, Rate,
    WarningHandler,
};
pub use registry::{Client, CredentialCheck, Registry};
pub use repository::RemoteRepository;
pub use secret::Secret;
