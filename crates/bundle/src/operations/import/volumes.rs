//! Volumes that come one after another: which are to come, and the parts of blobs that wait for them.

use std::collections::{BTreeSet, HashSet};

use longshore_layout::{Layout, PartStore};
use longshore_spec::{Descriptor, Digest, Hasher};
use longshore_store::{Blob, Error, Result, Verifying};
use longshore_sync::{Observer, Report};

use super::Import;
use crate::{OpenVolumes, RecordedBlob};

impl Import<'_> {
    /// Returns the numbers of the volumes that are still to come, sorted: those that are missing, and hold something
    /// that is not where it goes. `parts` are those that wait there.
    pub fn volumes_to_come(&self, parts: &PartStore) -> Vec<u32> {
        let Some(volumes) = self.request.bundle.volumes else { return Vec::new() };
        let missing: HashSet<u32> = volumes.missing().into_iter().collect();
        let mut to_come = BTreeSet::new();
        for blob in volumes.lying_elsewhere().filter(|blob| self.waiting.contains(&blob.digest)) {
            to_come.extend(blob.volume);
            for (number, part) in (1..).zip(&blob.parts) {
                if parts.part_size(&blob.digest, number) != Some(part.size) {
                    to_come.insert(part.volume);
                }
            }
        }
        to_come.retain(|volume| missing.contains(volume));
        to_come.into_iter().collect()
    }

    /// Tells whether some part of a blob is here whose other parts are to come.
    pub fn has_parts_to_keep(&self) -> bool {
        self.parts_to_keep().next().is_some()
    }

    /// Returns the parts that are here of blobs of which others are to come.
    fn parts_to_keep(&self) -> impl Iterator<Item = (&RecordedBlob, u32)> {
        let volumes = self.request.bundle.volumes;
        let missing = volumes.map(OpenVolumes::missing).unwrap_or_default();
        let blobs = volumes.into_iter().flat_map(OpenVolumes::lying_elsewhere);
        let waiting = blobs.filter(|blob| self.waiting.contains(&blob.digest));
        waiting.flat_map(move |blob| {
            let parts = (1..).zip(&blob.parts);
            let here = parts.filter(|(_, part)| !missing.contains(&part.volume));
            here.map(|(number, _)| (blob, number)).collect::<Vec<_>>()
        })
    }

    /// Keeps the parts of blobs of which others are to come.
    ///
    /// # Errors
    ///
    /// A part is not what the record says, or cannot be written.
    pub fn keep_parts(&self, parts: &PartStore, observer: &dyn Observer) -> Result<()> {
        for (blob, number) in self.parts_to_keep() {
            let Some(part) = blob.parts.get(number as usize - 1) else { continue };
            let volumes = self.request.bundle.volumes.into_iter().flat_map(OpenVolumes::files);
            for (_, _, layout) in volumes.filter(|(volume, ..)| *volume == part.volume).take(1) {
                let descriptor = Descriptor::new("", part.digest.clone(), part.size);
                let piece = PartOf { layout, blob: &blob.digest, number, descriptor, observer };
                parts.push(&blob.digest, number, &piece)?;
            }
        }
        Ok(())
    }

    /// Removes kept parts of blobs that are where they go by a report of this, and of those that proved wrong.
    ///
    /// # Errors
    ///
    /// They cannot be removed.
    pub fn drop_parts(&self, parts: &PartStore, report: &Report) -> Result<()> {
        let Some(record) = &self.request.bundle.record else { return Ok(()) };
        let wrong = report.failures.iter().filter(|failure| failure.error.is_corruption());
        let wrong: HashSet<&str> = wrong.map(|failure| failure.subject.as_str()).collect();
        for blob in record.blobs.iter().filter(|blob| !blob.parts.is_empty()) {
            let has_come = report.is_complete() && !self.waiting.contains(&blob.digest);
            if has_come || wrong.contains(blob.digest.to_string().as_str()) {
                parts.remove(&blob.digest, u32::try_from(blob.parts.len()).unwrap_or(0))?;
            }
        }
        Ok(())
    }
}

/// A part of a blob in a volume, as a blob of its own.
struct PartOf<'p> {
    layout: &'p dyn Layout,
    blob: &'p Digest,
    number: u32,
    /// What the part is.
    descriptor: Descriptor,
    observer: &'p dyn Observer,
}

impl Blob for PartOf<'_> {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn open(&self, prefix: Option<Hasher>) -> Result<Verifying<'_>> {
        if self.observer.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let offset = prefix.as_ref().map_or(0, Hasher::count);
        let reader = self.layout.open_part(self.blob, self.number, offset)?;
        match prefix {
            Some(prefix) => Ok(Verifying::resume(reader, &self.descriptor, prefix)),
            None => Verifying::new(reader, &self.descriptor),
        }
    }
}
