//! Helpers for several modules: blobs that count and fail, and a walk over everything.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use longshore_fixture::{Content, Random};
use longshore_layout::{Archive, ArchiveOptions, ArchiveWriter, Directory};
use longshore_spec::{Descriptor, Digest, Hasher, Kind, Manifest, MediaType, Role, keys};
use longshore_store::{
    Blob, Error, MAX_DEPTH, Name, Outline, OutlineNode, Result, Root, Selector, Source,
    TargetPlace as _, Verifying, manifest_from,
};

/// A blob in memory. It counts the bytes that are read, and may fail or prove wrong.
pub(crate) struct Piece {
    pub(crate) descriptor: Descriptor,
    pub(crate) content: Bytes,
    /// Reading fails after so many bytes from the first.
    pub(crate) fails_at: Option<usize>,
    /// How many bytes were read.
    pub(crate) read: AtomicU64,
}

impl Piece {
    pub(crate) fn new(content: impl Into<Bytes>) -> Self {
        let content = content.into();
        Self::of(Descriptor::of("application/octet-stream", &content), content)
    }

    pub(crate) fn of(descriptor: Descriptor, content: impl Into<Bytes>) -> Self {
        Self { descriptor, content: content.into(), fails_at: None, read: AtomicU64::new(0) }
    }

    /// Returns content of `size` bytes that nothing else has.
    pub(crate) fn random(seed: u64, size: usize) -> Self {
        let mut bytes = vec![0; size];
        Random::new(seed).fill(&mut bytes);
        Self::new(bytes)
    }

    pub(crate) fn failing(self, at: usize) -> Self {
        Self { fails_at: Some(at), ..self }
    }

    pub(crate) fn digest(&self) -> &Digest {
        &self.descriptor.digest
    }

    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    pub(crate) fn node(&self, role: Role) -> OutlineNode {
        OutlineNode { role, digest: self.digest().clone(), size: self.descriptor.size }
    }
}

impl Blob for Piece {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn open(&self, prefix: Option<Hasher>) -> Result<Verifying<'_>> {
        let at = prefix.as_ref().map_or(0, Hasher::count);
        let at = usize::try_from(at).unwrap().min(self.content.len());
        assert!(at == 0 || at < self.content.len(), "nobody asks for the end of something");
        let reader = Box::new(Counted { piece: self, at });
        match prefix {
            Some(prefix) => Ok(Verifying::resume(reader, &self.descriptor, prefix)),
            None => Verifying::new(reader, &self.descriptor),
        }
    }
}

struct Counted<'a> {
    piece: &'a Piece,
    at: usize,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self.piece.fails_at.unwrap_or(usize::MAX).min(self.piece.content.len());
        let count = (&self.piece.content[self.at.min(end)..end]).read(buffer)?;
        if count == 0 && self.piece.fails_at.is_some() && !buffer.is_empty() {
            return Err(io::Error::other("the line is dead"));
        }
        self.at += count;
        self.piece.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A layout in either form, opened for reading.
pub(crate) enum Layout {
    Directory(Directory),
    Archive(Archive),
}

impl Layout {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Directory::open(path).map(Self::Directory);
        }
        Archive::open(path, &ArchiveOptions::default()).map(Self::Archive)
    }

    pub(crate) fn whole(&self) -> Box<dyn Source + '_> {
        match self {
            Self::Directory(directory) => Box::new(directory.whole()),
            Self::Archive(archive) => Box::new(archive.whole()),
        }
    }
}

/// Reads and verifies everything that can be reached, and every name.
pub(crate) fn read_all(path: &Path) -> Result<BTreeMap<Digest, Bytes>> {
    let layout = Layout::open(path)?;
    let layout = layout.whole();
    for name in layout.names()? {
        layout.head(&Selector::Name(name))?;
    }
    let mut found = BTreeMap::new();
    let mut seen = HashSet::new();
    let roots = layout.roots()?.into_iter().map(|root| (Role::Manifest, root.descriptor, 0));
    let mut left: Vec<_> = roots.collect();
    while let Some((role, descriptor, depth)) = left.pop() {
        if !seen.insert((descriptor.digest.clone(), descriptor.size)) {
            continue;
        }
        if role == Role::Manifest && is_manifest(&descriptor.media_type) {
            let manifest = match layout.child(&descriptor) {
                // Another platform may be absent (row A-13).
                Err(error)
                    if error.is_not_found() && depth > 0 && descriptor.platform.is_some() =>
                {
                    continue;
                }
                result => result?,
            };
            if depth > MAX_DEPTH {
                let limit = format!("{MAX_DEPTH} levels");
                return Err(Error::Limit { what: descriptor.digest.to_string(), limit });
            }
            left.extend(manifest.children().map(|(role, child)| (role, child.clone(), depth + 1)));
            found.insert(descriptor.digest, manifest.raw().clone());
        } else {
            let mut bytes = Vec::new();
            Verifying::new(layout.open(&descriptor, 0)?, &descriptor)?
                .read_to_end(&mut bytes)
                .map_err(Error::io("read", &descriptor.digest))?;
            found.insert(descriptor.digest, bytes.into());
        }
    }
    Ok(found)
}

fn is_manifest(media_type: &MediaType) -> bool {
    let schema1 = [MediaType::DOCKER_SCHEMA1, MediaType::DOCKER_SCHEMA1_SIGNED];
    Kind::of(media_type).is_some() || schema1.iter().any(|text| media_type.is(text))
}

/// All of `content`, as an archive is told of it and gets it.
pub(crate) struct Parcel {
    pub(crate) outline: Outline,
    /// In the order of the outline.
    pub(crate) pieces: Vec<Piece>,
}

impl Parcel {
    pub(crate) fn of(content: &Content) -> Self {
        let mut roles: BTreeMap<&Digest, Role> = BTreeMap::new();
        for entry in &content.entries {
            roles.insert(&entry.digest, Role::Manifest);
        }
        let kinds = content.blobs.iter().filter_map(|(digest, bytes)| {
            let media_type = Manifest::media_type_of(bytes).ok()?;
            let descriptor = Descriptor::new(media_type, digest.clone(), bytes.len() as u64);
            manifest_from(bytes.clone(), descriptor).ok()
        });
        let manifests: Vec<_> = kinds.collect();
        for manifest in &manifests {
            roles.insert(&manifest.descriptor().digest, Role::Manifest);
        }
        for (role, child) in manifests.iter().flat_map(Manifest::children) {
            roles.entry(&child.digest).or_insert(role);
        }
        let role = |digest: &Digest| roles.get(digest).copied().unwrap_or(Role::Layer);
        let mut pieces: Vec<_> = content
            .blobs
            .iter()
            .map(|(digest, bytes)| {
                let descriptor = Descriptor::new("a/b", digest.clone(), bytes.len() as u64);
                Piece::of(descriptor, bytes.clone())
            })
            .collect();
        pieces.sort_by_key(|piece| (role(piece.digest()), piece.digest().clone()));
        let nodes = pieces.iter().map(|piece| piece.node(role(piece.digest()))).collect();
        let roots = content.entries.iter().map(|entry| {
            let name = entry.annotations.get(keys::REF_NAME);
            let names = name.map(|name| Name::from(name.as_str())).into_iter().collect();
            Root { descriptor: entry.clone(), names }
        });
        let outline = Outline::new(nodes, roots.collect(), Vec::new());
        Self { outline, pieces }
    }

    /// Returns content of every kind, and a few larger pieces.
    pub(crate) fn sample() -> Self {
        let mut content = longshore_fixture::graph(7, 12);
        for (seed, size) in [(1, 0), (2, 511), (3, 512), (4, 300_000), (5, 1_000_000)] {
            let piece = Piece::random(seed, size);
            content.blobs.insert(piece.digest().clone(), piece.content);
        }
        Self::of(&content)
    }
}

/// Pushes all of `pieces` to `archive`, which was prepared.
pub(crate) fn push_all<'a>(archive: &ArchiveWriter, pieces: impl IntoIterator<Item = &'a Piece>) {
    use longshore_store::Target as _;
    for piece in pieces {
        archive.whole().push_blob(piece).unwrap();
    }
}

/// Returns the names in a directory, sorted.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let names = directory.read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Opens a layout for writing, or creates it.
pub(crate) fn created(root: impl Into<std::path::PathBuf>) -> Directory {
    let directory = Directory::create(root).unwrap();
    directory.prepare(&Outline::default()).unwrap();
    directory
}

/// Returns how many reads this thread has made, if the system counts them.
pub(crate) fn reads() -> Option<u64> {
    let Ok(account) = std::fs::read_to_string("/proc/thread-self/io") else {
        eprintln!("skipped: the system keeps no account of reads");
        return None;
    };
    let reads = account.lines().find_map(|line| line.strip_prefix("syscr: ")).unwrap();
    Some(reads.parse().unwrap())
}
