//! What is wrong with something that is read.

use std::fmt;

/// What is wrong with something that is not in the form it must have. Displayed, it is the end of a
/// sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// A directory has no `oci-layout` in it.
    NotALayout,
    /// A directory that a layout was to be made in has something else in it.
    NotEmpty,
    /// An archive has no `oci-layout` in it.
    NoLayoutInside,
    /// An archive is of the form that `docker save` once wrote.
    DockerArchive,
    /// A layout has no `index.json`.
    NoIndex,
    /// Something else is where a directory was to be.
    NotADirectory,
    /// A directory is where an archive was to be.
    Directory,
    /// A pipe is where a file was to be.
    Pipe,
    /// Something else is where a file was to be.
    NotAFile,
    /// A link is where nothing is written or removed behind one.
    Link {
        /// What the link says.
        to: String,
    },
    /// An earlier run cannot have left it for us to go on with; why, as a sentence.
    NotOurs(String),
    /// There is nothing in it.
    Empty,
    /// It is no text.
    NotText,
    /// It is no tar archive.
    NotATar,
    /// It is compressed in a way that is not read.
    Compressed {
        /// The program that unpacks it.
        with: &'static str,
    },
    /// Something lies behind the end of it; what, as a sentence.
    Trailing(String),
    /// A member of an archive that comes through a pipe is a second name of one before it, which cannot be
    /// read once more.
    HardLink {
        /// The member, as it is shown.
        member: String,
    },
    /// It ends too early; where, as a sentence.
    CutOff(String),
    /// It is of a version that is not known here.
    Version {
        /// The version that it says.
        found: String,
        /// The version that is known.
        known: &'static str,
    },
    /// It is a page for people, where a registry's answer was to be.
    WebPage,
    /// It is what a registry, or somebody that it named, answered, and not what the spec says that it
    /// must be; how, as a sentence.
    Answer(String),
    /// It leads to where nothing is encrypted, from where everything is.
    Unencrypted {
        /// Where it leads to.
        to: String,
    },
    /// It cannot be the address of a registry; why, as a sentence.
    Address(String),
    /// It is no certificate of an authority; why.
    Authority(String),
    /// It is no certificate and key by which a client shows who it is; why.
    Identity(String),
    /// It is no file, entry, name or helper program for passwords; how, as a sentence.
    Credentials(String),
    /// It cannot be used as the address of a proxy; why.
    Proxy(String),
    /// It is the journal of a layout, and damaged; how, as a sentence.
    Journal(String),
    /// It is damaged, or was made wrongly; how, as a sentence.
    Damaged(String),
}

impl Flaw {
    /// Tells whether content is not what it should be; else what was typed, set or answered is not.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::WebPage
            | Self::Answer(_)
            | Self::Unencrypted { .. }
            | Self::Address(_)
            | Self::Authority(_)
            | Self::Identity(_)
            | Self::Credentials(_)
            | Self::Proxy(_)
            | Self::Compressed { .. }
            | Self::HardLink { .. }
            | Self::NotText => false,
            Self::NotALayout
            | Self::NotEmpty
            | Self::NoLayoutInside
            | Self::DockerArchive
            | Self::NoIndex
            | Self::NotADirectory
            | Self::Directory
            | Self::Pipe
            | Self::NotAFile
            | Self::Link { .. }
            | Self::NotOurs(_)
            | Self::Empty
            | Self::Trailing(_)
            | Self::NotATar
            | Self::CutOff(_)
            | Self::Version { .. }
            | Self::Journal(_)
            | Self::Damaged(_) => true,
        }
    }
}

impl Flaw {
    /// Returns what is to be said of a thing that is of another kind than it must be, or lacks what makes
    /// it one: the rest of a sentence. Nothing in it is malformed.
    pub fn predicate(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotALayout => "has no `oci-layout`, so it is not an image layout",
            Self::NotEmpty => "is not empty and has no `oci-layout`, so it is not an image layout",
            Self::NoLayoutInside => "has no `oci-layout`, so it holds no image layout",
            Self::DockerArchive => {
                "has no `oci-layout`, but a `manifest.json`: it is a Docker archive, not an OCI one"
            }
            Self::NoIndex => "has no `index.json`",
            Self::NotADirectory => "is not a directory",
            Self::Directory => "is a directory, not an archive",
            Self::Pipe => "is a pipe, which cannot be read from any offset",
            Self::NotAFile => "is not a file",
            Self::Empty => "is empty",
            Self::NotText => "is not UTF-8 text",
            Self::NotATar => "is not a tar archive",
            Self::WebPage => "is a web page",
            _ => return None,
        })
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotALayout
            | Self::NotEmpty
            | Self::NoLayoutInside
            | Self::DockerArchive
            | Self::NoIndex
            | Self::NotADirectory
            | Self::Directory
            | Self::Pipe
            | Self::NotAFile
            | Self::Empty
            | Self::NotText
            | Self::NotATar
            | Self::WebPage => {
                return write!(f, "it {}", self.predicate().unwrap_or_default());
            }
            Self::Compressed { with } => {
                return write!(f, "it is compressed with {with}, which is not read here");
            }
            Self::HardLink { member } => {
                return write!(
                    f,
                    "its member `{member}` is a hard link, and a pipe cannot be read a second time"
                );
            }
            Self::Version { found, known } => {
                return write!(f, "its version is {found}, and only {known} is supported");
            }
            Self::Link { to } => {
                return write!(f, "it is a link to {to}, and no link is followed here");
            }
            Self::NotOurs(reason) => {
                return write!(f, "{reason}, so nothing is written to it");
            }
            Self::Unencrypted { to } => {
                return write!(f, "it leads to {to}, where nothing is encrypted");
            }
            Self::CutOff(text)
            | Self::Answer(text)
            | Self::Address(text)
            | Self::Authority(text)
            | Self::Identity(text)
            | Self::Credentials(text)
            | Self::Proxy(text)
            | Self::Trailing(text)
            | Self::Journal(text)
            | Self::Damaged(text) => text,
        })
    }
}

impl From<String> for Flaw {
    fn from(text: String) -> Self {
        Self::Damaged(text)
    }
}

impl From<&str> for Flaw {
    fn from(text: &str) -> Self {
        Self::Damaged(text.to_owned())
    }
}
