//! One module for each command.

pub(crate) mod copy;
pub(crate) mod delete;
pub(crate) mod digest;
pub(crate) mod find_images;
pub(crate) mod gc;
pub(crate) mod generate;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod login;
mod look;
pub(crate) mod serve;
pub(crate) mod tag;
pub(crate) mod tree;
pub(crate) mod types;
pub(crate) mod verify;
