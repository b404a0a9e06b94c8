//! Which modules of a crate use each other.
//!
//! Modules beside each other, each with all that is below it, use each other in one direction only. A
//! module and those below it may use each other: they are one subject in several files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::Finding;
use super::modules::{Crate, ModulePath, Usage, crates};
use super::tree::Tree;

/// Finds modules that use each other in a circle.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    crates(tree).iter().flat_map(check_crate).collect()
}

/// What modules use of others, by the one that uses and the one that is used.
type Edges<'t> = BTreeMap<(ModulePath<'t>, ModulePath<'t>), Vec<Usage<'t>>>;

fn check_crate(of: &Crate) -> Vec<Finding> {
    let mut edges = Edges::new();
    for usage in of.usages() {
        let common = usage.user.iter().zip(&usage.used).take_while(|(a, b)| a == b).count();
        if common < usage.user.len().min(usage.used.len()) {
            let edge = (usage.user[..=common].to_vec(), usage.used[..=common].to_vec());

            edges.entry(edge).or_default().push(usage);
        }
    }
    circles(&edges).iter().map(|circle| report(of, circle, &edges)).collect()
}

/// Returns the sets of modules that all reach each other.
fn circles<'t>(edges: &Edges<'t>) -> BTreeSet<BTreeSet<ModulePath<'t>>> {
    let modules: BTreeSet<_> = edges.keys().map(|(user, _)| user).collect();
    let reached: BTreeMap<_, _> =
        modules.into_iter().map(|module| (module, reachable(module, edges))).collect();
    let of = |module: &ModulePath<'t>| -> BTreeSet<ModulePath<'t>> {
        let back =
            |other: &&ModulePath<'t>| reached.get(*other).is_some_and(|from| from.contains(module));
        reached[module].iter().filter(back).cloned().collect()
    };
    reached.keys().map(|module| of(module)).filter(|circle| circle.len() > 1).collect()
}

/// Returns what can be reached from a module, itself only through others.
fn reachable<'t>(from: &ModulePath<'t>, edges: &Edges<'t>) -> BTreeSet<ModulePath<'t>> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![from];
    while let Some(module) = pending.pop() {
        for (_, used) in edges.keys().filter(|(user, _)| user == module) {
            if reached.insert(used.clone()) {
                pending.push(used);
            }
        }
    }
    reached
}

/// Names a circle, and each use in it.
fn report(of: &Crate, circle: &BTreeSet<ModulePath>, edges: &Edges) -> Finding {
    let names: Vec<_> = circle.iter().map(|path| path.join("::")).collect();
    let mut message = format!("modules use each other in a circle: {}", names.join(", "));
    for ((user, used), usages) in edges {
        if circle.contains(user) && circle.contains(used) {
            let _ = write!(message, "\n  {} uses {}:", user.join("::"), used.join("::"));
            let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for usage in usages {
                files.entry(&of.modules[&usage.user].file.path).or_default().push(usage.name);
            }
            for (path, names) in files {
                let _ = write!(message, "\n    {path}: {}", names.join(", "));
            }
        }
    }
    Finding::violation(of.directory, message)
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::*;

    /// Returns what is found in a crate of these files.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(path, text)| File {
            path: format!("crates/new/src/{path}"),
            text: (*text).to_owned(),
        });
        let tree = Tree { files: files.collect() };
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn modules_beside_each_other_make_no_circle() {
        let a = ("a.rs", "use crate::b::B;\nstruct A;");
        assert!(found(&[a, ("b.rs", "struct B; // crate::a::A")]).is_empty());
        assert!(found(&[a, ("b.rs", "struct B;\n#[cfg(test)]\nuse crate::a::A;")]).is_empty());
        let expected = "crates/new: modules use each other in a circle: a, b\n  a uses b:\n    \
                        crates/new/src/a.rs: B\n  b uses a:\n    crates/new/src/b.rs: A";
        assert_eq!(found(&[a, ("b.rs", "struct B(super::a::A);")]), [expected]);
        assert_eq!(found(&[a, ("b.rs", "use super::a; struct B { field: a::A }")]), [expected]);
    }

    #[test]
    fn what_is_below_a_module_belongs_to_it() {
        let a = ("a.rs", "mod inner; use inner::f; struct A;");
        let below = ("a/inner.rs", "use super::A; use crate::b::B;");
        assert!(found(&[a, below, ("b.rs", "struct B;")]).is_empty());
        assert_eq!(found(&[a, below, ("b.rs", "use crate::a::A; struct B;")]).len(), 1);
    }

    #[test]
    fn a_path_ends_where_the_item_is_defined() {
        let root = ("lib.rs", "mod a; mod b; pub use b::{B, c as d}; pub(crate) use a::*;");
        let a = ("a.rs", "use crate::{B, d}; struct A;");
        let b = ("b.rs", "struct B; fn c() {}");
        assert!(found(&[root, a, b]).is_empty());
        assert_eq!(found(&[root, a, ("b.rs", "struct B(crate::A); fn c() {}")]).len(), 1);
    }
}
