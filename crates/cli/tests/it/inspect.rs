//! `list`, `tree`, `inspect`, `digest`, `verify`, `types`.

use longshore_fixture::{Content, artifacts, blob_path, typed};
use longshore_spec::Digest;

use crate::common::{Site, redacted};

#[test]
fn list_shows_what_is_there_by_type() {
    let site = Site::typed();
    insta::assert_snapshot!(site.shown(&["list oci:site"]), @"
    $ longshore list oci:site
    4 entries without a name; --all lists them
    NAME                                                                         TYPE                                 PLATFORM                                 SIZE      REFERRERS  DIGEST
    app                                                                          index                                linux/amd64,linux/arm64,linux/arm/v7,+1  15.0 KiB  3          sha256:94ab682b…
    bottle                                                                       homebrew-bottle                      darwin/arm64,linux/amd64                 6.2 KiB              sha256:897eb86d…
    built                                                                        index                                linux/amd64                              6.6 KiB              sha256:958f44e8…
    bundle                                                                       cnab                                 linux/amd64                              6.3 KiB              sha256:784ccf5e…
    chart                                                                        helm-chart                                                                    3.6 KiB   1          sha256:38ef38cf…
    chat                                                                         ollama-model                         linux/amd64                              1.0 KiB              sha256:e17d96e2…
    container                                                                    singularity-sif                                                               585 B                sha256:0e8630ea…
    exact                                                                        oci-image                            linux/amd64                              5.2 KiB              sha256:edd04ec8…
    legacy                                                                       index                                linux/amd64,linux/arm64                  8.7 KiB              sha256:4383cc4b…
    model                                                                        modelpack                                                                     1.0 KiB              sha256:0dc8770b…
    module                                                                       wasm-artifact                                                                 552 B                sha256:7d3e2452…
    policy                                                                       oci-image                                                                     3.7 KiB              sha256:09896968…
    release                                                                      index                                                                         9.1 KiB              sha256:a90ebc74…
    rules                                                                        conftest-policy                                                               719 B                sha256:daa3f1f5…
    settings                                                                     application/vnd.example.settings.v1                                           489 B                sha256:b767031a…
    sha256-38ef38cf….sig  cosign-signature                                                              1003 B               sha256:5ab507e3…
    strong                                                                       application/vnd.example.settings.v1                                           737 B                sha512:1cd63dec…
    ");
    insta::assert_snapshot!(site.shown(&["list --type chart oci:site", "ls --type '!image' --type sbom --all oci:site"]), @"
    $ longshore list --type chart oci:site
    4 entries without a name; --all lists them
    NAME   TYPE        PLATFORM  SIZE     REFERRERS  DIGEST
    chart  helm-chart            3.6 KiB  1          sha256:38ef38cf…

    $ longshore ls --type '!image' --type sbom --all oci:site
    NAME  TYPE  PLATFORM  SIZE   REFERRERS  DIGEST
    -     spdx            808 B  1          sha256:adb73389…
    ");
}

#[test]
fn tree_shows_what_things_consist_of() {
    let site = Site::typed();
    insta::assert_snapshot!(site.shown(&["tree oci:site:app"]), @r#"
    $ longshore tree oci:site:app
    app  index  966 B  sha256:94ab682b15c3
    ├─ manifest  oci-image  linux/amd64  557 B  sha256:a368c1fe6e4c
    │  ├─ config  application/vnd.oci.image.config.v1+json  445 B  sha256:8bb9332cdcca
    │  ├─ layer  application/vnd.oci.image.layer.v1.tar+gzip  2.0 KiB  sha256:61a213d0d52b
    │  └─ layer  application/vnd.oci.image.layer.v1.tar+gzip  2.0 KiB  sha256:d5991443776b
    ├─ manifest  oci-image  linux/arm64  557 B  sha256:70c30bc798a3
    │  ├─ config  application/vnd.oci.image.config.v1+json  445 B  sha256:2b717a748fee
    │  ├─ layer  application/vnd.oci.image.layer.v1.tar+gzip  2.0 KiB  sha256:61a213d0d52b
    │  └─ layer  application/vnd.oci.image.layer.v1.tar+gzip  2.0 KiB  sha256:6f9acf858d4f
    ├─ manifest  oci-image  linux/arm/v7  557 B  sha256:02632f6e8b4a
    │  ├─ config  application/vnd.oci.image.config.v1+json  458 B  sha256:47f3d5044a22
    │  ├─ layer  application/vnd.oci.image.layer.v1.tar+gzip  2.0 KiB  sha256:61a213d0d52b
    │  └─ layer  application/vnd.oci.image.layer.v1.tar+gzip  2.0 KiB  sha256:2c04e79dcad8
    ├─ manifest  oci-image  windows(10.0.17763.6293)/amd64  557 B  sha256:aa42852b01bc
    │  ├─ config  application/vnd.oci.image.config.v1+json  503 B  sha256:fd7e47604fc4
    │  ├─ layer  application/vnd.oci.image.layer.v1.tar+gzip  2.0 KiB  sha256:1d254121b846
    │  └─ layer  application/vnd.oci.image.layer.v1.tar+gzip  2.0 KiB  sha256:d5991443776b
    ├─ referrer  sigstore-bundle  816 B  sha256:abd2cec1f8d1
    │  ├─ config  application/vnd.oci.empty.v1+json  2 B  sha256:44136fa355b3
    │  └─ layer  application/vnd.dev.sigstore.bundle.v0.3+json  643 B  sha256:d55307676493
    ├─ referrer  spdx  569 B  sha256:adb73389fc4e
    │  ├─ config  application/vnd.oci.empty.v1+json  2 B  sha256:44136fa355b3
    │  ├─ layer  application/spdx+json  237 B  sha256:9f675cb0d413
    │  └─ referrer  notation-signature  720 B  sha256:d14cafb513ed
    │     ├─ config  application/vnd.oci.empty.v1+json  2 B  sha256:44136fa355b3
    │     └─ layer  application/jose+json  321 B  sha256:6558dbd8c7ac
    └─ referrer  in-toto  583 B  sha256:ff344c22e958
       ├─ config  application/vnd.oci.empty.v1+json  2 B  sha256:44136fa355b3
       └─ layer  application/vnd.in-toto+json  293 B  sha256:d74ea4d2e93b
    "#);
}

#[test]
fn tree_names_what_is_not_there() {
    let site = Site::new();
    let name = site.fixture("layout-missing-blob");
    let ran = site.run(&format!("tree oci:{name}"));
    assert_eq!(ran.code, 1);
    insta::assert_snapshot!(redacted(&ran.text()), @r#"
    app  oci-image  linux/amd64  557 B  sha256:a368c1fe6e4c
    ├─ config  application/vnd.oci.image.config.v1+json  445 B  sha256:8bb9332cdcca
    ├─ layer  application/vnd.oci.image.layer.v1.tar+gzip  2.0 KiB  sha256:61a213d0d52b
    └─ layer  application/vnd.oci.image.layer.v1.tar+gzip  2.0 KiB  sha256:d5991443776b  ! sha256:d5991443… is not in layout-missing-blob
    "#);
}

#[test]
fn inspect_shows_one_artifact() {
    let site = Site::typed();
    insta::assert_snapshot!(site.shown(&["inspect oci:site:app", "inspect oci:site:chart"]), @"
    $ longshore inspect oci:site:app
    Name        app
    Digest      sha256:94ab682b…
    Type        index
    Media type  application/vnd.oci.image.index.v1+json
    Size        966 B
    Platform    linux/amd64, linux/arm64, linux/arm/v7, windows(10.0.17763.6293)/amd64
    Manifest    sha256:a368c1fe…  557 B  application/vnd.oci.image.manifest.v1+json  linux/amd64
    Manifest    sha256:70c30bc7…  557 B  application/vnd.oci.image.manifest.v1+json  linux/arm64
    Manifest    sha256:02632f6e…  557 B  application/vnd.oci.image.manifest.v1+json  linux/arm/v7
    Manifest    sha256:aa42852b…  557 B  application/vnd.oci.image.manifest.v1+json  windows(10.0.17763.6293)/amd64
    Referrer    sha256:abd2cec1…  816 B  application/vnd.oci.image.manifest.v1+json  sigstore-bundle
    Referrer    sha256:adb73389…  569 B  application/vnd.oci.image.manifest.v1+json  spdx
    Referrer    sha256:ff344c22…  583 B  application/vnd.oci.image.manifest.v1+json  in-toto

    $ longshore inspect oci:site:chart
    Name        chart
    Digest      sha256:38ef38cf…
    Type        helm-chart (Helm chart, chart)
    Declared    application/vnd.cncf.helm.config.v1+json
    Media type  application/vnd.oci.image.manifest.v1+json
    Size        507 B
    Annotation  org.opencontainers.image.title = app
    Annotation  org.opencontainers.image.version = 0.1.5
    Config      sha256:24164daf…  71 B  application/vnd.cncf.helm.config.v1+json
    Layer       sha256:f31c622a…  3.0 KiB  application/vnd.cncf.helm.chart.content.v1.tar+gzip
    Referrer    sha256:5ab507e3…  526 B  application/vnd.oci.image.manifest.v1+json  sha256-38ef38cf….sig
    ");
}

#[test]
fn raw_is_the_blob_to_the_byte() {
    let site = Site::typed();
    for entry in typed().entries {
        let place = format!("oci:site@{}", entry.digest);
        let raw = site.run(&format!("inspect --raw {place}")).stdout;
        assert_eq!(raw, std::fs::read(site.path("site").join(blob_path(&entry.digest))).unwrap());
    }
    let config = site.run("inspect --config oci:site:chart").stdout;
    let digest = site.json("inspect oci:site:chart")["config"]["digest"].clone();
    assert_eq!(Digest::sha256(&config).to_string(), digest.as_str().unwrap());
}

#[test]
fn digest_prints_a_line_for_each_place() {
    let site = Site::typed();
    let content = typed();
    let printed = site.ok("digest oci:site:app oci:site:strong");
    let of = |name: &str| {
        let names = |entry: &&longshore_spec::Descriptor| {
            entry.annotations.get(longshore_spec::keys::REF_NAME).is_some_and(|text| text == name)
        };
        content.entries.iter().find(names).unwrap().digest.to_string()
    };
    assert_eq!(printed, format!("{}\n{}\n", of("app"), of("strong")));
}

#[test]
fn verify_tells_missing_damaged_orphaned_and_left_out_apart() {
    let site = Site::typed();
    insta::assert_snapshot!(site.shown(&["verify oci:site:app"]), @r#"
    $ longshore verify oci:site:app
    everything is there: 1 root, 14 blobs verified, 11.9 KiB in TIME
    "#);

    let mut content = Content::new();
    let app = artifacts::image_for(&mut content, 1, &artifacts::platform("linux/amd64"));
    content.tag(&app.manifest, "app");
    let sparse = crate::common::two_platforms(&mut content);
    content.tag(&sparse, "sparse");
    site.put("bad", &content);
    let path = |digest: &Digest| site.path("bad").join(blob_path(digest));
    std::fs::remove_file(path(&app.layers[0].digest)).unwrap();
    std::fs::write(path(&app.layers[1].digest), "damaged").unwrap();
    std::fs::write(path(&Digest::sha256("orphan")), "orphan").unwrap();
    let entries =
        serde_json::from_slice::<serde_json::Value>(&content.blobs[&sparse.digest]).unwrap();
    let other: Digest = entries["manifests"][1]["digest"].as_str().unwrap().parse().unwrap();
    std::fs::remove_file(path(&other)).unwrap();
    let ran = site.run("verify oci:bad");
    assert_eq!(ran.code, 3);
    insta::assert_snapshot!(redacted(&ran.text()), @r#"
    missing   sha256:61a213d0…
    damaged   sha256:d5991443…
    orphaned  sha256:2b717a74…
    orphaned  sha256:6f9acf85…
    orphaned  sha256:88f6811a…
    left out  linux/arm64 sha256:70c30bc7…: the source does not have it
    1 missing, 1 damaged: 2 roots, 3 blobs verified, 445 B in TIME; 3 blobs needed by nothing
    "#);
    insta::assert_snapshot!(redacted(&ran.stderr), @r"
    error: sha256:61a213d0… is not in bad
      hint: this copy is incomplete; fetch it again from its source
    error: sha256:d5991443… is corrupt: its size is 2071 bytes, but its content has 7
      hint: this copy is damaged; fetch it again from its source
    error: `app` is not complete
    error: `sparse` is not complete
    ");
}

#[test]
fn types_are_known_by_name_and_family() {
    let site = Site::new();
    let types = site.ok("types");
    for word in ["image", "helm-chart", "NAME", "FAMILY"] {
        assert!(types.contains(word), "{word}: {types}");
    }
}
