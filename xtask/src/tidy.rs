//! `cargo xtask tidy`: the architecture, as checks.
//!
//! The compiler cannot say who may depend on whom, or that only the program prints. These checks
//! can; they also run as a test, so that `cargo test` holds the architecture. What they find is
//! printed, all of it, before the task fails.

mod book;
mod circles;
mod errors;
mod graph;
mod modules;
mod paths;
mod public;
mod rows;
mod source;
mod tokens;
mod tree;

use std::fmt;

use anyhow::{Result, bail};

use crate::fixtures;
use tree::Tree;
use xtask::run::root;

/// Runs every check, prints what they find, and fails if any of it breaks a rule.
pub(crate) fn run() -> Result<()> {
    let findings = findings()?;
    for finding in &findings {
        println!("{finding}");
    }
    let violations = findings.iter().filter(|finding| finding.weight == Weight::Violation).count();
    if violations > 0 {
        bail!("what tidy asks for is broken in {violations} places");
    }
    println!("the tree is tidy");
    Ok(())
}

/// Returns what all checks find in the tree.
fn findings() -> Result<Vec<Finding>> {
    let tree = Tree::read(root())?;
    let mut findings = graph::check()?;
    findings.extend(source::check(&tree));
    findings.extend(circles::check(&tree));
    findings.extend(errors::check(&tree));
    findings.extend(paths::check(&tree));
    findings.extend(public::check(&tree));
    findings.extend(rows::check(&tree));
    findings.extend(book::check(&tree));
    findings.extend(fixtures::differences().into_iter().map(|difference| {
        Finding::violation("testdata", format!("{difference}; `cargo xtask fixtures` renews it"))
    }));
    Ok(findings)
}

/// Something a check has to say about a place in the tree.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    weight: Weight,
    /// A crate, a file, or a file and a line.
    place: String,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    Violation,
    Warning,
}

impl Finding {
    fn violation(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { weight: Weight::Violation, place: place.into(), message: message.into() }
    }

    fn warning(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { weight: Weight::Warning, place: place.into(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warning = if self.weight == Weight::Warning { "warning: " } else { "" };
        write!(f, "{warning}{}: {}", self.place, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        if let Err(error) = run() {
            panic!("{error}; they are printed above");
        }
    }
}
