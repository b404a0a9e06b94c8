//! A command that cannot begin leaves everything as it was.

use longshore_fixture::{Content, artifacts};

use crate::common::Site;

/// Runs a command that must end before its first byte, and compares all that there is.
fn leaves_everything(site: &Site, line: &str, code: i32) {
    let before = site.files();
    let ran = site.run(line);
    assert_eq!(ran.code, code, "{line}: {}", ran.stderr);
    let after = site.files();
    let all = before.keys().chain(after.keys());
    let changed: Vec<_> = all.filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty(), "{line} changed {changed:?}");
}

#[test]
fn what_cannot_begin_changes_nothing() {
    let site = Site::image();
    site.put("other", &Content::tagged("app", |content| artifacts::image(content, 2)));
    site.put("dst", &Content::tagged("old", |content| artifacts::image(content, 3)));
    site.file("there.tar", "precious\n");
    for (line, code) in [
        ("copy oci:src oci:other oci:dst", 2),
        ("copy oci:src oci:other oci-archive:new.tar", 2),
        ("copy oci:src oci-archive:there.tar", 2),
        ("copy oci:src oci-archive:other", 2),
        ("copy oci:src oci:there.tar", 2),
        ("copy oci:src oci-archive:none/new.tar", 2),
        ("copy oci:src oci:src", 2),
        ("copy oci:none oci:new", 2),
        ("copy oci:src:none oci:new", 1),
        ("copy oci:src:none oci:dst", 1),
        ("copy oci:src nowhere", 2),
        ("copy --type nothing oci:src oci:new", 2),
        ("copy --platform nothing oci:src oci:new", 2),
        ("copy --dry-run oci:src oci:new", 0),
        ("copy --dry-run oci:src oci:dst", 0),
        ("copy --dry-run oci:src oci-archive:new.tar", 0),
        ("tag oci:dst:none new", 1),
        ("tag oci:dst:old new oci:dst:newer", 2),
        ("untag oci:dst:old oci:dst:none", 1),
        ("gc --dry-run --older-than 0 oci:dst", 0),
    ] {
        leaves_everything(&site, line, code);
    }
}

#[test]
fn an_archive_of_damaged_content_does_not_appear() {
    let site = Site::new();
    let name = site.fixture("layout-bad-digest");
    site.file("out.tar", "the archive of yesterday\n");
    assert_eq!(site.run(&format!("copy --force oci:{name} oci-archive:out.tar")).code, 1);
    assert_eq!(std::fs::read(site.path("out.tar")).unwrap(), b"the archive of yesterday\n");
}

#[test]
fn a_name_does_not_appear_before_all_of_its_content() {
    let site = Site::new();
    let name = site.fixture("layout-missing-blob");
    site.put("good", &Content::tagged("chart", |content| artifacts::helm_chart(content, 1)));
    let ran = site.run(&format!("copy oci:{name} oci:good oci:dst"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(site.json("list oci:dst")[0]["name"], "chart");
    assert_eq!(site.json("list oci:dst").as_array().unwrap().len(), 1);
    site.ok("verify oci:dst");
}
