//! What is fuzzed: functions that take any bytes, and fail if what must hold of them does not.
//!
//! `fuzz/` runs them on what libFuzzer makes up, with a nightly compiler. Tests run them on the seeds
//! in `fuzz/seeds/`, each of which is an example or once failed.

#![expect(clippy::missing_panics_doc, reason = "to panic is how these functions fail")]
#![expect(clippy::expect_used, reason = "to panic is how these functions fail")]

mod archive;
mod documents;
mod headers;
mod references;
mod requests;
mod wanted;

pub use archive::archive;
pub use documents::{index, manifest, receipt, record};
pub use headers::headers;
pub use references::references;
pub use requests::requests;
pub use wanted::wanted;

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// Every target, by the name of its program and of the directory of its seeds.
pub const TARGETS: &[(&str, Target)] = &[
    ("archive", archive),
    ("headers", headers),
    ("index", index),
    ("manifest", manifest),
    ("receipt", receipt),
    ("record", record),
    ("references", references),
    ("requests", requests),
    ("wanted", wanted),
];
