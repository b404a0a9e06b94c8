//! The program as its users see it: what it does, what it prints, and the code it ends with.

#![allow(clippy::disallowed_methods, reason = "tests may write files directly")]
#![allow(clippy::unwrap_used, reason = "what tests share fails as they do")]
#![allow(clippy::print_stderr, reason = "a test that cannot be run here says so")]

mod again;
mod book;
mod broken;
mod bundling;
mod common;
mod completing;
mod copying;
mod crossing;
mod diffs;
mod docker;
mod faults;
mod hostile;
mod json;
mod links;
mod looking;
mod messages;
mod naming;
mod oddities;
mod one_bad;
mod output;
mod pinned;
mod places;
mod plain_paths;
mod progressing;
mod reaching;
mod receipts;
mod refusing;
mod registries;
mod schemas;
mod served;
mod serving;
mod sources;
mod sparse;
mod sticks;
mod together;
mod told;
mod untouched;
mod usage;
mod wishes;
