//! What is put where the program expects a file or a directory.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use longshore_fixture::Tree;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::scene::{MARK, Scene};
use crate::run;

/// What is put at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trap {
    LinkToFile,
    RelativeLink,
    LinkToLink,
    LinkToDirectory,
    LinkToNothing,
    LinkToItself,
    /// What was there lies outside, and a link leads to it.
    LinkToTwin,
    LinkToEnvironment,
    HardLink,
    Pipe,
    Device,
    LinkToZero,
    LinkToFull,
    Socket,
    Directory,
}

impl Trap {
    const ALL: [Self; 15] = [
        Self::LinkToFile,
        Self::RelativeLink,
        Self::LinkToLink,
        Self::LinkToDirectory,
        Self::LinkToNothing,
        Self::LinkToItself,
        Self::LinkToTwin,
        Self::LinkToEnvironment,
        Self::HardLink,
        Self::Pipe,
        Self::Device,
        Self::LinkToZero,
        Self::LinkToFull,
        Self::Socket,
        Self::Directory,
    ];

    /// Returns the traps that can be set here. In CI those are all.
    pub(super) fn all(work: &Path) -> Result<Vec<Self>> {
        let device = work.join("device");
        let made = zero(&device).and_then(|()| Ok(fs::File::open(&device).map(drop)?));
        _ = fs::remove_file(device);
        let mut traps = Self::ALL.to_vec();
        if let Err(error) = made {
            ensure!(!run::in_ci(), "a device cannot be made: {error:#}");
            println!("  devices: skipped, since making one is not allowed here");
            traps.retain(|trap| *trap != Self::Device);
        }
        Ok(traps)
    }

    /// Puts it at a path, in place of what is there; false where there is no such trap.
    pub(super) fn set(self, scene: &Scene, path: &Path) -> Result<bool> {
        let outside = scene.outside();
        let was = Was::take(path)?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = outside.join("file");
        // As long as what it stands for, which is what a descriptor says.
        let length = was.bytes().map_or(0, <[u8]>::len).max(4 * MARK.len());
        fs::write(&file, MARK.iter().copied().cycle().take(length).collect::<Vec<_>>())?;
        let directory = outside.join("directory");
        for name in ["a", "sha256/b", "uploads/upload-c", "partial/uploads/d", "blobs/sha256/e"] {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&directory))?;
            fs::write(path, MARK.repeat(4))?;
        }
        match self {
            Self::LinkToFile => symlink(file, path)?,
            Self::RelativeLink => {
                let depth = path.strip_prefix(&scene.root)?.components().count() - 1;
                symlink(format!("{}outside/file", "../".repeat(depth)), path)?;
            }
            Self::LinkToLink => {
                symlink(file, path.with_file_name("hop"))?;
                symlink("hop", path)?;
            }
            Self::LinkToDirectory => symlink(directory, path)?,
            Self::LinkToNothing => symlink(outside.join("nothing"), path)?,
            Self::LinkToItself => symlink(path.file_name().context("a path ends")?, path)?,
            Self::LinkToTwin => {
                let twin = outside.join("twin");
                match was {
                    Was::Nothing => return Ok(false),
                    Was::File(bytes) => fs::write(&twin, bytes)?,
                    Was::Directory(tree) => {
                        tree.write(&twin)?;
                        mark_directories(&twin)?;
                    }
                }
                symlink(twin, path)?;
            }
            Self::LinkToEnvironment => symlink("/proc/self/environ", path)?,
            Self::HardLink => {
                // What has a name in the layout may be read. It is not to be changed, where it has another.
                fs::write(&file, vec![b'.'; length])?;
                fs::hard_link(file, path)?;
            }
            Self::Pipe => nix::unistd::mkfifo(path, Mode::from_bits_truncate(0o666))?,
            Self::Device => zero(path)?,
            Self::LinkToZero => symlink("/dev/zero", path)?,
            Self::LinkToFull => symlink("/dev/full", path)?,
            Self::Socket => {
                // The name of a socket must be short when it is made.
                let made = scene.root.join("socket");
                drop(UnixListener::bind(&made)?);
                fs::rename(made, path)?;
            }
            Self::Directory => fs::create_dir(path)?,
        }
        Ok(true)
    }
}

impl std::fmt::Display for Trap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::LinkToFile => "a link to a file outside",
            Self::RelativeLink => "a relative link to a file outside",
            Self::LinkToLink => "a link to a link that leads outside",
            Self::LinkToDirectory => "a link to a directory outside",
            Self::LinkToNothing => "a link to nothing outside",
            Self::LinkToItself => "a link to itself",
            Self::LinkToTwin => "a link to its like outside",
            Self::LinkToEnvironment => "a link to the environment",
            Self::HardLink => "a hard link to a file outside",
            Self::Pipe => "a named pipe",
            Self::Device => "a device",
            Self::LinkToZero => "a link to /dev/zero",
            Self::LinkToFull => "a link to /dev/full",
            Self::Socket => "a socket",
            Self::Directory => "a directory",
        })
    }
}

/// What was at a path.
enum Was {
    Nothing,
    File(Vec<u8>),
    Directory(Tree),
}

impl Was {
    /// Takes away what is at a path.
    fn take(path: &Path) -> Result<Self> {
        if path.is_dir() {
            let tree = Tree::read(path)?;
            fs::remove_dir_all(path)?;
            return Ok(Self::Directory(tree));
        }
        match fs::read(path) {
            Ok(bytes) => {
                fs::remove_file(path)?;
                Ok(Self::File(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::File(bytes) => Some(bytes),
            Self::Nothing | Self::Directory(_) => None,
        }
    }
}

/// Puts a file with the mark into every directory.
fn mark_directories(root: &Path) -> Result<()> {
    let mut next = vec![root.to_owned()];
    while let Some(directory) = next.pop() {
        for entry in directory.read_dir()? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                next.push(entry.path());
            }
        }
        fs::write(directory.join("notes"), MARK.repeat(4))?;
    }
    Ok(())
}

/// Makes a device that never ends.
fn zero(path: &Path) -> Result<()> {
    const ZERO: (u64, u64) = (1, 5);
    let path: PathBuf = path.into();
    let mode = Mode::from_bits_truncate(0o666);
    Ok(mknod(&path, SFlag::S_IFCHR, mode, makedev(ZERO.0, ZERO.1))?)
}
