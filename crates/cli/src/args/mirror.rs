//! What can be typed for `mirror`.

use std::path::PathBuf;

use super::{Listen, Reading, Unchanged};

pub(super) const EXAMPLES: &str = "\
Examples:
  longshore mirror
  longshore mirror -f mirror.yaml --dry-run
  longshore mirror -f mirror.yaml --check";

#[derive(Debug, clap::Args)]
pub(crate) struct Mirror {
    /// What is kept equal, and where
    #[arg(short, long, value_name = "FILE", default_value = "mirror.yaml")]
    pub(crate) file: PathBuf,
    /// Print what would change at the target and its size, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print what would change, write nothing, and end with 3 if anything would
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) check: bool,
    /// Make one pass now, although the file has a `schedule`
    #[arg(long)]
    pub(crate) once: bool,
    /// With a `schedule`, answer `/metrics` and `/healthz` on this address (repeatable)
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<Listen>,
    /// What the target is asked for that has an artifact under the same name and digest
    #[arg(long, value_enum, value_name = "WHAT", default_value = "digest")]
    pub(crate) unchanged: Unchanged,
    /// Accept content whose digest algorithm is unknown, without verification
    #[arg(long)]
    pub(crate) allow_unverified: bool,
    #[command(flatten)]
    pub(crate) reading: Reading,
}
