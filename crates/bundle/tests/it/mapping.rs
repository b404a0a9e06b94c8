//! What artifacts are called where they go.

use longshore_bundle::{Mapping, Rule};
use longshore_spec::{Digest, Reference};

fn mapped(rules: &[&str], elsewhere: Option<&str>, from: &str) -> String {
    let rules: Vec<Rule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let mapping = Mapping::new(rules, elsewhere.map(ToOwned::to_owned));
    mapping.map(&from.parse().unwrap()).map_or_else(|error| error, |to| to.to_string())
}

#[test]
fn the_longest_beginning_wins_and_the_rest_goes_elsewhere() {
    let rules = ["docker.io/=site:5000/mirror/", "docker.io/library=site:5000/base", "a.io=b.io"];
    let cases = [
        "docker.io/library/alpine:3.20",
        "docker.io/acme/app:1",
        "docker.io/library2/app:1",
        "a.io/x:1",
        "quay.io/acme/app:1",
    ];
    let shown = cases.map(|from| mapped(&rules, Some("site:5000/all"), from)).join("\n");
    insta::assert_snapshot!(shown, @r"
    site:5000/base/alpine:3.20
    site:5000/mirror/acme/app:1
    site:5000/mirror/library2/app:1
    b.io/x:1
    site:5000/all/acme/app:1
    ");
    assert_eq!(mapped(&[], None, "quay.io/acme/app:1"), "quay.io/acme/app:1");
    // A host with a port is another host.
    assert_eq!(mapped(&["localhost=b.io"], None, "localhost:5000/x:1"), "localhost:5000/x:1");
    assert_eq!(mapped(&["localhost:5000/=b.io"], None, "localhost:5000/x:1"), "b.io/x:1");
    assert_eq!(mapped(&["a.io/x=b.io/y"], None, "a.io/x:1"), "b.io/y:1");
    let digest = Digest::sha256("x");
    let pinned = format!("quay.io/acme/app@{digest}");
    assert_eq!(mapped(&[], Some("b.io"), &pinned), format!("b.io/acme/app@{digest}"));
    assert!(mapped(&["a.io=B!"], None, "a.io/x:1").starts_with("a.io/x:1 would become `B!/x:1`"));
}

#[test]
fn rules_are_read_or_refused() {
    for wrong in ["a", "=b", "a=", "/=b"] {
        assert!(wrong.parse::<Rule>().is_err(), "{wrong}");
    }
}

#[test]
fn rules_that_fit_nothing_are_named() {
    let rules = ["alpine=b.io/a", "docker.io/=b.io"].map(|rule| rule.parse().unwrap());
    let names = ["docker.io/library/alpine:3.20".parse().unwrap()];
    let mapping = Mapping::new(rules.to_vec(), None);
    let idle: Vec<_> = mapping.idle(&names).map(ToString::to_string).collect();
    assert_eq!(idle, ["alpine=b.io/a"]);
}

#[test]
fn two_that_meet_are_named() {
    let [one, other, to]: [Reference; 3] =
        ["a.io/x:1", "b.io/x:1", "site:5000/x:1"].map(|text| text.parse().unwrap());
    let [first, second] = ["1", "2"].map(Digest::sha256);
    Mapping::check([(&one, &to, &first), (&other, &to, &first)]).unwrap();
    let clash = Mapping::check([(&one, &to, &first), (&other, &to, &second)]).unwrap_err();
    let text = clash.to_string();
    for part in ["`site:5000/x:1`", "a.io/x:1", "b.io/x:1"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_prefix_comes_last_and_before_every_path() {
    let rules = ["docker.io/=site:5000/hub/", "quay.io/=site:5000/all/quay", "a.io=b.io"];
    let rules: Vec<Rule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let map = |elsewhere: Option<&str>, from: &str| {
        let mapping = Mapping::new(rules.clone(), elsewhere.map(ToOwned::to_owned));
        let mapping = mapping.under(Some("plant/7".parse().unwrap()));
        mapping.map(&from.parse().unwrap()).unwrap().to_string()
    };
    let there = |from| map(Some("site:5000/all"), from);
    assert_eq!(there("ghcr.io/acme/app:1"), "site:5000/all/plant/7/acme/app:1");
    assert_eq!(there("quay.io/acme/app:1"), "site:5000/all/plant/7/quay/acme/app:1");
    assert_eq!(there("docker.io/acme/app:1"), "site:5000/plant/7/hub/acme/app:1");
    assert_eq!(there("a.io/acme/app:1"), "b.io/plant/7/acme/app:1");
    assert_eq!(map(None, "ghcr.io/acme/app:1"), "ghcr.io/plant/7/acme/app:1");
}
