//! Twelve repositories as projects have them, and what of them is to cross the gap.
//!
//! What is expected on the far side is known from the making, and not from what the program says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};
use longshore_fixture::{Content, Draft, artifacts, with_platform};
use longshore_spec::{Descriptor, Digest};
use serde_json::Value;

use super::ground::Ground;
use crate::server::Server;

/// The `bundle.yaml` that chooses from them; `HOST` stands for the registry.
const WANTED: &str = "\
defaults:
  platforms: [linux/amd64, linux/arm64]
artifacts:
  - repository: HOST/library/base
    tags: ['3.20', latest]
  - ref: HOST/team/app:v1
    platforms: [linux/amd64]
  - ref: HOST/team/built:1.0
  - ref: HOST/team/tool:2
  - repository: HOST/charts/shop
    tags: { semver: '>=1.4, <2' }
    referrers: { types: [signature] }
  - ref: HOST/charts/parts:1.2.3_build
    referrers: none
  - repository: HOST/policies/app
  - ref: HOST/science/container:latest
  - ref: HOST/modules/filter:0.3
  - ref: HOST/nested/release:2026.11
  - ref: HOST/models/tiny@DIGEST
  - repository: HOST/legacy/base
    tags: { regex: '[0-9]+', exclude: ['1'] }
";

/// A repository of the near registry.
pub(super) struct Stock {
    pub(super) name: &'static str,
    /// All that the near registry has of it.
    pub(super) content: Content,
    /// What tags stand for on the far side.
    pub(super) tags: BTreeMap<String, Digest>,
    /// The manifests that nobody asks for.
    pub(super) left: BTreeSet<Digest>,
}

/// Returns the repositories.
pub(super) fn stock() -> Vec<Stock> {
    let plain = [
        ("policies/app", "v1", artifacts::opa_bundle as Maker),
        ("science/container", "latest", artifacts::sif),
        ("modules/filter", "0.3", artifacts::wasm),
    ];
    let plain = (40..).zip(plain).map(|(seed, (name, tag, maker))| {
        Stock::made(name, |stock| {
            let root = maker(&mut stock.content, seed);
            stock.tag(&root, tag);
            stock.sign(&root, ".sig", seed);
            for refer in [artifacts::cyclonedx_xml, artifacts::in_toto] {
                stock.refer(refer, &root, seed);
            }
        })
    });
    let others = [base(), app(), built(), tool(), shop(), parts(), release(), model(), legacy()];
    plain.chain(others).collect()
}

/// Puts the repositories into a registry, and writes `bundle.yaml`, which chooses from them.
pub(super) fn stocked(ground: &Ground<'_>, near: &Server) -> Result<Vec<Stock>> {
    let stock = stock();
    for one in &stock {
        let layout = one.name.replace('/', "-");
        ground.layout(&layout, &one.content)?;
        ground.copied(&format!("oci:{layout}"), &near.place(one.name))?;
        one.is_all_there(near).context("what is pushed for export is not there")?;
    }
    let model = &model().content.entries[0].digest;
    let wanted = WANTED.replace("HOST", near.address()).replace("DIGEST", &model.to_string());
    fs::write(ground.path("bundle.yaml"), wanted)?;
    Ok(stock)
}

type Maker = fn(&mut Content, u64) -> Descriptor;
type ReferrerMaker = fn(&mut Content, &Descriptor, u64) -> Descriptor;

/// An image for two platforms under two tags, signed by tags as `cosign sign --recursive` does it; and
/// an older one, signed too.
fn base() -> Stock {
    Stock::made("library/base", |stock| {
        for (tag, seed) in [("3.19", 1), ("3.20", 2)] {
            let (index, images) = stock.index(seed, &["linux/amd64", "linux/arm64"]);
            stock.tag(&index, tag);
            for (seed, signed) in (10 * seed..).zip([&index, &images[0], &images[1]]) {
                let signature = stock.sign(signed, ".sig", seed);
                if tag == "3.19" {
                    stock.leave(signed);
                    stock.leave(&signature);
                }
            }
            if tag == "3.20" {
                stock.tag(&index, "latest");
            }
        }
    })
}

/// An image for two platforms of which one is wanted, which then stands for itself, with what refers
/// to it: a list of parts, and the signature of that.
fn app() -> Stock {
    Stock::made("team/app", |stock| {
        let (index, images) = stock.index(3, &["linux/amd64", "linux/arm64"]);
        stock.content.tag(&index, "v1");
        stock.tags.insert("v1".to_owned(), images[0].digest.clone());
        let parts = stock.refer(artifacts::spdx, &images[0], 3);
        stock.refer(artifacts::notation_signature, &parts, 3);
        let others = [
            stock.refer(artifacts::sigstore_bundle, &index, 3),
            stock.refer(artifacts::cyclonedx, &images[1], 3),
        ];
        for left in others.iter().chain([&index, &images[1]]) {
            stock.left.insert(left.digest.clone());
        }
    })
}

/// What `BuildKit` pushes: the attestation is an entry of the index, and a referrer.
fn built() -> Stock {
    Stock::made("team/built", |stock| {
        let index = artifacts::attested_by_subject(&mut stock.content, 4);
        stock.tag(&index, "1.0");
    })
}

/// An image with all that cosign attaches by tags, and by `subject`.
fn tool() -> Stock {
    Stock::made("team/tool", |stock| {
        let (index, images) = stock.index(5, &["linux/amd64", "linux/arm64"]);
        stock.tag(&index, "2");
        for (seed, suffix) in (50..).zip([".sig", ".att", ".sbom"]) {
            stock.sign(&index, suffix, seed);
        }
        stock.refer(artifacts::sigstore_bundle, &index, 5);
        stock.refer(artifacts::in_toto, &index, 6);
        stock.refer(artifacts::spdx, &images[1], 7);
    })
}

/// A chart in three versions, of which two are wanted with their signatures and nothing else.
fn shop() -> Stock {
    Stock::made("charts/shop", |stock| {
        for (version, seed) in [("1.4.0", 60), ("1.5.0", 61), ("2.0.0", 62)] {
            let chart = artifacts::helm_chart(&mut stock.content, seed);
            stock.tag(&chart, version);
            let signature = stock.refer(artifacts::notation_signature, &chart, seed);
            let by_tag = stock.sign(&chart, ".sig", seed);
            let parts = stock.refer(artifacts::spdx, &chart, seed);
            stock.leave(&parts);
            if version == "2.0.0" {
                for left in [&chart, &signature, &by_tag] {
                    stock.leave(left);
                }
            }
        }
    })
}

/// A chart that is wanted without what refers to it.
fn parts() -> Stock {
    Stock::made("charts/parts", |stock| {
        let chart = artifacts::helm_chart(&mut stock.content, 70);
        stock.tag(&chart, "1.2.3_build");
        let signature = stock.sign(&chart, ".sig", 70);
        let parts = stock.refer(artifacts::cyclonedx, &chart, 70);
        stock.leave(&signature);
        stock.leave(&parts);
    })
}

/// Indexes in indexes, three above the images, with something about each of them.
fn release() -> Stock {
    Stock::made("nested/release", |stock| {
        let outer = artifacts::nested(&mut stock.content, 80);
        stock.tag(&outer, "2026.11");
        for (seed, (digest, manifest)) in (80..).zip(stock.manifests()) {
            let media_type = manifest["mediaType"].as_str().unwrap_or_default();
            let subject = Descriptor::of(media_type, stock.bytes(&digest));
            stock.refer(artifacts::in_toto, &subject, seed);
        }
    })
}

/// A model that is wanted by its digest, so that it has no tag on the far side.
fn model() -> Stock {
    Stock::made("models/tiny", |stock| {
        let model = artifacts::model_pack(&mut stock.content, 90);
        stock.content.tag(&model, "latest");
        stock.refer(artifacts::notation_signature, &model, 90);
    })
}

/// Docker's manifest lists, of which one is wanted.
fn legacy() -> Stock {
    Stock::made("legacy/base", |stock| {
        for (tag, seed) in [("1", 100), ("2", 101)] {
            let list = artifacts::docker_list(&mut stock.content, seed);
            stock.tag(&list, tag);
            if tag == "1" {
                let entries = stock.manifests().into_keys().collect::<Vec<_>>();
                stock.left.extend(entries);
                stock.leave(&list);
            }
        }
    })
}

impl Stock {
    fn made(name: &'static str, make: impl FnOnce(&mut Self)) -> Self {
        let (content, tags, left) = (Content::new(), BTreeMap::new(), BTreeSet::new());
        let mut stock = Self { name, content, tags, left };
        make(&mut stock);
        stock
    }

    /// Makes an index of images for some platforms, and returns them too.
    fn index(&mut self, seed: u64, platforms: &[&str]) -> (Descriptor, Vec<Descriptor>) {
        let images = platforms.iter().map(|text| {
            let platform = artifacts::platform(text);
            let image = artifacts::image_for(&mut self.content, seed, &platform).manifest;
            with_platform(image, &platform)
        });
        let images: Vec<_> = images.collect();
        (self.content.manifest(&Draft::index(&images)), images)
    }

    fn tag(&mut self, root: &Descriptor, tag: &str) {
        self.content.tag(root, tag);
        self.tags.insert(tag.to_owned(), root.digest.clone());
    }

    /// Adds what refers to `subject`.
    fn refer(&mut self, maker: ReferrerMaker, subject: &Descriptor, seed: u64) -> Descriptor {
        let referrer = maker(&mut self.content, subject, seed);
        self.content.untagged(&referrer);
        referrer
    }

    /// Adds what cosign 1 and 2 find by its tag, which ends in `suffix`.
    fn sign(&mut self, subject: &Descriptor, suffix: &str, seed: u64) -> Descriptor {
        let signature = artifacts::cosign_signature(&mut self.content, subject, seed);
        let tag = artifacts::signature_tag(&subject.digest).replace(".sig", suffix);
        self.tag(&signature, &tag);
        signature
    }

    /// Says that nobody asks for something, so that neither it nor its tags cross.
    fn leave(&mut self, one: &Descriptor) {
        self.tags.retain(|_, digest| *digest != one.digest);
        self.left.insert(one.digest.clone());
    }

    /// Returns the bytes of a manifest or another blob.
    pub(super) fn bytes(&self, digest: &Digest) -> &[u8] {
        &self.content.blobs[digest]
    }

    /// Returns what is wanted as a reference ends, `:TAG` or `@DIGEST`.
    pub(super) fn names(&self) -> Vec<(String, Digest)> {
        let tags = self.tags.iter().map(|(tag, digest)| (format!(":{tag}"), digest.clone()));
        if self.tags.is_empty() {
            let digest = &self.content.entries[0].digest;
            return vec![(format!("@{digest}"), digest.clone())];
        }
        tags.collect()
    }

    /// Returns every manifest that the near registry has, by digest.
    pub(super) fn manifests(&self) -> BTreeMap<Digest, Value> {
        self.below(self.content.entries.iter().map(|entry| entry.digest.clone()).collect())
    }

    /// Returns these manifests and those in them, by digest.
    pub(super) fn below(&self, mut left: Vec<Digest>) -> BTreeMap<Digest, Value> {
        let mut found = BTreeMap::new();
        while let Some(digest) = left.pop() {
            let manifest: Value = serde_json::from_slice(&self.content.blobs[&digest])
                .unwrap_or_else(|_| unreachable!("a fixture's manifest is JSON"));
            left.extend(digests(&manifest, "manifests"));
            found.insert(digest, manifest);
        }
        found
    }

    /// Returns the manifests that are to cross.
    pub(super) fn crossing(&self) -> BTreeMap<Digest, Value> {
        let mut manifests = self.manifests();
        manifests.retain(|digest, _| !self.left.contains(digest));
        manifests
    }
}

/// Returns the digests of a list of descriptors.
pub(super) fn digests<'v>(
    manifest: &'v Value,
    member: &str,
) -> impl Iterator<Item = Digest> + use<'v> {
    let descriptors = manifest[member].as_array().into_iter().flatten();
    descriptors.filter_map(|descriptor| descriptor["digest"].as_str()?.parse().ok())
}
