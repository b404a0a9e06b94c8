//! Places, opened by how people write them.

use std::path::PathBuf;

use longshore_bundle::{LayoutPlace, Opener, SelectedPlaces, Selection, only_root};
use longshore_layout::{Archive, ArchiveOptions, ArchiveWriter, Directory, Layout};
use longshore_remote::{Client, Config, Registry, RemoteRepository};
use longshore_spec::{Reference, RepositoryName, Tag};
use longshore_store::{Error, Name, Result, Selector, Source, Target, TargetPlace};

use crate::location::{InRegistry, Location, LocationError, PlaceKind};
use crate::{Destination, OpenPlace};

/// Opens places: layouts, and registries through one client.
#[derive(Debug)]
pub struct Places {
    client: Client,
    /// Where compressed archives are unpacked.
    pub scratch: Option<PathBuf>,
}

/// Why a place cannot be opened, or nothing can be done with it.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// It is written wrongly.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// Something else is wrong with what was asked for; in words.
    #[error("{0}")]
    Text(String),
    /// The place says why.
    #[error(transparent)]
    Store(#[from] Error),
}

/// A place that is read, and what is meant in it.
#[derive(Debug)]
pub struct OpenSource {
    /// The place.
    pub place: OpenPlace,
    /// Where it is, and what is meant in it.
    pub location: Location,
}

/// A place that is written, and what something will be called there.
#[derive(Debug)]
pub struct OpenTarget {
    /// The place.
    pub place: Destination,
    /// What something will be called; its own name if that is not said.
    pub name: Option<Name>,
}

/// The layouts that a selection names, opened, and registries beside them.
#[derive(Debug)]
pub struct OpenLayouts<'p> {
    places: &'p Places,
    layouts: Vec<(LayoutPlace, OpenPlace)>,
}

impl Places {
    /// Returns places whose registries are reached as `config` says.
    ///
    /// # Errors
    ///
    /// Something in the config is of no use, such as a certificate.
    pub fn new(config: &Config) -> Result<Self> {
        Ok(Self { client: Client::new(config)?, scratch: None })
    }

    /// Opens a place to read from: `oci:DIR[:REF]`, `oci-archive:FILE[:REF]`, the path of either, or a
    /// reference.
    ///
    /// # Errors
    ///
    /// It is no place, or not there.
    pub fn source(&self, text: &str) -> Result<OpenSource, PlaceError> {
        let location = parse(text)?;
        let place = self.open(&location)?;
        Ok(OpenSource { place, location })
    }

    /// Opens a place to write to, written alike. A directory is made if it is not there; an archive must not
    /// be, and appears when it is whole.
    ///
    /// # Errors
    ///
    /// It is no place, or cannot be written to.
    pub fn target(&self, text: &str) -> Result<OpenTarget, PlaceError> {
        let location = parse(text)?;
        let (name, digest) = location.named();
        if let Some(digest) = digest {
            let text = format!(
                "`{text}` says which digest to write, but that follows from the content ({digest})"
            );
            return Err(PlaceError::Text(text));
        }
        let place = match location.place {
            PlaceKind::Directory(path) => Destination::Directory(Directory::create(path)?),
            PlaceKind::Archive(path) => Destination::Archive(ArchiveWriter::new(path)?),
            PlaceKind::Registry(InRegistry { host, repository, .. }) => {
                Destination::Registry(self.remote(&host, &repository)?)
            }
        };
        Ok(OpenTarget { place, name })
    }

    /// Opens what a location leads to, to be read.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn open(&self, location: &Location) -> Result<OpenPlace> {
        match &location.place {
            PlaceKind::Directory(path) => Directory::open(path).map(OpenPlace::Directory),
            PlaceKind::Archive(path) => {
                let scratch = self.scratch.clone();
                let options = ArchiveOptions { scratch, ..ArchiveOptions::default() };
                Archive::open(path, &options).map(OpenPlace::Archive)
            }
            PlaceKind::Registry(InRegistry { host, repository, .. }) => {
                self.remote(host, repository).map(OpenPlace::Registry)
            }
        }
    }

    /// Opens the layouts that a selection names.
    ///
    /// # Errors
    ///
    /// One of them is not there.
    pub fn layouts(&self, selection: &Selection) -> Result<OpenLayouts<'_>> {
        let open = |place: LayoutPlace| Ok((place.clone(), self.open(&place.into())?));
        let layouts = selection.layouts().into_iter().map(open).collect::<Result<_>>()?;
        Ok(OpenLayouts { places: self, layouts })
    }

    /// Returns a registry, of which nothing is asked yet.
    ///
    /// # Errors
    ///
    /// `host` is no host, with or without a port.
    pub fn registry(&self, host: &str) -> Result<Registry> {
        self.client.registry(host)
    }

    fn remote(&self, host: &str, repository: &RepositoryName) -> Result<RemoteRepository> {
        Ok(self.registry(host)?.remote_repository(repository))
    }
}

/// Reads a place that a library may open: stdin and stdout are the program's.
fn parse(text: &str) -> Result<Location, PlaceError> {
    let location: Location = text.parse()?;
    if location.is_pipe() {
        return Err(PlaceError::Text(format!("`{text}` is a pipe, which has no path")));
    }
    Ok(location)
}

impl OpenSource {
    /// Returns all of the layout, or the repository.
    pub fn whole(&self) -> Box<dyn Source + '_> {
        self.place.whole()
    }

    /// Returns the layout, if it is one.
    pub fn layout(&self) -> Option<&dyn Layout> {
        self.place.layout()
    }

    /// Returns what is meant: what was written, `latest` of a registry, or the only artifact that there is.
    ///
    /// # Errors
    ///
    /// Nothing was written, and there are several, or none.
    pub fn selected(&self) -> Result<Selector> {
        if let Some(selector) = &self.location.selector {
            return Ok(selector.clone());
        }
        if matches!(self.place, OpenPlace::Registry(_)) {
            return Ok(Selector::Name(Name::new(Tag::latest().as_str())));
        }
        let root = only_root(&*self.whole(), &self.location)?;
        let name = root.names.into_iter().next().map(Selector::Name);
        Ok(name.unwrap_or(Selector::Digest(root.descriptor.digest)))
    }
}

impl OpenTarget {
    /// Returns the place.
    pub fn place(&self) -> &dyn TargetPlace {
        self.place.place()
    }

    /// Returns all of the layout, or the repository.
    pub fn whole(&self) -> Box<dyn Target + '_> {
        self.place.whole()
    }
}

impl OpenLayouts<'_> {
    /// Opens everything else that the selection names, of which these are the layouts.
    ///
    /// # Errors
    ///
    /// A layout cannot be read, or does not say which of its artifacts is meant.
    pub fn select<'l>(&'l self, selection: &'l Selection) -> Result<SelectedPlaces<'l>> {
        SelectedPlaces::open(selection, &self)
    }
}

impl<'l> Opener<'l> for &'l OpenLayouts<'_> {
    type Error = Error;

    fn repository(&self, reference: &Reference) -> Result<Box<dyn Source + 'l>> {
        Ok(Box::new(self.places.remote(reference.registry(), reference.repository())?))
    }

    fn layout(&self, layout: &LayoutPlace) -> Result<Box<dyn Source + 'l>> {
        let found = self.layouts.iter().find(|(place, _)| place == layout);
        let (_, opened) =
            found.ok_or_else(|| Error::not_found(layout.to_string(), "the selection"))?;
        Ok(opened.whole())
    }
}
