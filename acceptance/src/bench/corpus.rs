//! What is copied, made from seeds.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use longshore_fixture::{Content, Draft, Random};
use longshore_spec::MediaType;
use serde_json::json;

use super::place::Place;
use super::tool::Tool;
use crate::run::capture;
use crate::server::Server;

/// How many repositories the small artifacts are in.
const REPOSITORIES: usize = 40;
/// How many artifacts each of them has.
const EACH: usize = 5;
/// How many layers each artifact has.
const LAYERS: usize = 3;
/// The length that no layer reaches.
const LAYER: usize = 16 << 10;

/// How many artifacts there are in all.
pub(super) const ARTIFACTS: usize = REPOSITORIES * EACH;

/// Returns where the small artifacts are, if `host` has them.
pub(super) fn small(host: &str) -> impl Iterator<Item = Place> {
    let tags = (0..REPOSITORIES).flat_map(|repository| (0..EACH).map(move |n| (repository, n)));
    tags.map(move |(repository, number)| {
        Place::registry(host, &format!("small/{repository}"), &tag(repository, number))
    })
}

/// Pushes the small artifacts, each with a config and layers that no other has.
pub(super) fn push_small(tool: &Tool, server: &Server, work: &Path) -> Result<()> {
    let mut random = Random::new(7);
    for repository in 0..REPOSITORIES {
        let mut content = Content::new();
        for number in 0..EACH {
            let tag = tag(repository, number);
            let config = content.json(
                MediaType::IMAGE_CONFIG,
                &json!({
                    "architecture": "amd64",
                    "os": "linux",
                    "author": tag,
                    "rootfs": {"type": "layers", "diff_ids": []},
                }),
            );
            let layers: Vec<_> = (0..LAYERS)
                .map(|_| {
                    let mut bytes = vec![0; 1 + random.below(LAYER)];
                    random.fill(&mut bytes);
                    content.blob(MediaType::LAYER_TAR, bytes)
                })
                .collect();
            let manifest = content.manifest(&Draft::image(&config, &layers));
            content.tag(&manifest, &tag);
        }
        let layout = work.join(format!("seed-{repository}"));
        content.write_directory(&layout)?;
        let mut push = Command::new(tool.path());
        push.args(["copy", "--quiet", "--all-tags"]).arg(format!("oci:{}", layout.display()));
        capture(push.arg(server.place(&format!("small/{repository}"))))?;
        std::fs::remove_dir_all(&layout)?;
    }
    Ok(())
}

fn tag(repository: usize, number: usize) -> String {
    format!("r{repository}-a{number}")
}
