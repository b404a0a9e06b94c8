//! Uploads that are under way.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use longshore_spec::{Descriptor, Digest, RepositoryName};
use longshore_store::{Result, Upload};

use crate::fault::{Code, Fault};

/// Where there is no room for another upload, one that nobody has touched for so long makes some:
/// clients send the next chunk at once, and those that are gone never.
const SPARED: Duration = Duration::from_mins(1);

/// The uploads that are under way, by the ids that clients know them by.
pub(crate) struct Uploads {
    slots: Mutex<HashMap<String, Slot>>,
    max: usize,
}

struct Slot {
    repository: RepositoryName,
    /// `None` while a request works on it.
    upload: Option<Box<dyn Upload>>,
    touched: Instant,
}

/// An upload in the hands of the one request that works on it. It goes back when this is dropped.
pub(crate) struct Lease<'a> {
    uploads: &'a Uploads,
    id: String,
    /// `None` only while the lease ends.
    upload: Option<Box<dyn Upload>>,
}

impl Uploads {
    /// Returns room for `max` uploads.
    pub(crate) fn new(max: usize) -> Self {
        Self { slots: Mutex::default(), max }
    }

    /// Returns how many there are.
    pub(crate) fn count(&self) -> usize {
        self.slots().len()
    }

    /// Takes in an upload that was begun just `now`. Fails if there are too many.
    pub(crate) fn add(
        &self,
        repository: &RepositoryName,
        upload: Box<dyn Upload>,
        now: Instant,
    ) -> Result<Lease<'_>, Fault> {
        let mut slots = self.slots();
        let mut evicted = None;
        if slots.len() >= self.max {
            evicted = idlest(&slots, now).and_then(|id| slots.remove(&id));
            if evicted.is_none() {
                return Err(Fault::new(Code::TooManyRequests, "too many uploads are under way"));
            }
        }
        let (id, repository) = (random_id(), repository.clone());
        slots.insert(id.clone(), Slot { repository, upload: None, touched: now });
        drop(slots);
        // Without the lock, too: a place may remove a file.
        drop(evicted);
        Ok(Lease { uploads: self, id, upload: Some(upload) })
    }

    /// Hands out an upload. Fails if there is none of this id in the repository, and while another
    /// request works on it: a client that lost its connection may come back before that is known.
    pub(crate) fn lease(&self, repository: &RepositoryName, id: &str) -> Result<Lease<'_>, Fault> {
        let mut slots = self.slots();
        let slot = slots.get_mut(id).filter(|slot| slot.repository == *repository);
        let slot = slot.ok_or_else(unknown)?;
        let upload = slot.upload.take().ok_or_else(|| {
            Fault::new(Code::TooManyRequests, "another request is writing to this upload")
        })?;
        Ok(Lease { uploads: self, id: id.to_owned(), upload: Some(upload) })
    }

    /// Forgets an upload. One that a request works on goes when that request is done.
    pub(crate) fn cancel(&self, repository: &RepositoryName, id: &str) -> Result<(), Fault> {
        let mut slots = self.slots();
        if slots.get(id).is_none_or(|slot| slot.repository != *repository) {
            return Err(unknown());
        }
        let removed = slots.remove(id);
        drop(slots);
        drop(removed);
        Ok(())
    }

    /// Forgets what nobody has touched for `idle` as of `now`.
    pub(crate) fn expire(&self, now: Instant, idle: Duration) {
        let is_idle = |slot: &Slot| {
            slot.upload.is_some() && now.saturating_duration_since(slot.touched) >= idle
        };
        let expired: Vec<_> = self.slots().extract_if(|_, slot| is_idle(slot)).collect();
        // Dropped here, without the lock: a place may remove files.
        drop(expired);
    }

    /// A panic of another thread cannot have left the table half changed.
    fn slots(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    /// Returns the id that clients know the upload by.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Returns how many bytes have come.
    pub(crate) fn len(&self) -> u64 {
        self.upload.as_ref().map_or(0, |upload| upload.len())
    }

    /// Appends `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.upload.as_mut().map_or(Ok(()), |upload| upload.write(bytes))
    }

    /// Ends the upload: its content is a blob afterwards, or nothing.
    pub(crate) fn finish(mut self, digest: &Digest) -> Result<Option<Descriptor>> {
        let upload = self.upload.take();
        upload.map(|upload| upload.finish(digest)).transpose()
    }

    /// Ends the upload without a trace.
    pub(crate) fn discard(mut self) {
        self.upload = None;
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut slots = self.uploads.slots();
        match self.upload.take() {
            None => drop(slots.remove(&self.id)),
            Some(upload) => {
                // Unless it was cancelled meanwhile.
                if let Some(slot) = slots.get_mut(&self.id) {
                    slot.upload = Some(upload);
                    slot.touched = Instant::now();
                }
            }
        }
    }
}

impl fmt::Debug for Uploads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uploads({} of {})", self.slots().len(), self.max)
    }
}

/// Returns the upload that nobody has touched for the longest time, if that is long enough.
fn idlest(slots: &HashMap<String, Slot>, now: Instant) -> Option<String> {
    let idle = slots.iter().filter(|(_, slot)| slot.upload.is_some());
    let (id, slot) = idle.min_by_key(|(_, slot)| slot.touched)?;
    (now.saturating_duration_since(slot.touched) >= SPARED).then(|| id.clone())
}

fn unknown() -> Fault {
    Fault::new(Code::BlobUploadUnknown, "there is no such upload; it may have ended or timed out")
}

/// Returns a random UUID. The keys of the standard library's hash maps come from the operating
/// system, and its hash is keyed: good enough for an id that nobody should guess by accident.
fn random_id() -> String {
    let half = || RandomState::new().build_hasher().finish();
    let (high, low) = (half(), half());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use longshore_spec::Hasher;
    use longshore_store::{Memory, Place as _};

    use super::*;

    #[test]
    fn uploads_that_were_left_open_lock_nobody_out_for_long() {
        let (uploads, memory) = (Uploads::new(2), Memory::new());
        let name: RepositoryName = "a".parse().unwrap();
        let repository = memory.repository(&name).unwrap();
        let begin = |now| uploads.add(&name, repository.upload(Hasher::sha256()).unwrap(), now);
        let now = Instant::now();
        let in_hand = begin(now).ok().unwrap();
        let left = begin(now).ok().unwrap();
        let id = left.id().to_owned();
        drop(left);
        assert!(begin(now + SPARED / 2).is_err());
        // Later than the moment at which it was let go.
        let later = begin(now + SPARED * 2).ok().unwrap();
        assert!(uploads.lease(&name, &id).is_err());
        assert!(begin(now + SPARED * 3).is_err(), "requests work on both");
        drop((in_hand, later));
        assert_eq!(uploads.count(), 2);
    }
}
