//! `tag`, `untag`, `gc`.

use longshore_fixture::{Content, artifacts};

use crate::common::Site;

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
