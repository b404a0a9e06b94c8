//! What the public items of the crates may not have: the name of another one, and `bool` parameters.

use std::collections::BTreeMap;

use super::Finding;
use super::tokens::Token;
use super::tree::{File, Tree};

/// Finds public types of one name in several places, and public functions that are told something by a
/// `bool`.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut faults = Vec::new();
    let mut types: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for file in tree.sources().filter(|file| is_public(file)) {
        let tokens = file.product_tokens();
        for name in public_types(&tokens) {
            types.entry(name.text).or_default().push(file.line(name.line));
        }
        faults.extend(flags(&tokens).iter().map(|name| {
            let message = format!(
                "`{}` is told something by a `bool`; an enum says what is meant",
                name.text
            );
            Finding::violation(file.line(name.line), message)
        }));
    }
    for (name, mut places) in types.into_iter().filter(|(_, places)| places.len() > 1) {
        let place = places.remove(0);
        let others = places.join(", ");
        let message = format!("`{name}` is also at {others}; a public type has a name of its own");
        faults.push(Finding::violation(place, message));
    }
    faults
}

/// Tells whether others see what is public in a file. What is `pub` and cannot be reached, the compiler
/// reports.
fn is_public(file: &File) -> bool {
    file.path.starts_with("crates/") && file.path.contains("/src/")
}

/// Returns the names of types and traits that are public.
fn public_types<'t>(tokens: &[Token<'t>]) -> Vec<Token<'t>> {
    let of = |window: &[Token<'t>]| match window {
        [public, kind, name]
            if public.text == "pub"
                && ["struct", "enum", "union", "trait", "type"].contains(&kind.text) =>
        {
            Some(*name)
        }
        _ => None,
    };
    tokens.windows(3).filter_map(of).collect()
}

/// Returns the names of public functions that have a `bool` among their parameters. Those of a trait are as
/// public as the trait.
fn flags<'t>(tokens: &[Token<'t>]) -> Vec<Token<'t>> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    // How deep in braces a public trait is.
    let mut in_trait = None;
    let mut is_next_trait = false;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "{" => {
                depth += 1;
                if std::mem::take(&mut is_next_trait) {
                    in_trait = Some(depth);
                }
            }
            "}" => {
                if in_trait == Some(depth) {
                    in_trait = None;
                }
                depth = depth.saturating_sub(1);
            }
            "trait" if at > 0 && tokens[at - 1].text == "pub" => is_next_trait = true,
            "fn" => {
                let before = tokens[..at].iter().rev().map(|token| token.text);
                let mut before =
                    before.skip_while(|word| ["const", "async", "unsafe"].contains(word));
                let is_public = before.next() == Some("pub") || in_trait == Some(depth);
                let name = tokens.get(at + 1).filter(|name| name.is_word());
                found.extend(name.filter(|_| is_public && has_flag(&tokens[at + 2..])));
            }
            _ => {}
        }
    }
    found
}

/// Tells whether one of the parameters is a `bool`; begins behind the name of the function.
fn has_flag(tokens: &[Token]) -> bool {
    let mut depth = 0_usize;
    // Parameters begin at the first bracket that is not within `<` and `>`.
    let mut generics = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "<" if depth == 0 => generics += 1,
            ">" if depth == 0 && at > 0 && tokens[at - 1].text != "-" => {
                generics = generics.saturating_sub(1);
            }
            "(" if generics == 0 => depth += 1,
            ")" if generics == 0 => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return false;
                }
            }
            "bool" if depth == 1 && at > 0 && tokens[at - 1].text == ":" => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is found in two crates of a file each.
    fn found(first: &str, second: &str) -> Vec<String> {
        let file = |name: &str, text: &str| File {
            path: format!("crates/{name}/src/lib.rs"),
            text: text.to_owned(),
        };
        let tree = Tree { files: vec![file("a", first), file("b", second)] };
        check(&tree)
            .iter()
            .map(|finding| format!("{}: {}", finding.place, finding.message))
            .collect()
    }

    #[test]
    fn public_types_have_names_of_their_own() {
        let expected = "crates/a/src/lib.rs:1: `A` is also at crates/b/src/lib.rs:2; a public type has a name of its own";
        assert_eq!(found("pub struct A;", "\npub trait A {}"), [expected]);
        assert!(found("pub struct A;", "pub(crate) struct A; struct A; pub use c::A;").is_empty());
    }

    #[test]
    fn functions_are_told_nothing_by_a_bool() {
        let expected =
            "crates/a/src/lib.rs:1: `f` is told something by a `bool`; an enum says what is meant";
        for code in [
            "pub fn f(a: u8, b: bool) {}",
            "pub const fn f<T: Fn() -> u8>(b: bool) -> bool {}",
            "pub trait T { fn f(&self, b: bool); }",
        ] {
            assert_eq!(found(code, ""), [expected], "{code}");
        }
        for code in [
            "pub(crate) fn f(b: bool) {}",
            "pub fn f(is: impl Fn(bool) -> bool) -> bool { let b: bool = true; }",
            "pub trait T { fn f(&self) -> bool; } impl T for X { fn f(b: bool) {} }",
        ] {
            assert!(found(code, "").is_empty(), "{code}");
        }
    }
}
