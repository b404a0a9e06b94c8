//! Rules that choose among tags.

use longshore_bundle::{Choice, Selection, TagRules};
use longshore_spec::Tag;

fn rules(yaml: &str) -> TagRules {
    let text = format!("artifacts:\n  - repository: a\n    tags: {yaml}\n");
    let selection = Selection::from_yaml("bundle.yaml", &text).unwrap();
    match selection.items.into_iter().next().unwrap().choice {
        Choice::Repository(_, rules) => rules,
        _ => panic!("it is a repository"),
    }
}

fn chosen(yaml: &str, tags: &str) -> String {
    let tags: Vec<Tag> = tags.split(' ').map(|tag| tag.parse().unwrap()).collect();
    let chosen = rules(yaml).choose(&tags).unwrap();
    chosen.iter().map(Tag::as_str).collect::<Vec<_>>().join(" ")
}

#[test]
fn tags_are_chosen_by_pattern_version_and_age() {
    let tags = "latest 1.2.3 v1.10.0 1.9 2 2.0.0-rc.1 1.2.3_build nightly-1 1.2.3.4";
    for (yaml, expected) in [
        ("{}", "1.2.3 1.2.3.4 1.2.3_build 1.9 2 2.0.0-rc.1 latest nightly-1 v1.10.0"),
        ("{ regex: '1.*' }", "1.2.3 1.2.3.4 1.2.3_build 1.9"),
        // As a whole, whatever stands in the pattern.
        ("{ regex: 'latest|nightly' }", "latest"),
        ("{ semver: '>=1.4, <2' }", "1.9 v1.10.0"),
        ("{ semver: '>= 1.4 < 3' }", "1.9 2 v1.10.0"),
        ("{ semver: '>=2.0.0-rc.1' }", "2 2.0.0-rc.1"),
        ("{ newest: 2 }", "2 2.0.0-rc.1"),
        ("{ semver: '1', newest: 1 }", "v1.10.0"),
        ("{ exclude: ['.*rc.*', 'nightly-.*'], newest: 1 }", "2"),
        ("{ exclude: ['[0-9v].*'] }", "latest nightly-1"),
        ("{ newest: 0 }", ""),
        ("['2', latest]", "2 latest"),
    ] {
        assert_eq!(chosen(yaml, tags), expected, "{yaml}");
    }
}

#[test]
fn a_tag_that_is_listed_and_not_there_is_named() {
    let there: Vec<Tag> = ["a", "c"].map(|tag| tag.parse().unwrap()).to_vec();
    let error = rules("[a, b, c, d]").choose(&there).unwrap_err();
    assert_eq!(error.to_string(), "there are no tag `b`, `d`");
    assert_eq!(rules("[b]").choose(&there).unwrap_err().to_string(), "there is no tag `b`");
}
