#![doc = include_str!("../README.md")]
//!
//! # Design
//!
//! A server of the OCI distribution spec, for any place.
//!
//! [`Handler`] turns a request into a response, without a socket. It serves any [`longshore_store::Place`].
//! [`front`] listens on TCP ports. The path of a request is parsed once, into a route, and one `match` on method
//! and route selects what to do.
//!
//! Rows `F-..` in comments and tests are the rules of the distribution spec for servers.

mod blob_push;
mod body;
mod context;
mod delete;
mod error;
pub mod front;
mod handler;
mod list;
mod manifest_memory;
mod manifest_push;
mod options;
mod page;
mod pull;
mod query;
mod range;
mod response;
mod route;
mod uploads;

pub use body::Body;
pub use handler::Handler;
pub use options::{Access, Missing, RegistryOptions, Scheme};
pub use page::commands;
