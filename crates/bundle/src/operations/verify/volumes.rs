//! Proving volumes: each for itself, and what they are together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Read as _;

use longshore_layout::Layout;
use longshore_spec::{Descriptor, Digest, Hasher};
use longshore_store::{Error, Reader, Result, Verifying, in_parallel};
use longshore_sync::{Action, Arrival, Failure, Observer, Report, Side};

use super::{Verification, Verified};
use crate::{Difference, OpenVolumes, RecordedBlob};

/// How much is read at once.
const PIECE: usize = 256 << 10;

/// Volumes that were verified.
#[derive(Debug)]
pub struct VerifiedVolumes<'a> {
    /// What was verified.
    pub verified: Verified<'a>,
    /// The volumes that are missing or damaged, by number.
    pub faults: BTreeMap<u32, VolumeFault>,
}

/// What is wrong with a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeFault {
    /// The files of it that are damaged; none if the volume is missing.
    pub files: BTreeSet<String>,
    /// The names of the roots that need what is missing or damaged, sorted.
    pub roots: BTreeSet<String>,
    /// How many roots without a name need it.
    pub unnamed: usize,
}

/// A piece of content in a file, or in several.
enum Piece<'v> {
    /// All of a blob.
    Blob(&'v RecordedBlob, Place<'v>),
    /// One part of a blob of which others are missing.
    Part(&'v RecordedBlob, u32, Place<'v>),
    /// A blob of which all parts are there.
    Parts(&'v RecordedBlob, Vec<Place<'v>>),
}

/// Where a piece lies.
#[derive(Clone, Copy)]
struct Place<'v> {
    volume: u32,
    name: &'v str,
    layout: &'v dyn Layout,
}

/// What came of a piece: where it is wrong, and why.
struct Checked<'v> {
    digest: &'v Digest,
    bytes: u64,
    is_unverified: bool,
    wrong: Vec<(Option<Place<'v>>, Error)>,
}

impl<'a> Verification<'a> {
    /// Reads and hashes all that lies in volumes, what is in each of them too, with `cores` threads. What lies in
    /// volumes that are missing is no failure of its own: its roots fail.
    pub fn run_volumes(
        self,
        volumes: &OpenVolumes<'_>,
        cores: usize,
        observer: &dyn Observer,
    ) -> VerifiedVolumes<'a> {
        let allow_unverified = self.request.allow_unverified;
        let mut pieces = pieces(volumes);
        pieces.sort_by_key(|piece| std::cmp::Reverse(piece.size()));
        let mut report = Report {
            roots: self.plan.roots(),
            unplanned: self.plan.failures().len(),
            ..Report::default()
        };
        // By the digest, the volumes that it should be in and is not right in.
        let mut lost: HashMap<&Digest, BTreeSet<u32>> = HashMap::new();
        let mut faults: BTreeMap<u32, VolumeFault> = BTreeMap::new();
        let missing = volumes.missing();
        faults.extend(missing.iter().map(|volume| (*volume, VolumeFault::default())));
        for blob in &volumes.record().blobs {
            let absent: BTreeSet<u32> =
                blob.volumes().filter(|volume| missing.contains(volume)).collect();
            if !absent.is_empty() {
                lost.insert(&blob.digest, absent);
            }
        }
        for checked in in_parallel(&pieces, cores, |piece| piece.check(allow_unverified, observer))
        {
            report.bytes += checked.bytes;
            report.moved += u64::from(checked.wrong.is_empty());
            if checked.is_unverified {
                report.unverified.push(checked.digest.clone());
            }
            for (place, error) in checked.wrong {
                let lost = lost.entry(checked.digest).or_default();
                if let Some(Place { volume, name, .. }) = place {
                    lost.insert(volume);
                    faults.entry(volume).or_default().files.insert(name.to_owned());
                }
                let subject = checked.digest.to_string();
                let failure = Failure::new(Side::Source, Action::Check, subject, error);
                observer.failed(&failure);
                report.failures.push(failure);
            }
        }
        report.unverified.sort_unstable();
        report.unverified.dedup();
        self.plan.fail_roots(&mut report, |digest| lost.contains_key(digest));
        self.name_roots(&lost, &mut faults);
        VerifiedVolumes { verified: Verified { verification: self, report }, faults }
    }

    /// Says of each faulty volume which roots need what it lost.
    fn name_roots(
        &self,
        lost: &HashMap<&Digest, BTreeSet<u32>>,
        faults: &mut BTreeMap<u32, VolumeFault>,
    ) {
        if lost.is_empty() {
            return;
        }
        for (number, root) in self.plan.roots().iter().enumerate() {
            let volumes = self.plan.closure(number).filter_map(|digest| lost.get(digest));
            let volumes: BTreeSet<u32> = volumes.flatten().copied().collect();
            for volume in volumes {
                let Some(fault) = faults.get_mut(&volume) else { continue };
                fault.roots.extend(root.names.iter().map(ToString::to_string));
                fault.unnamed += usize::from(root.names.is_empty());
            }
        }
    }
}

impl VerifiedVolumes<'_> {
    /// Returns every way in which the volumes are not what their record says, as [`Verified::differences`] does,
    /// and in which the `index.json` of one names something else.
    ///
    /// # Errors
    ///
    /// A volume cannot be read.
    pub fn differences(
        &self,
        volumes: &OpenVolumes<'_>,
        orphans: &[Digest],
    ) -> Result<Vec<Difference>> {
        let mut found: BTreeSet<Difference> =
            self.verified.differences(orphans)?.into_iter().collect();
        for (_, _, layout) in volumes.files() {
            found.extend(volumes.record().misnamed(&layout.whole().roots()?));
        }
        Ok(found.into_iter().collect())
    }
}

/// Returns how many bytes of content are read to verify volumes.
pub(super) fn size(volumes: &OpenVolumes<'_>) -> u64 {
    pieces(volumes).iter().map(Piece::size).fold(0, u64::saturating_add)
}

/// Returns what should lie in the volumes that are there.
fn pieces<'v>(volumes: &'v OpenVolumes<'_>) -> Vec<Piece<'v>> {
    let files = volumes.files();
    let places: Vec<Place<'v>> =
        files.map(|(volume, name, layout)| Place { volume, name, layout }).collect();
    let mut pieces = Vec::new();
    for blob in &volumes.record().blobs {
        if blob.parts.is_empty() {
            let is_here =
                |place: &&Place<'_>| blob.volume.is_none_or(|volume| volume == place.volume);
            pieces.extend(places.iter().filter(is_here).map(|place| Piece::Blob(blob, *place)));
            continue;
        }
        let mut seen = HashSet::new();
        let first_of = |volume: u32| places.iter().find(|place| place.volume == volume).copied();
        let firsts: Option<Vec<_>> = blob.parts.iter().map(|part| first_of(part.volume)).collect();
        if let Some(firsts) = firsts {
            seen.extend(firsts.iter().map(|place| place.name));
            pieces.push(Piece::Parts(blob, firsts));
        }
        for place in places.iter().filter(|place| seen.insert(place.name)) {
            let parts = (1..).zip(&blob.parts).filter(|(_, part)| part.volume == place.volume);
            pieces.extend(parts.map(|(number, _)| Piece::Part(blob, number, *place)));
        }
    }
    pieces
}

impl<'v> Piece<'v> {
    /// Returns how many bytes are read for it.
    fn size(&self) -> u64 {
        match self {
            Self::Blob(blob, _) | Self::Parts(blob, _) => blob.size,
            Self::Part(blob, number, _) => {
                blob.parts.get(*number as usize - 1).map_or(0, |part| part.size)
            }
        }
    }

    fn check(&self, allow_unverified: bool, observer: &dyn Observer) -> Checked<'v> {
        let (Self::Blob(blob, _) | Self::Part(blob, ..) | Self::Parts(blob, _)) = *self;
        let digest = &blob.digest;
        observer.began(None, digest, self.size());
        let is_unverified = allow_unverified && digest.hasher().is_none();
        let mut checked = Checked { digest, bytes: 0, is_unverified, wrong: Vec::new() };
        match self {
            Self::Blob(blob, place) => {
                let whole = Descriptor::new("", blob.digest.clone(), blob.size);
                let reader = place.layout.open_blob(digest, 0).and_then(|reader| {
                    if is_unverified {
                        return Ok(Verifying::unverified(reader, &whole));
                    }
                    Verifying::new(reader, &whole)
                });
                match reader.and_then(|reader| each(reader, digest, observer, |_| ())) {
                    Ok(bytes) => checked.bytes = bytes,
                    Err(error) => checked.wrong.push((Some(*place), error)),
                }
            }
            Self::Part(_, number, place) => match part(blob, *number, *place, observer, |_| ()) {
                Ok(bytes) => checked.bytes = bytes,
                Err(error) => checked.wrong.push((Some(*place), error)),
            },
            Self::Parts(_, places) => {
                let mut whole = digest.hasher();
                for (number, place) in (1..).zip(places) {
                    let hash = |bytes: &[u8]| {
                        if let Some(whole) = &mut whole {
                            whole.update(bytes);
                        }
                    };
                    match part(blob, number, *place, observer, hash) {
                        Ok(bytes) => checked.bytes += bytes,
                        Err(error) => checked.wrong.push((Some(*place), error)),
                    }
                }
                let actual = whole.map(Hasher::finish);
                let error = match actual {
                    None => Some(Error::Unverifiable { digest: digest.clone() }),
                    Some(actual) if actual != *digest => {
                        Some(Error::Corrupt { expected: digest.clone(), actual })
                    }
                    Some(_) => None,
                };
                // Each part is what the record says, and they do not make the blob.
                if checked.wrong.is_empty() {
                    checked.wrong.extend(error.map(|error| (None, error)));
                }
            }
        }
        if checked.wrong.is_empty() {
            observer.finished(digest, self.size(), Arrival::Moved);
        }
        checked
    }
}

/// Reads and hashes a part of a blob; returns how many bytes it has.
fn part(
    blob: &RecordedBlob,
    number: u32,
    place: Place<'_>,
    observer: &dyn Observer,
    take: impl FnMut(&[u8]),
) -> Result<u64> {
    let recorded = blob.parts.get(number as usize - 1);
    let part = recorded.ok_or_else(|| Error::not_found(&blob.digest, place.name))?;
    let reader: Reader<'_> = place.layout.open_part(&blob.digest, number, 0)?;
    let own = Descriptor::new("", part.digest.clone(), part.size);
    each(Verifying::new(reader, &own)?, &blob.digest, observer, take)
}

/// Reads all of `reader`, and returns how many bytes that were.
fn each(
    mut reader: Verifying<'_>,
    digest: &Digest,
    observer: &dyn Observer,
    mut take: impl FnMut(&[u8]),
) -> Result<u64> {
    let (mut buffer, mut bytes) = (vec![0; PIECE], 0);
    loop {
        if observer.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let read = reader.read(&mut buffer);
        let count = read.map_err(|error| Error::from_io("read", digest, error))?;
        if count == 0 {
            return Ok(bytes);
        }
        take(&buffer[..count]);
        bytes += count as u64;
        observer.advanced(count as u64);
    }
}
