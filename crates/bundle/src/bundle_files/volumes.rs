//! Volumes that are there, read as the bundle that they belong to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use longshore_layout::{CutBlob, Layout, LayoutUnion, PartStore};
use longshore_spec::Digest;
use longshore_store::{Error, Name, Result, Root, SourcePlace as _};
use longshore_sync::{Outcome, survey};

use super::{ApartReason, BundleFile, BundleFilesError};
use crate::{MAX_VOLUME_FILE, OpenError, Record, RecordedBlob, VOLUME, VolumeFile};

/// Some or all volumes of a bundle, in any order, read as one layout that lists all that the record does. What
/// lies in volumes that are not there is not found.
#[derive(Debug)]
pub struct OpenVolumes<'a> {
    record: Record,
    count: u32,
    /// Number and name of each file, as the union has its layouts; what repairs the bundle has no number.
    here: Vec<(Option<u32>, String)>,
    union: LayoutUnion<'a>,
    /// Whether none of them counts as being there.
    is_asked_about: bool,
}

/// Tells whether a layout is a volume of a bundle.
///
/// # Errors
///
/// It cannot be read.
pub fn is_volume(layout: &dyn Layout) -> Result<bool> {
    Ok(layout.extra_file(VOLUME, MAX_VOLUME_FILE)?.is_some())
}

impl<'a> OpenVolumes<'a> {
    /// Puts volumes together, each with what errors call it, and what repairs their bundle. A volume may be there
    /// twice.
    ///
    /// # Errors
    ///
    /// There is no volume, one is of another bundle than the first, something is neither, or it cannot be read.
    pub fn open(
        files: Vec<(String, Arc<dyn Layout + 'a>)>,
    ) -> std::result::Result<Self, BundleFilesError> {
        let mut first: Option<(Record, u32, String, Arc<dyn Layout + 'a>)> = None;
        let (mut here, mut others, mut repairs) = (Vec::new(), Vec::new(), Vec::new());
        for (name, layout) in files {
            let file = BundleFile { name: &name, layout: &*layout };
            let (record, number) = match read(file)? {
                Read::Volume(record, number) => (record, number),
                Read::Repair(bundle) => {
                    repairs.push((bundle, name, layout));
                    continue;
                }
            };
            let Some((expected, _, first, _)) = &first else {
                first = Some((*record, number, name, layout));
                continue;
            };
            if expected.id() != record.id() {
                let (id, first, expected) = (record.id(), first.clone(), expected.id());
                return Err(file.because(ApartReason::OtherBundle { id, first, expected }));
            }
            here.push((Some(number), name));
            others.push(layout);
        }
        let Some((record, number, name, first)) = first else {
            let name = repairs.pop().map_or_else(String::new, |(_, name, _)| name);
            let reason = Box::new(ApartReason::NoVolume("nothing beside it is one".to_owned()));
            return Err(BundleFilesError { name, reason });
        };
        for (bundle, name_of_repair, layout) in repairs {
            if bundle != record.id() {
                let (first, expected) = (name, record.id());
                let reason = Box::new(ApartReason::OtherRepair { bundle, first, expected });
                return Err(BundleFilesError { name: name_of_repair, reason });
            }
            here.push((None, name_of_repair));
            others.push(layout);
        }
        let names = here.iter().map(|(_, name)| name.as_str());
        let names = names.fold(name.clone(), |names, name| format!("{names} and {name}"));
        let cut = record.blobs.iter().filter(|blob| !blob.parts.is_empty());
        let cut = cut.map(|blob| CutBlob {
            digest: blob.digest.clone(),
            parts: blob.parts.iter().map(|part| part.size).collect(),
        });
        let union = LayoutUnion::new(names, Vec::new(), first, others).with_cut(cut);
        let unreadable = |error: Error| BundleFilesError {
            name: name.clone(),
            reason: Box::new(ApartReason::Unreadable(error.into())),
        };
        let union_roots = roots(&record, &union).map_err(unreadable)?;
        here.push((Some(number), name));
        let count = record.volumes.unwrap_or_default();
        let union = union.listing(union_roots);
        Ok(Self { record, count, here, union, is_asked_about: false })
    }

    /// Returns the record, which is the same in each.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Returns how many volumes the bundle has.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns the numbers of the volumes that are not there, sorted.
    pub fn missing(&self) -> Vec<u32> {
        let here = self.here.iter().filter(|_| !self.is_asked_about);
        let here: BTreeSet<u32> = here.filter_map(|(number, _)| *number).collect();
        (1..=self.count).filter(|number| !here.contains(number)).collect()
    }

    /// Returns the volumes that are here: the number, what errors call it, and the layout.
    pub fn files(&self) -> impl Iterator<Item = (u32, &str, &dyn Layout)> {
        let files = self.here.iter().zip(self.union.layouts());
        files.filter_map(|((number, name), layout)| Some(((*number)?, name.as_str(), layout)))
    }

    /// Tells whether none of them counts as being there.
    pub(crate) fn is_asked_about(&self) -> bool {
        self.is_asked_about
    }

    /// Lets parts of blobs be read from where they wait for the others, too.
    #[must_use]
    pub fn with_parts(self, parts: PartStore) -> Self {
        Self { union: self.union.with_parts(parts), ..self }
    }

    /// Returns the same where no volume counts as being there: to ask what of the bundle has come.
    #[must_use]
    pub fn asked_about(self) -> Self {
        let whole_cut = self.union.with_cut([]);
        Self { union: whole_cut, is_asked_about: true, ..self }
    }

    /// Returns the blobs of which something lies in a volume that is not there.
    pub fn lying_elsewhere(&self) -> impl Iterator<Item = &RecordedBlob> {
        let missing = self.missing();
        let blobs = self.record.blobs.iter();
        blobs.filter(move |blob| blob.volumes().any(|volume| missing.contains(&volume)))
    }

    /// Returns the volumes as one layout, which lists all that the record does, whole or not.
    pub fn layout(&self) -> &LayoutUnion<'a> {
        &self.union
    }

    /// Returns the volumes as one layout that lists what is whole in it, with up to `jobs` threads.
    ///
    /// # Errors
    ///
    /// What is listed cannot be read.
    pub fn into_whole(self, jobs: usize) -> Result<LayoutUnion<'a>> {
        let whole = self.union.whole();
        let roots = longshore_store::Source::roots(&whole)?;
        let mut plan = survey(&whole, &roots, jobs).seal();
        let assumed: BTreeSet<&Digest> =
            self.record.assumed().iter().map(|blob| &blob.digest).collect();
        let lies_elsewhere = |digest: &Digest| {
            assumed.contains(digest) || !matches!(self.union.blob_size(digest), Ok(Some(_)))
        };
        plan.assume(lies_elsewhere);
        let reports = plan.roots();
        let is_whole =
            |number: usize| reports[number].outcome == Outcome::Done && !plan.is_partial(number);
        let roots = roots.into_iter().enumerate().filter(|(number, _)| is_whole(*number));
        let roots = roots.map(|(_, root)| root).collect();
        drop(plan);
        drop(whole);
        Ok(self.union.listing(roots))
    }
}

/// What a file is.
enum Read {
    /// A volume: its record, and which it is.
    Volume(Box<Record>, u32),
    /// What repairs this bundle.
    Repair(Digest),
}

/// Reads the record of a file, and which volume it is.
fn read(file: BundleFile<'_>) -> std::result::Result<Read, BundleFilesError> {
    let unreadable = |error: OpenError| file.because(ApartReason::Unreadable(error));
    let record = Record::read(file.layout).map_err(unreadable)?;
    let record = record.ok_or_else(|| file.because(ApartReason::NoRecord))?;
    if let Some(bundle) = record.repairs {
        return Ok(Read::Repair(bundle));
    }
    let volume = file.layout.extra_file(VOLUME, MAX_VOLUME_FILE);
    let volume = volume.map_err(|error| unreadable(error.into()))?;
    let no_volume = |reason: String| file.because(ApartReason::NoVolume(reason));
    let (Some(volume), Some(count)) = (volume, record.volumes) else {
        return Err(no_volume("it is not one of several".to_owned()));
    };
    let VolumeFile { bundle, number } = VolumeFile::parse(&volume).map_err(no_volume)?;
    if bundle != record.id() {
        return Err(no_volume(format!("`{VOLUME}` is of {bundle}, and not of {}", record.id())));
    }
    if !(1..=count).contains(&number) {
        return Err(no_volume(format!("it is number {number} of {count}")));
    }
    Ok(Read::Volume(Box::new(record), number))
}

/// Returns what the record lists, by its descriptors in the `index.json` of the volumes where it is whole.
fn roots(record: &Record, union: &LayoutUnion<'_>) -> Result<Vec<Root>> {
    let mut known: BTreeMap<(Digest, Option<Name>), Root> = BTreeMap::new();
    for layout in union.layouts() {
        for root in layout.whole().roots()? {
            let names = root.names.first().cloned();
            known.insert((root.descriptor.digest.clone(), names), root);
        }
    }
    let mut roots = Vec::new();
    for root in record.listed_in(union)? {
        let names: Vec<_> = root.names.iter().cloned().map(Some).collect();
        let names = if names.is_empty() { vec![None] } else { names };
        for name in names {
            let found = known.get(&(root.descriptor.digest.clone(), name.clone()));
            let is_same = |found: &&Root| {
                let (found, recorded) = (&found.descriptor, &root.descriptor);
                found.media_type == recorded.media_type && found.size == recorded.size
            };
            let descriptor =
                found.filter(is_same).map_or(&root.descriptor, |found| &found.descriptor);
            roots.push(Root { descriptor: descriptor.clone(), names: name.into_iter().collect() });
        }
    }
    Ok(roots)
}
