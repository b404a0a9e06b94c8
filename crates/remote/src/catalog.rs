//! Registries as places, and the repositories that they list.

use std::fmt;

use longshore_spec::{ReferenceError, RepositoryName};
use longshore_store::{Error, Inability, Result, Source, SourcePlace, Target, TargetPlace};

use crate::Registry;
use crate::auth::Scope;
use crate::list::ListError;
use crate::text::one_line;

/// The catalog of a registry.
#[derive(Debug, Default)]
pub struct RegistryCatalog {
    /// Its repositories, sorted.
    pub repositories: Vec<RepositoryName>,
    /// Entries that are not names of repositories.
    pub others: Vec<InvalidRepository>,
}

/// An entry of a catalog that cannot be a repository. It displays why.
#[derive(Debug)]
pub enum InvalidRepository {
    /// The entry is not a string. This is its JSON.
    NotText(String),
    /// The entry is not a valid name.
    NotAName(ReferenceError),
}

impl fmt::Display for InvalidRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText(text) => write!(f, "`{text}` is no text"),
            Self::NotAName(error) => f.write_str(&one_line(&error.fault())),
        }
    }
}

impl Registry {
    /// Returns the repositories that the registry lists.
    pub fn catalog(&self) -> Result<RegistryCatalog> {
        let what = format!("the list of repositories of {}", self.host());
        let list = self.fetch_list("_catalog", &what, "repositories", None, &Scope::catalog());
        let found = list.map_err(|unlisted| {
            let said = match unlisted {
                ListError::Refused(Error::Refused { said, .. }) => Some(said),
                ListError::Refused(Error::NotFound { said, .. }) => said,
                unlisted => return unlisted.into(),
            };
            Error::unsupported(self.host(), Inability::Catalog { said })
        })?;
        let others = found.non_strings.into_iter().map(InvalidRepository::NotText).collect();
        let mut catalog = RegistryCatalog { repositories: Vec::new(), others };
        for text in found.strings {
            match text.parse() {
                Ok(name) => catalog.repositories.push(name),
                Err(error) => catalog.others.push(InvalidRepository::NotAName(error)),
            }
        }
        Ok(catalog)
    }
}

impl TargetPlace for Registry {
    fn target(&self, name: &RepositoryName) -> Result<Box<dyn Target + '_>> {
        Ok(Box::new(self.remote_repository(name)))
    }
}

impl SourcePlace for Registry {
    fn source(&self, name: &RepositoryName) -> Result<Box<dyn Source + '_>> {
        Ok(Box::new(self.remote_repository(name)))
    }

    /// Warns of entries that are not names of repositories.
    fn repositories(&self) -> Result<Vec<RepositoryName>> {
        let RegistryCatalog { repositories, others } = self.catalog()?;
        for other in others {
            tracing::warn!("{} lists what is no repository: {other}", self.host());
        }
        Ok(repositories)
    }
}
