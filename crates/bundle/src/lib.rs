//! What crosses the gap: which artifacts are wanted, and where that is written down.
//!
//! A [`Selection`] says which artifacts are wanted. People write it as `bundle.yaml`
//! ([`Selection::from_yaml`]) or as a list of references, one a line ([`Selection::from_list`]);
//! [`Selection::parse`] tells one from the other, and knows the files of some other tools.
//! [`TagRules`] choose among the tags of a repository. [`find_images`] finds the images that
//! Kubernetes manifests name.
//!
//! Nothing here opens a file or a socket: it takes text and gives values.

mod document;
mod foreign;
mod images;
mod list;
mod problem;
mod selection;
mod tags;

pub use images::{FoundImage, find_images};
pub use problem::ConfigError;
pub use selection::{Item, Parsed, Selection, What};
pub use tags::{NoSuchTags, TagRules};
