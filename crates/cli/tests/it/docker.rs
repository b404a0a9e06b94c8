//! Bundles that Docker, Podman and skopeo read too.

use serde_json::Value;

use crate::common::Site;
use crate::servers::Served;

/// A registry with an image for four platforms, a chart and a policy.
fn registry() -> (Site, Served) {
    let site = Site::typed();
    let near = Served::start(&site, "oci:near --writable");
    for (from, to) in [("app", "acme/app:v1"), ("chart", "charts/shop:1.4.0")] {
        site.ok(&format!("copy -q oci:site:{from} {}/{to}", near.host()));
    }
    (site, near)
}

fn bytes(site: &Site, name: &str) -> Vec<u8> {
    std::fs::read(site.path(name)).unwrap()
}

#[test]
fn a_bundle_tells_docker_of_its_images_the_same_in_every_form() {
    let (site, near) = registry();
    let export = format!("export {0}/acme/app:v1 {0}/charts/shop:1.4.0", near.host());
    let docker = format!("{export} --docker-manifest=linux/arm64");
    let ran = site.run(&format!("{docker} -o b.tar --json"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("charts/shop:1.4.0: it is not a container image"),
        "{}",
        ran.stderr
    );
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(document["dockerManifest"]["platform"], "linux/arm64");
    assert_eq!(document["dockerManifest"]["skipped"].as_array().unwrap().len(), 1);
    let piped = site.run(&format!("{docker} -o -"));
    assert!(bytes(&site, "b.tar") == piped.stdout);
    site.ok(&format!("{docker} -q -o oci:b"));
    let listed: Vec<Value> = serde_json::from_slice(&bytes(&site, "b/manifest.json")).unwrap();
    assert_eq!(listed[0]["RepoTags"][0], format!("{}/acme/app:v1", near.host()));
    let config = listed[0]["Config"].as_str().unwrap();
    let config: Value = serde_json::from_slice(&bytes(&site, &format!("b/{config}"))).unwrap();
    assert_eq!(config["architecture"], "arm64");
    // It comes behind `bundle.json`, before all content.
    let archive = bytes(&site, "b.tar");
    let at =
        |name: &str| archive.windows(name.len()).position(|part| part == name.as_bytes()).unwrap();
    assert!(at("bundle.json") < at("manifest.json\0") && at("manifest.json\0") < at("blobs/\0"));
    for place in ["oci-archive:b.tar", "oci:b"] {
        site.ok(&format!("verify -q {place}"));
    }
    site.ok(&format!("{docker} --check -o b.tar"));
    // Without it, or for another platform, it is another bundle.
    for other in [export.clone(), format!("{export} --docker-manifest=linux/amd64")] {
        assert_eq!(site.run(&format!("{other} --check -o b.tar")).code, 3);
    }
    site.ok("import -q oci:b oci:far");
    // What an earlier export left is told, since Docker would read it.
    let left = site.run(&format!("{export} -o oci:b"));
    assert_eq!(left.code, 0, "{}", left.stderr);
    let warning = "warning: `manifest.json` in b is not of this bundle";
    assert!(left.stderr.contains(warning), "{}", left.stderr);
    assert!(!site.run(&format!("{export} -o oci:new")).stderr.contains(warning));
}

#[test]
fn a_manifest_for_docker_that_was_changed_is_found_out() {
    let (site, near) = registry();
    let host = near.host();
    site.ok(&format!("export -q {host}/acme/app:v1 --docker-manifest=linux/amd64 -o oci:b"));
    site.file("b/manifest.json", "[]");
    for (line, code) in [("verify oci:b", 3), ("import oci:b oci:far", 1)] {
        let ran = site.run(line);
        assert_eq!(ran.code, code, "{}", ran.stderr);
        assert!(ran.stderr.contains("`manifest.json`, for Docker, is not"), "{}", ran.stderr);
    }
    assert!(!site.path("far").exists());
}

#[test]
fn what_cannot_be_told_docker_is_refused_before_anything_is_written() {
    let (site, near) = registry();
    insta::assert_snapshot!(near.errors(&site, &[
        "export HOST/acme/app:v1 --docker-manifest -o b.tar",
        "export HOST/acme/app:v1 --docker-manifest=linux/s390x -o b.tar",
        "export HOST/charts/shop:1.4.0 --docker-manifest -o b.tar",
    ]), @r"
    $ longshore export HOST/acme/app:v1 --docker-manifest -o b.tar
    error: its images are for linux/amd64, linux/arm/v7, linux/arm64, windows(10.0.17763.6293)/amd64, and `manifest.json` takes one platform of each
      hint: write which, such as --docker-manifest=linux/amd64
    [exit 2]

    $ longshore export HOST/acme/app:v1 --docker-manifest=linux/s390x -o b.tar
    error: it holds no image for linux/s390x with a tag, so `manifest.json` would name nothing
      hint: leave out --docker-manifest, or give another platform
    [exit 2]

    $ longshore export HOST/charts/shop:1.4.0 --docker-manifest -o b.tar
    error: it holds no image with a tag, so `manifest.json` would name nothing
      hint: leave out --docker-manifest, or give another platform
    [exit 2]
    ");
    assert!(!site.path("b.tar").exists());
    // One platform alone is the only one.
    site.ok(&format!(
        "export -q {}/acme/app:v1 --platform linux/arm64 --docker-manifest -o b.tar",
        near.host()
    ));
}

#[test]
fn of_two_that_docker_calls_the_same_it_is_told_of_the_same_one() {
    let (site, near) = registry();
    let wanted = ["image", "image-zstd"].map(|name| {
        let place = format!("{}/acme/app:v1", near.host());
        site.ok(&format!("copy -q oci:{}:app {place}", site.fixture(name)));
        format!("{place}@{}", site.digest(&place))
    });
    let [one, other] = &wanted;
    let export = "export -q --docker-manifest -o";
    site.ok(&format!("{export} a.tar {one} {other}"));
    site.ok(&format!("{export} b.tar {other} {one}"));
    assert!(bytes(&site, "a.tar") == bytes(&site, "b.tar"));
}
