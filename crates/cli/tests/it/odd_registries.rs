//! Bundles of what is odd: registries that lie, and hold less than they list.

use std::process::Stdio;

use longshore_fixture::{Content, Draft, artifacts};
use longshore_spec::{Descriptor, MediaType};
use serde_json::{Value, json};

use crate::common::Site;
use crate::servers::Served;

#[test]
fn sizes_that_no_disk_has_are_told_and_not_added_up_to_less() {
    let site = Site::new();
    let huge = |content: &mut Content| {
        let config = content.empty();
        let layers = ["a", "b", "c"].map(|letter| {
            let digest = format!("sha256:{}", letter.repeat(64)).parse().unwrap();
            Descriptor::new(MediaType::new("text/plain"), digest, i64::MAX as u64)
        });
        content.manifest(&Draft::image(&config, &layers))
    };
    site.put("near", &Content::tagged("local.test/app:1", huge));
    let near = Served::start(&site, "oci:near --writable --allow-missing");
    let export = format!("export {}/app:1", near.host());
    let into = site.run(&format!("{export} -o oci:far --dry-run"));
    assert_eq!(into.code, 0, "{}", into.stderr);
    assert!(into.text().contains("16.0 EiB"), "{}", into.text());
    // A directory is no archive, though it is not there yet.
    assert!(!into.text().contains("archive"), "{}", into.text());
    for to in ["oci:far", "far.tar"] {
        let ran = site.run(&format!("{export} -o {to}"));
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
}

#[test]
fn images_behind_links_are_found_and_templates_are_told() {
    let site = Site::new();
    site.file("real.yml", "image: a:1\n---\nimage: '{{ .Values.image }}'\n");
    std::fs::create_dir(site.path("all")).unwrap();
    std::os::unix::fs::symlink("../real.yml", site.path("all/link.yaml")).unwrap();
    let ran = site.run("find-images all");
    assert_eq!((ran.code, ran.text().as_str()), (0, "docker.io/library/a:1\n"), "{}", ran.stderr);
    let told = "warning: all/link.yaml: `{{ .Values.image }}` is not a reference, so it is not in the list\n";
    assert_eq!(ran.stderr, told);
}

#[test]
fn an_export_of_which_nothing_is_left_says_why_as_json_too() {
    let site = Site::image();
    let near = Served::start(&site, "oci:near --writable");
    for flag in ["--dry-run", "--keep-going", ""] {
        let ran = site.run(&format!("export {}/no/such:1 -o oci:far --json {flag}", near.host()));
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(document["roots"][0]["outcome"], "failed");
        assert_eq!(document["failures"].as_array().unwrap().len(), 1);
    }
}

/// What is wrong with the one layer of an artifact.
#[derive(Debug, Clone, Copy)]
enum Layer {
    Gone,
    Damaged,
}

/// Serves two artifacts, of which `app:bad` has a layer that cannot be had.
fn with_bad_layer(site: &Site, layer: Layer) -> Served {
    let mut content = Content::new();
    for (seed, name) in [(1, "local.test/app:good"), (2, "local.test/app:bad")] {
        let image = artifacts::image(&mut content, seed);
        content.tag(&image, name);
    }
    site.put("near", &content);
    let near = Served::start(site, "oci:near --writable --allow-missing");
    let bad = site.json(&format!("inspect {}/app:bad", near.host()));
    // The first they share.
    let digest = bad["layers"].as_array().unwrap().last().unwrap()["digest"].as_str().unwrap();
    let path = site.path("near").join(longshore_fixture::blob_path(&digest.parse().unwrap()));
    match layer {
        Layer::Gone => std::fs::remove_file(path).unwrap(),
        Layer::Damaged => {
            let mut bytes = std::fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }
    near
}

#[test]
fn what_lacks_a_blob_is_left_out_of_a_bundle_and_the_rest_is_written() {
    for layer in [Layer::Gone, Layer::Damaged] {
        let site = Site::new();
        let near = with_bad_layer(&site, layer);
        let host = near.host();
        for to in ["oci:far", "far.tar"] {
            let export = format!("export {host}/app:good {host}/app:bad --keep-going -o {to}");
            let ran = site.run(&export);
            assert_eq!(ran.code, 1, "{}", ran.stderr);
            let text = ran.text();
            assert!(text.contains("\nexported 1 artifact: "), "{text}");
            assert!(ran.stderr.contains("sha256:"), "{}", ran.stderr);
            assert!(ran.stderr.contains("app:bad"), "{}", ran.stderr);
            assert!(site.ok(&format!("list {to}")).contains("app:good"));
            let verified = site.json(&format!("verify {to}"));
            let left_out = verified["leftOut"].to_string();
            assert!(left_out.contains("app:bad"), "{left_out}");
            assert_eq!(site.json(&format!("list {to}")).as_array().unwrap().len(), 1);
            // What was written once is the same, made again.
            let json = site.run(&format!("{export}2 --json"));
            assert_eq!(json.code, 1, "{}", json.stderr);
        }
        assert!(!site.path("far.tar.partial").exists());
        let bytes = |name: &str| std::fs::read(site.path(name)).unwrap();
        assert_eq!(bytes("far.tar"), bytes("far.tar2"));
        let all = site.run(&format!("copy --all-tags {host}/app all.tar"));
        assert_eq!(all.code, 1, "{}", all.stderr);
        assert!(all.stderr.contains("bad"), "{}", all.stderr);
        assert!(site.ok("list all.tar").contains("app:good"));
        site.ok("verify all.tar");
        // Without the flag nothing is written, and what has come stays for the next run.
        let strict = site.run(&format!("export {host}/app:good {host}/app:bad -o strict.tar"));
        assert_eq!(strict.code, 1, "{}", strict.stderr);
        assert!(strict.text().starts_with("no bundle: 1 artifact not complete; "));
        assert!(!site.path("strict.tar").exists());
    }
}

#[test]
fn what_lacks_a_blob_is_left_out_of_a_pipe_before_it_begins() {
    let site = Site::new();
    let near = with_bad_layer(&site, Layer::Gone);
    let host = near.host();
    for line in [
        format!("export {host}/app:good {host}/app:bad --keep-going -o -"),
        format!("copy --all-tags {host}/app oci-archive:-"),
    ] {
        let ran = site.run(&line);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        assert!(ran.stderr.contains("bad"), "{}", ran.stderr);
        std::fs::write(site.path("piped.tar"), &ran.stdout).unwrap();
        assert!(site.ok("list piped.tar").contains("app:good"));
        site.ok("verify piped.tar");
    }
}

#[test]
fn what_others_write_does_not_speak_to_the_terminal() {
    let site = Site::new();
    let name = "a.io/x:1\u{1b}[2J\nall is well";
    site.put("evil", &Content::tagged(name, |content| artifacts::image(content, 1)));
    let list = site.ok("list oci:evil");
    assert!(list.contains(r"a.io/x:1\u{1b}[2J\nall is well"), "{list}");
    let refused = site.run("import oci:evil oci:far");
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains(r"a.io/x:1\u{1b}[2J"), "{}", refused.stderr);
}

#[test]
fn a_pipe_in_place_of_a_file_is_refused() {
    let site = Site::image();
    for name in ["bundle.json", "index.json", "oci-layout"] {
        let path = site.path("src").join(name);
        let _ = std::fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let mut running = site.command("verify oci:src").stderr(Stdio::null()).spawn().unwrap();
        let ended = (0..600).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            running.try_wait().unwrap()
        });
        let _ = running.kill();
        assert!(ended.is_some_and(|status| !status.success()), "it waits for {name}");
    }
}

#[test]
fn what_has_no_end_is_not_read_to_its_end() {
    let site = Site::new();
    site.file("bundle.yaml", "artifacts: [{ ref: 127.0.0.1:1/app:1 }]\n");
    for lock in ["bundle.lock", "zero.yaml"] {
        std::os::unix::fs::symlink("/dev/zero", site.path(lock)).unwrap();
    }
    for (line, named) in [
        ("lock -f /dev/zero", "/dev/zero"),
        ("export -q -f /dev/zero -o x.tar", "/dev/zero"),
        ("export -q --locked -f bundle.yaml -o x.tar", "bundle.lock"),
        ("find-images /dev/zero", "/dev/zero"),
        ("find-images zero.yaml", "zero.yaml"),
        ("copy -q -f /dev/zero oci:y", "/dev/zero"),
        ("logout --authfile /dev/zero 127.0.0.1:1", "/dev/zero"),
        ("digest --tls-ca /dev/zero 127.0.0.1:1/app:1", "/dev/zero"),
        ("serve oci:y --writable --htpasswd /dev/zero --listen 127.0.0.1:0", "/dev/zero"),
    ] {
        let ran = site.run(line);
        assert_eq!(ran.code, 2, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(named), "{line}: {}", ran.stderr);
    }
}

#[test]
fn a_directory_of_manifests_is_looked_into_only_so_deep() {
    let site = Site::new();
    let deep = (0..70).map(|_| "d").collect::<Vec<_>>().join("/");
    std::fs::create_dir_all(site.path(&deep)).unwrap();
    // A link that leads round, and one that leads nowhere, are no files.
    std::os::unix::fs::symlink(site.path("d"), site.path("d/round")).unwrap();
    std::os::unix::fs::symlink("nowhere", site.path("d/gone.yaml")).unwrap();
    let ran = site.run("find-images d");
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("is over the limit of 64 levels"), "{}", ran.stderr);
}

#[test]
fn what_is_gone_since_it_was_locked_is_a_change() {
    let site = Site::image();
    let near = Served::start(&site, "oci:near --writable");
    let host = near.host();
    for to in ["app:1", "app:2", "other:1"] {
        site.ok(&format!("copy -q oci:src:app {host}/{to}"));
    }
    let wanted = format!("artifacts: [{{ ref: {host}/app:1 }}, {{ repository: {host}/other }}]\n");
    site.file("bundle.yaml", wanted);
    site.ok("lock -q");
    site.ok(&format!("delete {host}/app:1"));
    site.ok(&format!("delete {host}/other:1"));
    let ran = site.run("lock --check --json");
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let gone = ["app:1", "other:1"]
        .map(|name| json!({ "change": "gone", "reference": format!("{host}/{name}") }));
    assert_eq!(document["changes"], json!(gone), "{}", ran.stderr);
    // What is there is not locked anew without the rest, and what cannot be asked is no answer.
    assert_eq!(site.run("lock").code, 1);
    drop(near);
    assert_eq!(site.run("lock --check").code, 1);
}

#[test]
fn platforms_that_are_not_there_and_signatures_of_the_old_index_are_told() {
    let site = Site::typed();
    let near = Served::start(&site, "oci:near --writable");
    site.ok(&format!("copy -q --referrers oci:site:app {}/app:1", near.host()));
    let export = format!("export {}/app:1 --dry-run -o oci:far --platform", near.host());
    let lacking = site.run(&format!("{export} linux/amd64,linux/s390x --sparse-index keep"));
    let told = format!("warning: {}/app:1 has nothing for linux/s390x\n", near.host());
    assert!(lacking.stderr.contains(&told), "{}", lacking.stderr);
    let all = site.run(&format!("{export} linux/amd64,linux/arm64 --sparse-index strip"));
    assert!(!all.stderr.contains("has nothing for"), "{}", all.stderr);
    let index = site.digest("oci:site:app");
    let told = "not copied, because its index is changed: spdx sha256:";
    assert!(all.stderr.contains(told), "{}", all.stderr);
    assert!(all.stderr.contains(&format!(" of the index {index}\n")), "{}", all.stderr);
    let one = site.run(&format!("{export} linux/amd64"));
    assert!(one.stderr.contains(told), "{}", one.stderr);
    let none = site.run(&format!("{export} linux/amd64 --referrers none"));
    assert!(!none.stderr.contains(told), "{}", none.stderr);
}

#[test]
fn what_the_file_says_is_not_said_again_by_flags() {
    let (site, near, _) = half_attached();
    let text = format!("artifacts:\n  - ref: {}/app:1\n    referrers: all\n", near.host());
    site.file("bundle.yaml", format!("{text}    platforms: []\n    types: []\n"));
    let flags = "--referrers none --platform linux/s390x --type chart";
    let ran = site.run(&format!("export -f bundle.yaml {flags} --json -o oci:far --keep-going"));
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let done = document["roots"].as_array().unwrap().iter().filter(|it| it["outcome"] == "done");
    assert_eq!(done.count(), 2, "the image and its signature: {}", ran.stderr);
}

/// An image with an SBOM that has a signature, and the digests of these; the SBOM is listed, and not
/// there.
fn half_attached() -> (Site, Served, String) {
    let site = Site::new();
    let mut content = Content::new();
    let app = artifacts::image(&mut content, 1);
    content.tag(&app, "local.test/app:1");
    let sbom = artifacts::spdx(&mut content, &app, 1);
    content.untagged(&sbom);
    let signature = artifacts::notation_signature(&mut content, &app, 1);
    content.untagged(&signature);
    site.put("near", &content);
    let near = Served::start(&site, "oci:near --writable");
    site.file("list.txt", format!("{}/app:1\n", near.host()));
    site.ok("lock -q -f list.txt");
    let blob = longshore_fixture::blob_path(&sbom.digest);
    std::fs::remove_file(site.path("near").join(blob)).unwrap();
    (site, near, sbom.digest.to_string())
}

#[test]
fn a_referrer_that_cannot_be_had_is_recorded() {
    let (site, near, sbom) = half_attached();
    let export = format!("export {}/app:1 -o oci:far --keep-going", near.host());
    let ran = site.run(&format!("{export} --json"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(document["leftOut"], json!([{ "digest": sbom, "why": "failed" }]));
    let failed = document["roots"].as_array().unwrap().iter().find(|it| it["outcome"] == "failed");
    assert_eq!(failed.unwrap()["digest"], sbom);
    assert!(site.ok("verify oci:far").contains(&format!("left out  {sbom}: could not be had")));
}

#[test]
fn what_is_locked_and_gone_is_told_beside_what_failed() {
    let (site, near, sbom) = half_attached();
    let _ = near;
    let lock = String::from_utf8(std::fs::read(site.path("list.lock")).unwrap()).unwrap();
    let kept = site.run("export -f list.txt --locked --keep-going -o oci:far");
    assert_eq!(kept.code, 1, "{}", kept.stderr);
    // What was dropped is told already, and all else is as it was locked.
    assert!(!kept.stderr.contains("not as locked"), "{}", kept.stderr);
    let other = "0".repeat(64);
    let more = lock.replacen(
        "\"referrers\": [",
        &format!("\"referrers\": [{{\"digest\": \"sha256:{other}\", \"artifactType\": \"x\"}},"),
        1,
    );
    assert_ne!(more, lock);
    site.file("list.lock", more);
    let gone = site.run("export -f list.txt --locked --keep-going -o oci:further");
    assert_eq!(gone.code, 1, "{}", gone.stderr);
    assert!(gone.stderr.contains("not as locked: gone"), "{}", gone.stderr);
    // Nobody locked the one that is broken: it keeps nobody from what is locked.
    let mut without: Value = serde_json::from_str(&lock).unwrap();
    for artifact in without["artifacts"].as_object_mut().unwrap().values_mut() {
        artifact["referrers"].as_array_mut().unwrap().retain(|it| it["digest"] != sbom);
    }
    site.file("list.lock", without.to_string());
    site.ok("export -q -f list.txt --locked -o oci:best");
}
