//! The grammar of places: how people write them.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use longshore_bundle::{LayoutKind, LayoutPlace};
use longshore_spec::{Digest, Reference, ReferenceError, RepositoryName};
use longshore_store::{Name, Selector};

/// What is wrong with the text of a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// A layout, written wrongly; in words.
    #[error("{0}")]
    Layout(String),
    /// No reference.
    #[error("{}", .0.fault())]
    Reference(#[from] ReferenceError),
    /// `dir:` of skopeo.
    #[error("`dir:` directories of skopeo lose names and types")]
    SkopeoDirectory,
    /// `docker-archive:`.
    #[error("`docker-archive:` files are not OCI layouts")]
    DockerArchive,
    /// The images of a daemon or a store of the machine.
    #[error("`{scheme}:` cannot be read")]
    ImageStore {
        /// What it begins with.
        scheme: String,
    },
    /// What other programs write for `oci:`.
    #[error("`{scheme}:` is not a kind of place")]
    DirectoryScheme {
        /// What it begins with.
        scheme: String,
        /// What follows.
        rest: String,
    },
    /// What other programs write for `oci-archive:`.
    #[error("`{scheme}:` is not a kind of place")]
    ArchiveScheme {
        /// What it begins with.
        scheme: String,
    },
    /// A URL where a host alone is meant.
    #[error("`{text}` is not a host: it begins with `{scheme}://`")]
    UrlAsHost {
        /// What was written.
        text: String,
        /// What it begins with.
        scheme: String,
        /// The host in it.
        host: String,
    },
    /// A directory that is there, but no layout.
    #[error("`{path}` is a directory here, but not a layout")]
    NotALayout {
        /// The directory.
        path: String,
        /// What was written.
        text: String,
    },
    /// A file that is there, but no archive.
    #[error("`{path}` is a file here, but not an archive of a layout")]
    NotAnArchive {
        /// The file.
        path: String,
        /// What was written.
        text: String,
    },
}

/// A place as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// What it is, and where.
    pub place: PlaceKind,
    /// What is meant in it.
    pub selector: Option<Selector>,
    /// The tag beside a digest that is selected in a registry: what it is called.
    pub tag: Option<Name>,
}

/// What a place is, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceKind {
    /// A layout in a tar; `-` is stdin or stdout.
    Archive(PathBuf),
    /// A layout directory.
    Directory(PathBuf),
    /// A repository of a registry.
    Registry(InRegistry),
}

/// A repository of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InRegistry {
    /// Its host, and port if it has one.
    pub host: String,
    /// The repository there.
    pub repository: RepositoryName,
    /// Whether the host was left away, as Docker allows: `alpine`.
    pub is_short: bool,
}

impl Location {
    /// Tells whether the place is stdin or stdout.
    pub fn is_pipe(&self) -> bool {
        matches!(&self.place, PlaceKind::Archive(path) if path == Path::new("-"))
    }

    /// Returns the path of a layout.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            PlaceKind::Archive(path) | PlaceKind::Directory(path) => Some(path),
            PlaceKind::Registry(_) => None,
        }
    }

    /// Returns the layout that it is, if it is one.
    pub fn layout(&self) -> Option<LayoutPlace> {
        let kind = match self.place {
            PlaceKind::Archive(_) => LayoutKind::Archive,
            PlaceKind::Directory(_) => LayoutKind::Directory,
            PlaceKind::Registry(_) => return None,
        };
        let path = self.path()?.display().to_string();
        Some(LayoutPlace { kind, path, selector: self.selector.clone() })
    }

    /// Tells whether the path of the layout leads to something.
    pub fn exists(&self) -> bool {
        self.path().is_some_and(Path::exists)
    }

    /// Tells whether both are the same file or directory, that is there.
    pub fn is_same_file(&self, other: &Self) -> bool {
        let real = |place: &Self| {
            let path = place.path().filter(|_| !place.is_pipe())?;
            std::fs::canonicalize(path).ok()
        };
        real(self).is_some_and(|path| real(other) == Some(path))
    }

    /// Returns the place without what is selected in it.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self { selector: None, tag: None, ..self.clone() }
    }

    /// Returns the same place with nothing selected in it yet.
    pub fn at(place: PlaceKind) -> Self {
        Self { place, selector: None, tag: None }
    }

    /// Returns what something is called there that is to be written, and which digest it must have, as
    /// far as either was typed.
    pub fn named(&self) -> (Option<Name>, Option<Digest>) {
        match &self.selector {
            None => (None, None),
            Some(Selector::Digest(digest)) => (self.tag.clone(), Some(digest.clone())),
            Some(Selector::Name(name)) => {
                let (name, digest) = name.apart();
                (Some(name), digest)
            }
        }
    }
}

impl FromStr for Location {
    type Err = LocationError;

    /// Reads a place. What begins with its kind, `oci:` or `oci-archive:`, is a layout; so is a plain path: one
    /// that begins with `/`, `./`, `../` or `~/`, that ends as archives do, or at which a layout lies. All
    /// else is a reference, and `docker://` says so where a layout has the same name.
    fn from_str(text: &str) -> Result<Self, LocationError> {
        if text == "-" {
            return Ok(Self::at(PlaceKind::Archive(text.into())));
        }
        match layout(text) {
            Some(layout) => Ok(layout.map_err(LocationError::Layout)?.into()),
            None => in_registry(text),
        }
    }
}

impl From<LayoutPlace> for Location {
    fn from(layout: LayoutPlace) -> Self {
        let path = PathBuf::from(layout.path);
        let place = match layout.kind {
            LayoutKind::Directory => PlaceKind::Directory(path),
            LayoutKind::Archive => PlaceKind::Archive(path),
        };
        Self { place, selector: layout.selector, tag: None }
    }
}

/// What can be listed: a place, or a whole registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listable {
    /// A place.
    Place(Location),
    /// Host, and port if it has one.
    Registry(String),
}

impl FromStr for Listable {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        if layout(text).is_some() || explain(text).is_some() {
            return text.parse().map(Self::Place);
        }
        let host = text.strip_prefix("docker://").unwrap_or(text).trim_end_matches('/');
        // `alpine:3` is a tag, as elsewhere: only what looks like a host is one.
        let (name, port) = host.rsplit_once(':').unwrap_or((host, "0"));
        let is_host = name.eq_ignore_ascii_case("localhost") || name.contains(['.', ':']);
        if is_host && port.parse::<u16>().is_ok() && !host.contains('/') {
            return Ok(Self::Registry(host.to_ascii_lowercase()));
        }
        if host.split_once("://").is_some_and(|(_, rest)| !rest.contains('/')) {
            return self::host(text).map(Self::Registry);
        }
        text.parse().map(Self::Place)
    }
}

/// Reads a text that begins with no kind of layout: a reference, unless something speaks against it.
fn in_registry(text: &str) -> Result<Location, LocationError> {
    if let Some(explained) = explain(text) {
        return Err(explained);
    }
    let reference = Reference::from_docker_name(text)?;
    let named = text.strip_prefix("docker://").unwrap_or(text);
    let place = PlaceKind::Registry(InRegistry {
        host: reference.registry().to_owned(),
        repository: reference.repository().clone(),
        is_short: named.parse::<Reference>().is_err(),
    });
    let tag = reference.tag().map(|tag| Name::new(tag.as_str()));
    let (selector, tag) = match reference.digest() {
        Some(digest) => (Some(Selector::Digest(digest.clone())), tag),
        None => (tag.map(Selector::Name), None),
    };
    Ok(Location { place, selector, tag })
}

/// Says what to write instead of a text that names no place, or most likely not the one that was
/// meant.
fn explain(text: &str) -> Option<LocationError> {
    let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
    let (scheme, rest) = (scheme.to_owned(), rest.to_owned());
    Some(match &*scheme {
        "dir" => LocationError::SkopeoDirectory,
        "docker-archive" => LocationError::DockerArchive,
        "docker-daemon" | "containers-storage" => LocationError::ImageStore { scheme },
        "ocidir" | "oci-dir" | "oci-layout" | "layout" => {
            LocationError::DirectoryScheme { scheme, rest }
        }
        "file" | "tar" | "archive" | "oci-tar" => LocationError::ArchiveScheme { scheme },
        _ if rest.starts_with("//") => return None,
        _ => return explain_existing(text),
    })
}

/// Reads the host of a registry, and its port if it has one.
///
/// # Errors
///
/// It begins as a URL does.
pub fn host(text: &str) -> Result<String, LocationError> {
    match text.split_once("://") {
        None => Ok(text.to_ascii_lowercase()),
        Some((scheme, rest)) => Err(LocationError::UrlAsHost {
            text: text.to_owned(),
            scheme: scheme.to_owned(),
            host: rest.split('/').next().unwrap_or_default().to_ascii_lowercase(),
        }),
    }
}

/// Reads a layout as it is typed, by its kind or by its plain path; `None` if the text means none.
///
/// # Errors
///
/// What is wrong with the text, in words.
pub fn layout(text: &str) -> Option<Result<LayoutPlace, String>> {
    LayoutPlace::parse_where(text, exists).or_else(|| plain_path(text))
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

/// Reads a layout by its plain path, with what is selected in it behind; `None` if the text is none.
fn plain_path(text: &str) -> Option<Result<LayoutPlace, String>> {
    // Who writes `localhost:5000/app` means a registry, whatever lies here by that name.
    if !is_path(text) && !is_named_archive(text) && has_port(text) {
        return None;
    }
    // Where the path ends does not depend on the kind.
    let split = LayoutPlace::parse_where(&format!("oci:{text}"), exists)?;
    let path = match &split {
        Ok(layout) => layout.path.as_str(),
        Err(_) => text.split(':').next().unwrap_or_default(),
    };
    // The `:` is part of a new archive's name where it ends only behind that as archives do.
    if is_path(path) && !is_named_archive(path) && is_named_archive(text) && !exists(path) {
        let path = text.to_owned();
        return Some(Ok(LayoutPlace { kind: LayoutKind::Archive, path, selector: None }));
    }
    let kind = kind_of(path)?;
    Some(split.map(|layout| LayoutPlace { kind, ..layout }))
}

/// Tells whether a text begins with a host and its port, and goes on behind them.
fn has_port(text: &str) -> bool {
    let host = text.split_once('/').and_then(|(host, _)| host.rsplit_once(':'));
    host.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// Returns the kind of layout that is meant by a path: what lies there, or is named as such files are.
fn kind_of(path: &str) -> Option<LayoutKind> {
    let (is_path, is_named_archive) = (is_path(path), is_named_archive(path));
    let on_disk = Path::new(path);
    if on_disk.is_dir() {
        let is_layout =
            || on_disk.join("oci-layout").exists() || on_disk.join("index.json").exists();
        return (is_path || is_layout()).then_some(LayoutKind::Directory);
    }
    if on_disk.is_file() {
        return (is_path || is_named_archive || is_archive(on_disk)).then_some(LayoutKind::Archive);
    }
    match (is_named_archive, is_path) {
        (true, _) => Some(LayoutKind::Archive),
        (false, true) => Some(LayoutKind::Directory),
        (false, false) => None,
    }
}

/// Tells whether a text begins as a path does, and no reference.
fn is_path(text: &str) -> bool {
    ["/", "./", "../", "~/"].iter().any(|begin| text.starts_with(begin))
        || [".", "..", "~"].contains(&text)
}

/// Tells whether a path ends as those of archives do, in whichever case.
fn is_named_archive(path: &str) -> bool {
    const ARCHIVES: [&str; 8] =
        [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.xz", ".tar.bz2", ".tar.lz4"];
    let path = path.to_ascii_lowercase();
    ARCHIVES.iter().any(|end| path.ends_with(end))
}

/// Tells whether a file begins as archives do, plain or compressed.
pub fn is_archive(path: &Path) -> bool {
    /// Where a tar archive says what it is.
    const MAGIC: usize = 257;
    let mut begin = [0; MAGIC + 5];
    // A pipe is no file, so that nothing is waited for.
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut begin));
    let starts = |magic: &[u8]| begin.starts_with(magic);
    starts(&[0x1f, 0x8b])
        || starts(&[0x28, 0xb5, 0x2f, 0xfd])
        || (read.is_ok() && begin[MAGIC..] == *b"ustar")
}

/// Says what to write for what is a directory or a file here, but no layout: neither is plainly meant.
fn explain_existing(text: &str) -> Option<LocationError> {
    let path = text.split([':', '@']).next().unwrap_or_default();
    let is_short = !text.contains('/');
    let not_an_archive = |path: &str| {
        let (path, text) = (path.to_owned(), text.to_owned());
        LocationError::NotAnArchive { path, text }
    };
    if is_short && Path::new(path).is_dir() {
        let (path, text) = (path.to_owned(), text.to_owned());
        return Some(LocationError::NotALayout { path, text });
    }
    if Path::new(text).is_file() {
        return Some(not_an_archive(text));
    }
    (is_short && Path::new(path).is_file()).then(|| not_an_archive(path))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            PlaceKind::Archive(path) => write!(f, "oci-archive:{}", path.display())?,
            PlaceKind::Directory(path) => write!(f, "oci:{}", path.display())?,
            PlaceKind::Registry(InRegistry { host, repository, .. }) => {
                write!(f, "{host}/{repository}")?;
            }
        }
        match &self.selector {
            None => Ok(()),
            Some(Selector::Name(name)) => write!(f, ":{name}"),
            Some(Selector::Digest(digest)) => {
                if let Some(tag) = &self.tag {
                    write!(f, ":{tag}")?;
                }
                write!(f, "@{digest}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Option<String>) {
        let location: Location = text.parse().unwrap();
        assert_eq!(location.to_string(), text);
        let path = location.path().unwrap().display().to_string();
        (path, location.selector.map(|selector| selector.to_string()))
    }

    #[test]
    fn a21_a_name_may_be_a_full_reference() {
        let digest = Digest::sha256("");
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parsed("oci:dir"), ("dir".into(), None));
        assert_eq!(parsed("oci:/a/b:v1"), ("/a/b".into(), some("v1")));
        assert_eq!(
            parsed("oci:dir:localhost:5000/x:1"),
            ("dir".into(), some("localhost:5000/x:1"))
        );
        assert_eq!(parsed(&format!("oci:dir@{digest}")), ("dir".into(), Some(digest.to_string())));
        let both = format!("docker.io/library/alpine:3.20@{digest}");
        assert_eq!(parsed(&format!("oci-archive:a.tar:{both}")), ("a.tar".into(), Some(both)));
        assert_eq!(parsed("oci:/data/me@home/x:v1"), ("/data/me@home/x".into(), some("v1")));
    }

    #[test]
    fn the_kind_of_a_plain_path_may_be_left_away() {
        for (text, shown) in [
            ("new.tar", "oci-archive:new.tar"),
            ("/media/stick/new.tar.zst:app", "oci-archive:/media/stick/new.tar.zst:app"),
            ("./a.tar@SHA", "oci-archive:./a.tar@SHA"),
            ("./new", "oci:./new"),
            ("../new:app", "oci:../new:app"),
            ("/srv/x@SHA", "oci:/srv/x@SHA"),
            ("./src:ghcr.io/acme/app:1", "oci:./src:ghcr.io/acme/app:1"),
            ("oci:new", "oci:new"),
            ("alpine:3.20", "docker.io/library/alpine:3.20"),
        ] {
            let [text, shown] =
                [text, shown].map(|text| text.replace("SHA", &Digest::sha256("").to_string()));
            assert_eq!(text.parse::<Location>().unwrap().to_string(), shown, "{text}");
        }
        assert!("dir:x".parse::<Location>().is_err());
    }

    #[test]
    fn references_are_places_with_docker_s_short_names() {
        let digest = Digest::sha256("");
        for (text, shown, is_short) in [
            ("alpine:3.20", "docker.io/library/alpine:3.20", true),
            ("docker://alpine", "docker.io/library/alpine", true),
            ("ghcr.io/acme/app:v1", "ghcr.io/acme/app:v1", false),
            ("localhost:5000/app", "localhost:5000/app", false),
            (
                &format!("ghcr.io/acme/app:v1@{digest}"),
                &format!("ghcr.io/acme/app:v1@{digest}"),
                false,
            ),
        ] {
            let location: Location = text.parse().unwrap();
            assert_eq!(location.to_string(), shown);
            let PlaceKind::Registry(found) = location.place else { panic!("{text} is a registry") };
            assert_eq!(found.is_short, is_short, "{text}");
        }
    }

    #[test]
    fn a_host_alone_is_a_registry_to_be_listed() {
        let registry = |text: &str| matches!(text.parse(), Ok(Listable::Registry(_)));
        for text in
            ["ghcr.io", "localhost:5000", "localhost", "127.0.0.1:5000", "docker://ghcr.io/"]
        {
            assert!(registry(text), "{text}");
        }
        for text in ["alpine:3", "alpine", "ghcr.io/acme/app", "localhost:latest", "oci:dir"] {
            assert!(!registry(text), "{text}");
        }
    }
}
