//! Which volume each piece of content goes to: a function of sizes, closures and the room of volumes, and of
//! nothing else.
//!
//! What an artifact needs should lie in one volume, so that other tools can read it there. Artifacts that share
//! content are placed together, the largest group first, each into the first volume that has room for all of it.
//! A group that is too large is taken apart: artifact by artifact, the largest first; what is too large again,
//! blob by blob, what most artifacts share first. So shared content comes early. A blob that fits into no volume
//! is cut into parts, which go to the volumes in order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::MAX_VOLUMES;

/// A part that is not the last of its blob takes at least one in so many bytes of its volume's room: no blob is
/// cut into splinters.
const LEAST_PART: u64 = 4;

/// What is to be placed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    /// How long its content is.
    pub(crate) size: u64,
    /// How much room it takes as a whole.
    pub(crate) whole: u64,
    /// How much room the header of a part of it takes at most.
    pub(crate) part_header: u64,
}

/// Where something goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// To one volume, counted from 1.
    Volume(u32),
    /// In parts to several, in their order.
    Parts(Vec<PlacedPart>),
}

/// A part of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlacedPart {
    /// Its volume, counted from 1.
    pub(crate) volume: u32,
    /// How long it is.
    pub(crate) size: u64,
}

/// Where everything goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The place of each item.
    pub(crate) places: Vec<Place>,
    /// How many volumes there are, at least one.
    pub(crate) volumes: u32,
}

/// There would be more volumes than a bundle may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

/// Places `items`, of which artifacts need those of `closures`, into volumes with room for so many bytes; the last
/// of `rooms` is that of all further volumes, and no room is smaller than [`super::LEAST_ROOM`]. Content takes
/// whole blocks of `block` bytes.
pub(crate) fn place(
    items: &[Item],
    closures: &[BTreeSet<u32>],
    rooms: &[u64],
    block: u64,
) -> Result<Placement, TooMany> {
    let mut sharers = vec![0_u32; items.len()];
    // Artifacts that need the same content are as one.
    let closures: BTreeSet<&BTreeSet<u32>> = closures.iter().collect();
    for item in closures.iter().copied().flatten() {
        sharers[*item as usize] += 1;
    }
    let places = vec![None; items.len()];
    let mut placing = Placing { items, rooms, block, sharers, left: Vec::new(), places };
    let mut groups: Vec<_> = groups(items.len(), closures)
        .into_iter()
        .map(|closures| {
            let all: BTreeSet<u32> = closures.iter().copied().flatten().copied().collect();
            (Reverse(placing.cost(&all)), all, closures)
        })
        .collect();
    groups.sort();
    for (Reverse(cost), all, closures) in groups {
        match placing.first_fit(cost) {
            Some(volume) => placing.put(&all, volume),
            None => placing.take_apart(closures)?,
        }
    }
    // What no artifact needs is not asked for; it has a place all the same.
    for item in (0..).take(items.len()) {
        placing.place_alone(item)?;
    }
    placing.finish()
}

/// Returns closures that share content, to any depth, together.
fn groups(items: usize, closures: BTreeSet<&BTreeSet<u32>>) -> Vec<Vec<&BTreeSet<u32>>> {
    let mut parents: Vec<u32> = (0..).take(items).collect();
    for closure in &closures {
        let mut members = closure.iter();
        let Some(&first) = members.next() else { continue };
        for &member in members {
            let (one, other) = (top(&mut parents, first), top(&mut parents, member));
            parents[one.max(other) as usize] = one.min(other);
        }
    }
    let mut groups: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for closure in closures {
        let Some(&first) = closure.first() else { continue };
        groups.entry(top(&mut parents, first)).or_default().push(closure);
    }
    groups.into_values().collect()
}

/// Returns the first item of a group, and shortens the way to it.
fn top(parents: &mut [u32], mut item: u32) -> u32 {
    while parents[item as usize] != item {
        let above = parents[parents[item as usize] as usize];
        parents[item as usize] = above;
        item = above;
    }
    item
}

/// A placement that is being made. Volumes are counted from 0.
struct Placing<'a> {
    items: &'a [Item],
    rooms: &'a [u64],
    block: u64,
    /// How many closures need each item.
    sharers: Vec<u32>,
    /// How much room is left in each volume so far.
    left: Vec<u64>,
    places: Vec<Option<Place>>,
}

impl Placing<'_> {
    /// Returns how much room items take together, saturating.
    fn cost(&self, items: &BTreeSet<u32>) -> u64 {
        let costs = items.iter().map(|item| self.items[*item as usize].whole);
        costs.fold(0, u64::saturating_add)
    }

    /// Returns the room of a volume while nothing is in it.
    fn room(&self, volume: usize) -> u64 {
        self.rooms.get(volume).or(self.rooms.last()).copied().unwrap_or_default()
    }

    /// Returns how much room is left in a volume.
    fn left(&self, volume: usize) -> u64 {
        self.left.get(volume).copied().unwrap_or_else(|| self.room(volume))
    }

    /// Returns the first volume with so much room; `None` if a new one would not have it either.
    fn first_fit(&self, cost: u64) -> Option<usize> {
        let ends = self.left.len().max(self.rooms.len().saturating_sub(1));
        (0..=ends).find(|volume| cost <= self.left(*volume))
    }

    /// Takes room in a volume.
    fn take(&mut self, volume: usize, cost: u64) {
        while self.left.len() <= volume {
            self.left.push(self.room(self.left.len()));
        }
        self.left[volume] = self.left[volume].saturating_sub(cost);
    }

    /// Puts items into a volume that has room for them.
    fn put(&mut self, items: &BTreeSet<u32>, volume: usize) {
        self.take(volume, self.cost(items));
        for item in items {
            self.places[*item as usize] = Some(Place::Volume(number(volume)));
        }
    }

    /// Places a group that is larger than any volume.
    fn take_apart(&mut self, closures: Vec<&BTreeSet<u32>>) -> Result<(), TooMany> {
        let costs = closures.into_iter().map(|closure| (Reverse(self.cost(closure)), closure));
        let mut closures: Vec<_> = costs.collect();
        closures.sort();
        for (_, closure) in closures {
            let is_open = |item: &&u32| self.places[**item as usize].is_none();
            let rest: BTreeSet<u32> = closure.iter().filter(is_open).copied().collect();
            let cost = self.cost(&rest);
            let beside = self.only_volume_of(closure).filter(|volume| cost <= self.left(*volume));
            if let Some(volume) = beside.or_else(|| self.first_fit(cost)) {
                self.put(&rest, volume);
                continue;
            }
            let mut rest: Vec<u32> = rest.into_iter().collect();
            rest.sort_by_key(|item| {
                let (shared, cost) =
                    (self.sharers[*item as usize], self.items[*item as usize].whole);
                (Reverse(shared), Reverse(cost), *item)
            });
            for item in rest {
                self.place_alone(item)?;
            }
        }
        Ok(())
    }

    /// Returns the volume of all that is placed of a closure, if it is one.
    fn only_volume_of(&self, closure: &BTreeSet<u32>) -> Option<usize> {
        let mut places = closure.iter().filter_map(|item| self.places[*item as usize].as_ref());
        let first = places.next()?;
        let Place::Volume(volume) = first else { return None };
        places.all(|place| place == first).then_some(*volume as usize - 1)
    }

    /// Places one item, unless it has a place.
    fn place_alone(&mut self, item: u32) -> Result<(), TooMany> {
        if self.places[item as usize].is_some() {
            return Ok(());
        }
        match self.first_fit(self.items[item as usize].whole) {
            Some(volume) => self.put(&BTreeSet::from([item]), volume),
            None => self.cut(item)?,
        }
        Ok(())
    }

    /// Places one item in parts, each as long as its volume has room for.
    fn cut(&mut self, item: u32) -> Result<(), TooMany> {
        let Item { size, part_header, .. } = self.items[item as usize];
        let (mut parts, mut rest) = (Vec::new(), size);
        for volume in 0..MAX_VOLUMES as usize {
            let room = self.left(volume).saturating_sub(part_header) / self.block * self.block;
            let is_last = rest <= room;
            if !is_last && room < self.room(volume) / LEAST_PART {
                continue;
            }
            let size = rest.min(room);
            self.take(volume, part_header + size.div_ceil(self.block) * self.block);
            parts.push(PlacedPart { volume: number(volume), size });
            rest -= size;
            if is_last {
                self.places[item as usize] = Some(Place::Parts(parts));
                return Ok(());
            }
        }
        Err(TooMany)
    }

    fn finish(self) -> Result<Placement, TooMany> {
        let volumes = u32::try_from(self.left.len()).map_err(|_| TooMany)?.max(1);
        if volumes > MAX_VOLUMES {
            return Err(TooMany);
        }
        let places = self.places.into_iter().flatten().collect();
        Ok(Placement { places, volumes })
    }
}

/// Returns the number of a volume, counted from 1.
fn number(volume: usize) -> u32 {
    u32::try_from(volume + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLOCK: u64 = 512;
    const HEADER: u64 = 512;

    fn item(size: u64) -> Item {
        let whole = HEADER + size.div_ceil(BLOCK) * BLOCK;
        Item { size, whole, part_header: 2 * HEADER }
    }

    fn items(sizes: &[u64]) -> Vec<Item> {
        sizes.iter().copied().map(item).collect()
    }

    fn closures(of: &[&[u32]]) -> Vec<BTreeSet<u32>> {
        of.iter().map(|closure| closure.iter().copied().collect()).collect()
    }

    fn volumes(placement: &Placement) -> Vec<u32> {
        let volume = |place: &Place| match place {
            Place::Volume(volume) => *volume,
            Place::Parts(_) => 0,
        };
        placement.places.iter().map(volume).collect()
    }

    const KIB: u64 = 1024;

    #[test]
    fn what_shares_content_lies_together() {
        // 0 and 1 belong together, 2 and 3 share 4, 5 is alone.
        let items = items(&[30, 30, 20, 20, 10, 35].map(|size| size * KIB));
        let closures = closures(&[&[0, 1], &[2, 4], &[3, 4], &[5]]);
        let placement = place(&items, &closures, &[100 * KIB], BLOCK).unwrap();
        assert_eq!(volumes(&placement), [1, 1, 2, 2, 2, 1]);
        assert_eq!(placement.volumes, 2);
    }

    #[test]
    fn a_group_that_is_too_large_begins_with_its_largest_and_what_it_shares() {
        // All share 0; each has one of its own.
        let items = items(&[30, 40, 20, 20, 10].map(|size| size * KIB));
        let closures = closures(&[&[0, 2], &[0, 1], &[0, 4], &[0, 3]]);
        let placement = place(&items, &closures, &[90 * KIB], BLOCK).unwrap();
        // The last lies beside what is shared, where there is room for it.
        assert_eq!(volumes(&placement), [1, 1, 2, 2, 1]);
    }

    #[test]
    fn a_blob_of_three_volumes_is_cut_and_volumes_are_filled_in_order() {
        let items = items(&[300 * KIB, 20 * KIB]);
        let closures = closures(&[&[0, 1]]);
        let placement = place(&items, &closures, &[100 * KIB], BLOCK).unwrap();
        let Place::Parts(parts) = &placement.places[0] else { panic!("it is not cut") };
        let full = 100 * KIB - 2 * HEADER;
        let sizes: Vec<_> = parts.iter().map(|part| (part.volume, part.size)).collect();
        assert_eq!(sizes, [(1, full), (2, full), (3, full), (4, 300 * KIB - 3 * full)]);
        assert_eq!(placement.places[1], Place::Volume(4));
    }

    #[test]
    fn volumes_may_have_several_sizes_of_which_the_last_repeats() {
        let items = items(&[60 * KIB; 4]);
        let closures = closures(&[&[0], &[1], &[2], &[3]]);
        let placement = place(&items, &closures, &[64 * KIB, 200 * KIB, 64 * KIB], BLOCK).unwrap();
        assert_eq!(volumes(&placement), [1, 2, 2, 2]);
        let placement = place(&items, &closures, &[300 * KIB, 64 * KIB], BLOCK).unwrap();
        assert_eq!(placement.volumes, 1);
        let placement = place(&items, &closures, &[40 * KIB, 90 * KIB], BLOCK).unwrap();
        assert_eq!(volumes(&placement), [2, 3, 4, 5], "the first is too small for any");
    }

    #[test]
    fn nothing_takes_one_volume_and_too_many_are_refused() {
        assert_eq!(place(&[], &[], &[KIB], BLOCK).unwrap().volumes, 1);
        let huge = items(&[u64::MAX / 2]);
        assert_eq!(place(&huge, &closures(&[&[0]]), &[64 * KIB], BLOCK), Err(TooMany));
        let many = items(&vec![60 * KIB; MAX_VOLUMES as usize + 1]);
        let closures: Vec<_> = (0..).take(many.len()).map(|item| BTreeSet::from([item])).collect();
        assert_eq!(place(&many, &closures, &[64 * KIB], BLOCK), Err(TooMany));
    }

    proptest! {
        #[test]
        fn all_has_a_place_and_no_volume_is_too_full(
            sizes in prop::collection::vec(0_u64..400_000, 0..40),
            needs in prop::collection::vec(prop::collection::btree_set(0_u32..40, 0..12), 0..20),
            rooms in prop::collection::vec(65_536_u64..200_000, 1..4),
        ) {
            let items = items(&sizes);
            let is_there = |item: &u32| (*item as usize) < items.len();
            let mut closures: Vec<BTreeSet<u32>> = needs
                .iter()
                .map(|closure| closure.iter().copied().filter(is_there).collect())
                .collect();
            let placement = place(&items, &closures, &rooms, BLOCK).unwrap();
            prop_assert_eq!(placement.places.len(), items.len());
            let mut used = vec![0; placement.volumes as usize];
            for (item, place) in items.iter().zip(&placement.places) {
                match place {
                    Place::Volume(volume) => used[*volume as usize - 1] += item.whole,
                    Place::Parts(parts) => {
                        prop_assert!(parts.len() > 1);
                        prop_assert!(parts.is_sorted_by(|a, b| a.volume < b.volume));
                        prop_assert!(parts.iter().all(|part| part.size > 0));
                        prop_assert_eq!(parts.iter().map(|part| part.size).sum::<u64>(), item.size);
                        for part in parts {
                            used[part.volume as usize - 1] +=
                                item.part_header + part.size.div_ceil(BLOCK) * BLOCK;
                        }
                    }
                }
            }
            for (volume, used) in used.iter().enumerate() {
                let room = rooms.get(volume).or(rooms.last()).unwrap();
                prop_assert!(used <= room, "volume {}: {} of {}", volume, used, room);
            }
            closures.reverse();
            closures.extend(closures.clone());
            prop_assert_eq!(place(&items, &closures, &rooms, BLOCK).unwrap(), placement);
        }
    }
}
