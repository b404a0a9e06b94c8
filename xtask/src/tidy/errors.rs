//! Errors are values: what one says is for people, and no code looks for words in it.

use super::Finding;
use super::tokens::Token;
use super::tree::{File, Tree};

/// What errors are called.
const ERRORS: [&str; 7] = ["cause", "err", "error", "failure", "problem", "reason", "refusal"];

/// Ways to text.
const TEXTS: [&str; 4] = ["as_str", "message", "text", "to_string"];

/// Ways to look for something in a text.
const SEARCHES: [&str; 8] = [
    "contains",
    "ends_with",
    "find",
    "matches",
    "split_once",
    "starts_with",
    "strip_prefix",
    "strip_suffix",
];

/// Finds searches in the text of errors.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let is_shipped = |file: &&File| {
        file.path.starts_with("crates/") && file.path.contains("/src/") && !file.is_test()
    };
    let mut findings = Vec::new();
    for file in tree.sources().filter(is_shipped) {
        findings.extend(searches(&file.product_tokens()).iter().map(|search| {
            let message = "this looks for words in an error; ask the error for what is meant";
            Finding::violation(file.line(search.line), message)
        }));
    }
    findings
}

/// Returns the searches in the text of an error: `error.to_string().contains(`, `reason.contains(`.
fn searches<'t>(tokens: &[Token<'t>]) -> Vec<Token<'t>> {
    let is_search = |at: &usize| {
        let is_call = tokens.get(at + 1).is_some_and(|next| next.text == "(");
        SEARCHES.contains(&tokens[*at].text) && is_call && is_error(&tokens[..*at])
    };
    (0..tokens.len()).filter(is_search).map(|at| tokens[at]).collect()
}

/// Tells whether code ends with an error or its text, and a `.`.
fn is_error(tokens: &[Token]) -> bool {
    let before: Vec<_> = tokens.iter().rev().take(6).map(|token| token.text).collect();
    match before[..] {
        [".", ")", "(", text, ".", error] => TEXTS.contains(&text) && ERRORS.contains(&error),
        [".", error, ..] => ERRORS.contains(&error),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_words_are_looked_for_in_errors() {
        let lines = |text: &str| {
            let path = "crates/new/src/lib.rs".to_owned();
            check(&Tree { files: vec![File { path, text: text.to_owned() }] }).len()
        };
        assert_eq!(lines("fn f() { error.to_string().contains(x); }"), 1);
        assert_eq!(lines("fn f() { failure.reason.starts_with(x); }"), 1);
        assert_eq!(lines("fn f() { name.to_string().contains(x); errors.contains(x); }"), 0);
        assert_eq!(lines("#[cfg(test)] mod tests { fn f() { error.contains(x); } }"), 0);
    }
}
