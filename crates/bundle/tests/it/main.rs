//! What people write, and what it means.

#![allow(clippy::unwrap_used, reason = "what tests share fails as they do")]

mod docker;
mod kubernetes;
mod list;
mod mapping;
mod operations;
mod other_tools;
mod pick;
mod prune;
mod record;
mod schema;
mod tags;
mod yaml;
