//! The pages of the book that show what the program prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::Site;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");

/// Writes the pages of commands anew.
const RENEW: &str = "INSTA_UPDATE=always cargo test -p longshore-cli --test it book";

#[test]
fn the_pages_of_commands_are_their_help() {
    let directory = Path::new(DOCS).join("commands");
    let pages = pages(&Site::new());
    if std::env::var_os("INSTA_UPDATE").is_some_and(|how| how == "always") {
        for (name, page) in &pages {
            fs::write(directory.join(name), page).unwrap();
        }
    }
    for (name, page) in &pages {
        let there = fs::read_to_string(directory.join(name)).unwrap_or_default();
        assert!(
            there == *page,
            "docs/commands/{name} is not what `--help` says: `{RENEW}` writes it"
        );
    }
    for path in files(&directory) {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(
            pages.contains_key(name),
            "there is no command for docs/commands/{name}: remove it"
        );
    }
}

/// Returns the page of each command, and their list, by file name.
fn pages(site: &Site) -> BTreeMap<String, String> {
    let help = site.ok("--help");
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let lines = commands.lines().take_while(|line| !line.is_empty());
    // A text that goes on in a second line is further in.
    let lines = lines.filter(|line| !line.starts_with("   "));
    let commands = lines.filter_map(|line| line.split_whitespace().next());
    let mut index = "# Commands\n\nThese pages are what `--help` prints. `longshore COMMAND --help` shows them.\n\n\
                     | command | what it does |\n|---|---|\n"
        .to_owned();
    let mut pages = BTreeMap::new();
    for name in commands.filter(|name| *name != "help") {
        let help = site.ok(&format!("{name} --help"));
        let (about, usage) = help.split_once("\n\n").unwrap();
        writeln!(index, "| [{name}]({name}.md) | {about} |").unwrap();
        let usage: Vec<_> = usage.lines().map(str::trim_end).collect();
        let usage = usage.join("\n");
        let page =
            format!("# longshore {name}\n\n{about}.\n\n```text\n{}\n```\n", usage.trim_end());
        pages.insert(format!("{name}.md"), page);
    }
    index += "\n## Places and exit codes\n\n```text\n";
    index += help.split_once("\n\nPlaces:\n").map(|(_, places)| places).unwrap().trim_end();
    pages.insert("index.md".to_owned(), index + "\n```\n");
    pages
}

#[test]
fn messages_in_the_book_are_those_that_tests_see() {
    let tests =
        files(Path::new(TESTS)).into_iter().filter_map(|path| fs::read_to_string(path).ok());
    let tests: String = tests.collect();
    let mut messages = 0;
    for path in files(Path::new(DOCS)) {
        let Ok(page) = fs::read_to_string(&path) else { continue };
        let lines = page.lines().map(str::trim);
        let starts = ["error: ", "warning: ", "hint: "];
        for line in lines.filter(|line| starts.iter().any(|start| line.starts_with(start))) {
            let is_seen = tests.lines().any(|seen| seen.trim() == line);
            assert!(is_seen, "{}: no test sees the message: {line}", path.display());
            messages += usize::from(!line.starts_with("hint: "));
        }
    }
    assert!(messages >= 30, "{messages} messages were found");
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
