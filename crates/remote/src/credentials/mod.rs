//! Who the client is to which registry.
//!
//! [`Credentials`] is what a client asks; [`Files`] answers from the files that `docker login`,
//! `podman login` and their likes keep, and from the helper programs that those name.

mod document;
mod files;
mod helper;

use std::fmt::Debug;

use longshore_spec::RepositoryName;
use longshore_store::Result;

use crate::Secret;

pub use files::Files;

/// Knows who the client is.
pub trait Credentials: Debug + Send + Sync {
    /// Returns by what the client may ask `registry` for `repository`, or for what belongs to no
    /// repository. `None` means that it asks as nobody.
    fn find(
        &self,
        registry: &str,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>>;
}

/// What shows a registry who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A name and a password.
    Password {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token that the authorization service takes in exchange for others.
    Identity(Secret),
    /// A token that the registry itself takes.
    Token(Secret),
}

/// Nobody: what registries give to everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anonymous;

impl Credentials for Anonymous {
    fn find(&self, _: &str, _: Option<&RepositoryName>) -> Result<Option<Credential>> {
        Ok(None)
    }
}

/// The same credential for every registry: what a user gave on the command line.
impl Credentials for Credential {
    fn find(&self, _: &str, _: Option<&RepositoryName>) -> Result<Option<Credential>> {
        Ok(Some(self.clone()))
    }
}
