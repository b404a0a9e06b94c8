//! The published schema of `bundle.yaml`, held to the reader.

use std::collections::BTreeSet;

use longshore_bundle::{EXAMPLE, Selection};
use serde_json::{Map, Value};

const SCHEMA: &str = include_str!("../../../../docs/bundle.schema.json");

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
        assert_eq!(fits(&schema, &schema, &value), read.is_ok(), "{text}: {read:?}");
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

/// Tells whether a value fits a schema, by the keywords that ours uses.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let Value::Object(keywords) = schema else { panic!("{schema} is no schema") };
    let all = |of: &Value, is: &dyn Fn(&Value) -> bool| of.as_array().unwrap().iter().all(is);
    let count = |of: &Value| {
        of.as_array().unwrap().iter().filter(|schema| fits(root, schema, value)).count()
    };
    keywords.iter().all(|(keyword, of)| match keyword.as_str() {
        "$schema" | "$defs" | "title" | "description" => true,
        "$ref" => {
            let path = of.as_str().unwrap().trim_start_matches('#');
            fits(root, root.pointer(path).unwrap(), value)
        }
        "type" => match of {
            Value::Array(types) => types.iter().any(|of| is_a(of, value)),
            of => is_a(of, value),
        },
        "enum" => of.as_array().unwrap().contains(value),
        "minimum" => value.as_f64().is_none_or(|number| number >= of.as_f64().unwrap()),
        "required" => value
            .as_object()
            .is_none_or(|members| all(of, &|key| members.contains_key(key.as_str().unwrap()))),
        "properties" => value.as_object().is_none_or(|members| {
            members
                .iter()
                .all(|(key, value)| of.get(key).is_none_or(|schema| fits(root, schema, value)))
        }),
        "additionalProperties" => {
            assert_eq!(*of, Value::Bool(false));
            let known = keywords.get("properties").and_then(Value::as_object).unwrap();
            value
                .as_object()
                .is_none_or(|members| members.keys().all(|key| known.contains_key(key)))
        }
        "items" => {
            value.as_array().is_none_or(|items| items.iter().all(|item| fits(root, of, item)))
        }
        "anyOf" => count(of) > 0,
        "oneOf" => count(of) == 1,
        "not" => !fits(root, of, value),
        other => panic!("the schema has `{other}`, which this test does not know"),
    })
}

fn is_a(of: &Value, value: &Value) -> bool {
    match of.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the schema has the type `{other}`, which this test does not know"),
    }
}
