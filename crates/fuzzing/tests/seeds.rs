//! Every seed is fine, and every target has seeds and a program.

#![allow(clippy::unwrap_used, reason = "what tests share fails as they do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use longshore_fuzzing::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names(directory: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz().join(directory)).unwrap().map(Result::unwrap);
    let name = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    entries.map(|entry| name(entry.path())).collect()
}

#[test]
fn every_seed_is_fine() {
    for (name, target) in TARGETS {
        for seed in fs::read_dir(fuzz().join("seeds").join(name)).unwrap() {
            let path = seed.unwrap().path();
            let input = fs::read(&path).unwrap();
            let ran = std::panic::catch_unwind(|| target(&input));
            assert!(ran.is_ok(), "{}", path.display());
        }
    }
}

#[test]
fn every_target_has_seeds_and_a_program() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("seeds"), targets);
    assert_eq!(names("fuzz_targets"), targets);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(names(&format!("seeds/{name}")).len() > 1, "{name}");
        let program = format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"");
        assert!(manifest.contains(&program), "{name}");
    }
}
