//! What can be typed.

pub(crate) mod apart;
mod bundle;
mod schema;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use longshore_layout::Links;
use longshore_spec::{Platform, RepositoryName};

use self::bundle::{EXPORT_EXAMPLES, IMPORT_EXAMPLES, RECEIPT_EXAMPLES};
pub(crate) use self::bundle::{Export, Import, Init, Lock, Receipt, Taken};
pub(crate) use self::schema::{Described, Schema};
use crate::commands::serve::Listen;
use crate::human;
use crate::location::{Listable, Location, host};
use crate::registries::Typed;

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
The prefixes are optional for a path that begins with `/`, `./` or `../`, that ends as archives do, or
at which a layout lies. `docker://` says that a registry is meant.

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
    /// Show what is done; twice: each step, with times
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// How progress is shown on stderr [default: a bar on a terminal, and elsewhere a line now and then]
    #[arg(long, global = true, value_enum, value_name = "FORM")]
    pub(crate) progress: Option<ProgressForm>,
    /// How many jobs run at once [default: 8; verify: the number of cores]
    #[arg(long, global = true, value_name = "N", value_parser = human::jobs)]
    pub(crate) jobs: Option<NonZeroUsize>,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressForm {
    /// Lines for a log: at the beginning, now and then, and at the end
    Plain,
    /// Events for programs, as JSON, one a line
    Json,
    /// Not at all
    None,
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
    /// Print what may stand next on a command line; the scripts of `completions` ask
    #[command(hide = true)]
    Complete(Complete),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Copy artifacts, unchanged to the byte, with all that they refer to
    #[command(visible_alias = "cp", after_help = COPY_EXAMPLES)]
    Copy(Copy),
    /// Remove a manifest with every tag on it, or only a tag
    Delete(Delete),
    /// Print the digest of a name
    Digest(Digest),
    /// Write what is wanted, from many repositories, into one bundle that says what it holds
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(Export),
    /// Print the images that Kubernetes manifests name, one a line
    FindImages(FindImages),
    /// Remove content that no name needs from a layout directory
    Gc(Gc),
    /// Load a bundle into a registry, a layout directory or the store
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(Import),
    /// Write an example of `bundle.yaml`, with comments
    Init(Init),
    /// Show one artifact: type, platform, config, layers, annotations, referrers
    Inspect(Inspect),
    /// List what is in a layout, by name, type, platform and size
    #[command(visible_alias = "ls")]
    List(List),
    /// Pin what `bundle.yaml` wants to digests, in `bundle.lock`
    Lock(Lock),
    /// Keep a name and password for a registry, after trying them
    Login(Login),
    /// Forget the name and password for a registry
    Logout(Logout),
    /// Write the manual pages into a directory
    Man(Man),
    /// Write down what a site holds, so that the next bundle for it need not carry that again
    #[command(after_help = RECEIPT_EXAMPLES)]
    Receipt(Receipt),
    /// Print the JSON Schema of what a command prints with --json, or of a file
    Schema(Schema),
    /// Serve a layout as a registry, without unpacking anything
    Serve(Serve),
    /// Give an artifact further names
    Tag(Tag),
    /// Show what artifacts consist of, as a tree
    Tree(Tree),
    /// List the artifact types that are known by name
    Types,
    /// Remove tags and names; their content stays until `gc`
    Untag(Untag),
    /// Check that everything is there and has the right digest
    Verify(Verify),
}

/// Returns how what other tools have a command for is done here.
pub(crate) fn command_for(word: &str) -> Option<&'static str> {
    Some(match word {
        "pull" | "push" | "save" | "load" | "store" | "sync" | "mirror" | "add" => "copy SRC… DST",
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
    /// Where from, one or several, and last where to: SRC… DST
    #[arg(value_name = "PLACE", required = true)]
    pub(crate) places: Vec<Location>,
    /// Copy every tag of a source that is given without one
    #[arg(long, conflicts_with = "all")]
    pub(crate) all_tags: bool,
    /// Copy everything that a source without a name lists, also without a name
    #[arg(long)]
    pub(crate) all: bool,
    /// Read further sources from a file, one a line; `-` is stdin
    #[arg(short = 'f', long = "from-file", value_name = "LIST")]
    pub(crate) list: Option<PathBuf>,
    /// Take only entries of indexes for these platforms; one alone takes the place of its index
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_delimiter = ',')]
    pub(crate) platform: Vec<Platform>,
    /// What to do with an index from which platforms are left out, or of which the source lacks some
    /// [default: keep]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) sparse_index: Option<SparseIndex>,
    /// Copy referrers too: signatures, SBOMs, attestations; with TYPES only those. Without the flag they are
    /// not copied; `export` takes them by default
    #[arg(long, value_name = "TYPES", num_args = 0..=1, require_equals = true, default_missing_value = "any", value_delimiter = ',')]
    pub(crate) referrers: Option<Vec<String>>,
    /// Take only artifacts of these types: names, families or media types; `!TYPE` leaves one out
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// What to check at the target for an artifact that it has under the same name and digest: all that the
    /// artifact refers to, or nothing more
    #[arg(long, value_name = "WHAT", default_value = "closure")]
    pub(crate) unchanged: Unchanged,
    /// Say what would be done and how much it is, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace an archive that is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Accept content whose digest algorithm is not known
    #[arg(long)]
    pub(crate) allow_unverified: bool,
    /// Log in to sources with this name and password
    #[arg(long, value_name = "NAME:PASSWORD", conflicts_with = "creds")]
    pub(crate) src_creds: Option<Typed>,
    /// Log in to the target with this name and password
    #[arg(long, value_name = "NAME:PASSWORD", conflicts_with = "creds")]
    pub(crate) dst_creds: Option<Typed>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// What a target is asked for that has an artifact already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unchanged {
    /// All that it refers to
    Closure,
    /// Nothing more
    Digest,
}

/// What becomes of an index from which platforms were left out.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SparseIndex {
    /// Keep the index and its digest, although some platforms are missing: strict registries refuse it
    Keep,
    /// Remove them from the index; its digest changes, so that its signatures no longer fit
    Strip,
}

/// How layouts are read.
#[derive(Debug, clap::Args)]
pub(crate) struct Reading {
    #[command(flatten)]
    pub(crate) links: FollowLinks,
    /// Where a compressed archive is unpacked if its own directory cannot be written to
    #[arg(long, env = "TMPDIR", value_name = "DIR", hide_env_values = true)]
    pub(crate) scratch: Option<PathBuf>,
    /// Do not fetch content from other hosts that an artifact names
    #[arg(long, help_heading = "Registries")]
    pub(crate) no_foreign_urls: bool,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// What is done about links in layout directories.
#[derive(Debug, clap::Args)]
pub(crate) struct FollowLinks {
    /// Follow links that leave a layout directory, as Bazel makes them, for reading; nothing is written or
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
    /// Use plain HTTP with every registry, not only with those on this machine; --insecure and --tls-ca
    /// use TLS there
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// Skip certificate verification (insecure)
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Also trust the certificates in this PEM file: authorities, or a server's own
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Vec<PathBuf>,
    /// Log in to registries with this name and password
    #[arg(long, value_name = "NAME:PASSWORD", hide_env_values = true)]
    pub(crate) creds: Option<Typed>,
    /// Look for names and passwords in this file only [default: those of Podman and Docker]
    #[arg(long, env = "REGISTRY_AUTH_FILE", value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// A layout or a repository, one artifact of it, or a registry: its host alone
    pub(crate) place: Listable,
    /// Also list what has no name: referrers, and parts of indexes
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
    /// Print the bytes of the manifest, exactly
    #[arg(long, conflicts_with = "config")]
    pub(crate) raw: bool,
    /// Print the bytes of the config, exactly
    #[arg(long)]
    pub(crate) config: bool,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Tree {
    /// One artifact, or a layout: everything in it
    pub(crate) place: Location,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Digest {
    /// One artifact, or several
    #[arg(required = true)]
    pub(crate) places: Vec<Location>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// One artifact, or a layout: everything in it
    pub(crate) place: Location,
    /// Accept content whose digest algorithm is not known
    #[arg(long)]
    pub(crate) allow_unverified: bool,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Tag {
    /// One artifact of a layout directory or registry
    pub(crate) place: Location,
    /// Its further names, without the layout before them
    #[arg(required = true)]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Untag {
    /// Names in layout directories or registries: `oci:DIR:NAME`, `HOST/REPOSITORY:TAG`
    #[arg(required = true)]
    pub(crate) places: Vec<Location>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FindImages {
    /// YAML or JSON as Kubernetes takes it; a directory stands for all in it, and `-` for stdin
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Gc {
    /// A layout directory
    pub(crate) place: Location,
    /// Only remove what is older, such as `12h` or `7d`; `0` removes all that nothing needs
    #[arg(long, value_name = "AGE", default_value = "1d", value_parser = human::age)]
    pub(crate) older_than: Duration,
    /// Say what would be removed, and remove nothing
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

/// A shell that completes command lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Complete {
    /// Whose line it is
    pub(crate) shell: Shell,
    /// The words behind the program, the last being typed; of bash the line up to the cursor, and the
    /// characters at which it takes words apart
    #[arg(last = true)]
    pub(crate) words: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// The directory, which is made if it is not there
    pub(crate) directory: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Delete {
    /// `HOST/REPOSITORY@DIGEST`, `HOST/REPOSITORY:TAG`, or the like in a layout directory
    #[arg(required = true)]
    pub(crate) places: Vec<Location>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that can be typed")]
pub(crate) struct Serve {
    /// Layout directories and archives, `oci:DIR` and `oci-archive:FILE`, or plain paths [default: the
    /// store, a directory of your own]
    ///
    /// Without any, the layout directory `$LONGSHORE_STORE` is served, else `longshore` in
    /// `$XDG_DATA_HOME` or `~/.local/share`.
    #[arg(value_name = "PLACE")]
    pub(crate) places: Vec<Location>,
    /// Where to listen, once or several times; port 0 takes a free one, `:5000` listens on every
    /// address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5000")]
    pub(crate) listen: Vec<Listen>,
    /// The repository of names that say none [default: the file name of their layout]
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: Option<RepositoryName>,
    /// Accept pushes and deletes, in the first place, which must be a directory
    #[arg(long)]
    pub(crate) writable: bool,
    /// Accept manifests that refer to missing content
    #[arg(long, requires = "writable")]
    pub(crate) allow_missing: bool,
    /// Speak TLS with the certificates in this PEM file, the server's own first
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Ask for a name and password of this file, as `htpasswd -B` writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) htpasswd: Option<PathBuf>,
    /// Ask for a password only for pushes and deletes
    #[arg(long, requires = "htpasswd")]
    pub(crate) anonymous_pull: bool,
    /// Print a line about each request on stderr, as JSON with --json
    #[arg(long)]
    pub(crate) access_log: bool,
    /// How long requests under way may take to end after SIGTERM or Ctrl-C
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = human::patience)]
    pub(crate) grace: Duration,
    /// How many connections may be open; beyond, idle ones are closed
    #[arg(long, value_name = "N", default_value = "4096", value_parser = human::bound)]
    pub(crate) max_connections: NonZeroUsize,
    /// How many requests are served at once, half of them with a body; others wait
    #[arg(long, value_name = "N", default_value = "256", value_parser = human::bound)]
    pub(crate) max_requests: NonZeroUsize,
    /// Where a compressed archive is unpacked if its own directory cannot be written to
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
    /// The name; asked for on a terminal if it is not given
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
