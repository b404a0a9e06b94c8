//! What `--json` prints: the documents of all commands, which `docs/json.md` describes.
//!
//! They are types and nothing else; `longshore schema` prints the schemas that are derived from them, so
//! that what is said of a key here is read by users. A key means the same in each: `artifactType` is a type as
//! `longshore types` has it, or else a media type; `declared` is what the artifact itself gives; `referrers` is
//! a list of descriptors.

mod bundle;
mod line;

use longshore_bundle::LeftBehind;
use longshore_store::Name;
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) use self::bundle::{
    ContentAmount, DiffDocument, ExportDocument, ExportedVolume, ForDocker, FoundImage,
    ImportChanges, ImportDocument, ImportedRoot, InitDocument, KeptTag, LockChange, LockDocument,
    LockOutdated, MirrorDocument, MirroredRoot, NameChange, PrunedTag, ReceiptDocument,
    VerifiedVolumesDocument, VolumeFaultDocument, VolumesStatus,
};
pub(crate) use self::line::{ProgressEvent, RequestLine};

/// Why a command could not begin, or ended before it had anything to print.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorDocument {
    /// What happened.
    pub(crate) error: Trouble,
    /// What went wrong before, where the error is what that came to; items are as for `copy`.
    pub(crate) failures: Vec<Failed>,
    /// The code that the command ends with.
    pub(crate) exit_code: u8,
}

/// What an error says.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Trouble {
    /// What happened, for people.
    pub(crate) message: String,
    /// What to do about it, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    #[serde(flatten)]
    pub(crate) typed: Option<Box<Typed>>,
    #[serde(flatten)]
    pub(crate) cause: Cause,
}

/// What of a command line an error is about.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct Typed {
    /// The flags and arguments that a usage error is about, as the help names them: `--jobs`, `PLACE`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) arguments: Vec<String>,
    /// What was typed for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
}

/// What sort of error something is, for programs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Cause {
    /// What sort of error it is, see "Kinds of errors" in `docs/json.md`.
    pub(crate) kind: &'static str,
    /// The status of a registry's answer, if it is about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// The codes of the distribution spec that the registry gave.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) codes: Vec<String>,
}

/// Something that went wrong while the rest went on.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Failed {
    /// `source` or `target`.
    pub(crate) side: String,
    /// `resolve`, `list referrers`, `prepare`, `check`, `copy` or `publish`.
    pub(crate) action: String,
    /// What it happened to: a name or a digest.
    pub(crate) subject: String,
    /// What happened, for people.
    pub(crate) message: String,
    #[serde(flatten)]
    pub(crate) cause: Cause,
}

/// A root of `copy`, `export` or `verify`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Root {
    /// What was asked for: a name or a digest; not there for a referrer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wanted: Option<String>,
    /// What it is called in the target.
    pub(crate) names: Vec<String>,
    /// What it is; not there if that could not be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// The media type of its manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    /// Its type, as `longshore types` has it, or its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    /// `done`, `failed`, or `skipped` for what `--type` does not take.
    pub(crate) outcome: &'static str,
}

/// A name that came to stand for something else.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct MovedName {
    /// The name.
    pub(crate) name: String,
    /// The digest that it stood for.
    pub(crate) from: String,
    /// The digest that it stands for now.
    pub(crate) to: String,
}

/// What `copy` and `import` move, in figures.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Transfer {
    /// Pieces of content that the roots need, manifests among them; of an import once for each repository.
    pub(crate) blobs: u64,
    /// Their size.
    pub(crate) bytes: u64,
    /// How much of that the target does not have yet; only with `--dry-run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missing_bytes: Option<u64>,
    /// Pieces of content that were written.
    pub(crate) written: u64,
    /// Pieces of content that were there before, or were taken over from another repository.
    pub(crate) existed: u64,
    /// Bytes that were read from sources.
    pub(crate) read: u64,
    /// Names that stood for something else before; with `--dry-run`, that do.
    pub(crate) moved: Vec<MovedName>,
    /// Entries of indexes that were not taken, or that a bundle does not have.
    pub(crate) left_out: Vec<LeftBehind>,
}

/// What `copy` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CopyDocument {
    /// What was wanted, in the order it was given, then the referrers that came along.
    pub(crate) roots: Vec<Root>,
    #[serde(flatten)]
    pub(crate) transfer: Transfer,
    /// Referrers that were seen and stay behind.
    pub(crate) referrers_left: u64,
    /// Digests that were taken without proof, see `--allow-unverified`.
    pub(crate) unverified: Vec<String>,
    /// Everything that went wrong.
    pub(crate) failures: Vec<Failed>,
}

/// What `verify` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VerifyDocument {
    /// What was verified.
    pub(crate) roots: Vec<Root>,
    /// Pieces of content that hash right.
    pub(crate) checked: u64,
    /// How much was read.
    pub(crate) bytes: u64,
    /// Digests that are not there, or names of roots that are not.
    pub(crate) missing: Vec<String>,
    /// Digests, or names of roots, whose content is not what it should be.
    pub(crate) damaged: Vec<String>,
    /// Digests, or names of roots, that nobody could look at; the command ends with 1 if nothing is missing
    /// or damaged.
    pub(crate) unchecked: Vec<String>,
    /// Digests that are there and needed by nothing.
    pub(crate) orphaned: Vec<String>,
    /// What is not there and may be missing; of a bundle also what its `bundle.json` says was left out.
    pub(crate) left_out: Vec<LeftBehind>,
    /// The id of a bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bundle: Option<String>,
    /// The name of a bundle, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Which bundle of its name it is, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sequence: Option<u64>,
    /// The id of the bundle that this one repairs: it holds what was missing for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repairs: Option<String>,
    /// What a delta takes for granted at its site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) assumed: Option<ContentAmount>,
    /// What of that the site does not hold; only with `--base` or `--against`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base_missing: Option<Vec<String>>,
    /// The volumes of a bundle, if some of them were verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) volumes: Option<VerifiedVolumesDocument>,
    /// How a bundle is not what its `bundle.json` says.
    pub(crate) differences: Vec<String>,
    /// Digests that were passed without proof, see `--allow-unverified`.
    pub(crate) unverified: Vec<String>,
    /// Everything that went wrong.
    pub(crate) failures: Vec<Failed>,
}

/// A line of `list`. What is listed under many names is described once.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct ListLine<'c> {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    #[schemars(with = "Option<String>")]
    pub(crate) name: Option<Name>,
    #[serde(flatten)]
    pub(crate) content: &'c ListedContent,
}

#[expect(clippy::ref_option, reason = "serde gives what the member is")]
fn as_text<S: serde::Serializer>(name: &Option<Name>, serializer: S) -> Result<S::Ok, S::Error> {
    name.as_ref().map(Name::as_str).serialize(serializer)
}

/// What is under a name.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedContent {
    /// Its digest; it and the next two are not there if that could not be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// The media type of its manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    /// Its type, as `longshore types` has it, or its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    /// The family of the type, such as `image` or `sbom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) family: Option<&'static str>,
    /// The type that the artifact itself gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) declared: Option<String>,
    /// The platforms it is for.
    pub(crate) platforms: Vec<String>,
    /// Its size with all that it refers to.
    pub(crate) size: u64,
    /// The manifests that refer to it, by their subject or by cosign's tags.
    pub(crate) referrers: Vec<Part>,
    /// The digest of what it refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    /// How much of its size a delta takes for granted and does not carry; only in a delta.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) assumed_bytes: Option<u64>,
    /// Why it could not be looked into; the command ends with 1 then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

/// A repository that `list HOST` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ListedRepository {
    /// Host and name of the repository.
    pub(crate) repository: String,
}

/// What `inspect` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InspectDocument {
    /// Its names.
    pub(crate) names: Vec<String>,
    /// Its digest.
    pub(crate) digest: String,
    /// The media type of its manifest.
    pub(crate) media_type: String,
    /// The size of its manifest.
    pub(crate) size: u64,
    /// Its type, as `longshore types` has it, or its media type.
    pub(crate) artifact_type: String,
    /// The type in words.
    #[serde(rename = "description", skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<&'static str>,
    /// The family of the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) family: Option<&'static str>,
    /// The type that the artifact itself gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) declared: Option<String>,
    /// The platforms it is for.
    pub(crate) platforms: Vec<String>,
    /// Its annotations, as they are.
    pub(crate) annotations: longshore_spec::Annotations,
    /// The config of an image manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<Part>,
    /// Layers, or the blobs of an artifact manifest.
    pub(crate) layers: Vec<Part>,
    /// The entries of an index.
    pub(crate) manifests: Vec<Part>,
    /// The digest of what it refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    /// The manifests that refer to it, by their subject or by cosign's tags.
    pub(crate) referrers: Vec<Part>,
}

/// What a descriptor says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Part {
    /// Its media type.
    pub(crate) media_type: String,
    /// Its digest.
    pub(crate) digest: String,
    /// Its size.
    pub(crate) size: u64,
    /// The name of the file that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    /// The tag that attaches it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// The platform it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<String>,
    /// Its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    /// The type that it gives itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) declared: Option<String>,
}

/// A node that `tree` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TreeNode {
    /// Its name, or the tag that attaches a referrer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// `root`, `manifest`, `config`, `layer` or `referrer`.
    pub(crate) role: &'static str,
    /// Its digest; not there if that could not be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// Its size, without what it refers to.
    pub(crate) size: u64,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    /// The type of a manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    /// The platforms it is for.
    pub(crate) platforms: Vec<String>,
    /// The name of the file that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    /// Whether it is not there, and may be missing: a platform that was left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) absent: bool,
    /// Whether a delta takes it for granted and does not carry it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) assumed: bool,
    /// What is wrong with it; the command ends with 1 then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// What it refers to, then what refers to it; items are like these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) children: Vec<TreeNode>,
}

/// What `digest` prints of a place.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PlaceDigest {
    /// The place as it was given.
    pub(crate) place: String,
    /// The digest of what it selects.
    pub(crate) digest: String,
}

/// What `tag` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Tagged {
    /// The digest of the artifact.
    pub(crate) digest: String,
    /// The names that it was given.
    pub(crate) names: Vec<String>,
    /// Names that stood for something else before.
    pub(crate) moved: Vec<MovedName>,
}

/// What `untag` prints of a name.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Untagged {
    /// The digest that the name stood for.
    pub(crate) digest: String,
    /// The name that was taken away.
    pub(crate) names: Vec<String>,
}

/// What `delete` prints of a place.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Deleted {
    /// What was taken away, as a place.
    pub(crate) place: String,
}

/// What `serve` prints once it answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ServeDocument {
    /// Where it listens first: address and port.
    pub(crate) address: String,
    /// Everywhere that it listens.
    pub(crate) addresses: Vec<String>,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
    /// What a password is asked for: `nothing`, `pushes` or `everything`.
    pub(crate) passwords: &'static str,
    /// Whether it takes pushes and deletes.
    pub(crate) writable: bool,
    /// The repositories of the layout, as they are at the start.
    pub(crate) repositories: Vec<ServedRepository>,
}

/// A repository that is served.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ServedRepository {
    /// The name of the repository.
    pub(crate) name: String,
    /// Its tags.
    pub(crate) tags: Vec<String>,
}

/// What `login` and `logout` print.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LoginDocument {
    /// The host, as it was given.
    pub(crate) registry: String,
    /// The file that keeps its password, or has forgotten it, or names the program that does.
    pub(crate) file: String,
}

/// What `gc` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GcDocument {
    /// Whether nothing was removed, since `--dry-run` was given.
    pub(crate) dry_run: bool,
    /// Blobs that were removed, or would be.
    pub(crate) removed: Vec<RemovedBlob>,
    /// The size of all of them.
    pub(crate) bytes: u64,
    /// Digests of entries that were taken from `index.json`.
    pub(crate) entries: Vec<String>,
    /// Unfinished blobs that were removed.
    pub(crate) parts: usize,
    /// Blobs that nothing needs, but that are younger than `--older-than`.
    pub(crate) kept_for_age: usize,
}

/// A blob that is removed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RemovedBlob {
    /// Its digest.
    pub(crate) digest: String,
    /// Its size.
    pub(crate) size: u64,
}

/// What `types` prints of a type.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KnownType {
    /// The name, which `--type` takes.
    pub(crate) name: &'static str,
    /// Its family, which `--type` takes too.
    pub(crate) family: &'static str,
    /// What it is.
    #[serde(rename = "description")]
    pub(crate) title: &'static str,
    /// Media types that mean it.
    #[serde(rename = "mediaTypes")]
    pub(crate) types: &'static [&'static str],
    /// Beginnings of media types that mean it.
    #[serde(rename = "mediaTypePrefixes")]
    pub(crate) prefixes: &'static [&'static str],
}

/// What `completions` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Script {
    /// The shell.
    pub(crate) shell: String,
    /// The script for it.
    pub(crate) script: String,
}

/// What `man` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ManPages {
    /// Where the pages are.
    pub(crate) directory: String,
}

/// What `schema` prints of a schema.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KnownSchema {
    /// What `schema` takes to print it.
    pub(crate) name: String,
    /// What it is the schema of.
    #[serde(rename = "description")]
    pub(crate) title: String,
}
