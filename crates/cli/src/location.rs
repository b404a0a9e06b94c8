//! Places as they are typed, and what is behind them.

use std::cmp::Reverse;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use longshore_layout::{Archive, ArchiveOptions, Directory, View};
use longshore_spec::{Digest, Reference};
use longshore_store::{Place as _, Repository as _, Result, Root, Selector, Source as _};

use crate::args::Reading;
use crate::problem::{Exit, Problem};

/// A place as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    pub(crate) selector: Option<Selector>,
}

/// What a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    Archive,
}

impl Location {
    /// Tells whether the place is stdin or stdout.
    pub(crate) fn is_pipe(&self) -> bool {
        self.kind == Kind::Archive && self.path == Path::new("-")
    }

    /// Returns the place without what is selected in it.
    pub(crate) fn whole(&self) -> Self {
        Self { selector: None, ..self.clone() }
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = match text.split_once(':') {
            None if text == "-" => (Kind::Archive, text),
            Some(("oci", rest)) if is_host(rest) => return Err(explain(text)),
            Some(("oci", rest)) => (Kind::Directory, rest),
            Some(("oci-archive", rest)) => (Kind::Archive, rest),
            _ => return Err(explain(text)),
        };
        let (path, selector) = split(rest)?;
        if path.is_empty() {
            return Err(format!("`{text}` names no path; write {}", example(kind)));
        }
        Ok(Self { kind, path: path.into(), selector })
    }
}

/// Splits a path from what is selected at it: a digest after `@`, or a name after the first `:`.
fn split(rest: &str) -> Result<(&str, Option<Selector>), String> {
    let at = rest.find('@').filter(|at| {
        rest[at + 1..].parse::<Digest>().is_ok_and(|digest| digest.hasher().is_some())
    });
    let colon = rest.find(':');
    if let Some(at) = at
        && colon.is_none_or(|colon| colon > at)
    {
        let digest = rest[at + 1..].parse().map_err(|error| format!("{error}"))?;
        return Ok((&rest[..at], Some(Selector::Digest(digest))));
    }
    match colon {
        None => Ok((rest, None)),
        Some(colon) if colon + 1 == rest.len() => {
            Err(format!("`{rest}` names nothing behind its `:`; leave the `:` away, or add a name"))
        }
        Some(colon) => match &rest[colon + 1..] {
            bad if bad.chars().any(|c| c.is_control() || c.is_whitespace()) => {
                Err(format!("`{bad}` is not a name: it holds white space or control characters"))
            }
            name => Ok((&rest[..colon], Some(Selector::Name(name.into())))),
        },
    }
}

/// Tells whether what follows `oci:` begins as a URL does, which `//` and a host make.
fn is_host(rest: &str) -> bool {
    rest.strip_prefix("//").is_some_and(|rest| !rest.starts_with('/'))
}

/// Says what to write instead of a text that names no place.
fn explain(text: &str) -> String {
    const NO_REGISTRIES: &str =
        "and this version copies between layouts only; write `oci:DIR` or `oci-archive:FILE`";
    let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
    match scheme {
        "dir" => {
            return "`dir:` directories of skopeo lose names and types; copy to `oci:DIR` with skopeo first".to_owned();
        }
        "docker-archive" => {
            return "`docker-archive:` files are no OCI layouts; `docker save` of Docker 25 and newer, or \
                    `skopeo copy docker-archive:FILE oci:DIR`, makes one"
                .to_owned();
        }
        "docker-daemon" | "containers-storage" => {
            return format!(
                "`{scheme}:` cannot be read; write `oci-archive:FILE` after `docker save -o FILE IMAGE` \
                 or `podman save --format oci-archive -o FILE IMAGE`"
            );
        }
        "docker" | "http" | "https" | "oci" | "registry" => {
            return format!("`{text}` is a registry, {NO_REGISTRIES}");
        }
        "ocidir" | "oci-dir" | "oci-layout" | "layout" => {
            return format!(
                "`{scheme}:` is no kind of place; write `oci:{}`",
                rest.trim_start_matches('/')
            );
        }
        "file" | "tar" | "archive" | "oci-tar" => {
            return format!(
                "`{scheme}:` is no kind of place; write `oci-archive:FILE`, or `oci:DIR` for a directory"
            );
        }
        _ => {}
    }
    // What is there, or is named as such files are, was meant by a path without its kind.
    let path = Path::new(scheme);
    let names = [".tar", ".tar.gz", ".tgz", ".tar.zst"];
    if path.is_dir() {
        format!("`{text}` does not say what kind of place it is; write `oci:{text}`")
    } else if path.is_file() || names.iter().any(|end| scheme.ends_with(end)) {
        format!("`{text}` does not say what kind of place it is; write `oci-archive:{text}`")
    } else if text.parse::<Reference>().is_ok() {
        format!("`{text}` is a registry, {NO_REGISTRIES}")
    } else {
        let [directory, archive] = [Kind::Directory, Kind::Archive].map(example);
        format!("`{text}` does not say what kind of place it is; write {directory} or {archive}")
    }
}

fn example(kind: Kind) -> &'static str {
    match kind {
        Kind::Directory => "`oci:DIR[:REF]`",
        Kind::Archive => "`oci-archive:FILE[:REF]`",
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Directory => "oci",
            Kind::Archive => "oci-archive",
        };
        write!(f, "{scheme}:{}", self.path.display())?;
        match &self.selector {
            None => Ok(()),
            Some(Selector::Name(name)) => write!(f, ":{name}"),
            Some(Selector::Digest(digest)) => write!(f, "@{digest}"),
        }
    }
}

/// A layout that is read.
#[derive(Debug)]
pub(crate) enum Layout {
    Directory(Directory),
    Archive(Archive),
}

impl Layout {
    /// Opens what a location leads to.
    pub(crate) fn open(location: &Location, reading: &Reading) -> Result<Self, Problem> {
        if location.is_pipe() {
            let hint = "save it to a file first: content is read from any offset".to_owned();
            return Err(
                Problem::new(Exit::Usage, "an archive cannot be read from a pipe").hint(hint)
            );
        }
        let opened = match location.kind {
            Kind::Directory => Directory::open(&location.path).map(Self::Directory),
            Kind::Archive => {
                let scratch = reading.scratch.clone().or_else(|| Some(std::env::temp_dir()));
                Archive::open(&location.path, &ArchiveOptions { scratch }).map(Self::Archive)
            }
        };
        opened.map_err(Problem::of)
    }

    /// Returns all of the layout.
    pub(crate) fn whole(&self) -> View<'_> {
        match self {
            Self::Directory(directory) => directory.whole(),
            Self::Archive(archive) => archive.whole(),
        }
    }

    /// Makes durable what was changed.
    pub(crate) fn commit(&self) -> Result<()> {
        match self {
            Self::Directory(directory) => directory.commit(true),
            Self::Archive(_) => Ok(()),
        }
    }

    /// Returns the digest of every blob that is stored.
    pub(crate) fn stored(&self) -> Result<Vec<Digest>> {
        match self {
            Self::Directory(directory) => directory.stored(),
            Self::Archive(archive) => Ok(archive.stored()),
        }
    }

    /// Returns the one root that a location selects: by name or digest, or the only one there is.
    pub(crate) fn select(&self, location: &Location) -> Result<Root, Problem> {
        let view = self.whole();
        let Some(selector) = &location.selector else { return self.only(location) };
        match view.head(selector) {
            Ok(descriptor) => {
                let names = match selector {
                    Selector::Name(name) => {
                        let listed = view.roots().map_err(Problem::of)?;
                        let same = listed.into_iter().find(|root| root.descriptor == descriptor);
                        same.map_or_else(|| vec![name.clone()], |root| root.names)
                    }
                    Selector::Digest(_) => Vec::new(),
                };
                Ok(Root { descriptor, names })
            }
            Err(error) if error.is_not_found() => {
                let text = format!("`{selector}` is not in {}", location.whole());
                Err(Problem::new(Exit::Failed, text).hint(self.names_hint(location)))
            }
            Err(error) => Err(Problem::of(error).because(Exit::Failed)),
        }
    }

    /// Returns the only root that there is, or the only one that has a name.
    fn only(&self, location: &Location) -> Result<Root, Problem> {
        let mut roots = self.whole().roots().map_err(Problem::of)?;
        if roots.is_empty() {
            let hint = "it is empty: check the path, or copy something to it first";
            return Err(Problem::new(Exit::Usage, format!("{location} lists nothing")).hint(hint));
        }
        if roots.len() > 1 {
            roots.retain(|root| !root.names.is_empty());
        }
        match <[Root; 1]>::try_from(roots) {
            Ok([root]) => Ok(root),
            Err(roots) if roots.is_empty() => {
                let text = format!("{location} lists nothing that has a name");
                let hint = format!(
                    "`longshore list --all {location}` shows digests; write `{location}@DIGEST`"
                );
                Err(Problem::new(Exit::Usage, text).hint(hint))
            }
            Err(roots) => {
                let text = format!(
                    "{location} lists {} artifacts, and does not say which is meant",
                    roots.len()
                );
                let hint = format!("write `{location}:NAME`; {}", self.names_hint(location));
                Err(Problem::new(Exit::Usage, text).hint(hint))
            }
        }
    }

    fn names_hint(&self, location: &Location) -> String {
        const SHOWN: usize = 5;
        let mut names = self.whole().names().unwrap_or_default();
        if names.is_empty() {
            let whole = location.whole();
            return format!("it has no names; `longshore list --all {whole}` shows digests");
        }
        // What begins alike was meant, most likely.
        if let Some(Selector::Name(asked)) = &location.selector {
            names.sort_by_key(|name| Reverse(alike(name.as_str(), asked.as_str())));
        }
        let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
        let more = if names.len() > SHOWN {
            format!(" and {} more", names.len() - SHOWN)
        } else {
            String::new()
        };
        let whole = location.whole();
        format!("it has {}{more}; `longshore list {whole}` shows all", shown.join(", "))
    }
}

/// Returns how many letters two names have in common before they differ.
fn alike(one: &str, other: &str) -> usize {
    let pairs = one.bytes().zip(other.bytes());
    pairs.take_while(|(one, other)| one.eq_ignore_ascii_case(other)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Option<String>) {
        let location: Location = text.parse().unwrap();
        assert_eq!(location.to_string(), text);
        (
            location.path.display().to_string(),
            location.selector.map(|selector| selector.to_string()),
        )
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
    fn what_is_no_place_is_told_what_to_write() {
        for (text, told) in [
            ("oci:", "names no path"),
            ("oci:dir:", "leave the `:` away"),
            ("oci:dir:a b", "white space"),
            ("dir:x", "skopeo"),
            ("docker-archive:x", "docker save"),
            ("docker-daemon:x", "docker save"),
            ("docker://alpine", "registry"),
            ("oci://ghcr.io/acme/app", "registry"),
            ("ghcr.io/acme/app:v1", "registry"),
            ("alpine:3.20", "oci:DIR"),
            ("https://ghcr.io/acme/app", "registry"),
            ("ocidir://site:app", "write `oci:site:app`"),
            ("new.tar:app", "write `oci-archive:new.tar:app`"),
            ("src:app", "write `oci:src:app`"),
            ("nonsense", "does not say what kind"),
        ] {
            let error = text.parse::<Location>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
