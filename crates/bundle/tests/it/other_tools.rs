//! Files of other tools.

use longshore_bundle::{Choice, Parsed, Selection};
use longshore_spec::Tag;
use longshore_sync::Referring;

fn read(text: &str) -> Parsed {
    Selection::parse("their.yaml", text).unwrap_or_else(|error| panic!("{error}"))
}

/// Says what is wanted of some tags, and what is ignored.
fn shown(text: &str, tags: &[&str]) -> String {
    let Parsed { selection, ignored } = read(text);
    let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
    let mut lines = Vec::new();
    for item in selection.items {
        let mut line = match item.choice {
            Choice::Reference(reference) => reference.to_string(),
            Choice::Layout(..) | Choice::References(..) => panic!("no other tool has layouts"),
            Choice::Repository(repository, rules) => {
                let chosen = rules.choose(&tags).unwrap();
                let chosen: Vec<_> = chosen.iter().map(Tag::as_str).collect();
                format!("{repository}: {}", chosen.join(" "))
            }
        };
        for platform in item.platforms {
            line.extend([" for ", &platform.to_string()]);
        }
        if matches!(item.referrers, Referring::Taken(_)) {
            line.push_str(", with referrers");
        }
        lines.push(line);
    }
    lines.extend(ignored.iter().map(|what| format!("ignored: {what}")));
    lines.join("\n")
}

#[test]
fn the_yaml_of_skopeo_sync_is_read() {
    let text = r#"
registry.example.com:
    images:
        busybox: []
        redis:
            - "1.0"
            - 2.0
            - "sha256:0000000000000000000000000000000011111111111111111111111111111111"
    images-by-tag-regex:
        nginx: ^1\.13\.[12]-alpine-perl$
    images-by-semver:
        alpine: ">= 3.12.0"
    credentials:
        username: john
        password: this is a secret
    tls-verify: true
quay.io:
    images:
        coreos/etcd:
            - latest
"#;
    let tags = ["latest", "1.13.1-alpine-perl", "x1.13.1-alpine-perl", "3.20", "3.2"];
    insta::assert_snapshot!(shown(text, &tags), @"
    quay.io/coreos/etcd:latest, with referrers
    registry.example.com/busybox: 1.13.1-alpine-perl 3.2 3.20 latest x1.13.1-alpine-perl, with referrers
    registry.example.com/redis:1.0, with referrers
    registry.example.com/redis:2.0, with referrers
    registry.example.com/redis@sha256:0000000000000000000000000000000011111111111111111111111111111111, with referrers
    registry.example.com/nginx: 1.13.1-alpine-perl, with referrers
    registry.example.com/alpine: 3.20, with referrers
    ignored: their.yaml:13:5: registry.example.com.credentials: this key is ignored
    ignored: their.yaml:16:5: registry.example.com.tls-verify: this key is ignored
    ");
    assert!(!format!("{:?}", read(text)).contains("secret"));
}

#[test]
fn tags_and_patterns_are_what_is_written_and_no_numbers() {
    let text = "
a.example.com:
    images:
        one: [3.10, 2024_01, 0x10]
        all:
    images-by-tag-regex:
        two: 10
    images-by-semver:
        three: 1.10
        four: '>= v1.10.1, <2'
        five: 1.x
";
    let tags = ["3.10", "3.1", "110-x", "1.1", "1.10.0", "1.10.7", "1.11"];
    insta::assert_snapshot!(shown(text, &tags), @"
    a.example.com/all: 1.1 1.10.0 1.10.7 1.11 110-x 3.1 3.10, with referrers
    a.example.com/one:3.10, with referrers
    a.example.com/one:2024_01, with referrers
    a.example.com/one:0x10, with referrers
    a.example.com/two: 1.10.0 1.10.7 110-x 3.10, with referrers
    a.example.com/five: 1.1 1.10.0 1.10.7 1.11, with referrers
    a.example.com/four: 1.10.7 1.11, with referrers
    a.example.com/three: 1.10.0 1.10.7, with referrers
    ");
    let text = "
sync:
  - source: a.example.com/one
    target: b
    type: repository
    tags: { allow: [3.10], deny: [1.10] }
";
    insta::assert_snapshot!(shown(text, &tags), @"
    a.example.com/one: 3.10
    ignored: their.yaml:4:5: sync[0].target: targets are ignored; `import` says where to
    ");
}

#[test]
fn the_yaml_of_regsync_is_read() {
    let text = r#"
version: 1
creds:
  - registry: registry:5000
    user: "{{env \"USER\"}}"
defaults:
  ratelimit: { min: 100 }
  digestTags: true
sync:
  - source: busybox:latest
    target: registry:5000/library/busybox:latest
    type: image
  - source: alpine
    target: registry:5000/library/alpine
    type: repository
    tags:
      allow: ["3", "3\\.\\d+"]
      deny: ["3\\.1"]
    platform: linux/amd64
    digestTags: false
    schedule: "0 * * * *"
"#;
    insta::assert_snapshot!(shown(text, &["3", "3.1", "3.20", "3.20-rc", "latest"]), @"
    docker.io/library/busybox:latest, with referrers
    docker.io/library/alpine: 3 3.20 for linux/amd64
    ignored: their.yaml:3:1: creds: this key is ignored
    ignored: their.yaml:7:3: defaults.ratelimit: this key is ignored
    ignored: their.yaml:11:5: sync[0].target: targets are ignored; `import` says where to
    ignored: their.yaml:21:5: sync[1].schedule: this key is ignored
    ");
}

#[test]
fn the_images_of_hauler_are_read() {
    let text = r"
apiVersion: content.hauler.cattle.io/v1
kind: Images
metadata:
  name: all
  annotations:
    hauler.dev/platform: linux/amd64
    hauler.dev/registry: registry.example.com
    hauler.dev/key: cosign.pub
spec:
  images:
    - name: busybox
    - name: acme/app:1
      platform: linux/arm64
    - name: ghcr.io/acme/app:1
      platform: all
      key: cosign.pub
";
    insta::assert_snapshot!(shown(text, &[]), @"
    registry.example.com/busybox:latest for linux/amd64, with referrers
    registry.example.com/acme/app:1 for linux/arm64, with referrers
    ghcr.io/acme/app:1, with referrers
    ignored: their.yaml:9:5: metadata.annotations.hauler.dev/key: signatures are not verified, so this key is ignored; `cosign verify --key` verifies them
    ignored: their.yaml:17:7: spec.images[2].key: signatures are not verified, so this key is ignored; `cosign verify --key` verifies them
    ");
}

#[test]
fn what_is_wrong_in_them_is_named() {
    let error = |text: &str| Selection::parse("their.yaml", text).unwrap_err().to_string();
    let cases = [
        "r.example.com:\n  images-by-tag-regex:\n    a: '('\n",
        "r.example.com:\n  images:\n    A: []\n",
        "sync:\n  - source: A\n    target: b\n    type: image\n",
        "sync:\n  - source: a\n    target: b\n    type: repository\n    tags: { allow: ['['] }\n",
        "apiVersion: content.hauler.cattle.io/v1\nkind: Images\nspec:\n  images:\n    - name: a b\n",
        "a: 1\n---\nb: 2\n",
        "artifacts: []\n---\nartifacts: []\n",
        "# nothing\n",
        "r.example.com:\n  images:\n    a: latest\n",
        "r.example.com:\n  images:\n    a: [~]\n",
    ];
    let shown: Vec<_> = cases.iter().map(|text| error(text)).collect();
    insta::assert_snapshot!(shown.join("\n"), @"
    their.yaml:3:5: r.example.com.images-by-tag-regex.a: this is not a regular expression: unclosed group
    their.yaml:3:5: r.example.com.images.A: `r.example.com/A` is not a reference: a repository has no upper-case letters; write `r.example.com/a`
    their.yaml:2:5: sync[0].source: `A` is not a reference: a repository has no upper-case letters; write `a`
    their.yaml:5:13: sync[0].tags.allow: this is not a regular expression: unclosed character class
    their.yaml:5:7: spec.images[0].name: `a b` is not a reference: `library/a b` is not a repository name: `a b` must be lower-case letters and digits, joined by `.`, `_`, `__` or dashes
    their.yaml:1:1: unknown field `a`, expected one of name, defaults, artifacts
    their.yaml:3:1: a second document begins here; write all into one
    their.yaml:2:1: the file ends where something is expected
    their.yaml:3:8: a list is expected here: `[a, b]`, or lines that begin with `- `
    their.yaml:3:9: a text is expected here, and there is none
    ");
}

#[test]
fn what_chooses_in_a_way_that_is_not_read_is_an_error_and_not_everything() {
    let regsync = |rest: &str| {
        format!("version: 1\nsync:\n  - source: a.example.com/b\n    type: repository\n{rest}\n")
    };
    let hauler = |kind: &str| {
        let of = |kind: &str| format!("apiVersion: content.hauler.cattle.io/v1\nkind: {kind}\n");
        format!("{}spec:\n  images: [{{ name: busybox }}]\n---\n{}", of("Images"), of(kind))
    };
    let cases = [
        regsync("    tags:\n      allow: ['3']\n      semverRange: ['>=3.22']"),
        regsync("    tagSets:\n      - allow: ['3']"),
        regsync("    mediaTypes: [a/b]"),
        format!("defaults:\n  mediaTypes: [a/b]\n{}", regsync("")),
        "sync:\n  - source: a.example.com\n    target: b\n    type: registry\n".to_owned(),
        hauler("Charts"),
        hauler("Files"),
        hauler("ThickCharts"),
    ];
    let error = |text: &String| Selection::parse("their.yaml", text).unwrap_err().to_string();
    let shown: Vec<_> = cases.iter().map(error).collect();
    insta::assert_snapshot!(shown.join("\n"), @"
    their.yaml:7:7: sync[0].tags.semverRange: this filter is not supported, and too much would be copied without it; `tags: { semver: RANGE }` in `bundle.yaml` does the same
    their.yaml:5:5: sync[0].tagSets: this filter is not supported, and too much would be copied without it; `tags` in `bundle.yaml` chooses by list, `regex` or `semver`
    their.yaml:5:5: sync[0].mediaTypes: this filter is not supported, and too much would be copied without it; `types` in `bundle.yaml` chooses by type
    their.yaml:2:3: defaults.mediaTypes: this filter is not supported, and too much would be copied without it; `types` in `bundle.yaml` chooses by type
    their.yaml:4:5: sync[0].type: `registry` is not read; write a step of type `repository` for each of its repositories
    their.yaml:7:1: kind: `Charts` are not read; write a chart that lies in a registry as `ref: HOST/PATH:VERSION` of `bundle.yaml`
    their.yaml:7:1: kind: `Files` are not read; push files to a registry first, such as with oras, and write that as `ref`
    their.yaml:7:1: kind: `ThickCharts` are not read; take the document out, and write what it wants as `ref` of `bundle.yaml`
    ");
}
