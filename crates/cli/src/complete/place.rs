//! Files, layouts, and what layouts hold.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use longshore_bundle::INVENTORY;
use longshore_layout::{Archive, ArchiveOptions, Directory};
use longshore_store::{Root, Source as _};

use super::{Candidate, MOST};

/// So many entries of a directory are looked at.
const MOST_ENTRIES: usize = 100_000;

/// What lies in every layout directory.
const LAYOUT_FILE: &str = "oci-layout";

/// Returns places that begin as `typed` does: files, layouts, and with `selects` what those hold.
pub(super) fn places(typed: &str, selects: bool) -> Vec<Candidate> {
    for (kind, is_archive) in [("oci:", false), ("oci-archive:", true)] {
        if let Some(rest) = typed.strip_prefix(kind) {
            let mut found = layouts(rest, is_archive, selects);
            for candidate in &mut found {
                candidate.value.insert_str(0, kind);
            }
            return found;
        }
    }
    // What is plainly a path needs no kind before it.
    if let Some(found) = held(typed, None).filter(|_| selects) {
        return found;
    }
    let mut found = vec![
        Candidate::with("oci:", "a layout in a directory"),
        Candidate::with("oci-archive:", "a layout in a tar file"),
    ];
    found.extend(files(typed, false));
    found
}

/// Returns files and directories that begin as `typed` does; directories end with `/`.
pub(super) fn files(typed: &str, only_directories: bool) -> Vec<Candidate> {
    let entries = entries(typed).into_iter();
    let shown = entries.filter(|entry| entry.is_directory || !only_directories);
    shown
        .map(|Entry { typed, is_directory, .. }| {
            Candidate::new(if is_directory { typed + "/" } else { typed })
        })
        .collect()
}

/// Returns layouts by their paths, or what one holds where its path is complete.
fn layouts(typed: &str, is_archive: bool, selects: bool) -> Vec<Candidate> {
    if let Some(found) = held(typed, Some(is_archive)).filter(|_| selects) {
        return found;
    }
    let mut found = Vec::new();
    for Entry { typed, path, is_directory } in entries(typed) {
        let is_layout = if is_archive { !is_directory } else { path.join(LAYOUT_FILE).is_file() };
        if is_layout {
            found.push(Candidate::new(&typed));
            // So that the shell waits for what may come.
            found.extend(selects.then(|| Candidate::with(typed + ":", "one artifact of it")));
        } else if is_directory {
            found.push(Candidate::new(typed + "/"));
        }
    }
    found
}

/// Returns what the layout holds that `typed` selects something of: names behind a `:`, digests behind
/// an `@`. `None` if there is no layout.
fn held(typed: &str, is_archive: Option<bool>) -> Option<Vec<Candidate>> {
    let at = typed.find([':', '@'])?;
    let (path, behind) = typed.split_at(at);
    let file = expanded(path);
    let is_archive = match is_archive {
        Some(is_archive) => is_archive,
        None if file.is_dir() => false,
        None if file.is_file() => true,
        None => return None,
    };
    let roots = if is_archive { of_archive(&file) } else { of_directory(&file) }?;
    let mut found: Vec<_> = if behind.starts_with('@') {
        let digests = roots.iter().map(|root| format!("{path}@{}", root.descriptor.digest));
        digests.collect()
    } else {
        let names = roots.iter().flat_map(|root| &root.names);
        names.map(|name| format!("{path}:{name}")).filter(|name| name.starts_with(typed)).collect()
    };
    found.sort_unstable();
    found.dedup();
    found.truncate(MOST);
    Some(found.into_iter().map(Candidate::new).collect())
}

fn of_directory(path: &Path) -> Option<Vec<Root>> {
    Directory::open(path).ok()?.whole().roots().ok()
}

/// Returns what an archive lists. One that is compressed would have to be unpacked first.
fn of_archive(path: &Path) -> Option<Vec<Root>> {
    const COMPRESSED: [&[u8]; 3] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ"];
    let mut begin = [0; 5];
    File::open(path).ok()?.read_exact(&mut begin).ok()?;
    if COMPRESSED.iter().any(|magic| begin.starts_with(magic)) {
        return None;
    }
    let options = ArchiveOptions { inventory: Some(INVENTORY), ..ArchiveOptions::default() };
    Archive::open(path, &options).ok()?.whole().roots().ok()
}

/// Something in a directory.
struct Entry {
    /// Its path, beginning as it was typed.
    typed: String,
    /// Where it is.
    path: PathBuf,
    is_directory: bool,
}

/// Returns what there is whose path begins as `typed` does, sorted; what is hidden only if it is meant.
fn entries(typed: &str) -> Vec<Entry> {
    let (directory, begin) = typed.rfind('/').map_or(("", typed), |at| typed.split_at(at + 1));
    let place = if directory.is_empty() { PathBuf::from(".") } else { expanded(directory) };
    let Ok(there) = fs::read_dir(place) else { return Vec::new() };
    let entry = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let is_shown = begin.starts_with('.') || !name.starts_with('.');
        (is_shown && name.starts_with(begin)).then(|| {
            let path = entry.path();
            Entry { typed: format!("{directory}{name}"), is_directory: path.is_dir(), path }
        })
    };
    let there = there.take(MOST_ENTRIES).filter_map(Result::ok);
    let mut found: Vec<_> = there.filter_map(entry).collect();
    found.sort_unstable_by(|a, b| a.typed.cmp(&b.typed));
    found
}

/// Returns a path with the home directory in the place of a `~` at its beginning.
fn expanded(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(path),
    }
}
