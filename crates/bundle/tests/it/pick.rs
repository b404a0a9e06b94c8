//! From what is wanted to references.

use std::sync::Mutex;

use longshore_bundle::{LayoutPlace, ReferenceLookup, Selection};
use longshore_spec::{Reference, Tag};
use longshore_store::{Error, Result};

fn tags(repository: &Reference) -> Result<Vec<Tag>> {
    let tags: &[&str] = match repository.repository().as_str() {
        "acme/shop" => &[
            "1.2.0",
            "1.3.0",
            "2.0.0",
            "latest",
            "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.sig",
        ],
        "acme/empty" => &[],
        _ => return Err(Error::not_found(repository.to_string(), "the registry")),
    };
    Ok(tags.iter().map(|tag| tag.parse().unwrap()).collect())
}

/// Gives tags, and notes of which repositories.
#[derive(Default)]
struct RecordedSelection(Mutex<Vec<String>>);

impl ReferenceLookup for RecordedSelection {
    fn tags(&self, repository: &Reference) -> Result<Vec<Tag>> {
        self.0.lock().unwrap().push(repository.to_string());
        tags(repository)
    }

    fn artifact(&self, layout: &LayoutPlace) -> Result<Vec<Reference>> {
        match &layout.selector {
            Some(_) => Ok(vec!["a.io/acme/app:v1".parse().unwrap()]),
            None => Err(Error::not_found("anything", layout)),
        }
    }

    fn references(&self, _: &LayoutPlace) -> Result<Vec<Reference>> {
        let all = ["a.io/b:1.0.0", "a.io/b:1.1.0", "a.io/b:2.0.0", "a.io/c:1.0.0", "a.io/c:latest"];
        Ok(all.iter().map(|text| text.parse().unwrap()).collect())
    }
}

#[test]
fn layouts_are_asked_for_references_and_rules_choose_in_each_repository() {
    let pick = |tags: &str| {
        let text = format!(
            "artifacts: [{{ ref: 'oci:dir:app' }}, {{ repository: 'oci-archive:all.tar', tags: {tags} }}]"
        );
        let selection = Selection::from_yaml("bundle.yaml", &text).unwrap();
        let (picked, failures) = selection.pick(2, &RecordedSelection::default());
        let picked = picked.iter().map(|picked| picked.reference.to_string());
        picked.chain(failures.iter().map(ToString::to_string)).collect::<Vec<_>>()
    };
    assert_eq!(
        pick("{ semver: '<2', newest: 1 }"),
        ["a.io/acme/app:v1", "a.io/b:1.1.0", "a.io/c:1.0.0"]
    );
    assert_eq!(pick("[1.0.0]"), ["a.io/acme/app:v1", "a.io/b:1.0.0", "a.io/c:1.0.0"]);
    assert_eq!(pick("[1.0.0, 9]"), ["a.io/acme/app:v1", "9 is not in oci-archive:all.tar"]);
    assert_eq!(
        pick("{ semver: '>5' }"),
        [
            "a.io/acme/app:v1",
            "no tag of oci-archive:all.tar fits semver `>5`: it has 5 tags, of which 2.0.0 is the newest version"
        ]
    );
    let one = "artifacts: [{ repository: 'oci:dir:app' }]";
    let error = Selection::from_yaml("bundle.yaml", one).unwrap_err().to_string();
    assert!(error.contains("write it as `ref`"), "{error}");
}

#[test]
fn repositories_are_asked_for_tags_only_where_rules_choose() {
    let selection = Selection::from_yaml(
        "bundle.yaml",
        "
artifacts:
  - ref: alpine:3.20
  - repository: a.io/acme/shop
    tags: { semver: '<2' }
  - repository: a.io/acme/listed
    tags: [v1, v2]
  - repository: a.io/acme/shop
  - repository: a.io/acme/empty
  - repository: a.io/acme/gone
",
    );
    let selection = selection.unwrap();
    let asked = RecordedSelection::default();
    let (picked, failures) = selection.pick(4, &asked);
    let picked: Vec<_> = picked.iter().map(|picked| picked.reference.to_string()).collect();
    insta::assert_snapshot!(picked.join("\n"), @r"
    docker.io/library/alpine:3.20
    a.io/acme/shop:1.2.0
    a.io/acme/shop:1.3.0
    a.io/acme/listed:v1
    a.io/acme/listed:v2
    a.io/acme/shop:1.2.0
    a.io/acme/shop:1.3.0
    a.io/acme/shop:2.0.0
    a.io/acme/shop:latest
    ");
    let failed: Vec<_> = failures.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(failed.join("\n"), @r"
    a.io/acme/empty has no tags to choose from
    a.io/acme/gone is not in the registry
    ");
    assert!(!asked.0.into_inner().unwrap().contains(&"a.io/acme/listed".to_owned()));
}
