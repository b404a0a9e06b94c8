//! Where a copy goes.

use std::io::IsTerminal as _;

use longshore_layout::{ArchiveStream, ArchiveWriter, Directory};
use longshore_store::{Place, Target};

use crate::args::{Copy, Global};
use crate::location::{Kind, Location};
use crate::problem::{Exit, Problem};

/// Where a copy goes.
pub(super) enum Destination {
    Directory(Directory),
    Archive(ArchiveWriter),
    Pipe(ArchiveStream),
}

impl Destination {
    /// Opens the target; `None` for a dry run into something that is not there yet.
    pub(super) fn open(
        target: &Location,
        args: &Copy,
        global: &Global,
    ) -> Result<Option<Self>, Problem> {
        let opened = match target.kind {
            Kind::Directory if args.dry_run && !target.path.exists() => return Ok(None),
            Kind::Directory if args.dry_run => Directory::open(&target.path).map(Self::Directory),
            Kind::Directory => Directory::create(&target.path).map(Self::Directory),
            Kind::Archive if target.is_pipe() && args.dry_run => return Ok(None),
            Kind::Archive if target.is_pipe() && std::io::stdout().is_terminal() => {
                let text = "an archive is not written to a terminal";
                return Err(Problem::new(Exit::Usage, text).hint("redirect stdout, or name a file"));
            }
            Kind::Archive if target.is_pipe() && global.json => {
                let text = "stdout cannot hold both the archive and a JSON document";
                return Err(
                    Problem::new(Exit::Usage, text).hint("leave --json away, or name a file")
                );
            }
            Kind::Archive if target.is_pipe() => {
                Ok(Self::Pipe(ArchiveStream::new(Box::new(std::io::stdout()))))
            }
            Kind::Archive if target.path.is_dir() => {
                let path = target.path.display();
                let text = format!("{path} is a directory, where an archive is a file");
                return Err(Problem::new(Exit::Usage, text)
                    .hint(format!("write `oci:{path}`, or choose another name")));
            }
            Kind::Archive => match ArchiveWriter::new(&target.path, args.force) {
                Ok(_) if args.dry_run => return Ok(None),
                opened => opened.map(Self::Archive),
            },
        };
        opened.map(Some).map_err(Problem::of)
    }

    pub(super) fn place(&self) -> &dyn Place {
        match self {
            Self::Directory(directory) => directory,
            Self::Archive(archive) => archive,
            Self::Pipe(pipe) => pipe,
        }
    }

    pub(super) fn whole(&self) -> Box<dyn Target + '_> {
        match self {
            Self::Directory(directory) => Box::new(directory.whole()),
            Self::Archive(archive) => Box::new(archive.whole()),
            Self::Pipe(pipe) => Box::new(pipe.whole()),
        }
    }

    /// Tells whether stdout is the archive, so that nothing else may go there.
    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Self::Pipe(_))
    }

    /// Tells whether it is whole or not there at all.
    pub(super) fn has_no_half(&self) -> bool {
        matches!(self, Self::Archive(_) | Self::Pipe(_))
    }
}
