#![doc = include_str!("../README.md")]
//!
//! # Design
//!
//! A server of the OCI distribution spec, over any place.
//!
//! [`Registry`] turns a request into a response and knows no socket; what it serves is any
//! [`longshore_store::Place`]. [`front`] puts it on a TCP port. The path of a request is parsed
//! once, into a route, and one `match` on method and route says what there is.
//!
//! Rows `F-..` in comments and tests are the rules of the distribution spec for servers.

mod body;
mod delete;
mod discover;
mod fault;
pub mod front;
mod intake;
mod manifest;
mod page;
mod pull;
mod push;
mod query;
mod range;
mod registry;
mod reply;
mod route;
mod uploads;

pub use body::Body;
pub use page::{Scheme, commands};
pub use registry::{Access, Missing, Registry, RegistryOptions};
