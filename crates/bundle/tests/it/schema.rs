//! The published schema of `bundle.yaml`, held to the reader.

use std::collections::BTreeSet;

use longshore_bundle::{EXAMPLE, SCHEMA, Selection};
use longshore_fixture::misfit;
use serde_json::{Map, Value};

#[test]
fn the_schema_and_the_reader_agree() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let cases = [
        "artifacts: []",
        "artifacts: [{ ref: a }]",
        "artifacts: [{ ref: a, platforms: [linux/amd64], types: [chart], referrers: all }]",
        "artifacts: [{ repository: a.io/b }]",
        "artifacts: [{ repository: a.io/b, tags: [v1, 1.20] }]",
        "artifacts: [{ repository: a.io/b, tags: { regex: a, semver: '1', exclude: [b], newest: 3 } }]",
        "artifacts: [{ ref: a, referrers: { types: [sbom] } }]",
        "{ defaults: { platforms: [], types: [], referrers: none }, artifacts: [] }",
        "{ defaults: { sparseIndex: strip }, artifacts: [{ ref: a, sparseIndex: keep }] }",
        "artifacts: [{ ref: a, sparseIndex: thin }]",
        "{}",
        "[]",
        "defaults: {}",
        "{ artifacts: [], more: 1 }",
        "{ name: acme/plant-7, artifacts: [] }",
        "{ name: [a], artifacts: [] }",
        "{ artifacts: [], defaults: { ref: a } }",
        "{ artifacts: [], defaults: [] }",
        "artifacts: {}",
        "artifacts: [a]",
        "artifacts: [{}]",
        "artifacts: [{ ref: a, repository: b }]",
        "artifacts: [{ ref: a, tags: [b] }]",
        "artifacts: [{ ref: a, more: b }]",
        "artifacts: [{ ref: [a] }]",
        "artifacts: [{ ref: a, platforms: linux/amd64 }]",
        "artifacts: [{ ref: a, types: chart }]",
        "artifacts: [{ ref: a, referrers: some }]",
        "artifacts: [{ ref: a, referrers: {} }]",
        "artifacts: [{ ref: a, referrers: { types: [sbom], more: 1 } }]",
        "artifacts: [{ ref: a, referrers: [sbom] }]",
        "artifacts: [{ repository: a, tags: v1 }]",
        "artifacts: [{ repository: a, tags: { more: 1 } }]",
        "artifacts: [{ repository: a, tags: { newest: -1 } }]",
        "artifacts: [{ repository: a, tags: { newest: many } }]",
        "artifacts: [{ repository: a, tags: { exclude: a } }]",
        EXAMPLE,
    ];
    let mut verdicts = BTreeSet::new();
    for text in cases {
        let value: Value = serde_saphyr::from_str(text).unwrap();
        let read = Selection::from_yaml("bundle.yaml", text);
        let misfit = misfit(&schema, &value);
        assert_eq!(misfit.is_none(), read.is_ok(), "{text}: {misfit:?}, {read:?}");
        verdicts.insert(read.is_ok());
    }
    assert_eq!(verdicts.len(), 2);
}

#[test]
fn the_schema_has_every_key_that_the_reader_knows_and_no_other() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    for (text, at) in [
        ("{ artifacts: [], zzz: 1 }", "/properties"),
        ("{ artifacts: [], defaults: { zzz: 1 } }", "/properties/defaults/properties"),
        ("artifacts: [{ zzz: 1 }]", "/$defs/artifact/properties"),
        ("artifacts: [{ tags: { zzz: 1 } }]", "/$defs/tags/anyOf/1/properties"),
        ("artifacts: [{ referrers: { zzz: 1 } }]", "/$defs/referrers/anyOf/1/properties"),
    ] {
        let error = Selection::from_yaml("bundle.yaml", text).unwrap_err().to_string();
        let known = error.split("expected ").last().unwrap_or_default();
        let known = known.trim_start_matches("one of ").split(", ");
        let known: BTreeSet<&str> = known.map(|key| key.trim_matches('`')).collect();
        let said = schema.pointer(at).and_then(Value::as_object).unwrap();
        assert_eq!(known, said.keys().map(String::as_str).collect(), "{at}: {error}");
    }
}

#[test]
fn the_example_uses_every_key() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let selection = Selection::from_yaml("bundle.yaml", EXAMPLE).unwrap();
    assert!(selection.items.len() > 3);
    let keys = |at| schema.pointer(at).and_then(Value::as_object).into_iter().flat_map(Map::keys);
    for key in keys("/$defs/artifact/properties").chain(keys("/$defs/tags/anyOf/1/properties")) {
        assert!(EXAMPLE.contains(&format!("{key}:")), "{key}");
    }
}
