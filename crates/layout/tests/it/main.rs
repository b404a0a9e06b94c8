//! Tests of the public API.

#![allow(clippy::disallowed_methods, reason = "tests may write files directly")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]
#![allow(clippy::unwrap_used, reason = "what tests share belongs to them")]

mod beside;
mod collect;
mod common;
mod conformance;
mod directory;
mod fixtures;
mod hostile;
mod properties;
mod reading;
mod receiving;
mod recorded;
mod repositories;
mod union;
mod writing;
