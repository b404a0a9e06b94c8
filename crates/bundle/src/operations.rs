//! What is done with bundles. Each operation is a request that is prepared, a value that says what would
//! happen, and a run of that.

pub(crate) mod compare;
pub(crate) mod diff;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod lock;
pub(crate) mod mirror;
pub(crate) mod receipt;
pub(crate) mod verify;
