//! `bundle.lock`: what is wanted, pinned to digests.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;

use longshore_spec::{Digest, Reference, Tag};
use longshore_sync::{Outcome, SealedPlan};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::record::{Record, item_value, selection_values};
use crate::{BundleName, Item, Selection, Sequence};

/// The highest version of the form. A reader refuses a higher one; a lock is written in the lowest that says
/// what it must.
pub const FORMAT_VERSION: u64 = 2;

/// The version of a lock without a name.
const NAMELESS: u64 = 1;

/// The version of a lock with a name and a sequence. Readers of the first refuse keys that they do not know.
const NAMED: u64 = 2;

/// What is wanted, pinned to digests: the content of `bundle.lock`, indented JSON in which everything
/// is sorted, so that a change is a few lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lock {
    /// The version of this form.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = [NAMELESS, NAMED])))]
    format_version: u64,
    /// The series that bundles of it belong to, if they belong to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<BundleName>,
    /// Which bundle of its series is made of it: each lock that changes anything is the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<Sequence>,
    /// What was asked for, in the form of `bundle.yaml`.
    selection: Vec<Value>,
    /// What that was, by reference.
    artifacts: BTreeMap<String, Locked>,
}

/// One artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Locked {
    /// What its reference stood for.
    pub digest: Digest,
    /// What is taken for each platform, as far as its index says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub platforms: BTreeMap<String, Digest>,
    /// What refers to anything in it, and what refers to that, by digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub referrers: Vec<LockedReferrer>,
}

/// A manifest that comes along for what it refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedReferrer {
    /// What it is.
    pub digest: Digest,
    /// Its type as a word.
    pub artifact_type: String,
}

/// Why a text is no lock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// It is not in the form that it must have.
    #[error("it is malformed: {0}")]
    Malformed(String),
    /// It was written by a later version of the program.
    #[error("it has format version {0}, and this program reads {FORMAT_VERSION}")]
    Newer(u64),
}

/// A way in which what is there now is not what was locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is wanted, and was not locked.
    New(String, Digest),
    /// It was locked, and is not wanted or not there any more.
    Gone(String),
    /// Its reference stands for something else.
    Moved {
        /// What is wanted.
        reference: String,
        /// What it was.
        before: Digest,
        /// What it is.
        now: Digest,
    },
    /// Other platforms are taken of it.
    Platforms(String),
    /// Something refers to it that did not.
    NewReferrer(String, LockedReferrer),
    /// Something does not refer to it any more.
    GoneReferrer(String, LockedReferrer),
}

/// A way in which what is asked for is not what was asked for when a lock was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outdated {
    /// A key has another value.
    Key {
        /// The reference or repository that it is about.
        of: String,
        /// The key, as in `tags.semver`.
        key: String,
        /// Its value in the lock, if it has one there.
        before: Option<Value>,
        /// Its value now, if it has one.
        now: Option<Value>,
    },
    /// This was asked for, and is not any more.
    Unwanted(String),
    /// This is asked for, and was not.
    Wanted(String),
}

impl Lock {
    /// Returns the lock of a plan that takes `selection`, all of which can be had.
    pub fn of(plan: &SealedPlan<'_>, selection: &Selection) -> Self {
        let record = Record::of(plan, selection, &[]);
        let types: BTreeMap<_, _> = record
            .referrers
            .iter()
            .map(|referrer| (&referrer.digest, &referrer.artifact_type))
            .collect();
        let referrer = |digest: &Digest| LockedReferrer {
            digest: digest.clone(),
            artifact_type: types.get(digest).map_or_else(String::new, |name| (*name).clone()),
        };
        let roots: BTreeMap<_, _> =
            record.roots.iter().map(|root| (root.reference.as_str(), root)).collect();
        let mut artifacts: BTreeMap<String, Locked> = BTreeMap::new();
        let wanted = plan.roots().into_iter().filter(|root| root.subject.is_none());
        for report in wanted.filter(|root| root.outcome == Outcome::Done) {
            let Some(digest) = report.origin() else { continue };
            for name in &report.names {
                let root = roots.get(name.as_str());
                let referrers = root.map(|root| root.referrers.iter().map(referrer).collect());
                // One that is wanted twice has what both take of it.
                let locked = artifacts.entry(name.to_string()).or_insert_with(|| Locked {
                    digest: digest.clone(),
                    platforms: BTreeMap::new(),
                    referrers: referrers.unwrap_or_default(),
                });
                let platforms = report.platforms.iter();
                locked.platforms.extend(
                    platforms.map(|(digest, platform)| (platform.to_string(), digest.clone())),
                );
            }
        }
        let name = selection.name.clone();
        Self {
            format_version: if name.is_some() { NAMED } else { NAMELESS },
            sequence: name.as_ref().map(|_| Sequence::FIRST),
            name,
            selection: selection_values(selection),
            artifacts,
        }
    }

    /// Returns the bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .unwrap_or_else(|_| unreachable!("every key of a lock is text"));
        bytes.push(b'\n');
        bytes
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It is no lock, or was written by a later version.
    pub fn parse(bytes: &[u8]) -> Result<Self, LockError> {
        let malformed = |error: serde_json::Error| LockError::Malformed(error.to_string());
        let value: Value = serde_json::from_slice(bytes).map_err(malformed)?;
        match value.get("formatVersion").and_then(Value::as_u64) {
            Some(version @ (NAMELESS | NAMED)) => {
                let lock: Self = serde_json::from_value(value).map_err(malformed)?;
                let has_both = lock.name.is_some() && lock.sequence.is_some();
                let has_one = lock.name.is_some() || lock.sequence.is_some();
                if has_both != (version == NAMED) || has_both != has_one {
                    let text = "a lock of format version 2 has a `name` and a `sequence`, and no other has";
                    return Err(LockError::Malformed(text.to_owned()));
                }
                Ok(lock)
            }
            Some(version @ FORMAT_VERSION..) => Err(LockError::Newer(version)),
            _ => Err(LockError::Malformed("it has no `formatVersion`".to_owned())),
        }
    }

    /// Returns every way in which what is asked for is not what was asked for when this was made.
    pub fn outdated(&self, selection: &Selection) -> Vec<Outdated> {
        let asked = selection_values(selection);
        let [before, now] = [&self.selection, &asked]
            .map(|all| all.iter().map(Value::to_string).collect::<HashSet<_>>());
        let is_new = |item: &&Value| !before.contains(&item.to_string());
        let mut new: Vec<Option<&Value>> = asked.iter().filter(is_new).map(Some).collect();
        let mut by_name: HashMap<String, VecDeque<usize>> = HashMap::new();
        for (at, item) in new.iter().flatten().enumerate() {
            by_name.entry(called(item)).or_default().push_back(at);
        }
        let mut outdated = Vec::new();
        let [before_name, now_name] = [&self.name, &selection.name]
            .map(|name| name.as_ref().map(|name| Value::from(name.as_str())));
        compare("the bundle", "name", before_name.as_ref(), now_name.as_ref(), &mut outdated);
        for item in self.selection.iter().filter(|item| !now.contains(&item.to_string())) {
            let of = called(item);
            let other = by_name.get_mut(&of).and_then(VecDeque::pop_front);
            match other.and_then(|at| new[at].take()) {
                Some(other) => compare(&of, "", Some(item), Some(other), &mut outdated),
                None => outdated.push(Outdated::Unwanted(of)),
            }
        }
        outdated.extend(new.into_iter().flatten().map(|item| Outdated::Wanted(called(item))));
        outdated
    }

    /// Returns which bundle of its series is made of it; `None` without a name.
    pub fn sequence(&self) -> Option<Sequence> {
        self.sequence
    }

    /// Gives the lock its number in its series: that of the lock `before` if it is the same, else the next. So
    /// the number follows from the files alone, and the same lock makes the same bundle.
    #[must_use]
    pub(crate) fn numbered(mut self, before: Option<&Self>) -> Self {
        if let (Some(_), Some(last)) = (&self.name, before.and_then(|before| before.sequence)) {
            self.sequence = Some(last);
            if before != Some(&self) {
                self.sequence = Some(last.next());
            }
        }
        self
    }

    /// Returns how many artifacts are locked.
    pub fn len(&self) -> usize {
        self.artifacts.len()
    }

    /// Tells whether nothing is locked.
    pub fn is_empty(&self) -> bool {
        self.artifacts.is_empty()
    }

    /// Returns what is locked, by reference.
    pub fn artifacts(&self) -> impl Iterator<Item = (&str, &Locked)> {
        self.artifacts.iter().map(|(reference, locked)| (reference.as_str(), locked))
    }

    /// Returns what a reference is locked to.
    pub fn get(&self, reference: &Reference) -> Option<&Locked> {
        self.artifacts.get(&reference.to_string())
    }

    /// Returns the tags of a repository that are locked. Rules choose of these what they chose of
    /// all.
    pub fn tags(&self, repository: &Reference) -> Vec<Tag> {
        let references = self.artifacts.keys().filter_map(|text| text.parse::<Reference>().ok());
        let here = references.filter(|reference| {
            reference.registry() == repository.registry()
                && reference.repository() == repository.repository()
        });
        // What was asked for by its digest says nothing of the tag that stands beside it.
        let tagged = here.filter(|reference| reference.digest().is_none());
        tagged.filter_map(|reference| reference.tag().cloned()).collect()
    }

    /// Returns every referrer that is locked.
    pub fn referrers(&self) -> BTreeSet<&Digest> {
        let all = self.artifacts.values().flat_map(|locked| &locked.referrers);
        all.map(|referrer| &referrer.digest).collect()
    }

    /// Returns what tells whether something was asked for in the same words when this was made.
    pub fn asked_before(&self) -> impl Fn(&Item) -> bool + use<> {
        let before: HashSet<String> = self.selection.iter().map(Value::to_string).collect();
        move |item| before.contains(&item_value(item).to_string())
    }

    /// Returns this lock with what `before` has beside it, as far as that `stays`.
    #[must_use]
    pub fn with_missing(mut self, before: &Self, stays: impl Fn(&str) -> bool) -> Self {
        for (reference, locked) in &before.artifacts {
            if !self.artifacts.contains_key(reference) && stays(reference) {
                self.artifacts.insert(reference.clone(), locked.clone());
            }
        }
        self
    }

    /// Returns every way in which `now` is not what this is, by reference.
    pub fn changes(&self, now: &Self) -> Vec<Change> {
        let references: BTreeSet<_> = self.artifacts.keys().chain(now.artifacts.keys()).collect();
        let mut changes = Vec::new();
        for reference in references {
            match (self.artifacts.get(reference), now.artifacts.get(reference)) {
                (Some(before), Some(now)) => before.changes(reference, now, &mut changes),
                (None, Some(now)) => {
                    changes.push(Change::New(reference.clone(), now.digest.clone()));
                }
                _ => changes.push(Change::Gone(reference.clone())),
            }
        }
        changes
    }
}

/// Returns what an item of a selection asks for.
fn called(item: &Value) -> String {
    let name = ["ref", "repository"].iter().find_map(|key| item.get(key)?.as_str());
    name.unwrap_or("a layout").to_owned()
}

/// Notes each key below which two values differ.
fn compare(
    of: &str,
    key: &str,
    before: Option<&Value>,
    now: Option<&Value>,
    outdated: &mut Vec<Outdated>,
) {
    if before == now {
        return;
    }
    if let (Some(Value::Object(one)), Some(Value::Object(other))) = (before, now) {
        let below = |name: &str| {
            if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") }
        };
        for name in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
            compare(of, &below(name), one.get(name), other.get(name), outdated);
        }
        return;
    }
    outdated.push(Outdated::Key {
        of: of.to_owned(),
        key: key.to_owned(),
        before: before.cloned(),
        now: now.cloned(),
    });
}

/// Returns a value as `bundle.yaml` has it, in one line.
fn in_words(value: Option<&Value>) -> String {
    match value {
        None => "not given".to_owned(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(Value::Array(items)) => {
            let items: Vec<_> = items
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_string(), ToOwned::to_owned))
                .collect();
            format!("`[{}]`", items.join(", "))
        }
        Some(other) => format!("`{other}`"),
    }
}

impl fmt::Display for Outdated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { of, key, before, now } => {
                let [before, now] = [before, now].map(|value| in_words(value.as_ref()));
                write!(f, "`{key}` of {of} was {before} and is {now}")
            }
            Self::Unwanted(of) => write!(f, "{of} was wanted, and is not"),
            Self::Wanted(of) => write!(f, "{of} is wanted, and was not"),
        }
    }
}

impl Locked {
    fn changes(&self, reference: &str, now: &Self, changes: &mut Vec<Change>) {
        let name = || reference.to_owned();
        if self.digest != now.digest {
            let (before, now) = (self.digest.clone(), now.digest.clone());
            // What refers to it is that of another, and no news.
            return changes.push(Change::Moved { reference: name(), before, now });
        }
        if self.platforms != now.platforms {
            changes.push(Change::Platforms(name()));
        }
        let [before, now] =
            [self, now].map(|locked| locked.referrers.iter().collect::<BTreeSet<_>>());
        let gone = before.difference(&now);
        changes.extend(gone.map(|one| Change::GoneReferrer(name(), (*one).clone())));
        let new = now.difference(&before);
        changes.extend(new.map(|one| Change::NewReferrer(name(), (*one).clone())));
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New(reference, digest) => write!(f, "new    {reference}: {digest}"),
            Self::Gone(reference) => write!(f, "gone   {reference}"),
            Self::Moved { reference, before, now } => {
                write!(f, "moved  {reference}: {before} is {now} now")
            }
            Self::Platforms(reference) => write!(f, "moved  {reference}: other platforms"),
            Self::NewReferrer(reference, LockedReferrer { digest, artifact_type }) => {
                write!(f, "new    {reference}: {artifact_type} {digest}")
            }
            Self::GoneReferrer(reference, LockedReferrer { digest, artifact_type }) => {
                write!(f, "gone   {reference}: {artifact_type} {digest}")
            }
        }
    }
}
