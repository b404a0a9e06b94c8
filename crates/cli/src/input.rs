//! Files that a user names, and stdin: read whole, up to a bound.
//!
//! Any of them may be a pipe that a shell made, a device, or a file that somebody else wrote.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use longshore_store::{Error, Flaw, Result};

/// No list of what is wanted is longer, in bytes: some hundred thousand references.
pub(crate) const MAX_LIST: u64 = 32 << 20;

/// No lock is longer: each entry of a list becomes some 300 bytes of it.
pub(crate) const MAX_LOCK: u64 = 128 << 20;

/// No file of Kubernetes manifests is longer: some hundred thousand objects.
pub(crate) const MAX_MANIFESTS: u64 = 128 << 20;

/// No file of certificates, keys or passwords is longer. All authorities of the web have 300 KiB.
pub(crate) const MAX_TRUST: u64 = 16 << 20;

/// How much is read at once.
const PIECE: usize = 64 << 10;

/// How long a pipe without a writer is waited for: whoever was to write may just be starting.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often such a pipe is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Reads a file, or stdin if `path` is `-`.
pub(crate) fn text(path: &Path, limit: u64) -> Result<String> {
    let name = name(path);
    let no_text = || Error::malformed(&name, Flaw::NotText);
    // Text has no zero bytes; devices and most other files have some at the beginning.
    let look = |piece: &[u8]| if piece.contains(&0) { Err(no_text().into()) } else { Ok(()) };
    let read = if path == Path::new("-") {
        gather(&mut io::stdin().lock(), limit, look)
    } else {
        open(path, PATIENCE).and_then(|mut file| gather(&mut file, limit, look))
    };
    String::from_utf8(taken(read, &name, limit)?).map_err(|_| no_text())
}

/// Reads a file of any content.
pub(crate) fn bytes(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let read = open(path, PATIENCE).and_then(|mut file| gather(&mut file, limit, |_| Ok(())));
    taken(read, &path.display().to_string(), limit)
}

/// Returns what errors call a file, or stdin.
pub(crate) fn name(path: &Path) -> String {
    if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() }
}

fn taken(read: io::Result<Option<Vec<u8>>>, name: &str, limit: u64) -> Result<Vec<u8>> {
    let read = read.map_err(Error::io("read", name))?;
    if let Some(bytes) = &read {
        tracing::debug!("{name} was read: {} bytes", bytes.len());
    }
    read.ok_or_else(|| Error::Limit { what: name.to_owned(), limit: format!("{limit} bytes") })
}

/// Reads to the end, and looks at each piece as it comes. `None` if there is more than `limit` bytes.
fn gather(
    from: &mut impl Read,
    limit: u64,
    look: impl Fn(&[u8]) -> io::Result<()>,
) -> io::Result<Option<Vec<u8>>> {
    let (mut all, mut piece) = (Vec::new(), vec![0; PIECE]);
    loop {
        let count = match from.read(&mut piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            count => count?,
        };
        if count == 0 {
            return Ok(Some(all));
        }
        look(&piece[..count])?;
        if all.len() as u64 + count as u64 > limit {
            return Ok(None);
        }
        all.extend_from_slice(&piece[..count]);
    }
}

/// Opens a file for reading. A pipe that nobody writes to is refused after `patience`, where opening it
/// in the usual way would wait for ever.
#[cfg(unix)]
fn open(path: &Path, patience: Duration) -> io::Result<impl Read> {
    use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let mut first = Vec::new();
    if file.metadata()?.file_type().is_fifo() {
        first = first_piece(&file, patience)?;
    }
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(io::Cursor::new(first).chain(file))
}

#[cfg(not(unix))]
fn open(path: &Path, _: Duration) -> io::Result<File> {
    File::open(path)
}

/// Waits until somebody writes to a pipe, and returns what is there by then: it may be nothing yet.
#[cfg(unix)]
fn first_piece(mut pipe: &File, patience: Duration) -> io::Result<Vec<u8>> {
    let end = Instant::now() + patience;
    let mut piece = vec![0; PIECE];
    loop {
        match pipe.read(&mut piece) {
            Ok(0) if Instant::now() < end => std::thread::sleep(LOOK),
            Ok(0) => {
                return Err(io::Error::new(ErrorKind::TimedOut, "it is a pipe, and empty"));
            }
            Ok(count) => {
                piece.truncate(count);
                return Ok(piece);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Vec::new()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_without_end() {
        for endless in ["/dev/zero", "/dev/urandom"] {
            let error = text(Path::new(endless), MAX_LIST).unwrap_err();
            assert!(matches!(error, Error::Malformed { reason: Flaw::NotText, .. }), "{error}");
        }
        let error = bytes(Path::new("/dev/zero"), 1000).unwrap_err();
        assert_eq!(error.to_string(), "/dev/zero is over the limit of 1000 bytes");
        assert_eq!(text(Path::new("/dev/null"), 0).unwrap(), "");
    }

    #[test]
    fn what_is_as_long_as_may_be_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        io::Write::write_all(&mut file.as_file(), b"1234").unwrap();
        assert_eq!(text(file.path(), 4).unwrap(), "1234");
        assert!(matches!(text(file.path(), 3), Err(Error::Limit { .. })));
    }

    #[test]
    fn a_pipe_is_read_if_somebody_writes_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let error = open(&path, Duration::from_millis(50)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let written = "x".repeat(300_000);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut pipe = File::options().write(true).open(&path).unwrap();
                io::Write::write_all(&mut pipe, written.as_bytes()).unwrap();
            });
            assert!(text(&path, MAX_LIST).unwrap() == written);
        });
    }
}
