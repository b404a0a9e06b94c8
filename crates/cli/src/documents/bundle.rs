//! What commands about bundles print.

use longshore_bundle::LeftBehind;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Failed, Part, Root, Transfer};

/// What `export` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExportDocument {
    /// The id of the bundle: the sha256 of its `bundle.json` without the id. It is not known before blobs that are
    /// longer than a volume were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// The id of the bundle that this one repairs; only with `--only`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repairs: Option<String>,
    /// Whether nothing was written, since `--dry-run` was given.
    pub(crate) dry_run: bool,
    /// What was wanted, the referrers that came along, and what could not be had.
    pub(crate) roots: Vec<Root>,
    /// Pieces of content in the bundle, manifests among them.
    pub(crate) blobs: u64,
    /// Their size.
    pub(crate) bytes: u64,
    /// What is needed and not carried, since the site holds it; only with `--base`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) assumed: Option<ContentAmount>,
    /// The size of the archive, to the byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) archive: Option<u64>,
    /// The volumes; only with `--volume-size`, and only the one that `--only-volume` asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) volumes: Option<Vec<ExportedVolume>>,
    /// How much of the content is not there yet; only with `--dry-run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missing_bytes: Option<u64>,
    /// Bytes that were read from registries.
    pub(crate) read: u64,
    /// What was left out.
    pub(crate) left_out: Vec<LeftBehind>,
    /// Referrers that were seen and stay behind, since what they refer to does not come as it is.
    pub(crate) referrers_left: u64,
    /// What `manifest.json` says; only with `--docker-manifest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) docker_manifest: Option<ForDocker>,
    /// Digests that were taken without proof, see `--allow-unverified`.
    pub(crate) unverified: Vec<String>,
    /// Everything that went wrong.
    pub(crate) failures: Vec<Failed>,
    /// Whether the bundle that is there is the one that would be written; with `--check`, and where nothing
    /// is written since it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) same: Option<bool>,
    /// The first byte that differs, counted from 0; 0 if its `bundle.json` is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) differs_at: Option<u64>,
    /// How the directory is not the one that would be written; only with `--check` of a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) differences: Option<Vec<String>>,
}

/// A volume of a bundle.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExportedVolume {
    /// The file.
    pub(crate) file: String,
    /// Which volume it is, from 1.
    pub(crate) number: u32,
    /// Its length.
    pub(crate) bytes: u64,
    /// How many names stand for something that is whole in it: any OCI tool can read these there.
    pub(crate) roots: u64,
}

/// Volumes that were verified.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VerifiedVolumesDocument {
    /// How many volumes the bundle has.
    pub(crate) count: u32,
    /// The files that were verified.
    pub(crate) files: Vec<String>,
    /// The volumes that are missing or damaged.
    pub(crate) faults: Vec<VolumeFaultDocument>,
}

/// A volume that is missing or damaged.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VolumeFaultDocument {
    /// Which volume it is, from 1.
    pub(crate) number: u32,
    /// Whether it is missing.
    pub(crate) missing: bool,
    /// The files of it that are damaged.
    pub(crate) files: Vec<String>,
    /// The names of what needs it, and is not whole without it.
    pub(crate) roots: Vec<String>,
}

/// What `manifest.json` says, and what it does not.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ForDocker {
    /// The platform that is taken of each image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<String>,
    /// Roots that it does not name, each with the reason.
    pub(crate) skipped: Vec<String>,
}

/// What `import` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImportDocument {
    /// Everything of the bundle that has a name.
    pub(crate) roots: Vec<ImportedRoot>,
    /// The manifests that came along for what they refer to.
    pub(crate) referrers: Vec<Part>,
    #[serde(flatten)]
    pub(crate) transfer: Transfer,
    /// The volumes that artifacts wait for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) volumes_to_come: Option<Vec<u32>>,
    /// What the import would change at the target; only with `--dry-run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changes: Option<ImportChanges>,
    /// Digests that were taken without proof, see `--allow-unverified`.
    pub(crate) unverified: Vec<String>,
    /// Names that were removed; with `--dry-run`, that would be. Only with `--prune`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pruned: Option<Vec<PrunedTag>>,
    /// Names that the bundle does not have any more, and that stay. Only with `--prune`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<Vec<KeptTag>>,
    /// Everything that went wrong.
    pub(crate) failures: Vec<Failed>,
}

/// A name that was removed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PrunedTag {
    /// The name.
    pub(crate) name: String,
    /// What it stood for.
    pub(crate) digest: String,
}

/// A name that the bundle does not have any more, and that stays.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KeptTag {
    /// The name.
    pub(crate) name: String,
    /// What was brought under it.
    pub(crate) digest: String,
    /// `moved`: it stands for something else; `shared`: another bundle brought it, too; `mapped`: the bundle has
    /// the artifact under another name; `tagged`, `listed` and `needed`: the registry deletes manifests only, and
    /// another tag, an index or the bundle needs this one.
    pub(crate) why: &'static str,
    /// The digest that it stands for, or the bundle, name, tag or index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
}

/// What an import would change at its target.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ImportChanges {
    /// Names that are new.
    pub(crate) added: Vec<NameChange>,
    /// Names that would come to stand for something else.
    pub(crate) moved: Vec<NameChange>,
    /// Names in the repositories that the bundle goes to, and that the bundle does not have: they stay as they are.
    pub(crate) left: Vec<String>,
    /// Names of which the target does not tell what they stand for.
    pub(crate) unknown: Vec<String>,
    /// Repositories whose names the target does not list.
    pub(crate) unlisted: Vec<String>,
}

/// A root, where it came from and where it went.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImportedRoot {
    /// What it is called in the bundle.
    pub(crate) from: String,
    /// What it is called where it goes.
    pub(crate) to: String,
    /// What it is.
    pub(crate) digest: String,
    /// The media type of its manifest.
    pub(crate) media_type: String,
    /// Its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    /// `done`, `failed`, or `waiting` for volumes that are to come.
    pub(crate) outcome: &'static str,
}

/// What `import --status` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VolumesStatus {
    /// How many volumes the bundle has.
    pub(crate) count: u32,
    /// The volumes that hold something that is not where it goes.
    pub(crate) volumes_to_come: Vec<u32>,
    /// What is not complete, by its name where it goes.
    pub(crate) waiting: Vec<String>,
}

/// What `mirror` prints of a pass.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MirrorDocument {
    /// Where artifacts go.
    pub(crate) target: String,
    /// How many artifacts the target had already, under the same names.
    pub(crate) unchanged: u64,
    /// The others.
    pub(crate) roots: Vec<MirroredRoot>,
    /// The manifests that came along for what they refer to; those that were there are among them.
    pub(crate) referrers: u64,
    #[serde(flatten)]
    pub(crate) transfer: Transfer,
    /// Digests that were taken without proof, see `--allow-unverified`.
    pub(crate) unverified: Vec<String>,
    /// Everything that went wrong.
    pub(crate) failures: Vec<Failed>,
}

/// An artifact that a pass brings, where it lies and where it goes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MirroredRoot {
    /// What it is called at its source.
    pub(crate) from: String,
    /// What it is called where it goes.
    pub(crate) to: String,
    /// What it is, if it could be found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// Its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    /// `done`, `failed` or `skipped`.
    pub(crate) outcome: &'static str,
}

/// What `lock` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LockDocument {
    /// The lock.
    pub(crate) file: String,
    /// How many artifacts are locked.
    pub(crate) artifacts: u64,
    /// What has changed since it was locked, or changed in the lock.
    pub(crate) changes: Vec<LockChange>,
    /// How what is asked for is not what was asked for when it was locked.
    pub(crate) outdated: Vec<LockOutdated>,
    /// What could not be had; it stays as it was locked, if it was.
    pub(crate) failures: Vec<Failed>,
}

/// A way in which what is there now is not what was locked.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LockChange {
    /// `new`, `gone`, `moved`, `platforms` (others are taken of it), `new-referrer` or `gone-referrer`.
    pub(crate) change: &'static str,
    /// What is wanted.
    pub(crate) reference: String,
    /// The digest that was locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    /// The digest that it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    /// The type of the referrer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
}

/// A way in which what is asked for is not what was asked for when it was locked.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LockOutdated {
    /// `key`: it has another value; `wanted`: it was not; `unwanted`: it was, and is not.
    pub(crate) change: &'static str,
    /// The reference or repository that it is about.
    pub(crate) of: String,
    /// The key of `bundle.yaml`, such as `tags.semver`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// Its value when it was locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<serde_json::Value>,
    /// Its value now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<serde_json::Value>,
}

/// What `find-images` prints of an image.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FoundImage {
    /// The image, in full.
    pub(crate) reference: String,
    /// Kind and name of the objects that name it, or the file.
    pub(crate) named_by: Vec<String>,
}

/// What `init` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InitDocument {
    /// The file that was written.
    pub(crate) file: String,
}

/// What `receipt` found.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiptDocument {
    /// What the site is called.
    pub(crate) site: String,
    /// Which receipt of the site it is.
    pub(crate) number: u64,
    /// How many repositories hold something.
    pub(crate) repositories: u64,
    /// How many pieces of content the site holds, each counted once.
    pub(crate) blobs: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// What the site lists or refers to, and does not have.
    pub(crate) missing: Vec<String>,
    /// What the site has, and is not what its digest says.
    pub(crate) damaged: Vec<String>,
}

/// How what is there now differs from what was there before.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DiffDocument {
    /// Names that are new.
    pub(crate) added: Vec<NameChange>,
    /// Names that stand for something else.
    pub(crate) moved: Vec<NameChange>,
    /// Names that are gone.
    pub(crate) removed: Vec<NameChange>,
    /// The content that is new, if both sides say what they hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) new_content: Option<ContentAmount>,
    /// The content that is gone, if both sides say what they hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) old_content: Option<ContentAmount>,
}

/// What a name stood for before, and what it stands for now.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NameChange {
    /// The name.
    pub(crate) name: String,
    /// The digest before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    /// The digest now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    /// The bytes that it needs and that were not there, what other names need, too, among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
}

/// How much content something is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ContentAmount {
    /// How many blobs.
    pub(crate) blobs: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}
