//! What this crate promises to those who use it.

#![allow(clippy::disallowed_methods, reason = "tests may write files directly")]

mod collect;
mod common;
mod conformance;
mod directory;
mod fixtures;
mod properties;
mod reading;
mod writing;
