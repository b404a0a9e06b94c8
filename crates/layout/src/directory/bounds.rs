//! Bounds of `index.json`: a change that readers would refuse is refused first.

use std::io::{self, Write};

use longshore_spec::keys;
use longshore_store::{Outline, Result};
use serde::Serialize;

use super::{Directory, INDEX};
use crate::index::{self, Change};
use crate::listing::Listing;
use crate::names;

impl Directory {
    /// Refuses `changes` after which nobody could read `index.json`, before any of them is recorded.
    /// Returns an upper bound of the bytes that they add.
    pub(super) fn check_changes(&self, changes: &[Change]) -> Result<u64> {
        let there = self.length_when_written(|| self.index_length())?;
        let added: u64 = changes.iter().map(Change::length).sum();
        let most = there.saturating_add(self.pending_length()).saturating_add(added);
        if most <= self.max_index {
            return Ok(added);
        }
        // Near the bound, it matters what they replace and remove.
        self.write_changes()?;
        let listing = self.listed()?.changed(changes);
        listing.map_or(Ok(()), |listing| self.check_listing(&listing))?;
        Ok(added)
    }

    /// Refuses an outline with more names than are read.
    pub(super) fn check_roots(&self, outline: &Outline) -> Result<()> {
        let changes = outline.roots().iter().flat_map(|root| {
            let set =
                root.names.iter().map(|name| Change::Set(name.clone(), root.descriptor.clone()));
            let add = root.names.is_empty().then(|| Change::Add(root.descriptor.clone()));
            set.chain(add)
        });
        self.check_changes(&changes.collect::<Vec<_>>()).map(drop)
    }

    /// Returns an upper bound of the length of `index.json` with the changes in its journal.
    fn index_length(&self) -> Result<u64> {
        /// A change in the journal contains most of what it adds. A name is added three times, and is in
        /// it once.
        const JOURNALED: u64 = 4;
        let Some(there) = self.opened()? else { return Ok(0) };
        let index = there.size(INDEX, self.links)?.unwrap_or(0);
        Ok(index.saturating_add(self.journal_length()?.saturating_mul(JOURNALED)))
    }

    /// Refuses an `index.json` that is too long for its readers.
    pub(super) fn check_listing(&self, listing: &Listing) -> Result<()> {
        let what = self.index_path().display().to_string();
        index::check_length(listing.length(), self.max_index, &what)
    }
}

impl Change {
    /// Returns an upper bound of the bytes that a change adds to an index.
    pub(super) fn length(&self) -> u64 {
        /// The comma before an entry or annotation, and the punctuation around an annotation's key and
        /// value.
        const AROUND: u64 = 8;
        let (entry, mark) = match self {
            Self::Add(descriptor) => (names::unnamed(descriptor.clone()), None),
            Self::Set(name, descriptor) => {
                // The manifest that had the name before may stay, marked with the repository.
                let mark = descriptor.annotations.get(keys::REPOSITORY);
                (names::named(descriptor.clone(), name.as_str()), mark)
            }
            Self::Remove(..) | Self::Reached(..) | Self::Unset(_) => return 0,
        };
        let text = |text: &str| length_as_json(text);
        let mark = mark.map_or(0, |mark| text(keys::REPOSITORY) + text(mark) + AROUND);
        length_as_json(&entry) + AROUND + mark
    }
}

/// Returns the length of a value as JSON.
fn length_as_json(value: &(impl Serialize + ?Sized)) -> u64 {
    struct Count(u64);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    let written = serde_json::to_writer(&mut count, value);
    written.map_or(0, |()| count.0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use longshore_spec::{Descriptor, Manifest, MediaType};
    use longshore_store::{
        Entry, Error, Name, Repository as _, Root, Source as _, Target as _, TargetPlace as _,
        manifest_from,
    };

    use super::*;
    use crate::IndexJson;

    /// Room for one long entry, and for some short ones.
    const MAX: u64 = 3000;
    const LONG: usize = 2000;

    fn layout(path: &Path) -> Directory {
        let mut layout = Directory::create(path).unwrap();
        layout.max_index = MAX;
        layout
    }

    fn manifest() -> Manifest {
        let raw = br#"{"schemaVersion":2,"manifests":[]}"#;
        let descriptor = Descriptor::of(MediaType::IMAGE_INDEX, raw);
        manifest_from(raw.to_vec().into(), descriptor).unwrap()
    }

    /// The manifest as an entry that others have said much about.
    fn described() -> Manifest {
        let mut descriptor = manifest().descriptor().clone();
        descriptor.annotations.insert("said".to_owned(), "x".repeat(LONG));
        manifest().described(descriptor)
    }

    fn push(layout: &Directory, manifest: &Manifest, name: &str) -> Result<()> {
        layout.whole().push_manifest(manifest, Entry::Root(&[name.into()]))?;
        layout.commit()
    }

    fn names(path: &Path) -> Vec<Name> {
        let mut layout = Directory::open(path).unwrap();
        layout.max_index = MAX;
        layout.whole().names().unwrap()
    }

    fn is_refused<T>(result: &Result<T>) -> bool {
        let text = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        matches!(result, Err(Error::Limit { .. }))
            && text.contains("index.json")
            && text.contains("limit of 3000 bytes")
    }

    #[test]
    fn an_index_grows_no_further_than_anybody_reads() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(directory.path());
        push(&layout, &described(), "a").unwrap();
        assert!(is_refused(&push(&layout, &described(), "b")));
        // A refused change does not block others.
        push(&layout, &manifest(), "c").unwrap();
        assert_eq!(names(directory.path()), ["a".into(), "c".into()]);
        layout.whole().untag(&"a".into()).unwrap();
        push(&layout, &described(), "b").unwrap();
        assert_eq!(names(directory.path()), ["b".into(), "c".into()]);
    }

    #[test]
    fn what_is_not_written_yet_counts() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(directory.path());
        let name = |name: &str| -> Result<_> {
            layout.whole().push_manifest(&described(), Entry::Root(&[name.into()]))
        };
        name("a").unwrap();
        assert!(is_refused(&name("b")));
        layout.commit().unwrap();
        assert_eq!(names(directory.path()), ["a".into()]);
    }

    #[test]
    fn a_name_that_moves_takes_no_more_room() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(directory.path());
        push(&layout, &described(), "a").unwrap();
        push(&layout, &described(), "a").unwrap();
        assert_eq!(names(directory.path()), ["a".into()]);
    }

    #[test]
    fn what_will_be_listed_is_looked_at_before_anything_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new");
        let root = |name: &str| {
            let descriptor = described().descriptor().clone();
            Root { descriptor, names: vec![name.into()] }
        };
        let outline = |roots| Outline::new(Vec::new(), roots, Vec::new());
        let two = layout(&path).prepare(&outline(vec![root("a"), root("b")]));
        assert!(is_refused(&two) && !path.exists());
        layout(&path).prepare(&outline(vec![root("a")])).unwrap();
    }

    #[test]
    fn an_entry_makes_an_index_no_longer_than_was_counted() {
        let long = "localhost:5000/".to_owned() + &"\"".repeat(300) + ":v1";
        for name in ["v1", "localhost:5000/team/app:v1", &long] {
            let before = IndexJson::default().to_bytes().len() as u64;
            for change in [
                Change::Set(name.into(), manifest().descriptor().clone()),
                Change::Add(described().descriptor().clone()),
            ] {
                let counted = change.length();
                let changed = Listing::new(IndexJson::default()).changed(&[change]).unwrap();
                assert!(changed.to_bytes().len() as u64 <= before + counted);
            }
        }
    }
}
