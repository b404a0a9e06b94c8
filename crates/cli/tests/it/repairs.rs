//! Bundles in several files, and what is missing of one.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_fixture::proxy::{Answer, Faults, Proxy, Request, Rules};
use longshore_fixture::{Content, artifacts};
use serde_json::Value;

use crate::bundles::bytes;
use crate::common::Site;
use crate::deltas::second_visit;
use crate::servers::Served;

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

/// Returns the first blob of a receipt, `sha256:` before it or not.
fn blob_of(site: &Site, receipt: &str) -> String {
    let text = std::fs::read_to_string(site.path(receipt)).unwrap();
    let blob = text.lines().find_map(|line| line.strip_prefix("  blob sha256:")).unwrap();
    blob.split(' ').next().unwrap().to_owned()
}

/// Returns the digests of a list of missing content.
fn listed(site: &Site, path: &str) -> Vec<String> {
    let text = std::fs::read_to_string(site.path(path)).unwrap();
    let blobs = text.lines().filter_map(|line| line.strip_prefix("blob sha256:"));
    blobs.map(|blob| blob.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn what_a_registry_lost_is_asked_for_and_comes_with_a_repair() {
    let (site, near, far, all) = second_visit();
    let (here, there) = (near.host(), far.host());
    let all = format!("{all} {here}/acme/app:v2");
    site.ok(&format!("export -q {all} --base plant-7.receipt -o delta.tar"));
    let blob = blob_of(&site, "plant-7.receipt");
    std::fs::remove_file(site.path(&format!("far/blobs/sha256/{blob}"))).unwrap();
    let before = site.files();
    let ran = site.run(&format!("import delta.tar {there}/mirror --missing missing.txt"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("wrote missing.txt: 1 blob missing"), "{}", ran.stderr);
    assert_eq!(listed(&site, "missing.txt"), [blob]);
    let mut after = site.files();
    after.remove("missing.txt");
    assert!(after == before, "nothing is written but the list");
    // The list names no repository of the site.
    let text = std::fs::read_to_string(site.path("missing.txt")).unwrap();
    assert!(!text.contains("mirror") && !text.contains(there), "{text}");

    let ran = site.run(&format!("export {all} --only missing.txt -o repair.tar"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.text().contains("exported what is missing for sha256:"), "{}", ran.text());
    site.ok(&format!("export -q {all} --only missing.txt -o again.tar --jobs 1"));
    assert_eq!(bytes(&site, "repair.tar"), bytes(&site, "again.tar"));
    site.ok(&format!("export -q {all} --only missing.txt -o repair.tar --check"));
    for only in ["--only missing.txt", "--base plant-7.receipt"] {
        let export = format!("export -q {all} {only} -o oci:bundle");
        site.ok(&export);
        site.ok(&format!("{export} --check"));
        let blob = std::fs::read_dir(site.path("bundle/blobs/sha256")).unwrap().next().unwrap();
        std::fs::remove_file(blob.unwrap().path()).unwrap();
        assert_ne!(site.run(&format!("{export} --check")).code, 0, "{only}");
        std::fs::remove_dir_all(site.path("bundle")).unwrap();
    }
    let [repair, delta] = ["repair.tar", "delta.tar"].map(|name| {
        serde_json::from_str::<Value>(&site.ok(&format!("verify {name} --json"))).unwrap()
    });
    assert_eq!(repair["repairs"], delta["bundle"], "{repair}");
    assert_eq!((&repair["checked"], &repair["orphaned"]), (&1.into(), &Value::Array(Vec::new())));
    let shown = site.run("list repair.tar");
    assert!(
        shown.stderr.contains("it holds what was missing for the bundle sha256:"),
        "{}",
        shown.stderr
    );
    let ran = site.run(&format!("import repair.tar {there}/mirror"));
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("only repairs another one, sha256:"), "{}", ran.stderr);

    let together: Value =
        serde_json::from_str(&site.ok("verify repair.tar delta.tar --json")).unwrap();
    assert_eq!(together["bundle"], delta["bundle"]);
    assert_eq!(
        together["checked"].as_u64().unwrap(),
        delta["checked"].as_u64().unwrap() + 1,
        "{together}"
    );
    let ran =
        site.run(&format!("import repair.tar delta.tar {there}/mirror --missing missing.txt"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("removed missing.txt"), "{}", ran.stderr);
    assert!(!site.path("missing.txt").exists());
    for name in ["acme/app:v1", "acme/app:v2", "charts/shop:1.4.0"] {
        let [from, to] = [format!("{here}/{name}"), format!("{there}/mirror/{name}")];
        assert_eq!(site.digest(&from), site.digest(&to), "{name}");
        site.ok(&format!("verify {to}"));
    }
    site.ok(&format!("import -q delta.tar repair.tar {there}/mirror"));
}

#[test]
fn what_a_layout_lost_comes_with_two_repairs() {
    let (site, _near, _far, all) = second_visit();
    site.ok("import -q first.tar oci:store");
    site.ok(&format!("export -q {all} --base first.tar -o delta.tar"));
    for blob in std::fs::read_dir(site.path("store/blobs/sha256")).unwrap() {
        std::fs::remove_file(blob.unwrap().path()).unwrap();
    }
    let lost = site.files();
    let ran = site.run("import delta.tar oci:store --missing all.txt");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let assumed = site.json("verify delta.tar")["assumed"]["blobs"].as_u64().unwrap();
    assert_eq!(listed(&site, "all.txt").len() as u64, assumed);
    assert!(assumed > 1);
    site.ok(&format!("export -q {all} --only all.txt -o all.tar"));
    // Half of it is brought, and the other half asked for with that beside the bundle.
    let half = listed(&site, "all.txt").swap_remove(0);
    site.ok(&format!("export -q {all} --only all.txt -o oci:half"));
    std::fs::remove_file(site.path(&format!("half/blobs/sha256/{half}"))).unwrap();
    let ran = site.run("import delta.tar oci:half --to oci:store --missing rest.txt");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(listed(&site, "rest.txt"), [half]);
    let mut now = site.files();
    now.retain(|path, _| path.starts_with("store/"));
    assert!(now.iter().all(|(path, node)| lost.get(path) == Some(node)), "nothing is written");
    site.ok(&format!("export -q {all} --only rest.txt -o rest.tar"));
    site.ok("import -q oci:half delta.tar rest.tar --to oci:store");
    site.ok("verify oci:store");
    site.ok("import -q delta.tar all.tar --to oci:fresh");
    site.ok("verify oci:fresh");
    assert_eq!(site.ok("list oci:fresh --json"), site.ok("list first.tar --json"));
}

#[test]
fn a_bundle_that_is_damaged_itself_is_repaired() {
    let site = two_bundles();
    let layer = std::fs::read_dir(site.path("one/blobs/sha256")).unwrap().map(Result::unwrap);
    let layer = layer.max_by_key(|entry| entry.metadata().unwrap().len()).unwrap().path();
    let content = std::fs::read(&layer).unwrap();
    let made = "oci:near:registry.site/acme/app:v1";
    for damage in [None, Some(vec![0; content.len()])] {
        match damage {
            None => std::fs::remove_file(&layer).unwrap(),
            Some(bytes) => std::fs::write(&layer, bytes).unwrap(),
        }
        let ran = site.run("import oci:one oci:far --missing missing.txt");
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        site.ok(&format!("export -q {made} --only missing.txt -o repair.tar --force"));
        site.ok("import -q oci:one repair.tar oci:far --missing missing.txt");
        site.ok("verify oci:far");
        std::fs::remove_dir_all(site.path("far")).unwrap();
        assert!(!site.path("missing.txt").exists());
    }
}

#[test]
fn lists_and_repairs_that_do_not_fit_are_refused() {
    let site = two_bundles();
    let layer = std::fs::read_dir(site.path("one/blobs/sha256")).unwrap().map(Result::unwrap);
    let layer = layer.max_by_key(|entry| entry.metadata().unwrap().len()).unwrap();
    std::fs::remove_file(layer.path()).unwrap();
    site.run("import oci:one oci:far --missing missing.txt");
    let list = std::fs::read_to_string(site.path("missing.txt")).unwrap();
    site.file("cut.txt", &list[..list.len() - 5]);
    site.file("changed.txt", list.replacen("blob sha256:", "blob sha256:0", 1));
    site.file("empty.txt", "");
    let made = "oci:near:registry.site/acme/app:v1";
    for (line, code, told) in [
        (format!("export {made} --only cut.txt -o r.tar"), 2, "it was changed or cut off"),
        (format!("export {made} --only changed.txt -o r.tar"), 2, "it was changed or cut off"),
        (format!("export {made} --only empty.txt -o r.tar"), 2, "its first line is not"),
        (format!("export {made} --only one.tar -o r.tar"), 2, "is no list of missing content"),
        (format!("export {made} --only none.txt -o r.tar"), 2, "none.txt"),
        (
            "export oci:near:registry.site/acme/chart:v1 --only missing.txt -o r.tar".to_owned(),
            1,
            "is not needed by what is wanted",
        ),
        ("import oci:one oci:far --missing one.tar".to_owned(), 2, "is not replaced"),
        ("import oci:one oci:far --missing none/m.txt".to_owned(), 2, "none"),
    ] {
        let ran = site.run(&line);
        assert_eq!(ran.code, code, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{line}: {}", ran.stderr);
        assert!(!site.path("r.tar").exists() && !site.path("r.tar.partial").exists(), "{line}");
    }
    site.ok(&format!("export -q {made} --only missing.txt -o repair.tar"));
    for (line, told) in [
        ("import other.tar repair.tar oci:far", "repair.tar repairs another bundle than"),
        ("verify repair.tar other.tar", "repair.tar repairs another bundle than"),
        ("import repair.tar repair.tar oci:far", "repair.tar only repairs another bundle, sha256:"),
        ("import repair.tar", "only repairs another one, sha256:"),
        ("verify one.tar oci:near:registry.site/acme/app:v1", "several files are verified"),
    ] {
        let ran = site.run(line);
        assert_eq!(ran.code, 2, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{line}: {}", ran.stderr);
    }
}

#[test]
fn a_list_of_an_earlier_import_is_never_left_as_if_it_were_new() {
    let site = two_bundles();
    let layer = std::fs::read_dir(site.path("one/blobs/sha256")).unwrap().map(Result::unwrap);
    let layer = layer.max_by_key(|entry| entry.metadata().unwrap().len()).unwrap();
    std::fs::remove_file(layer.path()).unwrap();
    let ran = site.run("import oci:one oci:far --missing missing.txt --dry-run");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let list = bytes(&site, "missing.txt");
    // One that does not get so far leaves it, and says so.
    let ran = site.run("import none.tar oci:far --missing missing.txt");
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("missing.txt is of an earlier import"), "{}", ran.stderr);
    assert_eq!(bytes(&site, "missing.txt"), list);
    let ran = site.run("import one.tar oci:far --missing missing.txt --dry-run");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!site.path("missing.txt").exists() && !site.path("far").exists());
    let ran = site.run("import one.tar oci:far --missing missing.txt");
    assert_eq!((ran.code, site.path("missing.txt").exists()), (0, false), "{}", ran.stderr);
}

/// Returns a site with a store, a delta for it with a tag that has moved, and `whole.tar` of the same.
fn store_and_delta() -> (Site, Served, String) {
    let (site, near, _far, all) = second_visit();
    site.ok("import -q first.tar oci:store");
    site.ok(&format!("copy -q oci:new:app {}/charts/shop:1.4.0", near.host()));
    let all = format!("{all} {}/acme/app:v2", near.host());
    site.ok(&format!("export -q {all} -o whole.tar"));
    site.ok(&format!("export -q {all} --base first.tar -o delta.tar"));
    (site, near, all)
}

#[test]
fn a_delta_is_served_together_with_what_holds_its_base() {
    let (site, near, _) = store_and_delta();
    let here = near.host();
    site.ok("import -q whole.tar oci:imported");
    for line in [
        "oci:store delta.tar",
        "delta.tar oci:store",
        "--writable oci:empty delta.tar oci:store",
        "first.tar delta.tar",
    ] {
        let served = Served::start(&site, line);
        // All that the delta brings is there, under its names, referrers and all.
        for name in ["acme/app:v1", "acme/app:v2", "charts/shop:1.4.0"] {
            let name = format!("{}/{name}", here.replace(':', "_"));
            let from = format!("{}/{name}", served.host());
            let copied = format!("oci:pulled:{name}");
            site.ok(&format!("copy -q --referrers {from} {copied}"));
            site.ok(&format!("verify -q {from}"));
            let [one, other] = [
                copied,
                format!("oci:imported:{}", name.replacen(&here.replace(':', "_"), here, 1)),
            ];
            assert_eq!(site.digest(&one), site.digest(&other), "{line}");
            let referrers =
                |place: &str| site.json(&format!("tree {place}"))[0]["referrers"].clone();
            assert_eq!(referrers(&one), referrers(&other), "{line}");
        }
        site.ok("verify oci:pulled");
        std::fs::remove_dir_all(site.path("pulled")).unwrap();
    }
}

/// Returns the first warning of a server that is started and ended.
fn warning(site: &Site, line: &str) -> String {
    let mut command = site.command(&format!("serve --listen 127.0.0.1:0 {line}"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    first
}

#[test]
fn what_no_place_holds_is_answered_with_404_and_warned_of() {
    let (site, near, all) = store_and_delta();
    let repository = format!("{}/acme/app", near.host().replace(':', "_"));
    for blob in std::fs::read_dir(site.path("store/blobs/sha256")).unwrap() {
        std::fs::remove_file(blob.unwrap().path()).unwrap();
    }
    site.run("import delta.tar oci:store --missing missing.txt");
    let blob = &listed(&site, "missing.txt")[0];
    let said = warning(&site, "oci:store delta.tar");
    assert!(said.starts_with("warning: not whole in oci-archive:delta.tar: "), "{said}");
    assert!(
        said.contains(": 1 artifact, such as ") && said.contains(" answered with 404"),
        "{said}"
    );
    let served = Served::start(&site, "oci:store delta.tar");
    let answer = served.get(&format!("/v2/{repository}/blobs/sha256:{blob}"));
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("BLOB_UNKNOWN"), "{answer}");
    let answer = served.get(&format!("/v2/{repository}/manifests/v1"));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(served);
    // A repair is a place like any other.
    site.ok(&format!("export -q {all} --only missing.txt -o repair.tar"));
    let served = Served::start(&site, "delta.tar repair.tar");
    site.ok(&format!("copy -q {}/{repository}:v1 oci:pulled:v1", served.host()));
    site.ok("verify oci:pulled");
    let answer = served.get(&format!("/v2/other/repository/blobs/sha256:{blob}"));
    assert!(answer.starts_with("HTTP/1.1 404 "), "only where a manifest lists it: {answer}");
}

#[test]
fn what_vanishes_behind_the_guard_fails_its_root_and_is_on_the_list() {
    let (site, near, far, all) = second_visit();
    let (here, there) = (near.host(), far.host());
    let all = format!("{all} {here}/acme/app:v2");
    site.ok(&format!("export -q {all} --base plant-7.receipt -o delta.tar"));
    // It is there when the guard reads its first byte, and gone from then on.
    let blob = blob_of(&site, "plant-7.receipt");
    let path = format!("/blobs/sha256:{blob}");
    let asked = AtomicU64::new(0);
    let rules = Rules::default().answer(move |request: &Request| {
        let is_gone = request.path().ends_with(&path) && asked.fetch_add(1, Ordering::Relaxed) > 0;
        is_gone.then(|| Answer::status(404))
    });
    let proxy = Proxy::start(far.address(), Faults::http(rules)).unwrap();
    let through = proxy.address();
    let ran = site.run(&format!("import delta.tar {through}/mirror --missing missing.txt"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("which takes it for granted"), "{}", ran.stderr);
    assert!(ran.text().contains("failed"), "{}", ran.text());
    assert_eq!(listed(&site, "missing.txt"), [blob]);
    // What does not need it is there.
    let name = "acme/app:v2";
    assert_eq!(
        site.digest(&format!("{there}/mirror/{name}")),
        site.digest(&format!("{here}/{name}"))
    );
    site.ok(&format!("export -q {all} --only missing.txt -o repair.tar"));
    site.ok(&format!("import -q delta.tar repair.tar {through}/mirror --missing missing.txt"));
    assert!(!site.path("missing.txt").exists());
}

#[test]
fn a_registry_that_goes_on_to_say_that_it_has_what_it_lost_is_repaired() {
    let (site, _near, far, all) = second_visit();
    site.ok(&format!("export -q {all} --base plant-7.receipt -o delta.tar"));
    let blob = blob_of(&site, "plant-7.receipt");
    let file = site.path(&format!("far/blobs/sha256/{blob}"));
    let size = std::fs::metadata(&file).unwrap().len();
    std::fs::remove_file(&file).unwrap();
    let path = format!("/blobs/sha256:{blob}");
    let rules = Rules::default().answer(move |request: &Request| {
        let is_asked = request.method == "HEAD" && request.path().ends_with(&path);
        is_asked.then(|| Answer::status(200).header("Content-Length", size.to_string()))
    });
    let proxy = Proxy::start(far.address(), Faults::http(rules)).unwrap();
    let to = format!("{}/mirror", proxy.address());
    let ran = site.run(&format!("import delta.tar {to} --missing missing.txt"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(listed(&site, "missing.txt"), [blob]);
    site.ok(&format!("export -q {all} --only missing.txt -o repair.tar"));
    let would = site.json(&format!("import delta.tar repair.tar {to} --dry-run"));
    assert!(would["missingBytes"].as_u64().unwrap() >= size, "{would}");
    site.ok(&format!("import -q delta.tar repair.tar {to}"));
    assert!(file.exists());
    site.ok("verify oci:far");
}

#[test]
fn what_is_missing_is_told_with_what_to_do() {
    let site = two_bundles();
    let blobs = std::fs::read_dir(site.path("one/blobs/sha256")).unwrap().map(Result::unwrap);
    let layer = blobs.max_by_key(|entry| entry.metadata().unwrap().len()).unwrap();
    let made = "oci:near:registry.site/acme/app:v1";
    site.ok(&format!("export -q {made} --base one.tar -o delta.tar"));
    std::fs::remove_file(layer.path()).unwrap();
    site.ok("import -q one.tar oci:site");
    let lost = site.path("site/blobs/sha256").join(layer.file_name());
    std::fs::remove_file(lost).unwrap();
    insta::assert_snapshot!(site.errors(&[
        "import delta.tar oci:site",
        "import delta.tar oci:site --missing missing.txt",
        "import oci:one oci:other --missing own.txt",
    ]), @"
    $ longshore import delta.tar oci:site
    error: sha256:d5991443… is not in the layout
    error: the bundle takes 1 blob for granted (2.0 KiB) that the target does not hold; nothing was written
      hint: --missing FILE lists it, for `export --only` where the bundle was made; or export the bundle again with a new receipt of the site
    [exit 1]

    $ longshore import delta.tar oci:site --missing missing.txt
    wrote missing.txt: 1 blob missing, 2.0 KiB; where the bundle was made, `longshore export -f FILE --only missing.txt -o repair.tar` makes a bundle of exactly that
    error: sha256:d5991443… is not in the layout
    error: the bundle takes 1 blob for granted (2.0 KiB) that the target does not hold; nothing was written
      hint: import the bundle together with what `export --only` makes of the list
    [exit 1]

    $ longshore import oci:one oci:other --missing own.txt
    wrote own.txt: 1 blob missing, 2.0 KiB; where the bundle was made, `longshore export -f FILE --only own.txt -o repair.tar` makes a bundle of exactly that
    error: the bundle is not complete: sha256:d5991443… is not in it
      hint: fetch it again from its source; nothing was written
    [exit 1]
    ");
    site.ok(&format!("export -q {made} --only missing.txt -o repair.tar"));
    insta::assert_snapshot!(site.errors(&[
        "import repair.tar oci:site",
        "import other.tar repair.tar oci:site",
        "import one.tar other.tar oci:site",
        "import one.tar oci:near --to oci:site",
        "import delta.tar oci:one",
        "export oci:near:registry.site/acme/chart:v1 --only missing.txt -o r.tar",
        "export oci:near:registry.site/acme/app:v1 --only other.tar -o r.tar",
        "import none.tar oci:site --missing missing.txt",
    ]), @"
    $ longshore import repair.tar oci:site
    error: the bundle only repairs another one, sha256:6b953484…
      hint: import it together with that: `longshore import BUNDLE REPAIR DST`
    [exit 2]

    $ longshore import other.tar repair.tar oci:site
    error: oci-archive:repair.tar repairs another bundle than oci-archive:other.tar: sha256:6b953484…, and not sha256:09954b85…
      hint: `import --missing FILE` lists what is missing for this bundle
    [exit 2]

    $ longshore import one.tar other.tar oci:site
    error: oci-archive:other.tar is of another bundle than oci-archive:one.tar: of sha256:09954b85…, and not of sha256:427b783e…
      hint: take one bundle after the other
    [exit 2]

    $ longshore import one.tar oci:near --to oci:site
    error: oci:near has no `bundle.json`, so nothing says which bundle it belongs to
      hint: only files of one bundle go together
    [exit 2]

    $ longshore import delta.tar oci:one
    error: `oci:one` may be a part of the bundle, or where it goes
      hint: write `--to oci:one` if it goes there, and `--to DST` if not
    [exit 2]

    $ longshore export oci:near:registry.site/acme/chart:v1 --only missing.txt -o r.tar
    error: sha256:d5991443… is not needed by what is wanted, or has another size there
    error: 1 blob of what is missing at the site cannot be had; nothing was written
      hint: export what the bundle was made of: the same file, with --locked if it was locked
    [exit 1]

    $ longshore export oci:near:registry.site/acme/app:v1 --only other.tar -o r.tar
    error: other.tar is no list of missing content: its first line is not `longshore missing 1`
      hint: give the file that `import --missing` wrote
    [exit 2]

    $ longshore import none.tar oci:site --missing missing.txt
    warning: missing.txt is of an earlier import: this one did not get so far
    error: cannot open none.tar: no such file or directory
      hint: check the path: it, or a directory in it, does not exist
    [exit 2]
    ");
}
