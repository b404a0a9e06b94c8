//! What source files must have, and what must not be in them.
//!
//! The rules are textual. A line that starts with `//` is no code, and neither is what tests are
//! made of: see [`File::product_lines`].

use super::Finding;
use super::tree::{File, Tree};

/// Where these rules are written: they quote what they forbid.
pub(super) const SELF: &str = "xtask/src/tidy";

/// A file this long does more than one thing.
const MOST_LINES: usize = 900;

/// A file this long will soon.
const MANY_LINES: usize = 600;

/// Unfinished work belongs in an issue or in the same commit, and a test that is ignored is
/// not a test.
const UNFINISHED: [&str; 6] = ["todo!", "unimplemented!", "dbg!", "FIXME", "XXX", "#[ignore"];

/// Something that only some crates or files may have in their code.
struct Rule {
    /// Any of these, as whole words.
    words: &'static [&'static str],
    applies: fn(path: &str) -> bool,
    message: &'static str,
}

const RULES: [Rule; 5] = [
    Rule {
        words: &[
            "env::var",
            "env::var_os",
            "env::vars",
            "env::args",
            "env::args_os",
            "env::current_dir",
            "env::current_exe",
            "env::home_dir",
            "env::temp_dir",
        ],
        applies: is_library,
        message: "only the program reads the environment; take it from a `Config`",
    },
    Rule {
        words: &["println!", "print!", "eprintln!", "eprint!"],
        applies: is_library,
        message: "only the program prints; return it or emit a tracing event",
    },
    Rule {
        words: &["process::exit", "process::abort"],
        applies: is_library,
        message: "only the program ends the program; return an error",
    },
    Rule {
        words: &["Plan::discover", "Plan::discover_for", "plan.execute", "plan().execute"],
        applies: is_program,
        message: "the program asks for an operation of a library, and carries out no plan",
    },
    Rule {
        words: &["PathBuf", "Path::join", "Path::new"],
        applies: knows_no_paths,
        message: "only layouts know where files lie",
    },
];

/// The calls that make a file appear under a name.
const APPEARANCES: [&str; 5] =
    ["fs::rename", "renameat", "File::create", "File::create_new", "fs::write"];

/// The files that may make others appear, and why.
const MAY_MAKE_FILES: &[(&str, &str)] =
    &[("crates/layout/src/persist.rs", "writes, verifies, syncs and renames, for all others")];

/// Finds what is wrong with the source files.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.sources() {
        findings.extend(check_documentation(file));
        findings.extend(check_length(file));
        if !file.path.starts_with(SELF) {
            findings.extend(check_finished(file));
            findings.extend(RULES.iter().flat_map(|rule| check_rule(rule, file)));
            findings.extend(check_appearances(file));
        }
    }
    for (path, _) in MAY_MAKE_FILES.iter().filter(|(path, _)| tree.file(path).is_none()) {
        findings.push(Finding::violation(*path, "it may make files, but it does not exist"));
    }
    findings
}

fn check_documentation(file: &File) -> Option<Finding> {
    let is_root = ["/src/lib.rs", "/src/main.rs"].iter().any(|end| file.path.ends_with(end));
    let begins = ["//!", "#![doc = include_str!(\"../README.md\")]"];
    let missing = is_root && !begins.iter().any(|begin| file.text.starts_with(begin));
    let message = "a crate starts with what it is for: `//!`, or its README";
    missing.then(|| Finding::violation(&file.path, message))
}

fn check_length(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    let message = format!("it has {lines} lines");
    if lines > MOST_LINES {
        return Some(Finding::violation(
            &file.path,
            format!("{message}, {MOST_LINES} is the most"),
        ));
    }
    (lines > MANY_LINES).then(|| Finding::warning(&file.path, message))
}

fn check_finished(file: &File) -> Vec<Finding> {
    let lines = file.text.lines().enumerate();
    lines
        .flat_map(|(index, line)| {
            let found = UNFINISHED.iter().filter(move |word| has_word(line, word));
            found.map(move |word| Finding::violation(file.line(index), format!("`{word}`")))
        })
        .collect()
}

fn check_rule(rule: &Rule, file: &File) -> Vec<Finding> {
    if !(rule.applies)(&file.path) {
        return Vec::new();
    }
    let lines = file.product_lines().into_iter();
    lines
        .filter(|(_, line)| rule.words.iter().any(|word| has_word(line, word)))
        .map(|(index, _)| Finding::violation(file.line(index), rule.message))
        .collect()
}

fn check_appearances(file: &File) -> Vec<Finding> {
    let excepted = ["acceptance/", "crates/fixture/", "xtask/"];
    let excepted = excepted.iter().any(|start| file.path.starts_with(start));
    if excepted || MAY_MAKE_FILES.iter().any(|(path, _)| *path == file.path) {
        return Vec::new();
    }
    let lines = file.product_lines().into_iter();
    lines
        .filter(|(_, line)| APPEARANCES.iter().any(|call| has_word(line, call)))
        .map(|(index, _)| {
            let message = "a file appears only through `layout::persist`";
            Finding::violation(file.line(index), message)
        })
        .collect()
}

impl File {
    /// Returns the lines of code that are shipped, with their index.
    ///
    /// Test code is what lies under a `tests`, `benches` or `fuzzing` directory or in a `tests.rs`, a
    /// conformance suite (which other crates' tests call, so that it is no test of its own), and
    /// in other files what follows a `#[cfg(test)]`: to the end of the file, or to the end of the
    /// item if that is one line, such as `mod tests;`.
    fn product_lines(&self) -> Vec<(usize, &str)> {
        if self.is_test() {
            return Vec::new();
        }
        let mut product = Vec::new();
        let mut after_cfg_test = false;
        for (index, line) in self.text.lines().enumerate() {
            let code = line.trim();
            if code == "#[cfg(test)]" {
                after_cfg_test = true;
            } else if !after_cfg_test {
                if !code.starts_with("//") {
                    product.push((index, line));
                }
            } else if code.ends_with(';') {
                after_cfg_test = false;
            } else if !code.starts_with("#[") && !code.starts_with("//") {
                break;
            }
        }
        product
    }

    /// Tells whether a line, counted from 0, belongs to a test.
    pub(super) fn is_test_line(&self, index: usize) -> bool {
        self.is_test() || self.tests_begin().is_some_and(|begin| index > begin)
    }

    /// Returns the line behind which there are only tests.
    fn tests_begin(&self) -> Option<usize> {
        let mut marked = None;
        for (index, line) in self.text.lines().enumerate() {
            match line.trim() {
                "#[cfg(test)]" => marked = Some(index),
                code if code.starts_with("#[") || code.starts_with("//") => {}
                code if code.ends_with(';') => marked = None,
                _ if marked.is_some() => return marked,
                _ => {}
            }
        }
        None
    }

    /// Tells whether the file is made of tests.
    pub(super) fn is_test(&self) -> bool {
        let mut names = self.path.split('/');
        names.any(|name| {
            ["tests", "tests.rs", "benches", "fuzzing", "conformance.rs"].contains(&name)
        })
    }
}

/// Returns whether the file belongs to a crate that only the program's users see through it.
fn is_library(path: &str) -> bool {
    path.starts_with("crates/") && !path.starts_with("crates/cli/") && !path.contains("/examples/")
}

/// Returns whether the file belongs to the program.
fn is_program(path: &str) -> bool {
    path.starts_with("crates/cli/src/")
}

/// Returns whether the file belongs to a crate that must not care where files lie.
fn knows_no_paths(path: &str) -> bool {
    ["crates/spec/", "crates/store/", "crates/sync/"].iter().any(|start| path.starts_with(start))
}

/// Returns whether `line` holds `word` with nothing around it that would make it part of another.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    /// Returns the lines, counted from 1, that the rules find fault with.
    fn faults(path: &str, text: &str) -> Vec<String> {
        let file = file(path, text);
        let rules = RULES.iter().flat_map(|rule| check_rule(rule, &file));
        let all = rules.chain(check_appearances(&file)).chain(check_finished(&file));
        all.map(|finding| finding.place).collect()
    }

    #[test]
    fn libraries_do_not_print_but_the_program_does() {
        let text = "fn f() {\n    println!(\"no\");\n}\n";
        assert_eq!(faults("crates/sync/src/plan.rs", text), ["crates/sync/src/plan.rs:2"]);
        assert!(faults("crates/cli/src/main.rs", text).is_empty());
        assert!(faults("crates/sync/tests/plan.rs", text).is_empty());
    }

    #[test]
    fn comments_and_tests_are_no_product() {
        let text = "\
/// Like `println!`.
#[cfg(test)]
mod tests;
fn f() { std::process::exit(1) }
#[cfg(test)]
#[allow(unused)]
mod more {
    use std::path::PathBuf;
}
";
        assert_eq!(faults("crates/spec/src/lib.rs", text), ["crates/spec/src/lib.rs:4"]);
    }

    #[test]
    fn files_appear_in_one_place() {
        let text = "fn f() { std::fs::rename(a, b); }\n";
        assert!(faults(MAY_MAKE_FILES[0].0, text).is_empty());
        assert_eq!(faults("crates/layout/src/index.rs", text).len(), 1);
        assert_eq!(faults("crates/cli/src/main.rs", text).len(), 1);
    }

    #[test]
    fn unfinished_work_is_found_in_tests_too() {
        assert_eq!(faults("crates/cli/tests/a.rs", "    #[ignore = \"slow\"]\n").len(), 1);
        assert!(faults("crates/cli/tests/a.rs", "let template = \"XXXXXX\";\n").is_empty());
    }

    #[test]
    fn long_files_are_warned_of_and_then_refused() {
        let of = |lines| check_length(&file("crates/spec/src/lib.rs", &"\n".repeat(lines)));
        assert_eq!(of(MANY_LINES), None);
        assert_eq!(of(MOST_LINES).unwrap().weight, super::super::Weight::Warning);
        assert_eq!(of(MOST_LINES + 1).unwrap().weight, super::super::Weight::Violation);
    }

    #[test]
    fn a_crate_says_what_it_is_for() {
        assert!(check_documentation(&file("crates/spec/src/lib.rs", "mod digest;\n")).is_some());
        assert!(check_documentation(&file("crates/spec/src/digest.rs", "use a::b;\n")).is_none());
    }
}
