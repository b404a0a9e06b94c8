//! The program as its users see it: what it does, what it prints, and the code it ends with.

#![allow(clippy::disallowed_methods, reason = "tests may write files directly")]
#![allow(clippy::unwrap_used, reason = "what tests share fails as they do")]
#![allow(clippy::print_stderr, reason = "a test that cannot be run here says so")]

mod book;
mod broken_layouts;
mod bundle_errors;
mod bundle_files;
mod bundle_variants;
mod bundles;
mod common;
mod common_mistakes;
mod completions;
mod concurrency;
mod copy;
mod deltas;
mod diffs;
mod docker;
mod error_messages;
mod export_layouts;
mod full_disk;
mod hostile_text;
mod inspect;
mod json;
mod links;
mod lock;
mod mirror;
mod mirror_service;
mod network_faults;
mod no_side_effects;
mod odd_registries;
mod output;
mod partial_failure;
mod plain_paths;
mod progress;
mod receipts;
mod registries;
mod registry_errors;
mod repairs;
mod rerun;
mod schemas;
mod serve;
mod serve_places;
mod servers;
mod sparse_index;
mod tag;
mod usage;
