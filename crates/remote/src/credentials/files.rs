//! Credentials from files.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_spec::RepositoryName;
use longshore_store::{Error, Flaw, Inability, Result};
use serde_json::{Map, Value, json};

use super::document::{self, Document};
use super::helper::Helper;
use super::{Credential, Credentials};
use crate::text::BYTE_ORDER_MARK;

/// How long a helper program may run: it may have to ask its user.
const HELPER_TIMEOUT: Duration = Duration::from_mins(1);

/// A file of more bytes is refused.
const MOST_BYTES: u64 = 16 << 20;

/// The files that `docker login`, `podman login` and similar programs keep (`config.json` of Docker,
/// `containers-auth.json(5)`), and the helper programs that they name.
///
/// The first file that has an entry for a registry decides. Keys may name a repository or a part of its
/// path; the longest key that fits is used. [`Files::store`] writes to the first file.
#[derive(Debug, Clone)]
pub struct Files {
    paths: Vec<PathBuf>,
    helpers: Option<PathBuf>,
    timeout: Duration,
    /// The answers of helper programs.
    answers: Arc<Mutex<Answers>>,
}

/// By helper program and key.
type Answers = HashMap<(String, String), Option<Credential>>;

impl Files {
    /// Reads the files at `paths`, in this order. Files that do not exist are skipped.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths = paths.into_iter().collect();
        Self { paths, helpers: None, timeout: HELPER_TIMEOUT, answers: Arc::default() }
    }

    /// Runs the helper programs in `directory`, instead of searching `PATH`.
    #[must_use]
    pub fn with_helpers_in(self, directory: impl Into<PathBuf>) -> Self {
        Self { helpers: Some(directory.into()), ..self }
    }

    /// Sets how long helper programs may run.
    #[must_use]
    pub fn with_helper_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Stores the credential of `registry` in the first file, or with the helper program that the file
    /// names. `registry` may have a path: `quay.io/org`.
    ///
    /// The file is replaced as a whole, keeps its other members, and only its owner can read it.
    pub fn store(&self, registry: &str, credential: &Credential) -> Result<()> {
        self.answers().clear();
        let path = self.first()?;
        if let Some(helper) = self.helper_of(path, registry)? {
            return helper.run(|helper| helper.store(document::key(registry), credential));
        }
        let entry = match credential {
            Credential::Password { username, .. } if username.contains(':') => {
                let reason = "it has a colon".to_owned();
                let what = format!("the name `{username}`");
                return Err(Error::malformed(what, Flaw::Credentials(reason)));
            }
            Credential::Password { username, password } => {
                json!({"auth": document::encode(username, password)})
            }
            Credential::Identity(token) => json!({"identitytoken": token.expose()}),
            Credential::Token(token) => json!({"registrytoken": token.expose()}),
        };
        rewrite(path, |auths| {
            auths.retain(|key, _| !document::is_key_of(key, registry));
            auths.insert(document::key(registry).to_owned(), entry);
        })
    }

    /// Removes the credential of `registry` from every file and every helper program. Returns whether
    /// there was one.
    pub fn erase(&self, registry: &str) -> Result<bool> {
        self.answers().clear();
        let mut erased = false;
        for path in &self.paths {
            if let Some(helper) = self.helper_of(path, registry)? {
                erased |= helper.run(|helper| helper.erase(document::key(registry)))?;
            }
            let Some(text) = read(path)? else { continue };
            let parsed: Value = serde_json::from_slice(&text).map_err(|_| malformed(path))?;
            let keys = parsed.get("auths").and_then(Value::as_object);
            if keys.is_some_and(|keys| keys.keys().any(|key| document::is_key_of(key, registry))) {
                rewrite(path, |auths| auths.retain(|key, _| !document::is_key_of(key, registry)))?;
                erased = true;
            }
        }
        Ok(erased)
    }

    fn first(&self) -> Result<&PathBuf> {
        let none = || {
            Error::unsupported("a program without a file for credentials", Inability::NoCredentials)
        };
        self.paths.first().ok_or_else(none)
    }

    fn helper_of(&self, path: &Path, registry: &str) -> Result<Option<Named<'_>>> {
        let Some(document) = load(path)? else { return Ok(None) };
        // Helpers keep credentials of registries. Those of a part of a registry stay in the file.
        let name = document.helper(registry).filter(|_| !registry.contains('/'));
        Ok(name.map(|name| Named { name: name.to_owned(), files: self }))
    }

    /// Asks a helper program, once for each key: it may be slow, or print a warning.
    fn ask(&self, name: &str, key: &str) -> Result<Option<Credential>> {
        let at = (name.to_owned(), key.to_owned());
        if let Some(known) = self.answers().get(&at) {
            return Ok(known.clone());
        }
        let found = Helper::new(name, self.helpers.as_deref(), self.timeout)?.get(key)?;
        self.answers().insert(at, found.clone());
        Ok(found)
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_into(
        &self,
        path: &Path,
        registry: &str,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>> {
        let Some(document) = load(path)? else { return Ok(None) };
        let ask = |name: &str| self.ask(name, document::key(registry));
        let found = match document.helper(registry) {
            Some(name) => match ask(name) {
                // The file may come from another machine that has the helper. Its entries may still be of
                // use.
                Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    tracing::warn!("{} names a helper `{name}` that is not here", path.display());
                    None
                }
                found => found?,
            },
            None => None,
        };
        if found.is_some() {
            return Ok(found);
        }
        document.entry(registry, repository).map_err(|key| {
            let reason = "it is not a name and a password in base64".to_owned();
            let what = format!("the entry `{key}` of {}", path.display());
            Error::malformed(what, Flaw::Credentials(reason))
        })
    }
}

impl Credentials for Files {
    fn find(
        &self,
        registry: &str,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>> {
        for path in &self.paths {
            if let Some(found) = self.look_into(path, registry, repository)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// A helper program that a file names.
struct Named<'a> {
    name: String,
    files: &'a Files,
}

impl Named<'_> {
    fn run<T>(&self, work: impl FnOnce(&Helper<'_>) -> Result<T>) -> Result<T> {
        work(&Helper::new(&self.name, self.files.helpers.as_deref(), self.files.timeout)?)
    }
}

fn load(path: &Path) -> Result<Option<Document>> {
    let Some(text) = read(path)? else { return Ok(None) };
    Document::read(&text).map(Some).ok_or_else(|| malformed(path))
}

/// Returns the document in a file. Returns `None` if the file does not exist. An empty file is an empty
/// document.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let what = path.display();
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // The file is read for each registry, and a pipe can be read only once.
        Ok(found) if found.file_type().is_fifo() => {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe, and no file");
            return Err(Error::io("read", what)(error));
        }
        _ => {}
    }
    let file = fs::File::open(path).map_err(Error::io("read", what))?;
    let mut text = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut text).map_err(Error::io("read", path.display()))?;
    if text.len() as u64 > MOST_BYTES {
        let what = path.display().to_string();
        return Err(Error::Limit { what, limit: format!("{MOST_BYTES} bytes") });
    }
    Ok(Some(if text.trim_ascii().is_empty() { b"{}".to_vec() } else { text }))
}

fn malformed(path: &Path) -> Error {
    let reason = "it is not a document of credentials".to_owned();
    Error::malformed(path.display(), Flaw::Credentials(reason))
}

/// Replaces a file by one with changed entries.
fn rewrite(path: &Path, change: impl FnOnce(&mut Map<String, Value>)) -> Result<()> {
    let text = read(path)?.unwrap_or_else(|| b"{}".to_vec());
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    let mut document: Map<String, Value> =
        serde_json::from_slice(text).map_err(|_| malformed(path))?;
    let auths = document.entry("auths").or_insert(Value::Null);
    if auths.is_null() {
        *auths = json!({});
    }
    change(auths.as_object_mut().ok_or_else(|| malformed(path))?);
    let mut text = serde_json::to_string_pretty(&document).map_err(|_| malformed(path))?;
    text.push('\n');
    replace(path, text.as_bytes()).map_err(Error::io("write", path.display()))
}

/// Replaces the content of a file by `text` in one step. Only its owner can read the new file.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    // A link stays a link: its target is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text)?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}
