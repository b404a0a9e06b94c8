//! What a layout lists, with what finds it.
//!
//! A server answers from it, and changes it with every push: so it is made anew out of what it was
//! (`listing/changed.rs`), and what has not changed is neither read nor sorted anew, nor gone through:
//! it is shared or copied as a whole.

mod changed;
mod entry;
mod pool;

use std::cmp::Ordering;
use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::{self, AtomicU64};
use std::sync::{Arc, OnceLock};

use longshore_spec::{Digest, RepositoryName};

pub(crate) use self::entry::Entry;
use self::pool::Pool;
use crate::index::IndexJson;
use crate::names::Scope;

/// What a layout lists at one moment.
///
/// An entry takes some 60 bytes beside its descriptor; what finds it takes 4 bytes in each [`Order`]
/// that it is in, of which there are four to nine, and in the order of `index.json`.
#[derive(Debug)]
pub(crate) struct Listing {
    /// By number. Some may be listed no longer.
    pool: Pool,
    /// The numbers of the entries, in the order of `index.json`.
    listed: Vec<u32>,
    /// Members of `index.json` beside the entries.
    extra: Arc<serde_json::Map<String, serde_json::Value>>,
    /// Whether the entries are in the order that is written. Others write in theirs; then their numbers
    /// are in order.
    is_sorted: bool,
    /// By [`By`], each made when something is looked up in it first.
    orders: [OnceLock<Order>; By::ALL.len()],
    /// Repositories by names or marks of entries, and whether there are entries that say none.
    repositories: OnceLock<(Vec<RepositoryName>, bool)>,
    lineage: u64,
    /// How many were made of one another before.
    generation: u64,
    /// Which entries the listing that it was made of lacks.
    new: Vec<u32>,
}

/// By what entries are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// By `ref.name`.
    RefName,
    /// By the name that containerd gives.
    ImageName,
    /// By a name with a digest behind it, without that.
    Pinned,
    /// By the tag of the name.
    Tag,
    /// By digest, then by each repository that the entry is in; there without a name first.
    Digest,
    /// By each repository that the entry is in, then by tag.
    Repository,
}

/// Numbers of entries, sorted by what they are found by.
type Order = Vec<Slot>;

/// The number of an entry, and which of its repositories it is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot(u32);

/// So many bytes of `index.json` are written at once.
const PIECE: usize = 64 << 10;

/// What is behind those without a name.
const NAMED: &str = "named";

/// What an entry is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Key<'a> {
    digest: Option<&'a Digest>,
    first: &'a str,
    second: &'a str,
}

impl Listing {
    pub(crate) fn new(index: IndexJson) -> Self {
        let mut known = HashSet::new();
        let IndexJson { manifests, extra, .. } = index;
        let entry = |descriptor| Arc::new(Entry::sharing(descriptor, &mut known));
        Self::of(manifests.into_iter().map(entry).collect(), Arc::new(extra))
    }

    fn of(
        entries: Vec<Arc<Entry>>,
        extra: Arc<serde_json::Map<String, serde_json::Value>>,
    ) -> Self {
        static LINEAGE: AtomicU64 = AtomicU64::new(0);
        Self {
            is_sorted: entries.is_sorted_by(|a, b| a.in_order(b).is_le()),
            listed: numbers(&entries).collect(),
            pool: entries.into_iter().collect(),
            extra,
            orders: Default::default(),
            repositories: OnceLock::new(),
            lineage: LINEAGE.fetch_add(1, atomic::Ordering::Relaxed),
            generation: 0,
            new: Vec::new(),
        }
    }

    /// Returns what is listed, in the order of `index.json`.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.listed.iter().map(|number| self.entry(*number))
    }

    /// Returns what is listed and what the listing that this was made of lacks.
    pub(crate) fn new_entries(&self) -> impl Iterator<Item = &Entry> {
        self.new.iter().map(|number| self.entry(*number))
    }

    /// Returns a number that all listings share of which one was made of the other; one that was read
    /// later has a higher one.
    pub(crate) fn lineage(&self) -> u64 {
        self.lineage
    }

    /// Returns how many listings of the lineage were made before.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Tells whether an index lists just this.
    pub(crate) fn is(&self, index: &IndexJson) -> bool {
        *self.extra == index.extra
            && self.entries().map(Entry::descriptor).eq(index.manifests.iter())
    }

    /// Returns this listing with the entries that `is_kept` keeps.
    pub(crate) fn filtered(&self, mut is_kept: impl FnMut(&Entry) -> bool) -> Self {
        let listed = self.listed.iter().map(|number| self.pool.get(*number));
        let kept = listed.filter(|entry| is_kept(entry)).cloned();
        Self::of(kept.collect(), Arc::clone(&self.extra))
    }

    /// Writes `index.json`: as [`IndexJson::to_bytes`] has it, with what was written before as it was written.
    /// Piece by piece, since many threads that each need all of it in one buffer hold as many of them.
    pub(crate) fn write_to(&self, to: &mut dyn Write) -> io::Result<()> {
        let (before, after) = self.around();
        let mut to = BufWriter::with_capacity(PIECE, to);
        to.write_all(&before)?;
        for (number, entry) in self.entries().enumerate() {
            if number > 0 {
                to.write_all(b",")?;
            }
            to.write_all(entry.json())?;
        }
        to.write_all(&after)?;
        to.flush()
    }

    /// Returns how many bytes `index.json` has.
    pub(crate) fn length(&self) -> u64 {
        let (before, after) = self.around();
        let entries = self.entries().map(|entry| entry.json().len() as u64).sum::<u64>();
        let commas = (self.listed.len() as u64).saturating_sub(1);
        before.len() as u64 + entries + commas + after.len() as u64
    }

    /// Returns what stands before the entries, and what behind them.
    fn around(&self) -> (Vec<u8>, Vec<u8>) {
        let mut without = IndexJson::default();
        self.extra.as_ref().clone_into(&mut without.extra);
        let mut before = without.to_bytes();
        let after = before.split_off(before_entries(&before));
        (before, after)
    }

    #[cfg(test)]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, self.length());
        bytes
    }

    /// Returns the repositories of a layout, sorted: those that names or marks of entries give, and
    /// `bare`.
    pub(crate) fn repositories(&self, bare: Option<&RepositoryName>) -> Vec<RepositoryName> {
        let mut repositories = self.found().0.clone();
        repositories.extend(bare.cloned());
        repositories.sort_unstable();
        repositories.dedup();
        repositories
    }

    /// Tells whether there is an entry that says no repository.
    pub(crate) fn says_none(&self) -> bool {
        self.found().1
    }

    fn found(&self) -> &(Vec<RepositoryName>, bool) {
        self.repositories.get_or_init(|| {
            let (mut found, mut says_none) = (HashSet::new(), false);
            for entry in self.entries() {
                // Most are in the one of an entry before.
                if entry.named_in().is_none_or(|name| !found.contains(name)) {
                    match entry.says() {
                        Some(name) => _ = found.insert(name),
                        None => says_none = true,
                    }
                }
            }
            let mut found: Vec<_> =
                found.into_iter().filter_map(|name| name.parse().ok()).collect();
            found.sort_unstable();
            (found, says_none)
        })
    }

    /// Returns the entries of a scope, in the order of `index.json`.
    pub(crate) fn within(&self, scope: &Scope) -> Vec<&Entry> {
        match scope {
            Scope::Layout => self.entries().collect(),
            Scope::Repository { .. } => {
                self.each(scope.keys().flat_map(|of| self.slots_within(of)))
            }
        }
    }

    /// Returns the entries that are in a repository; without a name, those that say none.
    pub(crate) fn within_repository(
        &self,
        repository: &str,
    ) -> impl ExactSizeIterator<Item = &Entry> {
        self.slots_within(repository).iter().map(|slot| self.entry(slot.number()))
    }

    /// Returns the entries of a digest in a scope, in the order of `index.json`.
    pub(crate) fn of_digest(&self, digest: &Digest, scope: &Scope) -> Vec<&Entry> {
        match scope {
            Scope::Layout => self.each(self.slots_of(digest)),
            Scope::Repository { .. } => {
                self.each(scope.keys().flat_map(|of| self.slots_in(digest, of)))
            }
        }
    }

    /// Returns the entries of a digest that are in a repository; without a name, of those that say none.
    pub(crate) fn of_digest_in(
        &self,
        digest: &Digest,
        repository: &str,
    ) -> impl Iterator<Item = &Entry> {
        self.slots_in(digest, repository).iter().map(|slot| self.entry(slot.number()))
    }

    /// Returns the entries with a tag in a scope, in the order of `index.json`.
    pub(crate) fn tagged(&self, tag: &str, scope: &Scope) -> Vec<&Entry> {
        let tagged =
            |of: &str| self.range(By::Repository, |key| (key.first, key.second).cmp(&(of, tag)));
        match scope {
            Scope::Layout => self.called(By::Tag, tag).collect(),
            Scope::Repository { .. } => self.each(scope.keys().flat_map(tagged)),
        }
    }

    /// Returns entries by what found them, each once, in the order of `index.json`.
    fn each<'s>(&self, slots: impl IntoIterator<Item = &'s Slot>) -> Vec<&Entry> {
        let mut numbers: Vec<_> = slots.into_iter().map(|slot| slot.number()).collect();
        // What one name found is in order already.
        numbers.sort_by(|a, b| self.compare_numbers(*a, *b));
        numbers.dedup();
        numbers.into_iter().map(|number| self.entry(number)).collect()
    }

    fn slots_within(&self, repository: &str) -> &[Slot] {
        self.range(By::Repository, |key| key.first.cmp(repository))
    }

    fn slots_of(&self, digest: &Digest) -> &[Slot] {
        self.range(By::Digest, |key| key.digest.cmp(&Some(digest)))
    }

    fn slots_in(&self, digest: &Digest, repository: &str) -> &[Slot] {
        self.range(By::Digest, |key| (key.digest, key.first).cmp(&(Some(digest), repository)))
    }

    /// Returns what a name stands for.
    pub(crate) fn stands_for(&self, name: &str) -> Option<&Digest> {
        let mut found = self.called(By::RefName, name).chain(self.called(By::ImageName, name));
        found.next().map(|entry| &entry.descriptor().digest)
    }

    /// Returns the entries that are found by one of their names, in the order of `index.json`.
    pub(crate) fn called(&self, by: By, name: &str) -> impl Iterator<Item = &Entry> {
        self.range(by, |key| key.first.cmp(name)).iter().map(|slot| self.entry(slot.number()))
    }

    fn range(&self, by: By, compare: impl Fn(&Key<'_>) -> Ordering) -> &[Slot] {
        let order = self.order(by);
        let compare = |slot: &Slot| compare(&by.key(self.entry(slot.number()), slot.nth()));
        let begin = order.partition_point(|slot| compare(slot).is_lt());
        let found = &order[begin..];
        // Few are found, most often: the end is looked for nearby first.
        let mut near = 1;
        while found.get(near - 1).is_some_and(|slot| compare(slot).is_eq()) && near < found.len() {
            near = (2 * near).min(found.len());
        }
        let end = found[..near.min(found.len())].partition_point(|slot| compare(slot).is_eq());
        &found[..end]
    }

    fn entry(&self, number: u32) -> &Entry {
        self.pool.get(number)
    }

    fn order(&self, by: By) -> &Order {
        self.orders[by as usize].get_or_init(|| {
            let mut order = self.slots(by, &self.listed);
            order.sort_by(|a, b| self.compare(by, *a, *b));
            order
        })
    }

    /// Returns what finds the entries of these numbers: first their first repositories, then the others.
    /// That is nearly sorted, where the numbers are.
    fn slots(&self, by: By, numbers: &[u32]) -> Order {
        let of = |nth: u32| {
            let found = numbers.iter().filter(move |number| nth < by.count(self.entry(**number)));
            found.map(move |number| Slot::new(*number, nth))
        };
        (0..Entry::REPOSITORIES).flat_map(of).collect()
    }

    fn compare(&self, by: By, a: Slot, b: Slot) -> Ordering {
        let key = |slot: Slot| by.key(self.entry(slot.number()), slot.nth());
        let numbers = || self.compare_numbers(a.number(), b.number());
        key(a).cmp(&key(b)).then_with(numbers).then_with(|| a.nth().cmp(&b.nth()))
    }

    /// Compares by the order of `index.json`. A later entry has the higher number.
    fn compare_numbers(&self, a: u32, b: u32) -> Ordering {
        let in_order = || self.entry(a).in_order(self.entry(b));
        if self.is_sorted { in_order().then_with(|| a.cmp(&b)) } else { a.cmp(&b) }
    }
}

impl By {
    const ALL: [Self; 6] =
        [Self::RefName, Self::ImageName, Self::Pinned, Self::Tag, Self::Digest, Self::Repository];

    /// Returns how often an entry is found so.
    fn count(self, entry: &Entry) -> u32 {
        let one = |found: Option<&str>| u32::from(found.is_some());
        match self {
            Self::RefName => one(entry.ref_name()),
            Self::ImageName => one(entry.image_name()),
            Self::Pinned => one(entry.pinned()),
            Self::Tag => one(entry.tag()),
            Self::Digest | Self::Repository => entry.repository_count(),
        }
    }

    /// Returns what an entry is found by.
    fn key(self, entry: &Entry, nth: u32) -> Key<'_> {
        fn by(found: Option<&str>) -> &str {
            found.unwrap_or_default()
        }
        match self {
            Self::RefName => Key { first: by(entry.ref_name()), ..Key::default() },
            Self::ImageName => Key { first: by(entry.image_name()), ..Key::default() },
            Self::Pinned => Key { first: by(entry.pinned()), ..Key::default() },
            Self::Tag => Key { first: by(entry.tag()), ..Key::default() },
            Self::Digest => Key {
                digest: Some(&entry.descriptor().digest),
                first: entry.repository(nth),
                second: if entry.name().is_some() { NAMED } else { "" },
            },
            Self::Repository => {
                Key { digest: None, first: entry.repository(nth), second: by(entry.tag()) }
            }
        }
    }
}

impl Slot {
    /// An `index.json` of [`MAX_INDEX`](crate::directory::MAX_INDEX) bytes has far fewer entries.
    const NUMBER: u32 = u32::MAX >> 2;

    fn new(number: u32, nth: u32) -> Self {
        Self(number & Self::NUMBER | nth << 30)
    }

    fn number(self) -> u32 {
        self.0 & Self::NUMBER
    }

    fn nth(self) -> u32 {
        self.0 >> 30
    }
}

fn numbers<T>(of: &[T]) -> impl Iterator<Item = u32> {
    (0..).take(of.len())
}

/// Returns where entries stand in an index that has none.
fn before_entries(index: &[u8]) -> usize {
    const BEGIN: &[u8] = b"\"manifests\":[";
    // It is the first member after two of fixed content.
    let found = index.windows(BEGIN.len()).position(|window| window == BEGIN);
    found.map_or(index.len(), |at| at + BEGIN.len())
}
