//! The text files of the repository.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use xtask::run::{capture, command};

/// The files of the repository that are text, read once for all checks.
pub(super) struct Tree {
    pub(super) files: Vec<File>,
}

/// A text file.
pub(super) struct File {
    /// Where it is, from the workspace's directory, with `/` between the names.
    pub(super) path: String,
    pub(super) text: String,
}

impl Tree {
    /// Reads what git tracks, and what it would track after `git add`. A copy of the tree without
    /// a repository is read whole, without what builds leave there.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let has_git = root.join(".git").exists();
        let mut paths = if has_git { tracked(root)? } else { walked(root)? };
        paths.sort();
        let files = paths.into_iter().filter_map(|path| {
            let place = root.join(&path);
            // A link may lead out of the repository: some of the fixtures do. What is gone was
            // deleted and not yet staged, and what is no UTF-8 is no text.
            let is_file = fs::symlink_metadata(&place).ok()?.is_file();
            let text = is_file.then(|| fs::read_to_string(place))?.ok()?;
            Some(File { path, text })
        });
        let files: Vec<File> = files.collect();
        if files.is_empty() {
            bail!("there are no files in {}", root.display());
        }
        Ok(Self { files })
    }

    /// Returns the file at a path.
    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Returns the Rust source files of the crates, of xtask and of the acceptance runs.
    pub(super) fn sources(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| {
            let ours = ["acceptance/", "crates/", "xtask/"];
            let is_ours = ours.iter().any(|start| file.path.starts_with(start));
            is_ours && Path::new(&file.path).extension().is_some_and(|extension| extension == "rs")
        })
    }
}

impl File {
    /// Returns a name for line `index`, counted from 0, as editors and compilers write it.
    pub(super) fn line(&self, index: usize) -> String {
        format!("{}:{}", self.path, index + 1)
    }
}

fn tracked(root: &Path) -> Result<Vec<String>> {
    // A clone in a container often belongs to another user, which git refuses unless told.
    let trust = ["-c", "safe.directory=*"];
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let args = trust.into_iter().chain(list);
    let list = capture(command("git", args).current_dir(root))?;
    Ok(list.split_terminator('\0').map(String::from).collect())
}

fn walked(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut directories = vec![String::new()];
    while let Some(directory) = directories.pop() {
        let here = root.join(&directory);
        let entries = fs::read_dir(&here).with_context(|| here.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !["target", "dist"].contains(name)) else {
                continue;
            };
            let path =
                if directory.is_empty() { name.into() } else { format!("{directory}/{name}") };
            let list = if entry.file_type()?.is_dir() { &mut directories } else { &mut files };
            list.push(path);
        }
    }
    Ok(files)
}
