//! The values that arguments have, as they are typed.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::net::{Ipv6Addr, SocketAddr};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use longshore::location::{Location, PlaceKind};
use longshore_bundle::{Choice, FAT32};
use longshore_remote::credentials::Credential;
use longshore_remote::{Rate, Secret};
use longshore_spec::{Reference, ReferenceError, RepositoryName};

use crate::location;
use crate::problem::Mistake;
use crate::shell;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressForm {
    /// Print lines for a log: at the start, now and then, and at the end
    Plain,
    /// Print events for programs, as JSON, one per line
    Json,
    /// Show nothing
    None,
}

/// What a target is asked for that has an artifact already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unchanged {
    /// Check everything that the artifact refers to
    Closure,
    /// Check nothing more
    Digest,
}

/// What becomes of an index from which platforms were left out.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SparseIndex {
    /// Keep the index and its digest, although some platforms are missing; strict registries refuse it
    Keep,
    /// Remove the missing platforms from the index; its digest changes, so its signatures no longer match
    Strip,
}

/// A shell that completes command lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// Where a bundle goes, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImportDestination {
    Registry {
        host: String,
        /// Host, and what stands before every path there.
        prefix: String,
    },
    Layout(PathBuf),
}

impl FromStr for ImportDestination {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        if let Some(location) = layout(text)? {
            return match (location.place, location.selector) {
                (PlaceKind::Directory(path), None) => Ok(Self::Layout(path)),
                (PlaceKind::Directory(_), Some(_)) => Err(Mistake::new(
                    format!("`{text}` names an artifact, but a bundle keeps its names"),
                    "write `oci:DIR`",
                )),
                _ => Err(Mistake::new(
                    format!("`{text}` cannot be imported to"),
                    "`longshore copy --all` makes an archive of another",
                )),
            };
        }
        let (host, prefix) = registry_prefix(text, "imported to")?;
        Ok(Self::Registry { host, prefix })
    }
}

/// A place that belongs to a site, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SitePlace {
    Layout(Location),
    Registry {
        host: String,
        /// The repository that is meant, with all below it. All of the registry without one.
        repository: Option<RepositoryName>,
    },
}

impl FromStr for SitePlace {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        if let Some(location) = layout(text)? {
            if location.selector.is_some() || location.is_pipe() {
                return Err(Mistake::new(
                    format!(
                        "`{text}` names an artifact, but a receipt says all that a place holds"
                    ),
                    "write `oci:DIR` or `oci-archive:FILE`",
                ));
            }
            return Ok(Self::Layout(location));
        }
        let (host, prefix) = registry_prefix(text, "read")?;
        let path = prefix.get(host.len()..).unwrap_or_default().trim_start_matches('/');
        let repository = match path {
            "" => None,
            path => Some(path.parse().map_err(|error| {
                Mistake::new(
                    format!("`{text}` is not a registry: {error}"),
                    "write `HOST` or `HOST/PREFIX`, without a tag",
                )
            })?),
        };
        Ok(Self::Registry { host, repository })
    }
}

/// Something that says what names stand for, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DiffInput {
    Receipt(PathBuf),
    /// A lock, or the record of a bundle.
    Json(PathBuf),
    Place(SitePlace),
}

impl FromStr for DiffInput {
    type Err = Mistake;

    /// A file is what its first bytes say; all else is a place.
    fn from_str(text: &str) -> Result<Self, Mistake> {
        const RECEIPT: &[u8] = b"longshore receipt ";
        let path = Path::new(text);
        let mut beginning = Vec::new();
        if path.is_file()
            && let Ok(file) = File::open(path)
        {
            // What cannot be read is told when it is opened as a place.
            _ = file.take(RECEIPT.len() as u64).read_to_end(&mut beginning);
        }
        if beginning == RECEIPT {
            Ok(Self::Receipt(path.to_owned()))
        } else if beginning.trim_ascii_start().starts_with(b"{") {
            Ok(Self::Json(path.to_owned()))
        } else {
            text.parse().map(Self::Place)
        }
    }
}

/// Something that says what a site holds, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BaseInput {
    /// A directory of receipts.
    Folder(PathBuf),
    File(DiffInput),
}

impl FromStr for BaseInput {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let path = Path::new(text);
        if path.is_dir() && !path.join("index.json").exists() {
            return Ok(Self::Folder(path.to_owned()));
        }
        match text.parse()? {
            // What a registry holds may change, and a file that is not there looks like a registry.
            DiffInput::Place(SitePlace::Registry { .. }) => Err(Mistake::new(
                format!("`{text}` is no receipt or bundle that is here"),
                "check the path; what a registry holds, `longshore receipt` writes down",
            )),
            input => Ok(Self::File(input)),
        }
    }
}

/// Reads a layout; `None` for a text that may mean a registry.
fn layout(text: &str) -> Result<Option<Location>, Mistake> {
    let location = text.parse::<Location>();
    match location {
        Ok(location) if location.path().is_some() => Ok(Some(location)),
        Err(error) if text.starts_with("oci:") || text.starts_with("oci-archive:") => {
            Err(error.into())
        }
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Reads a registry, or the beginning of names in it: returns its host, and that with what stands before
/// every path. `verb` says in errors what it cannot be.
fn registry_prefix(text: &str, verb: &str) -> Result<(String, String), Mistake> {
    const BELOW: &str = "/x";
    let prefix = text.strip_prefix("docker://").unwrap_or(text).trim_end_matches('/');
    // Whatever stands behind it has to make a reference of it.
    let reference: Reference = format!("{prefix}{BELOW}").parse().map_err(|error| {
        let error: ReferenceError = error;
        let instead = error.instead().filter(|instead| instead.parse::<Reference>().is_ok());
        match instead.and_then(|instead| instead.strip_suffix(BELOW)) {
            Some(instead) => Mistake::new(
                format!("`{text}` cannot be {verb}: {}", error.reason()),
                format!("write `{instead}`"),
            ),
            None => Mistake::new(
                format!("`{text}` is not a registry"),
                "write `HOST`, `HOST/PREFIX`, or `oci:DIR` for a layout",
            ),
        }
    })?;
    let host = reference.registry().to_owned();
    // What is in upper case in the host is the same host.
    let prefix = format!("{host}{}", prefix.get(host.len()..).unwrap_or_default());
    Ok((host, prefix))
}

/// An address to listen on, as it is typed: `HOST:PORT`, where HOST may be empty for all addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl FromStr for Listen {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { host: address.ip().to_string(), port: address.port() });
        }
        let error = |hint: String| {
            Err(Mistake::new(format!("`{text}` is not an address to listen on"), hint))
        };
        if text.parse::<u16>().is_ok() {
            return error(format!("write `127.0.0.1:{text}`, or `:{text}` for every address"));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return error(format!("write `[{text}]:5000`"));
        }
        if text.contains("://") || text.contains('/') {
            return error("write `HOST:PORT`".to_owned());
        }
        match text.rsplit_once(':') {
            Some((host, port)) => match port.parse() {
                Ok(port) if !host.contains(':') => Ok(Self { host: host.to_owned(), port }),
                _ => error(format!("`{port}` is not a port; write `HOST:PORT`")),
            },
            None => error(format!("give it a port: `{text}:5000`")),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A name and password as they are typed: `NAME:PASSWORD`.
#[derive(Debug, Clone)]
pub(crate) struct UserPassword(pub(crate) Credential);

impl FromStr for UserPassword {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        // Not repeated in the error: it may be a password.
        let (username, password) = text.split_once(':').ok_or_else(|| {
            Mistake::new(
                "the name and password have no colon between them",
                "write `NAME:PASSWORD`",
            )
        })?;
        let (username, password) = (username.to_owned(), Secret::new(password));
        Ok(Self(Credential::Password { username, password }))
    }
}

/// Reads what is wanted: a reference without tag and digest has the tag `latest`.
pub(super) fn choice(text: &str) -> Result<Choice, Mistake> {
    // A place says what is wrong with a text that was meant for another kind of it.
    let location = text.parse::<Location>()?;
    match location.layout() {
        Some(_) if location.is_pipe() => {
            Err(Mistake::new("`-` is not an artifact", "`-f -` reads a list from stdin"))
        }
        Some(layout) => Ok(Choice::Layout(layout)),
        None => Ok(text.parse()?),
    }
}

/// Reads what stands before paths; a `/` at either end says nothing.
pub(super) fn prefix(text: &str) -> Result<RepositoryName, Mistake> {
    text.trim_matches('/').parse().map_err(|_| {
        Mistake::new(
            format!("`{text}` cannot begin a path"),
            "write it in lower case, such as `site/plant-7`",
        )
    })
}

/// Reads where a bundle lies.
pub(super) fn bundle(text: &str) -> Result<Location, Mistake> {
    if is_address(text) {
        return Err(Mistake::new(
            format!("`{text}` is an address, and a bundle is a file or a directory"),
            format!(
                "download it first, or pipe it: `curl -fL {} | longshore import - DST`",
                shell::word(text)
            ),
        ));
    }
    if location::is_list(Path::new(text)) {
        return Err(location::not_an_archive(text));
    }
    out(text)
}

/// Tells whether a text is an address of the web, and nothing that is there.
fn is_address(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    scheme.is_some_and(|scheme| ["http", "https", "ftp"].contains(&&*scheme))
        && !Path::new(text).exists()
}

/// Reads where a bundle goes or lies: a file unless it says otherwise.
pub(super) fn out(text: &str) -> Result<Location, Mistake> {
    let is_place = text == "-"
        || ["oci:", "oci-archive:"].iter().any(|kind| text.starts_with(kind))
        || Path::new(text).is_dir();
    let location: Location = match text {
        text if !is_place => Location::at(PlaceKind::Archive(text.into())),
        text if Path::new(text).is_dir() => Location::at(PlaceKind::Directory(text.into())),
        text => text.parse()?,
    };
    match &location.selector {
        None => Ok(location),
        Some(selector) => Err(Mistake::new(
            format!("`{text}` selects an artifact, `{selector}`, but a bundle is a whole layout"),
            format!("write `{}`", shell::word(location.whole())),
        )),
    }
}

/// Reads an age: a number with `s`, `m`, `h` or `d`, or `0`.
pub(super) fn age(text: &str) -> Result<Duration, Mistake> {
    time(text).ok_or_else(|| {
        Mistake::new(
            format!("`{text}` is not an age"),
            "write a number and s, m, h or d, such as `12h`",
        )
    })
}

/// Reads how long something may take, written like an age.
pub(super) fn patience(text: &str) -> Result<Duration, Mistake> {
    time(text).ok_or_else(|| no_time(text))
}

/// Reads how long a registry may be silent, at least a second.
pub(super) fn silence(text: &str) -> Result<Duration, Mistake> {
    time(text).filter(|time| !time.is_zero()).ok_or_else(|| no_time(text))
}

fn no_time(text: &str) -> Mistake {
    Mistake::new(
        format!("`{text}` is not a length of time"),
        "write a number and s, m, h or d, such as `30s`",
    )
}

/// Slower than so many bytes a second, registries take a client for one that hangs.
const LEAST_RATE: u64 = 16_000;

/// Reads how many bytes go in a second.
pub(super) fn byte_rate(text: &str) -> Result<Rate, Mistake> {
    let amount = text.strip_suffix("/s").unwrap_or(text);
    let amount = bytes(amount).and_then(NonZeroU64::new).ok_or_else(|| {
        Mistake::new(
            format!("`{text}` is no number of bytes a second"),
            "write a number and B, kB, MB, GB, KiB, MiB or GiB, such as `10MB/s`",
        )
    })?;
    if amount.get() < LEAST_RATE {
        let text = format!("`{text}` is so slow that registries would not wait for it");
        return Err(Mistake::new(text, "write at least `16kB/s`"));
    }
    Ok(Rate { amount, per: Duration::from_secs(1) })
}

/// Reads how many requests go in a time.
pub(super) fn request_rate(text: &str) -> Result<Rate, Mistake> {
    let rate = || {
        let (amount, per) = text.split_once('/')?;
        let seconds = match per {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            _ => return None,
        };
        Some(Rate { amount: amount.parse().ok()?, per: Duration::from_secs(seconds) })
    };
    rate().ok_or_else(|| {
        Mistake::new(
            format!("`{text}` is no number of requests in a time"),
            "write a number, and /s, /m or /h, such as `5/s`",
        )
    })
}

/// Reads a number of bytes: with `k`, `M`, `G` and `T` thousands, with `Ki` and so on 1024s.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let unit: u64 = match unit.strip_suffix('b').unwrap_or(&unit) {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        "t" => 1_000_000_000_000,
        "ki" => 1 << 10,
        "mi" => 1 << 20,
        "gi" => 1 << 30,
        "ti" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

fn time(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    let number: u64 = text[..text.len() - 1].parse().ok()?;
    number.checked_mul(unit).map(Duration::from_secs)
}

/// Reads how long a volume may be: bytes, with or without a unit, or `fat32`.
pub(super) fn volume_size(text: &str) -> Result<NonZeroU64, Mistake> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) || text.ends_with(['B', 'b']);
    let size = match text {
        "fat32" => Some(FAT32),
        _ if is_plain && !text.contains(' ') => bytes(text),
        _ => None,
    };
    size.and_then(NonZeroU64::new).ok_or_else(|| {
        Mistake::new(
            format!("`{text}` is not a size of a volume"),
            "write bytes, a number and KiB, MiB, GiB, TiB, KB, MB, GB or TB, or `fat32`",
        )
    })
}

/// Reads how many there may be of something.
pub(super) fn bound(text: &str) -> Result<NonZeroUsize, Mistake> {
    text.parse()
        .map_err(|_| Mistake::new(format!("`{text}` is not a number from 1 up"), "write 1 or more"))
}

/// Reads how much is done at once.
pub(super) fn jobs(text: &str) -> Result<NonZeroUsize, Mistake> {
    text.parse()
        .map_err(|_| Mistake::new(format!("`{text}` is not a number of jobs"), "write 1 or more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_amounts_in_a_time() {
        let amount = |text: &str| byte_rate(text).map(|rate| rate.amount.get());
        assert_eq!(amount("10MB/s"), Ok(10_000_000));
        assert_eq!(amount("512KiB"), Ok(512 << 10));
        assert_eq!(amount("2 GiB/s"), Ok(2 << 30));
        for wrong in ["", "MB/s", "10 XB/s", "10MB/m", "1.5MB/s", "0", "15kB/s", "99999999999G"] {
            assert!(byte_rate(wrong).is_err(), "{wrong}");
        }
        let rate = request_rate("100/m").unwrap();
        assert_eq!((rate.amount.get(), rate.per), (100, Duration::from_mins(1)));
        for wrong in ["", "5", "0/s", "5/d", "/s", "-1/s"] {
            assert!(request_rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ages_have_a_unit() {
        assert_eq!(age("0"), Ok(Duration::ZERO));
        assert_eq!(age("2h"), Ok(Duration::from_hours(2)));
        for wrong in ["", "2", "h", "-1d", "1.5d", "99999999999999999999d", "1d1h", "5µ"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn volumes_have_sizes_with_units_or_that_of_fat32() {
        for (text, size) in [
            ("1", 1),
            ("70000", 70_000),
            ("512B", 512),
            ("4000MiB", 4000 << 20),
            ("4gib", 4 << 30),
            ("4GB", 4_000_000_000),
            ("fat32", (4 << 30) - 1),
        ] {
            assert_eq!(volume_size(text).map(NonZeroU64::get), Ok(size), "{text}");
        }
        for wrong in ["", "0", "-1", "4G", "1.5GB", "GB", "4 GB", "FAT", "20000000TiB"] {
            assert!(volume_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_are_read_as_they_are_typed_elsewhere() {
        for (text, shown) in [
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("[::1]:0", "[::1]:0"),
            (":5000", ":5000"),
            ("localhost:80", "localhost:80"),
        ] {
            let listen: Listen = text.parse().unwrap();
            assert_eq!(listen.to_string(), shown);
        }
        for wrong in ["", "5000", "::1", "localhost", "a:b", "a:70000", "http://a:1", "a:b:1"] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
        }
    }
}
