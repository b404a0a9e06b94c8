//! `diff`: what has changed between two locks, bundles, receipts or places.

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
    let document: serde_json::Value = serde_json::from_slice(&document.stdout).unwrap();
    assert_eq!(document["moved"][0]["name"], format!("{host}/acme/app:v1"));
    assert!(document["newContent"]["bytes"].as_u64().unwrap() > 0);
    assert_eq!(
        site.ok("diff january.tar january.tar").lines().last(),
        Some("no name differs; new content: 0 B in 0 blobs, gone: 0 B in 0 blobs")
    );
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
