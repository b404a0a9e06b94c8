//! From what is wanted to references.

use std::sync::Mutex;

use longshore_bundle::Selection;
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
        _ => return Err(Error::not_found(repository, "the registry")),
    };
    Ok(tags.iter().map(|tag| tag.parse().unwrap()).collect())
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
    let asked = Mutex::new(Vec::new());
    let (picked, failures) = selection.pick(4, |repository| {
        asked.lock().unwrap().push(repository.to_string());
        tags(repository)
    });
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
    a tag that the rules choose is not in a.io/acme/empty
    a.io/acme/gone is not in the registry
    ");
    assert!(!asked.into_inner().unwrap().contains(&"a.io/acme/listed".to_owned()));
}
