//! `bundle.yaml`.

use longshore_bundle::{Choice, Item, Selection, SparseIndex};
use longshore_sync::Referring;

fn read(text: &str) -> Selection {
    Selection::from_yaml("bundle.yaml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn error(text: &str) -> String {
    Selection::from_yaml("bundle.yaml", text).expect_err(text).to_string()
}

/// Says in a line what is wanted.
fn shown(item: &Item) -> String {
    let what = match &item.choice {
        Choice::Reference(reference) => reference.to_string(),
        Choice::Repository(repository, rules) => format!("{repository} {:?}", rules.listed()),
        Choice::Layout(layout) => layout.to_string(),
        Choice::References(layout, rules) => format!("{layout} {:?}", rules.listed()),
    };
    let platforms: Vec<_> = item.platforms.iter().map(ToString::to_string).collect();
    let referrers = match item.referrers {
        Referring::Ignored => "none",
        Referring::Counted => "counted",
        Referring::Taken(_) => "taken",
    };
    format!("{}: {what} {platforms:?} {referrers}", item.line)
}

#[test]
fn what_is_wanted_is_read_with_defaults_for_what_it_does_not_say() {
    let selection = read(
        "
defaults:
  platforms: [linux/amd64]
  referrers: none
artifacts:
  - ref: alpine:3.20
  - ref: quay.io/acme/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    platforms: [linux/arm64, linux/arm/v7]
    referrers: all
  - repository: ghcr.io/acme/charts/shop
    tags: [1.20, 1.21]
    referrers: { types: [signature, sbom] }
  - repository: ghcr.io/acme/everything
    platforms: []
",
    );
    let shown: Vec<_> = selection.items.iter().map(shown).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    6: docker.io/library/alpine:3.20 ["linux/amd64"] none
    7: quay.io/acme/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 ["linux/arm64", "linux/arm/v7"] taken
    10: ghcr.io/acme/charts/shop Some([1.20, 1.21]) ["linux/amd64"] taken
    13: ghcr.io/acme/everything None [] none
    "#);
}

#[test]
fn what_becomes_of_sparse_indexes_is_read_too() {
    let text = "{ defaults: { sparseIndex: strip }, artifacts: [{ ref: a }, { ref: b, sparseIndex: keep }] }";
    let of =
        |text: &str| -> Vec<_> { read(text).items.iter().map(|item| item.sparse_index).collect() };
    assert_eq!(of(text), [SparseIndex::Strip, SparseIndex::Keep]);
    assert_eq!(of("artifacts: [{ ref: a }]"), [SparseIndex::Refuse]);
    assert_eq!(
        error("artifacts: [{ ref: a, sparseIndex: thin }]"),
        "bundle.yaml:1:36: sparseIndex: `thin` is neither `keep` nor `strip`"
    );
}

#[test]
fn what_is_wrong_is_named_by_line_and_field() {
    let cases = [
        "artifacts:\n  - ref: alpine\n    platfroms: [linux/amd64]\n",
        "artefacts: []\n",
        "artifacts:\n  - ref: alpine\n    platforms: linux/amd64\n",
        "artifacts:\n  - ref: alpine\n    platforms: [amd64]\n",
        "artifacts:\n  - ref: Alpine:3.20\n",
        "artifacts:\n  - platforms: [linux/amd64]\n",
        "artifacts:\n  - ref: a\n    repository: b\n",
        "artifacts:\n  - ref: a\n    tags: [b]\n",
        "artifacts:\n  - repository: a:b\n",
        "artifacts:\n  - repository: a\n    tags: { regex: '(' }\n",
        "artifacts:\n  - repository: a\n    tags: { semver: 'abc' }\n",
        "artifacts:\n  - repository: a\n    tags: { newest: many }\n",
        "artifacts:\n  - repository: a\n    tags: { latest: 3 }\n",
        "artifacts:\n  - repository: a\n    tags: [-b]\n",
        "artifacts:\n  - ref: a\n    types: [cahrt]\n",
        "artifacts:\n  - ref: a\n    referrers: some\n",
        "artifacts:\n  - ref: a\n    referrers: { types: [signatur] }\n",
        "artifacts:\n  - ref: a\n    ref: b\n",
        "artifacts:\n  - ref: [a\n",
        "artifacts:\n\t- ref: a\n",
        "",
    ];
    let shown: Vec<_> = cases.iter().map(|text| error(text)).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    bundle.yaml:3:5: unknown field `platfroms`, expected one of ref, repository, tags, platforms, sparseIndex, types, referrers
    bundle.yaml:1:1: unknown field `artefacts`, expected one of name, defaults, artifacts
    bundle.yaml:3:16: a list is expected here: `[a, b]`, or lines that begin with `- `
    bundle.yaml:3:17: platforms: `amd64` is not a platform: write OS/ARCH or OS/ARCH/VARIANT, such as linux/amd64 or linux/arm/v7
    bundle.yaml:2:10: ref: `Alpine:3.20` is not a reference: a repository has no upper-case letters; write `alpine:3.20`
    bundle.yaml:2:5: this has neither a `ref` nor a `repository`, which say what is wanted
    bundle.yaml:2:5: this has a `ref` and a `repository`; one of them says what is wanted
    bundle.yaml:2:5: `tags` choose among those of a `repository`, and this has a `ref`
    bundle.yaml:2:17: repository: `a:b` is one artifact; write it as `ref`
    bundle.yaml:3:20: tags.regex: this is not a regular expression: unclosed group
    bundle.yaml:3:21: tags.semver: `abc` is not a version range: unexpected character 'a' while parsing major version number
    bundle.yaml:3:21: a whole number is expected here
    bundle.yaml:3:13: unknown field `latest`, expected one of regex, semver, exclude, newest
    bundle.yaml:3:12: tags: `-b` is not a tag: it must begin with a letter, a digit or `_`
    bundle.yaml:3:13: types: `cahrt` is not an artifact type; did you mean `chart`?
    bundle.yaml:3:5: invalid value: string "some", expected `all`, `none`, or `types` with a list
    bundle.yaml:3:26: referrers.types: `signatur` is not an artifact type; did you mean `signature`, `cosign-signature` or `notation-signature`?
    bundle.yaml:3:5: duplicate mapping key: ref
    bundle.yaml:2:10: a text is expected here
    bundle.yaml:2:2: tabs disallowed within this context (block indentation)
    bundle.yaml:1:1: the file ends where something is expected
    "#);
}

#[test]
fn whatever_is_written_is_read_or_refused() {
    use proptest::prelude::*;
    proptest!(|(text in "(artifacts|defaults|ref|repository|tags|- |: |\\[|\\]|\\{|\\}|&a|\\*a|\n|  |a|'|\"|#){0,40}")| {
        let _ = Selection::parse("f", &text);
    });
}

#[test]
fn what_is_nested_too_deeply_is_told_whatever_it_is_nested_in() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let (open, close) = (open.repeat(1000), close.repeat(1000));
        let error = error(&format!("artifacts:\n  - {open}{close}\n"));
        assert!(error.ends_with("this is nested too deeply"), "{error}");
    }
}

#[test]
fn a_name_is_short_and_plain_or_refused_by_its_line() {
    let selection = read("name: acme/plant-7\nartifacts: []\n");
    assert_eq!(selection.name.unwrap().as_str(), "acme/plant-7");
    assert!(read("artifacts: []\n").name.is_none());
    assert_eq!(
        error("artifacts: []\nname: plant 7\n"),
        "bundle.yaml:2:7: name: `plant 7`: a bundle's name has 1 to 128 letters, digits, `.`, `_`, `-` and `/`, \
         and begins with a letter or a digit"
    );
}
