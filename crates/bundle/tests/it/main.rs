//! What people write, and what it means.

#![allow(clippy::unwrap_used, reason = "what tests share fails as they do")]

mod docker;
mod foreign;
mod images;
mod lists;
mod mapping;
mod operations;
mod pick;
mod record;
mod schema;
mod tags;
mod yaml;
