//! What a command sees: a layout, a directory to write to, and the outside.

use std::fmt;
use std::path::{Path, PathBuf};

/// What all that lies outside is made of, and nothing else.
pub(super) const MARK: &[u8] = b"<not-for-you>";

/// What a path lies below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ground {
    /// The layout.
    Layout,
    /// The directory that files are written to.
    Output,
}

/// A path, by what it lies below.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) ground: Ground,
    pub(super) path: String,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ground = match self.ground {
            Ground::Layout => "LAY",
            Ground::Output => "OUT",
        };
        write!(f, "{ground}/{}", self.path)
    }
}

/// A directory with all that one run sees.
pub(super) struct Scene {
    pub(super) root: PathBuf,
}

impl Scene {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn layout(&self) -> PathBuf {
        self.root.join("layout")
    }

    pub(super) fn output(&self) -> PathBuf {
        self.root.join("output")
    }

    pub(super) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Returns where all lies that the program was not given.
    pub(super) fn outside(&self) -> PathBuf {
        self.root.join("outside")
    }

    /// Returns where the ground lies that a path is on.
    pub(super) fn ground(&self, ground: Ground) -> PathBuf {
        match ground {
            Ground::Layout => self.layout(),
            Ground::Output => self.output(),
        }
    }

    pub(super) fn path(&self, spot: &Spot) -> PathBuf {
        self.ground(spot.ground).join(&spot.path)
    }
}

/// Tells whether bytes are from outside.
pub(super) fn holds_mark(bytes: &[u8]) -> bool {
    bytes.windows(MARK.len()).any(|window| window == MARK)
}
