//! What can be typed.

mod bundle;
pub(crate) mod detached_values;
mod import_words;
mod mirror;
mod schema;
mod values;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use longshore::location::{Listable, Location, host};
use longshore_layout::Links;
use longshore_remote::Rate;
use longshore_spec::{Platform, RepositoryName};

use self::bundle::{
    DIFF_EXAMPLES, EXPORT_EXAMPLES, IMPORT_EXAMPLES, IMPORT_USAGE, RECEIPT_EXAMPLES,
};
pub(crate) use self::bundle::{Diff, Export, Import, Init, Lock, Receipt, SelectionDefaults};
pub(crate) use self::import_words::ImportWord;
pub(crate) use self::mirror::Mirror;
pub(crate) use self::schema::{Described, Schema};
pub(crate) use self::values::{
    BaseInput, DiffInput, ImportDestination, Listen, ProgressForm, Shell, SitePlace, SparseIndex,
    Unchanged, UserPassword,
};

/// Moves OCI artifacts to where a network does not reach.
#[derive(Debug, Parser)]
#[command(name = "longshore", version, max_term_width = 100, after_help = PLACES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

const PLACES: &str = "\
Places:
  oci:DIR[:REF|@DIGEST]            an OCI image layout in a directory
  oci-archive:FILE[:REF|@DIGEST]   an OCI image layout in a tar file; the FILE `-` is stdout
  HOST/REPOSITORY[:TAG][@DIGEST]   a registry; Docker's short names are read too: `alpine:3.20`
The prefixes are optional for a path that begins with `/`, `./` or `../`, that ends as archives do
(`.tar`, …), or that is a layout. `docker://` says that a registry is meant.

Exit codes: 0 done; 1 some content failed, and is named; 2 wrong usage or setup;
3 `verify`, `lock --check` or `export --check` found a difference.";

const COPY_EXAMPLES: &str = "\
Examples:
  longshore copy oci:site:app oci-archive:app.tar
  longshore copy --all-tags --referrers oci:site oci-archive:site.tar
  longshore copy --platform linux/arm64 oci-archive:site.tar:app oci:edge:app-arm64
  longshore copy -f wanted.txt --dry-run oci:edge";

/// Flags of every command.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// Print one JSON document on stdout instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print only errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Show more detail; repeat for a trace with times
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Show progress on stderr in this form [default: a bar on a terminal, else a line now and then]
    #[arg(long, global = true, value_enum, value_name = "FORM")]
    pub(crate) progress: Option<ProgressForm>,
    /// Run up to N jobs at once [default: 8; verify: the number of cores]
    #[arg(long, global = true, value_name = "N", value_parser = values::jobs)]
    pub(crate) jobs: Option<NonZeroUsize>,
}

impl Global {
    /// More jobs than this only cost memory.
    const MAX_JOBS: usize = 256;
    /// Jobs that mostly wait for a disk or a network.
    const DEFAULT_JOBS: usize = 8;

    /// Returns how much is moved at once.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs.map_or(Self::DEFAULT_JOBS, NonZeroUsize::get).min(Self::MAX_JOBS)
    }

    /// Returns how much is computed at once.
    pub(crate) fn cores(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.jobs.map_or(cores, NonZeroUsize::get).min(Self::MAX_JOBS)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the words that may come next on a command line; the scripts of `completions` call this
    #[command(hide = true)]
    Complete(Complete),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Copy artifacts, with everything that they refer to, unchanged to the byte
    #[command(visible_alias = "cp", after_help = COPY_EXAMPLES)]
    Copy(Copy),
    /// Delete a manifest with all its tags, or only a tag
    Delete(Delete),
    /// Compare names and content of two locks, bundles, receipts or places
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(Diff),
    /// Print the digest of an artifact
    Digest(Digest),
    /// Export artifacts from many registries into one bundle
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(Box<Export>),
    /// Print the images that Kubernetes manifests name, one per line
    FindImages(FindImages),
    /// Remove content that no name needs from a layout directory
    Gc(Gc),
    /// Import a bundle into a registry, a layout directory or the store
    #[command(override_usage = IMPORT_USAGE, after_help = IMPORT_EXAMPLES)]
    Import(Import),
    /// Write an example `bundle.yaml`, or `mirror.yaml`, with comments
    Init(Init),
    /// Show one artifact: type, platform, config, layers, annotations, referrers
    Inspect(Inspect),
    /// List artifacts with their type, platforms and size
    #[command(visible_alias = "ls")]
    List(List),
    /// Pin the artifacts of `bundle.yaml` to digests, in `bundle.lock`
    Lock(Lock),
    /// Check a name and password for a registry, and save them
    Login(Login),
    /// Remove the saved name and password for a registry
    Logout(Logout),
    /// Write the manual pages into a directory
    Man(Man),
    /// Keep a registry or a layout equal to what `mirror.yaml` says
    #[command(after_help = mirror::EXAMPLES)]
    Mirror(Mirror),
    /// Write down what a site holds, so that the next bundle for it need not carry that again
    #[command(after_help = RECEIPT_EXAMPLES)]
    Receipt(Receipt),
    /// Print the JSON Schema of a command's --json output, or of a file
    Schema(Schema),
    /// Serve layouts as a registry, without unpacking them
    Serve(Serve),
    /// Give an artifact more names
    Tag(Tag),
    /// Show the parts of artifacts as a tree: manifests, blobs, referrers
    Tree(Tree),
    /// List the artifact types that are known by name
    Types,
    /// Remove tags and names; their content stays until `gc`
    Untag(Untag),
    /// Check that all content is present and matches its digest
    Verify(Verify),
}

/// Returns how what other tools have a command for is done here.
pub(crate) fn command_for(word: &str) -> Option<&'static str> {
    Some(match word {
        "pull" | "push" | "save" | "load" | "store" | "add" => "copy SRC… DST",
        "sync" => "mirror",
        "list-tags" | "tags" | "repo" | "catalog" | "info" => "list PLACE",
        "discover" | "graph" => "tree PLACE",
        "show" | "manifest" | "fetch" | "describe" => "inspect PLACE",
        "prune" => "gc PLACE",
        "delete" | "remove" | "rm" => "untag PLACE…`, then `longshore gc PLACE",
        "check" | "validate" | "fsck" => "verify PLACE",
        _ => return None,
    })
}

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that can be typed")]
pub(crate) struct Copy {
    /// The sources, one or more, and last the target: SRC… DST
    #[arg(value_name = "PLACE", required = true)]
    pub(crate) places: Vec<Location>,
    /// Copy every tag of a source that is given without a tag
    #[arg(long, conflicts_with = "all")]
    pub(crate) all_tags: bool,
    /// Copy everything in a source that is given without a name, also artifacts that have none
    #[arg(long)]
    pub(crate) all: bool,
    /// Read more sources from a file, one per line; `-` is stdin
    #[arg(short = 'f', long = "from-file", value_name = "LIST")]
    pub(crate) list: Option<PathBuf>,
    /// Take only these platforms of an index; a single one takes the place of its index
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_delimiter = ',')]
    pub(crate) platform: Vec<Platform>,
    /// What to do with an index of which platforms are left out, or missing at the source [default: keep]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) sparse_index: Option<SparseIndex>,
    /// Copy referrers too (signatures, SBOMs, attestations); with TYPES only those. Without this flag,
    /// `copy` copies none; `export` takes all by default
    #[arg(long, value_name = "TYPES", num_args = 0..=1, require_equals = true, default_missing_value = "any", value_delimiter = ',')]
    pub(crate) referrers: Option<Vec<String>>,
    /// Take only artifacts of these types: names, families or media types; `!TYPE` leaves one out
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// How much to check if the target has an artifact under the same name and digest
    #[arg(long, value_name = "WHAT", default_value = "closure")]
    pub(crate) unchanged: Unchanged,
    /// Print what would be copied and its size, and copy nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace an existing archive
    #[arg(long)]
    pub(crate) force: bool,
    /// Accept content whose digest algorithm is unknown, without verification
    #[arg(long)]
    pub(crate) allow_unverified: bool,
    /// Log in to sources with this name and password
    #[arg(long, value_name = "NAME:PASSWORD", conflicts_with = "creds")]
    pub(crate) src_creds: Option<UserPassword>,
    /// Log in to the target with this name and password
    #[arg(long, value_name = "NAME:PASSWORD", conflicts_with = "creds")]
    pub(crate) dst_creds: Option<UserPassword>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// How layouts are read.
#[derive(Debug, clap::Args)]
pub(crate) struct Reading {
    #[command(flatten)]
    pub(crate) links: FollowLinks,
    /// Unpack compressed archives here if their own directory is not writable
    #[arg(long, env = "TMPDIR", value_name = "DIR", hide_env_values = true)]
    pub(crate) scratch: Option<PathBuf>,
    /// Do not fetch content from other hosts, which manifests may name (`urls`)
    #[arg(long, help_heading = "Registries")]
    pub(crate) no_foreign_urls: bool,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// What is done about links in layout directories.
#[derive(Debug, clap::Args)]
pub(crate) struct FollowLinks {
    /// Read through links that lead out of a layout directory, as Bazel makes them; nothing is written or
    /// removed through a link
    #[arg(long)]
    follow_links: bool,
}

impl FollowLinks {
    /// Returns what a layout is told.
    pub(crate) fn links(&self) -> Links {
        if self.follow_links { Links::Anywhere } else { Links::Inside }
    }
}

/// How registries are reached.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Registries")]
pub(crate) struct Reach {
    /// Use plain HTTP with every registry [default: only with those on this machine, unless --insecure or
    /// --tls-ca is given]
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// Skip certificate verification (insecure)
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Also trust the certificates in this PEM file: those of authorities, or a server's own
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Vec<PathBuf>,
    /// Log in to registries with this name and password
    #[arg(long, value_name = "NAME:PASSWORD", hide_env_values = true)]
    pub(crate) creds: Option<UserPassword>,
    /// Read names and passwords only from this file [default: the files of Podman and Docker]
    #[arg(long, env = "REGISTRY_AUTH_FILE", value_name = "FILE", hide_env_values = true)]
    pub(crate) authfile: Option<PathBuf>,
    /// Receive at most so much a second from all registries together, and send at most as much: `10MB/s`,
    /// `512KiB/s`
    #[arg(long, value_name = "RATE", value_parser = values::byte_rate)]
    pub(crate) limit_rate: Option<Rate>,
    /// Send each registry at most so many requests: `5/s`, `100/m`
    #[arg(long, value_name = "RATE", value_parser = values::request_rate)]
    pub(crate) limit_requests: Option<Rate>,
    /// Repeat a request that failed for a passing reason up to N times [default: 5]
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,
    /// Give up on a registry that is silent for so long [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = values::silence)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// A layout, a repository, one artifact of either, or the host of a registry
    pub(crate) place: Listable,
    /// Also list manifests without a name: referrers, and parts of indexes
    #[arg(long)]
    pub(crate) all: bool,
    /// List only artifacts of these types: names, families or media types; `!TYPE` leaves one out
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// One artifact
    pub(crate) place: Location,
    /// Print the exact bytes of the manifest
    #[arg(long, conflicts_with = "config")]
    pub(crate) raw: bool,
    /// Print the exact bytes of the config
    #[arg(long)]
    pub(crate) config: bool,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Tree {
    /// An artifact, or a layout for everything in it
    pub(crate) place: Location,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Digest {
    /// The artifacts
    #[arg(required = true)]
    pub(crate) places: Vec<Location>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// An artifact, or a layout for everything in it; several files of one bundle in any order
    #[arg(value_name = "PLACE", required = true)]
    pub(crate) places: Vec<Location>,
    /// Accept content whose digest algorithm is unknown, without verification
    #[arg(long)]
    pub(crate) allow_unverified: bool,
    /// Check what a delta takes for granted against FILE: a receipt, an earlier bundle or its `bundle.json`, or a
    /// directory of receipts; several times for what all of them hold
    #[arg(long, value_name = "FILE")]
    pub(crate) base: Vec<BaseInput>,
    /// Check what a delta takes for granted against what PLACE holds, by the first byte of each blob
    #[arg(long, value_name = "PLACE", conflicts_with = "base")]
    pub(crate) against: Option<SitePlace>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Tag {
    /// An artifact of a layout directory or registry
    pub(crate) place: Location,
    /// The new names, without the place before them
    #[arg(required = true)]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Untag {
    /// The names to remove: `oci:DIR:NAME`, `HOST/REPOSITORY:TAG`
    #[arg(required = true)]
    pub(crate) places: Vec<Location>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FindImages {
    /// Kubernetes manifests in YAML or JSON; a directory means all files in it, `-` means stdin
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Gc {
    /// A layout directory
    pub(crate) place: Location,
    /// Remove only content that is older, such as `12h` or `7d`; `0` removes all that nothing needs
    #[arg(long, value_name = "AGE", default_value = "1d", value_parser = values::age)]
    pub(crate) older_than: Duration,
    /// Print what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) links: FollowLinks,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Complete {
    /// The shell that asks
    pub(crate) shell: Shell,
    /// The words behind the program, the last being typed; of bash the line up to the cursor, and the
    /// characters at which it takes words apart
    #[arg(last = true)]
    pub(crate) words: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// The directory, which is created if it does not exist
    pub(crate) directory: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Delete {
    /// The manifests or tags to delete: `HOST/REPOSITORY@DIGEST`, `HOST/REPOSITORY:TAG`, or the like in a
    /// layout directory
    #[arg(required = true)]
    pub(crate) places: Vec<Location>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that can be typed")]
pub(crate) struct Serve {
    /// Layout directories (`oci:DIR`) and archives (`oci-archive:FILE`), or plain paths [default: the
    /// store, a directory of your own]
    ///
    /// All that a delta brings is served, with content of the other places; its names are taken before those of
    /// places that are not written to.
    ///
    /// The store is the layout directory `$LONGSHORE_STORE`, else `longshore` in `$XDG_DATA_HOME` or
    /// `~/.local/share`.
    #[arg(value_name = "PLACE")]
    pub(crate) places: Vec<Location>,
    /// Listen on this address (repeatable); `:5000` means every address, port 0 a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5000")]
    pub(crate) listen: Vec<Listen>,
    /// Serve names without a repository under this one [default: the file name of their layout]
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: Option<RepositoryName>,
    /// Accept pushes and deletes in the first PLACE, which must be a directory
    #[arg(long)]
    pub(crate) writable: bool,
    /// Accept manifests that refer to missing content
    #[arg(long, requires = "writable")]
    pub(crate) allow_missing: bool,
    /// Use TLS with the certificates in this PEM file, the server's own first
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Require a name and password from this file, as `htpasswd -B` writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) htpasswd: Option<PathBuf>,
    /// Require a password only for pushes and deletes
    #[arg(long, requires = "htpasswd")]
    pub(crate) anonymous_pull: bool,
    /// Log each request on stderr; with --json, as JSON
    #[arg(long)]
    pub(crate) access_log: bool,
    /// Wait this long for open requests to end after SIGTERM or Ctrl-C
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::patience)]
    pub(crate) grace: Duration,
    /// Keep at most N connections open; beyond that, close idle ones
    #[arg(long, value_name = "N", default_value = "4096", value_parser = values::bound)]
    pub(crate) max_connections: NonZeroUsize,
    /// Serve at most N requests at once, and at most half as many with a body; others wait
    #[arg(long, value_name = "N", default_value = "256", value_parser = values::bound)]
    pub(crate) max_requests: NonZeroUsize,
    /// Unpack compressed archives here if their own directory is not writable
    #[arg(long, env = "TMPDIR", value_name = "DIR", hide_env_values = true)]
    pub(crate) scratch: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) links: FollowLinks,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Login {
    /// The registry: host, and port if it has one
    #[arg(value_name = "HOST", value_parser = host)]
    pub(crate) registry: String,
    /// The user name [default: ask for it on the terminal]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// Read the password from stdin instead of asking for it
    #[arg(long)]
    pub(crate) password_stdin: bool,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Logout {
    /// The registry: host, and port if it has one
    #[arg(value_name = "HOST", value_parser = host)]
    pub(crate) registry: String,
    #[command(flatten)]
    pub(crate) reach: Reach,
}
