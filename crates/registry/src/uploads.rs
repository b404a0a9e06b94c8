//! Open uploads.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use longshore_spec::{Descriptor, Digest, RepositoryName};
use longshore_store::{Result, Upload};

use crate::context::ClientSite;
use crate::error::{Code, ErrorResponse};

/// When there is no room for another upload, one that nobody has touched for this long is dropped: active
/// clients send the next chunk at once, and clients that are gone never do.
const IDLE_BEFORE_EVICTION: Duration = Duration::from_mins(1);

/// The same for an upload of a client that has its full share, or more uploads than the client that needs
/// the room.
const IDLE_BEFORE_EVICTION_OF_MANY: Duration = Duration::from_secs(1);

/// One client may have three quarters of all uploads.
const SHARE: (usize, usize) = (3, 4);

/// The open uploads, by their ids.
pub(crate) struct Uploads {
    slots: Mutex<HashMap<String, Slot>>,
    max: usize,
    of_one: usize,
}

struct Slot {
    repository: RepositoryName,
    /// The client that began it.
    site: Option<ClientSite>,
    /// `None` while a request works on it.
    upload: Option<Box<dyn Upload>>,
    touched: Instant,
}

/// An upload that one request works on. Dropping it returns the upload.
pub(crate) struct Lease<'a> {
    uploads: &'a Uploads,
    id: String,
    /// `None` only while the lease ends.
    upload: Option<Box<dyn Upload>>,
}

impl Uploads {
    /// Returns room for `max` uploads.
    pub(crate) fn new(max: usize) -> Self {
        Self { slots: Mutex::default(), max, of_one: (max * SHARE.0 / SHARE.1).max(1) }
    }

    /// Returns how many there are.
    pub(crate) fn count(&self) -> usize {
        self.slots().len()
    }

    /// Begins an upload `now`. Fails without calling `begin` if there are too many.
    pub(crate) fn add(
        &self,
        repository: &RepositoryName,
        site: Option<ClientSite>,
        now: Instant,
        begin: impl FnOnce() -> Result<Box<dyn Upload>, ErrorResponse>,
    ) -> Result<Lease<'_>, ErrorResponse> {
        let (id, repository) = (random_id(), repository.clone());
        let evicted = {
            let mut slots = self.slots();
            let evicted = self.make_room(&mut slots, site, now)?;
            slots.insert(id.clone(), Slot { repository, site, upload: None, touched: now });
            evicted
        };
        // Dropped without the lock: a place may remove a file.
        drop(evicted);
        // If this fails, the lease removes the id.
        let mut lease = Lease { uploads: self, id, upload: None };
        lease.upload = Some(begin()?);
        Ok(lease)
    }

    /// Removes an upload that nobody works on, if there is no room for another one of this client: one of
    /// its own if it has its full share, one of a client that has more, or one that was left for long.
    fn make_room(
        &self,
        slots: &mut HashMap<String, Slot>,
        site: Option<ClientSite>,
        now: Instant,
    ) -> Result<Option<Slot>, ErrorResponse> {
        let mut counts = HashMap::new();
        for slot in slots.values() {
            *counts.entry(slot.site).or_insert(0_usize) += 1;
        }
        let count = |site| counts.get(&site).copied().unwrap_or_default();
        let of_one = if site.is_some() { self.of_one } else { self.max };
        let id = if count(site) >= of_one {
            longest_idle(slots, now, IDLE_BEFORE_EVICTION_OF_MANY, |slot| slot.site == site)
        } else if slots.len() >= self.max {
            let most = counts.iter().max_by_key(|(_, count)| **count).map(|(site, _)| *site);
            let more = most.filter(|most| count(*most) > count(site) + 1);
            let of_more = more.and_then(|more| {
                longest_idle(slots, now, IDLE_BEFORE_EVICTION_OF_MANY, |slot| slot.site == more)
            });
            of_more.or_else(|| longest_idle(slots, now, IDLE_BEFORE_EVICTION, |_| true))
        } else {
            return Ok(None);
        };
        let evicted = id.and_then(|id| slots.remove(&id));
        let too_many =
            || ErrorResponse::new(Code::TooManyRequests, "too many uploads are under way");
        evicted.map(Some).ok_or_else(too_many)
    }

    /// Returns an upload for one request. Fails if the repository has no upload of this id, and while
    /// another request works on it: a client that lost its connection may come back before the server
    /// knows.
    pub(crate) fn lease(
        &self,
        repository: &RepositoryName,
        id: &str,
    ) -> Result<Lease<'_>, ErrorResponse> {
        let mut slots = self.slots();
        let slot = slots.get_mut(id).filter(|slot| slot.repository == *repository);
        let slot = slot.ok_or_else(unknown)?;
        let upload = slot.upload.take().ok_or_else(|| {
            ErrorResponse::new(Code::TooManyRequests, "another request is writing to this upload")
        })?;
        Ok(Lease { uploads: self, id: id.to_owned(), upload: Some(upload) })
    }

    /// Drops an upload. If a request works on it, it is dropped when that request ends.
    pub(crate) fn cancel(
        &self,
        repository: &RepositoryName,
        id: &str,
    ) -> Result<(), ErrorResponse> {
        let mut slots = self.slots();
        if slots.get(id).is_none_or(|slot| slot.repository != *repository) {
            return Err(unknown());
        }
        let removed = slots.remove(id);
        drop(slots);
        drop(removed);
        Ok(())
    }

    /// Drops the uploads that nobody has touched for `idle` as of `now`.
    pub(crate) fn expire(&self, now: Instant, idle: Duration) {
        let is_idle = |slot: &Slot| {
            slot.upload.is_some() && now.saturating_duration_since(slot.touched) >= idle
        };
        let expired: Vec<_> = self.slots().extract_if(|_, slot| is_idle(slot)).collect();
        // Dropped without the lock: a place may remove files.
        drop(expired);
    }

    /// A panic of another thread cannot have left the table half changed.
    fn slots(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    /// Returns the id of the upload.
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

    /// Ends the upload: its content becomes a blob, or is dropped.
    pub(crate) fn finish(mut self, digest: &Digest) -> Result<Option<Descriptor>> {
        let upload = self.upload.take();
        upload.map(|upload| upload.finish(digest)).transpose()
    }

    /// Drops the content at once. The id goes when this is dropped.
    pub(crate) fn abort(&mut self) {
        self.upload = None;
    }

    /// Drops the upload.
    pub(crate) fn discard(mut self) {
        self.abort();
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

/// Returns the upload that nobody has touched for the longest time, of those that `is_asked_for` selects,
/// if that time is at least `min_idle`.
fn longest_idle(
    slots: &HashMap<String, Slot>,
    now: Instant,
    min_idle: Duration,
    is_asked_for: impl Fn(&Slot) -> bool,
) -> Option<String> {
    let idle = slots.iter().filter(|(_, slot)| slot.upload.is_some() && is_asked_for(slot));
    let (id, slot) = idle.min_by_key(|(_, slot)| slot.touched)?;
    (now.saturating_duration_since(slot.touched) >= min_idle).then(|| id.clone())
}

fn unknown() -> ErrorResponse {
    ErrorResponse::new(
        Code::BlobUploadUnknown,
        "there is no such upload; it may have ended or timed out",
    )
}

/// Returns a random UUID. The standard library seeds the keyed hash of its maps from the operating
/// system, which is random enough for an id that nobody should guess by accident.
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

    /// Begins uploads in memory.
    struct Begin<'a>(&'a Uploads, Memory, RepositoryName);

    impl<'a> Begin<'a> {
        fn of(uploads: &'a Uploads) -> Self {
            Self(uploads, Memory::new(), "a".parse().unwrap())
        }

        fn at(&self, host: u8, now: Instant) -> Option<Lease<'a>> {
            let Self(uploads, memory, name) = self;
            let begin = || Ok(memory.upload(name, Hasher::sha256())?);
            uploads.add(name, Some(ClientSite([10, 0, 0, host].into())), now, begin).ok()
        }

        fn is_there(&self, id: &str) -> bool {
            self.0.lease(&self.2, id).is_ok()
        }
    }

    /// Lets an upload go, and returns its id.
    fn left(lease: Lease<'_>) -> String {
        lease.id().to_owned()
    }

    #[test]
    fn uploads_that_were_left_open_lock_nobody_out_for_long() {
        let uploads = Uploads::new(2);
        let begin = Begin::of(&uploads);
        let now = Instant::now();
        let in_hand = begin.at(1, now).unwrap();
        let id = left(begin.at(2, now).unwrap());
        assert!(begin.at(3, now + IDLE_BEFORE_EVICTION / 2).is_none());
        // Later than the moment at which it was let go.
        let later = begin.at(3, now + IDLE_BEFORE_EVICTION * 2).unwrap();
        assert!(!begin.is_there(&id));
        assert!(begin.at(4, now + IDLE_BEFORE_EVICTION * 3).is_none(), "requests work on both");
        drop((in_hand, later));
        assert_eq!(uploads.count(), 2);
    }

    #[test]
    fn one_client_cannot_have_all_uploads() {
        let uploads = Uploads::new(8);
        let begin = Begin::of(&uploads);
        let now = Instant::now();
        let of_one: Vec<_> = (0..6).map(|_| left(begin.at(1, now).unwrap())).collect();
        assert!(begin.at(1, now).is_none(), "it has its share");
        let others: Vec<_> = (2..4).map(|host| left(begin.at(host, now).unwrap())).collect();
        // One that needs the room takes it from whoever has most, soon.
        let soon = now + IDLE_BEFORE_EVICTION_OF_MANY * 2;
        let newcomer = begin.at(4, soon).unwrap();
        assert_eq!(of_one.iter().filter(|id| begin.is_there(id)).count(), 5);
        assert!(others.iter().all(|id| begin.is_there(id)));
        drop(newcomer);
        assert_eq!(uploads.count(), 8);
    }

    #[test]
    fn an_upload_that_cannot_begin_takes_no_room() {
        let uploads = Uploads::new(1);
        let name: RepositoryName = "a".parse().unwrap();
        let fails = || Err(ErrorResponse::new(Code::Unknown, "no"));
        assert!(uploads.add(&name, None, Instant::now(), fails).is_err());
        assert_eq!(uploads.count(), 0);
    }
}
