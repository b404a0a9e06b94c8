//! What `schema` prints, and what is held to it.

use std::collections::BTreeMap;

use longshore_fixture::{Content, Draft, misfit};
use serde_json::Value;

use crate::common::{Ran, Site};
use crate::servers::{Served, Stub};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json.md");

/// The schemas that the program prints, each asked for once.
#[derive(Default)]
pub(crate) struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// Panics unless a value is what a schema says, with no key beside those that it names.
    pub(crate) fn check(&mut self, name: &str, value: &Value) {
        let schema = self.0.entry(name.to_owned()).or_insert_with(|| {
            serde_json::from_str(&Site::new().ok(&format!("schema {name}"))).unwrap()
        });
        if let Some(misfit) = misfit(schema, value) {
            panic!("this is not what `longshore schema {name}` says: {misfit}: {value}");
        }
    }
}

#[test]
fn there_is_a_list_and_a_schema_for_each_name_in_it() {
    let site = Site::new();
    let list = site.json("schema");
    let names = list.as_array().unwrap().iter().map(|known| known["name"].as_str().unwrap());
    let names: Vec<_> = names.collect();
    for name in ["copy", "find-images", "bundle.yaml", "bundle.lock", "bundle.json", "progress"] {
        assert!(names.contains(&name), "{name}");
    }
    assert_eq!(site.ok("schema ls"), site.ok("schema list"));
    let text = site.ok("schema");
    let shown = text.lines().skip(1).map(|line| line.split("  ").next().unwrap());
    assert_eq!(shown.collect::<Vec<_>>(), names);
    for name in names {
        let text = site.ok(&format!("schema {name}"));
        assert_eq!(text, site.ok(&format!("schema --json {name}")), "{name}");
        let schema: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(schema["title"], name);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
    }
}

#[test]
fn every_key_is_described() {
    fn look(schema: &Value, name: &str) {
        let members = schema.as_object().into_iter().flatten();
        for (keyword, of) in members {
            match of {
                Value::Object(keys) if keyword == "properties" => {
                    for (key, of) in keys {
                        let is_fixed = of.get("const").is_some();
                        let about = of.get("description").or_else(|| of.get("$ref"));
                        assert!(is_fixed || about.is_some(), "{name}: {key}");
                        look(of, name);
                    }
                }
                Value::Object(_) => look(of, name),
                Value::Array(all) => all.iter().for_each(|of| look(of, name)),
                _ => {}
            }
        }
    }
    let site = Site::new();
    for known in site.json("schema").as_array().unwrap() {
        let name = known["name"].as_str().unwrap();
        look(&serde_json::from_str(&site.ok(&format!("schema {name}"))).unwrap(), name);
    }
}

#[test]
fn the_document_and_the_schemas_agree_on_types() {
    let site = Site::new();
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let (mut schema, mut about, mut checked) = (Value::Null, "", 0);
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            about = heading.trim_matches('`');
            let name = match about {
                "Errors" => "error",
                "list HOST" => "list",
                command if heading.starts_with('`') => command,
                _ => "",
            };
            schema = match name {
                "" => Value::Null,
                name => serde_json::from_str(&site.ok(&format!("schema {name}"))).unwrap(),
            };
        }
        let row: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [key, kind, _] = row[..] else { continue };
        let (Some(key), false) = (key.strip_prefix('`'), schema.is_null()) else { continue };
        let key = key.trim_end_matches('`');
        let top = match about {
            "list" => &schema["anyOf"][0],
            "list HOST" => &schema["anyOf"][1],
            _ => &schema,
        };
        let (of, is_optional) = member(&schema, top, key);
        let (kind, said) = match kind.strip_suffix(", optional") {
            Some(kind) => (kind, true),
            None => (kind, false),
        };
        assert_eq!(is_optional, said, "{about}: {key}");
        let expected = match kind {
            "text" => "string",
            "number" => "integer",
            "true" | "true or false" => "boolean",
            "list" | "list of text" => "array",
            "object" | "object of text" => "object",
            "any" => "null",
            other => panic!("{about}: {key} is of a type that is not known: {other}"),
        };
        // What is one of several words is a text, too.
        let of = of.get("oneOf").map_or(of, |words| &words[0]);
        assert_eq!(of["type"].as_str().unwrap_or("null"), expected, "{about}: {key}: {of}");
        checked += 1;
    }
    assert!(checked > 200, "{checked}");
}

/// Returns the schema of what a path such as `roots[].digest` leads to, and whether it may be left out.
fn member<'s>(root: &'s Value, schema: &'s Value, path: &str) -> (&'s Value, bool) {
    let (mut schema, mut is_optional) = (referred(root, schema), false);
    for part in path.split('.') {
        let (key, is_list) = part.strip_suffix("[]").map_or((part, false), |key| (key, true));
        if !key.is_empty() {
            let required = schema["required"].as_array().into_iter().flatten();
            is_optional = required.filter(|required| *required == key).count() == 0;
            let found = schema["properties"].get(key).unwrap_or_else(|| panic!("{path}: {schema}"));
            schema = referred(root, found);
        }
        if is_list {
            schema = referred(root, &schema["items"]);
        }
    }
    (schema, is_optional)
}

fn referred<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(to) => root.pointer(to.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

#[test]
fn what_is_told_line_by_line_fits() {
    let mut schemas = Schemas::default();
    let site = Site::typed();
    site.fixture("layout-missing-blob");
    let served = Stub::start(|_| {
        let body = r#"{"errors":[{"code":"DENIED","message":"no"}]}"#;
        ("403 Forbidden".to_owned(), body.as_bytes().to_vec())
    });
    let mut events = Vec::new();
    for line in [
        "copy --all oci:site oci:far",
        "copy --all oci:layout-missing-blob oci:other",
        &format!("copy oci:site:app {}/app", served.host()),
        "verify oci:far",
    ] {
        let ran = site.run(&format!("{line} --progress json"));
        for line in ran.stderr.lines().filter(|line| line.starts_with('{')) {
            let event: Value = serde_json::from_str(line).unwrap();
            schemas.check("progress", &event);
            events.push(event["event"].as_str().unwrap().to_owned());
        }
    }
    for event in ["begun", "moving", "artifact", "failed", "finished"] {
        assert!(events.iter().any(|seen| seen == event), "{event}: {events:?}");
    }
}

#[test]
fn files_of_bundles_fit() {
    let mut schemas = Schemas::default();
    let site = Site::typed();
    let served = Served::start(&site, "oci:site");
    let host = served.host();
    site.file(
        "bundle.yaml",
        format!("artifacts: [{{ ref: {host}/site:app }}, {{ ref: {host}/site:chart, types: [chart] }}]\n"),
    );
    site.ok("lock -q");
    let read = |path: &str| -> Value {
        serde_json::from_slice(&std::fs::read(site.path(path)).unwrap()).unwrap()
    };
    schemas.check("bundle.lock", &read("bundle.lock"));
    site.ok("export -q -f bundle.yaml --locked -o oci:bundle --docker-manifest=linux/amd64");
    let record = read("bundle/bundle.json");
    schemas.check("bundle.json", &record);
    assert!(record.get("dockerManifest").is_some());
    site.ok("import -q oci:bundle oci:far --report report.json");
    schemas.check("import-report", &read("report.json"));
    site.run(&format!("export -q {host}/site:app {host}/site:none --keep-going -o oci:some"));
    let record = read("some/bundle.json");
    schemas.check("bundle.json", &record);
    assert_eq!(record["leftOut"][0]["why"], "failed");
}

#[test]
fn documents_of_volumes_fit() {
    let mut schemas = Schemas::default();
    let site = Site::new();
    let mut content = Content::new();
    let layer = content.blob("application/vnd.oci.image.layer.v1.tar", vec![7; 300_000]);
    let config = content.empty();
    let image = content.manifest(&Draft::image(&config, &[layer]));
    content.tag(&image, "registry.example/app:v1");
    site.put("near", &content);
    let export = "export oci:near:registry.example/app:v1 -o site.tar --volume-size 150KiB";
    let dry = site.json(&format!("{export} --dry-run"));
    schemas.check("export", &dry);
    assert!(dry["id"].is_null());
    schemas.check("export", &site.json(export));
    let run = |line: &str, code: i32| -> Value {
        let ran = site.run(line);
        assert_eq!(ran.code, code, "{line}: {}", ran.stderr);
        serde_json::from_slice(&ran.stdout).unwrap()
    };
    let record = std::process::Command::new("tar")
        .current_dir(site.root())
        .args(["xOf", "site.v001.tar", "bundle.json"])
        .output()
        .unwrap();
    let record: Value = serde_json::from_slice(&record.stdout).unwrap();
    schemas.check("bundle.json", &record);
    assert!(record["volumes"].is_number() && record["formatVersion"] == 3);
    let verified = run("verify --json site.v001.tar", 3);
    schemas.check("verify", &verified);
    assert_eq!(verified["volumes"]["faults"][0]["roots"][0], "registry.example/app:v1");
    schemas.check("import", &run("import --json site.v001.tar oci:far", 4));
    let status = run("import --json --status site.v001.tar oci:far", 4);
    schemas.check("import-status", &status);
    assert_eq!(status["waiting"][0], "registry.example/app:v1");
}

#[test]
fn a_name_that_has_no_schema_lists_what_has() {
    let ran: Ran = Site::new().run("schema bundle.yml");
    assert_eq!(ran.code, 2);
    for said in ["'bundle.yml'", "copy", "bundle.lock", "a similar value exists: 'bundle.yaml'"] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
}
