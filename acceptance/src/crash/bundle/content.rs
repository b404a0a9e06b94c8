//! What is in the bundle.

use std::path::{Path, PathBuf};

use anyhow::Result;
use longshore_fixture::{Content, Draft, Random, artifacts, with_platform};
use longshore_spec::{Descriptor, MediaType};
use serde_json::json;

use crate::crash::dir;

/// The host in the names of the layout; where the content lies later is another.
const HOST: &str = "harbour.example";
const MIB: usize = 1 << 20;

/// Artifacts of several repositories that share layers, as a layout whose names are full references.
pub(super) struct Bundle {
    pub(super) layout: PathBuf,
    /// How much there is of it, and how much the largest blob has.
    pub(super) bytes: u64,
    pub(super) largest: u64,
    /// What is wanted: repositories and tags.
    names: Vec<String>,
}

impl Bundle {
    pub(super) fn write(layout: &Path) -> Result<Self> {
        let mut random = Random::new(27);
        let mut content = Content::new();
        let base = layer(&mut content, &mut random, 16 * MIB);
        let mut names = Vec::new();
        let mut image = |content: &mut Content, of: &str, sizes: &[usize]| {
            let layers = sizes.iter().map(|size| layer(content, &mut random, *size));
            let layers: Vec<_> = [base.clone()].into_iter().chain(layers).collect();
            let config = json!({ "architecture": of, "os": "linux",
                "rootfs": { "type": "layers", "diff_ids": [] } });
            let config = content.json(MediaType::IMAGE_CONFIG, &config);
            content.manifest(&Draft::image(&config, &layers))
        };
        let platforms = ["linux/amd64", "linux/arm64"].map(|text| {
            let image = image(&mut content, text, &[9 * MIB, 3 * MIB + 7, 1]);
            with_platform(image, &artifacts::platform(text))
        });
        let app = content.manifest(&Draft::index(&platforms));
        let next = image(&mut content, "next", &[13 * MIB, 700 << 10]);
        let model = image(&mut content, "model", &[32 * MIB]);
        let tool = image(&mut content, "tool", &[5 * MIB, 5 * MIB + 1, 5 * MIB + 2, 300]);
        let small = artifacts::helm_chart(&mut content, 1);
        for (name, root) in [
            ("team/app:1", &app),
            ("team/app:2", &next),
            ("team/tool:1", &tool),
            ("models/large:1", &model),
            ("charts/shop:1.0.0", &small),
        ] {
            content.tag(root, &format!("{HOST}/{name}"));
            names.push(name.to_owned());
        }
        let sbom = artifacts::spdx(&mut content, &app, 1);
        content.untagged(&sbom);
        content.write_directory(layout)?;
        let sizes = || content.blobs.values().map(|bytes| bytes.len() as u64);
        let (bytes, largest) = (sizes().sum(), sizes().max().unwrap_or_default());
        Ok(Self { layout: layout.to_owned(), bytes, largest, names })
    }

    /// Returns references to all of it in a registry that it was imported to.
    pub(super) fn wanted(&self, host: &str) -> Vec<String> {
        self.names.iter().map(|name| format!("{host}/{name}")).collect()
    }

    /// Returns what is called `name` elsewhere, as a place in the layout.
    pub(super) fn place(&self, name: &str) -> String {
        format!("{}:{HOST}/{name}", dir(&self.layout))
    }

    /// Returns the repositories that hold it.
    pub(super) fn repositories(&self) -> Vec<&str> {
        let names = self.names.iter();
        let mut names: Vec<_> = names.filter_map(|name| Some(name.split_once(':')?.0)).collect();
        names.dedup();
        names
    }
}

fn layer(content: &mut Content, random: &mut Random, size: usize) -> Descriptor {
    let mut bytes = vec![0; size];
    random.fill(&mut bytes);
    content.blob(MediaType::LAYER_TAR, bytes)
}
