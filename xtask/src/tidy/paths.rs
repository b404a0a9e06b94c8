//! What documents say about files, and what files say about machines.

use super::Finding;
use super::tree::{File, Tree};
use xtask::run::root;

/// Finds paths in the code map that lead nowhere, and paths of a developer's machine anywhere.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = match tree.file("ARCHITECTURE.md") {
        Some(file) => check_map(file, |path| root().join(path).exists()),
        None => vec![Finding::violation("ARCHITECTURE.md", "it is missing")],
    };
    let documents = tree.files.iter().filter(|file| !file.path.starts_with(super::source::SELF));
    findings.extend(documents.flat_map(check_machine));
    findings
}

/// Finds the paths into the tree that a document names and that do not exist.
fn check_map(document: &File, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let lines = document.text.lines().enumerate();
    let named = lines.flat_map(|(index, line)| named_paths(line).map(move |path| (index, path)));
    let absent = named.filter(|(_, path)| !exists(path));
    absent
        .map(|(index, path)| {
            Finding::violation(document.line(index), format!("there is no `{path}`"))
        })
        .collect()
}

/// Returns the words of a line that are paths into acceptance, the crates, xtask or testdata. A pattern such
/// as `crates/*` is none.
fn named_paths(line: &str) -> impl Iterator<Item = &str> {
    const ROOTS: [&str; 4] = ["acceptance/", "crates/", "xtask/", "testdata/"];
    let words = line.split(|c: char| c.is_whitespace() || "`()[]\"',;".contains(c));
    words
        .map(|word| word.trim_end_matches([':', '.']))
        .filter(|word| ROOTS.iter().any(|root| word.starts_with(root)))
        .filter(|word| !word.contains(['*', '{', '<']))
}

/// Finds absolute paths that only one person's machine has.
fn check_machine(file: &File) -> Vec<Finding> {
    const HOMES: [&str; 3] = ["/home/", "/root/", "/Users/"];
    let lines = file.text.lines().enumerate();
    let bad = lines.filter(|(_, line)| HOMES.iter().any(|home| has_absolute(line, home)));
    bad.map(|(index, _)| Finding::violation(file.line(index), "a path of somebody's machine"))
        .collect()
}

/// Returns whether `line` holds `prefix` at the start of a path, not in the middle of one.
fn has_absolute(line: &str, prefix: &str) -> bool {
    line.match_indices(prefix).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"_-.}>*".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_map_must_lead_somewhere() {
        let text =
            "Start at `crates/sync/src/plan.rs`, then\nxtask/src/main.rs. All: `crates/*`.\n";
        let map = File { path: "ARCHITECTURE.md".into(), text: text.into() };
        let findings = check_map(&map, |path| path == "xtask/src/main.rs");
        let expected = "there is no `crates/sync/src/plan.rs`";
        assert_eq!(findings, [Finding::violation("ARCHITECTURE.md:1", expected)]);
    }

    #[test]
    fn a_home_directory_is_found_at_the_start_of_a_path() {
        assert!(has_absolute("at /home/ann/src", "/home/"));
        assert!(has_absolute("file:///home/ann", "/home/"));
        assert!(!has_absolute("example.com/home/page", "/home/"));
    }
}
