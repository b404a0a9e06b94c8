//! The JSON of each command, and the document that describes it.

use std::collections::{BTreeMap, BTreeSet};

use longshore_fixture::{Content, Draft};
use serde_json::Value;

use crate::common::{Ran, Site};
use crate::schemas::Schemas;
use crate::servers::{Served, Stub};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json.md");

const POD: &str = "kind: Pod\nmetadata: { name: web }\nspec: { containers: [{ image: nginx }] }\n";

/// A key by the path that leads to it: `roots[].digest`.
type Keys = BTreeSet<String>;

/// What commands printed, each document held to its schema.
#[derive(Default)]
struct Printed {
    keys: BTreeMap<String, Keys>,
    schemas: Schemas,
}

impl Printed {
    fn take(&mut self, command: &str, document: &Value) {
        self.schemas.check(command.split(' ').next().unwrap_or_default(), document);
        collect(document, "", self.keys.entry(command.to_owned()).or_default());
    }
}

#[test]
fn the_document_and_the_program_agree_on_every_key() {
    let documented = documented();
    let printed = printed();
    assert_eq!(
        documented.keys().collect::<Vec<_>>(),
        printed.keys().collect::<Vec<_>>(),
        "the commands"
    );
    for (command, keys) in &printed {
        let said = &documented[command];
        let missing: Vec<_> = keys.difference(said).collect();
        assert!(missing.is_empty(), "docs/json.md says nothing of {missing:?} of `{command}`");
        let never: Vec<_> = said.difference(keys).collect();
        assert!(never.is_empty(), "`{command}` never printed {never:?}, which docs/json.md has");
    }
}

#[test]
fn nothing_but_one_document_goes_to_stdout() {
    let site = Site::typed();
    std::fs::create_dir(site.path("man")).unwrap();
    site.file("pod.yaml", POD);
    for line in commands() {
        site.json(line);
    }
}

#[test]
fn what_could_not_begin_says_why() {
    let site = Site::typed();
    site.file("none.yaml", "artifacts: []\n");
    site.file("bundle.yaml", "artifacts: [{ ref: 127.0.0.1:1/app:1 }]\n");
    site.fixture("layout-index-corrupt");
    let lines = [
        ("copy oci:none oci:far", 2, "io"),
        ("copy oci:none", 2, "usage"),
        ("copy --frobnicate", 2, "usage"),
        ("frobnicate", 2, "usage"),
        ("list", 2, "usage"),
        ("list oci:none", 2, "io"),
        ("list 127.0.0.1:1/app", 2, "connection"),
        ("inspect oci:site:none", 1, "incomplete"),
        ("tree oci:site:none", 1, "incomplete"),
        ("digest oci:site:none", 1, "incomplete"),
        ("verify oci:layout-index-corrupt", 3, "malformed"),
        ("tag oci:site:none x", 1, "incomplete"),
        ("untag oci:site:none", 1, "incomplete"),
        ("delete oci:site:none", 1, "not-found"),
        ("gc oci:none", 2, "io"),
        ("find-images none", 2, "io"),
        ("completions tcsh", 2, "usage"),
        ("init none.yaml", 2, "exists"),
        ("man none.yaml/man", 2, "io"),
        ("export -f none.yaml -o b.tar", 2, "usage"),
        ("export oci:site:app -o none/b.tar", 2, "not-found"),
        ("import none.tar", 2, "io"),
        ("lock -f none.yaml", 2, "usage"),
        ("lock", 1, "incomplete"),
        ("login --username me https://x", 2, "usage"),
        ("logout --authfile none x", 2, "usage"),
        ("serve none", 2, "usage"),
    ];
    let keys = documented_errors();
    let mut schemas = Schemas::default();
    for (line, code, kind) in lines {
        let ran = site.run(&format!("{line} --json"));
        assert_eq!(ran.code, code, "{line}: {}", ran.stderr);
        let document: Value = serde_json::from_slice(&ran.stdout)
            .unwrap_or_else(|error| panic!("{line}: {error}: {}", ran.text()));
        assert_eq!(document["exitCode"], code, "{line}");
        assert_eq!(document["error"]["kind"], kind, "{line}: {}", ran.stderr);
        let message = document["error"]["message"].as_str().unwrap();
        assert!(
            ran.stderr.contains(&format!("error: {message}")),
            "{line}: {message}: {}",
            ran.stderr
        );
        schemas.check("error", &document);
        let mut printed = Keys::new();
        collect(&document, "", &mut printed);
        printed.retain(|key| !key.starts_with("failures[]"));
        assert!(printed.is_subset(&keys), "{line}: {printed:?}");
        // Without the flag nothing goes there.
        assert_eq!(site.run(line).text(), "", "{line}");
    }
    let locked: Value = serde_json::from_slice(&site.run("lock --json").stdout).unwrap();
    assert_eq!(locked["failures"][0]["kind"], "connection");
    schemas.check("error", &locked);
    let denied = Stub::start(|_| {
        let body = r#"{"errors":[{"code":"DENIED","message":"no"}]}"#;
        ("403 Forbidden".to_owned(), body.as_bytes().to_vec())
    });
    let ran = site.run(&format!("list --json {}/app", denied.host()));
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(
        (&document["error"]["status"], &document["error"]["codes"][0]),
        (&403.into(), &"DENIED".into())
    );
    // Help is what was asked for, and one document is enough where there is one already.
    assert!(site.ok("copy --help --json").starts_with("Copy"));
    let refused = site.run("export --json oci:site:app oci:none -o b.tar");
    serde_json::from_slice::<Value>(&refused.stdout).unwrap();
}

#[test]
fn a_usage_error_names_the_argument() {
    let site = Site::new();
    for (line, arguments, value) in [
        ("list", vec!["PLACE"], None),
        ("export", vec!["--output", "REF"], None),
        ("copy --frobnicate a b", vec!["--frobnicate"], None),
        ("copy --jobs x a b", vec!["--jobs"], Some("x")),
        ("copy --progress foo a b", vec!["--progress"], Some("foo")),
        ("copy a --all --all-tags b", vec!["--all", "--all-tags"], None),
        ("export a -o", vec!["--output"], None),
        ("completions tcsh", vec!["SHELL"], Some("tcsh")),
        ("import a.tar oci:b --map xx", vec!["--map"], Some("xx")),
        ("import a.tar https://x.example/A", vec!["DST"], Some("https://x.example/A")),
        ("frobnicate", vec![], Some("frobnicate")),
    ] {
        let ran = site.run(&format!("{line} --json"));
        assert_eq!(ran.code, 2, "{line}");
        let error = &serde_json::from_slice::<Value>(&ran.stdout).unwrap()["error"];
        let named = error.get("arguments").map_or(Value::Array(Vec::new()), Value::clone);
        assert_eq!(named, Value::from(arguments), "{line}: {error}");
        assert_eq!(error.get("value").and_then(Value::as_str), value, "{line}: {error}");
        let keys = documented_errors();
        let mut printed = Keys::new();
        collect(error, "error", &mut printed);
        assert!(printed.is_subset(&keys), "{line}: {printed:?}");
    }
}

#[test]
fn what_lock_cannot_have_and_what_export_refuses_is_in_the_document() {
    let site = Site::typed();
    let served = Served::start(&site, "oci:site");
    let host = served.host();
    site.file(
        "bundle.yaml",
        format!("artifacts: [{{ ref: {host}/site:app }}, {{ ref: {host}/site:none }}]\n"),
    );
    for line in ["lock --json", "lock --check --json"] {
        let ran = site.run(line);
        let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
        let failed = &document["failures"][0];
        assert_eq!((&failed["kind"], &failed["status"]), (&"not-found".into(), &404.into()));
        assert!(failed["subject"].as_str().unwrap().ends_with("none"), "{line}: {document}");
    }
    let ran = site.run(&format!(
        "export {host}/site:app --platform linux/amd64,linux/arm64 -o sparse.tar --json"
    ));
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((ran.code, &document["exitCode"]), (2, &2.into()));
    let failed = &document["failures"][0];
    assert_eq!(failed["kind"], "sparse-index");
    assert_eq!(failed["subject"], format!("{host}/site:app"));
}

/// Returns the keys of the document that says why a command could not begin.
fn documented_errors() -> Keys {
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let section = text.split("## Errors\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let keys = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    keys.map(ToOwned::to_owned).collect()
}

/// One line for each command that there is, in an order in which each succeeds.
fn commands() -> [&'static str; 15] {
    [
        "copy --all oci:site oci:far",
        "list oci:site",
        "inspect oci:site:app",
        "tree oci:site",
        "digest oci:site:app oci:site:chart",
        "verify oci:site",
        "tag oci:far:app v1",
        "untag oci:far:v1",
        "delete oci:far:policy",
        "gc oci:far",
        "types",
        "schema",
        "find-images pod.yaml",
        "completions bash",
        "man man",
    ]
}

/// Runs every command in all the ways that change what is printed; returns its keys.
fn printed() -> BTreeMap<String, Keys> {
    let site = Site::typed();
    std::fs::create_dir(site.path("man")).unwrap();
    site.file("pod.yaml", POD);
    for name in [
        "layout-missing-blob",
        "layout-bad-digest-manifest",
        "layout-stray-files",
        "unknown-entry",
        "layout-unverifiable-digest",
        "names-none",
        "layout-sparse-platform",
    ] {
        site.fixture(name);
    }
    let more = [
        "copy oci:site:none oci:site:app oci:more",
        "copy --all oci:layout-bad-digest-manifest oci-archive:bad.tar",
        "copy --all oci:layout-unverifiable-digest --allow-unverified oci:unproven",
        "copy --dry-run oci:site:app oci:more",
        "copy oci:site:chart oci:more:app",
        "copy oci:site:chart oci:site:bottle oci:more",
        "tag oci:more:bottle chart",
        "copy --platform linux/amd64,linux/arm64 oci:site:app oci:sparse",
        "list --all oci:site",
        "list --all oci:layout-bad-digest-manifest",
        "list oci:unknown-entry",
        "inspect oci:site:chart",
        "inspect oci:site:settings",
        "inspect oci:layout-unverifiable-digest",
        "tree oci:layout-missing-blob",
        "tree oci:layout-sparse-platform",
        "verify oci:layout-missing-blob",
        "verify oci:layout-stray-files",
        "verify oci:layout-sparse-platform",
        "verify --allow-unverified oci:layout-unverifiable-digest",
        "gc --older-than 0 oci:layout-stray-files",
    ];
    let referrer = site.json("list --all --type sbom oci:site")[0]["digest"].clone();
    let subject = format!("inspect oci:site@{}", referrer.as_str().unwrap());
    let mut printed = Printed::default();
    for line in commands().into_iter().chain(more).chain([subject.as_str()]) {
        let ran = site.run(&format!("{line} --json"));
        let document: Value = serde_json::from_slice(&ran.stdout)
            .unwrap_or_else(|error| panic!("{line}: {error}: {}", ran.stderr));
        printed.take(line.split(' ').next().unwrap_or_default(), &document);
    }
    // It prints before it ends.
    let served = Served::start(&site, "oci:site");
    printed.take("serve", &served.document);
    let host = served.host();
    for (command, line) in [
        ("list HOST", format!("list {host}")),
        ("login", format!("login -u me --password-stdin --authfile auth.json {host}")),
        ("logout", format!("logout --authfile auth.json {host}")),
    ] {
        printed.take(command, &told(&site, &line, "hunter2"));
    }
    let incomplete = Served::start(&site, "oci:layout-missing-blob");
    let incomplete = incomplete.host();
    let refused = [
        format!("copy {host}/site:none {host}/site:app oci:more"),
        format!("verify {incomplete}/layout-missing-blob:app"),
    ];
    for line in bundling(&site, host).into_iter().chain(refused) {
        let ran = site.run(&format!("{line} --json"));
        let document: Value = serde_json::from_slice(&ran.stdout)
            .unwrap_or_else(|error| panic!("{line}: {error}: {}", ran.stderr));
        printed.take(line.split(' ').next().unwrap_or_default(), &document);
    }
    let ran = site.run("import --json --status large.v001.tar oci:large-far");
    printed.take("import-status", &serde_json::from_slice(&ran.stdout).unwrap());
    printed.keys
}

/// Returns an image with a layer that is longer than a small volume.
fn longer_than_a_volume() -> Content {
    Content::tagged("registry.example/app:v1", |content| {
        let layer = content.blob("application/vnd.oci.image.layer.v1.tar", vec![7; 300_000]);
        let config = content.empty();
        content.manifest(&Draft::image(&config, &[layer]))
    })
}

/// Returns commands about bundles from and to the registry `host`, which takes no pushes.
fn bundling(site: &Site, host: &str) -> Vec<String> {
    site.ok(&format!("export -q --platform linux/amd64,linux/arm64 --sparse-index keep {host}/site:app -o oci:bundle"));
    site.file("wanted.txt", format!("{host}/site:chart\n"));
    site.ok(&format!("copy -q oci:site:chart oci:imported:{host}/site:app"));
    site.put("large", &longer_than_a_volume());
    site.ok("lock -q -f wanted.txt");
    site.ok(&format!("export -q {host}/site:app -o locked.tar"));
    site.ok(&format!("export -q {host}/site:app -o whole.tar"));
    // What a site lacks that holds nothing of what is taken for granted there.
    site.ok(&format!("export -q {host}/site:app --base whole.tar -o lacking.tar"));
    assert_eq!(site.run("import lacking.tar oci:nothing --missing missing.txt").code, 1);
    // What has moved, refers to something now, and is wanted in another way.
    let wanted = |platform: &str| {
        format!(
            "artifacts: [{{ ref: {host}/site:chart, platforms: [{platform}] }}, {{ ref: {host}/site:app }}]\n"
        )
    };
    site.file("changed.yaml", wanted("linux/amd64"));
    site.ok("lock -q -f changed.yaml");
    let sbom = site.json("list --all --type sbom oci:site")[0]["digest"].clone();
    let mut changed = std::fs::read_to_string(site.path("changed.lock")).unwrap();
    for digest in [&site.digest("oci:site:chart"), sbom.as_str().unwrap()] {
        changed = changed.replace(digest, &format!("sha256:{}", "1".repeat(64)));
    }
    site.file("changed.lock", changed);
    site.file(
        "lost.yaml",
        format!("artifacts: [{{ ref: {host}/site:app }}, {{ ref: {host}/site:none }}]\n"),
    );
    site.file("changed.yaml", wanted("linux/arm64"));
    // A bundle that no longer has what one of its name brought, of which somebody moved one.
    let series = |tags: &[&str]| {
        let refs = tags.iter().map(|tag| format!("{{ ref: {host}/site:{tag} }}"));
        let refs = refs.collect::<Vec<_>>().join(", ");
        site.file("series.yaml", format!("name: acme/plant-7\nartifacts: [{refs}]\n"));
    };
    series(&["app", "chart", "policy"]);
    site.ok("export -q -f series.yaml --sequence 1 -o oci:first");
    site.ok("import -q oci:first oci:pruned");
    site.ok(&format!("tag -q oci:pruned:{host}/site:app {host}/site:policy"));
    series(&["app"]);
    site.ok("export -q -f series.yaml --sequence 2 -o oci:second");
    site.ok(&format!("copy -q oci:site:bottle oci:mirrored:{host}/site:chart"));
    site.file(
        "mirror.yaml",
        format!(
            "target: oci:mirrored\n\
             artifacts:\n\
             - {{ ref: {host}/site:app, platforms: [linux/amd64, linux/arm64], sparseIndex: keep }}\n\
             - {{ ref: {host}/site:chart }}\n\
             - {{ ref: {host}/site:none }}\n"
        ),
    );
    vec![
        "import oci:second oci:pruned --prune --yes".to_owned(),
        "verify oci:second".to_owned(),
        format!("export {host}/site:app {host}/site:none --keep-going -o bundle.tar"),
        format!(
            "export {host}/site:app {host}/site:chart --docker-manifest=linux/amd64 -o docker.tar"
        ),
        format!("export {host}/site:app --platform linux/amd64 -o bundle.tar --dry-run --force"),
        "import oci:bundle oci:imported --dry-run".to_owned(),
        "import oci:bundle oci:elsewhere --dry-run".to_owned(),
        format!("import oci:bundle {host}/x"),
        "verify oci:bundle".to_owned(),
        "verify bundle.tar".to_owned(),
        "export -f wanted.txt -o locked.tar --check".to_owned(),
        "export -f wanted.txt -o oci:bundle --check".to_owned(),
        "lock -f changed.yaml --check".to_owned(),
        "lock -f lost.yaml".to_owned(),
        format!(
            "export {host}/site:app --platform linux/amd64,linux/arm64 --sparse-index keep -o sparse.tar"
        ),
        "import whole.tar oci:whole".to_owned(),
        "init wishes.yaml".to_owned(),
        "mirror --dry-run".to_owned(),
        "mirror".to_owned(),
        "receipt oci:whole -o whole.receipt".to_owned(),
        "copy oci:site:app oci:before:x".to_owned(),
        "copy oci:site:chart oci:now:x".to_owned(),
        "diff oci:before oci:now".to_owned(),
        format!("export {host}/site:app --base whole.tar -o delta.tar"),
        "verify delta.tar --base whole.tar".to_owned(),
        "list delta.tar".to_owned(),
        "tree delta.tar".to_owned(),
        "diff oci:before oci:site".to_owned(),
        format!("export {host}/site:app --only missing.txt -o repair.tar"),
        "verify repair.tar".to_owned(),
        "export oci:large:registry.example/app:v1 -o large.tar --volume-size 150KiB".to_owned(),
        "verify large.v001.tar".to_owned(),
        "import large.v001.tar oci:large-far".to_owned(),
    ]
}

/// Runs a command with a text on stdin; returns the document that it prints.
fn told(site: &Site, line: &str, text: &str) -> Value {
    site.file("stdin", text);
    let mut command = site.command(&format!("{line} --json"));
    command.stdin(std::fs::File::open(site.path("stdin")).unwrap());
    let ran = Ran::of(command.output().unwrap());
    assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
    serde_json::from_slice(&ran.stdout).unwrap()
}

fn collect(value: &Value, path: &str, keys: &mut Keys) {
    match value {
        Value::Array(items) => {
            for item in items {
                collect(item, &format!("{path}[]"), keys);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let path = format!("{path}.{name}").trim_start_matches('.').to_owned();
                match name.as_str() {
                    // What people wrote, not what the program names.
                    "annotations" => {}
                    // A tree in a tree.
                    "children" => collect(member, "", keys),
                    _ => collect(member, &path, keys),
                }
                keys.insert(path);
            }
        }
        _ => {}
    }
}

/// Returns the keys that the document has in the first column of its tables, by command.
fn documented() -> BTreeMap<String, Keys> {
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let mut documented: BTreeMap<String, Keys> = BTreeMap::new();
    let mut command = None;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            command = heading.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        }
        let Some(command) = command else { continue };
        let keys = documented.entry(command.to_owned()).or_default();
        let key = line.strip_prefix("| `").and_then(|rest| rest.split('`').next());
        keys.extend(key.map(ToOwned::to_owned));
    }
    documented
}
