//! `copy`, as a README would show it.

use std::io::Write as _;
use std::process::Stdio;

use longshore_fixture::{Content, artifacts, gzip, zstd};
use serde_json::Value;

use crate::common::{Ran, Site, two_platforms};

/// Returns name and digest of all that a place lists, sorted.
fn listed(site: &Site, place: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let lines = site.json(&format!("list --all {place}"));
    let mut listed: Vec<_> = lines
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (text(&line["name"]), text(&line["digest"])))
        .collect();
    listed.sort();
    listed
}

fn names(site: &Site, place: &str) -> Vec<String> {
    let names = listed(site, place).into_iter().map(|(name, _)| name);
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn a_site_goes_into_an_archive_and_comes_out_the_same() {
    let site = Site::typed();
    site.ok("copy --all oci:site oci-archive:site.tar");
    site.ok("verify oci-archive:site.tar");
    site.ok("copy --all oci-archive:site.tar oci:far");
    site.ok("verify oci:far");
    assert_eq!(listed(&site, "oci:site"), listed(&site, "oci-archive:site.tar"));
    assert_eq!(listed(&site, "oci:site"), listed(&site, "oci:far"));
    assert_eq!(site.ok("inspect --raw oci:site:exact"), site.ok("inspect --raw oci:far:exact"),);
}

#[test]
fn one_artifact_is_copied_and_told() {
    let site = Site::typed();
    insta::assert_snapshot!(site.shown(&[
        "copy oci:site:app oci-archive:app.tar",
        "copy oci-archive:app.tar oci:far:v1",
        "copy oci-archive:app.tar oci:far:v1",
        "copy oci:site:chart oci:site:policy oci:far",
        "list oci:far",
    ]), @"
    $ longshore copy oci:site:app oci-archive:app.tar
    3 referrers not copied (signatures, SBOMs, …); `--referrers` copies them
    app  index  sha256:94ab682b…
    copied 1 artifact: 14 blobs written, 0 there before; 15.0 KiB in TIME

    $ longshore copy oci-archive:app.tar oci:far:v1
    v1  index  sha256:94ab682b…
    copied 1 artifact: 14 blobs written, 0 there before; 15.0 KiB in TIME

    $ longshore copy oci-archive:app.tar oci:far:v1
    v1  index  sha256:94ab682b…
    copied 1 artifact: 0 blobs written, 14 there before; 0 B in TIME

    $ longshore copy oci:site:chart oci:site:policy oci:far
    1 referrer not copied (signatures, SBOMs, …); `--referrers` copies them
    chart   helm-chart  sha256:38ef38cf…
    policy  oci-image   sha256:09896968…
    copied 2 artifacts: 6 blobs written, 0 there before; 7.3 KiB in TIME

    $ longshore list oci:far
    NAME    TYPE        PLATFORM                                 SIZE      REFERRERS  DIGEST
    chart   helm-chart                                           3.6 KiB              sha256:38ef38cf…
    policy  oci-image                                            3.7 KiB              sha256:09896968…
    v1      index       linux/amd64,linux/arm64,linux/arm/v7,+1  15.0 KiB             sha256:94ab682b…
    ");
}

#[test]
fn the_same_is_the_same_archive() {
    let site = Site::typed();
    site.ok("copy --all --jobs 1 oci:site oci-archive:one.tar");
    site.ok("copy --all --jobs 9 oci:site oci-archive:nine.tar");
    let piped = site.run("copy --all oci:site -");
    assert_eq!(piped.code, 0, "{}", piped.stderr);
    let bytes = |name: &str| std::fs::read(site.path(name)).unwrap();
    assert!(bytes("one.tar") == bytes("nine.tar"));
    assert!(bytes("one.tar") == piped.stdout);
}

#[test]
fn all_tags_leaves_behind_what_has_no_name() {
    let site = Site::typed();
    let ran = site.run("copy --all-tags oci:site oci:far");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("oci:site: 4 entries without a tag not copied; --all copies them"));
    assert_eq!(names(&site, "oci:far"), names(&site, "oci:site"));
    assert_eq!(listed(&site, "oci:far").len(), names(&site, "oci:far").len());
}

#[test]
fn a_list_names_sources() {
    let site = Site::typed();
    let list = "# what the ship needs\noci:site:chart\n\noci:site:policy  # signed\n";
    site.file("wanted.txt", list);
    site.ok("copy -f wanted.txt oci-archive:file.tar");

    let mut command = site.command("copy oci:site:app -f - oci-archive:stdin.tar");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.stderr);

    assert_eq!(names(&site, "oci-archive:file.tar"), ["chart", "policy"]);
    assert_eq!(names(&site, "oci-archive:stdin.tar"), ["app", "chart", "policy"]);
}

#[test]
fn a_name_at_the_target_renames() {
    let site = Site::typed();
    site.ok("copy oci:site:app oci:far:ghcr.io/acme/app:v1");
    site.ok("copy oci:site:chart oci-archive:chart.tar:stable");
    assert_eq!(names(&site, "oci:far"), ["ghcr.io/acme/app:v1"]);
    assert_eq!(names(&site, "oci-archive:chart.tar"), ["stable"]);
    assert_eq!(site.digest("oci:far:v1"), site.digest("oci:site:app"));
    // Within one layout this is one more name.
    site.ok("copy oci:far:v1 oci:far:v2");
    assert_eq!(site.digest("oci:far:v2"), site.digest("oci:site:app"));
}

#[test]
fn one_platform_takes_the_place_of_its_index() {
    let site = Site::new();
    site.put("src", &Content::tagged("app", two_platforms));
    site.ok("copy --platform linux/arm64 oci:src oci:far");
    let image = site.json("inspect oci:far:app");
    assert_eq!(image["platforms"], serde_json::json!(["linux/arm64"]));
    assert_eq!(image["manifests"], serde_json::json!([]));
    site.ok("verify oci:far");
}

#[test]
fn several_platforms_keep_or_strip_their_index() {
    let site = Site::typed();
    let both = "--platform linux/amd64,linux/arm64";
    site.ok(&format!("copy {both} oci:site:app oci:kept"));
    site.ok(&format!("copy {both} --sparse-index strip oci:site:app oci:stripped"));
    site.ok("copy --platform linux/arm64 --sparse-index keep oci:site:app oci-archive:one.tar");
    assert_eq!(site.digest("oci:kept:app"), site.digest("oci:site:app"));
    assert_eq!(site.digest("oci-archive:one.tar:app"), site.digest("oci:site:app"));
    let stripped = site.json("inspect oci:stripped:app");
    assert_ne!(stripped["digest"], site.digest("oci:site:app").as_str());
    assert_eq!(stripped["platforms"], serde_json::json!(["linux/amd64", "linux/arm64"]));
    for place in ["oci:kept", "oci:stripped", "oci-archive:one.tar"] {
        let left = site.json(&format!("verify {place}"))["leftOut"].as_array().unwrap().len();
        let lacks = match place {
            "oci:kept" => 2,
            "oci:stripped" => 0,
            _ => 3,
        };
        assert_eq!(left, lacks, "{place}");
    }
}

#[test]
fn types_choose_what_is_copied() {
    let site = Site::typed();
    site.ok("copy --all-tags --type chart,wasm oci:site oci:some");
    site.ok("copy --all-tags --type '!chart' oci:site oci:others");
    let some = names(&site, "oci:some");
    assert!(some.contains(&"chart".to_owned()) && some.contains(&"module".to_owned()), "{some:?}");
    assert!(!some.contains(&"app".to_owned()), "{some:?}");
    let others = names(&site, "oci:others");
    assert!(others.contains(&"app".to_owned()), "{others:?}");
    assert!(!others.contains(&"chart".to_owned()), "{others:?}");
}

#[test]
fn referrers_come_when_asked_for() {
    let site = Site::typed();
    let ran = site.run("copy oci:site:app oci:none");
    assert!(ran.stderr.contains("3 referrers not copied (signatures, SBOMs, …)"), "{}", ran.stderr);
    site.ok("copy --referrers oci:site:app oci-archive:all.tar");
    site.ok("copy --referrers=sbom oci:site:app oci:sbom");
    assert_eq!(listed(&site, "oci:none").len(), 1);
    assert_eq!(listed(&site, "oci-archive:all.tar").len(), 5);
    let kinds = |place: &str| -> Vec<String> {
        let found = site.json(&format!("inspect {place}"))["referrers"].clone();
        let kinds = found.as_array().unwrap().iter();
        kinds.map(|part| part["artifactType"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(kinds("oci-archive:all.tar:app").len(), 3);
    assert_eq!(kinds("oci:sbom:app"), ["spdx"]);
}

#[test]
fn a_dry_run_says_how_much_and_writes_nothing() {
    let site = Site::typed();
    insta::assert_snapshot!(site.shown(&[
        "copy --dry-run oci:site:app oci:far",
        "copy --dry-run oci:site:app oci-archive:far.tar",
    ]), @r"
    $ longshore copy --dry-run oci:site:app oci:far
    3 referrers not copied (signatures, SBOMs, …); `--referrers` copies them
    app  index  sha256:94ab682b…
    would copy 1 artifact: 15.0 KiB in 14 blobs, 15.0 KiB of it not there yet

    $ longshore copy --dry-run oci:site:app oci-archive:far.tar
    3 referrers not copied (signatures, SBOMs, …); `--referrers` copies them
    app  index  sha256:94ab682b…
    would copy 1 artifact: 15.0 KiB in 14 blobs, 15.0 KiB of it not there yet
    ");
    assert!(!site.path("far").exists() && !site.path("far.tar").exists());
    site.ok("copy oci:site:app oci:far");
    assert_eq!(site.json("copy --dry-run oci:site:app oci:far")["missingBytes"], 0);
}

#[test]
fn force_replaces_an_archive() {
    let site = Site::typed();
    site.ok("copy oci:site:app oci-archive:out.tar");
    assert_eq!(site.run("copy oci:site:chart oci-archive:out.tar").code, 2);
    assert_eq!(names(&site, "oci-archive:out.tar"), ["app"]);
    site.ok("copy --force oci:site:chart oci-archive:out.tar");
    assert_eq!(names(&site, "oci-archive:out.tar"), ["chart"]);
    let left = std::fs::read_dir(site.root()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut left: Vec<_> = left.map(|name| name.into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["out.tar", "site"]);
}

#[test]
fn compressed_archives_are_read() {
    let site = Site::typed();
    site.ok("copy --all oci:site oci-archive:site.tar");
    let bytes = std::fs::read(site.path("site.tar")).unwrap();
    site.file("site.tar.gz", gzip(&bytes));
    site.file("site.tar.zst", zstd(&bytes));
    for name in ["site.tar.gz", "site.tar.zst"] {
        site.ok(&format!("copy --all oci-archive:{name} oci:from-{name}"));
        assert_eq!(listed(&site, &format!("oci:from-{name}")), listed(&site, "oci:site"));
    }
}

#[test]
fn what_is_there_is_not_copied_again() {
    let site = Site::typed();
    site.ok("copy --all oci:site oci:far");
    let again = site.json("copy --all oci:site oci:far");
    assert_eq!((&again["written"], &again["read"]), (&0.into(), &0.into()));
    assert_eq!(again["existed"], again["blobs"]);
}

#[test]
fn what_fails_does_not_stop_the_others() {
    let site = Site::new();
    site.put("good", &Content::tagged("chart", |content| artifacts::helm_chart(content, 1)));
    let ran = site.run("copy --json oci:good:none oci:good:chart oci:far");
    assert_eq!(ran.code, 1);
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let outcomes: Vec<_> =
        document["roots"].as_array().unwrap().iter().map(|root| &root["outcome"]).collect();
    assert_eq!(outcomes, ["failed", "done"]);
    assert_eq!(names(&site, "oci:far"), ["chart"]);
}

#[test]
fn a_platform_that_no_index_has_is_named() {
    let site = Site::typed();
    let told = |line: &str| site.run(line).stderr;
    let several = "copy --dry-run --platform linux/amd64,linux/s390x";
    assert!(
        told(&format!("{several} oci:site:app oci:dst")).contains("no index offers linux/s390x")
    );
    // What is no index is taken as it is, and two that are there are no news.
    assert!(!told(&format!("{several} oci:site:chart oci:dst")).contains("no index has"));
    let there = "copy --dry-run --platform linux/amd64,linux/arm64 oci:site:app oci:dst";
    assert!(!told(there).contains("no index has"));
    site.ok("copy -q oci:site:app oci:full:registry.site/acme/app:v1");
    let export = "export oci:full --platform linux/amd64,linux/s390x --sparse-index keep -o b.tar";
    let told = told(export);
    assert!(told.contains("registry.site/acme/app:v1 has nothing for linux/s390x"), "{told}");
}
