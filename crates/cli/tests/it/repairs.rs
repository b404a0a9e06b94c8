//! Bundles in several files, and what is missing of one.

use longshore_fixture::{Content, artifacts};

use crate::common::Site;

/// A site with two bundles: `one.tar` and `oci:one`, of the same bundle, and `other.tar`.
fn two_bundles() -> Site {
    let site = Site::image();
    let called = |site: &Site, place: &str, name: &str| {
        site.ok(&format!("copy -q {place} oci:near:registry.site/acme/{name}:v1"));
        format!("oci:near:registry.site/acme/{name}:v1")
    };
    let one = called(&site, "oci:src:app", "app");
    site.put("new", &Content::tagged("app", |content| artifacts::helm_chart(content, 77)));
    let other = called(&site, "oci:new:app", "chart");
    site.ok(&format!("export -q {one} -o one.tar"));
    site.ok(&format!("export -q {one} -o oci:one"));
    site.ok(&format!("export -q {other} -o other.tar"));
    site
}

#[test]
fn files_of_one_bundle_are_imported_together() {
    let site = two_bundles();
    // What one lacks the other has, whichever is named first.
    let blobs = std::fs::read_dir(site.path("one/blobs/sha256")).unwrap();
    let layer =
        blobs.map(|entry| entry.unwrap()).max_by_key(|entry| entry.metadata().unwrap().len());
    std::fs::remove_file(layer.unwrap().path()).unwrap();
    assert_eq!(site.run("import oci:one oci:alone").code, 1);
    site.ok("import -q oci:one one.tar oci:far");
    site.ok("verify oci:far");
    site.ok("import -q one.tar oci:one --to oci:again");
    site.ok("verify oci:again");
    assert_eq!(site.ok("list oci:far --json"), site.ok("list oci:again --json"));
}

#[test]
fn files_that_do_not_belong_together_are_named() {
    let site = two_bundles();
    site.file("notes.txt", "nothing\n");
    for (line, told) in [
        (
            "import one.tar other.tar oci:far",
            "other.tar is of another bundle than oci-archive:one.tar",
        ),
        ("import one.tar oci:near --to oci:far", "oci:near has no `bundle.json`"),
        ("import one.tar - oci:far", "a bundle from stdin cannot have other files beside it"),
        ("import one.tar -", "a bundle from stdin cannot have other files beside it"),
        ("import one.tar oci:one", "`oci:one` may be a part of the bundle, or where it goes"),
        ("import one.tar none.tar", "`none.tar` cannot be imported to"),
        ("import one.tar none.tar oci:far", "none.tar"),
        ("import one.tar notes.txt", "notes.txt"),
        ("import one.tar notes.txt oci:far", "notes.txt"),
        ("import one.tar oci:far --to oci:far", "cannot open far"),
    ] {
        let ran = site.run(line);
        assert_eq!(ran.code, 2, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{line}: {}", ran.stderr);
        assert!(!site.path("far").exists(), "{line}");
    }
}

#[test]
fn the_last_word_is_the_target_unless_it_is_a_file() {
    let site = two_bundles();
    let store = |line: &str| {
        let mut command = site.command(line);
        let ran = command.env("LONGSHORE_STORE", site.path("store")).output().unwrap();
        assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    store("import -q one.tar one.tar");
    assert_eq!(site.ok("list oci:store --json"), site.ok("list one.tar --json"));
    store("import -q other.tar --to oci:there");
    assert_eq!(site.ok("list oci:there --json"), site.ok("list other.tar --json"));
    // A bundle directory is where it goes if that is said.
    store("import -q other.tar --to oci:one");
}
