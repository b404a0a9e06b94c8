//! Where traps are set: at each path that a command was seen to open, and at those that are known.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use super::commands::{COMMANDS, Subject};
use super::scene::{Ground, Scene, Spot};
use super::template::Template;
use super::watch::Launch;
use crate::peers;

/// What a command may open in a layout, though not in each.
const IN_LAYOUTS: &[&str] = &[
    "bundle.json",
    "manifest.json",
    ".longshore/index.json.new",
    ".longshore/index.lock",
    ".longshore/index.journal",
];

/// What is written beside the content, and what it is called until it is whole.
const OUTPUTS: &[&str] = &[
    "bundle.lock",
    "bundle.lock.partial",
    "new.yaml",
    "new.yaml.partial",
    "report.json",
    "report.json.partial",
    "site.tar",
    "site.tar.partial",
    "site.tar.partial.journal",
];

/// What the person named: where a link at such a path leads is that person's will.
const NAMED: &[&str] = &["bundle.yaml", "bundle", "copy", "store"];

/// Returns the paths for each command: those that are known, wherever it looks, and those that it was
/// seen to open. Without those that differ from run to run, at which nobody can lie in wait.
pub(super) fn all(
    launch: &Launch<'_>,
    work: &Path,
    template: &Template,
) -> Result<Vec<BTreeSet<Spot>>> {
    let spot = |ground, path: &str| Spot { ground, path: path.to_owned() };
    let known: BTreeSet<_> = template
        .paths()
        .iter()
        .map(|path| spot(Ground::Layout, path))
        .chain(IN_LAYOUTS.iter().map(|path| spot(Ground::Layout, path)))
        .chain(OUTPUTS.iter().map(|path| spot(Ground::Output, path)))
        .collect();
    let touched = |command: &Subject| {
        let touched = known.iter().filter(|spot| command.touches.contains(&spot.ground));
        touched.cloned().collect::<BTreeSet<_>>()
    };
    let mut spots: Vec<_> = COMMANDS.iter().map(touched).collect();
    if let Some(strace) = peers::required("strace")? {
        let launch = launch.traced(strace);
        let root = work.join("traced");
        for (command, spots) in COMMANDS.iter().zip(&mut spots) {
            let mut seen = Vec::new();
            for _ in 0..2 {
                let scene = template.set(&root)?;
                command.carry_out(&launch, &scene, template)?;
                let trace = std::fs::read_to_string(Launch::trace(&scene))
                    .with_context(|| format!("no account of `{}`", command.words))?;
                seen.push(opened(&trace, &scene));
            }
            spots.extend(seen[0].intersection(&seen[1]).cloned());
        }
        std::fs::remove_dir_all(root)?;
    }
    let all: BTreeSet<_> = spots.iter().flatten().collect();
    println!("  {} paths are known, {} more were opened", known.len(), all.len() - known.len());
    Ok(spots)
}

/// Returns what a trace names below the grounds.
fn opened(trace: &str, scene: &Scene) -> BTreeSet<Spot> {
    let mut found = BTreeSet::new();
    for path in trace.lines().flat_map(named) {
        for ground in [Ground::Layout, Ground::Output] {
            let Ok(path) = path.strip_prefix(scene.ground(ground)) else { continue };
            let Some(path) = path.to_str().filter(|path| !path.is_empty()) else { continue };
            let first = path.split('/').next().unwrap_or_default();
            if ground == Ground::Layout || !NAMED.contains(&first) {
                found.insert(Spot { ground, path: path.to_owned() });
            }
        }
    }
    found
}

/// Returns the paths in a line of a trace: what stands in quotes, relative to the directory that
/// stands in `<>` before it.
fn named(line: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut parts = line.split('"');
    while let (Some(before), Some(name)) = (parts.next(), parts.next()) {
        let directory = before.strip_suffix(">, ").and_then(|before| before.rsplit_once('<'));
        let path = Path::new(directory.map_or("", |(_, path)| path)).join(name);
        found.push(path.components().filter(|part| *part != Component::CurDir).collect());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_off_a_trace() {
        let lines = [
            r#"openat(AT_FDCWD</w>, "/w/layout/index.json", O_RDONLY|O_CLOEXEC) = 4</w/layout/x>"#,
            r#"12 openat2(5</w/layout>, "./blobs/sha256", {flags=O_PATH}, 24) = -1 ENOENT (No such)"#,
            r#"renameat(5</w/layout>, "a", 6</w/output>, "b") = 0"#,
            r#"rename("layout/new", "/w/layout/old") = 0"#,
        ];
        let paths: Vec<_> = lines.iter().flat_map(|line| named(line)).collect();
        let expected = [
            "/w/layout/index.json",
            "/w/layout/blobs/sha256",
            "/w/layout/a",
            "/w/output/b",
            "layout/new",
            "/w/layout/old",
        ];
        assert_eq!(paths, expected.map(PathBuf::from));
    }
}
