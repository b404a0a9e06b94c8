//! A listing that is made of another by changes.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use longshore_spec::{Descriptor, Digest, keys};

use super::{By, Entry, Key, Listing, Slot, numbers};
use crate::index::Change;
use crate::names;

impl Listing {
    /// Makes `changes`, one after the other; `None` if nothing is different then.
    ///
    /// A name that is set stops standing for anything else (row A-25). What it stood for loses its
    /// entry, but not where a repository is given: who knows the digest goes on to find it there.
    /// An entry without a name is listed once for each repository that it is in, and not where the
    /// same digest has a name.
    pub(crate) fn changed(&self, changes: &[Change]) -> Option<Self> {
        let mut draft = Draft::new(self);
        for change in changes {
            draft.make(change);
        }
        draft.finish()
    }
}

/// What changes so far.
struct Draft<'a> {
    base: &'a Listing,
    /// Entries of the base that are gone, by number.
    gone: HashSet<u32>,
    new: Vec<Option<Entry>>,
    /// Which are new, by every name that they are found by.
    by_name: HashMap<Box<str>, Vec<usize>>,
    by_digest: HashMap<Digest, Vec<usize>>,
    /// Those without a name, by digest.
    unnamed: HashMap<Digest, Vec<usize>>,
    /// How many are new, by digest and repository.
    places: HashMap<Digest, HashMap<Box<str>, usize>>,
}

/// Which entry.
#[derive(Debug, Clone, Copy)]
enum Which {
    Old(u32),
    New(usize),
}

impl<'a> Draft<'a> {
    fn new(base: &'a Listing) -> Self {
        Self {
            base,
            gone: HashSet::new(),
            new: Vec::new(),
            by_name: HashMap::new(),
            by_digest: HashMap::new(),
            unnamed: HashMap::new(),
            places: HashMap::new(),
        }
    }

    fn make(&mut self, change: &Change) {
        match change {
            Change::Set(name, descriptor) => self.set(name.as_str(), descriptor),
            Change::Unset(name) => {
                for which in self.called(name.as_str()) {
                    self.take_name(which, name.as_str());
                }
            }
            Change::Add(descriptor) => self.add(names::unnamed(descriptor.clone())),
            Change::Remove(digest, scope) => {
                for which in self.of_digest(digest) {
                    let goes = |entry: &Entry| scope.holds(entry) || entry.is_loose();
                    if self.get(which).is_some_and(goes) {
                        self.remove(which);
                    }
                }
            }
            Change::Reached(digests, repository) => {
                for digest in digests {
                    for which in self.without_name(digest, repository.as_str()) {
                        self.remove(which);
                    }
                }
            }
        }
    }

    fn set(&mut self, name: &str, descriptor: &Descriptor) {
        let set = Entry::new(names::named(descriptor.clone(), name));
        let mark = descriptor.annotations.get(keys::REPOSITORY).map(|mark| (**mark).to_owned());
        let (mut is_set, mut left) = (false, Vec::new());
        for which in self.called(name) {
            let Some(entry) = self.get(which) else { continue };
            if !is_set && entry.descriptor() == set.descriptor() {
                is_set = true;
                continue;
            }
            let is_other = entry.descriptor().digest != set.descriptor().digest;
            if let Some(mark) = mark.as_ref().filter(|_| entry.name() == Some(name) && is_other) {
                left.push(names::marked(entry.descriptor().clone(), mark));
            }
            self.take_name(which, name);
        }
        let digest = set.descriptor().digest.clone();
        let repositories: Vec<String> = set.repositories().map(str::to_owned).collect();
        for repository in repositories.iter().map(String::as_str).chain([""]) {
            for which in self.without_name(&digest, repository) {
                self.remove(which);
            }
        }
        if !is_set {
            self.insert(set);
        }
        for entry in left {
            self.add(entry);
        }
    }

    /// Takes a name from an entry: its own, with which it goes, or the one beside it. It keeps the name
    /// that it goes by: other tools write a tag into one and all of a reference into the other.
    fn take_name(&mut self, which: Which, name: &str) {
        let Some(entry) = self.get(which) else { return };
        let own = entry.name().filter(|own| *own != name).map(str::to_owned);
        let mut descriptor = entry.descriptor().clone();
        self.remove(which);
        if let Some(own) = own {
            descriptor.annotations.insert(keys::REF_NAME.to_owned(), own);
            self.insert(Entry::new(descriptor));
        }
    }

    /// Lists something without a name, unless that would say nothing new.
    fn add(&mut self, descriptor: Descriptor) {
        let entry = Entry::new(descriptor);
        if !self.covers(&entry) {
            self.insert(entry);
        }
    }

    /// Tells whether another entry says all that one without a name would say.
    fn covers(&self, entry: &Entry) -> bool {
        let digest = &entry.descriptor().digest;
        let stays = |slot: &&Slot| !self.gone.contains(&slot.number());
        let places = self.places.get(digest);
        match entry.mark() {
            Some(mark) => {
                places.is_some_and(|places| places.contains_key(mark))
                    || self.base.slots_in(digest, mark).iter().any(|slot| stays(&slot))
            }
            None => {
                places.is_some_and(|places| !places.is_empty())
                    || self.base.slots_of(digest).iter().any(|slot| stays(&slot))
            }
        }
    }

    /// Returns what goes by a name, or has it beside the one that it goes by.
    fn called(&self, name: &str) -> Vec<Which> {
        let of =
            |by| self.base.range(by, |key| key.first.cmp(name)).iter().map(|slot| slot.number());
        let is_new = |number: &u32| self.base.entry(*number).ref_name() != Some(name);
        let old = of(By::RefName).chain(of(By::ImageName).filter(is_new)).map(Which::Old);
        let new = self.by_name.get(name).into_iter().flatten().map(|number| Which::New(*number));
        let is_it = |entry: &Entry| entry.name() == Some(name) || entry.ref_name() == Some(name);
        old.chain(new).filter(|which| self.get(*which).is_some_and(is_it)).collect()
    }

    fn of_digest(&self, digest: &Digest) -> Vec<Which> {
        let old = self.base.slots_of(digest).iter().filter(|slot| slot.nth() == 0);
        let old = old.map(|slot| Which::Old(slot.number()));
        let new = self.by_digest.get(digest).into_iter().flatten();
        old.chain(new.map(|number| Which::New(*number))).collect()
    }

    /// Returns the entries without a name that a repository has of a digest.
    fn without_name(&self, digest: &Digest, repository: &str) -> Vec<Which> {
        let key = Key { digest: Some(digest), first: repository, second: "" };
        let old = self.base.range(By::Digest, |of| of.cmp(&key)).iter();
        let old = old.map(|slot| Which::Old(slot.number()));
        let new = self.unnamed.get(digest).into_iter().flatten();
        let found = old.chain(new.map(|number| Which::New(*number)));
        let is_it = |which: &Which| {
            self.get(*which).is_some_and(|entry| {
                entry.name().is_none() && entry.mark().unwrap_or_default() == repository
            })
        };
        found.filter(is_it).collect()
    }

    fn get(&self, which: Which) -> Option<&Entry> {
        match which {
            Which::Old(number) if self.gone.contains(&number) => None,
            Which::Old(number) => Some(self.base.entry(number)),
            Which::New(number) => self.new[number].as_ref(),
        }
    }

    fn remove(&mut self, which: Which) {
        match which {
            Which::Old(number) => _ = self.gone.insert(number),
            Which::New(number) => {
                let Some(entry) = self.new[number].take() else { return };
                let Some(places) = self.places.get_mut(&entry.descriptor().digest) else { return };
                for repository in entry.repositories() {
                    if let Some(count) = places.get_mut(repository) {
                        *count -= 1;
                        if *count == 0 {
                            places.remove(repository);
                        }
                    }
                }
            }
        }
    }

    fn insert(&mut self, entry: Entry) {
        let number = self.new.len();
        let digest = &entry.descriptor().digest;
        let names: HashSet<_> = [entry.ref_name(), entry.image_name()].into_iter().collect();
        for name in names.into_iter().flatten() {
            self.by_name.entry(name.into()).or_default().push(number);
        }
        self.by_digest.entry(digest.clone()).or_default().push(number);
        if entry.name().is_none() {
            self.unnamed.entry(digest.clone()).or_default().push(number);
        }
        let places = self.places.entry(digest.clone()).or_default();
        for repository in entry.repositories() {
            *places.entry(repository.into()).or_default() += 1;
        }
        self.new.push(Some(entry));
    }

    /// Returns the listing with all changes; what has not changed is taken over as it is.
    fn finish(self) -> Option<Listing> {
        let Self { base, gone, new, .. } = self;
        let mut new: Vec<_> = new.into_iter().flatten().map(Arc::new).collect();
        if gone.is_empty() && new.is_empty() {
            return None;
        }
        if !base.is_sorted || base.is_wasteful() {
            return Some(base.anew(&gone, new));
        }
        new.sort_by(|a, b| a.in_order(b));
        let mut pool = base.pool.clone();
        let first = pool.length();
        for entry in new {
            pool.put(entry);
        }
        let new: Vec<u32> = (first..pool.length()).collect();
        let mut changed = Listing {
            pool,
            listed: Vec::new(),
            extra: Arc::clone(&base.extra),
            is_sorted: true,
            orders: Default::default(),
            repositories: OnceLock::new(),
            lineage: base.lineage,
            generation: base.generation + 1,
            new,
        };
        let gone: Vec<u32> = gone.into_iter().collect();
        let by_number = |a: &u32, b: &u32| changed.compare_numbers(*a, *b);
        changed.listed = edited(&base.listed, gone.clone(), changed.new.clone(), by_number);
        for (by, order) in By::ALL.into_iter().zip(&base.orders) {
            if let Some(before) = order.get() {
                let by_key = |a: &Slot, b: &Slot| changed.compare(by, *a, *b);
                let [gone, new] = [&gone, &changed.new].map(|of| changed.slots(by, of));
                let order = edited(before, gone, new, by_key);
                changed.orders[by as usize].get_or_init(|| order);
            }
        }
        Some(changed)
    }
}

impl Listing {
    /// Tells whether more is in memory that is listed no longer than what is.
    fn is_wasteful(&self) -> bool {
        self.pool.length() as usize > 2 * self.listed.len() + FEW
    }

    /// Returns the listing with changes, sorted and numbered anew.
    fn anew(&self, gone: &HashSet<u32>, new: Vec<Arc<Entry>>) -> Self {
        let is_new: HashSet<*const Entry> = new.iter().map(Arc::as_ptr).collect();
        let stay = self.listed.iter().filter(|number| !gone.contains(number));
        let old = stay.map(|number| Arc::clone(self.pool.get(*number)));
        let mut entries: Vec<_> = old.chain(new).collect();
        entries.sort_by(|a, b| a.in_order(b));
        let new = numbers(&entries).zip(&entries);
        let new = new.filter(|(_, entry)| is_new.contains(&Arc::as_ptr(entry)));
        let new = new.map(|(number, _)| number).collect();
        let (lineage, generation) = (self.lineage, self.generation + 1);
        Self { lineage, generation, new, ..Self::of(entries, Arc::clone(&self.extra)) }
    }
}

/// So many entries that are listed no longer are no waste. In tests there are few altogether.
const FEW: usize = if cfg!(test) { 2 } else { 1000 };

/// Returns `base` without `gone` and with `new`, in the order of `base`, which `compare` gives. What stays
/// is copied as it lies there.
fn edited<T: Copy>(
    base: &[T],
    gone: Vec<T>,
    mut new: Vec<T>,
    compare: impl Fn(&T, &T) -> Ordering,
) -> Vec<T> {
    let place = |of: &T| base.partition_point(|before| compare(before, of).is_lt());
    new.sort_by(&compare);
    let mut edited = Vec::with_capacity((base.len() + new.len()).saturating_sub(gone.len()));
    let new = new.into_iter().map(|new| (place(&new), Some(new)));
    let mut edits: Vec<_> = new.chain(gone.iter().map(|gone| (place(gone), None))).collect();
    // What comes stands before what was there.
    edits.sort_by_key(|(at, new)| (*at, new.is_none()));
    let mut kept = 0;
    for (at, new) in edits {
        edited.extend_from_slice(&base[kept..at]);
        edited.extend(new);
        kept = at + usize::from(new.is_none());
    }
    edited.extend_from_slice(&base[kept..]);
    edited
}

#[cfg(test)]
mod tests {
    use longshore_spec::MediaType;
    use longshore_store::Name;
    use proptest::prelude::*;

    use super::*;
    use crate::IndexJson;
    use crate::lookup;
    use crate::names::Scope;

    fn manifest(content: &str) -> Descriptor {
        Descriptor::of(MediaType::IMAGE_MANIFEST, content.as_bytes())
    }

    fn within(content: &str, repository: &str) -> Descriptor {
        names::marked(manifest(content), repository)
    }

    fn listed(listing: &Listing) -> Vec<Descriptor> {
        listing.entries().map(|entry| entry.descriptor().clone()).collect()
    }

    fn after(changes: &[Change]) -> Listing {
        let empty = Listing::new(IndexJson::default());
        empty.changed(changes).unwrap_or(empty)
    }

    fn set(name: &str, descriptor: Descriptor) -> Change {
        Change::Set(name.into(), descriptor)
    }

    #[test]
    fn a25_a_name_moves_and_a_digest_is_listed_once_without_a_name() {
        let [a, b] = ["a", "b"].map(manifest);
        let add = |of: &Descriptor| Change::Add(of.clone());
        let listing = after(&[add(&a), add(&a)]);
        assert_eq!(listing.entries().len(), 1);
        let listing = listing.changed(&[set("v1", a.clone()), set("v2", a.clone())]).unwrap();
        let listing = listing.changed(&[set("v1", b.clone()), add(&b)]).unwrap();
        let names = |listing: &Listing| -> Vec<_> {
            let of = |entry: &Entry| {
                (entry.name().map(str::to_owned), entry.descriptor().digest.clone())
            };
            listing.entries().map(of).collect()
        };
        let [v1, v2] = ["v1", "v2"].map(|name| Some(name.to_owned()));
        assert_eq!(names(&listing), [(v1, b.digest), (v2.clone(), a.digest.clone())]);
        let unset = ["v1", "v3"].map(|name| Change::Unset(name.into()));
        let listing = listing.changed(&unset).unwrap();
        assert_eq!(names(&listing), [(v2, a.digest)]);
        assert!(listing.changed(&unset).is_none());
    }

    #[test]
    fn a25_a_tag_that_another_tool_wrote_beside_a_full_name_moves_and_the_full_name_stays() {
        let [a, b] = ["a", "b"].map(manifest);
        let mut entry = a.clone();
        let full = "docker.io/library/alpine:3.20";
        entry.annotations.insert(keys::REF_NAME.to_owned(), "3.20".to_owned());
        entry.annotations.insert(keys::CONTAINERD_IMAGE_NAME.to_owned(), full.to_owned());
        let listing = Listing::new(IndexJson::of(vec![entry]));
        let listing = listing.changed(&[set("3.20", b.clone())]).unwrap();
        let meant = |name: &str| {
            let found = lookup::find(&listing, &name.into(), "here").unwrap().unwrap();
            found.descriptor().clone()
        };
        assert_eq!(meant("3.20").digest, b.digest);
        assert_eq!(meant(full).digest, a.digest);
        assert_eq!(meant(full).annotations[keys::REF_NAME], full);
    }

    #[test]
    fn a_digest_is_listed_once_for_each_repository_that_has_it() {
        let within = |repository| within("a", repository);
        let add = |repository| Change::Add(within(repository));
        let bare = || Change::Add(manifest("a"));
        let listing = after(&[add("a/one"), add("b/two"), add("a/one"), bare()]);
        assert!(listing.changed(&[add("b/two"), add("a/one")]).is_none());
        assert_eq!(listed(&listing), [within("a/one"), within("b/two")]);
        let listing = listing.changed(&[set("a/one:v1", within("a/one"))]).unwrap();
        assert_eq!(listed(&listing)[1..], [within("b/two")], "a name takes up only its own entry");
        assert!(listing.changed(&[add("a/one"), bare()]).is_none());
    }

    #[test]
    fn a_list_in_the_order_of_others_is_brought_into_ours_by_the_first_change() {
        let mut index = IndexJson::default();
        index.manifests = vec![manifest("b"), manifest("a"), manifest("c")];
        let listing = Listing::new(index.clone());
        assert!(listing.changed(&[Change::Add(manifest("a"))]).is_none());
        let changed = listing.changed(&[set("v1", manifest("a"))]).unwrap();
        let expected = [names::named(manifest("a"), "v1"), manifest("b"), manifest("c")];
        assert_eq!(listed(&changed), listed(&Listing::new(IndexJson::of(expected.to_vec()))));
    }

    /// Says the same as [`Listing::changed`], and goes through everything for each change.
    fn model(entries: &mut Vec<Descriptor>, change: &Change) {
        let mark = |entry: &Descriptor| entry.annotations.get(keys::REPOSITORY).cloned();
        let is_in = |entry: &Descriptor, repository: &str| {
            Entry::new(entry.clone()).repositories().any(|found| found == repository)
        };
        let is_where = |entry: &Descriptor, other: &Descriptor| {
            entry.digest == other.digest && mark(other).is_none_or(|of| is_in(entry, &of))
        };
        let mut left = Vec::new();
        let mut take = |entries: &mut Vec<Descriptor>, name: &str, set: Option<&Descriptor>| {
            entries.retain_mut(|entry| {
                let own = names::of(entry).map(str::to_owned);
                if own.as_deref() == Some(name) {
                    if let Some((repository, set)) = set.and_then(|set| Some((mark(set)?, set)))
                        && set.digest != entry.digest
                    {
                        left.push(names::marked(entry.clone(), &repository));
                    }
                    return false;
                }
                if let Some(own) = own.filter(|_| names::ref_name(entry) == Some(name)) {
                    entry.annotations.insert(keys::REF_NAME.to_owned(), own);
                }
                true
            });
        };
        match change {
            Change::Set(name, descriptor) => {
                take(entries, name.as_str(), Some(descriptor));
                let set = names::named(descriptor.clone(), name.as_str());
                entries.retain(|entry| names::of(entry).is_some() || !is_where(&set, entry));
                entries.push(set);
            }
            Change::Unset(name) => take(entries, name.as_str(), None),
            Change::Add(descriptor) => left.push(names::unnamed(descriptor.clone())),
            Change::Remove(digest, scope) => entries.retain(|entry| {
                let listed = Entry::new(entry.clone());
                entry.digest != *digest || !(scope.holds(&listed) || listed.is_loose())
            }),
            Change::Reached(digests, repository) => entries.retain(|entry| {
                names::of(entry).is_some()
                    || mark(entry).as_deref() != Some(repository.as_str())
                    || !digests.contains(&entry.digest)
            }),
        }
        for entry in left {
            if !entries.iter().any(|other| is_where(other, &entry)) {
                entries.push(entry);
            }
        }
    }

    /// Returns what is found by something, by its place in `index.json`.
    fn found_by(listing: &Listing, by: By) -> Vec<(Option<usize>, u32)> {
        let place = |number: u32| listing.listed.iter().position(|listed| *listed == number);
        listing.order(by).iter().map(|slot| (place(slot.number()), slot.nth())).collect()
    }

    const REPOSITORIES: [&str; 3] = ["a/one", "host.example/a/one", "host.example_5000/b"];

    fn described() -> impl Strategy<Value = Descriptor> {
        let repository = prop::option::of(prop::sample::select(&REPOSITORIES));
        (0..4_u8, repository).prop_map(|(content, repository)| {
            let content = content.to_string();
            repository.map_or_else(|| manifest(&content), |of| within(&content, of))
        })
    }

    fn name() -> impl Strategy<Value = Name> {
        const NAMES: [&str; 6] = [
            "v1",
            "v2",
            "a/one:v1",
            "host.example/a/one:v1",
            "host.example:5000/b:v1",
            "no name at all",
        ];
        prop::sample::select(&NAMES).prop_map(Name::from)
    }

    fn change() -> impl Strategy<Value = Change> {
        let scope = prop_oneof![
            1 => Just(Scope::Layout),
            3 => (prop::sample::select(&REPOSITORIES), any::<bool>()).prop_map(|(name, bare)| {
                Scope::Repository { name: name.parse().unwrap(), bare }
            }),
        ];
        let repository = prop::sample::select(&REPOSITORIES).prop_map(|name| name.parse().unwrap());
        prop_oneof![
            4 => (name(), described()).prop_map(|(name, of)| Change::Set(name, of)),
            3 => described().prop_map(Change::Add),
            1 => name().prop_map(Change::Unset),
            1 => (described(), scope).prop_map(|(of, scope)| Change::Remove(of.digest, scope)),
            1 => (described(), repository).prop_map(|(of, repository)| {
                Change::Reached(HashSet::from([of.digest]), repository)
            }),
        ]
    }

    /// What others wrote: in their order, with a tag beside a full name, and twice.
    fn found() -> impl Strategy<Value = Vec<Descriptor>> {
        let entry = (described(), prop::option::of((name(), name())));
        let entry = entry.prop_map(|(of, names)| match names {
            None => of,
            Some((name, other)) => {
                let mut entry = names::named(of, name.as_str());
                entry.annotations.insert(keys::REF_NAME.to_owned(), other.to_string());
                entry
            }
        });
        prop::collection::vec(entry, 0..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 2000,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn changes_are_made_as_if_everything_was_gone_through(
            found in found(),
            batches in prop::collection::vec(prop::collection::vec(change(), 0..6), 0..6),
        ) {
            let mut index = IndexJson::default();
            index.manifests.clone_from(&found);
            let (mut listing, mut entries) = (Listing::new(index), found);
            for by in By::ALL {
                listing.order(by);
            }
            for batch in batches {
                for change in &batch {
                    model(&mut entries, change);
                }
                let Some(changed) = listing.changed(&batch) else {
                    let [now, expected] =
                        [listed(&listing), entries.clone()].map(|of| IndexJson::of(of).to_bytes());
                    prop_assert_eq!(now, expected);
                    continue;
                };
                let anew = Listing::new(IndexJson::of(entries.clone()));
                prop_assert_eq!(listed(&changed), listed(&anew));
                prop_assert_eq!(changed.to_bytes(), IndexJson::of(entries.clone()).to_bytes());
                for by in By::ALL {
                    prop_assert_eq!(found_by(&changed, by), found_by(&anew, by));
                }
                prop_assert_eq!(changed.repositories(None), anew.repositories(None));
                // As from a journal that outlived the power cut after it was taken in: names stay.
                if let Some(twice) = changed.changed(&batch) {
                    let named = |listing: &Listing| -> Vec<_> {
                        let named = |of: &Descriptor| names::of(of).is_some();
                        listed(listing).into_iter().filter(named).collect()
                    };
                    prop_assert_eq!(named(&twice), named(&changed));
                }
                if changed.lineage() == listing.lineage() {
                    let mut known = listed(&listing);
                    known.extend(changed.new_entries().map(|entry| entry.descriptor().clone()));
                    prop_assert!(listed(&changed).iter().all(|entry| known.contains(entry)));
                }
                listing = changed;
            }
        }
    }
}
