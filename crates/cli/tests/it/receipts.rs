//! `receipt`: what a site holds, as a file.

use longshore_fixture::proxy::{Answer, Faults, Proxy, Request, Rules};
use serde_json::Value;

use crate::bundles::registry;
use crate::common::Site;
use crate::servers::Served;

fn text(site: &Site, name: &str) -> String {
    std::fs::read_to_string(site.path(name)).unwrap()
}

/// Returns the lines of a receipt without its head and checksum.
fn body(text: &str) -> Vec<&str> {
    let lines: Vec<_> = text.lines().collect();
    lines[3..lines.len() - 1].to_vec()
}

#[test]
fn a_registry_and_the_layout_behind_it_hold_the_same() {
    let (site, served) = registry();
    let ran = site.run(&format!("receipt {} -o plant-7.receipt", served.host()));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let of_registry = text(&site, "plant-7.receipt");
    let head: Vec<_> = of_registry.lines().take(4).collect();
    assert_eq!(head, ["longshore receipt 1", "site plant-7", "number 1", "repository acme/app"]);
    assert!(of_registry.contains("\nrepository charts/shop\n"), "{of_registry}");
    assert!(of_registry.contains("\n    tag 1.4.0\n"), "{of_registry}");
    site.ok("receipt oci:near -o near.receipt");
    assert_eq!(body(&of_registry), body(&text(&site, "near.receipt")));
    site.ok(&format!("receipt --verify {} -o verified.receipt", served.host()));
    assert_eq!(body(&of_registry), body(&text(&site, "verified.receipt")));
}

#[test]
fn a_receipt_of_a_prefix_says_what_is_below_it() {
    let (site, served) = registry();
    site.ok(&format!("receipt {}/charts --site a -o a.receipt", served.host()));
    let receipt = text(&site, "a.receipt");
    assert!(receipt.contains("repository charts/shop"), "{receipt}");
    assert!(!receipt.contains("acme"), "{receipt}");
    let both = site.ok(&format!("receipt {0}/charts {0}/acme/app --site a", served.host()));
    let all = site.ok(&format!("receipt {} --site a", served.host()));
    assert_eq!(both, all);
}

#[test]
fn names_stay_at_home_if_that_is_wanted() {
    let site = Site::image();
    let receipt = site.ok("receipt --digests-only --site plant-7 oci:src");
    let digests = site.ok("receipt --site plant-7 oci:src");
    assert!(digests.contains("tag app") && !receipt.contains("tag"), "{receipt}");
    let contents = |receipt: &str| {
        let lines = receipt.lines().filter(|line| line.contains("sha256:"));
        lines.filter(|line| line.starts_with("  ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(contents(&receipt), contents(&digests));
}

#[test]
fn the_number_of_a_site_grows() {
    let site = Site::image();
    site.ok("receipt oci:src --site 'Schiff 7' -o s.receipt");
    site.ok("receipt oci:src -o s.receipt");
    assert!(text(&site, "s.receipt").starts_with("longshore receipt 1\nsite Schiff 7\nnumber 2\n"));
    let other = site.run("receipt oci:src --site other -o s.receipt");
    assert_eq!(other.code, 2);
    assert!(other.stderr.contains("is a receipt of Schiff 7, not of other"), "{}", other.stderr);
    site.file("list.txt", "alpine:3.20\n");
    let other = site.run("receipt oci:src -o list.txt");
    assert_eq!(other.code, 2);
    assert!(
        other.stderr.contains("list.txt is no receipt that can be replaced"),
        "{}",
        other.stderr
    );
    assert_eq!(text(&site, "list.txt"), "alpine:3.20\n");
    let nameless = site.run("receipt oci:src");
    assert_eq!(nameless.code, 2);
    assert!(nameless.stderr.contains("--site NAME"), "{}", nameless.stderr);
}

#[test]
fn what_is_gone_or_cut_off_is_not_in_the_receipt() {
    let site = Site::image();
    let whole = site.ok("receipt oci:src --site a");
    let blobs: Vec<_> = whole.lines().filter_map(|line| line.strip_prefix("  blob ")).collect();
    let digest = |line: &str| line.split(' ').next().unwrap().to_owned();
    let [gone, cut] = [digest(blobs[0]), digest(blobs[1])];
    let path = |digest: &str| site.path(&format!("src/blobs/{}", digest.replace(':', "/")));
    std::fs::remove_file(path(&gone)).unwrap();
    std::fs::write(path(&cut), "x").unwrap();
    let ran = site.run("receipt oci:src --site a -o a.receipt --json");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for digest in [&gone, &cut] {
        assert!(!text(&site, "a.receipt").contains(digest.as_str()));
        assert!(ran.stderr.contains(digest.as_str()), "{}", ran.stderr);
    }
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(document["missing"].as_array().unwrap().len(), 2, "{document}");
}

#[test]
fn nothing_is_written_if_a_site_does_not_answer() {
    let site = Site::image();
    let ran = site.run("receipt oci:src 127.0.0.1:9/mirror --site a -o a.receipt");
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(!site.path("a.receipt").exists());
    let ran = site.run("receipt oci:src:app --site a");
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("names an artifact"), "{}", ran.stderr);
}

#[test]
fn a_list_names_the_repositories_of_a_registry_that_lists_none() {
    let (site, near) = registry();
    let here = near.host().to_owned();
    site.ok(&format!("export -q {here}/acme/app:v1 {here}/charts/shop:1.4.0 -o bundle.tar"));
    let far = Served::start(&site, "oci:far --writable");
    let hub = format!("{here}/charts/={}/hub/", far.host());
    site.ok(&format!("import -q bundle.tar {}/mirror --map {hub} --prefix p7", far.host()));
    let denied = |request: &Request| {
        request.path().ends_with("/_catalog").then(|| Answer::status(401).body("{}"))
    };
    let rules = Rules::default().answer(denied);
    let proxy = Proxy::start(far.address(), Faults::http(rules)).unwrap();
    let there = proxy.address().to_string();
    site.file(
        "list.txt",
        format!("{here}/acme/app:v1\n{here}/charts/shop:9.9.9\n{here}/no/such:1\n"),
    );
    site.file(
        "bundle.yaml",
        format!("artifacts:\n  - repository: {here}/acme/app\n  - ref: {here}/charts/shop:1.4.0\n"),
    );
    let map = format!("--map {here}/charts/={there}/hub/ --prefix p7");
    site.ok(&format!("receipt -q {} --site a -o all.receipt", far.host()));
    for file in ["list.txt", "bundle.yaml"] {
        let ran = site.run(&format!("receipt {there}/mirror -f {file} {map} --site a"));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(ran.text(), text(&site, "all.receipt"), "{file}");
    }
    let ran = site.run(&format!("receipt {there} --site a"));
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("-f FILE"), "{}", ran.stderr);
}

#[test]
fn a_list_that_cannot_be_followed_is_an_error() {
    let (site, near) = registry();
    let here = near.host().to_owned();
    site.file("list.txt", "alpine:3.20\n");
    site.file("layouts.txt", "oci:site\n");
    for (line, code, told) in [
        ("receipt -f list.txt --site a", 2, "one registry"),
        ("receipt oci:site -f list.txt --site a", 2, "one registry"),
        ("receipt HOST HOST/charts -f list.txt --site a", 2, "one registry"),
        (
            "receipt HOST -f list.txt --map docker.io/=other.local/ --site a",
            2,
            "is another registry",
        ),
        ("receipt HOST --map docker.io/=HOST/hub/ --site a", 2, "--file"),
        ("receipt HOST -f none.txt --site a", 2, "none.txt"),
        (
            "receipt HOST -f list.txt --map ghcr.io/=HOST/x/ --site a",
            0,
            "matches nothing in list.txt",
        ),
        ("receipt HOST -f layouts.txt --site a", 0, "without what came from oci:site"),
    ] {
        let ran = site.run(&line.replace("HOST", &here));
        assert_eq!(ran.code, code, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{line}: {}", ran.stderr);
    }
}
