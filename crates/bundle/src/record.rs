//! `bundle.json`: the record of what a bundle holds and why.

mod check;
mod from_plan;
mod read;
mod volumes;

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use longshore_layout::{FileLookup, Inventory, Listed};
use longshore_spec::{Descriptor, Digest, Hasher, MediaType, Role};
use longshore_store::{ExtraFile, OutlineNode, OutlinePart, Root};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{BundleName, RecordedDockerManifest, Sequence};

pub use self::check::Difference;
use self::from_plan::blobs;
pub(crate) use self::from_plan::{item_value, selection_values};
pub use self::read::OpenError;
pub use self::volumes::{MAX_VOLUME_FILE, MAX_VOLUMES, RecordedPart, VOLUME, VolumeFile};

/// The name of the file in a layout.
pub const RECORD: &str = "bundle.json";

/// A record has at most so many bytes: those of half a million blobs.
pub const MAX_RECORD: u64 = 64 << 20;

/// Finds the content of a bundle that is an archive by its record, and not member by member.
pub const INVENTORY: Inventory = Inventory { name: RECORD, limit: MAX_RECORD, read: listed };

/// Returns the content of the archive that has this record: that of one volume, if the bundle has several.
fn listed(record: &[u8], other: FileLookup<'_>) -> Option<Listed> {
    let record = Record::parse(record).ok()?;
    let volume = match record.volumes {
        None => None,
        Some(_) => Some(VolumeFile::parse(&other(VOLUME)?).ok()?.number),
    };
    let is_here = |blob: &RecordedBlob| {
        blob.parts.is_empty() && (blob.volume.is_none() || blob.volume == volume)
    };
    let (mut nodes, mut parts) = (Vec::new(), Vec::new());
    for blob in record.blobs {
        if is_here(&blob) {
            let RecordedBlob { digest, size, role, .. } = blob;
            nodes.push(OutlineNode { role, digest, size });
            continue;
        }
        let part = (1..).zip(&blob.parts).find(|(_, part)| Some(part.volume) == volume);
        parts.extend(part.map(|(number, part)| OutlinePart {
            blob: blob.digest.clone(),
            number,
            size: part.size,
        }));
    }
    // Parts lie in the order of their blobs' digests, whatever these are.
    parts.sort_unstable_by(|a, b| a.blob.cmp(&b.blob));
    Some(Listed { nodes, parts })
}

/// The highest version of the form. A reader refuses a higher one; a record is written in the lowest that
/// says what it must.
pub const FORMAT_VERSION: u64 = 3;

/// The version of a bundle that carries all that it needs.
const COMPLETE: u64 = 1;

/// The version of a bundle that takes content for granted, and of one that repairs another.
const DELTA: u64 = 2;

/// The version of a bundle that lies in several volumes, whether it takes content for granted or not.
const VOLUMES: u64 = 3;
/// The media type of content of which nothing says what it is.
const OPAQUE: &str = "application/octet-stream";

/// The record of what a bundle holds and why: the content of `bundle.json`.
///
/// It says nothing of the machine, user, time or directory that made it. Its bytes are canonical
/// JSON (RFC 8785), so that the same record is the same file.
// Fields here and below are in the order of canonical JSON, so that writing it takes no second copy:
// a record may have hundreds of thousands of blobs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = with_id))]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// What the bundle takes for granted where it goes. `None` if it carries all that it needs.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(skip_serializing_if = "Option::is_none"))]
    pub base: Option<RecordedBase>,
    /// Everything that is there, in the order of an archive.
    pub blobs: Vec<RecordedBlob>,
    /// The `manifest.json` that lies beside it, if that was asked for.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(skip_serializing_if = "Option::is_none"))]
    pub docker_manifest: Option<RecordedDockerManifest>,
    /// The version of this form.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = [COMPLETE, DELTA, VOLUMES])))]
    format_version: u64,
    /// What was asked for or listed, and is not there.
    pub left_out: Vec<LeftBehind>,
    /// The series that the bundle belongs to, if it belongs to one.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(skip_serializing_if = "Option::is_none"))]
    pub name: Option<BundleName>,
    /// What came along because it refers to something that is there, by digest.
    pub referrers: Vec<RecordedReferrer>,
    /// The id of the bundle that this repairs: it holds content that was missing for that, and is none by
    /// itself. `None` for every other bundle.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(skip_serializing_if = "Option::is_none"))]
    pub repairs: Option<Digest>,
    /// What was wanted and is there, by reference.
    pub roots: Vec<RecordedRoot>,
    /// What was asked for, in the form of `bundle.yaml`.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Value>"))]
    pub selection: RecordedSelection,
    /// Which bundle of its series it is: only a bundle with a name has one.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(skip_serializing_if = "Option::is_none"))]
    pub sequence: Option<Sequence>,
    /// How many volumes the bundle lies in. `None` if it is one file or directory.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(skip_serializing_if = "Option::is_none"))]
    pub volumes: Option<u32>,
    #[serde(skip)]
    read_as: ReadAs,
}

/// The id that a record was read with, which is also that of members that are not known here. It says
/// nothing of what is.
#[derive(Debug, Clone, Default)]
struct ReadAs(Option<Digest>);

impl PartialEq for ReadAs {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ReadAs {}

/// What was asked for, a list in the form of `bundle.yaml`. It is kept as text: nobody but people reads
/// it, and as a tree it would take many times its length.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordedSelection(Box<RawValue>);

/// An artifact that was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecordedRoot {
    /// Its type as a word.
    pub artifact_type: String,
    /// What it is.
    pub digest: Digest,
    /// The media type of its manifest.
    pub media_type: MediaType,
    /// The platforms that are there, as far as its index or its entry there says.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// What it is called: the full reference that it was asked for by.
    pub reference: String,
    /// What came along for it: what refers to anything in it, and what refers to that.
    #[serde(default)]
    pub referrers: Vec<Digest>,
}

/// A manifest that came along for what it refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecordedReferrer {
    /// Its type as a word.
    pub artifact_type: String,
    /// What it is.
    pub digest: Digest,
    /// What it is called, if it is attached by a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What it refers to.
    pub subject: Digest,
}

/// Something that is not in the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LeftBehind {
    /// What it is, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What its index says it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// What it was asked for by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Why.
    pub why: Why,
}

/// Why something is not in a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// What a bundle takes for granted at its site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordedBase {
    /// The content that is needed and not carried, in the order of an archive.
    pub blobs: Vec<RecordedBlob>,
    /// By what the site is known to hold it: ids of earlier bundles and checksums of receipts, sorted.
    pub ids: Vec<Digest>,
}

/// A piece of content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordedBlob {
    /// What it is.
    pub digest: Digest,
    /// The parts that it lies in, in their order, if no volume has all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<RecordedPart>,
    /// What it is to the manifests that refer to it; where they differ, the first of manifest, config
    /// and layer.
    #[serde(with = "role")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "role::schema"))]
    pub role: Role,
    /// Its length in bytes.
    pub size: u64,
    /// The volume that it lies in, from 1. `None` if it lies in each, or in parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<u32>,
}

/// A record as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<&'a RecordedBase>,
    blobs: &'a [RecordedBlob],
    #[serde(skip_serializing_if = "Option::is_none")]
    docker_manifest: Option<&'a RecordedDockerManifest>,
    format_version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Digest>,
    left_out: &'a [LeftBehind],
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a BundleName>,
    referrers: &'a [RecordedReferrer],
    #[serde(skip_serializing_if = "Option::is_none")]
    repairs: Option<&'a Digest>,
    roots: &'a [RecordedRoot],
    selection: &'a RecordedSelection,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<Sequence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volumes: Option<u32>,
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
    /// Returns the id: the sha256 of the canonical JSON of the record, without the id. One that was read
    /// keeps its own, whatever else its file says.
    pub fn id(&self) -> Digest {
        self.read_as.0.clone().unwrap_or_else(|| self.own_id())
    }

    fn own_id(&self) -> Digest {
        let mut hasher = Hasher::sha256();
        self.write(None, Hashed(&mut hasher));
        hasher.finish()
    }

    /// Returns the bytes of the file: canonical JSON, with the id.
    pub fn to_bytes(&self) -> Vec<u8> {
        let id = self.own_id();
        // Growing step by step would take up to twice as much.
        let mut length = Counted(0);
        self.write(Some(&id), &mut length);
        let mut bytes = Vec::with_capacity(length.0);
        self.write(Some(&id), &mut bytes);
        // What was asked for stays as it was read, and others may write it otherwise.
        let is_ours = self.read_as.0.is_none();
        debug_assert!(!is_ours || is_canonical(&bytes), "a field is out of order");
        bytes
    }

    /// Tells whether a file has exactly the bytes of this one.
    pub fn is_written_as(&self, file: &[u8]) -> bool {
        let mut compared = ComparedBytes { rest: Some(file) };
        self.write(Some(&self.own_id()), &mut compared);
        compared.rest.is_some_and(<[u8]>::is_empty)
    }

    fn write(&self, id: Option<&Digest>, to: impl Write) {
        let Self { blobs, left_out, referrers, roots, selection, .. } = self;
        let written = Written {
            base: self.base.as_ref(),
            blobs,
            docker_manifest: self.docker_manifest.as_ref(),
            format_version: self.format_version,
            id,
            left_out,
            name: self.name.as_ref(),
            referrers,
            repairs: self.repairs.as_ref(),
            roots,
            selection,
            sequence: self.sequence,
            volumes: self.volumes,
        };
        serde_json::to_writer(to, &written).unwrap_or_else(|_| {
            unreachable!("every key of a record is text, and memory takes all")
        });
    }

    /// Returns what the bundle takes for granted at its site; nothing if it carries all that it needs.
    pub fn assumed(&self) -> &[RecordedBlob] {
        self.base.as_ref().map(|base| &base.blobs[..]).unwrap_or_default()
    }

    /// Returns all that the bundle holds, each piece by itself, if it repairs another: nothing in it says what
    /// its content is.
    pub fn repair_content(&self) -> Option<Vec<Root>> {
        self.repairs.as_ref()?;
        let opaque = |RecordedBlob { digest, size, .. }: &RecordedBlob| Root {
            descriptor: Descriptor::new(OPAQUE, digest.clone(), *size),
            names: Vec::new(),
        };
        Some(self.blobs.iter().map(opaque).collect())
    }

    /// Says what the bundle takes for granted, and why; nothing is said if that is nothing.
    pub(crate) fn set_base(&mut self, assumed: &[OutlineNode], ids: &[Digest]) {
        if !assumed.is_empty() {
            self.base = Some(RecordedBase { blobs: blobs(assumed), ids: ids.to_vec() });
            self.format_version = DELTA;
        }
    }

    /// Says that the bundle lies in so many volumes, and which of them each blob lies in.
    pub(crate) fn set_volumes(
        &mut self,
        volumes: u32,
        mut place: impl FnMut(&Digest) -> (Option<u32>, Vec<RecordedPart>),
    ) {
        for blob in &mut self.blobs {
            (blob.volume, blob.parts) = place(&blob.digest);
        }
        self.volumes = Some(volumes);
        self.format_version = VOLUMES;
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
        // All of it is one line: where in it something stands helps nobody, and the parser gives its
        // reason only with that behind it.
        let malformed = |error: serde_json::Error| {
            let text = error.to_string();
            let what = text.split_once(" at line ").map_or(text.as_str(), |(what, _)| what);
            RecordError::Malformed(what.to_owned())
        };
        let Header { format_version, id } = serde_json::from_slice(bytes).map_err(malformed)?;
        match format_version {
            Some(COMPLETE | DELTA | VOLUMES) => {}
            Some(version @ FORMAT_VERSION..) => return Err(RecordError::Newer(version)),
            _ => return Err(RecordError::Malformed("it has no `formatVersion`".to_owned())),
        }
        let said = id.unwrap_or_else(|| "none".to_owned());
        let Identity(found) = serde_json::from_slice(bytes).map_err(malformed)?;
        if said != found.to_string() {
            return Err(RecordError::Changed { said, found });
        }
        let mut record: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        record.blobs.shrink_to_fit();
        let is_part = record.base.is_some() != record.repairs.is_some();
        let is_both = record.base.is_some() && record.repairs.is_some();
        let fits = match record.format_version {
            VOLUMES => record.volumes.is_some() && record.repairs.is_none(),
            version => record.volumes.is_none() && is_part == (version == DELTA),
        };
        if is_both || !fits {
            let text = "its `formatVersion` is not that of a bundle with such `base`, `repairs` and `volumes`";
            return Err(RecordError::Malformed(text.to_owned()));
        }
        if record.repairs.is_some() && !(record.roots.is_empty() && record.referrers.is_empty()) {
            let text = "what repairs another bundle has no `roots` or `referrers`";
            return Err(RecordError::Malformed(text.to_owned()));
        }
        if record.sequence.is_some() && record.name.is_none() {
            let text = "it has a `sequence` and no `name`";
            return Err(RecordError::Malformed(text.to_owned()));
        }
        volumes::check(&record).map_err(RecordError::Malformed)?;
        Ok(Self { read_as: ReadAs(Some(found)), ..record })
    }
}

impl RecordedSelection {
    /// Returns the list as a text of canonical JSON.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl From<Vec<Value>> for RecordedSelection {
    fn from(list: Vec<Value>) -> Self {
        let text = RawValue::from_string(Value::Array(list).to_string());
        Self(text.unwrap_or_else(|_| unreachable!("a value is written as JSON")))
    }
}

impl PartialEq for RecordedSelection {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for RecordedSelection {}

/// What is looked at before all else.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Header {
    format_version: Option<u64>,
    id: Option<String>,
}

/// The id of a record: of its members but one, as they are written. Nothing is kept of them, since
/// whoever wrote them may have meant to fill the memory.
struct Identity(Digest);

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members)
    }
}

/// Goes through the members of a record.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Identity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Identity, A::Error> {
        let mut hasher = Hasher::sha256();
        let mut separator = "{";
        while let Some((name, value)) = members.next_entry::<Cow<'de, str>, &'de RawValue>()? {
            if name != "id" {
                let name = Value::String(name.into_owned());
                hasher.update(format!("{separator}{name}:").as_bytes());
                hasher.update(value.get().as_bytes());
                separator = ",";
            }
        }
        hasher.update(b"}");
        Ok(Identity(hasher.finish()))
    }
}

/// Adds the id to the schema of a record, in which it has no field: it is that of all others.
#[cfg(feature = "schema")]
fn with_id(schema: &mut schemars::Schema) {
    let said = "The sha256 of this file without the id.";
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        let id = serde_json::json!({ "type": "string", "description": said });
        properties.insert("id".to_owned(), id);
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.push("id".into());
    }
}

/// Tells whether a text is what `serde_json` writes of its value: members are sorted, since maps are,
/// and there is no white space. All numbers here are whole, and all keys of ours are ASCII.
fn is_canonical(text: &[u8]) -> bool {
    let value = serde_json::from_slice::<Value>(text);
    value.is_ok_and(|value| value.to_string().as_bytes() == text)
}

/// What is written is hashed, and kept nowhere.
pub(crate) struct Hashed<'a>(pub(crate) &'a mut Hasher);

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is written is counted, and kept nowhere.
struct Counted(usize);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is written is compared, and kept nowhere.
struct ComparedBytes<'a> {
    /// What has to come; `None` once something else has come.
    rest: Option<&'a [u8]>,
}

impl Write for ComparedBytes<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest = self.rest.and_then(|rest| rest.strip_prefix(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Roles as words.
mod role {
    use longshore_spec::Role;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    pub(super) fn serialize<S: Serializer>(role: &Role, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(word(*role))
    }

    #[cfg(feature = "schema")]
    pub(super) fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words = [Role::Manifest, Role::Config, Role::Layer].map(word);
        schemars::json_schema!({ "type": "string", "enum": words })
    }

    pub(super) fn word(role: Role) -> &'static str {
        match role {
            Role::Manifest => "manifest",
            Role::Config => "config",
            Role::Layer => "layer",
        }
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
