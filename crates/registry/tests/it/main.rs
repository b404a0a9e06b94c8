//! What the registry answers, without a socket and over one.

#![allow(clippy::unwrap_used, reason = "what tests share fails as they do")]

mod discover;
mod faults;
mod front;
mod manage;
mod page;
mod pull;
mod push;
mod robust;
mod support;
