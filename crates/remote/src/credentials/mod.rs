//! Credentials for registries.
//!
//! [`Credentials`] is what a client asks. [`Files`] answers from the files that `docker login`, `podman
//! login` and similar programs keep, and from the helper programs that those files name.

mod document;
mod files;
mod helper;

use std::fmt::Debug;

use longshore_spec::RepositoryName;
use longshore_store::Result;

use crate::Secret;

pub use files::Files;

/// Finds credentials.
pub trait Credentials: Debug + Send + Sync {
    /// Returns the credential for `repository` of `registry`, or for requests that concern no repository.
    /// `None` means anonymous access.
    fn find(
        &self,
        registry: &str,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>>;
}

/// A credential.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A name and a password.
    Password {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token that the authorization service exchanges for others.
    Identity(Secret),
    /// A token that the registry itself accepts.
    Token(Secret),
}

/// No credentials: anonymous access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anonymous;

impl Credentials for Anonymous {
    fn find(&self, _: &str, _: Option<&RepositoryName>) -> Result<Option<Credential>> {
        Ok(None)
    }
}

/// The same credential for every registry, as given on the command line.
impl Credentials for Credential {
    fn find(&self, _: &str, _: Option<&RepositoryName>) -> Result<Option<Credential>> {
        Ok(Some(self.clone()))
    }
}
