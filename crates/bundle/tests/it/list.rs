//! Lists of references.

use longshore_bundle::{Choice, ChoiceSet, Selection};

fn read(text: &str) -> Result<Vec<String>, String> {
    let parsed = Selection::parse("list", text).map_err(|error| error.to_string())?;
    assert!(parsed.ignored.is_empty());
    let reference = |what: Choice| match what {
        Choice::Reference(reference) => reference.to_string(),
        Choice::Layout(layout) => layout.to_string(),
        Choice::Repository(..) | Choice::References(..) => panic!("a list has no repositories"),
    };
    Ok(parsed.selection.items.into_iter().map(|item| reference(item.choice)).collect())
}

#[test]
fn a_list_has_one_reference_a_line() {
    let text = "\u{feff}# what we need\n\nalpine:3.20   # small\r\n  quay.io/acme/app\nlocalhost:5000/a/b#c\n";
    assert!(
        read(text).unwrap_err().starts_with("list:5:1: `localhost:5000/a/b#c` is not a reference")
    );
    let text = text.replace("#c", ":c");
    assert_eq!(
        read(&text).unwrap(),
        ["docker.io/library/alpine:3.20", "quay.io/acme/app:latest", "localhost:5000/a/b:c"]
    );
    assert_eq!(read("docker://alpine").unwrap(), ["docker.io/library/alpine:latest"]);
    let layouts = ["oci:site:quay.io/acme/app:1", "oci-archive:all.tar"];
    assert_eq!(read(&layouts.join("\n")).unwrap(), layouts);
}

#[test]
fn a_line_that_is_no_reference_is_named() {
    assert!(read("alpine\nUPPER\n").unwrap_err().starts_with("list:2:1: `UPPER`"));
    assert!(read("alpine\ntwo words\n").unwrap_err().starts_with("list:2:1: `two words`"));
}

#[test]
fn what_wishes_may_choose_is_found_by_its_reference() {
    let wishes = [
        "r.example:5000/team/app:1",
        "r.example/a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ];
    let mut wishes: Vec<Choice> = wishes.iter().map(|text| text.parse().unwrap()).collect();
    let text = "artifacts: [{ repository: r.example:5000/charts/shop }]\n";
    wishes.extend(
        Selection::from_yaml("b.yaml", text).unwrap().items.into_iter().map(|item| item.choice),
    );
    let choosable: ChoiceSet = wishes.iter().collect();
    let digest = wishes[1].to_string();
    for there in ["r.example:5000/team/app:1", &digest, "r.example:5000/charts/shop:1.0"] {
        assert!(choosable.has(there), "{there}");
    }
    let pinned = format!("r.example:5000/charts/shop:1@{}", digest.split('@').nth(1).unwrap());
    assert!(choosable.has(&pinned));
    for other in [
        "r.example:5000/team/app:2",
        "r.example:5000/team/app",
        "r.example/a:1",
        "r.example:5000/charts/shopping:1",
        "r.example:5000/charts/shop/more:1",
    ] {
        assert!(!choosable.has(other), "{other}");
    }
}
