//! What can be typed for bundles: `export`, `import`, `lock` and `init`.

use std::path::{Path, PathBuf};

use longshore_bundle::{Rule, SiteName, What};
use longshore_spec::{Platform, RepositoryName};

use super::{Reading, SparseIndex};
use crate::commands::import::Destination;
use crate::commands::receipt::SitePlace;
use crate::location::{self, Location, PlaceKind};
use crate::problem::Mistake;
use crate::shell;

pub(super) const EXPORT_EXAMPLES: &str = "\
Examples:
  longshore export alpine:3.20 ghcr.io/acme/charts/shop:1.4.2 -o bundle.tar
  longshore export -f bundle.yaml -o bundle.tar
  longshore export oci:site:registry.site/team/app:1 oci-archive:app.tar -o bundle.tar
  longshore export -f images.txt --platform linux/amd64 --dry-run -o bundle.tar
  longshore export -f bundle.yaml -o - | ssh site longshore import -";

pub(super) const IMPORT_EXAMPLES: &str = "\
Examples:
  longshore import bundle.tar registry.site.local/mirror
  longshore import bundle.tar registry.site.local --map docker.io/=registry.site.local/hub/
  longshore import bundle.tar registry.site.local --prefix plant-7
  longshore import bundle.tar && longshore serve";

pub(super) const RECEIPT_EXAMPLES: &str = "\
Examples:
  longshore receipt registry.site.local/mirror -o plant-7.receipt
  longshore receipt oci:site -o plant-7.receipt
  longshore receipt --digests-only --site plant-7 > plant-7.receipt";

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that can be typed")]
pub(crate) struct Export {
    /// What is wanted: a reference, Docker's short names too, or `oci:DIR[:REF|@DIGEST]` and
    /// `oci-archive:FILE[:REF|@DIGEST]`, which goes by the full reference that it has there
    #[arg(value_name = "REF", value_parser = wanted, required_unless_present = "file")]
    pub(crate) wanted: Vec<What>,
    /// Read what is wanted from `bundle.yaml`, a list of references and layouts or a file of some other tools;
    /// `-` is stdin
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Where to: an archive file, `oci:DIR`, or `-` for stdout
    #[arg(short, long, value_name = "OUT", value_parser = out)]
    pub(crate) output: Location,
    /// Add `manifest.json`, so that `docker load`, `podman load` and skopeo's `docker-archive:` can read
    /// the images, one PLATFORM of each [default: the only one that there is]
    #[arg(long, value_name = "PLATFORM", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "the flag, and what it may be given")]
    pub(crate) docker_manifest: Option<Option<Platform>>,
    /// Write what is available if something is not, and end with 1
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Take what `lock` has pinned, and nothing else
    #[arg(long, requires = "file")]
    pub(crate) locked: bool,
    /// Create the bundle again and compare it with OUT, an archive byte by byte, a directory blob by blob;
    /// write nothing, and end with 3 if it differs
    #[arg(long, conflicts_with_all = ["keep_going", "dry_run", "force"])]
    pub(crate) check: bool,
    /// Say what would be written and how much it is, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace an archive that is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Accept content whose digest algorithm is not known
    #[arg(long)]
    pub(crate) allow_unverified: bool,
    #[command(flatten)]
    pub(crate) reading: Reading,
    // Last, since its heading holds for all that follows.
    #[command(flatten)]
    pub(crate) taken: Taken,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Lock {
    /// What is wanted; the lock lies beside it, as `NAME.lock`
    #[arg(short, long, value_name = "FILE", default_value = "bundle.yaml")]
    pub(crate) file: PathBuf,
    /// Say what has changed since it was locked, write nothing, and end with 3 if anything did
    #[arg(long, conflicts_with = "update")]
    pub(crate) check: bool,
    /// Update only this, a reference or all of a repository, and add what was not locked
    #[arg(long, value_name = "NAME")]
    pub(crate) update: Vec<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    // Last, since its heading holds for all that follows.
    #[command(flatten)]
    pub(crate) taken: Taken,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Receipt {
    /// What the site has: `HOST`, `HOST/PREFIX`, `oci:DIR` or an archive, one or several [default: the store]
    ///
    /// `HOST/PREFIX` stands for the repository of this name and for all below it.
    #[arg(value_name = "PLACE")]
    pub(crate) places: Vec<SitePlace>,
    /// Write the receipt to FILE; one of the same site that is there is replaced, and the number grows
    /// [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// What the site is called [default: as in FILE, else FILE without its ending]
    #[arg(long, value_name = "NAME")]
    pub(crate) site: Option<SiteName>,
    /// Leave out the names of repositories and tags
    #[arg(long)]
    pub(crate) digests_only: bool,
    /// Read all content and check its digests, and not only the first byte of each blob
    #[arg(long)]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// The file, which must not be there yet
    #[arg(default_value = "bundle.yaml")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// An archive file, `oci:DIR`, or `-` for stdin
    ///
    /// From stdin into a layout or the store every blob goes straight to its place, and gets a name when
    /// all of the bundle is there. On its way into a registry the bundle is kept in an unnamed file, in
    /// --scratch, first.
    #[arg(value_name = "BUNDLE", value_parser = bundle)]
    pub(crate) bundle: Location,
    /// Where to: `HOST`, `HOST/PREFIX` or `oci:DIR` [default: the store, a directory of your own]
    ///
    /// In a registry HOST/PATH:TAG of the bundle becomes PREFIX/PATH:TAG; a layout keeps the names.
    /// The store is the layout directory `$LONGSHORE_STORE`, else `longshore` in `$XDG_DATA_HOME` or
    /// `~/.local/share`.
    #[arg(value_name = "DST")]
    pub(crate) target: Option<Destination>,
    /// Let what begins with FROM begin with TO, once or several times; the longest FROM wins
    #[arg(long, value_name = "FROM=TO")]
    pub(crate) map: Vec<Rule>,
    /// Put PREFIX before every path, after --map: behind DST, or behind the host of what --map has named
    /// elsewhere
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    pub(crate) prefix: Option<RepositoryName>,
    /// What to do with an index of which the bundle lacks platforms
    #[arg(long, value_enum, value_name = "HOW", default_value = "keep")]
    pub(crate) sparse_index: SparseIndex,
    /// Write a report of what went where into a file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Say what would go where and how much it is, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Accept content whose digest algorithm is not known
    #[arg(long)]
    pub(crate) allow_unverified: bool,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// What is taken of everything that does not say so itself.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "For what the file does not say itself")]
pub(crate) struct Taken {
    /// Take only entries of indexes for these platforms; one alone takes the place of its index
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_delimiter = ',')]
    pub(crate) platform: Vec<Platform>,
    /// What to do with an index of which several platforms are taken, but not all [default: refuse it]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) sparse_index: Option<SparseIndex>,
    /// Which referrers to take: `all`, `none` (as `copy` does by default), or only these types
    #[arg(long, value_name = "TYPES", default_value = "all", value_delimiter = ',')]
    pub(crate) referrers: Vec<String>,
    /// Take only artifacts of these types: names, families or media types; `!TYPE` leaves one out
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
}

/// Reads what is wanted: a reference without tag and digest has the tag `latest`.
fn wanted(text: &str) -> Result<What, Mistake> {
    // A place says what is wrong with a text that was meant for another kind of it.
    let location = text.parse::<Location>()?;
    match location.layout() {
        Some(_) if location.is_pipe() => {
            Err(Mistake::new("`-` is not an artifact", "`-f -` reads a list from stdin"))
        }
        Some(layout) => Ok(What::Layout(layout)),
        None => Ok(longshore_bundle::wanted(text)?),
    }
}

/// Reads what stands before paths; a `/` at either end says nothing.
fn prefix(text: &str) -> Result<RepositoryName, Mistake> {
    text.trim_matches('/').parse().map_err(|_| {
        Mistake::new(
            format!("`{text}` cannot begin a path"),
            "write it in lower case, such as `site/plant-7`",
        )
    })
}

/// Reads where a bundle lies.
fn bundle(text: &str) -> Result<Location, Mistake> {
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
        return Err(location::not_an_archive(text, text));
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
fn out(text: &str) -> Result<Location, Mistake> {
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
