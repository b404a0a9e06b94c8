//! Places, opened by how people write them.

use std::path::{Path, PathBuf};

use longshore_bundle::{
    Choice, LayoutKind, LayoutPlace, Opener, SelectedPlaces, Selection, only_root,
};
use longshore_layout::{Archive, ArchiveOptions, ArchiveWriter, Directory, Layout};
use longshore_remote::{Client, Config, Registry, Remote};
use longshore_spec::Reference;
use longshore_store::{Error, Name, Place, Repository, Result, Selector, Source, Target};

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
    /// It is written wrongly; in words.
    #[error("{0}")]
    Text(String),
    /// The place says why.
    #[error(transparent)]
    Store(#[from] Error),
}

/// A place that is read, and what is meant in it.
#[derive(Debug)]
pub struct OpenSource {
    opened: OpenPlace,
    /// What was written.
    text: String,
    selector: Option<Selector>,
}

#[derive(Debug)]
enum OpenPlace {
    Archive(Archive),
    Directory(Directory),
    Registry(Remote),
}

/// A place that is written, and what something will be called there.
#[derive(Debug)]
pub struct OpenTarget {
    written: Written,
    /// What something will be called; its own name if that is not said.
    pub name: Option<Name>,
}

#[derive(Debug)]
enum Written {
    Archive(ArchiveWriter),
    Directory(Directory),
    Registry(Registry, Remote),
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

    /// Opens a place to read from: `oci:DIR[:REF]`, `oci-archive:FILE[:REF]` or a reference.
    ///
    /// # Errors
    ///
    /// It is no place, or not there.
    pub fn source(&self, text: &str) -> Result<OpenSource, PlaceError> {
        let (opened, selector) = match text.parse::<Choice>().map_err(PlaceError::Text)? {
            Choice::Layout(layout) => (self.layout(&layout)?, layout.selector),
            Choice::Reference(reference) => {
                let selector = match reference.digest() {
                    Some(digest) => Selector::Digest(digest.clone()),
                    None => Selector::Name(Name::new(reference.tag_or_latest().as_str())),
                };
                (OpenPlace::Registry(self.remote(&reference)?), Some(selector))
            }
            Choice::Repository(..) | Choice::References(..) => {
                return Err(PlaceError::Text(format!("`{text}` is no single place")));
            }
        };
        Ok(OpenSource { opened, text: text.to_owned(), selector })
    }

    /// Opens a place to write to, written alike. A directory is made if it is not there; an archive must not
    /// be, and appears when it is whole.
    ///
    /// # Errors
    ///
    /// It is no place, or cannot be written to.
    pub fn target(&self, text: &str) -> Result<OpenTarget, PlaceError> {
        match text.parse::<Choice>().map_err(PlaceError::Text)? {
            Choice::Layout(LayoutPlace { kind, path, selector }) => {
                let written = match kind {
                    LayoutKind::Directory => Written::Directory(Directory::create(path)?),
                    LayoutKind::Archive => Written::Archive(ArchiveWriter::new(path)?),
                };
                match selector {
                    None => Ok(OpenTarget { written, name: None }),
                    Some(Selector::Name(name)) => Ok(OpenTarget { written, name: Some(name) }),
                    Some(Selector::Digest(digest)) => Err(PlaceError::Text(format!(
                        "`{text}` says which digest to write, but that follows from the content ({digest})"
                    ))),
                }
            }
            Choice::Reference(reference) => {
                let remote = self.remote(&reference)?;
                let name = reference.tag().map(|tag| Name::new(tag.as_str()));
                let written = Written::Registry(remote.registry().clone(), remote);
                Ok(OpenTarget { written, name })
            }
            Choice::Repository(..) | Choice::References(..) => {
                Err(PlaceError::Text(format!("`{text}` is no single place")))
            }
        }
    }

    /// Opens the layouts that a selection names.
    ///
    /// # Errors
    ///
    /// One of them is not there.
    pub fn layouts(&self, selection: &Selection) -> Result<OpenLayouts<'_>> {
        let open = |place: LayoutPlace| Ok((place.clone(), self.layout(&place)?));
        let layouts = selection.layouts().into_iter().map(open).collect::<Result<_>>()?;
        Ok(OpenLayouts { places: self, layouts })
    }

    fn layout(&self, layout: &LayoutPlace) -> Result<OpenPlace> {
        match layout.kind {
            LayoutKind::Directory => Directory::open(&layout.path).map(OpenPlace::Directory),
            LayoutKind::Archive => {
                let scratch = self.scratch.clone();
                let options = ArchiveOptions { scratch, ..ArchiveOptions::default() };
                Archive::open(Path::new(&layout.path), &options).map(OpenPlace::Archive)
            }
        }
    }

    fn remote(&self, reference: &Reference) -> Result<Remote> {
        Ok(self.client.registry(reference.registry())?.remote(reference.repository()))
    }
}

impl OpenPlace {
    fn whole(&self) -> Box<dyn Repository + '_> {
        match self {
            Self::Archive(archive) => Box::new(archive.whole()),
            Self::Directory(directory) => Box::new(directory.whole()),
            Self::Registry(remote) => Box::new(remote.clone()),
        }
    }
}

impl OpenSource {
    /// Returns all of the layout, or the repository.
    pub fn whole(&self) -> Box<dyn Repository + '_> {
        self.opened.whole()
    }

    /// Returns the layout, if it is one.
    pub fn layout(&self) -> Option<&dyn Layout> {
        match &self.opened {
            OpenPlace::Archive(archive) => Some(archive),
            OpenPlace::Directory(directory) => Some(directory),
            OpenPlace::Registry(_) => None,
        }
    }

    /// Returns what is meant: what was written, or the only artifact that there is.
    ///
    /// # Errors
    ///
    /// Nothing was written, and there are several, or none.
    pub fn selected(&self) -> Result<Selector> {
        if let Some(selector) = &self.selector {
            return Ok(selector.clone());
        }
        let root = only_root(&*self.whole(), &self.text)?;
        let name = root.names.into_iter().next().map(Selector::Name);
        Ok(name.unwrap_or(Selector::Digest(root.descriptor.digest)))
    }
}

impl OpenTarget {
    /// Returns the place.
    pub fn place(&self) -> &dyn Place {
        match &self.written {
            Written::Archive(archive) => archive,
            Written::Directory(directory) => directory,
            Written::Registry(registry, _) => registry,
        }
    }

    /// Returns all of the layout, or the repository.
    pub fn whole(&self) -> Box<dyn Target + '_> {
        match &self.written {
            Written::Archive(archive) => Box::new(archive.whole()),
            Written::Directory(directory) => Box::new(directory.whole()),
            Written::Registry(_, remote) => Box::new(remote.clone()),
        }
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
        Ok(Box::new(self.places.remote(reference)?))
    }

    fn layout(&self, layout: &LayoutPlace) -> Result<Box<dyn Repository + 'l>> {
        let found = self.layouts.iter().find(|(place, _)| place == layout);
        let (_, opened) =
            found.ok_or_else(|| Error::not_found(layout.to_string(), "the selection"))?;
        Ok(opened.whole())
    }
}
