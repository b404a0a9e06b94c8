//! References: where in which registry something is.

mod names;

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

pub use self::names::{RepositoryName, Tag, host_as_path};
use crate::Digest;

/// What a registry calls something: `HOST/REPOSITORY[:TAG][@DIGEST]`.
///
/// Parsing is strict: the text begins with a host, which has a `.` or a `:` or is `localhost`, and
/// nothing is added or rewritten, except that the host becomes lower case and a leading
/// `docker://` goes. [`Reference::from_docker_name`] reads the short names that Docker knows.
///
/// A reference without tag and digest names a repository. No tag is ever assumed silently; see
/// [`Reference::tag_or_latest`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: Box<str>,
    repository: RepositoryName,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

/// Why a string is no reference, tag or repository name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", self.fault(), self.instead.iter().map(|it| format!("; write `{it}`")).collect::<String>())]
pub struct ReferenceError {
    wanted: &'static str,
    text: String,
    reason: String,
    /// What was meant, if that is plain.
    instead: Option<String>,
}

/// The name under which Docker Hub appears in references.
const DOCKER_HUB: &str = "docker.io";
/// Hosts that serve Docker Hub and stand for it in references.
const DOCKER_HUB_HOSTS: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

impl Reference {
    /// Returns the reference that Docker takes `text` for.
    ///
    /// Without a host it is on Docker Hub, and there a name of one part is one of `library`:
    /// `alpine` is `docker.io/library/alpine`, `user/app` is `docker.io/user/app`. The hosts
    /// `index.docker.io` and `registry-1.docker.io` become `docker.io`.
    ///
    /// Docker also takes `localhost:5000` for a tag of an image on Docker Hub. Whoever writes a host
    /// alone means that registry, so that is an error.
    pub fn from_docker_name(text: &str) -> Result<Self, ReferenceError> {
        let error = |reason: String| ReferenceError::of_reference(text, reason);
        let parts = Parts::of(text).map_err(error)?;
        if parts.host.is_none() && is_image_id(parts.path) {
            return Err(error(
                "it is an image id, which only a Docker daemon can look up".to_owned(),
            ));
        }
        let registry = parts.registry().map_err(error)?.unwrap_or_else(|| DOCKER_HUB.into());
        let on_hub = &*registry == DOCKER_HUB || DOCKER_HUB_HOSTS.contains(&&*registry);
        let registry = if on_hub { DOCKER_HUB.into() } else { registry };
        let repository = if on_hub && !parts.path.contains('/') && !parts.path.is_empty() {
            format!("library/{}", parts.path)
        } else {
            parts.path.to_owned()
        };
        parts.assemble(registry, &repository).map_err(error)
    }

    /// Returns the shortest text that Docker takes for this reference: `docker.io/library/alpine:3.20` is
    /// `alpine:3.20`. It is the inverse of [`Reference::from_docker_name`].
    pub fn docker_name(&self) -> String {
        let full = self.to_string();
        let Some(path) = full.strip_prefix(DOCKER_HUB).and_then(|path| path.strip_prefix('/'))
        else {
            return full;
        };
        let short = path.strip_prefix("library/").unwrap_or(path);
        // What is short enough to look like a host, or would be looked for in `library`, stays long.
        let means_this = |text: &&str| Self::from_docker_name(text).is_ok_and(|it| it == *self);
        [short, path].into_iter().find(means_this).map_or(full.clone(), ToOwned::to_owned)
    }

    /// Returns the host and, if one is given, the port: `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the repository.
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// Returns the tag, if one is given.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// Returns the digest, if one is given. It decides; a tag beside it is only information.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Returns the tag, or `latest` if none is given. Only for a reference without digest.
    pub fn tag_or_latest(&self) -> Tag {
        self.tag.clone().unwrap_or_else(Tag::latest)
    }

    /// Returns the same place under another tag or none.
    #[must_use]
    pub fn with_tag(self, tag: Option<Tag>) -> Self {
        Self { tag, ..self }
    }

    /// Returns the same place with another digest or none.
    #[must_use]
    pub fn with_digest(self, digest: Option<Digest>) -> Self {
        Self { digest, ..self }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let error = |reason: String| ReferenceError::of_reference(text, reason);
        let parts = Parts::of(text).map_err(error)?;
        let Some(registry) = parts.registry().map_err(error)? else {
            let example = Self::from_docker_name(text)
                .map_or_else(|_| "docker.io/library/alpine".to_owned(), |meant| meant.to_string());
            return Err(error(format!("it does not begin with a registry, as `{example}` does")));
        };
        let repository = parts.path;
        parts.assemble(registry, repository).map_err(error)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ReferenceError {
    pub(crate) fn new(wanted: &'static str, text: &str, reason: String) -> Self {
        Self { wanted, text: text.to_owned(), reason, instead: None }
    }

    /// Returns what is wrong, without what to write instead.
    pub fn fault(&self) -> String {
        format!("`{}` is not a {}: {}", self.text, self.wanted, self.reason)
    }

    /// Returns why the text is none.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns what was meant, if that is plain: the same in lower case, without `https://`, or with a
    /// repository behind its host.
    pub fn instead(&self) -> Option<&str> {
        self.instead.as_deref()
    }

    /// Returns the error of a reference; says what to write where a scheme or upper case is all that is
    /// wrong.
    fn of_reference(text: &str, reason: String) -> Self {
        let mut error = Self::new("reference", text, reason);
        // This one is read.
        let text = text.strip_prefix("docker://").unwrap_or(text);
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest.trim_end_matches('/')),
            None => (None, text),
        };
        let (mut faults, mut instead) = (Vec::new(), rest.to_owned());
        faults.extend(scheme.map(|scheme| format!("it begins with `{scheme}://`")));
        if let Some(host) = host_alone(rest) {
            faults.push("a repository is missing after the host".to_owned());
            error.reason = faults.join(", and ");
            error.instead = Some(format!("{}/REPOSITORY", host.to_ascii_lowercase()));
            return error;
        }
        if let Some(lower) = in_lower_case(rest) {
            faults.push("a repository has no upper-case letters".to_owned());
            instead = lower;
        }
        if !faults.is_empty() && Reference::from_docker_name(&instead).is_ok() {
            (error.reason, error.instead) = (faults.join(", and "), Some(instead));
        }
        error
    }
}

/// Returns a reference with its repository in lower case, if that is something else. A tag may have
/// upper case, and stays.
fn in_lower_case(text: &str) -> Option<String> {
    let (name, digest) = text.find('@').map_or((text, ""), |at| text.split_at(at));
    let first = name.find('/').filter(|at| is_host(&name[..*at])).unwrap_or(0);
    let tag = name[first..].rfind(':').map_or(name.len(), |at| first + at);
    let (path, tag) = name.split_at(tag);
    let lower = path.to_ascii_lowercase();
    (lower[first..] != path[first..]).then(|| format!("{lower}{tag}{digest}"))
}

/// A reference cut at its separators; of the parts only the digest is checked. The errors of its
/// functions are reasons, to follow the colon of a [`ReferenceError`].
struct Parts<'a> {
    host: Option<&'a str>,
    path: &'a str,
    tag: Option<&'a str>,
    digest: Option<Digest>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, String> {
        let text = text.strip_prefix("docker://").unwrap_or(text);
        if let Some((scheme, rest)) = text.split_once("://") {
            return Err(format!("it begins with `{scheme}://`, and `{rest}` is none either"));
        }
        let (name, digest) = match text.split_once('@') {
            None => (text, None),
            Some((name, digest)) => {
                (name, Some(digest.parse().map_err(|error| format!("{error}"))?))
            }
        };
        if host_alone(name).is_some() {
            return Err("a repository is missing after the host".to_owned());
        }
        let (host, rest) = match name.split_once('/') {
            Some((first, rest)) if is_host(first) => (Some(first), rest),
            _ => (None, name),
        };
        // A `:` before a `/` cannot begin a tag; left in the path, it is reported as part of the name.
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (rest, None),
        };
        Ok(Self { host, path, tag, digest })
    }

    fn registry(&self) -> Result<Option<Box<str>>, String> {
        let Some(host) = self.host else { return Ok(None) };
        match host_fault(host) {
            None => Ok(Some(host.to_ascii_lowercase().into())),
            Some(fault) => Err(format!("the host `{}` {fault}", host.escape_debug())),
        }
    }

    fn assemble(self, registry: Box<str>, repository: &str) -> Result<Reference, String> {
        let reason = |error: ReferenceError| error.to_string();
        Ok(Reference {
            registry,
            repository: repository.parse().map_err(reason)?,
            tag: self.tag.map(str::parse).transpose().map_err(reason)?,
            digest: self.digest,
        })
    }
}

/// Tells whether the first part of a name is a host and not a part of a repository name, by
/// Docker's rule.
fn is_host(text: &str) -> bool {
    text.contains(['.', ':']) || text.eq_ignore_ascii_case("localhost")
}

/// Returns the host, and its port if it has one, that is all of a name: `localhost:5000` or `ghcr.io/`.
/// A name with neither dot nor port may be an image, and so may `name:tag`.
fn host_alone(name: &str) -> Option<&str> {
    let text = name.split('@').next().unwrap_or_default();
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_host = host.eq_ignore_ascii_case("localhost")
        || (host.contains('.') && name_fault(host).is_none())
        || (host.starts_with('[') && host.ends_with(']'));
    let is_alone =
        is_host && !text.contains('/') && port.is_none_or(|port| port_fault(port).is_none());
    is_alone.then_some(text)
}

/// Docker refuses 64 hex digits as a name, since they are the id of an image.
fn is_image_id(text: &str) -> bool {
    const HEX_DIGITS: usize = 64;
    text.len() == HEX_DIGITS
        && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Says what is wrong with `text` as `HOST[:PORT]`, to follow "the host".
fn host_fault(text: &str) -> Option<&'static str> {
    // The last `:` begins the port, unless it stands in the brackets of an IPv6 address.
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let fault = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => {
            address.parse::<Ipv6Addr>().err().map(|_| "has no IPv6 address in its brackets")
        }
        None if name.contains([':', '[', ']']) => {
            Some("has too many `:`; put an IPv6 address in brackets, as in `[::1]:5000`")
        }
        None => name_fault(name),
    };
    fault.or_else(|| port.and_then(port_fault))
}

fn name_fault(name: &str) -> Option<&'static str> {
    let legal = |label: &str| label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if name.split('.').any(str::is_empty) {
        Some("has nothing before, between or after its dots")
    } else if !name.split('.').all(legal) {
        Some("may hold only letters, digits, `-` and `.`")
    } else if name.split('.').any(|label| label.starts_with('-') || label.ends_with('-')) {
        Some("has a `-` next to a dot or an end")
    } else {
        None
    }
}

fn port_fault(port: &str) -> Option<&'static str> {
    let number = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse::<u16>());
    match number {
        Some(Ok(1..)) => None,
        _ => Some("has no port after its `:`; write a number from 1 to 65535"),
    }
}

/// Reads and writes values as the strings that they parse from and print as.
macro_rules! serde_as_text {
    ($($name:ty),*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
pub(crate) use serde_as_text;

serde_as_text!(Reference);
