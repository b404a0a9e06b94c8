//! Decompression of archives.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use longshore_store::{Error, Flaw, Result};

use crate::files;

/// How many bytes are unpacked between two checks of the free space.
const CHECK_INTERVAL: u64 = 64 << 20;

/// Free space that unpacking leaves to others.
const RESERVE: u64 = 64 << 20;

/// zstd windows of up to two to this power (128 MiB) are accepted, which bounds memory.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Returns a plain tar: `file` itself, or an unnamed file with its unpacked content, since content is
/// read at any offset. The file is in `beside`, or in `scratch` if nothing can be written there. Errors
/// call the archive `path`.
pub(super) fn file(file: File, path: &Path, beside: &Path, scratch: Option<&Path>) -> Result<File> {
    let mut magic = [0; MAGIC];
    let read = Error::io("read", path.display());
    let count = std::os::unix::fs::FileExt::read_at(&file, &mut magic, 0).map_err(read)?;
    let Some(how) = Compression::of(&magic[..count], path)? else { return Ok(file) };
    let reader = Decompressed::new(how, io::BufReader::with_capacity(files::PIECE, file), path)?;
    let (directory, decompressed) = match (tempfile::tempfile_in(beside), scratch) {
        (Ok(decompressed), _) => (beside, decompressed),
        (Err(_), Some(scratch)) => (scratch, tempfile::tempfile_in(scratch).map_err(at(scratch))?),
        (Err(error), None) => return Err(at(beside)(error)),
    };
    write_to(reader, &decompressed, path, directory)?;
    Ok(decompressed)
}

/// Returns the content of a pipe, unpacked if it is compressed.
pub(super) fn stream<'p>(
    mut pipe: impl Read + Send + 'p,
    path: &Path,
) -> Result<Box<dyn Read + Send + 'p>> {
    let mut magic = Vec::new();
    let begin = (&mut pipe).take(MAGIC as u64).read_to_end(&mut magic);
    begin.map_err(Error::io("read", path.display()))?;
    let how = Compression::of(&magic, path)?;
    let all = io::BufReader::with_capacity(files::PIECE, io::Cursor::new(magic).chain(pipe));
    Ok(match how {
        Some(how) => Box::new(Decompressed::new(how, all, path)?),
        None => Box::new(all),
    })
}

/// The first bytes of a file that show how it is compressed.
const MAGIC: usize = 6;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// Detects the compression by the first bytes of a file. Returns `None` if there is none. Fails if it
    /// is not supported.
    fn of(magic: &[u8], path: &Path) -> Result<Option<Self>> {
        let with = match magic {
            [0x1f, 0x8b, ..] => return Ok(Some(Self::Gzip)),
            // A frame, or a skippable frame before it, as pzstd writes them.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                return Ok(Some(Self::Zstd));
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "xz",
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => "bzip2",
            [0x04, 0x22, 0x4d, 0x18, ..] => "lz4",
            _ => return Ok(None),
        };
        Err(Error::malformed(path.display(), Flaw::Compressed { with }))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// The content of a compressed file, which may be several members or frames. Zeros after the last are
/// padding, as tapes and `dd` add it. Anything else there is an error.
struct Decompressed<R: BufRead> {
    how: Compression,
    decoder: Option<Decoder<R>>,
    path: PathBuf,
}

/// The decoder of one member or frame.
enum Decoder<R: BufRead> {
    Gzip(Box<flate2::bufread::GzDecoder<R>>),
    Zstd(zstd::Decoder<'static, R>),
}

impl<R: BufRead> Decoder<R> {
    fn new(how: Compression, of: R) -> io::Result<Self> {
        Ok(match how {
            Compression::Gzip => Self::Gzip(Box::new(flate2::bufread::GzDecoder::new(of))),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(of)?.single_frame();
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Self::Zstd(decoder)
            }
        })
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }

    fn into_inner(self) -> R {
        match self {
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.finish(),
        }
    }
}

impl<R: BufRead> Decompressed<R> {
    fn new(how: Compression, of: R, path: &Path) -> Result<Self> {
        let decoder = Decoder::new(how, of).map_err(Error::io("unpack", path.display()))?;
        Ok(Self { how, decoder: Some(decoder), path: path.to_owned() })
    }

    /// Tells whether another member follows, and skips zeros at the end.
    fn has_more(&self, rest: &mut R) -> io::Result<bool> {
        let mut is_padded = false;
        loop {
            let bytes = rest.fill_buf()?;
            let Some(first) = bytes.iter().position(|byte| *byte != 0) else {
                let count = bytes.len();
                if count == 0 {
                    return Ok(false);
                }
                rest.consume(count);
                is_padded = true;
                continue;
            };
            let begins = match self.how {
                Compression::Gzip => bytes[first] == 0x1f,
                Compression::Zstd => matches!(bytes[first], 0x28 | 0x50..=0x5f),
            };
            if begins && first == 0 && !is_padded {
                return Ok(true);
            }
            return Err(self.trailing().into());
        }
    }

    /// Returns the error of a decoder that cannot continue. Errors of reading stay as they are.
    fn broken(&self, error: io::Error) -> io::Error {
        let ours = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        let is_passed_on = ours.is_some() || error.raw_os_error().is_some();
        if is_passed_on || error.kind() == io::ErrorKind::Interrupted {
            return error;
        }
        let reason = format!("what {} compressed is cut off or damaged: {error}", self.how.name());
        Error::malformed(self.path.display(), Flaw::CutOff(reason)).into()
    }

    fn trailing(&self) -> Error {
        let how = self.how.name();
        let reason = format!("behind its end lies something that is no {how}");
        Error::malformed(self.path.display(), Flaw::Trailing(reason))
    }
}

impl<R: BufRead> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let count = match decoder.read(buffer) {
                Ok(count) => count,
                Err(error) => return Err(self.broken(error)),
            };
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(mut rest) = self.decoder.take().map(Decoder::into_inner) else { break };
            if self.has_more(&mut rest)? {
                self.decoder = Some(Decoder::new(self.how, rest)?);
            }
        }
        Ok(0)
    }
}

/// Copies a pipe into an unnamed file in `directory`.
pub(super) fn spool(pipe: impl Read, path: &Path, directory: &Path) -> Result<File> {
    let mut kept = tempfile::tempfile_in(directory).map_err(at(directory))?;
    write_to(pipe, &kept, path, directory)?;
    kept.rewind().map_err(at(directory))?;
    Ok(kept)
}

fn write_to(
    mut reader: impl Read,
    mut decompressed: &File,
    path: &Path,
    directory: &Path,
) -> Result<()> {
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
        decompressed.write_all(&buffer[..count]).map_err(at(directory))?;
        written += count as u64;
    }
}

fn at(directory: &Path) -> impl FnOnce(io::Error) -> Error {
    Error::io("unpack a compressed archive into", directory.display().to_string())
}
