//! Links that stay inside of a layout are followed, and those that leave it are not, though all that
//! they lead to is right, unless that is asked for.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Result;
use longshore_fixture::blob_path;

use super::template::Template;
use super::watch::{Ended, Launch};

/// What reads all that a layout has.
const READERS: [&str; 2] = ["verify oci:LAY", "copy --all oci:LAY oci:OUT/copy"];

pub(super) fn check(launch: &Launch<'_>, work: &Path, template: &Template) -> Result<Vec<String>> {
    let root = work.join("links");
    let mut paths: Vec<_> =
        ["index.json", "oci-layout", "blobs", "blobs/sha256"].map(String::from).into();
    paths.push(blob_path(&template.manifest.digest));
    let mut found = Vec::new();
    for path in &paths {
        for words in READERS {
            let up = "../".repeat(path.matches('/').count());
            for (moved, target, flag, must_be_read) in [
                ("layout/moved", format!("{up}moved"), None, true),
                ("outside/moved", format!("{up}../outside/moved"), None, false),
                ("outside/moved", format!("{up}../outside/moved"), Some("--follow-links"), true),
            ] {
                let scene = template.set(&root)?;
                let at = scene.layout().join(path);
                fs::rename(&at, scene.root.join(moved))?;
                symlink(target, &at)?;
                let mut command = launch.command(&scene);
                command.args(words.split(' ').map(|word| template.resolve(word, &scene)));
                command.args(flag);
                let ended = Ended::of(command, None)?;
                if (ended.code == Some(0)) != must_be_read {
                    let does = if must_be_read { "does not follow" } else { "follows" };
                    found.push(format!("`{words}` {does} a link from {path} to {moved}"));
                }
            }
        }
    }
    fs::remove_dir_all(root)?;
    Ok(found)
}
