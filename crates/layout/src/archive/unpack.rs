//! Compressed archives: unpacked once, since content is read from any offset.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::path::Path;

use longshore_store::{Error, Result};

use crate::files;

/// How much is unpacked between two looks at the room that is left.
const CHECK_INTERVAL: u64 = 64 << 20;

/// Room that unpacking leaves to others.
const RESERVE: u64 = 64 << 20;

/// zstd windows up to this power of two are accepted (128 MiB): it bounds memory.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Returns a plain tar: `file` itself, or an unnamed file with its unpacked content, which lies in
/// `beside` or, where nothing can be written there, in `scratch`. It goes when it is closed. `path`
/// is what errors call the archive.
pub(super) fn plain(
    file: File,
    path: &Path,
    beside: &Path,
    scratch: Option<&Path>,
) -> Result<File> {
    let mut magic = [0; 4];
    let read = Error::io("read", path.display());
    let count = std::os::unix::fs::FileExt::read_at(&file, &mut magic, 0).map_err(read)?;
    let reader: Box<dyn Read> = match &magic[..count] {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::new(file))),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            let broken = Error::io("unpack", path.display());
            let mut decoder = zstd::Decoder::new(file).map_err(broken)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(Error::io("unpack", path.display()))?;
            Box::new(decoder)
        }
        _ => return Ok(file),
    };
    let (directory, unpacked) = match (tempfile::tempfile_in(beside), scratch) {
        (Ok(unpacked), _) => (beside, unpacked),
        (Err(_), Some(scratch)) => (scratch, tempfile::tempfile_in(scratch).map_err(at(scratch))?),
        (Err(error), None) => return Err(at(beside)(error)),
    };
    unpack(reader, &unpacked, path, directory)?;
    Ok(unpacked)
}

/// Returns what comes through a pipe, unpacked if it is compressed.
pub(super) fn through<'p>(
    mut pipe: impl Read + Send + 'p,
    path: &Path,
) -> Result<Box<dyn Read + Send + 'p>> {
    let mut magic = Vec::new();
    let begin = (&mut pipe).take(4).read_to_end(&mut magic);
    begin.map_err(Error::io("read", path.display()))?;
    let is_gzip = magic.starts_with(&[0x1f, 0x8b]);
    let is_zstd = magic == [0x28, 0xb5, 0x2f, 0xfd];
    let all = io::BufReader::with_capacity(files::PIECE, io::Cursor::new(magic).chain(pipe));
    if is_gzip {
        return Ok(Box::new(flate2::bufread::MultiGzDecoder::new(all)));
    }
    if is_zstd {
        let broken = || Error::io("unpack", path.display());
        let mut decoder = zstd::Decoder::with_buffer(all).map_err(broken())?;
        decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(broken())?;
        return Ok(Box::new(decoder));
    }
    Ok(Box::new(all))
}

/// Returns an unnamed file in `directory` with all that comes through a pipe.
pub(super) fn keep(pipe: impl Read, path: &Path, directory: &Path) -> Result<File> {
    let mut kept = tempfile::tempfile_in(directory).map_err(at(directory))?;
    unpack(pipe, &kept, path, directory)?;
    kept.rewind().map_err(at(directory))?;
    Ok(kept)
}

fn unpack(mut reader: impl Read, mut unpacked: &File, path: &Path, directory: &Path) -> Result<()> {
    let mut buffer = files::buffer(u64::MAX);
    let (mut written, mut checked) = (0, 0);
    loop {
        if written >= checked {
            files::check_room(directory, CHECK_INTERVAL + RESERVE)?;
            checked = written + CHECK_INTERVAL;
        }
        let count = reader.read(&mut buffer).map_err(Error::io("unpack", path.display()))?;
        if count == 0 {
            return Ok(());
        }
        unpacked.write_all(&buffer[..count]).map_err(at(directory))?;
        written += count as u64;
    }
}

fn at(directory: &Path) -> impl FnOnce(io::Error) -> Error {
    Error::io("unpack a compressed archive into", directory.display().to_string())
}
