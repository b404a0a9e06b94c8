//! What becomes of a bundle: it is written, or compared with one that is there.

use super::check::Comparison;
use crate::args::{Export, Global};
use crate::commands::destination::{self, Destination, Opening};
use crate::commands::wanted::Layouts;
use crate::location::Where;
use crate::opened::Opened;
use crate::problem::Problem;
use crate::registries::Registries;

/// What becomes of a bundle.
pub(super) enum Goal {
    /// It is written; `None` for a dry run into something that is not there yet.
    Written(Option<Destination>),
    /// It is written, unless the archive that is there is the same; without a destination, another one
    /// that is there stays.
    WrittenIfNew(Comparison, Option<Destination>),
    /// It goes nowhere, and is compared with an archive as it comes.
    ComparedWithArchive(Comparison, Destination),
    /// What it would be is compared with a directory.
    ComparedWithDirectory(Opened),
}

impl Goal {
    /// Opens what is there, or what will be.
    pub(super) fn open(
        args: &Export,
        layouts: &Layouts,
        global: &Global,
        registries: &Registries<'_>,
    ) -> Result<Self, Problem> {
        if let Where::Archive(path) = &args.output.place {
            destination::refuse_compressed(path)?;
        }
        match args.output.place {
            Where::Directory(_) if args.check => {
                let layout = Opened::open(&args.output, &args.reading, registries)?;
                Ok(Self::ComparedWithDirectory(layout))
            }
            _ if args.check => {
                let comparison = Comparison::open(&args.output)?;
                let destination = Destination::Pipe(comparison.stream());
                Ok(Self::ComparedWithArchive(comparison, destination))
            }
            _ => {
                layouts.refuse_as_target(&args.output)?;
                let opening = Opening { dry_run: args.dry_run, force: args.force };
                let open = || Destination::open(&args.output, opening, global, registries);
                match Comparison::with_bundle(&args.output) {
                    None => open().map(Self::Written),
                    Some(there) if args.force => Ok(Self::WrittenIfNew(there, open()?)),
                    Some(there) => Ok(Self::WrittenIfNew(there, None)),
                }
            }
        }
    }

    /// Returns where content goes, if it goes anywhere.
    pub(super) fn destination(&self) -> Option<&Destination> {
        match self {
            Self::Written(destination) | Self::WrittenIfNew(_, destination) => destination.as_ref(),
            Self::ComparedWithArchive(_, destination) => Some(destination),
            Self::ComparedWithDirectory(_) => None,
        }
    }
}
