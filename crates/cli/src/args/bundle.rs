//! What can be typed for bundles: `export`, `import`, `lock` and `init`.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use longshore::location::Location;
use longshore_bundle::{Choice, Percent, Rule, Sequence, SiteName};
use longshore_spec::{Platform, RepositoryName};

use super::import_words::{ImportWord, apart};
use super::values::{choice, out, prefix, volume_size};
use super::{BaseInput, DiffInput, ImportDestination, Reading, SitePlace, SparseIndex};
use crate::problem::Problem;

pub(super) const EXPORT_EXAMPLES: &str = "\
Examples:
  longshore export alpine:3.20 ghcr.io/acme/charts/shop:1.4.2 -o bundle.tar
  longshore export -f bundle.yaml -o bundle.tar
  longshore export oci:site:registry.site/team/app:1 oci-archive:app.tar -o bundle.tar
  longshore export -f bundle.yaml --volume-size fat32 -o bundle.tar
  longshore export -f images.txt --platform linux/amd64 --dry-run -o bundle.tar
  longshore export -f bundle.yaml -o - | ssh site longshore import -";

pub(super) const IMPORT_USAGE: &str = "longshore import [OPTIONS] <BUNDLE>... [DST]";

pub(super) const IMPORT_EXAMPLES: &str = "\
Examples:
  longshore import bundle.tar registry.site.local/mirror
  longshore import bundle.tar registry.site.local --map docker.io/=registry.site.local/hub/
  longshore import bundle.tar registry.site.local --prefix plant-7
  longshore import delta.tar repair.tar registry.site.local/mirror
  longshore import bundle.tar && longshore serve";

pub(super) const DIFF_EXAMPLES: &str = "\
Examples:
  longshore diff january.tar february.tar
  longshore diff bundle.lock bundle.tar
  longshore diff plant-7.receipt bundle.tar --map docker.io/=registry.site.local/mirror/
  longshore diff registry.site.local/mirror oci:site";

pub(super) const RECEIPT_EXAMPLES: &str = "\
Examples:
  longshore receipt registry.site.local/mirror -o plant-7.receipt
  longshore receipt oci:site -o plant-7.receipt
  longshore receipt registry.site.local/mirror -f bundle.yaml -o plant-7.receipt
  longshore receipt --digests-only --site plant-7 > plant-7.receipt";

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that can be typed")]
pub(crate) struct Export {
    /// The artifacts to export: references, Docker's short names too, or artifacts of layouts that have a
    /// full reference there: `oci:DIR[:REF|@DIGEST]`, `oci-archive:FILE[:REF|@DIGEST]`
    #[arg(value_name = "REF", value_parser = choice, required_unless_present = "file")]
    pub(crate) wanted: Vec<Choice>,
    /// Read the artifacts to export from `bundle.yaml`, a list of references and layouts, or a file of
    /// another tool; `-` is stdin
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The bundle to write: an archive file, `oci:DIR`, or `-` for stdout
    #[arg(short, long, value_name = "OUT", value_parser = out)]
    pub(crate) output: Location,
    /// Leave out blobs that the site holds by FILE: a receipt, an earlier bundle or its `bundle.json`, or a
    /// directory of receipts; several times for what all of them hold
    #[arg(long, value_name = "FILE", conflicts_with = "docker_manifest")]
    pub(crate) base: Vec<BaseInput>,
    /// Write the bundle as volumes of at most SIZE each, named after OUT: `site.v001.tar` and so on for `site.tar`
    ///
    /// SIZE is a number of bytes, or has a unit, such as `4000MiB` or `4GB`; `fat32` is the longest file on a FAT32
    /// file system. Of several sizes each is that of one volume, and the last that of all that follow.
    #[arg(
        long,
        value_name = "SIZE",
        value_delimiter = ',',
        value_parser = volume_size,
        conflicts_with_all = ["check", "docker_manifest", "only"]
    )]
    pub(crate) volume_size: Vec<NonZeroU64>,
    /// Write only volume N of the bundle, such as onto one of several sticks, or in place of a damaged one
    #[arg(long, value_name = "N", requires = "volume_size")]
    pub(crate) only_volume: Option<NonZeroU32>,
    /// Number the bundle among those of its `name:` in `bundle.yaml`; with --locked, the lock has the number
    #[arg(long, value_name = "N", requires = "file", conflicts_with = "locked")]
    pub(crate) sequence: Option<Sequence>,
    /// Carry only what FILE lists, which `import --missing` wrote at the site: what the bundle of the same
    /// artifacts needs there, and is missing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["base", "docker_manifest"])]
    pub(crate) only: Option<PathBuf>,
    /// Add `manifest.json`, so that `docker load`, `podman load` and skopeo's `docker-archive:` can read
    /// the images, one PLATFORM of each [default: the only one there is]
    #[arg(long, value_name = "PLATFORM", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "the flag, and what it may be given")]
    pub(crate) docker_manifest: Option<Option<Platform>>,
    /// Leave out artifacts that are not available, and end with 1
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Export exactly the artifacts that `lock` has pinned
    #[arg(long, requires = "file")]
    pub(crate) locked: bool,
    /// Create the bundle again and compare it with OUT, an archive byte by byte, a directory blob by blob;
    /// write nothing, and end with 3 if it differs
    #[arg(long, conflicts_with_all = ["keep_going", "dry_run", "force"])]
    pub(crate) check: bool,
    /// Print what would be written and its size, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace an existing archive
    #[arg(long)]
    pub(crate) force: bool,
    /// Accept content whose digest algorithm is unknown, without verification
    #[arg(long)]
    pub(crate) allow_unverified: bool,
    #[command(flatten)]
    pub(crate) reading: Reading,
    // Last, since its heading holds for all that follows.
    #[command(flatten)]
    pub(crate) defaults: SelectionDefaults,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Lock {
    /// The file to lock; the lock is written beside it, as `NAME.lock`
    #[arg(short, long, value_name = "FILE", default_value = "bundle.yaml")]
    pub(crate) file: PathBuf,
    /// Print what has changed since the lock was written; write nothing, and end with 3 if anything has
    #[arg(long, conflicts_with = "update")]
    pub(crate) check: bool,
    /// Update only NAME, a reference or a whole repository, and add entries that are not locked yet
    #[arg(long, value_name = "NAME")]
    pub(crate) update: Vec<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    // Last, since its heading holds for all that follows.
    #[command(flatten)]
    pub(crate) defaults: SelectionDefaults,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    /// What was there before: a lock, a bundle or its `bundle.json`, a receipt, or a place as for `receipt`
    #[arg(value_name = "BEFORE")]
    pub(crate) before: DiffInput,
    /// What is there now, likewise
    #[arg(value_name = "NOW")]
    pub(crate) now: DiffInput,
    /// Let names of either side that begin with FROM begin with TO, as `import` does
    #[arg(long, value_name = "FROM=TO")]
    pub(crate) map: Vec<Rule>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Receipt {
    /// What the site has: `HOST`, `HOST/PREFIX`, `oci:DIR` or an archive, one or several [default: the store]
    ///
    /// `HOST/PREFIX` stands for the repository of this name and for all below it.
    #[arg(value_name = "PLACE")]
    pub(crate) places: Vec<SitePlace>,
    /// Look only into the repositories that the artifacts of LIST were imported to: for a registry that does not list
    /// its repositories
    ///
    /// LIST is `bundle.yaml`, or another file that `export -f` reads, and PLACE is the DST of `import`. A repository
    /// that is not there is empty.
    #[arg(short, long, value_name = "LIST")]
    pub(crate) file: Option<PathBuf>,
    /// Replace FROM at the beginning of names with TO, as `import` did (repeatable)
    #[arg(long, value_name = "FROM=TO", requires = "file")]
    pub(crate) map: Vec<Rule>,
    /// Put PREFIX before every path, as `import` did
    #[arg(long, value_name = "PREFIX", value_parser = prefix, requires = "file")]
    pub(crate) prefix: Option<RepositoryName>,
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
    /// The file to write, which must not exist yet [default: bundle.yaml, or mirror.yaml]
    pub(crate) file: Option<PathBuf>,
    /// Write an example `mirror.yaml`, for `mirror`
    #[arg(long)]
    pub(crate) mirror: bool,
}

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that can be typed")]
pub(crate) struct Import {
    /// The bundle: an archive file, `oci:DIR`, or `-` for stdin; several files of one bundle in any order; then
    /// the target DST, as for --to
    ///
    /// The last of several words is the target, unless it is a file: then it is a part of the bundle, and
    /// the target is the store, or that of --to.
    ///
    /// From stdin into a layout or the store, every blob is written straight to its place, and names are
    /// given when the bundle is complete. From stdin into a registry, the bundle is first kept in an
    /// unnamed file in --scratch.
    #[arg(value_name = "BUNDLE", required = true)]
    pub(super) words: Vec<ImportWord>,
    /// The files of the bundle.
    #[arg(skip)]
    pub(crate) bundles: Vec<Location>,
    /// The target: `HOST`, `HOST/PREFIX` or `oci:DIR` [default: the store, a directory of your own]
    ///
    /// In a registry, HOST/PATH:TAG of the bundle becomes DST/PATH:TAG; in a layout, names stay the same.
    /// The store is the layout directory `$LONGSHORE_STORE`, else `longshore` in `$XDG_DATA_HOME` or
    /// `~/.local/share`.
    #[arg(long = "to", value_name = "DST")]
    pub(crate) target: Option<ImportDestination>,
    /// Replace FROM at the beginning of names with TO (repeatable); the longest FROM wins
    #[arg(long, value_name = "FROM=TO")]
    pub(crate) map: Vec<Rule>,
    /// Put PREFIX before every path, after --map: behind DST, or behind the host that --map gave
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    pub(crate) prefix: Option<RepositoryName>,
    /// What to do with an index of which the bundle lacks platforms
    #[arg(long, value_enum, value_name = "HOW", default_value = "keep")]
    pub(crate) sparse_index: SparseIndex,
    /// Refuse a bundle by which a name at the target would come to stand for something else
    #[arg(long)]
    pub(crate) no_overwrite: bool,
    /// Ask the target which volumes of the bundle are still to come, and write nothing; one of its volumes says
    /// what it consists of
    #[arg(long, conflicts_with_all = ["dry_run", "receipt", "report", "no_overwrite"])]
    pub(crate) status: bool,
    #[command(flatten)]
    pub(crate) series: Series,
    /// Write down in FILE what the target holds after the import, as `receipt` does; a receipt that is there is
    /// replaced, and says in which other repositories of the target a delta may find its base
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(crate) receipt: Option<PathBuf>,
    /// Write down in FILE what is missing for the bundle, at the target or in the bundle itself: digests and sizes,
    /// for `export --only`; without any, no FILE is left
    #[arg(long, value_name = "FILE")]
    pub(crate) missing: Option<PathBuf>,
    /// Write a report to FILE, as JSON: which artifact went where
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Print what would go where and its size, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Accept content whose digest algorithm is unknown, without verification
    #[arg(long)]
    pub(crate) allow_unverified: bool,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// What is made of the name and the number of a bundle.
#[derive(Debug, clap::Args)]
pub(crate) struct Series {
    /// Keep in FILE what bundles with a name bring to a registry; a layout has that in itself
    ///
    /// One FILE serves several bundle names and several targets. It is created by the first import.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Import a bundle although a newer one of its name came before, by the state
    #[arg(long)]
    pub(crate) allow_older: bool,
    /// Remove the names that earlier bundles of this name brought, that the bundle no longer has, and that still
    /// stand for what was brought, by the state
    #[arg(long)]
    pub(crate) prune: bool,
    /// Refuse to remove more than PERCENT of the names that the state knows, before anything is written
    #[arg(long, value_name = "PERCENT", default_value = "10", requires = "prune")]
    pub(crate) prune_limit: Percent,
    /// Remove what --prune finds, however much it is
    #[arg(long, requires = "prune", conflicts_with = "prune_limit")]
    pub(crate) yes: bool,
}

impl Import {
    /// Tells the files of the bundle from where it goes.
    pub(crate) fn resolved(mut self) -> Result<Self, Problem> {
        (self.bundles, self.target) = apart(std::mem::take(&mut self.words), self.target)?;
        Ok(self)
    }
}

/// What is taken of everything that does not say so itself.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "For entries of the file that set nothing themselves")]
pub(crate) struct SelectionDefaults {
    /// Take only these platforms of an index; a single one takes the place of its index
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_delimiter = ',')]
    pub(crate) platform: Vec<Platform>,
    /// What to do with an index of which several platforms are taken, but not all [default: refuse it]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) sparse_index: Option<SparseIndex>,
    /// Referrers to take: `all`, `none` (as `copy` does by default), or only these types
    #[arg(long, value_name = "TYPES", default_value = "all", value_delimiter = ',')]
    pub(crate) referrers: Vec<String>,
    /// Take only artifacts of these types: names, families or media types; `!TYPE` leaves one out
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
}
