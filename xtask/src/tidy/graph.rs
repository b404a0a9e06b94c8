//! Who may depend on whom.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Deserialize;

use super::Finding;
use xtask::run::{capture, cargo};

/// The crates, and those of the workspace that each may name in its dependencies. What these may
/// use, it may use too.
///
/// Most of the architecture is in what is absent here: `sync` does not know what a layout or a
/// registry is, `registry` does not know where content lies, and nothing that is shipped knows
/// the fixtures.
const ALLOWED: &[(&str, &[&str])] = &[
    ("longshore-spec", &[]),
    ("longshore-store", &["longshore-spec"]),
    ("longshore-layout", &["longshore-store"]),
    ("longshore-remote", &["longshore-store"]),
    ("longshore-registry", &["longshore-store"]),
    ("longshore-sync", &["longshore-store"]),
    ("longshore-fixture", &["longshore-store"]),
    ("longshore-bundle", &["longshore-sync", "longshore-layout"]),
    ("longshore", &["longshore-bundle", "longshore-remote", "longshore-registry"]),
    ("longshore-cli", &["longshore"]),
    ("longshore-fuzzing", &["longshore-bundle", "longshore-remote", "longshore-registry"]),
    ("xtask", &["longshore-fixture"]),
    ("acceptance", &["longshore-fixture", "xtask"]),
];

/// What tests may use beyond that. Every crate but the fixtures themselves may use the fixtures,
/// and any crate may name itself, to turn on its own features.
const ALLOWED_IN_TESTS: &[(&str, &[&str])] = &[
    // A copy is tested between the places that people have.
    ("longshore-sync", &["longshore-layout"]),
    // What a server promises, it promises of the disk.
    ("longshore-registry", &["longshore-layout"]),
    // The first page of the client has somebody to talk to.
    ("longshore-remote", &["longshore-registry"]),
];

const FIXTURE: &str = "longshore-fixture";

/// Finds dependencies between the workspace's crates that the design does not have.
pub(super) fn check() -> Result<Vec<Finding>> {
    let args = ["metadata", "--format-version", "1", "--no-deps", "--offline"];
    let metadata: Metadata = serde_json::from_str(&capture(&mut cargo(args))?)?;
    Ok(violations(&metadata.packages))
}

/// As much of `cargo metadata` as is asked about.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Build,
    Dev,
}

fn violations(packages: &[Package]) -> Vec<Finding> {
    let members: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in packages {
        let Some(named) = entry(ALLOWED, &package.name) else {
            let message = "is not in the table of crates in xtask/src/tidy/graph.rs";
            findings.push(Finding::violation(&package.name, message));
            continue;
        };
        let dependencies = package.dependencies.iter();
        for dependency in dependencies.filter(|each| members.contains(each.name.as_str())) {
            let Dependency { name, kind } = dependency;
            let in_tests = *kind == Some(Kind::Dev);
            if reachable(named).contains(name.as_str())
                || in_tests && is_allowed_in_tests(&package.name, name)
            {
                continue;
            }
            let how = if in_tests { "its tests may not use" } else { "it may not depend on" };
            findings.push(Finding::violation(&package.name, format!("{how} {name}")));
        }
    }
    findings
}

/// Returns the crates that are named, those that they may use, and so on.
fn reachable(named: &[&'static str]) -> BTreeSet<&'static str> {
    let mut reached = BTreeSet::new();
    let mut pending = named.to_vec();
    while let Some(name) = pending.pop() {
        if reached.insert(name) {
            pending.extend(entry(ALLOWED, name).unwrap_or_default());
        }
    }
    reached
}

fn is_allowed_in_tests(package: &str, dependency: &str) -> bool {
    dependency == FIXTURE
        || dependency == package
        || entry(ALLOWED_IN_TESTS, package).is_some_and(|named| named.contains(&dependency))
}

fn entry(
    table: &'static [(&'static str, &'static [&'static str])],
    name: &str,
) -> Option<&'static [&'static str]> {
    table.iter().find(|(each, _)| *each == name).map(|(_, named)| *named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<Kind>)]) -> Package {
        let dependencies =
            dependencies.iter().map(|&(name, kind)| Dependency { name: name.to_owned(), kind });
        Package { name: name.to_owned(), dependencies: dependencies.collect() }
    }

    /// Returns what is said of a package in a workspace that has every crate.
    fn said(name: &str, dependencies: &[(&str, Option<Kind>)]) -> Vec<String> {
        let mut packages: Vec<Package> =
            ALLOWED.iter().map(|(each, _)| package(each, &[])).collect();
        packages.push(package(name, dependencies));
        violations(&packages).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_allowed_is_closed_over() {
        assert!(said("longshore-layout", &[("longshore-spec", None), ("tar", None)]).is_empty());
        assert!(
            said("longshore", &[("longshore-sync", None), ("longshore-store", None)]).is_empty()
        );
        assert!(said("acceptance", &[("longshore-fixture", None), ("xtask", None)]).is_empty());
    }

    #[test]
    fn sync_knows_layouts_only_in_tests() {
        let layout = "longshore-layout";
        assert!(said("longshore-sync", &[(layout, Some(Kind::Dev))]).is_empty());
        let finding = "longshore-sync: it may not depend on longshore-layout";
        assert_eq!(said("longshore-sync", &[(layout, None)]), [finding]);
        assert_eq!(said("longshore-sync", &[(layout, Some(Kind::Build))]), [finding]);
    }

    #[test]
    fn fixtures_are_for_tests() {
        assert!(said("longshore-spec", &[(FIXTURE, Some(Kind::Dev))]).is_empty());
        assert_eq!(
            said("longshore", &[(FIXTURE, None)]),
            ["longshore: it may not depend on longshore-fixture"]
        );
        assert_eq!(
            said("longshore-store", &[("longshore-layout", Some(Kind::Dev))]),
            ["longshore-store: its tests may not use longshore-layout"]
        );
    }

    #[test]
    fn a_new_crate_must_be_placed() {
        assert_eq!(said("longshore-new", &[]).len(), 1);
    }
}
