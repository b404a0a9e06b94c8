//! The document that `docker login` and its likes keep: `config.json`, `auth.json`.

use std::collections::BTreeMap;

use base64::Engine as _;
use longshore_spec::RepositoryName;
use serde::Deserialize;

use super::Credential;
use crate::Secret;

/// The name of Docker Hub in references, and the key under which its credential is kept.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
const DOCKER_HUB_HOSTS: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// What of the document is looked at. It holds secrets, so it has no `Debug`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Document {
    auths: Option<BTreeMap<String, Option<Entry>>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// A helper program that knows the credentials of a registry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Helper<'a> {
    /// Chosen for this registry.
    Own(&'a str),
    /// For all registries.
    Shared(&'a str),
}

impl Document {
    /// Returns the helper program to ask about `registry`.
    pub(super) fn helper(&self, registry: &str) -> Option<Helper<'_>> {
        let own = self.cred_helpers.iter().flatten();
        let mut own = own.filter(|(key, _)| same_host(host_of(key), registry));
        let some = |name: &&String| !name.is_empty();
        let own = own.next().map(|(_, name)| name).filter(some);
        let shared = self.creds_store.as_ref().filter(some);
        own.map(|name| Helper::Own(name)).or(shared.map(|name| Helper::Shared(name)))
    }

    /// Returns the entry whose key is the longest part of `registry/repository` that has one.
    /// `Err` names a key whose entry cannot be read.
    pub(super) fn entry(
        &self,
        registry: &str,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>, String> {
        let mut path = repository.map(RepositoryName::as_str);
        loop {
            for (key, entry) in self.auths.iter().flatten() {
                let fits = match path {
                    Some(path) => key
                        .split_once('/')
                        .is_some_and(|(host, rest)| same_host(host, registry) && rest == path),
                    None => same_host(host_of(key), registry),
                };
                let Some(entry) = entry.as_ref().filter(|_| fits) else { continue };
                // A helper's registries have empty entries.
                if let Some(credential) = entry.credential().ok_or_else(|| key.clone())? {
                    return Ok(Some(credential));
                }
            }
            match path {
                Some(longer) => path = longer.rsplit_once('/').map(|(parent, _)| parent),
                None => return Ok(None),
            }
        }
    }
}

impl Entry {
    /// Returns what the entry holds; `None` if that cannot be read.
    #[expect(clippy::option_option, reason = "unreadable is not the same as empty")]
    fn credential(&self) -> Option<Option<Credential>> {
        let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = some(&self.registrytoken) {
            return Some(Some(Credential::Token(Secret::new(token))));
        }
        if let Some(token) = some(&self.identitytoken) {
            return Some(Some(Credential::Identity(Secret::new(token))));
        }
        if let Some(auth) = some(&self.auth) {
            return decode(&auth).map(Some);
        }
        let (Some(username), Some(password)) = (some(&self.username), some(&self.password)) else {
            return Some(None);
        };
        Some(Some(Credential::Password { username, password: Secret::new(password) }))
    }
}

/// Returns the key under which a credential is kept.
pub(super) fn key(registry: &str) -> &str {
    if registry == DOCKER_HUB { DOCKER_HUB_KEY } else { registry }
}

/// Returns whether `key` is one under which the credential of `registry` is kept: an entry of the
/// registry, not of one of its repositories.
pub(super) fn is_key_of(key: &str, registry: &str) -> bool {
    key == registry || same_host(host_of(key), registry)
}

/// Returns the entry that keeps `username` and `password`.
pub(super) fn encode(username: &str, password: &Secret) -> String {
    let text = format!("{username}:{}", password.expose());
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn decode(auth: &str) -> Option<Credential> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(auth.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    // Some programs pad the password.
    let password = Secret::new(password.trim_end_matches('\0'));
    Some(Credential::Password { username: username.to_owned(), password })
}

/// Returns the host in a key that is an address of a registry, else the key.
fn host_of(key: &str) -> &str {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let end = ["/v1/", "/v2/", "/v1", "/v2", "/"].iter().find_map(|end| rest.strip_suffix(end));
    end.unwrap_or(rest)
}

fn same_host(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || DOCKER_HUB_HOSTS.contains(&one) && DOCKER_HUB_HOSTS.contains(&other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
        "auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
            "quay.io": {"username": "host", "password": "pw"},
            "quay.io/org": {"auth": "b3JnOnA6dw=="},
            "quay.io/org/app": {"identitytoken": "tok"},
            "http://old.example:5000/v2/": {"registrytoken": "reg"},
            "stored.example": {},
            "null.example": null,
            "bad.example": {"auth": "!!"}
        },
        "credHelpers": {"gcr.io": "gcloud"},
        "psFormat": "table"
    }"#;

    fn found(registry: &str, repository: &str) -> Option<String> {
        let document: Document = serde_json::from_str(TEXT).unwrap();
        let repository = repository.parse().ok();
        let credential = document.entry(registry, repository.as_ref()).unwrap()?;
        Some(match credential {
            Credential::Password { username, password } => {
                format!("{username}:{}", password.expose())
            }
            Credential::Identity(token) => format!("identity {}", token.expose()),
            Credential::Token(token) => format!("token {}", token.expose()),
        })
    }

    #[test]
    fn the_longest_key_wins() {
        for (registry, repository, expected) in [
            ("docker.io", "library/alpine", Some("hub:pw")),
            ("quay.io", "", Some("host:pw")),
            ("quay.io", "other/app", Some("host:pw")),
            ("quay.io", "org/x", Some("org:p:w")),
            ("quay.io", "org/app", Some("identity tok")),
            ("quay.io", "org/app/deep/er", Some("identity tok")),
            ("quay.io", "organic/app", Some("host:pw")),
            ("old.example:5000", "x", Some("token reg")),
            ("old.example", "x", None),
            ("stored.example", "x", None),
            ("null.example", "x", None),
        ] {
            assert_eq!(found(registry, repository).as_deref(), expected, "{registry}/{repository}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_without_its_content() {
        let document: Document = serde_json::from_str(TEXT).unwrap();
        assert_eq!(document.entry("bad.example", None), Err("bad.example".to_owned()));
    }

    #[test]
    fn a_helper_of_a_registry_comes_before_that_of_all() {
        let mut document: Document = serde_json::from_str(TEXT).unwrap();
        assert_eq!(document.helper("quay.io"), None);
        document.creds_store = Some("pass".to_owned());
        assert_eq!(document.helper("gcr.io"), Some(Helper::Own("gcloud")));
        assert_eq!(document.helper("quay.io"), Some(Helper::Shared("pass")));
    }
}
