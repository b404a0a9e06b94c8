//! What bundles brought to places, so that a later one can take away what it no longer has.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;

use longshore_spec::{Digest, Hasher, Reference};
use serde::{Deserialize, Serialize, Serializer};

use crate::record::Hashed;
use crate::{BundleName, Sequence};

/// The version of the form that is written. A reader refuses a higher one.
pub const STATE_VERSION: u64 = 1;

/// A state has at most so many bytes: those of a quarter of a million names.
pub const MAX_STATE: u64 = 64 << 20;

/// The name of the file in `.longshore/` of a layout directory.
pub const STATE: &str = "state.json";

/// What bundles with a name brought to places: of each series and each place the last bundle, and the names
/// that its bundles gave there.
///
/// Its file is canonical JSON (RFC 8785) with an id, as `bundle.json` is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportState {
    deliveries: BTreeMap<DeliveryKey, Delivery>,
}

/// Which bundles, and where they went.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryKey {
    /// The series.
    pub bundle: BundleName,
    /// The place: `HOST`, `HOST/PREFIX`, or [`DeliveryKey::HERE`] for the layout that the file lies in.
    pub target: String,
}

/// What the bundles of a series brought to one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The number of the bundle that came last, of those that had one.
    pub sequence: Option<Sequence>,
    /// The id of the bundle that came last.
    pub record: Digest,
    /// What was brought, by the name that it got there. A name in a registry is without a digest.
    pub names: BTreeMap<Reference, Brought>,
}

/// What a name was given to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// What the name stood for then.
    pub digest: Digest,
    /// What it was called in the bundle, without a digest beside a tag.
    pub from: Reference,
    /// Whether a prune was to take the name away, and could not: the next tries again.
    pub overdue: bool,
}

/// A bundle that came after a newer one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct OlderBundle {
    /// The series.
    pub name: BundleName,
    /// The number of the bundle.
    pub sequence: Option<Sequence>,
    /// The number of the bundle that came last.
    pub last: Sequence,
}

/// Why a text is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It is not in the form that it must have.
    #[error("it is malformed: {0}")]
    Malformed(String),
    /// It was written by a later version of the program.
    #[error("it has format version {0}, and this program reads {STATE_VERSION}")]
    Newer(u64),
    /// Its id is not that of its content.
    #[error("it was changed or cut off: its id is {said}, but its content has {found}")]
    Changed {
        /// The id that it has.
        said: String,
        /// The id that it should have.
        found: Digest,
    },
    /// It would be longer than [`MAX_STATE`].
    #[error("it would have {0} bytes, and readers take {MAX_STATE}")]
    TooLong(u64),
}

/// The file as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReadFile {
    deliveries: Vec<ReadDelivery>,
    #[expect(dead_code, reason = "it is looked at before all else")]
    format_version: u64,
    id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadDelivery {
    bundle: BundleName,
    names: BTreeMap<String, ReadBrought>,
    record: Digest,
    sequence: Option<Sequence>,
    target: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadBrought {
    digest: Digest,
    from: String,
    #[serde(default)]
    overdue: bool,
}

/// The file as it is written: a state may have hundreds of thousands of names, so nothing is copied. Members here
/// and below are in the order of canonical JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    deliveries: WrittenDeliveries<'a>,
    format_version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Digest>,
}

struct WrittenDeliveries<'a>(&'a BTreeMap<DeliveryKey, Delivery>);

#[derive(Serialize)]
struct WrittenDelivery<'a> {
    bundle: &'a BundleName,
    names: WrittenNames<'a>,
    record: &'a Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<Sequence>,
    target: &'a str,
}

struct WrittenNames<'a>(&'a BTreeMap<Reference, Brought>);

#[derive(Serialize)]
struct WrittenBrought<'a> {
    digest: &'a Digest,
    from: AsText<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overdue: Option<bool>,
}

/// A reference, as text.
struct AsText<'a>(&'a Reference);

impl Serialize for WrittenDeliveries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(key, delivery)| WrittenDelivery {
            bundle: &key.bundle,
            names: WrittenNames(&delivery.names),
            record: &delivery.record,
            sequence: delivery.sequence,
            target: &key.target,
        }))
    }
}

impl Serialize for WrittenNames<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // As texts they have another order than as references.
        let mut names: Vec<_> = self.0.iter().collect();
        names.sort_by_cached_key(|(name, _)| name.to_string());
        serializer.collect_map(names.into_iter().map(
            |(name, Brought { digest, from, overdue })| {
                let overdue = overdue.then_some(true);
                (AsText(name), WrittenBrought { digest, from: AsText(from), overdue })
            },
        ))
    }
}

impl Serialize for AsText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

impl DeliveryKey {
    /// The target of a state that lies in the layout itself: a layout may be moved.
    pub const HERE: &str = ".";
}

impl Delivery {
    /// Begins to say what a bundle brings to a place where none of its series came before.
    pub fn new(record: Digest, sequence: Option<Sequence>) -> Self {
        Self { sequence, record, names: BTreeMap::new() }
    }
}

impl ImportState {
    /// Returns what the bundles of a series brought to a place.
    pub fn get(&self, key: &DeliveryKey) -> Option<&Delivery> {
        self.deliveries.get(key)
    }

    /// Returns the same to change it; it begins as `first` if there is none.
    pub(crate) fn entry(
        &mut self,
        key: &DeliveryKey,
        first: impl FnOnce() -> Delivery,
    ) -> &mut Delivery {
        self.deliveries.entry(key.clone()).or_insert_with(first)
    }

    /// Returns the same to change it, if there is any.
    pub(crate) fn get_mut(&mut self, key: &DeliveryKey) -> Option<&mut Delivery> {
        self.deliveries.get_mut(key)
    }

    /// Says what they brought.
    pub fn set(&mut self, key: DeliveryKey, delivery: Delivery) {
        self.deliveries.insert(key, delivery);
    }

    /// Returns what the bundles of other series, or those that went to another part of a place, brought.
    pub(crate) fn others<'s>(
        &'s self,
        key: &'s DeliveryKey,
    ) -> impl Iterator<Item = (&'s DeliveryKey, &'s Delivery)> {
        self.deliveries.iter().filter(move |(other, _)| *other != key)
    }

    /// Refuses a bundle that is older than the one that came last: without a number nobody knows that it is not.
    ///
    /// # Errors
    ///
    /// It is older.
    pub fn check_order(
        &self,
        key: &DeliveryKey,
        sequence: Option<Sequence>,
    ) -> Result<(), OlderBundle> {
        match self.get(key).and_then(|delivery| delivery.sequence) {
            Some(last) if sequence.is_none_or(|sequence| sequence < last) => {
                Err(OlderBundle { name: key.bundle.clone(), sequence, last })
            }
            _ => Ok(()),
        }
    }

    /// Returns the bytes of the file.
    ///
    /// # Errors
    ///
    /// It would be longer than [`MAX_STATE`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, StateError> {
        let mut bytes = Vec::new();
        self.write(Some(self.id()), &mut bytes);
        let length = bytes.len() as u64;
        if length > MAX_STATE { Err(StateError::TooLong(length)) } else { Ok(bytes) }
    }

    /// Returns the sha256 of the file without its id.
    fn id(&self) -> Digest {
        let mut hasher = Hasher::sha256();
        self.write(None, Hashed(&mut hasher));
        hasher.finish()
    }

    fn write(&self, id: Option<Digest>, to: impl Write) {
        let deliveries = WrittenDeliveries(&self.deliveries);
        serde_json::to_writer(to, &Written { deliveries, format_version: STATE_VERSION, id })
            .unwrap_or_else(|_| unreachable!("every key of a state is text, and memory takes all"));
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It is no state, was written by a later version, or its id is not that of its content.
    pub fn parse(bytes: &[u8]) -> Result<Self, StateError> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Header {
            format_version: Option<u64>,
        }
        let Header { format_version } = serde_json::from_slice(bytes).map_err(malformed)?;
        match format_version {
            Some(STATE_VERSION) => {}
            Some(version @ STATE_VERSION..) => return Err(StateError::Newer(version)),
            _ => return Err(StateError::Malformed("it has no `formatVersion`".to_owned())),
        }
        let file: ReadFile = serde_json::from_slice(bytes).map_err(malformed)?;
        let mut state = Self::default();
        for ReadDelivery { bundle, names, record, sequence, target } in file.deliveries {
            let names = names.into_iter().map(|(name, ReadBrought { digest, from, overdue })| {
                Ok((reference(&name)?, Brought { digest, from: reference(&from)?, overdue }))
            });
            let names = names.collect::<Result<_, StateError>>()?;
            let key = DeliveryKey { bundle, target };
            let twice = format!("{} is there twice for {}", key.bundle, key.target);
            if state.deliveries.insert(key, Delivery { sequence, record, names }).is_some() {
                return Err(StateError::Malformed(twice));
            }
        }
        let (said, found) = (file.id.unwrap_or_else(|| "none".to_owned()), state.id());
        if said == found.to_string() { Ok(state) } else { Err(StateError::Changed { said, found }) }
    }
}

impl fmt::Display for OlderBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, sequence, last } = self;
        match sequence {
            Some(sequence) => write!(f, "the bundle is number {sequence} of {name}")?,
            None => write!(f, "the bundle is one of {name} and has no sequence")?,
        }
        write!(f, ", and number {last} came before")
    }
}

fn reference(text: &str) -> Result<Reference, StateError> {
    text.parse().map_err(|error| StateError::Malformed(format!("`{text}`: {error}")))
}

/// The file is one line: where in it something stands helps nobody, and the parser gives its reason only with
/// that behind it.
fn malformed(error: serde_json::Error) -> StateError {
    let text = error.to_string();
    let what = text.split_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    StateError::Malformed(what.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn key(bundle: &str, target: &str) -> DeliveryKey {
        DeliveryKey { bundle: bundle.parse().unwrap(), target: target.to_owned() }
    }

    fn state() -> ImportState {
        let brought = |text: &str| Brought {
            digest: Digest::sha256(text),
            from: format!("docker.io/library/{text}").parse().unwrap(),
            overdue: text == "a:2",
        };
        let name = |text: &str| format!("site.local/hub/{text}").parse().unwrap();
        let mut delivery = Delivery::new(Digest::sha256("record"), Some(Sequence::FIRST.next()));
        delivery.names.insert(name("a:1"), brought("a:1"));
        delivery.names.insert(name("a:2"), brought("a:2"));
        delivery.names.insert(name("a-b:1"), brought("a-b:1"));
        let mut state = ImportState::default();
        state.set(key("plant-7", "site.local/hub"), delivery);
        state.set(key("plant-7", "."), Delivery::new(Digest::sha256("record"), None));
        state
    }

    #[test]
    fn what_is_written_is_read() {
        for state in [state(), ImportState::default()] {
            let bytes = state.to_bytes().unwrap();
            assert_eq!(ImportState::parse(&bytes).unwrap(), state);
            // Nobody but a person writes it otherwise, and it says the same.
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(value.to_string().as_bytes(), bytes, "members are sorted");
            let pretty = serde_json::to_vec_pretty(&value).unwrap();
            assert_eq!(ImportState::parse(&pretty).unwrap(), state);
        }
    }

    #[test]
    fn what_was_changed_or_cut_is_refused() {
        let text = String::from_utf8(state().to_bytes().unwrap()).unwrap();
        let refused = |text: &str| ImportState::parse(text.as_bytes()).unwrap_err();
        for end in 0..text.len() {
            assert!(matches!(refused(&text[..end]), StateError::Malformed(_)), "{end}");
        }
        let changed = text.replace("\"sequence\":2", "\"sequence\":9");
        assert!(matches!(refused(&changed), StateError::Changed { .. }));
        assert_eq!(refused(r#"{"formatVersion":2}"#), StateError::Newer(2));
        for bad in [
            "[]".to_owned(),
            "{}".to_owned(),
            text.replace("plant-7", "plant 7"),
            text.replace("\"sequence\":2", "\"sequence\":0"),
            text.replace("\"record\":\"sha256:", "\"record\":\"sha256"),
            text.replace("\"target\":\".\"", "\"target\":\".\",\"more\":1"),
        ] {
            assert!(matches!(refused(&bad), StateError::Malformed(_)), "{bad}");
        }
    }

    #[test]
    fn hostile_members_are_refused() {
        let digest = Digest::sha256("x");
        let of = |name: &str| {
            format!(
                r#"{{"bundle":"a","names":{{"{name}":{{"digest":"{digest}","from":"h.io/a:1"}}}},"record":"{digest}","target":"."}}"#
            )
        };
        let text = format!(r#"{{"deliveries":[{}],"formatVersion":1}}"#, of("../../etc/passwd"));
        let error = ImportState::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("it is malformed: `../../etc/passwd`"), "{error}");
        let text = format!(r#"{{"deliveries":[{0},{0}],"formatVersion":1}}"#, of("h.io/a:1"));
        let error = ImportState::parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "it is malformed: a is there twice for .");
    }

    #[test]
    fn an_older_bundle_and_one_without_a_number_are_refused() {
        let state = state();
        let of = |number: u64| Some(Sequence::try_from(number).unwrap());
        let here = key("plant-7", "site.local/hub");
        assert!(state.check_order(&here, of(2)).is_ok() && state.check_order(&here, of(3)).is_ok());
        let told = |sequence| state.check_order(&here, sequence).unwrap_err().to_string();
        assert_eq!(told(of(1)), "the bundle is number 1 of plant-7, and number 2 came before");
        assert_eq!(
            told(None),
            "the bundle is one of plant-7 and has no sequence, and number 2 came before"
        );
        for other in
            [key("plant-8", "site.local/hub"), key("plant-7", "."), key("plant-7", "site.local")]
        {
            assert!(state.check_order(&other, of(1)).is_ok(), "{other:?}");
        }
    }
}
