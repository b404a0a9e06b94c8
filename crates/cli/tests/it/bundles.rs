//! `export`, `import` and `verify` of what crosses the gap, as a README would show it.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use crate::common::{Ran, Site, redacted};
use crate::servers::Served;

/// A registry with an image for four platforms and its referrers, a chart with a signature by tag,
/// and a policy; the layout `site` lies beside it.
pub(crate) fn registry() -> (Site, Served) {
    let site = Site::typed();
    let served = Served::start(&site, "oci:near --writable");
    let host = served.host();
    site.ok(&format!("copy -q --referrers oci:site:app {host}/acme/app:v1"));
    site.ok(&format!("copy -q --referrers oci:site:chart {host}/charts/shop:1.4.0"));
    site.ok(&format!("copy -q oci:site:policy {host}/charts/shop:2.0.0"));
    (site, served)
}

/// Writes a `bundle.yaml` in which `HOST` is the registry.
pub(crate) fn wanted(site: &Site, served: &Served) {
    let text = "\
artifacts:
  - ref: HOST/acme/app:v1
    platforms: [linux/amd64, linux/arm64]
    sparseIndex: keep
  - repository: HOST/charts/shop
    tags: { semver: '<2' }
    referrers: { types: [signature] }
";
    site.file("bundle.yaml", text.replace("HOST", served.host()));
}

/// Returns what is shown without what is another on each machine: room on the disk, and ids, since
/// the port of the registry is in what they are of.
fn shown(served: &Served, site: &Site, lines: &[&str]) -> String {
    let text = served.shown(site, lines);
    let lines = text.lines().map(|line| match line {
        _ if line.starts_with("sha256:") => "ID".to_owned(),
        _ if line.starts_with("bundle sha256:") => "bundle ID".to_owned(),
        _ => match line.split_once("; ") {
            Some((before, after)) if after.ends_with(" are free") => {
                format!("{before}; ROOM are free")
            }
            _ => line.to_owned(),
        },
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) fn bytes(site: &Site, name: &str) -> Vec<u8> {
    std::fs::read(site.path(name)).unwrap()
}

/// Returns the record of a layout directory.
pub(crate) fn record(site: &Site, directory: &str) -> Value {
    serde_json::from_slice(&bytes(site, &format!("{directory}/bundle.json"))).unwrap()
}

#[test]
fn a_bundle_goes_from_registry_to_registry() {
    let (site, near) = registry();
    wanted(&site, &near);
    insta::assert_snapshot!(shown(&near, &site, &[
        "export -f bundle.yaml -o bundle.tar --dry-run",
        "export -f bundle.yaml -o bundle.tar",
        "verify oci-archive:bundle.tar",
    ]), @"
    $ longshore export -f bundle.yaml -o bundle.tar --dry-run
    skipped 2 platforms, as requested
    HOST/acme/app:v1        index       linux/amd64,linux/arm64  sha256:94ab682b…  4 referrers
    HOST/charts/shop:1.4.0  helm-chart                           sha256:38ef38cf…  1 referrer
    would export 2 artifacts with 5 referrers: 17.6 KiB in 23 blobs, 17.6 KiB of it not there yet; an archive of 48.5 KiB

    $ longshore export -f bundle.yaml -o bundle.tar
    skipped 2 platforms, as requested
    bundle.tar takes 48.5 KiB; ROOM are free
    HOST/acme/app:v1        index       linux/amd64,linux/arm64  sha256:94ab682b…  4 referrers
    HOST/charts/shop:1.4.0  helm-chart                           sha256:38ef38cf…  1 referrer
    exported 2 artifacts with 5 referrers: 17.6 KiB in 23 blobs, 17.6 KiB read in TIME
    ID

    $ longshore verify oci-archive:bundle.tar
    left out  linux/arm/v7 sha256:02632f6e…: its platform was not asked for
    left out  windows(10.0.17763.6293)/amd64 sha256:aa42852b…: its platform was not asked for
    everything is there: 7 roots, 23 blobs verified, 12.0 KiB in TIME
    bundle ID
    ");
    let far = Served::start(&site, "oci:far --writable --allow-missing");
    let import = format!("import bundle.tar {}/mirror --report report.json", far.host());
    let text = shown(&near, &site, &[&import, &import]);
    insta::assert_snapshot!(far.redacted(&text).replace(far.host(), "FAR"), @r"
    $ longshore import bundle.tar HOST/mirror --report report.json
    2 entries left out when the bundle was created; `longshore verify` names them
    HOST/acme/app:v1        HOST/mirror/acme/app:v1        sha256:94ab682b…
    HOST/charts/shop:1.4.0  HOST/mirror/charts/shop:1.4.0  sha256:38ef38cf…
    imported 2 artifacts with 5 referrers: 23 blobs written, 0 there before; 17.6 KiB in TIME

    $ longshore import bundle.tar HOST/mirror --report report.json
    2 entries left out when the bundle was created; `longshore verify` names them
    HOST/acme/app:v1        HOST/mirror/acme/app:v1        sha256:94ab682b…
    HOST/charts/shop:1.4.0  HOST/mirror/charts/shop:1.4.0  sha256:38ef38cf…
    imported 2 artifacts with 5 referrers: 4 blobs written, 19 there before; 2.6 KiB in TIME
    ");
    let report: Value = serde_json::from_slice(&bytes(&site, "report.json")).unwrap();
    assert_eq!(report[0]["to"], format!("{}/mirror/acme/app:v1", far.host()));
    assert_eq!(report[0]["digest"], site.digest("oci:site:app"));
    // What refers to the image, and to what refers to it, has come along.
    let tree = |place: String| site.ok(&format!("tree {place}")).matches("referrer").count();
    assert_eq!(tree(format!("{}/mirror/acme/app:v1", far.host())), 4);
    site.ok("verify oci:far");
}

#[test]
fn the_same_is_the_same_bundle_for_any_jobs_and_way() {
    let (site, near) = registry();
    wanted(&site, &near);
    site.ok("export -q -f bundle.yaml -o one.tar --jobs 1");
    site.ok("export -q -f bundle.yaml -o nine.tar --jobs 9");
    site.ok("export -q -f bundle.yaml -o oci:directory");
    let piped = site.run("export -f bundle.yaml -o -");
    assert_eq!(piped.code, 0, "{}", piped.stderr);
    assert!(bytes(&site, "one.tar") == bytes(&site, "nine.tar"));
    assert!(bytes(&site, "one.tar") == piped.stdout);
    // The same in another order, and from a list.
    let host = near.host();
    let refs = format!("{host}/charts/shop:2.0.0 {host}/acme/app:v1");
    site.ok(&format!("export -q {refs} -o oci:typed"));
    site.file("list.txt", format!("{host}/acme/app:v1 # first\n{host}/charts/shop:2.0.0\n"));
    site.ok("export -q -f list.txt -o oci:listed");
    assert_eq!(record(&site, "typed"), record(&site, "listed"));
    let id = &site.json("verify oci-archive:one.tar")["bundle"];
    assert_eq!(*id, record(&site, "directory")["id"]);
}

#[test]
fn each_part_takes_its_own_platforms_and_referrers() {
    let (site, near) = registry();
    let text = "\
artifacts:
  - { ref: HOST/acme/app:v1, platforms: [linux/arm64], referrers: none }
  - { ref: HOST/charts/shop:1.4.0 }
";
    site.file("wanted.yaml", text.replace("HOST", near.host()));
    let platform = ["--platform", "linux/amd64"].join(" ");
    site.ok(&format!("export -q -f wanted.yaml {platform} -o oci:out"));
    let record = record(&site, "out");
    assert_eq!(record["roots"][0]["platforms"], serde_json::json!(["linux/arm64"]));
    assert_eq!(record["roots"][0]["referrers"], serde_json::json!([]));
    assert_eq!(record["roots"][1]["referrers"].as_array().unwrap().len(), 1);
    assert_ne!(
        record["roots"][0]["digest"],
        site.digest("oci:site:app"),
        "one takes the place of the index"
    );
    site.ok("verify oci:out");
}

#[test]
fn what_cannot_be_had_is_named_and_dropped_if_asked() {
    let (site, near) = registry();
    let wanted = "export HOST/acme/app:v1 HOST/acme/app:gone HOST/nowhere:v1 -o b.tar";
    let kept = format!("{wanted} --keep-going");
    insta::assert_snapshot!(
        near.errors(&site, &[wanted]), @r"
    $ longshore export HOST/acme/app:v1 HOST/acme/app:gone HOST/nowhere:v1 -o b.tar
    error: gone is not in HOST/acme/app: it answered 404: MANIFEST_UNKNOWN: gone is not here
      hint: `longshore list` shows what is there
    error: v1 is not in HOST/nowhere: it answered 404: MANIFEST_UNKNOWN: v1 is not here
    error: nothing was written to b.tar
      hint: --keep-going writes what is available
    [exit 1]
    ");
    assert!(!site.path("b.tar").exists() && !site.path("b.tar.partial").exists());
    let ran = site.run(&kept.replace("HOST", near.host()));
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("gone") && ran.stderr.contains("nowhere"), "{}", ran.stderr);
    let verified = site.json("verify oci-archive:b.tar");
    let left: Vec<_> =
        verified["leftOut"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[0].contains("\"why\":\"failed\""), "{left:?}");
    let none = site.run(&format!("export --keep-going {}/acme/app:gone -o c.tar", near.host()));
    assert_eq!(none.code, 1);
    assert!(!site.path("c.tar").exists());
}

#[test]
fn a_directory_holds_one_export() {
    let (site, near) = registry();
    let host = near.host();
    site.ok(&format!("export -q {host}/acme/app:v1 -o oci:out"));
    site.ok(&format!("export -q {host}/acme/app:v1 -o oci:out"));
    let ran = site.run(&format!("export {host}/charts/shop:2.0.0 -o oci:out"));
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("is not wanted"), "{}", ran.stderr);
    site.ok("verify oci:out");
}

#[test]
fn names_are_mapped_and_two_that_meet_are_refused() {
    let (site, near) = registry();
    let host = near.host().to_owned();
    site.ok(&format!("copy -q oci:site:policy {host}/other/app:v1"));
    site.ok(&format!("export -q {host}/acme/app:v1 {host}/other/app:v1 -o b.tar"));
    let far = Served::start(&site, "oci:far --writable");
    let rule = |from: &str, to: &str| format!("--map {host}/{from}={}/{to}", far.host());
    let both = format!("import b.tar {} {} {}", far.host(), rule("acme", "x"), rule("other", "x"));
    let ran = site.run(&both);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("would stand for"), "{}", ran.stderr);
    assert!(!site.path("far").exists(), "nothing was written");
    let one = format!("import -q b.tar {} {}", far.host(), rule("acme/", "hub/x/"));
    site.ok(&one);
    assert_eq!(site.digest(&format!("{}/hub/x/app:v1", far.host())), site.digest("oci:site:app"));
    assert_eq!(
        site.digest(&format!("{}/other/app:v1", far.host())),
        site.digest("oci:site:policy")
    );
    let elsewhere = site.run(&format!("import b.tar {} --map {host}/=b.io/", far.host()));
    assert_eq!(elsewhere.code, 2);
    assert!(elsewhere.stderr.contains("another registry"), "{}", elsewhere.stderr);
    site.ok(&format!("import -q b.tar oci:mapped --map {host}/=b.io/"));
    assert_eq!(site.digest("oci:mapped:b.io/acme/app:v1"), site.digest("oci:site:app"));
}

#[test]
fn without_a_place_it_goes_into_the_store_also_through_a_pipe() {
    let (site, near) = registry();
    site.ok(&format!("export -q {}/acme/app:v1 -o b.tar", near.host()));
    let import = |line: &str, archive: &str| {
        let mut command = site.command(line);
        command.env("LONGSHORE_STORE", site.path("store")).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(&bytes(&site, archive));
        Ran::of(child.wait_with_output().unwrap())
    };
    let ran = import("import -", "b.tar");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let again = import("import b.tar", "b.tar");
    assert!(again.text().contains(" 0 blobs written"), "{}", again.text());
    site.ok("verify oci:store");
    let served = Served::start_with(&site, "", &[("LONGSHORE_STORE", "store")]);
    let app = format!("{}/acme/app:v1", served.host());
    assert_eq!(site.digest(&app), site.digest("oci:site:app"));
    assert_eq!(site.ok(&format!("tree {app}")).matches("referrer").count(), 4);
    site.file("cut.tar", &bytes(&site, "b.tar")[..9000]);
    let cut = import("import -", "cut.tar");
    assert_eq!(cut.code, 2, "{}", cut.stderr);
    assert!(cut.stderr.contains("cut off"), "{}", cut.stderr);
    let named = import("import /dev/stdin", "b.tar");
    assert_eq!(named.code, 2, "{}", named.stderr);
    assert!(named.stderr.contains("/dev/stdin is a pipe"), "{}", named.stderr);
}

#[test]
fn any_layout_with_full_names_can_be_imported_and_others_are_told() {
    let site = Site::typed();
    site.ok("copy -q oci:site:app oci:full:registry.site/acme/app:v1");
    let far = Served::start(&site, "oci:far --writable");
    site.ok(&format!("import -q oci:full {}", far.host()));
    assert_eq!(site.digest(&format!("{}/acme/app:v1", far.host())), site.digest("oci:site:app"));
    insta::assert_snapshot!(far.errors(&site, &[
        "import oci:site HOST",
        "import oci:full SOMEWHERE/",
        "import oci:full oci-archive:x.tar",
        "import gone.tar HOST",
        "import oci:full:registry.site/acme/app:v1 HOST",
        "import oci:full HOST --map a",
    ]), @r"
    $ longshore import oci:site HOST
    error: `app` in the bundle is not a full reference (HOST/PATH:TAG), so it cannot be imported
      hint: `longshore copy` copies artifacts under any name
    [exit 2]

    $ longshore import oci:full SOMEWHERE/
    error: `SOMEWHERE/` is not a registry
      hint: write `HOST`, `HOST/PREFIX`, or `oci:DIR` for a layout
    [exit 2]

    $ longshore import oci:full oci-archive:x.tar
    error: `oci-archive:x.tar` cannot be imported to
      hint: `longshore copy --all` makes an archive of another
    [exit 2]

    $ longshore import gone.tar HOST
    error: cannot open gone.tar: no such file or directory
      hint: check the path: it, or a directory in it, does not exist
    [exit 2]

    $ longshore import oci:full:registry.site/acme/app:v1 HOST
    error: `oci:full:registry.site/acme/app:v1` selects an artifact, `registry.site/acme/app:v1`, but a bundle is a whole layout
      hint: write `oci:full`
    [exit 2]

    $ longshore import oci:full HOST --map a
    error: `a` has no `=`; write `FROM=TO`, such as `docker.io/=site.local/mirror/`
    [exit 2]
    ");
}

#[test]
fn a_lock_pins_what_is_wanted_and_says_what_has_moved() {
    let (site, near) = registry();
    wanted(&site, &near);
    site.ok("export -q -f bundle.yaml -o before.tar");
    insta::assert_snapshot!(shown(&near, &site, &["lock", "lock --check"]), @r"
    $ longshore lock
    2 artifacts are locked in bundle.lock

    $ longshore lock --check
    2 artifacts are as they were locked
    ");
    let text = String::from_utf8(bytes(&site, "bundle.lock")).unwrap();
    insta::assert_snapshot!(redacted(&near.redacted(&text)), @r#"
    {
      "formatVersion": 1,
      "selection": [
        {
          "platforms": [
            "linux/amd64",
            "linux/arm64"
          ],
          "ref": "HOST/acme/app:v1",
          "referrers": "all"
        },
        {
          "referrers": {
            "types": [
              "signature"
            ]
          },
          "repository": "HOST/charts/shop",
          "tags": {
            "semver": "<2"
          }
        }
      ],
      "artifacts": {
        "HOST/acme/app:v1": {
          "digest": "sha256:94ab682b…",
          "platforms": {
            "linux/amd64": "sha256:a368c1fe…",
            "linux/arm64": "sha256:70c30bc7…"
          },
          "referrers": [
            {
              "digest": "sha256:abd2cec1…",
              "artifactType": "sigstore-bundle"
            },
            {
              "digest": "sha256:adb73389…",
              "artifactType": "spdx"
            },
            {
              "digest": "sha256:d14cafb5…",
              "artifactType": "notation-signature"
            },
            {
              "digest": "sha256:ff344c22…",
              "artifactType": "in-toto"
            }
          ]
        },
        "HOST/charts/shop:1.4.0": {
          "digest": "sha256:38ef38cf…",
          "referrers": [
            {
              "digest": "sha256:5ab507e3…",
              "artifactType": "cosign-signature"
            }
          ]
        }
      }
    }
    "#);

    // A tag moves, and another comes.
    let host = near.host();
    site.ok(&format!("copy -q oci:site:rules {host}/acme/app:v1"));
    site.ok(&format!("copy -q oci:site:module {host}/charts/shop:1.5.0"));
    let ran = site.run("lock --check");
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    insta::assert_snapshot!(redacted(&near.redacted(&ran.text())), @r"
    moved  HOST/acme/app:v1: sha256:94ab682b… is sha256:daa3f1f5… now
    new    HOST/charts/shop:1.5.0: sha256:7d3e2452…
    2 changes since it was locked
    ");
    assert_eq!(text.as_bytes(), bytes(&site, "bundle.lock"), "nothing was written");

    // What is locked is what it was, to the byte.
    site.ok("export -q -f bundle.yaml --locked -o locked.tar");
    assert!(bytes(&site, "before.tar") == bytes(&site, "locked.tar"));

    // Only what is named is locked anew, and what was not locked.
    site.ok(&format!("lock -q --update {host}/charts/shop"));
    let changes = site.run("lock --check --json");
    let changes: Value = serde_json::from_slice(&changes.stdout).unwrap();
    assert_eq!(changes["changes"].as_array().unwrap().len(), 1, "{changes}");
    let none = site.run("lock --update quay.io/none/such");
    assert_eq!(none.code, 2, "{}", none.stderr);
    site.ok("lock -q");
    site.ok("lock -q --check");
}

#[test]
fn what_is_locked_and_gone_or_for_something_else_is_refused() {
    let (site, near) = registry();
    wanted(&site, &near);
    let missing = site.run("export -f bundle.yaml --locked -o b.tar");
    assert_eq!(missing.code, 2);
    assert!(
        missing.stderr.contains("`longshore lock -f bundle.yaml` writes it"),
        "{}",
        missing.stderr
    );
    site.ok("lock -q");
    let referrers = site.json(&format!("inspect {}/acme/app:v1", near.host()));
    let sbom = referrers["referrers"][0]["digest"].as_str().unwrap().to_owned();
    site.ok(&format!("delete -q {}/acme/app@{sbom}", near.host()));
    let gone = site.run("export -f bundle.yaml --locked -o b.tar");
    assert_eq!(gone.code, 1, "{}", gone.stderr);
    assert!(gone.stderr.contains("not as locked: gone"), "{}", gone.stderr);
    let text = String::from_utf8(bytes(&site, "bundle.yaml")).unwrap();
    site.file("bundle.yaml", text.replace("linux/arm64", "linux/arm/v7"));
    let other = site.run("export -f bundle.yaml --locked -o b.tar");
    assert_eq!(other.code, 2);
    assert!(other.stderr.contains("`[linux/amd64, linux/arm/v7]`"), "{}", other.stderr);
    assert_eq!(site.run("lock --check").code, 3);
    assert!(!site.path("b.tar").exists());
    let newer = bytes(&site, "bundle.lock");
    let newer = String::from_utf8(newer).unwrap();
    site.file("bundle.lock", newer.replace("\"formatVersion\": 1", "\"formatVersion\": 3"));
    let refused = site.run("lock --check");
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("format version 3"), "{}", refused.stderr);
}

#[test]
fn a_bundle_is_made_again_and_compared() {
    let (site, near) = registry();
    wanted(&site, &near);
    site.ok("lock -q");
    site.ok("export -q -f bundle.yaml --locked -o b.tar");
    let check = "export -f bundle.yaml --locked --check -o b.tar";
    let same = site.run(check);
    assert_eq!(same.code, 0, "{}", same.stderr);
    assert!(same.text().contains("it is the same, to the byte"), "{}", same.text());
    let whole = bytes(&site, "b.tar");
    let at = whole.len() - 5000;
    let mut flipped = whole.clone();
    flipped[at] ^= 1;
    let longer = [&whole[..], &[0; 512]].concat();
    let shorter = &whole[..whole.len() - 512];
    for (bytes, differs_at) in
        [(&flipped[..], at), (&longer, whole.len()), (shorter, whole.len() - 512)]
    {
        site.file("b.tar", bytes);
        let ran = site.run(&format!("{check} --json"));
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(document["differsAt"], differs_at, "{}", ran.stderr);
    }
    site.file("b.tar", &whole);
    site.ok(&format!("copy -q oci:site:rules {}/acme/app:v1", near.host()));
    let moved = site.run("export -f bundle.yaml --check -o b.tar");
    assert_eq!(moved.code, 3);
    assert!(moved.text().contains("it is another bundle"), "{}", moved.text());
    assert!(bytes(&site, "b.tar") == whole, "nothing was written");
}

#[test]
fn an_example_is_written_once() {
    let site = Site::new();
    insta::assert_snapshot!(site.shown(&["init"]), @r"
    $ longshore init
    bundle.yaml is an example; change it, then `longshore export -f bundle.yaml -o bundle.tar`
    ");
    let again = site.run("init");
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
    assert!(String::from_utf8(bytes(&site, "bundle.yaml")).unwrap().contains("artifacts:"));
}

#[test]
fn an_index_is_written_anew_for_registries_that_want_it_whole_and_locked_so() {
    let (site, near) = registry();
    site.file("list.txt", format!("{}/acme/app:v1\n", near.host()));
    let strip = "--platform linux/amd64,linux/arm64 --sparse-index strip";
    site.ok(&format!("lock -q -f list.txt {strip}"));
    let kept = "--platform linux/amd64,linux/arm64 --sparse-index keep";
    let other = site.run(&format!("export -f list.txt --locked {kept} -o b.tar"));
    assert_eq!(other.code, 2, "{}", other.stderr);
    site.ok(&format!("export -q -f list.txt --locked {strip} -o b.tar"));
    let far = Served::start(&site, "oci:far --writable");
    site.ok(&format!("import -q b.tar {}", far.host()));
    site.ok(&format!("export -q -f list.txt {kept} -o kept.tar"));
    let refused = site.run(&format!("import -q kept.tar {}/kept", far.host()));
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("--sparse-index strip"), "{}", refused.stderr);
}

#[test]
fn what_was_asked_for_by_digest_has_it_in_the_bundle_and_not_where_it_arrives() {
    let (site, near) = registry();
    let name = format!("{}/acme/app:v1", near.host());
    let pinned = format!("{name}@{}", site.digest(&name));
    site.ok(&format!("export -q {pinned} -o b.tar"));
    site.ok("import -q b.tar oci:far");
    let listed = |place: &str| site.json(&format!("list {place}"))[0]["name"].clone();
    assert_eq!(listed("oci-archive:b.tar"), pinned.as_str());
    assert_eq!(listed("oci:far"), name.as_str());
}

#[test]
fn what_was_never_there_to_be_locked_is_a_failure_of_the_check_too() {
    let site = Site::typed();
    site.ok("copy -q oci:site:app oci:full:registry.site/acme/app:v1");
    let wanted = "- ref: oci:full:registry.site/acme/app";
    site.file("bundle.yaml", format!("artifacts:\n{wanted}:v1\n{wanted}:nope\n"));
    assert_eq!(site.run("lock").code, 1);
    let check = site.run("lock --check --json");
    assert_eq!(check.code, 1, "{}", check.stderr);
    let document: Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(document["failures"].as_array().unwrap().len(), 1);
}
