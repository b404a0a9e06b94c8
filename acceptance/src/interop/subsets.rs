//! Two platforms of five cross the gap, in an index that is kept or written anew.

use anyhow::{Result, ensure};
use longshore_fixture::{Content, Draft, artifacts, with_annotation, with_platform};
use longshore_spec::{Descriptor, Digest, keys};
use serde_json::Value;

use super::Outcome;
use super::cargo::is_fallback;
use super::ground::{Ground, failed, refused};
use crate::run::capture;
use crate::server::{ANY_PORT, Server};

/// Those that are wanted come first.
const PLATFORMS: [&str; 5] =
    ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x", "linux/ppc64le"];
const WANTED: usize = 2;

/// The repository, in every registry.
const NAME: &str = "team/five";

/// An image for five platforms with an attestation of each, as `BuildKit` pushes them; the first of
/// those that are wanted, and the first of the others, have lists of their parts, and the index is
/// signed.
struct Five {
    content: Content,
    index: Descriptor,
    /// The entries that are wanted, in their order.
    kept: Vec<Descriptor>,
    gone: Vec<Descriptor>,
    /// What refers to the first of `kept` and to the first of `gone`.
    parts: [Digest; 2],
    signature: Digest,
}

impl Five {
    fn new() -> Self {
        let mut content = Content::new();
        let images = PLATFORMS.map(|text| {
            let platform = artifacts::platform(text);
            with_platform(artifacts::image_for(&mut content, 1, &platform).manifest, &platform)
        });
        let attestations = [0, 1, 2, 3, 4].map(|number| attestation(&mut content, &images[number]));
        let entries: Vec<_> = images.iter().chain(&attestations).cloned().collect();
        let index = content.manifest(&Draft::index(&entries).annotation("example", "kept"));
        content.tag(&index, "v1");
        let signature = artifacts::cosign_signature(&mut content, &index, 2);
        content.tag(&signature, &artifacts::signature_tag(&index.digest));
        let parts = [&images[0], &images[WANTED]].map(|image| {
            let parts = artifacts::spdx(&mut content, image, 3);
            content.untagged(&parts);
            parts.digest
        });
        let (kept, gone) = (0..entries.len()).partition(|number| number % PLATFORMS.len() < WANTED);
        let of = |numbers: Vec<usize>| numbers.into_iter().map(|number| entries[number].clone());
        let (kept, gone) = (of(kept).collect(), of(gone).collect());
        Self { content, index, kept, gone, parts, signature: signature.digest }
    }

    fn bytes(&self, digest: &Digest) -> &[u8] {
        &self.content.blobs[digest]
    }

    /// Fails unless a registry has what was to come along with any of both indexes, and not what was to
    /// stay behind.
    fn arrived(&self, far: &Server) -> Result<()> {
        let kept = self.kept.iter().map(|entry| &entry.digest).chain([&self.parts[0]]);
        for digest in kept {
            let there = far.manifest(NAME, &digest.to_string())?;
            ensure!(there.body == self.bytes(digest), "{digest} has other bytes");
        }
        let gone = self.gone.iter().map(|entry| &entry.digest).chain([&self.parts[1]]);
        for digest in gone {
            let status = far.get(&format!("/v2/{NAME}/manifests/{digest}"))?.status;
            ensure!(status == 404, "{digest} was left out, and GET gave {status}");
        }
        Ok(())
    }
}

/// Makes what `BuildKit` says of an image, as the entry of an index.
fn attestation(content: &mut Content, image: &Descriptor) -> Descriptor {
    let said = artifacts::in_toto(content, image, 1);
    let said = with_platform(said, &artifacts::platform("unknown/unknown"));
    let said = with_annotation(said, keys::DOCKER_REFERENCE_TYPE, "attestation-manifest");
    with_annotation(said, keys::DOCKER_REFERENCE_DIGEST, &image.digest.to_string())
}

/// Exports both ways, and imports into registries that want indexes whole and into one that does not.
pub(super) fn check(ground: &Ground<'_>) -> Result<Outcome> {
    let five = Five::new();
    ground.layout("five", &five.content)?;
    let near = ground.distribution()?;
    ground.copied("oci:five", &near.place(NAME))?;
    let reference = format!("{}:v1", near.place(NAME));
    let platforms = PLATFORMS[..WANTED].join(",");
    let mut verified = Vec::new();
    for way in ["keep", "strip"] {
        let bundle = format!("{way}.tar");
        let platforms = ["--platform", &platforms, "--sparse-index", way];
        let export = ["export", "-q", &reference, "-o", &bundle];
        ground.ours(&[&export[..], &platforms].concat())?;
        let bundle = format!("oci-archive:{bundle}");
        let told = ground.ours(&["verify", &bundle])?;
        for entry in &five.gone {
            ensure!(told.contains(&entry.digest.to_string()), "`verify {bundle}` said\n{told}");
        }
        verified.push(ground.verified(&bundle)?);
    }

    // What is not there is named, and nothing gets a name.
    let theirs = ground.far()?;
    let strict = ground.serve("strict", ANY_PORT, &["--writable"])?;
    for far in [&theirs, &strict] {
        let to = far.place("refused");
        let import = || ground.command(&["import", "-q", "keep.tar", &to]);
        failed(&mut import(), 1, "--sparse-index strip")?;
        for entry in &five.gone {
            failed(&mut import(), 1, &entry.digest.to_string())?;
        }
        // Signatures are complete in themselves, and may come before what they are about.
        let mut tags = far.tags(&format!("refused/{NAME}"))?;
        tags.retain(|tag| !tag.starts_with("sha256-"));
        ensure!(tags.is_empty(), "{} has {tags:?} of an index that it refused", far.address());
    }

    // Written anew, it is whole for everybody.
    let lenient = ground.serve("lenient", ANY_PORT, &["--writable", "--allow-missing"])?;
    ground.ours(&["import", "-q", "keep.tar", lenient.address()])?;
    for far in [&theirs, &strict] {
        ground.ours(&["import", "-q", "strip.tar", far.address()])?;
        five.arrived(far)?;
        let mut tags = far.tags(NAME)?;
        tags.retain(|tag| !is_fallback(tag));
        ensure!(tags == ["v1"], "{tags:?} came, and the index that was signed did not");
        let index: Value = serde_json::from_slice(&far.manifest(NAME, "v1")?.body)?;
        let mut made: Value = serde_json::from_slice(five.bytes(&five.index.digest))?;
        made["manifests"] = serde_json::to_value(&five.kept)?;
        ensure!(index == made, "the index was to be written anew as {made}, and is {index}");
        let pulled = format!("dir:whole-{}", far.address().replace(':', "-"));
        pull(ground, far, &["--all", "--preserve-digests"], &pulled)?;
    }

    // Kept, it is the same to the byte, signed, and good for those who are served by it.
    five.arrived(&lenient)?;
    let index = lenient.manifest(NAME, "v1")?.body;
    ensure!(index == five.bytes(&five.index.digest), "the index has other bytes");
    let signed = lenient.manifest(NAME, &artifacts::signature_tag(&five.index.digest))?.body;
    ensure!(signed == five.bytes(&five.signature), "the signature has other bytes");
    let arm = ["--override-os", "linux", "--override-arch", "arm64"];
    pull(ground, &lenient, &arm, "oci:pulled:arm")?;
    let pulled = ground.ours(&["digest", "oci:pulled:arm"])?;
    ensure!(pulled.trim() == five.kept[1].digest.to_string(), "skopeo pulled {pulled} for arm64");
    let other = ["copy", "-q", "--src-tls-verify=false", "--override-arch", "s390x"];
    let from = format!("docker://{}:v1", lenient.place(NAME));
    let other = [&other[..], &[&from, "oci:pulled:other"]].concat();
    refused(&mut ground.peer_command("skopeo", &other), "manifest unknown")?;
    drop(lenient);
    ground.verified("oci:lenient")?;
    Ok(Outcome::Passed(format!(
        "{WANTED} of {} platforms: kept, {} blobs, refused by both registries with {} digests named, and taken \
         with --allow-missing; stripped, {} blobs, taken by both; pulled by skopeo",
        PLATFORMS.len(),
        verified[0],
        five.gone.len(),
        verified[1]
    )))
}

/// Lets skopeo pull the image.
fn pull(ground: &Ground<'_>, far: &Server, flags: &[&str], to: &str) -> Result<()> {
    let from = format!("docker://{}:v1", far.place(NAME));
    let mut skopeo = ground.peer_command("skopeo", &["copy", "-q", "--src-tls-verify=false"]);
    capture(skopeo.args(flags).args([&from, to])).map(drop)
}
