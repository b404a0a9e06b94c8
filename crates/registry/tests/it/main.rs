//! The answers of the registry, without a socket and over one.

#![allow(clippy::disallowed_methods, reason = "tests may write files directly")]
#![allow(clippy::unwrap_used, reason = "what tests share fails as they do")]

mod client;
mod directory;
mod discover;
mod faults;
mod front;
mod limits;
mod manage;
mod nested;
mod page;
mod passwords;
mod pull;
mod push;
mod robust;
mod support;
mod tls;
