//! `bundle.json`: the record of what a bundle holds and why.

mod check;
mod made;

use longshore_layout::Inventory;
use longshore_spec::{Digest, MediaType, Role};
use longshore_store::{ExtraFile, OutlineNode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::check::Difference;
pub(crate) use self::made::asked;

/// The name of the file in a layout.
pub const RECORD: &str = "bundle.json";

/// A record of more bytes than this is refused: some two million blobs.
pub const MAX_RECORD: u64 = 256 << 20;

/// Finds the content of a bundle that is an archive by its record, and not member by member.
pub const INVENTORY: Inventory = Inventory { name: RECORD, limit: MAX_RECORD, read: listed };

fn listed(record: &[u8]) -> Option<Vec<OutlineNode>> {
    let Record { blobs, .. } = Record::parse(record).ok()?;
    let node = |RecordedBlob { digest, size, role }| OutlineNode { role, digest, size };
    Some(blobs.into_iter().map(node).collect())
}

/// The version of the form that is written. A reader refuses a higher one.
pub const FORMAT_VERSION: u64 = 1;

/// The record of what a bundle holds and why: the content of `bundle.json`.
///
/// It says nothing of the machine, user, time or directory that made it. Its bytes are canonical
/// JSON (RFC 8785), so that the same record is the same file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    format_version: u64,
    /// What was wanted and is there, by reference.
    pub roots: Vec<RecordedRoot>,
    /// What came along because it refers to something that is there, by digest.
    pub referrers: Vec<RecordedReferrer>,
    /// What was asked for, in the form of `bundle.yaml`.
    pub selection: Vec<Value>,
    /// What was asked for or listed, and is not there.
    pub left_out: Vec<LeftBehind>,
    /// Everything that is there, in the order of an archive.
    pub blobs: Vec<RecordedBlob>,
}

/// An artifact that was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedRoot {
    /// What it is called: the full reference that it was asked for by.
    pub reference: String,
    /// What it is.
    pub digest: Digest,
    /// The media type of its manifest.
    pub media_type: MediaType,
    /// Its type as a word.
    pub artifact_type: String,
    /// The platforms that are there, as far as its index or its entry there says.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// What came along for it: what refers to anything in it, and what refers to that.
    #[serde(default)]
    pub referrers: Vec<Digest>,
}

/// A manifest that came along for what it refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedReferrer {
    /// What it is.
    pub digest: Digest,
    /// What it refers to.
    pub subject: Digest,
    /// Its type as a word.
    pub artifact_type: String,
    /// What it is called, if it is attached by a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// Something that is not in the bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftBehind {
    /// Why.
    pub why: Why,
    /// What it was asked for by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What it is, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What its index says it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

/// Why something is not in a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// It was asked for and could not be had.
    Failed,
    /// Its platform was not asked for.
    Platform,
    /// Where it came from does not have it, though an index there lists it.
    Absent,
    /// It is of a type that was not asked for.
    Type,
}

/// A piece of content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedBlob {
    /// What it is.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What it is to the first manifest that refers to it.
    #[serde(with = "role")]
    pub role: Role,
}

/// Why a text is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is not in the form that it must have.
    #[error("`bundle.json` is malformed: {0}")]
    Malformed(String),
    /// It was written by a later version of the program.
    #[error("`bundle.json` has format version {0}, and this program reads {FORMAT_VERSION}")]
    Newer(u64),
    /// Its id is not that of its content.
    #[error("`bundle.json` was changed: its id is {said}, but its content has {found}")]
    Changed {
        /// The id that it has.
        said: String,
        /// The id that it should have.
        found: Digest,
    },
}

impl Record {
    /// Returns the id: the sha256 of the canonical JSON of the record, without the id.
    pub fn id(&self) -> Digest {
        Digest::sha256(canonical(&self.value()))
    }

    /// Returns the bytes of the file: canonical JSON, with the id.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut value = self.value();
        let id = Digest::sha256(canonical(&value));
        if let Value::Object(members) = &mut value {
            members.insert("id".to_owned(), Value::String(id.to_string()));
        }
        canonical(&value)
    }

    /// Returns the file as it lies in a layout.
    pub fn file(&self) -> ExtraFile {
        ExtraFile { name: RECORD.to_owned(), content: self.to_bytes().into() }
    }

    /// Reads a file. Members that are not known count for the id and are ignored otherwise.
    ///
    /// # Errors
    ///
    /// It is no record, was written by a later version, or its id is not that of its content.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let malformed = |error: serde_json::Error| RecordError::Malformed(error.to_string());
        let mut value: Value = serde_json::from_slice(bytes).map_err(malformed)?;
        match value.get("formatVersion").and_then(Value::as_u64) {
            Some(FORMAT_VERSION) => {}
            Some(version @ FORMAT_VERSION..) => return Err(RecordError::Newer(version)),
            _ => return Err(RecordError::Malformed("it has no `formatVersion`".to_owned())),
        }
        let id = value.as_object_mut().and_then(|members| members.remove("id"));
        let said = id.as_ref().and_then(Value::as_str).unwrap_or("none").to_owned();
        let found = Digest::sha256(canonical(&value));
        if said != found.to_string() {
            return Err(RecordError::Changed { said, found });
        }
        serde_json::from_value(value).map_err(malformed)
    }

    fn value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_else(|_| unreachable!("every key of a record is text"))
    }
}

/// Returns the canonical JSON of a value (RFC 8785): members are sorted, since maps are, and there is
/// no white space. All numbers here are whole, and all keys of ours are ASCII.
fn canonical(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// Roles as words.
mod role {
    use longshore_spec::Role;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    pub(super) fn serialize<S: Serializer>(role: &Role, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match role {
            Role::Manifest => "manifest",
            Role::Config => "config",
            Role::Layer => "layer",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Role, D::Error> {
        match String::deserialize(from)?.as_str() {
            "manifest" => Ok(Role::Manifest),
            "config" => Ok(Role::Config),
            "layer" => Ok(Role::Layer),
            other => Err(de::Error::unknown_variant(other, &["manifest", "config", "layer"])),
        }
    }
}
