//! Opened places, whatever they are.

use longshore_layout::{
    Archive, ArchiveStream, ArchiveWriter, Directory, Layout, LayoutUnion, StreamedArchive,
};
use longshore_remote::RemoteRepository;
use longshore_store::{Error, Inability, Repository, Result, Source, Target, TargetPlace};

/// A place that is read: a layout, or a repository of a registry.
#[derive(Debug)]
pub enum OpenPlace {
    /// An archive.
    Archive(Archive),
    /// A directory.
    Directory(Directory),
    /// What came through a pipe into a directory.
    StreamedArchive(StreamedArchive),
    /// Volumes of a bundle.
    Volumes(LayoutUnion<'static>),
    /// A repository of a registry.
    Registry(RemoteRepository),
}

impl OpenPlace {
    /// Returns all of a layout, or the repository.
    pub fn whole(&self) -> Box<dyn Source + '_> {
        match self {
            Self::Archive(archive) => Box::new(archive.whole()),
            Self::Directory(directory) => Box::new(directory.whole()),
            Self::StreamedArchive(streamed) => Box::new(streamed.whole()),
            Self::Volumes(volumes) => Box::new(volumes.whole()),
            Self::Registry(remote) => Box::new(remote.clone()),
        }
    }

    /// Returns the layout, if it is one.
    pub fn layout(&self) -> Option<&dyn Layout> {
        match self {
            Self::Archive(archive) => Some(archive),
            Self::Directory(directory) => Some(directory),
            Self::StreamedArchive(streamed) => Some(streamed),
            Self::Volumes(volumes) => Some(volumes),
            Self::Registry(_) => None,
        }
    }

    /// Returns all of it to be changed.
    ///
    /// # Errors
    ///
    /// It is an archive, which is written once and as a whole.
    pub fn repository(&self) -> Result<Box<dyn Repository + '_>> {
        match self {
            Self::Directory(directory) => Ok(Box::new(directory.whole())),
            Self::Registry(remote) => Ok(Box::new(remote.clone())),
            Self::Archive(_) | Self::StreamedArchive(_) | Self::Volumes(_) => {
                Err(Error::unsupported("an archive", Inability::ReadOnly))
            }
        }
    }

    /// Makes durable what was changed.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn commit(&self) -> Result<()> {
        match self {
            Self::Directory(directory) => directory.commit(),
            Self::Archive(_) | Self::StreamedArchive(_) | Self::Volumes(_) | Self::Registry(_) => {
                Ok(())
            }
        }
    }
}

/// A place that is written.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Destination {
    /// A directory.
    Directory(Directory),
    /// An archive, which appears when it is whole.
    Archive(ArchiveWriter),
    /// An archive that goes through a pipe.
    Stream(ArchiveStream),
    /// A repository of a registry.
    Registry(RemoteRepository),
}

impl Destination {
    /// Returns the place.
    pub fn place(&self) -> &dyn TargetPlace {
        match self {
            Self::Directory(directory) => directory,
            Self::Archive(archive) => archive,
            Self::Stream(stream) => stream,
            Self::Registry(remote) => remote.registry(),
        }
    }

    /// Returns all of the layout, or the repository.
    pub fn whole(&self) -> Box<dyn Target + '_> {
        match self {
            Self::Directory(directory) => Box::new(directory.whole()),
            Self::Archive(archive) => Box::new(archive.whole()),
            Self::Stream(stream) => Box::new(stream.whole()),
            Self::Registry(remote) => Box::new(remote.clone()),
        }
    }
}
