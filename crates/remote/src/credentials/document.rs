//! The documents that `docker login` and similar programs keep: `config.json`, `auth.json`.

use std::collections::BTreeMap;

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use longshore_spec::RepositoryName;
use serde::Deserialize;

use super::Credential;
use crate::Secret;
use crate::text::BYTE_ORDER_MARK;

/// The name of Docker Hub in references, and the key under which its credential is kept.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
const DOCKER_HUB_HOSTS: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// Reads base64 without padding, whatever the unused bits of the last byte are.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The members of the document that are used. It holds secrets, so it does not implement `Debug`.
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

impl Document {
    /// Reads a document. Returns `None` if the text is not one. In its oldest form, Docker's document had
    /// only the entries, as `~/.dockercfg` has.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        // The error of the parser may quote a secret.
        let document: Self = serde_json::from_slice(text).ok()?;
        if document.auths.is_some()
            || document.cred_helpers.is_some()
            || document.creds_store.is_some()
        {
            return Some(document);
        }
        let auths = serde_json::from_slice(text).ok();
        Some(Self { auths, ..document })
    }

    /// Returns the helper program for `registry`: its own, or that for all.
    pub(super) fn helper(&self, registry: &str) -> Option<&str> {
        let own = self.cred_helpers.iter().flatten();
        let mut own = own.filter(|(key, _)| same_host(Key::of(key).host, registry));
        let some = |name: &&String| !name.is_empty();
        let own = own.next().map(|(_, name)| name).filter(some);
        let shared = self.creds_store.as_ref().filter(some);
        own.or(shared).map(String::as_str)
    }

    /// Returns the entry with the longest key that `registry/repository` begins with. `Err` names a key
    /// whose entry cannot be read.
    pub(super) fn entry(
        &self,
        registry: &str,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>, String> {
        let mut path = repository.map(RepositoryName::as_str);
        loop {
            let fits = |key: &Key<'_>| match path {
                Some(path) => same_host(key.host, registry) && key.path == path,
                None => same_host(key.host, registry) && key.path.is_empty(),
            };
            if let Some(found) = self.first(fits)? {
                return Ok(Some(found));
            }
            match path {
                Some(longer) => path = longer.rsplit_once('/').map(|(parent, _)| parent),
                None => break,
            }
        }
        // Docker reads only the host of such a key.
        self.first(|key| key.is_address && same_host(key.host, registry))
    }

    /// Returns the first entry whose key fits.
    fn first(&self, fits: impl Fn(&Key<'_>) -> bool) -> Result<Option<Credential>, String> {
        for (key, entry) in self.auths.iter().flatten() {
            let Some(entry) = entry.as_ref().filter(|_| fits(&Key::of(key))) else { continue };
            // Registries with a helper have empty entries.
            if let Some(credential) = entry.credential().ok_or_else(|| key.clone())? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }
}

impl Entry {
    /// Returns the credential in the entry. Returns `None` if the entry cannot be read.
    #[expect(clippy::option_option, reason = "unreadable is not the same as empty")]
    fn credential(&self) -> Option<Option<Credential>> {
        let some = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        if let Some(token) = some(&self.registrytoken) {
            return Some(Some(Credential::Token(Secret::new(token))));
        }
        if let Some(token) = some(&self.identitytoken) {
            return Some(Some(Credential::Identity(Secret::new(token))));
        }
        if let Some(auth) = some(&self.auth) {
            // Some programs write an empty name and password for an anonymous user.
            return decode(&auth).map(|(username, password)| {
                let is_nobody = username.is_empty() && password.expose().is_empty();
                (!is_nobody).then_some(Credential::Password { username, password })
            });
        }
        let (Some(username), Some(password)) = (some(&self.username), some(&self.password)) else {
            return Some(None);
        };
        Some(Some(Credential::Password { username, password: Secret::new(password) }))
    }
}

/// Returns the key under which a credential is stored.
pub(super) fn key(registry: &str) -> &str {
    if registry == DOCKER_HUB { DOCKER_HUB_KEY } else { registry }
}

/// Tells whether the credential of `registry` may be stored under `key`: the key is that of the registry,
/// not of one of its repositories.
pub(super) fn is_key_of(key: &str, registry: &str) -> bool {
    let of = Key::of(key);
    key == registry || of.path.is_empty() && same_host(of.host, registry)
}

/// Returns the entry for `username` and `password`.
pub(super) fn encode(username: &str, password: &Secret) -> String {
    let text = format!("{username}:{}", password.expose());
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn decode(auth: &str) -> Option<(String, Secret)> {
    // Base64 may be broken into lines, as in mail, and lack its padding.
    let auth: String = auth.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let text = String::from_utf8(LENIENT.decode(auth.trim_end_matches('=')).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    // Some programs pad the password with zeros.
    let password = Secret::new(password.trim_end_matches('\0'));
    Some((username.to_owned(), password))
}

/// What a key stands for: a registry, or a part of it.
struct Key<'a> {
    host: &'a str,
    /// Empty for the whole registry.
    path: &'a str,
    /// Whether the key is written as a URL.
    is_address: bool,
}

impl<'a> Key<'a> {
    fn of(key: &'a str) -> Self {
        // Any scheme: some programs keep the transport of a reference in the key.
        let key = key.trim();
        let address = key.split_once("://").map(|(_, address)| address);
        let (host, path) =
            address.unwrap_or(key).split_once('/').unwrap_or((address.unwrap_or(key), ""));
        let path = path.trim_matches('/');
        // The path of the registry's API is not part of a repository's name.
        let inner = ["v1", "v2"].into_iter().find_map(|version| {
            let rest = path.strip_prefix(version)?;
            (rest.is_empty() || address.is_some() && rest.starts_with('/')).then_some(rest)
        });
        let path = inner.map_or(path, |rest| rest.trim_start_matches('/'));
        Self { host, path, is_address: address.is_some() }
    }
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
        assert_eq!(document.helper("gcr.io"), Some("gcloud"));
        assert_eq!(document.helper("quay.io"), Some("pass"));
    }
}
