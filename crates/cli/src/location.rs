//! Places as they are typed, and what is behind them.

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
        Some(colon) if colon + 1 == rest.len() => Err(format!(
            "`{rest}` ends with `:`, but names nothing behind it; leave the `:` away or add a name"
        )),
        Some(colon) => match &rest[colon + 1..] {
            bad if bad.chars().any(|c| c.is_control() || c.is_whitespace()) => {
                Err(format!("`{bad}` is not a name: it holds white space or control characters"))
            }
            name => Ok((&rest[..colon], Some(Selector::Name(name.into())))),
        },
    }
}

/// Says what to write instead of a text that names no place.
fn explain(text: &str) -> String {
    let path = Path::new(text);
    let scheme = text.split(':').next().unwrap_or(text);
    match scheme {
        "dir" => "`dir:` directories of skopeo lose names and types; copy to `oci:DIR` with skopeo first".to_owned(),
        "docker-archive" => {
            "`docker-archive:` files are no OCI layouts; `docker save` of Docker 25 and newer, or \
             `skopeo copy docker-archive:FILE oci:DIR`, makes one"
                .to_owned()
        }
        "docker-daemon" => "`docker-daemon:` cannot be read; run `docker save -o FILE IMAGE` and use `oci-archive:FILE`".to_owned(),
        _ if path.join("oci-layout").exists() => format!("`{text}` names no kind of place; write `oci:{text}`"),
        _ if path.is_file() => format!("`{text}` names no kind of place; write `oci-archive:{text}`"),
        _ if scheme == "docker" || text.parse::<Reference>().is_ok() => {
            format!("`{text}` is a registry, and this version copies between layouts only: oci:DIR and oci-archive:FILE")
        }
        _ => format!("`{text}` is not a place; write {} or {}", example(Kind::Directory), example(Kind::Archive)),
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
                Err(Problem::of(error).because(Exit::Failed).hint(self.names_hint(location)))
            }
            Err(error) => Err(Problem::of(error).because(Exit::Failed)),
        }
    }

    /// Returns the only root that there is, or the only one that has a name.
    fn only(&self, location: &Location) -> Result<Root, Problem> {
        let mut roots = self.whole().roots().map_err(Problem::of)?;
        if roots.len() > 1 {
            roots.retain(|root| !root.names.is_empty());
        }
        match <[Root; 1]>::try_from(roots) {
            Ok([root]) => Ok(root),
            Err(roots) if roots.is_empty() => {
                let text = format!("{location} lists nothing that could be meant");
                Err(Problem::new(Exit::Usage, text)
                    .hint(format!("see `longshore list --all {location}`, and name a digest")))
            }
            Err(roots) => {
                let text = format!("{location} lists {} artifacts, and none is named", roots.len());
                Err(Problem::new(Exit::Usage, text).hint(self.names_hint(location)))
            }
        }
    }

    fn names_hint(&self, location: &Location) -> String {
        const SHOWN: usize = 5;
        let names = self.whole().names().unwrap_or_default();
        if names.is_empty() {
            return format!("it has no names; see `longshore list --all {}`", location.whole());
        }
        let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
        let more = if names.len() > SHOWN {
            format!(" and {} more", names.len() - SHOWN)
        } else {
            String::new()
        };
        format!("it has {}{more}; see `longshore list {}`", shown.join(", "), location.whole())
    }
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
            ("oci:dir:", "ends with `:`"),
            ("oci:dir:a b", "white space"),
            ("dir:x", "skopeo"),
            ("docker-archive:x", "docker save"),
            ("docker-daemon:x", "docker save"),
            ("docker://alpine", "registry"),
            ("ghcr.io/acme/app:v1", "registry"),
            ("nonsense", "is not a place"),
        ] {
            let error = text.parse::<Location>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
