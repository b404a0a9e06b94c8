//! How costs grow with the content: CPU and memory of commands and requests, at n and at 10 n.

mod content;
mod jobs;
mod requests;
mod side;
mod table;

use std::path::Path;

use anyhow::{Result, ensure};

use self::content::Layouts;
use self::table::Table;

/// The larger size divided by the smaller.
const GROWTH: usize = 10;
/// `--quick` divides both sizes by this, for machines that have other things to do.
const QUICK: usize = 10;

/// The things that are counted: a row has n of one kind, and then 10 n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Tags of one repository, each with a manifest of its own.
    Tags,
    /// Repositories, each with one artifact, in a layout that a server wrote.
    Repositories,
    /// Artifacts, each under a full reference to a repository of its own, as in a bundle.
    Artifacts,
    /// Names of one manifest: an `index.json` of 50 MB, and next to no content.
    Names,
    /// Tags that are pushed one after the other.
    Pushes,
    /// Blobs, a hundred to an image.
    Blobs,
    /// Entries of `bundle.yaml`.
    Entries,
}

impl Kind {
    /// Returns the larger of the two sizes of a full run.
    fn most(self) -> usize {
        match self {
            Self::Tags => 20_000,
            Self::Repositories | Self::Artifacts => 4_000,
            Self::Names => 159_000,
            Self::Pushes => 10_000,
            Self::Blobs => 100_000,
            Self::Entries => 5_000,
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Repositories => "repositories",
            Self::Artifacts => "artifacts",
            Self::Names => "names",
            Self::Pushes => "pushes",
            Self::Blobs => "blobs",
            Self::Entries => "entries",
        }
    }
}

/// What all measurements share.
struct Run<'a> {
    program: &'a Path,
    layouts: Layouts,
    /// [`QUICK`] or 1.
    divisor: usize,
    table: Table,
}

impl Run<'_> {
    fn is_quick(&self) -> bool {
        self.divisor > 1
    }

    /// Returns n and 10 n.
    fn sizes(&self, kind: Kind) -> [usize; 2] {
        let most = kind.most() / self.divisor;
        [most / GROWTH, most]
    }
}

/// Measures every row whose name contains `only`, prints all rows, and fails if one exceeds its bound.
pub(super) fn run(program: &Path, work: &Path, quick: bool, only: &str) -> Result<()> {
    println!("\n== growth: n and {GROWTH} n");
    let work = tempfile::tempdir_in(work)?;
    let mut run = Run {
        program,
        layouts: Layouts::new(work.path()),
        divisor: if quick { QUICK } else { 1 },
        table: Table::new(only),
    };
    requests::measure(&mut run)?;
    jobs::measure(&mut run);
    ensure!(!run.table.is_empty(), "no row has `{only}` in its name");
    print!("\n{}", run.table);
    let over = run.table.over();
    ensure!(over.is_empty(), "over their bounds:\n  {}", over.join("\n  "));
    Ok(())
}
