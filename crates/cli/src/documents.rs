//! What `--json` prints: the documents of all commands, which `docs/json.md` describes.
//!
//! They are types and nothing else, so that a schema can be derived from them. A key means the same in
//! each: `artifactType` is a type as `longshore types` has it, or else a media type; `declared` is what the
//! artifact itself gives; `referrers` is a list of descriptors.

use longshore_bundle::LeftBehind;
use longshore_store::Name;
use serde::Serialize;

/// Why a command could not begin, or ended before it had anything to print.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorDocument {
    pub(crate) error: Trouble,
    /// Everything that went wrong before, where the error is what that came to.
    pub(crate) failures: Vec<Failed>,
    pub(crate) exit_code: u8,
}

/// What an error says.
#[derive(Debug, Serialize)]
pub(crate) struct Trouble {
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    #[serde(flatten)]
    pub(crate) typed: Option<Box<Typed>>,
    #[serde(flatten)]
    pub(crate) cause: Cause,
}

/// What of a command line an error is about.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Typed {
    /// Flags with their dashes, and other arguments as the help names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) arguments: Vec<String>,
    /// What was typed for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
}

/// What sort of error something is, for programs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cause {
    pub(crate) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) codes: Vec<String>,
}

/// Something that went wrong while the rest went on.
#[derive(Debug, Serialize)]
pub(crate) struct Failed {
    pub(crate) side: String,
    pub(crate) action: String,
    pub(crate) subject: String,
    pub(crate) message: String,
    #[serde(flatten)]
    pub(crate) cause: Cause,
}

/// A root of `copy`, `export` or `verify`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Root {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wanted: Option<String>,
    pub(crate) names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    pub(crate) outcome: &'static str,
}

/// A name that came to stand for something else.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MovedName {
    pub(crate) name: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// What `copy` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CopyDocument {
    pub(crate) roots: Vec<Root>,
    pub(crate) blobs: u64,
    pub(crate) bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missing_bytes: Option<u64>,
    pub(crate) written: u64,
    pub(crate) existed: u64,
    pub(crate) read: u64,
    pub(crate) moved: Vec<MovedName>,
    pub(crate) left_out: Vec<LeftBehind>,
    pub(crate) referrers_left: u64,
    pub(crate) unverified: Vec<String>,
    pub(crate) failures: Vec<Failed>,
}

/// What `export` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExportDocument {
    pub(crate) id: String,
    pub(crate) dry_run: bool,
    pub(crate) roots: Vec<Root>,
    pub(crate) blobs: u64,
    pub(crate) bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) archive: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missing_bytes: Option<u64>,
    pub(crate) read: u64,
    pub(crate) left_out: Vec<LeftBehind>,
    pub(crate) referrers_left: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) docker_manifest: Option<ForDocker>,
    pub(crate) unverified: Vec<String>,
    pub(crate) failures: Vec<Failed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) same: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) differs_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) differences: Option<Vec<String>>,
}

/// What `manifest.json` says, and what it does not.
#[derive(Debug, Serialize)]
pub(crate) struct ForDocker {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<String>,
    pub(crate) skipped: Vec<String>,
}

/// What `import` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImportDocument {
    pub(crate) roots: Vec<ImportedRoot>,
    /// What came along for what it refers to.
    pub(crate) referrers: Vec<Part>,
    pub(crate) blobs: u64,
    pub(crate) bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missing_bytes: Option<u64>,
    pub(crate) written: u64,
    pub(crate) existed: u64,
    pub(crate) read: u64,
    pub(crate) moved: Vec<MovedName>,
    pub(crate) left_out: Vec<LeftBehind>,
    pub(crate) unverified: Vec<String>,
    pub(crate) failures: Vec<Failed>,
}

/// A root, where it came from and where it went.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImportedRoot {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) digest: String,
    pub(crate) media_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    pub(crate) outcome: &'static str,
}

/// What `lock` prints.
#[derive(Debug, Serialize)]
pub(crate) struct LockDocument {
    pub(crate) file: String,
    pub(crate) artifacts: u64,
    pub(crate) changes: Vec<LockChange>,
    pub(crate) outdated: Vec<LockOutdated>,
    pub(crate) failures: Vec<Failed>,
}

/// A way in which what is there now is not what was locked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LockChange {
    pub(crate) change: &'static str,
    pub(crate) reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
}

/// A way in which what is asked for is not what was asked for when it was locked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LockOutdated {
    pub(crate) change: &'static str,
    pub(crate) of: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<serde_json::Value>,
}

/// What `verify` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VerifyDocument {
    pub(crate) roots: Vec<Root>,
    pub(crate) checked: u64,
    pub(crate) bytes: u64,
    pub(crate) missing: Vec<String>,
    pub(crate) damaged: Vec<String>,
    /// What could not be looked at, so that nobody knows.
    pub(crate) unchecked: Vec<String>,
    pub(crate) orphaned: Vec<String>,
    pub(crate) left_out: Vec<LeftBehind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bundle: Option<String>,
    pub(crate) differences: Vec<String>,
    pub(crate) unverified: Vec<String>,
    pub(crate) failures: Vec<Failed>,
}

/// A line of `list`. What is listed under many names is described once.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ListLine<'c> {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub(crate) name: Option<Name>,
    #[serde(flatten)]
    pub(crate) content: &'c ListedContent,
}

#[expect(clippy::ref_option, reason = "serde gives what the member is")]
fn as_text<S: serde::Serializer>(name: &Option<Name>, serializer: S) -> Result<S::Ok, S::Error> {
    name.as_ref().map(Name::as_str).serialize(serializer)
}

/// What is under a name.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedContent {
    /// What it is, if that could be found out, as the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) family: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) declared: Option<String>,
    pub(crate) platforms: Vec<String>,
    /// With all that it refers to.
    pub(crate) size: u64,
    /// What refers to it.
    pub(crate) referrers: Vec<Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

/// A repository that `list HOST` prints.
#[derive(Debug, Serialize)]
pub(crate) struct ListedRepository {
    pub(crate) repository: String,
}

/// What `inspect` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InspectDocument {
    pub(crate) names: Vec<String>,
    pub(crate) digest: String,
    pub(crate) media_type: String,
    pub(crate) size: u64,
    pub(crate) artifact_type: String,
    #[serde(rename = "description", skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) family: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) declared: Option<String>,
    pub(crate) platforms: Vec<String>,
    pub(crate) annotations: longshore_spec::Annotations,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<Part>,
    pub(crate) layers: Vec<Part>,
    pub(crate) manifests: Vec<Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    pub(crate) referrers: Vec<Part>,
}

/// What a descriptor says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Part {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    /// The tag that attaches a referrer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) declared: Option<String>,
}

/// A node that `tree` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TreeNode {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    pub(crate) size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    pub(crate) platforms: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    /// Whether it is not there, and may be missing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) absent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) children: Vec<TreeNode>,
}

/// What `digest` prints of a place.
#[derive(Debug, Serialize)]
pub(crate) struct PlaceDigest {
    pub(crate) place: String,
    pub(crate) digest: String,
}

/// What `tag` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Tagged {
    pub(crate) digest: String,
    pub(crate) names: Vec<String>,
    pub(crate) moved: Vec<MovedName>,
}

/// What `untag` prints of a name.
#[derive(Debug, Serialize)]
pub(crate) struct Untagged {
    pub(crate) digest: String,
    pub(crate) names: Vec<String>,
}

/// What `delete` prints of a place.
#[derive(Debug, Serialize)]
pub(crate) struct Deleted {
    pub(crate) place: String,
}

/// What `serve` prints once it answers.
#[derive(Debug, Serialize)]
pub(crate) struct ServeDocument {
    pub(crate) address: String,
    pub(crate) addresses: Vec<String>,
    pub(crate) tls: bool,
    /// What a password is asked for.
    pub(crate) passwords: &'static str,
    pub(crate) writable: bool,
    pub(crate) repositories: Vec<ServedRepository>,
}

/// A repository that is served.
#[derive(Debug, Serialize)]
pub(crate) struct ServedRepository {
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
}

/// What `find-images` prints of an image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FoundImage {
    pub(crate) reference: String,
    pub(crate) named_by: Vec<String>,
}

/// What `login` and `logout` print.
#[derive(Debug, Serialize)]
pub(crate) struct LoginDocument {
    pub(crate) registry: String,
    pub(crate) file: String,
}

/// What `gc` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GcDocument {
    pub(crate) dry_run: bool,
    pub(crate) removed: Vec<RemovedBlob>,
    pub(crate) bytes: u64,
    pub(crate) entries: Vec<String>,
    pub(crate) parts: usize,
    pub(crate) kept_for_age: usize,
}

/// A blob that is removed.
#[derive(Debug, Serialize)]
pub(crate) struct RemovedBlob {
    pub(crate) digest: String,
    pub(crate) size: u64,
}

/// What `types` prints of a type.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KnownType {
    pub(crate) name: &'static str,
    pub(crate) family: &'static str,
    #[serde(rename = "description")]
    pub(crate) title: &'static str,
    #[serde(rename = "mediaTypes")]
    pub(crate) types: &'static [&'static str],
    #[serde(rename = "mediaTypePrefixes")]
    pub(crate) prefixes: &'static [&'static str],
}

/// What `init` prints.
#[derive(Debug, Serialize)]
pub(crate) struct InitDocument {
    pub(crate) file: String,
}

/// What `completions` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Script {
    pub(crate) shell: String,
    pub(crate) script: String,
}

/// What `man` prints.
#[derive(Debug, Serialize)]
pub(crate) struct ManPages {
    pub(crate) directory: String,
}

/// What `--progress json` prints on stderr, one a line.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum ProgressEvent {
    /// Work begins.
    Begun {
        action: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        total_bytes: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        total_artifacts: Option<u64>,
    },
    /// Content begins to move.
    Moving {
        #[serde(skip_serializing_if = "Option::is_none")]
        artifact: Option<String>,
        digest: String,
        size: u64,
    },
    /// So much is done.
    Progress {
        bytes: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        total_bytes: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        artifacts: Option<u64>,
        bytes_per_second: u64,
    },
    /// An artifact is there.
    Artifact { names: Vec<String>, digest: String },
    /// Something went wrong; the rest goes on.
    Failed(Failed),
    /// Work has ended.
    Finished {
        bytes: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        artifacts: Option<u64>,
        seconds: f64,
        bytes_per_second: u64,
    },
}
