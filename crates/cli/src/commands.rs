//! One module for each command.

mod artifact;
mod base;
mod bundle;
pub(crate) mod copy;
pub(crate) mod delete;
mod destination;
pub(crate) mod diff;
pub(crate) mod digest;
pub(crate) mod export;
pub(crate) mod find_images;
pub(crate) mod gc;
pub(crate) mod generate;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod login;
mod platforms;
pub(crate) mod receipt;
pub(crate) mod schema;
mod selection;
pub(crate) mod serve;
pub(crate) mod tag;
pub(crate) mod tree;
pub(crate) mod types;
pub(crate) mod verify;
