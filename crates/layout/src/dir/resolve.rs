//! Opening a path below a directory, following links that stay below it.
//!
//! The kernel does this in one call where it can. Otherwise, and where the kernel refuses, the path is
//! walked here, one directory at a time. The walk also finds the link that leads out.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

/// The most links on a path, as in the kernel.
const MAX_LINKS: usize = 40;

/// The most directories that are open while a path is walked.
const MAX_DEPTH: usize = 100;

/// Directories on the way need not be readable, if the system supports that.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// Why a path does not open.
#[derive(Debug)]
pub(super) enum ResolveError {
    /// A link on it leads out of the directory. `link` is relative to the directory.
    LeadsOut {
        link: PathBuf,
        target: PathBuf,
    },
    Io(io::Error),
}

impl From<Errno> for ResolveError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// Opens `path` in `directory`, if it stays below it.
pub(super) fn beneath(
    directory: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
) -> Result<OwnedFd, ResolveError> {
    match kernel::beneath(directory, path, flags) {
        Ok(opened) => Ok(opened),
        Err(error) if kernel::is_final(error) => Err(error.into()),
        Err(_) => walk(directory, path, flags),
    }
}

/// Opens the directory at `path`, if no link is on the way.
pub(super) fn without_links(directory: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    kernel::without_links(directory, path)
}

/// Does what [`beneath`] does, without the kernel's help.
fn walk(directory: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, ResolveError> {
    let mut above = vec![directory.try_clone_to_owned().map_err(ResolveError::Io)?];
    let mut at = PathBuf::new();
    let mut left = Vec::new();
    push(&mut left, path);
    let mut links = Vec::new();
    while let Some(part) = left.pop() {
        if part == ".." {
            above.pop();
            at.pop();
            if above.is_empty() {
                let (link, target) = links.pop().ok_or(Errno::INVAL)?;
                return Err(ResolveError::LeadsOut { link, target });
            }
            continue;
        }
        let Some(here) = above.last() else { break };
        let last = left.is_empty();
        let flags = if last { flags } else { DIRECTORY };
        let opened = rustix::fs::openat(here, &part, flags | OFlags::NOFOLLOW, Mode::empty());
        match opened.and_then(no_link) {
            Ok(opened) if last => return Ok(opened),
            Ok(_) if above.len() == MAX_DEPTH => return Err(Errno::NAMETOOLONG.into()),
            Ok(opened) => {
                above.push(opened);
                at.push(part);
            }
            // The errors for a link differ among systems.
            Err(error) => {
                let Ok(target) = rustix::fs::readlinkat(here, &part, Vec::new()) else {
                    return Err(error.into());
                };
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                let link = at.join(&part);
                if target.is_absolute() {
                    return Err(ResolveError::LeadsOut { link, target });
                }
                if links.len() == MAX_LINKS {
                    return Err(Errno::LOOP.into());
                }
                push(&mut left, &target);
                links.push((link, target));
            }
        }
    }
    // The path ended with `..`, or was empty.
    let here = above.last().map_or(directory, AsFd::as_fd);
    Ok(rustix::fs::openat(here, ".", flags, Mode::empty())?)
}

/// Fails on a link: `O_PATH` opens the link itself.
fn no_link(opened: OwnedFd) -> Result<OwnedFd, Errno> {
    let found = rustix::fs::fstat(&opened)?;
    let is_link = FileType::from_raw_mode(found.st_mode) == FileType::Symlink;
    if is_link { Err(Errno::LOOP) } else { Ok(opened) }
}

/// Pushes the parts of a path on the stack of parts that are left, the first on top.
fn push(left: &mut Vec<OsString>, path: &Path) {
    let parts = path.components().rev().filter(|part| !matches!(part, Component::CurDir));
    left.extend(parts.map(|part| part.as_os_str().to_owned()));
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod kernel {
    use rustix::fs::{ResolveFlags, openat2};

    use super::{BorrowedFd, DIRECTORY, Errno, Mode, OFlags, OwnedFd, Path};

    pub(super) fn beneath(
        directory: BorrowedFd<'_>,
        path: &Path,
        flags: OFlags,
    ) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        openat2(directory, path, flags, Mode::empty(), resolve)
    }

    pub(super) fn without_links(directory: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        openat2(directory, path, DIRECTORY, Mode::empty(), resolve)
    }

    /// Tells whether an error is about the path. Older kernels, and containers that forbid this call,
    /// return other errors.
    pub(super) fn is_final(error: Errno) -> bool {
        !matches!(
            error,
            Errno::XDEV
                | Errno::LOOP
                | Errno::NOSYS
                | Errno::PERM
                | Errno::AGAIN
                | Errno::INVAL
                | Errno::TOOBIG
        )
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod kernel {
    use super::{BorrowedFd, Errno, OFlags, OwnedFd, Path};

    pub(super) fn beneath(_: BorrowedFd<'_>, _: &Path, _: OFlags) -> Result<OwnedFd, Errno> {
        Err(Errno::NOSYS)
    }

    pub(super) fn without_links(_: BorrowedFd<'_>, _: &Path) -> Result<OwnedFd, Errno> {
        Err(Errno::NOSYS)
    }

    pub(super) fn is_final(error: Errno) -> bool {
        error != Errno::NOSYS
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::*;

    /// The kernel's answer and the walk's are the same, whatever lies on the way.
    #[test]
    fn links_are_followed_as_long_as_they_stay_below() {
        let scene = tempfile::tempdir().unwrap();
        let root = scene.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "inside").unwrap();
        fs::write(scene.path().join("outside"), "outside").unwrap();
        let links = [
            ("to-file", "a/b/file"),
            ("to-link", "./to-file"),
            ("a/up", "../to-link"),
            ("to-directory", "a//b/"),
            ("around", "a/b/../../a/b/file"),
            ("out", "../outside"),
            ("out-and-back", "../root/a/b/file"),
            ("to-out", "a/../out"),
            ("a/directory-out", "../.."),
            ("self", "self"),
            ("ping", "pong"),
            ("pong", "ping"),
            ("nowhere", "a/nothing"),
        ];
        for (link, target) in links {
            symlink(target, root.join(link)).unwrap();
        }
        symlink(root.join("a/b/file"), root.join("absolute")).unwrap();
        let directory = File::open(&root).unwrap();
        let look = |answer: Result<OwnedFd, ResolveError>| match answer {
            Ok(opened) => {
                let mut text = String::new();
                File::from(opened).read_to_string(&mut text).unwrap();
                text
            }
            Err(ResolveError::LeadsOut { link, .. }) => format!("out at {}", link.display()),
            Err(ResolveError::Io(error)) => format!("{:?}", error.kind()),
        };
        for (path, expected) in [
            ("a/b/file", "inside"),
            ("to-file", "inside"),
            ("to-link", "inside"),
            ("a/up", "inside"),
            ("to-directory/file", "inside"),
            ("around", "inside"),
            ("out", "out at out"),
            ("out-and-back", "out at out-and-back"),
            ("to-out", "out at out"),
            ("a/directory-out/outside", "out at a/directory-out"),
            ("absolute", "out at absolute"),
            ("self", "FilesystemLoop"),
            ("ping", "FilesystemLoop"),
            ("nowhere", "NotFound"),
            ("nothing", "NotFound"),
            ("a/b/file/further", "NotADirectory"),
        ] {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let quick = look(beneath(directory.as_fd(), Path::new(path), flags));
            let walked = look(walk(directory.as_fd(), Path::new(path), flags));
            assert_eq!(quick, walked, "{path}");
            assert_eq!(quick, expected, "{path}");
            let look = flags | DIRECTORY.difference(OFlags::DIRECTORY);
            let looked_at = walk(directory.as_fd(), Path::new(path), look);
            let is_file =
                looked_at.is_ok_and(|found| File::from(found).metadata().unwrap().is_file());
            assert_eq!(is_file, expected == "inside", "{path}");
        }
    }
}
