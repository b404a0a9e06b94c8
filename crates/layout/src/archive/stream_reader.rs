//! Reading an archive from a pipe, straight into a directory.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longshore_spec::{Descriptor, Digest, MediaType, RepositoryName};
use longshore_store::{Error, Flaw, Pushed, Reader, Result, Source, SourcePlace, Verifying};

use super::decompress;
use super::members::{self, MAX_HEADER, MemberCheck};
use crate::backend::Backend;
use crate::directory::{Directory, MAX_INDEX, MAX_LAYOUT_FILE, check_layout};
use crate::index::IndexJson;
use crate::layout::{Layout, StreamStats};
use crate::listing::Listing;
use crate::membership;
use crate::view::View;

/// The name of the archive in errors.
const LABEL: &str = "the pipe";

/// Blobs of up to so many bytes are written by other threads: creating a file costs more than writing it.
const SMALL: u64 = 256 << 10;

/// The threads that write small blobs. As many blobs wait, so memory is bounded by twice this times
/// [`SMALL`].
const WRITERS: usize = 8;

/// Options for reading an archive from a pipe.
#[derive(Debug, Clone, Copy)]
pub struct StreamOptions<'a> {
    /// Files beside the content to keep, and how many bytes each may have.
    pub files: &'a [(&'a str, u64)],
    /// Whether to accept content whose digest cannot be computed (row A-38).
    pub allow_unverified: bool,
}

/// Is told what comes while an archive is read from a pipe. A function that is given a number of bytes is one.
pub trait StreamObserver: Sync {
    /// Takes note of so many more bytes.
    fn arrived(&self, bytes: u64);

    /// Looks at a file that [`StreamOptions::files`] names, before what follows it is read. An error ends the reading.
    fn file(&self, name: &str, content: &[u8]) -> Result<()> {
        let _ = (name, content);
        Ok(())
    }
}

impl<F: Fn(u64) + Sync> StreamObserver for F {
    fn arrived(&self, bytes: u64) {
        self(bytes);
    }
}

/// A layout archive that came through a pipe. Its blobs are in a directory, each verified and written
/// once; nothing in the directory names them. Only this value has the entries of its index.
pub struct StreamedArchive {
    directory: Arc<Directory>,
    listing: Arc<Listing>,
    files: BTreeMap<String, Vec<u8>>,
    stats: StreamStats,
    /// What is known about repositories.
    known: membership::Cache,
}

impl StreamedArchive {
    /// Reads an archive to its end and writes its blobs into `directory`. A compressed archive is
    /// unpacked on the way.
    ///
    /// Fails as [`super::Archive::open`] does, with [`Error::NoSpace`], and as `observer` does. The blobs that have come by
    /// then stay, and are not written again by another run.
    pub fn read(
        pipe: impl Read + Send,
        directory: Arc<Directory>,
        options: StreamOptions<'_>,
        observer: &dyn StreamObserver,
    ) -> Result<Self> {
        let pipe = decompress::stream(pipe, Path::new(LABEL))?;
        let stream = Stream(Mutex::new(Position { pipe, at: 0 }));
        let unpacking =
            Unpacking { directory: &directory, options, stats: Mutex::default(), observer };
        let mut files = unpacking.members(&stream)?;
        let Unpacking { stats, .. } = unpacking;
        let mut stats = stats.into_inner().unwrap_or_else(PoisonError::into_inner);
        stats.bytes = stream.lock().at;
        let layout = files.remove("oci-layout").ok_or_else(|| {
            malformed(if files.contains_key("manifest.json") {
                Flaw::DockerArchive
            } else {
                Flaw::NoLayoutInside
            })
        })?;
        check_layout(&layout, &format!("`oci-layout` in {LABEL}"))?;
        let index = files.remove("index.json");
        let index = index.ok_or_else(|| malformed(Flaw::NoIndex))?;
        let index = IndexJson::parse(&index, &format!("`index.json` in {LABEL}"))?;
        let listing = Arc::new(Listing::new(index));
        Ok(Self { directory, listing, files, stats, known: membership::Cache::default() })
    }

    /// Returns the archive as one repository, whose names are those of the entries.
    pub fn whole(&self) -> View<'_, Self> {
        View::whole(self, &self.known)
    }

    /// Returns what came through the pipe.
    pub fn stats(&self) -> &StreamStats {
        &self.stats
    }
}

/// An archive that is being read.
struct Unpacking<'a> {
    directory: &'a Directory,
    options: StreamOptions<'a>,
    stats: Mutex<StreamStats>,
    observer: &'a dyn StreamObserver,
}

/// A blob in memory.
type SmallBlob = (Descriptor, Vec<u8>);

impl Unpacking<'_> {
    /// Reads all members, and returns the files beside the content.
    fn members(&self, stream: &Stream<'_>) -> Result<BTreeMap<String, Vec<u8>>> {
        let failed = Mutex::new(None);
        let (sender, receiver) = sync_channel::<SmallBlob>(WRITERS);
        let receiver = Mutex::new(receiver);
        let files = std::thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| self.write(&receiver, &failed));
            }
            let files = self.each_member(stream, |small| {
                if let Some(error) = lock(&failed).take() {
                    return Err(error);
                }
                // Writers receive blobs as long as the sender exists.
                let _ = sender.send(small);
                Ok(())
            });
            drop(sender);
            files
        });
        match lock(&failed).take() {
            Some(error) => Err(error),
            None => files,
        }
    }

    /// Writes small blobs until there are no more.
    fn write(&self, small: &Mutex<Receiver<SmallBlob>>, failed: &Mutex<Option<Error>>) {
        loop {
            let next = lock(small).recv();
            let Ok((blob, bytes)) = next else { return };
            if let Err(error) = self.store_blob(blob, Box::new(Cursor::new(bytes))) {
                lock(failed).get_or_insert(error);
            }
        }
    }

    fn each_member(
        &self,
        stream: &Stream<'_>,
        mut hand_over: impl FnMut(SmallBlob) -> Result<()>,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let since_seek = Cell::new(0);
        let mut archive = tar::Archive::new(Forward { stream, at: 0, since_seek: &since_seek });
        let entries = archive.entries_with_seek().map_err(Error::io("read", LABEL))?;
        let (mut files, mut check) = (BTreeMap::new(), MemberCheck::new(LABEL));
        let mut seen = HashSet::new();
        // The directory of the layout, if the first file of the layout is not at the top.
        let mut within: Option<Vec<u8>> = None;
        for (number, entry) in entries.enumerate() {
            let at_end = || stream.lock().is_at_end();
            let entry =
                entry.map_err(|error| members::unreadable(LABEL, number, at_end(), error))?;
            let path = entry.path_bytes();
            let (at, size) = (entry.raw_file_position(), entry.size());
            let content = Content { stream, at, left: size, size, name: members::escaped(&path) };
            let Some(name) = check.file(&entry)? else {
                content.skip()?;
                continue;
            };
            let directory = within.get_or_insert_with(|| members::directory_of_layout(&name));
            let name = name.strip_prefix(&directory[..]).map_or(name.clone(), <[u8]>::to_vec);
            let observed = size;
            if let Some(digest) = members::blob(&name) {
                let blob = Descriptor::new(MediaType::new(OCTETS), digest, size);
                // Whether the first one is written by now depends on the writers, and must not matter.
                let is_again = !seen.insert(blob.digest.clone());
                let twice = || members::bad_member(LABEL, &path, TWICE);
                if size <= SMALL {
                    let bytes = content.into_bytes()?;
                    let found = blob.digest.recompute(&bytes);
                    if is_again && found.is_some_and(|found| found != blob.digest) {
                        return Err(twice());
                    }
                    hand_over((blob, bytes))?;
                } else if is_again && self.has(&blob) {
                    verify_again(content, &blob)
                        .map_err(|error| if error.is_corruption() { twice() } else { error })?;
                } else {
                    self.store_blob(blob, Box::new(content))?;
                }
            } else if let Some((name, limit)) = self.extra_file_limit(&name) {
                if size > limit {
                    let what = format!("`{name}` with {size} bytes");
                    return Err(Error::Limit { what, limit: format!("{limit} bytes") });
                }
                let bytes = content.into_bytes()?;
                if files.get(&name).is_some_and(|before| *before != bytes) {
                    return Err(members::bad_member(LABEL, &path, TWICE));
                }
                self.observer.file(&name, &bytes)?;
                files.insert(name, bytes);
            } else {
                content.skip()?;
            }
            self.observer.arrived(observed);
        }
        // The writer of the pipe should not get an error for a pipe that is not read to its end.
        let mut rest = stream.lock();
        if rest.at == 0 {
            return Err(malformed(Flaw::Empty));
        }
        io::copy(&mut rest.pipe, &mut io::sink()).map_err(Error::io("read", LABEL))?;
        Ok(files)
    }

    /// Returns the name under which a file is kept, and its limit in bytes.
    fn extra_file_limit(&self, name: &[u8]) -> Option<(String, u64)> {
        let own = [("oci-layout", MAX_LAYOUT_FILE), ("index.json", MAX_INDEX)];
        let all = own.iter().chain(self.options.files);
        let mut found = all.filter(|(extra_file_limit, _)| extra_file_limit.as_bytes() == name);
        found.next().map(|(extra_file_limit, limit)| ((*extra_file_limit).to_owned(), *limit))
    }

    /// Tells whether a blob was stored and verified.
    fn has(&self, blob: &Descriptor) -> bool {
        blob.digest.hasher().is_some() && lock(&self.stats).blobs.contains_key(&blob.digest)
    }

    /// Writes a blob into the directory. A blob with a wrong digest is recorded and left out.
    fn store_blob(&self, blob: Descriptor, content: Reader<'_>) -> Result<()> {
        let is_unverified = blob.digest.hasher().is_none();
        if is_unverified && !self.options.allow_unverified {
            return Err(Error::Unverifiable { digest: blob.digest });
        }
        let taken = self.directory.push_stream(&blob, content);
        let mut stats = lock(&self.stats);
        match taken {
            Err(error) if error.is_corruption() => stats.damaged.push((blob.digest, error)),
            Err(error) => return Err(error),
            Ok(pushed) => {
                stats.written += u64::from(matches!(pushed, Pushed::Written(_)));
                if is_unverified {
                    stats.unverified.push(blob.digest.clone());
                }
                stats.blobs.insert(blob.digest, blob.size);
            }
        }
        Ok(())
    }
}

/// Reads the content of a blob that is stored already. Fails if the content differs.
fn verify_again(content: Content<'_, '_>, blob: &Descriptor) -> Result<()> {
    let mut content = Verifying::new(Box::new(content), blob)?;
    let read = io::copy(&mut content, &mut io::sink());
    read.map(drop).map_err(|error| Error::from_io("read", LABEL, error))
}

/// The error of an archive with two different members of one name.
const TWICE: &str = "is there twice, with different content";

/// The media type of a blob that is not known yet.
const OCTETS: &str = "application/octet-stream";

/// The pipe, which the tar crate and the readers of members share.
struct Stream<'p>(Mutex<Position<'p>>);

struct Position<'p> {
    pipe: Box<dyn Read + Send + 'p>,
    /// How many bytes have been read.
    at: u64,
}

impl<'p> Stream<'p> {
    fn lock(&self) -> MutexGuard<'_, Position<'p>> {
        lock(&self.0)
    }
}

impl Position<'_> {
    /// Reads at the position `to`, and skips the bytes before it. The position must not be before the
    /// current one.
    fn read_at(&mut self, to: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let over = to.checked_sub(self.at).ok_or(io::ErrorKind::InvalidInput)?;
        self.at += io::copy(&mut (&mut self.pipe).take(over), &mut io::sink())?;
        if self.at < to {
            return Ok(0);
        }
        let count = self.pipe.read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }

    fn is_at_end(&mut self) -> bool {
        matches!(self.pipe.read(&mut [0]), Ok(0))
    }
}

/// The reader of the tar crate: it can seek, but only forward.
struct Forward<'s, 'p> {
    stream: &'s Stream<'p>,
    at: u64,
    /// How many bytes were read since the last seek to a header.
    since_seek: &'s Cell<u64>,
}

impl Read for Forward<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.lock().read_at(self.at, buffer)?;
        self.at += count as u64;
        self.since_seek.set(self.since_seek.get() + count as u64);
        if self.since_seek.get() > MAX_HEADER {
            let what = "a header of the archive".to_owned();
            return Err(Error::Limit { what, limit: format!("{MAX_HEADER} bytes") }.into());
        }
        Ok(count)
    }
}

impl io::Seek for Forward<'_, '_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let target = match to {
            io::SeekFrom::Start(at) => Some(at),
            io::SeekFrom::Current(by) => self.at.checked_add_signed(by),
            io::SeekFrom::End(_) => None,
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        self.since_seek.set(0);
        Ok(self.at)
    }
}

/// The content of a member. Fails if the pipe ends first.
struct Content<'s, 'p> {
    stream: &'s Stream<'p>,
    at: u64,
    left: u64,
    size: u64,
    name: String,
}

impl Content<'_, '_> {
    /// Skips content. It must be there, or the archive is cut off.
    fn skip(mut self) -> Result<()> {
        let read = io::copy(&mut self, &mut io::sink());
        read.map(drop).map_err(|error| Error::from_io("read", LABEL, error))
    }

    fn into_bytes(mut self) -> Result<Vec<u8>> {
        // The size is within a limit; growing step by step would take up to twice as much.
        let mut bytes = Vec::with_capacity(usize::try_from(self.size).unwrap_or_default());
        self.read_to_end(&mut bytes).map_err(Error::io("read", LABEL))?;
        Ok(bytes)
    }
}

impl Read for Content<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.stream.lock().read_at(self.at, &mut buffer[..wanted])?;
        if count == 0 {
            let Self { size, left, name, .. } = self;
            let there = *size - *left;
            let how = format!(
                "its member `{name}` is cut off: it has {size} bytes, and the pipe ended after {there} of them"
            );
            return Err(malformed(Flaw::CutOff(how)).into());
        }
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

fn malformed(reason: Flaw) -> Error {
    Error::malformed(LABEL, reason)
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SourcePlace for StreamedArchive {
    fn source(&self, name: &RepositoryName) -> Result<Box<dyn Source + '_>> {
        Ok(Box::new(View::repository(self, &self.known, name)))
    }

    fn repositories(&self) -> Result<Vec<RepositoryName>> {
        Ok(self.listing.repositories(None))
    }

    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        self.size(digest)
    }
}

impl Layout for StreamedArchive {
    fn whole(&self) -> Box<dyn Source + '_> {
        Box::new(self.whole())
    }

    /// Returns only files that [`StreamOptions::files`] named.
    fn extra_file(&self, name: &str, _: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.files.get(name).cloned())
    }

    fn blob_digests(&self) -> Result<Vec<Digest>> {
        Ok(self.stats.blobs().cloned().collect())
    }

    fn open_blob(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>> {
        Backend::open(self, digest, offset)
    }

    fn stream_stats(&self) -> Option<&StreamStats> {
        Some(&self.stats)
    }
}

impl Backend for StreamedArchive {
    fn label(&self) -> String {
        LABEL.to_owned()
    }

    fn listing(&self) -> Result<Arc<Listing>> {
        Ok(Arc::clone(&self.listing))
    }

    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.stats.blobs.get(digest).copied())
    }

    fn open(&self, digest: &Digest, offset: u64) -> Result<Reader<'_>> {
        if !self.stats.blobs.contains_key(digest) {
            return Err(Error::not_found(digest, self.label()));
        }
        Backend::open(&*self.directory, digest, offset)
    }
}

impl fmt::Debug for StreamedArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamedArchive({})", self.directory.path().display())
    }
}
