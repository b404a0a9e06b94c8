//! The rows of `docs/conformance.md`, and who cites them.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::source::SELF;
use super::tree::{File, Tree};

/// Where the rows stand.
const PAGE: &str = "docs/conformance.md";

/// How many rows stand on a line of what is printed.
const ROWS_A_LINE: usize = 16;

/// A row such as `A-19`: its letter and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row(char, u16);

impl Row {
    /// Takes a word for a row, if it has the form of one.
    fn parse(word: &str) -> Option<Self> {
        let (letter, number) = word.split_once('-')?;
        let [letter @ b'A'..=b'I'] = letter.as_bytes() else { return None };
        let is_number = matches!(number.len(), 2 | 3) && number.bytes().all(|b| b.is_ascii_digit());
        let number = number.parse().ok().filter(|_| is_number)?;
        Some(Self(char::from(*letter), number))
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{:02}", self.0, self.1)
    }
}

/// Finds rows that are cited and do not exist, and those that nobody cites; tells which no test cites.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.file(PAGE) else {
        return vec![Finding::violation(PAGE, "it is missing")];
    };
    let rows = rows(&page.text);
    let mut findings = Vec::new();
    let (mut cited, mut tested) = (BTreeSet::new(), BTreeSet::new());
    for file in tree.sources().filter(|file| !file.path.starts_with(SELF)) {
        for (index, first, last) in citations(file) {
            for row in BTreeSet::from([first, last]).iter().filter(|row| !rows.contains_key(row)) {
                let message = format!("there is no row {row} in {PAGE}");
                findings.push(Finding::violation(file.line(index), message));
            }
            let rows = rows.range(first..=last).map(|(row, _)| *row);
            if file.is_test_line(index) {
                tested.extend(rows.clone());
            }
            cited.extend(rows);
        }
    }
    for (row, index) in rows.iter().filter(|(row, _)| !cited.contains(row)) {
        findings.push(Finding::violation(page.line(*index), format!("nobody cites {row}")));
    }
    let untested: Vec<_> = cited.difference(&tested).map(ToString::to_string).collect();
    findings.extend(
        untested
            .chunks(ROWS_A_LINE)
            .map(|rows| Finding::warning(PAGE, format!("no test cites {}", rows.join(" ")))),
    );
    findings
}

/// Returns the rows of the page with the number of their line, counted from 0.
fn rows(page: &str) -> BTreeMap<Row, usize> {
    let lines = page.lines().enumerate();
    let rows = lines.filter_map(|(index, line)| {
        let (row, _) = line.strip_prefix("| ")?.split_once(" |")?;
        Some((Row::parse(row)?, index))
    });
    rows.collect()
}

/// Returns what a file cites: the number of the line, counted from 0, and the first and last row.
/// `A-01 to A-09` cites all that are there from the one to the other.
fn citations(file: &File) -> Vec<(usize, Row, Row)> {
    let mut found = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        let mut words = words.filter(|word| !word.is_empty()).peekable();
        while let Some(word) = words.next() {
            let Some(first) = Row::parse(word) else { continue };
            let is_span = words.next_if_eq(&"to").is_some();
            let last = words.peek().and_then(|word| Row::parse(word)).filter(|_| is_span);
            found.push((index, first, last.unwrap_or(first).max(first)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    fn found(code: &str) -> Vec<String> {
        let page =
            file(PAGE, "| row | rule |\n|---|---|\n| A-01 | x |\n| A-09 | x |\n| E-100 | y |\n");
        let tree = Tree { files: vec![page, file("crates/spec/src/lib.rs", code)] };
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rows_that_are_cited_must_be_there() {
        let code = "//! (row A-01)\n// rows A-02 and E-100\n#[cfg(test)]\nmod tests {\n// A-01 to A-09\n}\n";
        assert_eq!(
            found(code),
            [
                "crates/spec/src/lib.rs:2: there is no row A-02 in docs/conformance.md",
                "warning: docs/conformance.md: no test cites E-100",
            ]
        );
    }

    #[test]
    fn rows_that_are_there_must_be_cited() {
        let found = found("//! x\n#[cfg(test)]\nmod tests {\n// A-01, A-09\n}\n");
        assert_eq!(found, ["docs/conformance.md:5: nobody cites E-100"]);
    }

    #[test]
    fn other_words_are_no_rows() {
        assert_eq!(Row::parse("E-100").map(|row| row.to_string()).as_deref(), Some("E-100"));
        for word in ["A-1", "J-01", "UTF-16", "A-0001", "sha-256", "A-1a", "AA-01"] {
            assert_eq!(Row::parse(word), None, "{word}");
        }
    }
}
