//! `diff`: what has changed between two locks, bundles, receipts or places.

use longshore_fixture::{Content, artifacts};
use serde_json::Value;

use crate::bundles::{registry, wanted};
use crate::common::Site;

#[test]
fn two_bundles_differ_by_names_and_content() {
    let (site, near) = registry();
    let host = near.host().to_owned();
    site.ok(&format!("export -q {host}/acme/app:v1 {host}/charts/shop:1.4.0 -o january.tar"));
    site.ok(&format!("copy -q oci:site:policy {host}/acme/app:v1"));
    site.ok(&format!("export -q {host}/acme/app:v1 {host}/charts/shop:2.0.0 -o february.tar"));
    let ran = site.run("diff january.tar february.tar");
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let text = ran.text().replace(&host, "HOST");
    let begins: Vec<_> = text.lines().map(|line| line.split("  sha").next().unwrap()).collect();
    assert_eq!(begins[0].trim(), "added    HOST/charts/shop:2.0.0");
    assert_eq!(begins[1].trim(), "moved    HOST/acme/app:v1");
    assert!(text.contains("removed  HOST/charts/shop:1.4.0"), "{text}");
    assert!(text.lines().last().unwrap().starts_with("1 added, 1 moved, "), "{text}");
    let document = site.run("diff february.tar january.tar --json");
    let document: Value = serde_json::from_slice(&document.stdout).unwrap();
    assert_eq!(document["moved"][0]["name"], format!("{host}/acme/app:v1"));
    assert!(document["newContent"]["bytes"].as_u64().unwrap() > 0);
    assert_eq!(
        site.ok("diff january.tar january.tar").lines().last(),
        Some("no name differs; new content: 0 B in 0 blobs, gone: 0 B in 0 blobs")
    );
}

#[test]
fn names_cost_what_they_need_and_the_other_side_does_not_hold() {
    let (site, near) = registry();
    let host = near.host().to_owned();
    site.put("one", &Content::tagged("app", |content| artifacts::helm_chart(content, 31)));
    site.put("two", &Content::tagged("app", |content| artifacts::helm_chart(content, 32)));
    site.ok(&format!("copy -q oci:one:app {host}/acme/one:v1"));
    site.ok(&format!("export -q {host}/acme/one:v1 -o january.tar"));
    site.ok(&format!("copy -q oci:two:app {host}/acme/one:v1"));
    site.ok(&format!("copy -q oci:one:app {host}/acme/two:v1"));
    site.ok(&format!("export -q {host}/acme/one:v1 {host}/acme/two:v1 -o february.tar"));
    let diff = |before: &str, now: &str| -> Value {
        let ran = site.run(&format!("diff {before} {now} --json"));
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        serde_json::from_slice(&ran.stdout).unwrap()
    };
    let document = diff("january.tar", "february.tar");
    let [moved, added] = [&document["moved"][0], &document["added"][0]];
    assert_eq!(moved["bytes"], document["newContent"]["bytes"], "{document}");
    assert!(moved["bytes"].as_u64().unwrap() > 0, "{document}");
    // It needs nothing that was not there under another name.
    assert_eq!(added["bytes"], 0, "{document}");
    assert!(document["removed"].as_array().unwrap().is_empty(), "{document}");
    assert_eq!(diff("february.tar", "january.tar")["removed"][0].get("bytes"), None);
    // The same of a registry and a layout, and of a delta by its manifests.
    site.ok("import -q february.tar oci:far");
    assert_eq!(diff("january.tar", "oci:far")["moved"][0]["bytes"], moved["bytes"]);
    site.ok("receipt -q oci:one --site a -o a.receipt");
    site.ok(&format!(
        "export -q {host}/acme/one:v1 {host}/acme/two:v1 --base a.receipt -o delta.tar"
    ));
    assert_eq!(diff("january.tar", "delta.tar"), document);
    let text = site.run("diff january.tar february.tar").text();
    assert!(text.lines().next().unwrap().ends_with("  0 B"), "{text}");
    // A record has no manifests: of what a name needs it says nothing.
    site.ok(&format!("export -q {host}/acme/one:v1 {host}/acme/two:v1 -o oci:bundle"));
    let document = diff("january.tar", "bundle/bundle.json");
    assert_eq!(document["moved"][0].get("bytes"), None, "{document}");
    assert!(document["newContent"]["bytes"].as_u64().unwrap() > 0, "{document}");
}

#[test]
fn a_lock_says_nothing_of_bytes() {
    let (site, near) = registry();
    wanted(&site, &near);
    site.ok("lock -q -f bundle.yaml");
    let host = near.host();
    site.ok(&format!("export -q {host}/acme/app:v1 -o bundle.tar"));
    for line in ["diff bundle.lock bundle.tar --json", "diff bundle.tar bundle.lock --json"] {
        let ran = site.run(line);
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        assert!(!ran.text().contains("bytes"), "{}", ran.text());
    }
}

#[test]
fn a_lock_a_bundle_and_its_record_say_the_same() {
    let (site, near) = registry();
    wanted(&site, &near);
    site.ok("lock -q -f bundle.yaml");
    site.ok("export -q -f bundle.yaml --locked -o oci:bundle");
    site.ok("diff oci:bundle bundle/bundle.json");
    let ran = site.run("diff bundle.lock oci:bundle");
    // What a signature is called is in no lock.
    assert_eq!(ran.text().lines().last(), Some("1 added"), "{}", ran.text());
}

#[test]
fn a_receipt_is_compared_with_what_a_bundle_would_bring() {
    let (site, near) = registry();
    let host = near.host().to_owned();
    site.ok(&format!("export -q {host}/acme/app:v1 -o bundle.tar"));
    let far = crate::servers::Served::start(&site, "oci:far --writable");
    site.ok(&format!("import -q bundle.tar {}/mirror", far.host()));
    site.ok(&format!("receipt -q {}/mirror -o plant-7.receipt", far.host()));
    let map = format!("--map {host}/={}/mirror/", far.host());
    site.ok(&format!("diff plant-7.receipt bundle.tar {map}"));
    site.ok(&format!("diff {}/mirror bundle.tar {map}", far.host()));
    site.ok(&format!("copy -q oci:site:policy {}/mirror/other:v1", far.host()));
    let ran = site.run(&format!("diff {}/mirror bundle.tar {map}", far.host()));
    assert_eq!(ran.code, 3);
    assert!(ran.text().contains("removed  "), "{}", ran.text());
}

#[test]
fn what_cannot_be_compared_is_named() {
    let site = Site::image();
    site.file("list.txt", "alpine:3.20\n");
    site.file("bad.json", "{}");
    site.file("cut.receipt", "longshore receipt 1\nsite a\n");
    for (line, told) in [
        ("diff bad.json oci:src", "bad.json cannot be compared"),
        ("diff cut.receipt oci:src", "cut.receipt cannot be compared: it was changed or cut off"),
        ("diff oci:src oci:none", "none"),
    ] {
        let ran = site.run(line);
        assert_eq!(ran.code, 2, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
}
