//! Writing a bundle as volumes.
//!
//! A volume is what is left of the plan when all that lies in the others is assumed: the rule of deltas. Volumes
//! are written one after another, each by many workers. A blob that lies in parts is read once, from volume to
//! volume; when all parts are there, their digests are known, the record with them is written into each volume,
//! and the volumes get their names.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_layout::{Archive, ArchiveOptions, ArchiveSeries, ArchiveWriter, Layout as _};
use longshore_spec::Digest;
use longshore_store::{
    Error, ExtraFile, Name, Outline, OutlineNode, OutlinePart, TargetPlace as _, in_parallel,
};
use longshore_sync::{Action, Arrival, Failure, Observer, Report, SealedPlan, Side};

use self::parts::CutReads;
use super::{Bundle, ExportError, Incomplete, Made, WriteError, always_carried, left_behind};
use crate::volumes::placement::{self, Item, Place};
use crate::volumes::{LEAST_ROOM, volume_path, volumes_there};
use crate::{
    INVENTORY, MAX_RECORD, MAX_VOLUME_FILE, MAX_VOLUMES, RECORD, Record, RecordedPart, VOLUME,
    VolumeFile, VolumeSizes,
};

mod parts;

/// A bundle that is written as volumes.
#[derive(Debug)]
pub struct VolumeBundle<'a> {
    bundle: Bundle<'a>,
    sizes: VolumeSizes,
    layout: VolumeLayout,
    volumes: Vec<Volume>,
}

/// What one volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Which it is, from 1.
    pub number: u32,
    /// Its length in bytes.
    pub length: u64,
    /// How many bytes of content it has, parts among them.
    pub content: u64,
    /// How many roots are whole in it, so that other tools can read them: names are counted.
    pub roots: u64,
}

/// Where volumes go.
#[derive(Debug, Clone, Copy)]
pub struct VolumeTarget<'a> {
    /// The place that the bundle was prepared for.
    pub series: &'a ArchiveSeries,
    /// The path of the bundle, after which its volumes are called.
    pub path: &'a Path,
    /// The only volume that is written; `None` for all of them.
    pub only: Option<u32>,
    /// Whether volumes of other bundles are replaced.
    pub replace: bool,
}

/// Where everything is in the volumes of a bundle.
#[derive(Debug)]
struct VolumeLayout {
    /// The place of all that is not in each volume.
    places: HashMap<Digest, Place>,
    count: u32,
    /// The record in each, in which parts have no digests yet.
    record: Record,
    /// What is in each volume whatever the site holds.
    carried: HashSet<Digest>,
}

impl<'a> Bundle<'a> {
    /// Cuts the bundle into volumes of these sizes. One that fits into a single volume stays as it is.
    ///
    /// # Errors
    ///
    /// A volume is too small for what is in each of them, there would be too many volumes, or what is beside the
    /// content would be longer than readers take.
    pub fn into_volumes(mut self, sizes: VolumeSizes) -> Result<VolumeBundle<'a>, ExportError> {
        let layout = VolumeLayout::of(&mut self, &sizes)?;
        let mut bundle = VolumeBundle { bundle: self, sizes, layout, volumes: Vec::new() };
        bundle.measure()?;
        Ok(bundle)
    }

    /// Lets the plan assume what the site holds, but for what is always carried.
    fn assume_base(&mut self, carried: &HashSet<Digest>) {
        let base = self.request.base;
        self.plan.assume(|digest| {
            base.is_some_and(|base| base.holds(digest)) && !carried.contains(digest)
        });
    }
}

impl VolumeLayout {
    fn of(bundle: &mut Bundle<'_>, sizes: &VolumeSizes) -> Result<Self, ExportError> {
        if bundle.made.docker.is_some() {
            return Err(ExportError::DockerInVolumes);
        }
        if bundle.request.only.is_some() {
            return Err(ExportError::RepairInVolumes);
        }
        let carried = always_carried(&bundle.plan);
        bundle.assume_base(&carried);
        let (plan, outline) = (&bundle.plan, bundle.plan.outline());
        let manifests = plan.manifests();
        let closures = closures(plan);
        let mut sharers: HashMap<&Digest, usize> = HashMap::new();
        closures.iter().flatten().for_each(|digest| *sharers.entry(digest).or_default() += 1);
        let is_everywhere = |node: &OutlineNode| {
            let is_shared = || sharers.get(&node.digest).is_some_and(|count| *count > 1);
            manifests.contains(&node.digest)
                || carried.contains(&node.digest)
                || (node.size <= SMALL && is_shared())
        };
        let (everywhere, placed): (Vec<_>, Vec<_>) =
            outline.nodes().iter().cloned().partition(is_everywhere);
        let numbers: HashMap<&Digest, u32> =
            placed.iter().map(|node| &node.digest).zip(0..).collect();
        let closures = closures.iter().map(|closure| {
            closure.iter().filter_map(|digest| numbers.get(digest)).copied().collect()
        });
        let closures: Vec<BTreeSet<u32>> = closures.collect();
        let items: Vec<Item> = placed
            .iter()
            .map(|node| Item {
                size: node.size,
                whole: ArchiveWriter::length_of_blob(&node.digest, node.size),
                part_header: ArchiveWriter::longest_part_header(&node.digest),
            })
            .collect();
        // What each volume has beside what is placed, but for the record.
        let bare = Outline::new(everywhere, outline.roots().to_vec(), Vec::new());
        let algorithms: HashSet<&str> =
            outline.nodes().iter().map(|node| node.digest.algorithm()).collect();
        let directories = (2 * algorithms.len() as u64 + 1) * ArchiveWriter::BLOCK;
        let volume = VolumeFile { bundle: blank(), number: MAX_VOLUMES }.file();
        let beside = ArchiveWriter::length(&bare)
            .map_err(ExportError::Archive)?
            .saturating_add(directories)
            .saturating_add(ArchiveWriter::length_of_file(VOLUME, volume.content.len() as u64));
        // The record tells where everything lies, so its length is known only then: room is set aside for it, and
        // more if that was not enough.
        let mut reserved = bundle.made.record.to_bytes().len() as u64
            + LONGEST_COUNT
            + LONGEST_VOLUME * items.len() as u64;
        loop {
            let overhead = beside.saturating_add(ArchiveWriter::length_of_file(RECORD, reserved));
            let rooms: Vec<u64> = sizes.all().map(|size| size.saturating_sub(overhead)).collect();
            if let Some((size, _)) = sizes.all().zip(&rooms).find(|(_, room)| **room < LEAST_ROOM) {
                // As many parts as there may be then, so that this is enough.
                let parts: u64 =
                    items.iter().map(|item| item.size / LEAST_ROOM).fold(0, u64::saturating_add);
                let parts = parts.min(u64::from(MAX_VOLUMES)) * LONGEST_PART;
                let needed = overhead.saturating_add(parts).saturating_add(LEAST_ROOM);
                return Err(ExportError::VolumeTooSmall { size, needed });
            }
            let placement = placement::place(&items, &closures, &rooms, ArchiveWriter::BLOCK);
            let placement = placement.map_err(|_| ExportError::TooManyVolumes(MAX_VOLUMES))?;
            let count = placement.volumes;
            let placed_at: HashMap<Digest, Place> =
                placed.iter().map(|node| node.digest.clone()).zip(placement.places).collect();
            let mut record = bundle.made.record.clone();
            if count > 1 {
                record.set_volumes(count, |digest| recorded(placed_at.get(digest)));
            }
            let length = record.to_bytes().len() as u64;
            if length <= reserved {
                check_record(length)?;
                return Ok(Self { places: placed_at, count, record, carried });
            }
            // A little more at least, so that this ends.
            reserved = length.max(reserved + reserved / 64 + LONGEST_COUNT);
            check_record(length)?;
        }
    }

    /// Tells whether something lies in a volume as a whole.
    fn is_in(&self, digest: &Digest, volume: u32) -> bool {
        match self.places.get(digest) {
            None => true,
            Some(Place::Volume(number)) => *number == volume,
            Some(Place::Parts(_)) => false,
        }
    }

    /// Returns the parts in a volume, by blob.
    fn parts_in(&self, volume: u32) -> Vec<OutlinePart> {
        let parts = self.places.iter().filter_map(|(digest, place)| {
            let Place::Parts(parts) = place else { return None };
            let (number, part) = (1..).zip(parts).find(|(_, part)| part.volume == volume)?;
            Some(OutlinePart { blob: digest.clone(), number, size: part.size })
        });
        let mut parts: Vec<_> = parts.collect();
        parts.sort_unstable_by(|one, other| one.blob.cmp(&other.blob));
        parts
    }

    /// Returns the files beside the content of a volume with a record.
    fn files(&self, record: &Record, volume: u32) -> Vec<ExtraFile> {
        let mut files = vec![record.file()];
        if self.count > 1 {
            files.push(VolumeFile { bundle: record.id(), number: volume }.file());
        }
        files
    }

    /// Returns the record with the digests of parts, by blob.
    fn sealed(&self, digests: &HashMap<Digest, Vec<Digest>>) -> Record {
        let mut record = self.record.clone();
        for blob in &mut record.blobs {
            let known = digests.get(&blob.digest).into_iter().flatten();
            for (part, digest) in blob.parts.iter_mut().zip(known) {
                part.digest = digest.clone();
            }
        }
        record
    }
}

/// Content of at most so many bytes that several artifacts share is in each volume, such as the empty config: else
/// few of them would be whole in any.
const SMALL: u64 = 4096;

/// The most bytes of `"volumes":9999,` in a record.
const LONGEST_COUNT: u64 = 16;

/// The most bytes of `,"volume":9999` in a record.
const LONGEST_VOLUME: u64 = 14;

/// The most bytes of a part in a record.
const LONGEST_PART: u64 = 136;

/// Stands where the digest of a part will.
fn blank() -> Digest {
    Digest::sha256("")
}

/// Returns what a record says of the place of a blob.
fn recorded(place: Option<&Place>) -> (Option<u32>, Vec<RecordedPart>) {
    match place {
        None => (None, Vec::new()),
        Some(Place::Volume(volume)) => (Some(*volume), Vec::new()),
        Some(Place::Parts(parts)) => {
            let part = |part: &placement::PlacedPart| RecordedPart {
                digest: blank(),
                size: part.size,
                volume: part.volume,
            };
            (None, parts.iter().map(part).collect())
        }
    }
}

fn check_record(length: u64) -> Result<(), ExportError> {
    if length > MAX_RECORD {
        return Err(ExportError::TooLong { name: RECORD.to_owned(), length, limit: MAX_RECORD });
    }
    Ok(())
}

/// Returns what the roots of a plan need.
fn closures<'p>(plan: &'p SealedPlan<'_>) -> Vec<HashSet<&'p Digest>> {
    let mut seen = HashSet::new();
    let roots = plan.roots().into_iter().enumerate().filter(|(_, root)| {
        // Several names of one manifest need the same.
        root.descriptor.as_ref().is_some_and(|root| seen.insert(root.digest.clone()))
    });
    roots.map(|(number, _)| plan.closure(number).collect()).collect()
}

impl<'a> VolumeBundle<'a> {
    /// Returns the bundle, without regard to volumes.
    pub fn bundle(&self) -> &Bundle<'a> {
        &self.bundle
    }

    /// Returns what is there, and where. Until all is written the digests of parts are not known, and so neither
    /// is its id: see [`VolumeBundle::has_parts`].
    pub fn record(&self) -> &Record {
        &self.layout.record
    }

    /// Tells whether some blob lies in parts.
    pub fn has_parts(&self) -> bool {
        self.layout.record.blobs.iter().any(|blob| !blob.parts.is_empty())
    }

    /// Returns all volumes, in their order.
    pub fn volumes(&self) -> &[Volume] {
        &self.volumes
    }

    /// Returns how many bytes of content are written, what is in each volume as often as there are volumes.
    pub fn content(&self, only: Option<u32>) -> u64 {
        let written = self.volumes.iter().filter(|volume| is_written(only, volume.number));
        written.fold(0, |sum, volume| sum.saturating_add(volume.content))
    }

    /// Returns the outline of a volume, and lets the plan be what is in it.
    fn outline(&mut self, volume: u32) -> Arc<Outline> {
        let Bundle { plan, request, .. } = &mut self.bundle;
        let (layout, base) = (&self.layout, request.base);
        plan.assume(|digest| {
            let is_held = base.is_some_and(|base| base.holds(digest));
            (is_held && !layout.carried.contains(digest)) || !layout.is_in(digest, volume)
        });
        plan.set_files(layout.files(&layout.record, volume));
        let outline = Arc::unwrap_or_clone(plan.outline());
        Arc::new(outline.with_parts(layout.parts_in(volume)))
    }

    fn measure(&mut self) -> Result<(), ExportError> {
        let mut volumes = Vec::new();
        for number in 1..=self.layout.count {
            let outline = self.outline(number);
            let length = ArchiveWriter::length(&outline).map_err(ExportError::Archive)?;
            debug_assert!(length <= self.sizes.of(number), "a volume is too long");
            let sizes = outline.nodes().iter().map(|node| node.size);
            let sizes = sizes.chain(outline.parts().iter().map(|part| part.size));
            volumes.push(Volume {
                number,
                length,
                content: sizes.fold(0, u64::saturating_add),
                roots: outline.roots().iter().map(|root| root.names.len() as u64).sum(),
            });
        }
        self.bundle.assume_base(&self.layout.carried);
        self.bundle.plan.set_files(self.layout.files(&self.layout.record, 1));
        self.volumes = volumes;
        Ok(())
    }

    /// Returns the volumes that are to be written: those of the target that are not there already, as they would
    /// be. Nothing is written.
    ///
    /// # Errors
    ///
    /// The target asks for a volume that there is not; something else is where a volume goes, and is not to be
    /// replaced, or is a volume of a longer bundle; or there is no room for all of it.
    pub fn missing(&self, target: &VolumeTarget<'_>) -> Result<Vec<u32>, VolumeRefusal> {
        let count = self.layout.count;
        if let Some(number) = target.only.filter(|number| !(1..=count).contains(number)) {
            return Err(VolumeRefusal::NoSuchVolume { number, count });
        }
        let surplus = volumes_there(target.path).into_iter().find(|number| *number > count);
        if let Some(number) = surplus {
            return Err(VolumeRefusal::Surplus(volume_path(target.path, number)));
        }
        let mut missing = Vec::new();
        for volume in self.volumes.iter().filter(|volume| is_written(target.only, volume.number)) {
            let path = volume_path(target.path, volume.number);
            if !path.exists() {
                missing.push(volume);
            } else if !self.is_there(&path, volume.number) {
                if !target.replace {
                    let what = path.display().to_string();
                    return Err(Error::Exists { what }.into());
                }
                missing.push(volume);
            }
        }
        let writers = missing.iter().map(|volume| target.writer(volume.number));
        let writers = writers.collect::<Result<Vec<_>, _>>()?;
        let lengths = missing.iter().map(|volume| volume.length);
        ArchiveWriter::check_room_for(writers.iter().zip(lengths))?;
        Ok(missing.into_iter().map(|volume| volume.number).collect())
    }

    /// Tells whether a file is a volume of this bundle, as long as it must be, and with each blob where it must
    /// be. Content is not read.
    fn is_there(&self, path: &Path, number: u32) -> bool {
        let options = ArchiveOptions { inventory: Some(INVENTORY), ..ArchiveOptions::default() };
        let Ok(archive) = Archive::open(path, &options) else { return false };
        let Ok(Some(record)) = Record::read(&archive) else { return false };
        // What only its parts' digests tell from ours is ours.
        let digests = record.blobs.iter().map(|blob| {
            let parts = blob.parts.iter().map(|part| part.digest.clone());
            (blob.digest.clone(), parts.collect())
        });
        let is_ours = self.layout.sealed(&digests.collect()).id() == record.id();
        let is_that = self.layout.count == 1 || {
            let file = archive.extra_file(VOLUME, MAX_VOLUME_FILE);
            let file = file.ok().flatten().and_then(|file| VolumeFile::parse(&file).ok());
            file == Some(VolumeFile { bundle: record.id(), number })
        };
        is_ours && is_that && archive.is_as_recorded()
    }

    /// Writes what of the volumes is not there. They get their names when all of them are complete. What turns out
    /// not to be had is left out, if that was asked for, and all is cut anew.
    ///
    /// # Errors
    ///
    /// As [`VolumeBundle::missing`] and [`Bundle::write`] say.
    pub fn write(
        &mut self,
        target: &VolumeTarget<'_>,
        observer: &dyn Observer,
    ) -> Result<Report, VolumeRefusal> {
        let incomplete = self.bundle.request.incomplete;
        if let (Incomplete::Refused, Some(failure)) = (incomplete, self.bundle.failures.first()) {
            return Err(WriteError::Incomplete(failure.to_string()).into());
        }
        loop {
            let mut report = self.write_once(target, observer)?;
            let left_out = match incomplete {
                Incomplete::Made => self.bundle.plan.leave_out(&mut report),
                Incomplete::Refused => None,
            };
            let Some((failures, roots)) = left_out else { return Ok(report) };
            let bundle = &mut self.bundle;
            bundle.failures.extend(failures);
            bundle.dropped.extend(roots.iter().map(left_behind));
            bundle.failed.extend(roots);
            bundle.assume_base(&self.layout.carried);
            bundle.made = Made::of(&bundle.request, &mut bundle.plan, &bundle.dropped, true)
                .map_err(WriteError::Remade)?;
            self.layout = VolumeLayout::of(bundle, &self.sizes).map_err(WriteError::Remade)?;
            self.measure().map_err(WriteError::Remade)?;
        }
    }

    fn write_once(
        &mut self,
        target: &VolumeTarget<'_>,
        observer: &dyn Observer,
    ) -> Result<Report, VolumeRefusal> {
        let missing = self.missing(target)?;
        let mut report = Report::default();
        if missing.is_empty() {
            return Ok(report);
        }
        let reads = CutReads::new(&self.layout.record);
        for volume in 1..=self.layout.count {
            if observer.is_cancelled() {
                break;
            }
            let jobs = self.bundle.request.jobs;
            let parts = self.layout.parts_in(volume);
            let writer = if missing.contains(&volume) {
                self.outline(volume);
                let writer = target.series.open(target.writer(volume)?, parts.clone());
                let plan = &self.bundle.plan;
                let written = plan.execute(target.series, jobs, &Unnamed(observer));
                report = report.with(written.map_err(WriteError::Place)?);
                Some(writer)
            } else {
                None
            };
            let plan = &self.bundle.plan;
            let read = |part: &OutlinePart| reads.read(part, plan, writer.as_deref(), observer);
            for read in in_parallel(&parts, jobs, read) {
                report = report.with(read);
            }
            if let Some(writer) = writer {
                writer.commit_partial()?;
            }
            target.series.close();
        }
        self.forget_wrong(&reads, target, &missing)?;
        let lost: HashSet<String> =
            report.failures.iter().map(|failure| failure.subject.clone()).collect();
        if !lost.is_empty() {
            let is_lost = |digest: &Digest| lost.contains(digest.to_string().as_str());
            self.bundle.plan.fail_roots(&mut report, is_lost);
        }
        if report.is_complete() && !observer.is_cancelled() {
            let digests = reads.digests();
            if let Err(error) = self.publish(target, &missing, &digests) {
                let subject = target.path.display().to_string();
                let failure = Failure::new(Side::Target, Action::Publish, subject, error);
                observer.failed(&failure);
                report.failures.push(failure);
                report.uncommitted = true;
            } else {
                self.layout.record = self.layout.sealed(&digests);
            }
        }
        Ok(report)
    }

    /// Lets go of the parts of blobs that proved wrong.
    fn forget_wrong(
        &mut self,
        reads: &CutReads,
        target: &VolumeTarget<'_>,
        missing: &[u32],
    ) -> Result<(), Error> {
        let wrong = reads.wrong();
        if wrong.is_empty() {
            return Ok(());
        }
        for volume in missing {
            let mut parts = self.layout.parts_in(*volume);
            parts.retain(|part| wrong.contains(&part.blob));
            if parts.is_empty() {
                continue;
            }
            let outline = self.outline(*volume);
            let writer = target.writer(*volume)?;
            writer.prepare(&outline)?;
            for part in parts {
                writer.forget_part(&part.blob, part.number)?;
            }
            writer.commit_partial()?;
        }
        Ok(())
    }

    /// Writes the record with the digests of all parts into each volume, and gives them their names.
    fn publish(
        &mut self,
        target: &VolumeTarget<'_>,
        missing: &[u32],
        digests: &HashMap<Digest, Vec<Digest>>,
    ) -> Result<(), Error> {
        let record = self.layout.sealed(digests);
        for volume in missing {
            let outline = self.outline(*volume);
            let writer = target.writer(*volume)?;
            writer.prepare(&outline)?;
            let sealed = Arc::unwrap_or_clone(outline);
            writer.seal(&sealed.with_files(self.layout.files(&record, *volume)))?;
            writer.commit()?;
        }
        Ok(())
    }
}

impl VolumeTarget<'_> {
    fn writer(&self, volume: u32) -> Result<ArchiveWriter, Error> {
        let path = volume_path(self.path, volume);
        if self.replace { ArchiveWriter::replacing(path) } else { ArchiveWriter::new(path) }
    }
}

/// Why volumes are not written.
#[derive(Debug, thiserror::Error)]
pub enum VolumeRefusal {
    /// The bundle has no volume of this number.
    #[error("there is no volume {number}: the bundle has {count}")]
    NoSuchVolume {
        /// The number.
        number: u32,
        /// How many volumes there are.
        count: u32,
    },
    /// A volume of a longer bundle is there, which would be taken for one of this.
    #[error("{} is there, and this bundle has fewer volumes", .0.display())]
    Surplus(PathBuf),
    /// Something else is where a volume goes, or there is no room.
    #[error(transparent)]
    Store(#[from] Error),
    /// It is not written for a reason that holds for each bundle.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Tells whether a volume is written.
fn is_written(only: Option<u32>, number: u32) -> bool {
    only.is_none_or(|only| only == number)
}

/// Tells of all but of names, which roots get when all volumes are complete.
struct Unnamed<'a>(&'a dyn Observer);

impl Observer for Unnamed<'_> {
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    fn resumed(&self, there: u64) {
        self.0.resumed(there);
    }

    fn began(&self, name: Option<&Name>, digest: &Digest, size: u64) {
        self.0.began(name, digest, size);
    }

    fn advanced(&self, bytes: u64) {
        self.0.advanced(bytes);
    }

    fn finished(&self, digest: &Digest, size: u64, arrival: Arrival) {
        self.0.finished(digest, size, arrival);
    }

    fn failed(&self, failure: &Failure) {
        self.0.failed(failure);
    }
}
