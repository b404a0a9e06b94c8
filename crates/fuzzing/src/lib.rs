//! Properties that hold for any input: functions that take bytes, and panic if the property does not hold.
//!
//! `fuzz/` runs them on the inputs of libFuzzer, with a nightly compiler. Tests run them on the seeds in
//! `fuzz/seeds/`: examples, and inputs that failed once.

#![expect(clippy::missing_panics_doc, reason = "to panic is how these functions fail")]
#![expect(clippy::expect_used, reason = "to panic is how these functions fail")]

mod archive;
mod documents;
mod headers;
mod references;
mod requests;
mod selection;

pub use archive::archive;
pub use documents::{index, manifest, missing, receipt, record};
pub use headers::headers;
pub use references::references;
pub use requests::requests;
pub use selection::selection;

/// What a target does with an input.
pub type FuzzTarget = fn(&[u8]);

/// Every target, by the name of its program and of the directory of its seeds.
pub const TARGETS: &[(&str, FuzzTarget)] = &[
    ("archive", archive),
    ("headers", headers),
    ("index", index),
    ("manifest", manifest),
    ("missing", missing),
    ("receipt", receipt),
    ("record", record),
    ("references", references),
    ("requests", requests),
    ("selection", selection),
];
