//! Open directories, from which the files below them are reached.
//!
//! A layout from somebody else may contain anything: links, pipes, devices, second names of files
//! elsewhere, and all of it may change at any moment. So a path from the root of the system is used only
//! for what the user named. Files that are read may be behind links that stay below the directory
//! ([`Links`]). Files that are written or removed have a single name in an open directory; no link leads
//! to that directory, and the name itself is not followed.

mod resolve;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use longshore_store::{Error, Flaw, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use self::resolve::{DIRECTORY, ResolveError};

/// What happens with links that lead out of a layout, when the layout is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Links {
    /// They are refused with [`Error::LeadsOut`].
    #[default]
    Inside,
    /// They are followed to regular files. A blob behind such a link is verified as a whole before its
    /// first byte is handed out.
    Anywhere,
}

/// An open directory.
#[derive(Debug)]
pub(crate) struct Dir {
    opened: OwnedFd,
    /// The path, for errors.
    path: PathBuf,
}

/// A file that is open for reading.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) file: File,
    pub(crate) size: u64,
    pub(crate) located: Located,
}

/// Whether a link led out of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Located {
    Inside,
    /// A link led out of the directory.
    Outside,
}

/// A file that an earlier run may have left.
#[derive(Debug)]
pub(crate) enum Part {
    Absent,
    Ours(File),
    /// A file that must not be written to.
    Foreign {
        /// The reason, as the rest of a sentence that begins with "it".
        reason: String,
    },
}

/// Flags to open files: they do not wait for the writer of a pipe, and do not take over a terminal.
const FILE: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Flags to open files without reading them.
#[cfg(any(target_os = "linux", target_os = "android"))]
const LOOK: OFlags = OFlags::CLOEXEC.union(OFlags::PATH);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const LOOK: OFlags = FILE;

/// The permissions of new files and directories, restricted by the umask.
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o777);

/// The words for a path that is something else.
const NO_FILE: &str = "no file";
const NO_DIRECTORY: &str = "no directory";

impl Dir {
    /// Opens a directory that the user named, and follows links.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let opened = rustix::fs::open(path, DIRECTORY, Mode::empty());
        let opened = opened.map_err(|error| failed("open", path, error))?;
        Ok(Self { opened, path: path.to_owned() })
    }

    /// Opens a directory that the user named, and creates it with its parents if it is missing. The
    /// parents are synced: a directory that is lost takes its content with it.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Self::open(path);
        }
        let above = Self::create(parent(path))?;
        match std::fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) => return Err(Error::io("create the directory", path.display())(error)),
            Ok(()) => above.sync()?,
        }
        Self::open(path)
    }

    /// Opens the directory of a file that the user named, and returns the file's name.
    pub(crate) fn of_file(path: &Path) -> Result<(Self, &OsStr)> {
        let name = path.file_name().ok_or_else(|| failed("write", path, Errno::ISDIR))?;
        let directory = parent(path);
        let opened = rustix::fs::open(directory, DIRECTORY, Mode::empty());
        let opened = opened.map_err(|error| match error {
            Errno::NOENT => no_directory(path),
            error => failed("open", directory, error),
        })?;
        Ok((Self { opened, path: directory.to_owned() }, name))
    }

    /// Returns what errors call the directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells whether the path belongs to another directory now.
    pub(crate) fn has_moved(&self) -> bool {
        let here = rustix::fs::fstat(&self.opened);
        let there = rustix::fs::stat(&self.path);
        !matches!((here, there), (Ok(here), Ok(there)) if is_same(&here, &there))
    }

    /// Opens a file below for reading. Returns `None` if it does not exist. Fails with
    /// [`Error::LeadsOut`], and with [`Error::Malformed`] if it is not a regular file.
    pub(crate) fn read(&self, path: impl AsRef<Path>, links: Links) -> Result<Option<Found>> {
        self.find(path.as_ref(), links, FILE | OFlags::RDONLY)
    }

    /// Returns the size of a file below, which need not be readable. Fails as [`Dir::read`] does.
    pub(crate) fn size(&self, path: impl AsRef<Path>, links: Links) -> Result<Option<u64>> {
        Ok(self.find(path.as_ref(), links, LOOK)?.map(|found| found.size))
    }

    fn find(&self, path: &Path, links: Links, flags: OFlags) -> Result<Option<Found>> {
        let (opened, located) = match resolve::beneath(self.opened.as_fd(), path, flags) {
            Err(ResolveError::LeadsOut { .. }) if links == Links::Anywhere => {
                let opened = rustix::fs::openat(&self.opened, path, flags, Mode::empty());
                (opened.map_err(ResolveError::from), Located::Outside)
            }
            opened => (opened, Located::Inside),
        };
        let file = match opened {
            Ok(opened) => File::from(opened),
            Err(fault) => return self.absent(path, fault),
        };
        let size = self.regular(&file, path)?.st_size;
        Ok(Some(Found { file, size: u64::try_from(size).unwrap_or(0), located }))
    }

    /// Opens a directory below for reading, if it exists.
    pub(crate) fn read_directory(
        &self,
        path: impl AsRef<Path>,
        links: Links,
    ) -> Result<Option<Self>> {
        let path = path.as_ref();
        let opened = match resolve::beneath(self.opened.as_fd(), path, DIRECTORY) {
            Err(ResolveError::LeadsOut { .. }) if links == Links::Anywhere => {
                rustix::fs::openat(&self.opened, path, DIRECTORY, Mode::empty())
                    .map_err(ResolveError::from)
            }
            opened => opened,
        };
        match opened {
            Ok(opened) => Ok(Some(Self { opened, path: self.path.join(path) })),
            Err(fault) => self.absent(path, fault),
        }
    }

    /// Opens a directory below for writing, if it exists. Fails with [`Error::Malformed`] if a link is on
    /// the way.
    pub(crate) fn below(&self, path: impl AsRef<Path>) -> Result<Option<Self>> {
        let path = path.as_ref();
        match resolve::without_links(self.opened.as_fd(), path) {
            Ok(opened) => return Ok(Some(Self { opened, path: self.path.join(path) })),
            Err(Errno::NOENT) => return Ok(None),
            // Step by step, to find out what is wrong.
            Err(_) => {}
        }
        let mut here = None;
        for part in path {
            let from: &Self = here.as_ref().unwrap_or(self);
            here = match from.step(part)? {
                Some(next) => Some(next),
                None => return Ok(None),
            };
        }
        Ok(here)
    }

    /// Opens a directory below for writing, and creates it with its parents if it is missing. The parents
    /// are synced: a directory that is lost takes its content with it. Fails as [`Dir::below`] does.
    pub(crate) fn create_below(&self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if let Some(there) = self.below(path)? {
            return Ok(there);
        }
        let mut here = self.try_clone()?;
        for part in path {
            here = match here.step(part)? {
                Some(next) => next,
                None => here.create_directory(part)?,
            };
        }
        Ok(here)
    }

    /// Returns the names in the directory with their file types. Links are not followed.
    pub(crate) fn entries(&self) -> Result<Vec<(OsString, FileType)>> {
        let look = |error| failed("look into", &self.path, error);
        let mut found = Vec::new();
        let readable = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.opened, ".", readable, Mode::empty());
        let entries = rustix::fs::Dir::new(opened.map_err(look)?).map_err(look)?;
        for entry in entries {
            let entry = entry.map_err(look)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems do not report the type.
                FileType::Unknown => match self.stat(name)? {
                    Some(found) => FileType::from_raw_mode(found.st_mode),
                    None => continue,
                },
                known => known,
            };
            found.push((name.to_owned(), kind));
        }
        Ok(found)
    }

    /// Returns the metadata of a name in the directory, if it exists. A link is not followed.
    pub(crate) fn stat(&self, name: impl AsRef<Path>) -> Result<Option<Stat>> {
        let name = name.as_ref();
        match rustix::fs::statat(&self.opened, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            // A digest of another algorithm may be longer than the longest file name.
            Err(Errno::NOENT | Errno::NAMETOOLONG) => Ok(None),
            Err(error) => Err(self.failed("open", name, error)),
        }
    }

    /// Opens a file of ours for reading, if it exists. Fails with [`Error::Malformed`] if it is a link or
    /// not a regular file.
    pub(crate) fn read_own(&self, name: impl AsRef<Path>) -> Result<Option<File>> {
        self.open_own(name.as_ref(), OFlags::RDONLY, "open")
    }

    /// Opens a file of ours for reading and writing, or creates it, and keeps its content. Fails with
    /// [`Error::Malformed`] if it is a link or not a regular file.
    pub(crate) fn open_or_create(&self, name: impl AsRef<Path>) -> Result<File> {
        let name = name.as_ref();
        let opened = self.open_own(name, OFlags::RDWR | OFlags::CREATE, "write")?;
        opened.ok_or_else(|| self.failed("write", name, Errno::NOENT))
    }

    /// Creates a new file. Returns `None` if the name exists.
    pub(crate) fn create_new(&self, name: impl AsRef<Path>) -> Result<Option<File>> {
        let name = name.as_ref();
        let flags = FILE | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        match rustix::fs::openat(&self.opened, name, flags, FILE_MODE) {
            Ok(opened) => Ok(Some(File::from(opened))),
            Err(Errno::EXIST) => Ok(None),
            Err(error) => Err(self.failed("write", name, error)),
        }
    }

    /// Creates a file with a random name that begins with `prefix`.
    pub(crate) fn create_unique(&self, prefix: &str) -> Result<(String, File)> {
        loop {
            let name = format!("{prefix}{:016x}", RandomState::new().build_hasher().finish());
            if let Some(file) = self.create_new(&name)? {
                return Ok((name, file));
            }
        }
    }

    /// Creates a new file under a name that only one process uses at a time. A file that a killed process
    /// left there is removed.
    pub(crate) fn create_anew(&self, name: impl AsRef<Path>) -> Result<File> {
        let name = name.as_ref();
        self.remove(name)?;
        self.create_new(name)?.ok_or_else(|| self.failed("write", name, Errno::EXIST))
    }

    /// Opens a file that an earlier run may have left, to continue it. It is ours if it is a regular file
    /// with a single name and belongs to this user. Otherwise somebody else may have put it there for us
    /// to write to, or may write to it after us.
    pub(crate) fn part(&self, name: impl AsRef<Path>) -> Result<Part> {
        let name = name.as_ref();
        let file = match self.open_own(name, OFlags::RDWR, "write") {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(Part::Absent),
            Err(Error::Malformed { reason, .. }) => {
                return Ok(Part::Foreign { reason: reason.to_string() });
            }
            Err(error) => {
                // A file of somebody else may not be writable.
                return match self
                    .stat(name)?
                    .map(|found| self.reason_not_ours(&found))
                    .transpose()?
                {
                    Some(Some(reason)) => Ok(Part::Foreign { reason }),
                    _ => Err(error),
                };
            }
        };
        let found = rustix::fs::fstat(&file).map_err(|error| self.failed("open", name, error))?;
        Ok(match self.reason_not_ours(&found)? {
            Some(reason) => Part::Foreign { reason },
            None => Part::Ours(file),
        })
    }

    /// Returns why a file is not ours to write to, or `None` if it is ours.
    pub(crate) fn reason_not_ours(&self, found: &Stat) -> Result<Option<String>> {
        let kind = FileType::from_raw_mode(found.st_mode);
        Ok(if kind != FileType::RegularFile {
            Some(format!("it is not a file but {}", kind_name(kind)))
        } else if found.st_nlink > 1 {
            Some("it has another name elsewhere, too".to_owned())
        } else if found.st_uid != rustix::process::geteuid().as_raw()
            && found.st_uid != self.owner_of_new()?
        {
            Some("it belongs to another user".to_owned())
        } else {
            None
        })
    }

    /// Removes a name from the directory, if it exists. Of a link, the link itself is removed.
    pub(crate) fn remove(&self, name: impl AsRef<Path>) -> Result<()> {
        let name = name.as_ref();
        match rustix::fs::unlinkat(&self.opened, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed("remove", name, error)),
        }
    }

    /// Removes a directory if it is empty.
    pub(crate) fn remove_empty(&self, name: impl AsRef<Path>) {
        _ = rustix::fs::unlinkat(&self.opened, name.as_ref(), AtFlags::REMOVEDIR);
    }

    /// Makes durable what is in the directory.
    pub(crate) fn sync(&self) -> Result<()> {
        let readable = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.opened, ".", readable, Mode::empty());
        match opened.and_then(rustix::fs::fsync) {
            // Some network file systems cannot sync directories.
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(failed("sync the directory", &self.path, error)),
        }
    }

    /// Tells whether an open file still has this name: it may have been renamed between being opened and
    /// being locked.
    pub(crate) fn has(&self, file: &File, name: impl AsRef<Path>) -> bool {
        let there = self.stat(name);
        matches!((rustix::fs::fstat(file), there), (Ok(here), Ok(Some(there))) if is_same(&here, &there))
    }

    /// Returns the owner of new files. File systems without owners report the same one for all, and some
    /// servers map root to another user.
    fn owner_of_new(&self) -> Result<u32> {
        let (name, file) = self.create_unique("owner-")?;
        let found = rustix::fs::fstat(file);
        self.remove(&name)?;
        Ok(found.map_err(|error| self.failed("open", Path::new(&name), error))?.st_uid)
    }

    fn try_clone(&self) -> Result<Self> {
        let opened = self.opened.try_clone().map_err(Error::io("open", self.path.display()))?;
        Ok(Self { opened, path: self.path.clone() })
    }

    /// Opens a directory that is directly in this one, if it exists.
    fn step(&self, name: &OsStr) -> Result<Option<Self>> {
        let opened =
            rustix::fs::openat(&self.opened, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
        match opened {
            Ok(opened) => Ok(Some(Self { opened, path: self.path.join(name) })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.explain(Path::new(name), NO_DIRECTORY, error, "open")),
        }
    }

    fn create_directory(&self, name: &OsStr) -> Result<Self> {
        let failed = |error| self.failed("create the directory", Path::new(name), error);
        match rustix::fs::mkdirat(&self.opened, name, DIRECTORY_MODE) {
            Ok(()) => self.sync()?,
            // Another process was faster.
            Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(error)),
        }
        self.step(name)?.ok_or_else(|| failed(Errno::NOENT))
    }

    fn open_own(&self, name: &Path, flags: OFlags, action: &'static str) -> Result<Option<File>> {
        let flags = flags | FILE | OFlags::NOFOLLOW;
        match rustix::fs::openat(&self.opened, name, flags, FILE_MODE) {
            Ok(opened) => {
                let file = File::from(opened);
                self.regular(&file, name)?;
                Ok(Some(file))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.explain(name, NO_FILE, error, action)),
        }
    }

    /// Fails unless an open file is a regular one.
    fn regular(&self, file: &File, name: &Path) -> Result<Stat> {
        let found = rustix::fs::fstat(file).map_err(|error| self.failed("open", name, error))?;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => Ok(found),
            kind => Err(self.malformed(name, format!("it is not a file but {}", kind_name(kind)))),
        }
    }

    /// Returns the error of a path that is not what it should be.
    fn explain(&self, name: &Path, expected: &str, error: Errno, action: &'static str) -> Error {
        if let Ok(target) = rustix::fs::readlinkat(&self.opened, name, Vec::new()) {
            let to = escaped(OsStr::from_bytes(target.as_bytes()));
            return self.malformed(name, Flaw::Link { to });
        }
        match self.stat(name).ok().flatten().map(|found| FileType::from_raw_mode(found.st_mode)) {
            Some(FileType::RegularFile) if expected == NO_FILE => {}
            Some(FileType::Directory) if expected == NO_DIRECTORY => {}
            Some(kind) => {
                return self.malformed(name, format!("it is {expected} but {}", kind_name(kind)));
            }
            None => {}
        }
        self.failed(action, name, error)
    }

    /// Returns the error of a path that could not be opened for reading, or `None` if it does not exist.
    fn absent<T>(&self, path: &Path, fault: ResolveError) -> Result<Option<T>> {
        let error = match fault {
            ResolveError::LeadsOut { link, target } => {
                return Err(Error::LeadsOut {
                    link: self.path.join(link).display().to_string(),
                    target: escaped(target.as_os_str()),
                    place: self.path.display().to_string(),
                });
            }
            ResolveError::Io(error) => error,
        };
        match Errno::from_io_error(&error) {
            // A digest of another algorithm may be longer than the longest file name.
            Some(Errno::NOENT | Errno::NAMETOOLONG) => Ok(None),
            Some(Errno::LOOP) => Err(self.malformed(path, "it is a link that leads in circles")),
            // These are the errors of opening a socket.
            Some(Errno::NXIO | Errno::OPNOTSUPP) => {
                Err(self.malformed(path, "it is not a file but a socket or device"))
            }
            _ => Err(Error::io("open", self.path.join(path).display())(error)),
        }
    }

    fn malformed(&self, name: &Path, flaw: impl Into<Flaw>) -> Error {
        Error::malformed(self.path.join(name).display(), flaw)
    }

    fn failed(&self, action: &'static str, name: &Path, error: Errno) -> Error {
        failed(action, &self.path.join(name), error)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.opened.as_fd()
    }
}

/// Opens a file that the user named, for reading. Fails with [`Error::Malformed`] if it is not a regular
/// file: the file must have an end, and be readable at any offset.
pub fn open_file(path: &Path) -> Result<File> {
    let opened = rustix::fs::open(path, FILE | OFlags::RDONLY, Mode::empty());
    let kind = |mode| FileType::from_raw_mode(mode);
    let opened = match opened {
        Ok(opened) => File::from(opened),
        Err(error) => {
            return Err(match rustix::fs::stat(path).map(|found| kind(found.st_mode)) {
                Ok(FileType::Socket) => not_a_file(path, FileType::Socket),
                _ => failed("open", path, error),
            });
        }
    };
    let found = rustix::fs::fstat(&opened).map_err(|error| failed("open", path, error))?;
    match kind(found.st_mode) {
        FileType::RegularFile => Ok(opened),
        other => Err(not_a_file(path, other)),
    }
}

fn not_a_file(path: &Path, kind: FileType) -> Error {
    let flaw = match kind {
        FileType::Directory => Flaw::Directory,
        FileType::Fifo => Flaw::Pipe,
        kind => format!("it is not a file but {}", kind_name(kind)).into(),
    };
    Error::malformed(path.display(), flaw)
}

/// Returns the directory of a path.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns the error of a file whose directory does not exist.
pub(crate) fn no_directory(file: &Path) -> Error {
    let [path, directory] = [file, parent(file)].map(|path| path.display().to_string());
    Error::NoDirectory { path, directory }
}

fn failed(action: &'static str, path: &Path, error: Errno) -> Error {
    Error::io(action, path.display())(io::Error::from(error))
}

/// Returns the error of a path that must exist and does not.
pub(crate) fn missing(path: &Path) -> Error {
    failed("open", path, Errno::NOENT)
}

/// Tells whether both are the same file.
fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// Returns the words for a file type.
fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a link",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "of an unknown kind",
    }
}

/// Returns the target of a link for an error: short, and with control characters escaped.
fn escaped(text: &OsStr) -> String {
    const LENGTH: usize = 300;
    text.to_string_lossy().chars().take(LENGTH).flat_map(char::escape_debug).collect()
}
