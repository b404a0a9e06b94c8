//! Deltas: bundles without what the site holds.

use std::io::Write as _;
use std::process::Stdio;

use longshore_fixture::proxy::{Answer, Faults, Proxy, Request, Rules};
use longshore_fixture::{Content, artifacts};
use serde_json::Value;

use crate::bundles::{bytes, registry};
use crate::common::{Ran, Site};
use crate::servers::Served;

/// A near registry whose image has moved since its bundle was imported at a far one; returns the sites' hosts,
/// and the mapping between them.
pub(crate) fn second_visit() -> (Site, Served, Served, String) {
    let (site, near) = registry();
    let far = Served::start(&site, "oci:far --writable");
    let (here, there) = (near.host().to_owned(), far.host().to_owned());
    let all = format!("{here}/acme/app:v1 {here}/charts/shop:1.4.0");
    site.ok(&format!("export -q {all} -o first.tar"));
    site.ok(&format!("import -q first.tar {there}/mirror"));
    site.ok(&format!("receipt -q {there}/mirror -o plant-7.receipt"));
    site.put("new", &Content::tagged("app", |content| artifacts::helm_chart(content, 77)));
    site.ok(&format!("copy -q oci:new:app {here}/acme/app:v2"));
    (site, near, far, all)
}

fn record(site: &Site, archive: &str) -> Value {
    let ran = site.ok(&format!("verify {archive} --json"));
    serde_json::from_str(&ran).unwrap()
}

#[test]
fn a_second_visit_carries_only_what_is_new() {
    let (site, near, far, all) = second_visit();
    let (here, there) = (near.host(), far.host());
    let wanted = format!("{all} {here}/acme/app:v2");
    site.ok(&format!("export -q {wanted} -o whole.tar"));
    let said = site.run(&format!("export {wanted} --base plant-7.receipt -o delta.tar"));
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.contains("not carried, since the site holds it"), "{}", said.stderr);
    let length = |name: &str| bytes(&site, name).len();
    assert!(length("delta.tar") < length("whole.tar"));
    // What other tools see is whole, and what is not has no name.
    site.ok("copy -q --all delta.tar oci:whole");
    let listed = site.ok("list oci:whole");
    assert!(listed.contains("acme/app:v2") && !listed.contains("charts/shop:1.4.0"), "{listed}");
    let verified = record(&site, "delta.tar");
    assert!(verified["assumed"]["blobs"].as_u64().unwrap() > 0, "{verified}");
    site.ok("verify delta.tar --base plant-7.receipt");
    site.ok(&format!("verify delta.tar --against {there}/mirror"));
    site.ok(&format!("import -q delta.tar {there}/mirror"));
    for name in ["acme/app:v1", "acme/app:v2", "charts/shop:1.4.0"] {
        let [from, to] = [format!("{here}/{name}"), format!("{there}/mirror/{name}")];
        assert_eq!(site.digest(&from), site.digest(&to), "{name}");
    }
    site.ok(&format!("verify {there}/mirror/acme/app"));
    site.ok(&format!("diff {there}/mirror delta.tar --map {here}/={there}/mirror/"));
    site.ok("diff delta.tar whole.tar");
    // Again: everything is there.
    site.ok(&format!("import -q delta.tar {there}/mirror"));
}

#[test]
fn signatures_are_carried_and_come_with_what_they_sign() {
    let (site, near, far, all) = second_visit();
    let (here, there) = (near.host(), far.host());
    site.ok(&format!("export -q {all} --base first.tar -o delta.tar"));
    site.ok(&format!("import -q delta.tar {there}/mirror"));
    let referrers = |place: &str| site.json(&format!("tree {place}"))[0]["referrers"].clone();
    for name in ["acme/app:v1", "charts/shop:1.4.0"] {
        let (from, to) = (format!("{here}/{name}"), format!("{there}/mirror/{name}"));
        assert_eq!(referrers(&from), referrers(&to), "{name}");
    }
}

#[test]
fn the_same_base_makes_the_same_bytes_and_without_use_of_it_a_plain_bundle() {
    let (site, near, _far, all) = second_visit();
    let here = near.host();
    site.ok(&format!("export -q {all} --base first.tar --base plant-7.receipt -o one.tar"));
    site.ok(&format!(
        "export -q {all} --base plant-7.receipt --base first.tar --jobs 1 -o two.tar"
    ));
    assert_eq!(bytes(&site, "one.tar"), bytes(&site, "two.tar"));
    let new = format!("{here}/acme/app:v2");
    site.ok(&format!("export -q {new} -o plain.tar"));
    site.put("other", &Content::tagged("app", |content| artifacts::opa_bundle(content, 99)));
    site.ok("receipt -q oci:other --site other -o other.receipt");
    site.ok(&format!("export -q {new} --base other.receipt -o unused.tar"));
    assert_eq!(bytes(&site, "plain.tar"), bytes(&site, "unused.tar"));
    // What several sites hold together.
    site.ok(&format!("export -q {all} --base plant-7.receipt --base other.receipt -o both.tar"));
    site.ok(&format!("export -q {all} -o all.tar"));
    assert_eq!(bytes(&site, "both.tar"), bytes(&site, "all.tar"));
}

#[test]
fn a_directory_of_receipts_counts_the_newest_of_each_site() {
    let (site, _near, far, all) = second_visit();
    std::fs::create_dir(site.path("receipts")).unwrap();
    std::fs::copy(site.path("plant-7.receipt"), site.path("receipts/old")).unwrap();
    site.ok(&format!("receipt -q {}/mirror -o plant-7.receipt", far.host()));
    std::fs::copy(site.path("plant-7.receipt"), site.path("receipts/new")).unwrap();
    site.file("receipts/README", "who carries what\n");
    site.ok(&format!("export -q {all} --base receipts -o folder.tar"));
    site.ok(&format!("export -q {all} --base plant-7.receipt -o newest.tar"));
    assert_eq!(bytes(&site, "folder.tar"), bytes(&site, "newest.tar"));
}

#[test]
fn what_the_site_lost_is_named_before_anything_is_written() {
    let (site, near, far, all) = second_visit();
    let new = format!("{}/acme/app:v2", near.host());
    site.ok(&format!("export -q {all} {new} --base plant-7.receipt -o delta.tar"));
    let empty = Served::start(&site, "oci:empty --writable");
    let ran = site.run(&format!("import delta.tar {}/mirror --json", empty.host()));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("for granted"), "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing was written"), "{}", ran.stderr);
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(document["failures"].as_array().unwrap().len(), failures(&ran.stderr), "{document}");
    assert_eq!(site.ok(&format!("list {}", empty.host())), "");
    // One blob of the real site is gone, in spite of what it says.
    let blobs = std::fs::read_to_string(site.path("plant-7.receipt")).unwrap();
    let blob = blobs.lines().find_map(|line| line.strip_prefix("  blob sha256:")).unwrap();
    let blob = blob.split(' ').next().unwrap();
    std::fs::remove_file(site.path(&format!("far/blobs/sha256/{blob}"))).unwrap();
    let before = site.files();
    let ran = site.run(&format!("import delta.tar {}/mirror", far.host()));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains(blob), "{}", ran.stderr);
    assert!(site.files() == before, "nothing is written");
    let ran = site.run(&format!("verify delta.tar --against {}/mirror", far.host()));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains(blob), "{}", ran.stderr);
}

fn failures(stderr: &str) -> usize {
    stderr.lines().filter(|line| line.starts_with("error: sha256:")).count()
}

#[test]
fn a_base_in_another_repository_of_the_target_is_taken_from_there() {
    let (site, near, far, _) = second_visit();
    let (here, there) = (near.host(), far.host());
    // The same content under another name: one repository of the target has it, and the other not.
    site.ok(&format!("copy -q {here}/acme/app:v1 {here}/acme/copy:v1"));
    let both = format!("{here}/acme/app:v1 {here}/acme/copy:v1");
    site.ok(&format!("export -q {both} --referrers none --base plant-7.receipt -o delta.tar"));
    site.ok(&format!("import -q delta.tar {there}/mirror"));
    let copied = site.digest(&format!("{there}/mirror/acme/copy:v1"));
    assert_eq!(copied, site.digest(&format!("{here}/acme/app:v1")));
    site.ok(&format!("verify {there}/mirror/acme/copy"));
}

#[test]
fn a_delta_goes_into_a_layout_that_holds_its_base() {
    let (site, near, _far, all) = second_visit();
    let here = near.host();
    site.ok("import -q first.tar oci:store");
    site.ok(&format!("export -q {all} {here}/acme/app:v2 --base first.tar -o delta.tar"));
    site.ok("import -q delta.tar oci:store");
    site.ok("verify oci:store");
    let name = |name: &str| site.digest(&format!("oci:store:{here}/{name}"));
    assert_eq!(name("acme/app:v2"), site.digest(&format!("{here}/acme/app:v2")));
    let ran = site.run("import delta.tar oci:empty");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(!site.path("empty").exists(), "nothing is written");
}

#[test]
fn what_is_no_base_is_named() {
    let site = Site::image();
    site.file("list.txt", "alpine:3.20\n");
    std::fs::create_dir(site.path("nothing")).unwrap();
    for (base, told) in [
        ("oci:src", "oci:src is no bundle"),
        ("nothing", "there is no receipt in nothing"),
        ("registry.site.local/mirror", "is no receipt or bundle that is here"),
        ("nosuch.receipt", "`nosuch.receipt` is no receipt or bundle that is here"),
    ] {
        let ran = site.run(&format!("export oci:src:app --base {base} -o b.tar"));
        assert_eq!(ran.code, 2, "{base}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{base}: {}", ran.stderr);
    }
    let ran = site.run("verify oci:src --against oci:src");
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("takes nothing for granted"), "{}", ran.stderr);
}

#[test]
fn an_import_writes_the_next_receipt_and_looks_where_the_one_before_says() {
    let (site, near, far, all) = second_visit();
    let (here, there) = (near.host(), far.host());
    site.ok(&format!("export -q {all} --base plant-7.receipt -o delta.tar"));
    // Into another part of the site: without a receipt nobody knows where the content is.
    let ran = site.run(&format!("import delta.tar {there}/second"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let ran = site.run(&format!("import delta.tar {there}/second --receipt plant-7.receipt"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("wrote plant-7.receipt: receipt 2 of plant-7"), "{}", ran.stderr);
    let receipt = std::fs::read_to_string(site.path("plant-7.receipt")).unwrap();
    for repository in ["mirror/acme/app", "second/acme/app", "second/charts/shop"] {
        assert!(receipt.contains(&format!("repository {repository}\n")), "{receipt}");
    }
    assert_eq!(
        site.digest(&format!("{there}/second/acme/app:v1")),
        site.digest(&format!("{here}/acme/app:v1"))
    );
    site.ok(&format!("verify {there}/second/acme/app"));
    site.ok(&format!("import -q delta.tar {there}/mirror --receipt new.receipt"));
    assert!(std::fs::read_to_string(site.path("new.receipt")).unwrap().contains("\nnumber 1\n"));
}

#[test]
fn no_name_moves_if_that_is_not_wanted() {
    let (site, near, far, all) = second_visit();
    let (here, there) = (near.host(), far.host());
    site.ok(&format!("copy -q oci:new:app {here}/acme/app:v1"));
    site.ok(&format!("export -q {all} -o moved.tar"));
    let before = site.files();
    let ran = site.run(&format!("import moved.tar {there}/mirror --no-overwrite"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("mirror/acme/app:v1 would move from sha256:"), "{}", ran.stderr);
    assert!(ran.stderr.contains("1 name at the target would stand for something else"));
    assert!(site.files() == before, "nothing is written");
    site.ok(&format!("import -q moved.tar {there}/other --no-overwrite"));
    site.ok(&format!("import -q moved.tar {there}/mirror"));
    site.ok(&format!("import -q moved.tar {there}/mirror --no-overwrite"));
}

#[test]
fn a_dry_run_says_what_becomes_of_names_at_the_target() {
    let (site, near, far, all) = second_visit();
    let (here, there) = (near.host(), far.host());
    site.ok(&format!("copy -q oci:new:app {here}/acme/app:v1"));
    site.ok(&format!("copy -q oci:site:policy {there}/mirror/charts/shop:old"));
    site.ok(&format!("copy -q oci:site:policy {there}/mirror/other/tool:v1"));
    site.ok(&format!("export -q {all} {here}/acme/app:v2 -o bundle.tar"));
    let before = site.files();
    let document = site.json(&format!("import --dry-run bundle.tar {there}/mirror"));
    let changes = &document["changes"];
    let (moved, added) = (&changes["moved"][0], &changes["added"][0]);
    assert_eq!(moved["name"], format!("{there}/mirror/acme/app:v1"), "{changes}");
    assert_eq!(moved["from"], site.digest(&format!("{there}/mirror/acme/app:v1")));
    assert_eq!(moved["to"], site.digest("oci:new:app"));
    assert_eq!(added["name"], format!("{there}/mirror/acme/app:v2"), "{changes}");
    assert_eq!(added.get("from"), None);
    assert_eq!(added["bytes"], document["missingBytes"], "{document}");
    // Of the repositories that the bundle goes to, and without tags that nobody chose.
    let left = [format!("{there}/mirror/charts/shop:old")];
    assert_eq!(changes["left"], serde_json::json!(left), "{changes}");
    assert_eq!(changes["unlisted"], serde_json::json!([]));
    let text = site.ok(&format!("import --dry-run bundle.tar {there}/mirror"));
    assert!(text.contains("1 added, 1 moved, 1 left (at the target"), "{text}");
    assert!(site.files() == before, "nothing is written");
    // A layout says the same.
    site.ok("import -q first.tar oci:store");
    site.ok(&format!("copy -q oci:site:policy oci:store:{here}/charts/shop:old"));
    let document = site.json("import --dry-run bundle.tar oci:store");
    assert_eq!(document["changes"]["left"], serde_json::json!([format!("{here}/charts/shop:old")]));
    assert_eq!(document["changes"]["added"].as_array().unwrap().len(), 1, "{document}");
    site.ok(&format!("import -q bundle.tar {there}/mirror"));
    let again = site.json(&format!("import --dry-run bundle.tar {there}/mirror"));
    assert_eq!(again["changes"]["added"], serde_json::json!([]), "{again}");
    assert_eq!(again["missingBytes"], 0);
}

#[test]
fn a_registry_that_lists_no_tags_still_says_what_moves() {
    let (site, near, far, all) = second_visit();
    site.ok(&format!("copy -q oci:new:app {}/acme/app:v1", near.host()));
    site.ok(&format!("export -q {all} -o bundle.tar"));
    let denied = |request: &Request| {
        request.path().ends_with("/tags/list").then(|| Answer::status(403).body("{}"))
    };
    let rules = Rules::default().answer(denied);
    let proxy = Proxy::start(far.address(), Faults::http(rules)).unwrap();
    let place = format!("{}/mirror", proxy.address());
    let ran = site.run(&format!("import --dry-run bundle.tar {place} --json"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("which names of"), "{}", ran.stderr);
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let changes = &document["changes"];
    assert_eq!(changes["moved"].as_array().unwrap().len(), 1, "{changes}");
    assert_eq!(changes["unlisted"].as_array().unwrap().len(), 2, "{changes}");
    assert_eq!(changes["left"], serde_json::json!([]));
}

#[test]
fn what_looks_at_a_delta_says_that_it_is_one() {
    let (site, near, _far, all) = second_visit();
    let here = near.host();
    site.ok(&format!("export -q {all} --base first.tar -o delta.tar"));
    let name = format!("{here}/charts/shop:1.4.0");
    let ran = site.run("list delta.tar");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.text().contains(&name) && ran.text().contains(" not carried"), "{}", ran.text());
    assert!(ran.stderr.contains("delta.tar is a delta that takes"), "{}", ran.stderr);
    let listed = site.json("list delta.tar");
    assert!(listed[0]["assumedBytes"].as_u64().unwrap() > 0, "{listed}");
    let ran = site.run("tree delta.tar");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.text().contains("(not carried)"), "{}", ran.text());
    assert!(ran.stderr.contains("is a delta"), "{}", ran.stderr);
    let ran = site.run(&format!("inspect oci-archive:delta.tar:{name}"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("is a delta"), "{}", ran.stderr);
    assert_eq!(site.digest(&format!("oci-archive:delta.tar:{name}")), site.digest(&name));
    for line in [
        format!("copy oci-archive:delta.tar:{name} oci:to"),
        "copy delta.tar oci:to".to_owned(),
        "copy --all-tags delta.tar oci:to".to_owned(),
    ] {
        let ran = site.run(&line);
        assert_eq!(ran.code, 1, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains("whole in"), "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains("longshore import"), "{line}: {}", ran.stderr);
    }
    assert!(!site.path("to").exists(), "nothing is written");
    // Some of it is whole.
    site.ok(&format!("export -q {all} {here}/acme/app:v2 --base first.tar -o some.tar"));
    let ran = site.run("copy --all-tags some.tar oci:to");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("2 names not copied"), "{}", ran.stderr);
    // A plain bundle is none.
    let ran = site.run("list first.tar");
    assert!(!ran.stderr.contains("delta") && !ran.text().contains("carried"), "{}", ran.stderr);
}

#[test]
fn a_delta_from_a_pipe_is_refused_before_its_blobs_are_written() {
    let (site, near, _far, all) = second_visit();
    let new = format!("{}/acme/app:v2", near.host());
    site.ok(&format!("export -q {all} {new} --base first.tar -o delta.tar"));
    let import = |to: &str| {
        let mut command = site.command(&format!("import - oci:{to} --json"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(&bytes(&site, "delta.tar"));
        Ran::of(child.wait_with_output().unwrap())
    };
    let ran = import("empty");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing was written"), "{}", ran.stderr);
    assert!(!site.path("empty").exists(), "nothing is written");
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(document["failures"].as_array().unwrap().len(), failures(&ran.stderr), "{document}");
    site.ok("import -q first.tar oci:store");
    let ran = import("store");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    site.ok("verify oci:store");
    assert_eq!(site.digest(&format!("oci:store:{new}")), site.digest(&new));
}
