//! Routes: what paths mean.

use http::StatusCode;
use longshore_spec::{Digest, RepositoryName, Tag};
use longshore_store::{Name, Selector};

use crate::error::{Code, ErrorResponse};
use crate::query::decode;

/// The grammar does not bound the length of names, but clients and file systems do.
const MAX_NAME: usize = 255;

/// What a path means. Its values follow their grammars (row F-03).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/`: the page for browsers.
    Home,
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/NAME/tags/list`
    Tags(RepositoryName),
    /// `/v2/NAME/referrers/DIGEST`
    Referrers(RepositoryName, Digest),
    /// `/v2/NAME/manifests/TAG` or `/v2/NAME/manifests/DIGEST`
    Manifest(RepositoryName, Selector),
    /// `/v2/NAME/blobs/DIGEST`
    Blob(RepositoryName, Digest),
    /// `/v2/NAME/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/NAME/blobs/uploads/ID`
    Upload(RepositoryName, String),
}

impl Route {
    /// Parses a path from its right end: the parts of a repository name may be any of the words that
    /// follow names (row F-04).
    pub(crate) fn parse(path: &str) -> Result<Self, ErrorResponse> {
        let parts: Vec<String> = path.split('/').map(decode).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts[..] {
            [""] | ["", ""] => Ok(Self::Home),
            ["", "v2"] | ["", "v2", ""] => Ok(Self::Base),
            ["", "v2", "_catalog"] => Ok(Self::Catalog),
            // No name begins with `_`: such paths are extensions, and there are none (row F-51).
            ["", "v2", first, ..] if first.starts_with('_') => Err(no_such_endpoint()),
            ["", "v2", ref name @ .., "tags", "list"] => Ok(Self::Tags(repository(name)?)),
            ["", "v2", ref name @ .., "referrers", subject] => {
                Ok(Self::Referrers(repository(name)?, digest(subject)?))
            }
            ["", "v2", ref name @ .., "manifests", selector] => {
                Ok(Self::Manifest(repository(name)?, self::selector(selector)?))
            }
            ["", "v2", ref name @ .., "blobs", "uploads"]
            | ["", "v2", ref name @ .., "blobs", "uploads", ""] => {
                Ok(Self::Uploads(repository(name)?))
            }
            ["", "v2", ref name @ .., "blobs", "uploads", id] => {
                Ok(Self::Upload(repository(name)?, id.to_owned()))
            }
            ["", "v2", ref name @ .., "blobs", of] => {
                Ok(Self::Blob(repository(name)?, digest(of)?))
            }
            _ => Err(no_such_endpoint()),
        }
    }

    /// Returns the repository that is read.
    pub(crate) fn pull_repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Home | Self::Base | Self::Catalog | Self::Uploads(_) | Self::Upload(..) => None,
            Self::Tags(name)
            | Self::Referrers(name, _)
            | Self::Manifest(name, _)
            | Self::Blob(name, _) => Some(name),
        }
    }

    /// Returns the same route in another repository.
    pub(crate) fn with_repository(self, name: RepositoryName) -> Self {
        match self {
            Self::Home | Self::Base | Self::Catalog | Self::Uploads(_) | Self::Upload(..) => self,
            Self::Tags(_) => Self::Tags(name),
            Self::Referrers(_, subject) => Self::Referrers(name, subject),
            Self::Manifest(_, selector) => Self::Manifest(name, selector),
            Self::Blob(_, digest) => Self::Blob(name, digest),
        }
    }

    /// Returns the methods of the route, as an `Allow` header lists them.
    pub(crate) fn methods(&self) -> &'static str {
        match self {
            Self::Home | Self::Base | Self::Catalog | Self::Tags(_) | Self::Referrers(..) => {
                "GET, HEAD"
            }
            Self::Manifest(..) => "GET, HEAD, PUT, DELETE",
            Self::Blob(..) => "GET, HEAD, DELETE",
            Self::Uploads(_) => "POST",
            Self::Upload(..) => "GET, HEAD, PATCH, PUT, DELETE",
        }
    }

    /// Returns the methods of the route if the registry is read-only.
    pub(crate) fn read_only_methods(&self) -> &'static str {
        match self {
            Self::Uploads(_) => "",
            _ => "GET, HEAD",
        }
    }
}

fn repository(parts: &[&str]) -> Result<RepositoryName, ErrorResponse> {
    let length = parts.iter().map(|part| part.len() + 1).sum::<usize>().saturating_sub(1);
    if length > MAX_NAME {
        let message = format!("a name may have at most {MAX_NAME} characters, not {length}");
        return Err(ErrorResponse::new(Code::NameInvalid, message));
    }
    parts
        .join("/")
        .parse()
        .map_err(|error| ErrorResponse::new(Code::NameInvalid, format!("{error}")))
}

/// Reads a digest from a path or a query.
pub(crate) fn digest(text: &str) -> Result<Digest, ErrorResponse> {
    text.parse().map_err(|error| ErrorResponse::new(Code::DigestInvalid, format!("{error}")))
}

/// Reads a tag from a path or a query.
pub(crate) fn tag(text: &str) -> Result<Name, ErrorResponse> {
    let tag: Result<Tag, _> = text.parse();
    tag.map(|tag| Name::new(tag.as_str()))
        .map_err(|error| ErrorResponse::new(Code::ManifestInvalid, format!("{error}")))
}

fn selector(text: &str) -> Result<Selector, ErrorResponse> {
    if text.contains(':') {
        digest(text).map(Selector::Digest)
    } else {
        tag(text).map(Selector::Name)
    }
}

fn no_such_endpoint() -> ErrorResponse {
    ErrorResponse::new(Code::Unsupported, "there is no such endpoint".to_owned())
        .status(StatusCode::NOT_FOUND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    #[test]
    fn f04_names_may_hold_the_words_of_the_paths() {
        let digest = Digest::sha256("x");
        for repository in [
            "app",
            "a/manifests/b",
            "blobs/uploads",
            "v2",
            "a/tags/list",
            "referrers",
            "uploads",
            "manifests",
            "tags/list/tags",
            "a/blobs/uploads",
            "blobs/blobs",
        ] {
            let parse =
                |rest: &str| Route::parse(&format!("/v2/{repository}/{rest}")).ok().unwrap();
            let name = name(repository);
            assert_eq!(parse("tags/list"), Route::Tags(name.clone()));
            assert_eq!(parse("blobs/uploads/"), Route::Uploads(name.clone()));
            assert_eq!(parse("blobs/uploads"), Route::Uploads(name.clone()));
            assert_eq!(parse("blobs/uploads/x1"), Route::Upload(name.clone(), "x1".to_owned()));
            assert_eq!(
                parse(&format!("blobs/{digest}")),
                Route::Blob(name.clone(), digest.clone())
            );
            assert_eq!(
                parse(&format!("referrers/{digest}")),
                Route::Referrers(name.clone(), digest.clone())
            );
            for tag in ["v1", "uploads", "list", "manifests"] {
                let selector = Selector::Name(tag.into());
                assert_eq!(
                    parse(&format!("manifests/{tag}")),
                    Route::Manifest(name.clone(), selector)
                );
            }
        }
    }

    #[test]
    fn f20_paths_are_percent_decoded() {
        let digest = Digest::sha256("x");
        let encoded = digest.to_string().replace(':', "%3A");
        assert_eq!(
            Route::parse(&format!("/v2/a%2Fb/blobs/{encoded}")).ok(),
            Some(Route::Blob(name("a/b"), digest))
        );
    }
}
