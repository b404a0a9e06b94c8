//! Changes that are durable before `index.json` is written with them.
//!
//! A server answers a push when it is durable what the tag stands for. Of 20,000 tags `index.json` has
//! some six megabytes, and writing them for each few pushes costs more than everything else. So a
//! server appends its changes to `.longshore/index.journal`, and writes `index.json` about once a
//! second, which takes the journal away. What a layout lists is `index.json` with the changes of the
//! journal made. Other tools see what `index.json` says.
//!
//! Each line is what was appended at once: the sha256 of the rest in hex, a space, and a JSON array
//! of changes. A last line that was cut off is ignored: nobody was told that it is durable. Where changes
//! are made twice, in the same order, names stand for the same; so a journal may outlive the `index.json`
//! that has it. A change of a name says what the name stood for before: if it stands for something else in
//! `index.json`, another tool has changed it since, and that counts.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::time::Duration;

use longshore_spec::{Descriptor, Digest};
use longshore_store::{Error, Flaw, Name, Result};
use serde::{Deserialize, Serialize};

use super::{Directory, OWN};
use crate::dir::Part;
use crate::files;
use crate::index::Change;
use crate::listing::{Entry, Listing};
use crate::names::{self, Scope};

const JOURNAL: &str = "index.journal";

/// A journal of more bytes than this is neither read nor written.
pub(super) const MAX_JOURNAL: u64 = 16 << 20;

/// What was read of a journal.
pub(super) struct Journal {
    /// In the order in which they are made.
    changes: Vec<Written>,
    /// Whether nothing was cut off.
    pub(super) is_whole: bool,
}

impl Journal {
    fn parse(bytes: &[u8], what: &str) -> Result<Self> {
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut lines = bytes[..whole].split_inclusive(|byte| *byte == b'\n').peekable();
        let (mut changes, mut is_whole) = (Vec::new(), whole == bytes.len());
        let mut number = 0;
        while let Some(line) = lines.next() {
            number += 1;
            match proven(line) {
                Some(json) => {
                    let read: Vec<Written> = serde_json::from_slice(json).map_err(|error| {
                        let reason = format!("line {number}: {error}");
                        Error::malformed(what, Flaw::Journal(reason))
                    })?;
                    changes.extend(read);
                }
                // After a power cut the end of a file may be there without what was in it.
                None if lines.peek().is_none() => is_whole = false,
                None => {
                    let damaged = format!("line {number} is not what was written");
                    return Err(Error::malformed(what, Flaw::Journal(damaged)));
                }
            }
        }
        Ok(Self { changes, is_whole })
    }

    /// Returns how many changes it has.
    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    /// Makes the changes on what `index.json` lists, but for names that another tool has changed since.
    /// `None` if nothing is different then. `what` names the journal.
    pub(super) fn onto(self, index: &Listing, what: &str) -> Result<Option<Listing>> {
        let (mut now, mut changes) = (Names::of(index), Vec::new());
        let mut passed_over = BTreeSet::new();
        for written in self.changes {
            if let Written::Set(name, _, before) | Written::Unset(name, before) = &written {
                let then = match &written {
                    Written::Set(_, descriptor, _) => Some(&descriptor.digest),
                    _ => None,
                };
                let found = now.stands_for(name);
                if found != before.as_ref() && found != then {
                    passed_over.insert(name.clone());
                    continue;
                }
                passed_over.remove(name);
            }
            let change = written.change();
            let change =
                change.map_err(|error| Error::malformed(what, Flaw::Journal(error.to_string())))?;
            now.follow(&change);
            changes.push(change);
        }
        for name in passed_over {
            tracing::warn!("{what}: another tool has changed `{name}` since, which counts");
        }
        Ok(index.changed(&changes))
    }
}

/// What names stand for while changes are made.
struct Names<'l> {
    listing: &'l Listing,
    /// Those that were changed, with their entries.
    changed: HashMap<String, Option<Entry>>,
}

impl<'l> Names<'l> {
    fn of(listing: &'l Listing) -> Self {
        Self { listing, changed: HashMap::new() }
    }

    fn stands_for(&self, name: &str) -> Option<&Digest> {
        match self.changed.get(name) {
            Some(entry) => entry.as_ref().map(|entry| &entry.descriptor().digest),
            None => self.listing.stands_for(name),
        }
    }

    fn follow(&mut self, change: &Change) {
        match change {
            Change::Set(name, descriptor) => {
                let entry = Entry::new(names::named(descriptor.clone(), name.as_str()));
                self.changed.insert(name.to_string(), Some(entry));
            }
            Change::Unset(name) => _ = self.changed.insert(name.to_string(), None),
            Change::Remove(digest, scope) => {
                let listed = self.listing.of_digest(digest, &Scope::Layout).into_iter();
                for entry in listed.filter(|entry| scope.holds(entry)) {
                    for name in entry.names() {
                        self.changed.entry(name.to_owned()).or_insert(None);
                    }
                }
                // With every name that it has got since.
                let goes =
                    |entry: &Entry| entry.descriptor().digest == *digest && scope.holds(entry);
                for entry in self.changed.values_mut() {
                    if entry.as_ref().is_some_and(goes) {
                        *entry = None;
                    }
                }
            }
            Change::Add(_) | Change::Reached(..) => {}
        }
    }
}

/// A change as a line has it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Written {
    Add(Descriptor),
    /// A name, what it stands for, and what it stood for.
    Set(String, Descriptor, Option<Digest>),
    Remove(Digest, Option<Within>),
    Reached(Vec<Digest>, String),
    /// A name, and what it stood for.
    Unset(String, Option<Digest>),
}

/// A repository, of which bare names are or not.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Within {
    repository: String,
    bare: bool,
}

impl Written {
    fn of(change: &Change, names: &Names<'_>) -> Self {
        let before = |name: &Name| names.stands_for(name.as_str()).cloned();
        match change {
            Change::Add(descriptor) => Self::Add(descriptor.clone()),
            Change::Set(name, descriptor) => {
                Self::Set(name.to_string(), descriptor.clone(), before(name))
            }
            Change::Remove(digest, Scope::Layout) => Self::Remove(digest.clone(), None),
            Change::Remove(digest, Scope::Repository { name, bare }) => {
                let within = Within { repository: name.to_string(), bare: *bare };
                Self::Remove(digest.clone(), Some(within))
            }
            Change::Reached(digests, repository) => {
                Self::Reached(digests.iter().cloned().collect(), repository.to_string())
            }
            Change::Unset(name) => Self::Unset(name.to_string(), before(name)),
        }
    }

    fn change(self) -> Result<Change, longshore_spec::ReferenceError> {
        Ok(match self {
            Self::Add(descriptor) => Change::Add(descriptor),
            Self::Set(name, descriptor, _) => Change::Set(Name::new(name), descriptor),
            Self::Remove(digest, None) => Change::Remove(digest, Scope::Layout),
            Self::Remove(digest, Some(Within { repository, bare })) => {
                Change::Remove(digest, Scope::Repository { name: repository.parse()?, bare })
            }
            Self::Reached(digests, repository) => {
                Change::Reached(digests.into_iter().collect(), repository.parse()?)
            }
            Self::Unset(name, _) => Change::Unset(Name::new(name)),
        })
    }
}

/// Returns the JSON of a line, if it is what was written.
fn proven(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, json) = line.split_at_checked(SUM)?;
    let json = json.strip_prefix(b" ")?;
    (Digest::sha256(json).encoded().as_bytes() == sum).then_some(json)
}

/// The hexadecimal digits of a sha256.
const SUM: usize = 64;

/// Returns the line that holds `changes` of `before`.
fn line(changes: &[Change], before: &Listing) -> Vec<u8> {
    let mut names = Names::of(before);
    let written = changes.iter().map(|change| {
        let written = Written::of(change, &names);
        names.follow(change);
        written
    });
    let written: Vec<_> = written.collect();
    // Texts and numbers become JSON always.
    let json = serde_json::to_vec(&written).unwrap_or_default();
    let mut line = Digest::sha256(&json).encoded().as_bytes().to_vec();
    line.push(b' ');
    line.extend(json);
    line.push(b'\n');
    line
}

impl Directory {
    /// Opens the journal for reading, if there is one.
    pub(super) fn find_journal(&self) -> Result<Option<File>> {
        match self.there()?.below(OWN)? {
            Some(own) => own.read_own(JOURNAL),
            None => Ok(None),
        }
    }

    /// Returns how many bytes the journal has.
    pub(super) fn journal_length(&self) -> Result<u64> {
        let Some(file) = self.find_journal()? else { return Ok(0) };
        let found = file.metadata();
        Ok(found.map_err(Error::io("open", self.root.join(OWN).join(JOURNAL).display()))?.len())
    }

    /// Makes the changes of a journal on what `index.json` lists. Returns what is listed then, and whether
    /// nothing of the journal was cut off.
    pub(super) fn with_changes_of(&self, file: &File, index: Listing) -> Result<(Listing, bool)> {
        let path = self.root.join(OWN).join(JOURNAL);
        let bytes = files::read(file, &path, MAX_JOURNAL)?;
        let what = path.display().to_string();
        let journal = Journal::parse(&bytes, &what)?;
        if self.writing.is_none() && is_old(file) {
            let count = journal.len();
            tracing::warn!(
                "{what}: {count} changes by a server that was killed are not in index.json yet, where \
                 other tools look"
            );
        }
        let is_whole = journal.is_whole;
        let changed = journal.onto(&index, &what)?;
        Ok((changed.unwrap_or(index), is_whole))
    }

    /// Appends changes of what is listed to the journal, and returns it: they are durable. `length` is that of
    /// the journal that was read, all of it. Returns `None`, and has written nothing, if `index.json` is to be
    /// written instead: where the journal is full, or not ours.
    ///
    /// The lock of `index.json` is held.
    pub(super) fn append(
        &self,
        length: u64,
        changes: &[Change],
        listed: &Listing,
    ) -> Result<Option<File>> {
        let line = line(changes, listed);
        if length + line.len() as u64 > MAX_JOURNAL {
            return Ok(None);
        }
        let own = self.there()?.create_below(OWN)?;
        let mut file = match own.part(JOURNAL)? {
            Part::Absent => {
                let file = own.create_anew(JOURNAL)?;
                own.sync()?;
                file
            }
            Part::Ours(file) => file,
            Part::Foreign { .. } => return Ok(None),
        };
        let path = own.path().join(JOURNAL);
        let written = write_at(&mut file, length, &line);
        if let Err(error) = written {
            // What was not written whole is not read; and where it is gone, one can go on behind it.
            _ = file.set_len(length);
            return Err(Error::io("write", path.display())(error));
        }
        Ok(Some(file))
    }

    /// Takes the journal away, whose changes `index.json` has by now. For good: one that came back after
    /// a power cut would undo what was changed since.
    pub(super) fn remove_journal(&self) -> Result<()> {
        match self.there()?.below(OWN)? {
            Some(own) if own.stat(JOURNAL)?.is_some() => {
                own.remove(JOURNAL)?;
                own.sync()
            }
            _ => Ok(()),
        }
    }
}

/// Tells whether no server that lives has left a journal: it would have written `index.json` by now.
fn is_old(file: &File) -> bool {
    const OLD: Duration = Duration::from_secs(10);
    let modified = file.metadata().and_then(|found| found.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > OLD))
}

fn write_at(file: &mut File, offset: u64, line: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(line)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use longshore_spec::{MediaType, RepositoryName};
    use longshore_store::{
        Place as _, Repository as _, Source as _, Target as _, TargetPlace as _,
    };

    use super::*;
    use crate::IndexJson;

    fn manifest(content: &str) -> Descriptor {
        Descriptor::of(MediaType::IMAGE_MANIFEST, content.as_bytes())
    }

    /// A layout as a server opens it, with a name in its `index.json`.
    fn served(path: &Path) -> Directory {
        let mut served = Directory::create(path).unwrap();
        served.journal_from = Some(0);
        name(&served, "v0", "a");
        served.settle().unwrap();
        served
    }

    fn name(layout: &Directory, name: &str, content: &str) {
        layout.whole().list(&manifest(content), &[name.into()]).unwrap();
        layout.commit().unwrap();
    }

    /// Returns what names stand for, as whoever opens the layout now sees it.
    fn seen(path: &Path) -> Vec<String> {
        let layout = Directory::open(path).unwrap();
        let listing = layout.listed().unwrap();
        let entry = |entry: &Entry| {
            let digest = &entry.descriptor().digest;
            let known = ["a", "b", "c"].into_iter().find(|of| manifest(of).digest == *digest);
            format!("{} {}", entry.name().unwrap_or("-"), known.unwrap_or("?"))
        };
        listing.entries().map(entry).collect()
    }

    /// Returns how many entries `index.json` has without its journal.
    fn in_index(path: &Path) -> usize {
        let bytes = fs::read(path.join("index.json")).unwrap();
        IndexJson::parse(&bytes, "index.json").unwrap().manifests.len()
    }

    fn journal(path: &Path) -> std::path::PathBuf {
        path.join(OWN).join(JOURNAL)
    }

    #[test]
    fn each_change_is_read_as_it_was_written() {
        let repository: RepositoryName = "team/app".parse().unwrap();
        let digest = manifest("a").digest;
        let within = |bare| Scope::Repository { name: repository.clone(), bare };
        let changes = [
            Change::Add(manifest("a")),
            Change::Set("host.example/team/app:\"v1\n".into(), manifest("a")),
            Change::Remove(digest.clone(), Scope::Layout),
            Change::Remove(digest.clone(), within(false)),
            Change::Remove(digest.clone(), within(true)),
            Change::Reached([digest].into(), repository.clone()),
            Change::Unset("v1".into()),
        ];
        let none = Listing::new(IndexJson::default());
        let written = [line(&changes[..3], &none), line(&changes[3..], &none)].concat();
        let read = Journal::parse(&written, "it").unwrap();
        assert!(read.is_whole);
        let read: Vec<_> = read.changes.into_iter().map(|read| read.change().unwrap()).collect();
        assert_eq!(format!("{read:?}"), format!("{changes:?}"));
    }

    #[test]
    fn an_end_that_was_cut_off_is_ignored_and_what_is_damaged_before_it_named() {
        let none = Listing::new(IndexJson::default());
        let [first, second] = ["a", "b"].map(|of| line(&[Change::Add(manifest(of))], &none));
        let whole = [&*first, &*second].concat();
        let count = |bytes: &[u8]| {
            let read = Journal::parse(bytes, "it").unwrap();
            (read.changes.len(), read.is_whole)
        };
        assert_eq!(count(b""), (0, true));
        assert_eq!(count(&whole), (2, true));
        for cut in first.len() + 1..whole.len() {
            assert_eq!(count(&whole[..cut]), (1, false));
        }
        let mut zeros = whole.clone();
        zeros[first.len()..whole.len() - 1].fill(0);
        assert_eq!(count(&zeros), (1, false));
        let mut damaged = whole.clone();
        damaged[SUM + 3] ^= 1;
        let error = Journal::parse(&damaged, "it").map(drop).unwrap_err();
        assert_eq!(error.to_string(), "it is malformed: line 1 is not what was written");
        let json = br#"[{"rename":["v1","v2"]}]"#;
        let other = format!("{} ", Digest::sha256(json).encoded()).into_bytes();
        let other = [&*other, json, b"\n"].concat();
        assert!(matches!(Journal::parse(&other, "it"), Err(Error::Malformed { .. })));
    }

    #[test]
    fn names_are_seen_before_index_json_has_them_and_stay_after() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let layout = served(path);
        name(&layout, "v1", "a");
        name(&layout, "v2", "b");
        name(&layout, "v1", "b");
        let expected = ["v0 a", "v1 b", "v2 b"].map(str::to_owned).to_vec();
        assert_eq!((in_index(path), seen(path)), (1, expected));
        layout.settle().unwrap();
        assert!(!journal(path).exists());
        assert_eq!((in_index(path), seen(path).len()), (3, 3));
        name(&layout, "v3", "c");
        layout.whole().remove(&manifest("b").digest).unwrap();
        let expected = ["v0 a", "v3 c"].map(str::to_owned).to_vec();
        assert_eq!((in_index(path), seen(path)), (3, expected));
        drop(layout);
        assert_eq!((in_index(path), journal(path).exists()), (2, false));
    }

    #[test]
    fn what_a_killed_server_left_counts_and_the_next_writer_takes_it_in() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let layout = served(path);
        name(&layout, "v1", "a");
        name(&layout, "v2", "b");
        std::mem::forget(layout);
        let length = fs::metadata(journal(path)).unwrap().len();
        fs::OpenOptions::new()
            .write(true)
            .open(journal(path))
            .unwrap()
            .set_len(length - 1)
            .unwrap();
        assert_eq!(seen(path), ["v0 a", "v1 a"]);
        // It does not go on behind what was cut off.
        let next = Directory::create(path).unwrap().with_journal();
        name(&next, "v3", "c");
        assert_eq!((in_index(path), journal(path).exists()), (3, false));
    }

    #[test]
    fn those_who_write_index_json_lose_nothing_of_the_journal() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let layout = served(path);
        name(&layout, "v1", "a");
        // Another process of ours, which takes the journal in.
        name(&Directory::create(path).unwrap(), "v2", "b");
        assert_eq!((in_index(path), journal(path).exists()), (3, false));
        name(&layout, "v3", "c");
        layout.settle().unwrap();
        name(&layout, "v4", "c");
        // Another tool, which knows of no journal and of no lock.
        let mut index = IndexJson::default();
        index.manifests = vec![names::named(manifest("a"), "theirs")];
        fs::write(path.join("index.json"), index.to_bytes()).unwrap();
        assert_eq!(seen(path), ["theirs a", "v4 c"]);
        let names = layout.whole().names().unwrap();
        assert_eq!(names, ["theirs".into(), "v4".into()]);
        layout.settle().unwrap();
        assert_eq!((in_index(path), seen(path).len()), (2, 2));
    }

    #[test]
    fn a_name_that_another_tool_changed_after_a_kill_stays_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let layout = served(path);
        for (tag, content) in [("v1", "a"), ("v2", "a"), ("v1", "b"), ("v3", "a")] {
            name(&layout, tag, content);
        }
        layout.whole().untag(&"v3".into()).unwrap();
        std::mem::forget(layout);
        assert_eq!(seen(path), ["v0 a", "v1 b", "v2 a"]);
        let mut index = IndexJson::default();
        let theirs = [("v0", "a"), ("v1", "c"), ("v3", "c")];
        index.manifests = theirs.map(|(tag, of)| names::named(manifest(of), tag)).to_vec();
        fs::write(path.join("index.json"), index.to_bytes()).unwrap();
        let expected = ["v0 a", "v1 c", "v2 a", "v3 c"];
        assert_eq!(seen(path), expected);
        served(path);
        assert_eq!(
            (seen(path), journal(path).exists()),
            (expected.map(str::to_owned).to_vec(), false)
        );
    }

    #[test]
    fn what_is_removed_from_one_repository_and_moves_in_another_is_no_other_tool_s_doing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let layout = served(path);
        name(&layout, "reg.example/one:v1", "b");
        name(&layout, "reg.example/two:v1", "b");
        let one = "reg.example/one".parse().unwrap();
        layout.repository(&one).unwrap().remove(&manifest("b").digest).unwrap();
        name(&layout, "reg.example/two:v1", "c");
        name(&layout, "reg.example/one:v1", "a");
        std::mem::forget(layout);
        assert_eq!(in_index(path), 1);
        assert_eq!(seen(path), ["reg.example/one:v1 a", "reg.example/two:v1 c", "v0 a"]);
    }

    #[test]
    fn an_index_that_another_tool_is_writing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let layout = served(path);
        let mut index = IndexJson::default();
        index.manifests = vec![names::named(manifest("c"), "theirs")];
        let bytes = index.to_bytes();
        fs::write(path.join("index.json"), &bytes[..bytes.len() / 2]).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| name(&layout, "v1", "a"));
            fs::write(path.join("index.json"), &bytes).unwrap();
        });
        assert_eq!(seen(path), ["theirs c", "v1 a"]);
    }

    #[test]
    fn a_journal_that_is_not_ours_is_not_written_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let layout = served(path);
        let elsewhere = directory.path().join("elsewhere");
        fs::write(&elsewhere, "").unwrap();
        fs::hard_link(&elsewhere, journal(path)).unwrap();
        name(&layout, "v2", "b");
        assert_eq!((fs::read(&elsewhere).unwrap().len(), in_index(path)), (0, 2));
        std::os::unix::fs::symlink(&elsewhere, journal(path)).unwrap();
        assert!(matches!(Directory::open(path), Err(Error::Malformed { .. })));
    }
}
