//! `tag`, `untag`, `gc`.

use longshore_fixture::{Content, artifacts};

use serde_json::{Value, json};

use crate::common::Site;
use crate::servers::Served;

#[test]
fn an_artifact_gets_and_loses_names() {
    let site = Site::image();
    insta::assert_snapshot!(site.shown(&[
        "tag oci:src:app v1 ghcr.io/acme/app:v1",
        "list oci:src",
        "untag oci:src:v1 oci:src:app",
        "list oci:src",
        "digest oci:src:v1",
    ]), @r#"
    $ longshore tag oci:src:app v1 ghcr.io/acme/app:v1
    v1  sha256:a368c1fe…
    ghcr.io/acme/app:v1  sha256:a368c1fe…

    $ longshore list oci:src
    NAME                 TYPE       PLATFORM     SIZE     REFERRERS  DIGEST
    app                  oci-image  linux/amd64  5.0 KiB             sha256:a368c1fe…
    ghcr.io/acme/app:v1  oci-image  linux/amd64  5.0 KiB             sha256:a368c1fe…
    v1                   oci-image  linux/amd64  5.0 KiB             sha256:a368c1fe…

    $ longshore untag oci:src:v1 oci:src:app
    v1  sha256:a368c1fe…
    app  sha256:a368c1fe…

    $ longshore list oci:src
    NAME                 TYPE       PLATFORM     SIZE     REFERRERS  DIGEST
    ghcr.io/acme/app:v1  oci-image  linux/amd64  5.0 KiB             sha256:a368c1fe…

    $ longshore digest oci:src:v1
    sha256:a368c1fe…
    "#);
}

#[test]
fn a_name_moves() {
    let site = Site::image();
    site.put("other", &Content::tagged("next", |content| artifacts::image(content, 2)));
    site.ok("copy oci:other oci:src");
    assert_ne!(site.digest("oci:src:app"), site.digest("oci:src:next"));
    site.ok("tag oci:src:next app");
    assert_eq!(site.digest("oci:src:app"), site.digest("oci:src:next"));
}

#[test]
fn an_ambiguous_name_can_be_settled() {
    let site = Site::new();
    let name = site.fixture("layout-two-entries-one-name");
    let digest = site.json(&format!("list oci:{name}"))[0]["digest"].clone();
    assert_eq!(site.run(&format!("verify oci:{name}")).code, 3);
    site.ok(&format!("tag oci:{name}@{} app", digest.as_str().unwrap()));
    site.ok(&format!("verify oci:{name}"));
    assert_eq!(site.digest(&format!("oci:{name}:app")), digest.as_str().unwrap());
}

#[test]
fn what_no_name_needs_goes_with_gc_and_not_before() {
    let site = Site::image();
    site.put("other", &Content::tagged("chart", |content| artifacts::helm_chart(content, 1)));
    site.ok("copy oci:other oci:src");
    site.ok("untag oci:src:app");
    assert_eq!(site.json("list --all oci:src").as_array().unwrap().len(), 1);
    insta::assert_snapshot!(site.shown(&[
        "verify oci:src",
        "gc oci:src",
        "gc -q --older-than 0 oci:src",
        "verify oci:src",
    ]), @r#"
    $ longshore verify oci:src
    orphaned  sha256:61a213d0…
    orphaned  sha256:8bb9332c…
    orphaned  sha256:a368c1fe…
    orphaned  sha256:d5991443…
    everything is there: 1 root, 3 blobs verified, 3.1 KiB in TIME; 4 blobs needed by nothing

    $ longshore gc oci:src
    removed 0 blobs, 0 B; kept 4 unneeded blobs for now: younger than --older-than

    $ longshore gc -q --older-than 0 oci:src

    $ longshore verify oci:src
    everything is there: 1 root, 3 blobs verified, 3.1 KiB in TIME
    "#);
}

#[test]
fn gc_says_what_it_would_remove_and_removes_that() {
    let site = Site::image();
    let orphan = longshore_spec::Digest::sha256("an orphan\n");
    site.file(&format!("src/{}", longshore_fixture::blob_path(&orphan)), "an orphan\n");
    insta::assert_snapshot!(site.shown(&[
        "gc oci:src",
        "gc --older-than 0 --dry-run oci:src",
        "verify oci:src",
        "gc --older-than 0 oci:src",
        "gc --older-than 0 oci:src",
        "verify oci:src",
    ]), @r#"
    $ longshore gc oci:src
    removed 0 blobs, 0 B; kept 1 unneeded blob for now: younger than --older-than

    $ longshore gc --older-than 0 --dry-run oci:src
    sha256:c042e508…  10 B
    would remove 1 blob, 10 B

    $ longshore verify oci:src
    orphaned  sha256:c042e508…
    everything is there: 1 root, 4 blobs verified, 4.5 KiB in TIME; 1 blob needed by nothing

    $ longshore gc --older-than 0 oci:src
    sha256:c042e508…  10 B
    removed 1 blob, 10 B

    $ longshore gc --older-than 0 oci:src
    removed 0 blobs, 0 B

    $ longshore verify oci:src
    everything is there: 1 root, 4 blobs verified, 4.5 KiB in TIME
    "#);
}

/// Returns a site with two images, `one` and `two`, and their digests.
fn two() -> (Site, [String; 2]) {
    let site = Site::new();
    for (number, name) in [(1, "one"), (2, "two")] {
        site.put(name, &Content::tagged("app", |content| artifacts::image(content, number)));
    }
    let digests = ["oci:one", "oci:two"].map(|place| site.digest(place));
    (site, digests)
}

/// Returns what is listed by name: the name and the digest.
fn listed(site: &Site, place: &str) -> Vec<(String, String)> {
    let list = site.json(&format!("list {place}"));
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or("-").to_owned();
    list.as_array().unwrap().iter().map(|line| (text(line, "name"), text(line, "digest"))).collect()
}

#[test]
fn a_name_that_moves_is_told_with_what_it_stood_for() {
    let (site, [one, two]) = two();
    let served = Served::start(&site, "oci:store --writable");
    let host = served.host();
    let moved = |name: &str| json!([{ "name": name, "from": one, "to": two }]);
    let none = json!([]);
    for (target, name) in [("oci:dst:v1", "v1"), (&format!("{host}/app:v1"), "v1")] {
        assert_eq!(site.json(&format!("copy oci:one {target}"))["moved"], none, "{target}");
        assert_eq!(site.json(&format!("copy oci:one {target}"))["moved"], none, "{target}");
        let would = site.run(&format!("copy oci:two {target} --dry-run"));
        assert!(
            would.stderr.contains(&format!("{name} would move from {one} to {two}")),
            "{}",
            would.stderr
        );
        assert_eq!(site.json(&format!("copy oci:two {target} --dry-run"))["moved"], moved(name));
        assert_eq!(site.json(&format!("copy oci:two {target}"))["moved"], moved(name), "{target}");
        site.ok(&format!("copy oci:one {target}"));
        let text = site.run(&format!("copy oci:two {target}")).stderr;
        assert!(text.contains(&format!("{name} moved from {one} to {two}")), "{target}: {text}");
    }
    site.ok("copy oci:one oci:dst:v2");
    assert_eq!(site.json("tag oci:dst:v1 v2 v3")["moved"], moved("v2"));
    assert_eq!(site.json("tag oci:dst:v1 v2")["moved"], none);
}

#[test]
fn a_name_that_an_import_moves_is_told() {
    let (site, [one, two]) = two();
    let served = Served::start(&site, "oci:store --writable");
    for (number, place) in ["one", "two"].into_iter().enumerate() {
        site.ok(&format!("tag oci:{place}:app reg.test/team/app:v1"));
        site.ok(&format!("untag oci:{place}:app"));
        for (target, to) in [
            ("oci:far".to_owned(), "reg.test/team/app:v1".to_owned()),
            (served.host().to_owned(), format!("{}/team/app:v1", served.host())),
        ] {
            let expected = json!([{ "name": to, "from": one, "to": two }]);
            let expected = if number == 1 { expected } else { json!([]) };
            for flag in ["--dry-run", ""] {
                let document = site.json(&format!("import oci:{place} {target} {flag}"));
                assert_eq!(document["moved"], expected, "{place} {target} {flag}");
            }
        }
    }
}

#[test]
fn artifacts_of_two_repositories_under_one_tag_are_both_kept() {
    let (site, [one, two]) = two();
    let served = Served::start(&site, "oci:store --writable");
    let host = served.host();
    for name in ["one", "two"] {
        site.ok(&format!("copy oci:{name} {host}/{name}:v1"));
    }
    for name in ["one", "two"] {
        assert_eq!(site.json(&format!("copy {host}/{name}:v1 oci:dst"))["moved"], json!([]));
    }
    let expected = vec![(format!("{host}/one:v1"), one), (format!("{host}/two:v1"), two)];
    assert_eq!(listed(&site, "oci:dst"), expected);
    let ambiguous = site.run("digest oci:dst:v1");
    assert_ne!(ambiguous.code, 0);
    assert!(ambiguous.stderr.contains("is ambiguous"), "{}", ambiguous.stderr);
    for (name, digest) in expected {
        assert_eq!(site.digest(&format!("oci:dst:{name}")), digest);
    }
}

#[test]
fn a_tag_beside_a_digest_is_kept_and_the_digest_is_what_is_fetched() {
    let (site, [one, two]) = two();
    let served = Served::start(&site, "oci:store --writable");
    let host = served.host();
    site.ok(&format!("copy oci:one {host}/app:v1"));
    site.ok(&format!("copy oci:two {host}/app:v1"));
    let pinned = format!("{host}/app:v1@{one}");
    let here = vec![(format!("{host}/app:v1"), one.clone())];
    site.ok(&format!("copy {pinned} oci:dst"));
    assert_eq!(listed(&site, "oci:dst"), here);
    site.ok(&format!("copy {pinned} oci-archive:one.tar"));
    assert_eq!(listed(&site, "oci-archive:one.tar"), here);
    site.file("list", format!("{pinned}\n{host}/app:v1\n"));
    let conflict = site.run("copy -f list oci:both");
    assert!(
        conflict.code != 0 && conflict.stderr.contains("would stand for both"),
        "{}",
        conflict.stderr
    );
    site.ok(&format!("copy {pinned} {host}/other"));
    assert_eq!(site.digest(&format!("{host}/other:v1")), one);
    assert_eq!(listed(&site, &pinned), [("v1".to_owned(), one.clone())]);

    site.ok(&format!("export {pinned} -o bundle.tar"));
    site.ok("import bundle.tar oci:far");
    assert_eq!(listed(&site, "oci:far"), here);
    assert_eq!(site.digest(&format!("oci:far:{pinned}")), one);
    assert_eq!(site.digest(&format!("oci-archive:bundle.tar:{host}/app:v1")), one);
    site.ok(&format!("import bundle.tar {host}/mirror"));
    assert_eq!(site.digest(&format!("{host}/mirror/app:v1")), one);

    // Where something goes, it must be what the digest says.
    site.ok(&format!("copy oci:one {host}/to:v2@{one}"));
    assert_eq!(site.digest(&format!("{host}/to:v2")), one);
    site.ok(&format!("copy oci:one oci:dst:v2@{one}"));
    assert!(listed(&site, "oci:dst").contains(&("v2".to_owned(), one.clone())));
    site.ok(&format!("tag oci:dst:v2 v3@{one}"));
    assert!(listed(&site, "oci:dst").contains(&("v3".to_owned(), one.clone())));
    for line in [
        format!("copy oci:one {host}/to:v3@{two}"),
        format!("copy oci:one oci:dst:v4@{two}"),
        format!("tag oci:dst:v2 v4@{two}"),
    ] {
        let refused = site.run(&line);
        assert_eq!(refused.code, 2, "{line}: {}", refused.stderr);
        assert!(
            refused.stderr.contains("is not that of the artifact"),
            "{line}: {}",
            refused.stderr
        );
    }
}

#[test]
fn an_untagged_referrer_is_in_the_repository_of_its_subject() {
    let site = Site::typed();
    let app = site.digest("oci:site:app");
    site.ok("copy --referrers oci:site:app oci:src:reg.test/team/app:v1");
    let served = Served::start(&site, "oci:src");
    let catalog = served.get("/v2/_catalog");
    assert!(catalog.contains(r#"{"repositories":["reg.test/team/app"]}"#), "{catalog}");
    let referrers = served.get(&format!("/v2/team/app/referrers/{app}"));
    assert!(referrers.contains("sha256:"), "{referrers}");
    let page = served.get("/");
    assert!(page.contains("referrer") && !page.contains("repository=src"), "{page}");
}
