//! Registries as places, with the program itself as the registry.

use std::collections::BTreeMap;
use std::net::TcpListener;

use longshore_fixture::{Content, Random, blob_path};
use serde_json::Value;

use crate::common::Site;
use crate::servers::{Served, Stub};

/// What two small images weigh at least.
const SOME: u64 = 1000;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns digests by name. What stands in front of a tag is left away.
fn tags(site: &Site, place: &str) -> BTreeMap<String, String> {
    let lines = site.json(&format!("list {place}"));
    let tag = |line: &Value| text(&line["name"]).rsplit(':').next().unwrap_or_default().to_owned();
    lines.as_array().unwrap().iter().map(|line| (tag(line), text(&line["digest"]))).collect()
}

/// Returns the digests of all that a place lists.
fn digests(site: &Site, place: &str) -> Vec<String> {
    let lines = site.json(&format!("list --all {place}"));
    let mut digests: Vec<_> =
        lines.as_array().unwrap().iter().map(|line| text(&line["digest"])).collect();
    digests.sort();
    digests
}

#[test]
fn from_place_to_place_it_stays_the_same() {
    let site = Site::typed();
    let near = Served::start(&site, "oci:near --writable");
    let far = Served::start(&site, "oci:far --writable");
    let (near, far) = (format!("{}/acme/app:v1", near.host()), format!("{}/app:v1", far.host()));
    site.ok(&format!("copy oci:site:app {near}"));
    site.ok(&format!("copy {near} oci-archive:app.tar"));
    site.ok(&format!("copy oci-archive:app.tar {far}"));
    site.ok(&format!("copy {far} oci:end"));

    let before = site.run("inspect --raw oci:site:app").stdout;
    let digest = site.digest("oci:site:app");
    for place in [near.as_str(), "oci-archive:app.tar", far.as_str(), "oci:end"] {
        assert_eq!(site.digest(place), digest, "{place}");
        assert!(site.run(&format!("inspect --raw {place}")).stdout == before, "{place}");
        site.ok(&format!("verify {place}"));
    }
}

#[test]
fn a_name_that_is_no_tag_is_dropped() {
    let site = Site::typed();
    let served = Served::start(&site, "oci:store --writable");
    let place = format!("{}/app", served.host());
    site.ok("copy oci:site:app 'oci:src:1.0+x'");
    let ran = site.run(&format!("copy --all oci:src {place}"));
    let dropped = "`1.0+x` is not a valid tag and is dropped";
    let by_digest = format!("{dropped}: its artifact is pushed by digest only");
    assert!(ran.stderr.contains(&by_digest), "{}", ran.stderr);
    site.ok("tag oci:src:1.0+x v1");
    let ran = site.run(&format!("copy --all oci:src {place}"));
    assert!(ran.stderr.contains(dropped) && !ran.stderr.contains("digest only"), "{}", ran.stderr);
    assert_eq!(tags(&site, &place).into_keys().collect::<Vec<_>>(), ["v1"]);
}

#[test]
fn every_type_goes_through_a_registry() {
    let site = Site::typed();
    let served = Served::start(&site, "oci:store --writable");
    let place = format!("{}/all", served.host());
    site.ok(&format!("copy --all oci:site {place}"));
    assert_eq!(tags(&site, "oci:site"), tags(&site, &place));
    site.ok(&format!("copy --all {place} oci:far"));
    assert_eq!(tags(&site, "oci:site"), tags(&site, "oci:far"));
    for name in ["app", "chart", "exact", "strong"] {
        let raw = |place: &str| site.run(&format!("inspect --raw {place}:{name}")).stdout;
        assert!(raw("oci:site") == raw(&place), "{name}");
        assert!(raw("oci:site") == raw("oci:far"), "{name}");
    }
    site.ok("verify oci:store");
    site.ok("verify oci:far");
}

#[test]
fn all_tags_and_referrers_arrive_and_are_listed() {
    let site = Site::typed();
    let served = Served::start(&site, "oci:store --writable");
    let place = format!("{}/all", served.host());
    site.ok(&format!("copy --all-tags --referrers oci:site {place}"));
    site.ok(&format!("copy --all-tags --referrers {place} oci:far"));
    assert_eq!(digests(&site, "oci:site"), digests(&site, "oci:far"));
    let referrers = |place: &str| {
        let lines = site.json(&format!("list {place}"));
        let of = |line: &Value| (text(&line["digest"]), line["referrers"].as_array().map(Vec::len));
        let mut counts: Vec<_> = lines.as_array().unwrap().iter().map(of).collect();
        counts.sort();
        counts
    };
    assert_eq!(referrers("oci:site"), referrers(&place));
    assert_eq!(referrers("oci:site"), referrers("oci:far"));
    // Names differ: those from several repositories would be told apart by their references.
    let tree = |place: &str| {
        let tree = site.ok(&format!("tree {place}"));
        tree.split_once("app  ").unwrap().1.to_owned()
    };
    let near = tree("oci:site:app");
    assert!(near.contains("referrer"), "{near}");
    assert_eq!(near, tree(&format!("{place}:app")));
    let digest = site.digest("oci:site:app");
    let far = site.ok(&format!("tree oci:far@{digest}"));
    assert_eq!(near.matches("referrer").count(), far.matches("referrer").count());
}

#[test]
fn what_a_user_sees() {
    let site = Site::typed();
    let served = Served::start(&site, "oci:store --writable");
    insta::assert_snapshot!(served.shown(&site, &[
        "copy oci:site:app HOST/acme/app:v1",
        "copy oci:site:app HOST/acme/app:v1",
        "copy oci:site:chart oci:site:policy HOST/mixed",
        "list HOST/mixed",
        "tree HOST/mixed:chart",
        "digest HOST/mixed:chart HOST/mixed:policy",
        "verify HOST/mixed",
        "tag HOST/mixed:chart stable",
        "untag HOST/mixed:policy",
        "delete HOST/mixed:chart",
        "list HOST/mixed",
        "copy --dry-run HOST/mixed:stable oci:end",
    ]), @"
    $ longshore copy oci:site:app HOST/acme/app:v1
    3 referrers not copied (signatures, SBOMs, …); `--referrers` copies them
    v1  index  sha256:94ab682b…
    copied 1 artifact: 14 blobs written, 0 there before; 15.0 KiB in TIME

    $ longshore copy oci:site:app HOST/acme/app:v1
    3 referrers not copied (signatures, SBOMs, …); `--referrers` copies them
    v1  index  sha256:94ab682b…
    copied 1 artifact: 0 blobs written, 14 there before; 0 B in TIME

    $ longshore copy oci:site:chart oci:site:policy HOST/mixed
    1 referrer not copied (signatures, SBOMs, …); `--referrers` copies them
    chart   helm-chart  sha256:38ef38cf…
    policy  oci-image   sha256:09896968…
    copied 2 artifacts: 6 blobs written, 0 there before; 7.3 KiB in TIME

    $ longshore list HOST/mixed
    NAME    TYPE        PLATFORM  SIZE     REFERRERS  DIGEST
    chart   helm-chart            3.6 KiB             sha256:38ef38cf…
    policy  oci-image             3.7 KiB             sha256:09896968…

    $ longshore tree HOST/mixed:chart
    chart  helm-chart  507 B  sha256:38ef38cfbeab
    ├─ config  application/vnd.cncf.helm.config.v1+json  71 B  sha256:24164daf70ad
    └─ layer  application/vnd.cncf.helm.chart.content.v1.tar+gzip  3.0 KiB  sha256:f31c622ab018

    $ longshore digest HOST/mixed:chart HOST/mixed:policy
    sha256:38ef38cf…
    sha256:09896968…

    $ longshore verify HOST/mixed
    everything is there: 2 roots, 6 blobs verified, 6.3 KiB in TIME

    $ longshore tag HOST/mixed:chart stable
    stable  sha256:38ef38cf…

    $ longshore untag HOST/mixed:policy
    policy  sha256:09896968…

    $ longshore delete HOST/mixed:chart
    HOST/mixed:chart

    $ longshore list HOST/mixed
    NAME    TYPE        PLATFORM  SIZE     REFERRERS  DIGEST
    stable  helm-chart            3.6 KiB             sha256:38ef38cf…

    $ longshore copy --dry-run HOST/mixed:stable oci:end
    HOST/mixed:stable  helm-chart  sha256:38ef38cf…
    would copy 1 artifact: 3.6 KiB in 3 blobs, 3.6 KiB of it not there yet
    ");
}

#[test]
fn names_at_a_registry_are_tags() {
    let site = Site::image();
    let served = Served::start(&site, "oci:store --writable");
    let host = served.host();
    let digest = site.digest("oci:src");
    site.ok("tag oci:src:app ghcr.io/acme/app:v7");
    site.ok("untag oci:src:app");
    site.ok(&format!("copy oci:src {host}/kept"));
    site.ok(&format!("copy oci:src {host}/renamed:other"));
    site.ok(&format!("copy oci:src@{digest} {host}/by/digest"));
    assert_eq!(tags(&site, &format!("{host}/kept")), [("v7".into(), digest.clone())].into());
    assert_eq!(tags(&site, &format!("{host}/renamed")), [("other".into(), digest.clone())].into());
    assert_eq!(site.digest(&format!("{host}/by/digest@{digest}")), digest);
    // What comes from several repositories is told apart by its full reference.
    site.ok(&format!("copy {host}/kept:v7 {host}/renamed:other oci:both"));
    let names = site.json("list oci:both");
    let names: Vec<_> = names.as_array().unwrap().iter().map(|line| text(&line["name"])).collect();
    let expected = [format!("{host}/kept:v7"), format!("{host}/renamed:other")];
    assert!(names.iter().all(|name| expected.contains(name)), "{names:?}");
}

#[test]
fn a_part_is_looked_at_in_a_registry() {
    let site = Site::typed();
    let served = Served::start(&site, "oci:site");
    let place = format!("{}/site", served.host());
    for what in ["--raw", "--config", "--json"] {
        let at = |place: &str| site.run(&format!("inspect {what} {place}:chart"));
        let (here, there) = (at("oci:site"), at(&place));
        assert_eq!((here.code, there.code), (0, 0), "{what}: {}", there.stderr);
        assert!(here.stdout == there.stdout, "{what}: {}\n{}", here.text(), there.text());
    }
    assert_eq!(site.digest(&format!("{place}:app")), site.digest("oci:site:app"));
    let both =
        ["oci:site:app", &format!("{place}:app")].map(|place| site.json(&format!("tree {place}")));
    assert_eq!(both[0], both[1]);
}

#[test]
fn a_second_copy_moves_nothing() {
    let site = Site::typed();
    let served = Served::start(&site, "oci:store --writable");
    let place = format!("{}/all", served.host());
    let push = format!("copy --all oci:site {place}");
    let first = site.json(&push);
    assert!(first["read"].as_u64().unwrap() > SOME, "{first}");
    // A referrer is sent again: the registry that has it may not list it yet.
    let again = site.json(&push);
    let is_referrer = |root: &&Value| {
        let shown = site.json(&format!("inspect oci:site@{}", text(&root["digest"])));
        shown["subject"] != Value::Null
    };
    let referrers = again["roots"].as_array().unwrap().iter().filter(is_referrer).count();
    assert_eq!(again["written"], referrers, "{again}");
    let trusted = site.json(&format!("{push} --unchanged digest"));
    assert_eq!((&trusted["written"], &trusted["read"]), (&0.into(), &0.into()), "{trusted}");
    let pull = format!("copy --all {place} oci:far");
    assert!(site.json(&pull)["read"].as_u64().unwrap() > SOME);
    let again = site.json(&pull);
    assert_eq!((&again["written"], &again["read"]), (&0.into(), &0.into()), "{again}");
}

#[test]
fn what_another_repository_has_is_not_sent() {
    let site = Site::new();
    let mut random = vec![0; 1 << 20];
    Random::new(1).fill(&mut random);
    site.put(
        "src",
        &Content::tagged("app", |content| {
            let config = content.empty();
            let layer = content.blob("application/octet-stream", random);
            content.manifest(&longshore_fixture::Draft::image(&config, &[layer]))
        }),
    );
    let served = Served::start(&site, "oci:store --writable");
    let host = served.host();
    site.ok(&format!("copy oci:src {host}/one"));
    let across = site.json(&format!("copy {host}/one:app {host}/two:app"));
    assert!(across["read"].as_u64().unwrap() < SOME, "{across}");
    site.ok(&format!("verify {host}/two:app"));
}

#[test]
fn damage_on_the_disk_of_a_server_is_found() {
    let site = Site::image();
    let served = Served::start(&site, "oci:src");
    let place = format!("{}/src:app", served.host());
    let layer = text(&site.json("inspect oci:src:app")["layers"][0]["digest"]);
    let blob = site.path("src").join(blob_path(&layer.parse().unwrap()));
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[0] ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    let ran = site.run(&format!("verify {place} --json"));
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(
        (ran.code, &document["damaged"][0]),
        (3, &Value::from(layer.as_str())),
        "{document}"
    );
    // It does not get anywhere.
    let ran = site.run(&format!("copy {place} oci:far"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains(&layer), "{}", ran.stderr);
    assert!(!site.path("far").join(blob_path(&layer.parse().unwrap())).exists());
    std::fs::remove_file(&blob).unwrap();
    let ran = site.run(&format!("verify {place} --json"));
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(
        (ran.code, &document["missing"][0]),
        (3, &Value::from(layer.as_str())),
        "{document}"
    );
}

#[test]
fn names_and_manifests_go() {
    let site = Site::image();
    let served = Served::start(&site, "oci:store --writable");
    let place = format!("{}/app", served.host());
    site.ok(&format!("copy oci:src {place}:v1"));
    site.ok(&format!("tag {place}:v1 v2 stable"));
    let digest = site.digest(&format!("{place}:v1"));
    for name in ["v1", "v2", "stable"] {
        assert_eq!(site.digest(&format!("{place}:{name}")), digest, "{name}");
    }
    site.ok(&format!("untag {place}:v2"));
    assert_eq!(site.run(&format!("digest {place}:v2")).code, 1);
    assert_eq!(site.digest(&format!("{place}:stable")), digest);
    site.ok(&format!("delete {place}@{digest}"));
    for rest in [":v1".to_owned(), ":stable".to_owned(), format!("@{digest}")] {
        assert_eq!(site.run(&format!("digest {place}{rest}")).code, 1, "{rest}");
    }
}

#[test]
fn an_archive_is_served() {
    let site = Site::typed();
    site.ok("copy --all oci:site oci-archive:ship.tar");
    let served = Served::start(&site, "oci-archive:ship.tar");
    let place = format!("{}/ship", served.host());
    assert_eq!(served.document["writable"], Value::from(false));
    assert_eq!(tags(&site, &place), tags(&site, "oci:site"));
    site.ok(&format!("verify {place}:app"));
    site.ok(&format!("copy --all --referrers {place} oci:far"));
    assert_eq!(digests(&site, "oci:far"), digests(&site, "oci:site"));
    assert_eq!(site.run("serve --writable oci-archive:ship.tar").code, 2);
}

#[test]
fn a_repository_is_named() {
    let site = Site::image();
    let served = Served::start(&site, "oci:src --repository acme/site");
    assert_eq!(served.document["repositories"][0]["name"], Value::from("acme/site"));
    assert_eq!(
        site.digest(&format!("{}/acme/site:app", served.host())),
        site.digest("oci:src:app")
    );
    assert_eq!(site.run(&format!("digest {}/src:app", served.host())).code, 1);
}

#[test]
fn what_is_only_read_is_not_written() {
    let site = Site::image();
    let before = site.files();
    let served = Served::start(&site, "oci:src");
    let by_digest = format!("delete HOST/src@{}", site.digest("oci:src"));
    insta::assert_snapshot!(served.errors(&site, &[
        "copy oci:src:app HOST/other:v1",
        "copy oci:src:app HOST/src:v2",
        "tag HOST/src:app v2",
        "untag HOST/src:app",
        "delete HOST/src:app",
        &by_digest,
    ]), @r"
    $ longshore copy oci:src:app HOST/other:v1
    error: cannot push sha256:61a213d0…: HOST answered 405: UNSUPPORTED: POST is not allowed here
      hint: it accepts no pushes: it may be read-only; `longshore serve --writable` accepts them
    error: cannot push sha256:8bb9332c…: HOST answered 405: UNSUPPORTED: POST is not allowed here
    error: cannot push sha256:d5991443…: HOST answered 405: UNSUPPORTED: POST is not allowed here
    error: `v1` is not complete
    [exit 1]

    $ longshore copy oci:src:app HOST/src:v2
    error: sha256:a368c1fe…: cannot push HOST/src:v2: HOST answered 405: UNSUPPORTED: PUT is not allowed here
      hint: it accepts no pushes: it may be read-only; `longshore serve --writable` accepts them
    error: `v2` is not complete
    [exit 1]

    $ longshore tag HOST/src:app v2
    error: cannot push HOST/src:v2: HOST answered 405: UNSUPPORTED: PUT is not allowed here
      hint: it accepts no pushes: it may be read-only; `longshore serve --writable` accepts them
    [exit 1]

    $ longshore untag HOST/src:app
    error: HOST/src does not delete tags: it answered 405: UNSUPPORTED: DELETE is not allowed here
      hint: `longshore delete HOST/src@sha256:a368c1fe…` deletes the manifest with every tag on it, where that is allowed
    [exit 1]

    $ longshore delete HOST/src:app
    error: HOST/src does not delete tags: it answered 405: UNSUPPORTED: DELETE is not allowed here
      hint: `longshore delete HOST/src@sha256:a368c1fe…` deletes the manifest with every tag on it, where that is allowed
    [exit 1]

    $ longshore delete HOST/src@sha256:a368c1fe6e4ced4e44dc898494839a0239eebd327098e90919fcdcf71331c73b
    error: HOST/src does not delete manifests: it answered 405: UNSUPPORTED: DELETE is not allowed here
      hint: it may be read-only, or deleting is turned off in its settings
    [exit 1]
    ");
    assert!(site.files() == before);
}

#[test]
fn what_cannot_be_served_is_told() {
    let site = Site::image();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let shown = site.errors(&[
        &format!("serve oci:src --listen {address}"),
        "serve oci:src --listen localhost",
        "serve oci:src --listen 127.0.0.1",
        "serve oci:src --listen 192.0.2.1:0",
        "serve oci:none",
        "serve oci-archive:none.tar",
        "serve oci:src:app",
        "serve oci:src --allow-missing",
        "serve oci:src --repository Upper",
        "serve localhost:1/app",
    ]);
    insta::assert_snapshot!(shown.replace(&address, "TAKEN"), @r"
    $ longshore serve oci:src --listen TAKEN
    error: cannot listen on TAKEN: something else listens there
      hint: choose another port with --listen; `--listen 127.0.0.1:0` takes a free one
    [exit 2]

    $ longshore serve oci:src --listen localhost
    error: `localhost` is not an address to listen on
      hint: give it a port: `localhost:5000`
    [exit 2]

    $ longshore serve oci:src --listen 127.0.0.1
    error: `127.0.0.1` is not an address to listen on
      hint: give it a port: `127.0.0.1:5000`
    [exit 2]

    $ longshore serve oci:src --listen 192.0.2.1:0
    error: cannot listen on 192.0.2.1:0: this machine has no such address
      hint: `--listen :5000` listens on every address that it has
    [exit 2]

    $ longshore serve oci:none
    error: cannot open none: no such file or directory
      hint: check the path: it, or a directory in it, does not exist
    [exit 2]

    $ longshore serve oci-archive:none.tar
    error: cannot open none.tar: no such file or directory
      hint: check the path: it, or a directory in it, does not exist
    [exit 2]

    $ longshore serve oci:src:app
    error: `oci:src:app` selects an artifact, but a layout is served as a whole
      hint: write `oci:src`
    [exit 2]

    $ longshore serve oci:src --allow-missing
    error: `--writable` is missing
      hint: write `longshore serve --writable --allow-missing <PLACE>...`; `--help` says more
    [exit 2]

    $ longshore serve oci:src --repository Upper
    error: `Upper` is not a repository name: it has upper-case letters; write `upper`
    [exit 2]

    $ longshore serve localhost:1/app
    error: localhost:1/app is a registry already
      hint: serve a layout: `oci:DIR` or `oci-archive:FILE`
    [exit 2]
    ");
}

#[test]
fn what_is_not_there_is_told() {
    let site = Site::typed();
    let served = Served::start(&site, "oci:site");
    insta::assert_snapshot!(served.errors(&site, &[
        "copy HOST/none:v1 oci:dst",
        "copy HOST/site:none oci:dst",
        "copy HOST/site oci:dst",
        "copy HOST/site:app HOST/site:none oci:dst",
        "copy --all-tags HOST/none oci:dst",
        "list HOST/none",
        "inspect HOST/site:appp",
        "digest HOST/site@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "tree HOST/none:v1",
        "verify HOST/none",
        "verify HOST/site:none",
        "tag HOST/site:none v1",
        "delete HOST/site@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ]), @"
    $ longshore copy HOST/none:v1 oci:dst
    error: `v1` is not in HOST/none: it answered 404: MANIFEST_UNKNOWN: v1 is not here
      hint: the repository is not there, or has no tags; check its name
    [exit 1]

    $ longshore copy HOST/site:none oci:dst
    error: `none` is not in HOST/site: it answered 404: MANIFEST_UNKNOWN: none is not here
      hint: it has `app`, `bottle`, `built`, `bundle`, `chart` and 12 more; `longshore list HOST/site` shows all
    [exit 1]

    $ longshore copy HOST/site oci:dst
    error: `latest` is not in HOST/site: it answered 404: MANIFEST_UNKNOWN: latest is not here
      hint: it has `app`, `bottle`, `built`, `bundle`, `chart` and 12 more; `longshore list HOST/site` shows all; or take all with --all-tags or --all
    [exit 1]

    $ longshore copy HOST/site:app HOST/site:none oci:dst
    error: none is not in HOST/site: it answered 404: MANIFEST_UNKNOWN: none is not here
      hint: `longshore list` shows what is there
    referrers (signatures, SBOMs, …) were not looked for and not copied; `--referrers` copies them
    [exit 1]

    $ longshore copy --all-tags HOST/none oci:dst
    error: HOST/none is not there, or has no tags
      hint: check the name; `longshore list HOST` shows repositories, where that is allowed
    [exit 1]

    $ longshore list HOST/none
    error: HOST/none is not there, or has no tags
      hint: check the name; `longshore list HOST` shows repositories, where that is allowed
    [exit 1]

    $ longshore inspect HOST/site:appp
    error: `appp` is not in HOST/site: it answered 404: MANIFEST_UNKNOWN: appp is not here
      hint: it has `app`, `bottle`, `built`, `bundle`, `chart` and 12 more; `longshore list HOST/site` shows all
    [exit 1]

    $ longshore digest HOST/site@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    error: `sha256:e3b0c442…` is not in HOST/site: it answered 404: MANIFEST_UNKNOWN: sha256:e3b0c442… is not here
      hint: it has `app`, `bottle`, `built`, `bundle`, `chart` and 12 more; `longshore list HOST/site` shows all
    [exit 1]

    $ longshore tree HOST/none:v1
    error: `v1` is not in HOST/none: it answered 404: MANIFEST_UNKNOWN: v1 is not here
      hint: the repository is not there, or has no tags; check its name
    [exit 1]

    $ longshore verify HOST/none
    error: HOST/none is not there, or has no tags
      hint: check the name; `longshore list HOST` shows repositories, where that is allowed
    [exit 1]

    $ longshore verify HOST/site:none
    error: `none` is not in HOST/site: it answered 404: MANIFEST_UNKNOWN: none is not here
      hint: it has `app`, `bottle`, `built`, `bundle`, `chart` and 12 more; `longshore list HOST/site` shows all
    [exit 1]

    $ longshore tag HOST/site:none v1
    error: `none` is not in HOST/site: it answered 404: MANIFEST_UNKNOWN: none is not here
      hint: it has `app`, `bottle`, `built`, `bundle`, `chart` and 12 more; `longshore list HOST/site` shows all
    [exit 1]

    $ longshore delete HOST/site@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    error: sha256:e3b0c442… is not in HOST/site: it answered 404: MANIFEST_UNKNOWN: sha256:e3b0c442… is not here
      hint: it may have gone already; `longshore list HOST/site` shows what is there
    [exit 1]
    ");
}

#[test]
fn what_no_registry_takes_is_told() {
    let site = Site::image();
    insta::assert_snapshot!(site.errors(&[
        "copy oci:src alpine",
        "copy oci:src acme/app:v1",
        "tag alpine v1",
        "delete localhost:1/app",
        "untag localhost:1/app",
        "copy oci:src localhost:1/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "list localhost:1/Upper",
        "gc localhost:1/app",
    ]), @r"
    $ longshore copy oci:src alpine
    error: `alpine` names no registry to write to
      hint: write `HOST/alpine`, or `docker.io/library/alpine` if Docker Hub is meant
    [exit 2]

    $ longshore copy oci:src acme/app:v1
    error: `acme/app:v1` names no registry to write to
      hint: write `HOST/acme/app:v1`, or `docker.io/acme/app:v1` if Docker Hub is meant
    [exit 2]

    $ longshore tag alpine v1
    error: `alpine` names no registry to write to
      hint: write `HOST/alpine`, or `docker.io/library/alpine` if Docker Hub is meant
    [exit 2]

    $ longshore delete localhost:1/app
    error: `localhost:1/app` does not say what to delete
      hint: write `localhost:1/app@DIGEST`, or `localhost:1/app:NAME` for the name alone
    [exit 2]

    $ longshore untag localhost:1/app
    error: `localhost:1/app` has no name to remove
      hint: write `localhost:1/app:TAG`
    [exit 2]

    $ longshore copy oci:src localhost:1/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    error: `localhost:1/app@sha256:e3b0c442…` says which digest to write, but that follows from the content (sha256:e3b0c442…)
      hint: write to `localhost:1/app`
    [exit 2]

    $ longshore list localhost:1/Upper
    error: `localhost:1/Upper` is not a reference: a repository has no upper-case letters
      hint: write `localhost:1/upper`
    [exit 2]

    $ longshore gc localhost:1/app
    error: `localhost:1/app` cannot be collected
      hint: give a whole layout directory: `oci:DIR`
    [exit 2]
    ");
}

#[test]
fn a_server_that_is_no_registry_is_told() {
    let site = Site::image();
    let page = b"<html><body><h1>Welcome</h1></body></html>".to_vec();
    let html = |status: &'static str| {
        let page = page.clone();
        Stub::start(move |_| (format!("{status}\r\nContent-Type: text/html"), page.clone()))
    };
    let missing = html("404 Not Found");
    let broken = html("500 Internal Server Error\r\nRetry-After: 0");
    let fine = html("200 OK");
    let teapot = html("418 I'm a teapot");
    let lines = |stub: &Stub| {
        ["list HOST/app", "copy HOST/app:v1 oci:dst", "copy oci:src HOST/app:v1"]
            .map(|line| stub.errors(&site, line))
            .join("\n")
    };
    let shown = [&missing, &broken, &fine, &teapot].map(lines).join("\n");
    insta::assert_snapshot!(shown, @r"
    $ longshore list HOST/app
    error: HOST/app is not there, or has no tags
      hint: check the name; `longshore list HOST` shows repositories, where that is allowed
    [exit 1]

    $ longshore copy HOST/app:v1 oci:dst
    error: `v1` is not in HOST/app: it answered 404 Not Found
      hint: the repository is not there, or has no tags; check its name
    [exit 1]

    $ longshore copy oci:src HOST/app:v1
    error: HOST is not a registry: it does not speak the OCI distribution spec: it answered 404 Not Found
      hint: check its name and port
    [exit 2]

    $ longshore list HOST/app
    error: cannot read the list of tags of HOST/app: HOST answered 500 Internal Server Error
      hint: the registry, or a proxy in front of it, failed; try again later, or ask whoever runs it
    [exit 2]

    $ longshore copy HOST/app:v1 oci:dst
    error: cannot read HOST/app:v1: HOST answered 500 Internal Server Error
      hint: the registry, or a proxy in front of it, failed; try again later, or ask whoever runs it
    [exit 1]

    $ longshore copy oci:src HOST/app:v1
    error: cannot use HOST as a registry: HOST answered 500 Internal Server Error
      hint: the registry, or a proxy in front of it, failed; try again later, or ask whoever runs it
    [exit 2]

    $ longshore list HOST/app
    error: the list of tags of HOST/app is a web page
      hint: the host answers, but not as a registry does; check its name and port
    [exit 2]

    $ longshore copy HOST/app:v1 oci:dst
    error: the manifest HOST/app:v1 is a web page
      hint: the host answers, but not as a registry does; check its name and port
    [exit 1]

    $ longshore copy oci:src HOST/app:v1
    error: HOST is not a registry: it does not speak the OCI distribution spec
      hint: check its name and port
    [exit 2]

    $ longshore list HOST/app
    error: cannot read the list of tags of HOST/app: HOST answered 418 I'm a teapot
    [exit 2]

    $ longshore copy HOST/app:v1 oci:dst
    error: cannot read HOST/app:v1: HOST answered 418 I'm a teapot
    [exit 1]

    $ longshore copy oci:src HOST/app:v1
    error: cannot use HOST as a registry: HOST answered 418 I'm a teapot
    [exit 2]
    ");
}

#[test]
fn a_registry_that_serves_something_else_is_told() {
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    let site = Site::image();
    let digest = site.digest("oci:src");
    let raw = site.run("inspect --raw oci:src").stdout;
    let manifest = |more: &str, body: Vec<u8>| {
        let head = format!("200 OK\r\nContent-Type: {MANIFEST}{more}");
        Stub::start(move |asked| match asked {
            asked if asked.contains("/manifests/") => (head.clone(), body.clone()),
            asked if asked.ends_with("/v2/") => ("200 OK".to_owned(), Vec::new()),
            _ => ("404 Not Found".to_owned(), Vec::new()),
        })
    };
    let header = format!("\r\nDocker-Content-Digest: {digest}");
    let mut other = raw.clone();
    other.push(b' ');
    let wrong = manifest(&header, other.clone());
    let silent = manifest("", other);
    let large = manifest("", vec![b' '; 64 << 20]);
    let nonsense = manifest("", b"{}".to_vec());
    let shown = [
        wrong.errors(&site, &format!("copy HOST/app@{digest} oci:dst")),
        wrong.errors(&site, "copy HOST/app:v1 oci:dst"),
        silent.errors(&site, &format!("copy HOST/app@{digest} oci:dst")),
        large.errors(&site, "copy HOST/app:v1 oci:dst"),
        nonsense.errors(&site, "copy HOST/app:v1 oci:dst"),
    ];
    insta::assert_snapshot!(shown.join("\n"), @r"
    $ longshore copy HOST/app@sha256:a368c1fe… oci:dst
    error: sha256:a368c1fe… is corrupt: its content hashes to sha256:393b6869…
      hint: this copy is damaged; fetch it again from its source
    [exit 1]

    $ longshore copy HOST/app:v1 oci:dst
    warning: HOST/app says that v1 is sha256:a368c1fe…; by its content it is sha256:393b6869…
    warning: HOST/app says that sha256-393b6869… is sha256:a368c1fe…; by its content it is sha256:393b6869…
    warning: HOST/app says that sha256-393b6869….sig is sha256:a368c1fe…; by its content it is sha256:393b6869…
    warning: HOST/app says that sha256-393b6869….att is sha256:a368c1fe…; by its content it is sha256:393b6869…
    warning: HOST/app says that sha256-393b6869….sbom is sha256:a368c1fe…; by its content it is sha256:393b6869…
    error: sha256:61a213d0… is not in HOST/app: it answered 404 Not Found
      hint: check the digest; if something there refers to it, that is incomplete and must be pushed again
    error: sha256:8bb9332c… is not in HOST/app: it answered 404 Not Found
    error: sha256:d5991443… is not in HOST/app: it answered 404 Not Found
    error: `HOST/app:v1` is not complete
    3 referrers not copied (signatures, SBOMs, …); `--referrers` copies them
    [exit 1]

    $ longshore copy HOST/app@sha256:a368c1fe… oci:dst
    error: sha256:a368c1fe… is corrupt: its content hashes to sha256:393b6869…
      hint: this copy is damaged; fetch it again from its source
    [exit 1]

    $ longshore copy HOST/app:v1 oci:dst
    error: HOST/app:v1 is over the limit of 8388608 bytes
      hint: this is more than any known tool produces; ask whoever made it
    [exit 1]

    $ longshore copy HOST/app:v1 oci:dst
    error: sha256:44136fa3… cannot be read as a manifest: its media type is `application/vnd.oci.image.manifest.v1+json`, but it has no `config`
      hint: its digest is right, so it was created this way; whoever made it must fix it
    [exit 1]
    ");
    assert!(!wrong.asked().is_empty());
}
