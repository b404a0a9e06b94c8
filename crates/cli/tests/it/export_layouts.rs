//! `export` and `lock` of what lies in layouts.

use std::collections::BTreeSet;

use longshore_fixture::{Content, artifacts};
use serde_json::Value;

use crate::common::{Ran, Site, has};
use crate::servers::Served;

/// A layout with an index under a full reference and a bare name, signed, and an archive with a chart.
fn site() -> Site {
    let site = Site::typed();
    site.ok("copy -q --referrers oci:site:app oci:all:registry.site/acme/app:v1");
    site.ok("tag -q oci:all:registry.site/acme/app:v1 app");
    site.ok("copy -q oci:site:module oci:all:registry.site/acme/tool:1.2.0");
    site.ok("copy -q oci:site:policy oci:all:registry.site/acme/tool:1.3.0");
    site.ok("copy -q oci:site:chart oci-archive:chart.tar:registry.site/charts/shop:1.4.0");
    site
}

fn bytes(site: &Site, name: &str) -> Vec<u8> {
    std::fs::read(site.path(name)).unwrap()
}

/// Returns the references of a bundle.
fn references(site: &Site, directory: &str) -> BTreeSet<String> {
    let record: Value =
        serde_json::from_slice(&bytes(site, &format!("{directory}/bundle.json"))).unwrap();
    let roots = record["roots"].as_array().unwrap().iter();
    roots.map(|root| root["reference"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn artifacts_of_layouts_go_into_a_bundle_by_their_full_references() {
    let site = site();
    let near = Served::start(&site, "oci:near --writable");
    site.ok(&format!("copy -q oci:site:rules {}/acme/rules:1", near.host()));
    let export = |first: &str, to: &str| {
        format!("export {first} oci-archive:chart.tar {}/acme/rules:1 -o {to}", near.host())
    };
    site.ok(&format!("{} -q", export("oci:all:registry.site/acme/app:v1", "oci:b")));
    let app = "registry.site/acme/app:v1".to_owned();
    assert!(references(&site, "b").contains(&app));
    assert_eq!(references(&site, "b").len(), 3);
    site.ok("verify -q oci:b");
    // By a name beside it or its digest it is the same; where the layout lies is nowhere in it.
    let digest = site.digest("oci:site:app");
    site.ok(&format!("{} -q", export(&format!("oci:all@{digest}"), "oci:pinned")));
    assert_eq!(references(&site, "pinned"), references(&site, "b"));
    site.ok(&format!("{} -q", export("oci:all:app", "b.tar")));
    std::fs::rename(site.path("all"), site.path("moved")).unwrap();
    site.ok(&format!("{} --check", export("oci:moved:app", "b.tar")));
    let far = Served::start(&site, "oci:far --writable");
    site.ok(&format!("import -q b.tar {}", far.host()));
    let imported = format!("{}/acme/app:v1", far.host());
    assert_eq!(site.digest(&imported), digest);
    assert_eq!(site.ok(&format!("tree {imported}")).matches("referrer").count(), 4);
}

#[test]
fn layouts_stand_in_files_too_and_rules_choose_in_them() {
    let site = site();
    site.file("list.txt", "oci:all:registry.site/acme/app:v1\noci-archive:chart.tar # all of it\n");
    site.ok("export -q -f list.txt -o oci:listed");
    assert_eq!(references(&site, "listed").len(), 2);
    site.file(
        "bundle.yaml",
        "\
artifacts:
  - ref: oci-archive:chart.tar
  - repository: oci:all
    tags: { semver: '>=1', newest: 1 }
    referrers: none
",
    );
    site.ok("lock -q");
    site.ok("export -q -f bundle.yaml --locked -o oci:chosen");
    assert_eq!(
        references(&site, "chosen").into_iter().collect::<Vec<_>>(),
        [
            "registry.site/acme/app:v1",
            "registry.site/acme/tool:1.3.0",
            "registry.site/charts/shop:1.4.0"
        ]
    );
    // What is locked stays, though there is a newer one now; a lock has no paths.
    site.ok("copy -q oci:site:rules oci:all:registry.site/acme/tool:1.4.0");
    assert_eq!(site.run("lock --check").code, 3);
    site.ok("export -q -f bundle.yaml --locked -o oci:again");
    assert_eq!(bytes(&site, "chosen/bundle.json"), bytes(&site, "again/bundle.json"));
    let lock = String::from_utf8(bytes(&site, "bundle.lock")).unwrap();
    assert!(!lock.contains("oci:all") && !lock.contains("chart.tar"), "{lock}");
}

#[test]
fn what_has_no_full_reference_and_what_is_not_there_is_named() {
    let site = site();
    site.put("bare", &Content::tagged("app", |content| artifacts::image(content, 7)));
    insta::assert_snapshot!(site.errors(&[
        "export oci:bare:app -o b.tar",
        "export oci:all -o b.tar",
        "export oci:all:gone -o b.tar",
        "export oci:nowhere -o b.tar",
        "export oci:all:registry.site/acme/app:v1 -o oci:all",
        "export oci-archive:- -o b.tar",
    ]), @r"
    $ longshore export oci:bare:app -o b.tar
    error: oci:bare:app has no full reference (HOST/PATH:TAG), which a bundle needs
      hint: `longshore tag oci:DIR:NAME HOST/PATH:TAG` gives it one
    error: nothing was written to b.tar
      hint: --keep-going writes what is available
    [exit 1]

    $ longshore export oci:all -o b.tar
    error: oci:all holds 4 artifacts, so say which one
      hint: write `oci:all:NAME`; it has `app`, `registry.site/acme/app:v1`, `registry.site/acme/tool:1.2.0`, `registry.site/acme/tool:1.3.0`; `longshore list oci:all` shows all
    [exit 2]

    $ longshore export oci:all:gone -o b.tar
    error: oci:all:gone: gone is not in all
      hint: `longshore list` shows what is there
    error: nothing was written to b.tar
      hint: --keep-going writes what is available
    [exit 1]

    $ longshore export oci:nowhere -o b.tar
    error: cannot open nowhere: no such file or directory
      hint: check the path: it, or a directory in it, does not exist
    [exit 2]

    $ longshore export oci:all:registry.site/acme/app:v1 -o oci:all
    error: oci:all would be exported onto itself
      hint: choose another place for the bundle
    [exit 2]

    $ longshore export oci-archive:- -o b.tar
    error: `-` is not an artifact
      hint: `-f -` reads a list from stdin
    [exit 2]
    ");
    assert!(!site.path("b.tar").exists());
    // What is left out is named without saying where the layout lies.
    let kept = site.run("export oci:all:gone oci-archive:chart.tar --keep-going -o oci:kept");
    assert_eq!(kept.code, 1, "{}", kept.stderr);
    let record = String::from_utf8(bytes(&site, "kept/bundle.json")).unwrap();
    assert!(record.contains("\"reference\":\"gone\"") && !record.contains("oci:"), "{record}");
    // What the hint says works.
    site.ok("tag -q oci:bare:app registry.site/acme/bare:1");
    site.ok("export -q oci:bare:app -o oci:tagged");
    assert_eq!(references(&site, "tagged").first().unwrap(), "registry.site/acme/bare:1");
}

#[test]
fn a_name_with_capitals_in_its_host_is_found_by_its_reference() {
    let site = Site::typed();
    site.ok("copy -q oci:site:app oci:all:Registry.Site/acme/app:v1");
    for (wanted, to) in [("oci:all:Registry.Site/acme/app:v1", "one"), ("oci:all", "only")] {
        site.ok(&format!("export -q {wanted} -o oci:{to}"));
        let expected = BTreeSet::from(["registry.site/acme/app:v1".to_owned()]);
        assert_eq!(references(&site, to), expected);
    }
}

#[test]
fn hard_links_are_read_in_a_file_and_told_in_a_pipe() {
    if !has("tar") {
        return;
    }
    let site = Site::image();
    site.ok("copy -q oci:src:app oci:full:registry.site/acme/app:v1");
    let layer = site.json("inspect oci:src:app")["layers"][0]["digest"].clone();
    let blob = format!("full/blobs/{}", layer.as_str().unwrap().replace(':', "/"));
    std::fs::create_dir(site.path("full/a")).unwrap();
    std::fs::hard_link(site.path(&blob), site.path("full/a/first")).unwrap();
    let mut tar = std::process::Command::new("tar");
    tar.args(["-cf", "../linked.tar", "a", "oci-layout", "index.json", "blobs"]);
    assert!(tar.current_dir(site.path("full")).status().unwrap().success());
    site.ok("import -q linked.tar oci:far");
    let mut piped = site.command("import - oci:other");
    piped.stdin(std::fs::File::open(site.path("linked.tar")).unwrap());
    let ran = Ran::of(piped.output().unwrap());
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    for told in ["is a hard link, and a pipe cannot be read a second time", "import FILE DST"] {
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
}
