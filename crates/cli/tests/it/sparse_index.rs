//! Indexes of which several platforms are taken, but not all, on their way to a registry that wants all that a
//! manifest refers to.

use serde_json::Value;

use crate::bundles::{bytes, registry};
use crate::common::Site;
use crate::servers::Served;

/// A registry, and a `bundle.yaml` as the book has it, with more in its defaults.
fn site(defaults: &str) -> (Site, Served) {
    let (site, near) = registry();
    let text = format!(
        "defaults:\n  platforms: [linux/amd64, linux/arm64]\n{defaults}artifacts:\n  - ref: {0}/acme/app:v1\n  \
         - repository: {0}/charts/shop\n    tags: {{ semver: '>=1.4, <2', newest: 3 }}\n",
        near.host()
    );
    site.file("bundle.yaml", text);
    (site, near)
}

#[test]
fn what_nobody_has_decided_is_refused_before_anything_is_written() {
    let (site, near) = site("");
    for line in
        ["export -f bundle.yaml -o b.tar", "export -f bundle.yaml -o b.tar --dry-run", "lock"]
    {
        let ran = site.run(line);
        assert_eq!(ran.code, 2, "{line}: {}", ran.stderr);
        for told in ["linux/arm/v7", "sparseIndex: strip", "no longer fit", "/acme/app:v1"] {
            assert!(ran.stderr.contains(told), "{line}: {}", ran.stderr);
        }
    }
    let written = ["b.tar", "b.tar.partial", "bundle.lock"].iter().any(|it| site.path(it).exists());
    assert!(!written);
    // One platform, or all that there are, leave nothing to decide.
    let host = near.host();
    site.ok(&format!("export -q {host}/acme/app:v1 --platform linux/amd64 -o one.tar"));
    let all = "linux/amd64,linux/arm64,linux/arm/v7,windows/amd64";
    site.ok(&format!("export -q {host}/acme/app:v1 --platform {all} -o all.tar"));
    // The flag says it for what the file does not say.
    site.ok("export -q -f bundle.yaml --sparse-index strip -o b.tar");
    site.ok("lock -q --sparse-index keep");
}

#[test]
fn what_is_stripped_arrives_at_a_strict_registry_and_signatures_that_do_not_fit_are_named() {
    let (site, _near) = site("  sparseIndex: strip\n");
    site.ok("lock -q");
    let ran = site.run("export -f bundle.yaml --locked -o b.tar");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let index = site.digest("oci:site:app");
    let told = ran.stderr.lines().filter(|line| line.contains(&format!("of the index {index}")));
    assert_eq!(told.count(), 3, "{}", ran.stderr);
    let far = Served::start(&site, "oci:far --writable");
    site.ok(&format!("import -q b.tar {}/mirror", far.host()));
    site.ok(&format!("verify {}/mirror/acme/app:v1", far.host()));
}

#[test]
fn what_was_kept_can_be_stripped_where_it_arrives() {
    let (site, _near) = site("  sparseIndex: keep\n");
    site.ok("export -q -f bundle.yaml -o b.tar");
    site.ok("export -q -f bundle.yaml -o oci:b");
    let far = Served::start(&site, "oci:far --writable");
    let host = far.host();
    let refused = site.run(&format!("import b.tar {host}/mirror"));
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("`--sparse-index strip` removes them"), "{}", refused.stderr);

    let import = format!("import b.tar {host}/mirror --sparse-index strip");
    let dry = site.json(&format!("{import} --dry-run"));
    let ran = site.run(&format!("{import} --json"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let index = site.digest("oci:site:app");
    assert!(ran.stderr.contains(&format!("of the index {index}")), "{}", ran.stderr);
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let digest = site.digest(&format!("{host}/mirror/acme/app:v1"));
    assert_ne!(digest, index);
    for document in [&dry, &document] {
        let root = document["roots"].as_array().unwrap().iter();
        let mut root = root.filter(|root| root["to"].as_str().unwrap().ends_with("/acme/app:v1"));
        assert_eq!(root.next().unwrap()["digest"], digest);
    }
    // It is what export would have made of it.
    site.ok("export -q -f bundle.yaml --sparse-index strip -o oci:stripped");
    site.ok(&format!("verify {host}/mirror/acme/app:v1"));
    let bundle = site.run("import oci:b oci:here --sparse-index strip");
    assert_eq!(bundle.code, 0, "{}", bundle.stderr);
    site.ok("verify oci:here");
    assert!(site.ok("list oci:here").contains(&digest));
    // What is whole stays as it is.
    site.ok("import -q stripped oci:whole --sparse-index strip");
    assert!(!bytes(&site, "whole/index.json").is_empty());
}

#[test]
fn an_index_that_lacks_entries_at_its_source_is_decided_upon_too() {
    let site = Site::typed();
    let place = "oci:gap:local.test/acme/app:v1";
    site.ok(&format!("copy -q oci:site:app {place} --platform linux/amd64,linux/arm64"));
    site.file("bundle.yaml", format!("artifacts: [{{ ref: '{place}' }}]\n"));
    for line in [format!("export {place} -o b.tar"), "lock".to_owned()] {
        let ran = site.run(&line);
        assert_eq!(ran.code, 2, "{line}: {}", ran.stderr);
        for told in
            ["what its source does not have: linux/arm/v7", "`sparseIndex: strip`", "`keep`"]
        {
            assert!(ran.stderr.contains(told), "{line}: {}", ran.stderr);
        }
        assert!(!ran.stderr.contains("all of it is taken"), "{line}: {}", ran.stderr);
    }
    assert!(!site.path("b.tar").exists() && !site.path("bundle.lock").exists());
    site.ok(&format!("export -q {place} -o kept.tar --sparse-index keep"));
    site.ok(&format!("export -q {place} -o stripped.tar --sparse-index strip"));
    site.ok("lock -q --sparse-index strip");
    site.ok("export -q -f bundle.yaml --locked --sparse-index strip -o locked.tar");
    let far = Served::start(&site, "oci:far --writable");
    let host = far.host();
    for (line, app) in [
        (format!("import -q stripped.tar {host}"), "acme/app:v1"),
        (format!("import -q locked.tar {host}/locked"), "locked/acme/app:v1"),
        (format!("copy -q {place} {host}/copied:v1 --sparse-index strip"), "copied:v1"),
    ] {
        site.ok(&line);
        site.ok(&format!("verify {host}/{app}"));
    }
    // What is asked for by platform and lacks some of these is stripped of them, too.
    let both = "--platform linux/amd64,linux/arm/v7 --sparse-index strip";
    site.ok(&format!("copy -q {place} {host}/some:v1 {both}"));
    site.ok(&format!("verify {host}/some:v1"));
}

#[test]
fn what_comes_though_its_index_does_not_is_not_said_to_stay() {
    let site = Site::typed();
    let index = site.digest("oci:site:app");
    let of_index = |stderr: &str| -> Vec<String> {
        let of = format!("of the index {index}");
        stderr.lines().filter(|line| line.contains(&of)).map(ToOwned::to_owned).collect()
    };
    let strip = "--sparse-index strip --platform linux/amd64,linux/arm64";
    let all = site.run(&format!("copy --referrers --all oci:site oci:all {strip}"));
    assert_eq!(all.code, 0, "{}", all.stderr);
    let told = of_index(&all.stderr);
    assert!(!told.is_empty());
    assert!(told.iter().all(|line| line.contains("so it no longer fits")), "{told:?}");
    let one = site.run(&format!("copy --referrers oci:site:app oci:one {strip}"));
    let told = of_index(&one.stderr);
    assert!(!told.is_empty());
    assert!(told.iter().all(|line| line.contains("not copied")), "{told:?}");
    for (place, count) in [("oci:all", told.len()), ("oci:one", 0)] {
        let listed = site.ok(&format!("list --all {place}"));
        let digests =
            told.iter().filter_map(|line| line.split(' ').find(|it| it.contains("sha256")));
        let there = digests.filter(|digest| listed.contains(*digest)).count();
        assert_eq!(there, count, "{listed}");
    }
}

#[test]
fn an_image_for_another_platform_is_an_error_and_other_artifacts_are_not() {
    let site = Site::typed();
    let near = Served::start(&site, "oci:near --writable");
    let host = near.host();
    for name in ["exact", "chart", "model"] {
        site.ok(&format!("copy -q oci:site:{name} {host}/{name}:1"));
    }
    for place in ["oci:site:exact".to_owned(), format!("{host}/exact:1")] {
        for platform in ["linux/arm64", "linux/arm64,linux/s390x"] {
            let ran = site.run(&format!("copy {place} oci:dst --platform {platform}"));
            assert_eq!(ran.code, 1, "{}", ran.stderr);
            assert!(ran.stderr.contains("which is for linux/amd64"), "{}", ran.stderr);
        }
        site.ok(&format!("copy -q {place} oci:dst --platform linux/amd64,linux/arm64"));
    }
    let ran = site.run(&format!("export {host}/exact:1 --platform linux/arm64 -o b.tar"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(!site.path("b.tar").exists());
    for name in ["chart", "model"] {
        site.ok(&format!("copy -q {host}/{name}:1 oci:dst --platform linux/arm64"));
    }
    site.ok(&format!("export -q {host}/chart:1 --platform linux/arm64,linux/amd64 -o b.tar"));
}

#[test]
fn signatures_by_tag_count_as_referrers_do() {
    let (site, near) = registry();
    let place = format!("{}/charts/shop:1.4.0", near.host());
    let tag = format!("{}.sig", site.digest(&place).replace(':', "-"));
    let line = &site.json(&format!("list {place}"))[0];
    assert_eq!(line["referrers"][0]["name"], tag);
    let document = site.json(&format!("inspect {place}"));
    assert_eq!(document["referrers"][0]["name"], tag);
    let tree = site.ok(&format!("tree {place}"));
    assert!(tree.contains(&format!("{tag}  referrer  cosign-signature")), "{tree}");
    // Below what it is attached to, and not beside it once more.
    let whole = site.ok(&format!("tree {}/charts/shop", near.host()));
    assert_eq!(whole.matches(&tag).count(), 1, "{whole}");
    let ran = site.run(&format!("copy {place} oci:dst --json"));
    assert!(ran.stderr.contains("1 referrer not copied (signatures, SBOMs, …)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--referrers"), "{}", ran.stderr);
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(document["referrersLeft"], 1);
    let other = format!("{}/acme/app:v1", near.host());
    let several = site.run(&format!("copy {place} {other} oci:several"));
    assert!(several.stderr.contains("`--referrers` copies them"), "{}", several.stderr);
}

/// Returns the example of the book, in which registries are repositories of one.
fn of_the_book(host: &str) -> String {
    let page = include_str!("../../../../docs/how-to/bundle-yaml.md");
    let (_, from) = page.split_once("```yaml\n").unwrap();
    in_one(from.split_once("```").unwrap().0, host)
}

fn in_one(text: &str, host: &str) -> String {
    let mut text = text.to_owned();
    for origin in ["docker.io", "ghcr.io", "quay.io", "registry.k8s.io"] {
        text = text.replace(&format!(" {origin}/"), &format!(" {host}/{origin}/"));
    }
    text
}

#[test]
fn the_examples_of_the_book_and_of_init_arrive_at_a_strict_registry() {
    let site = Site::typed();
    let near = Served::start(&site, "oci:near --writable");
    let host = near.host();
    for (name, to) in [
        ("app", "docker.io/library/alpine:3.20"),
        ("app", "ghcr.io/acme/tool:2"),
        ("chart", "ghcr.io/acme/charts/shop:1.4.0"),
        ("app", "registry.k8s.io/pause:3.10"),
        ("app", "quay.io/prometheus/prometheus:v2.53.0"),
        ("app", "quay.io/prometheus/prometheus:v2.54.1"),
    ] {
        site.ok(&format!("copy -q --referrers oci:site:{name} {host}/{to}"));
    }
    site.ok("init -q example.yaml");
    let example = std::fs::read_to_string(site.path("example.yaml")).unwrap();
    for (number, text) in [of_the_book(host), in_one(&example, host)].iter().enumerate() {
        site.file("bundle.yaml", text);
        site.ok("lock -q");
        site.ok(&format!("export -q -f bundle.yaml --locked -o site{number}.tar"));
        site.ok(&format!("verify -q site{number}.tar"));
        let far = Served::start(&site, &format!("oci:far{number} --writable"));
        let there = format!("{}/mirror", far.host());
        site.ok(&format!("import -q site{number}.tar {there} --report arrived.json"));
        for path in ["docker.io/library/alpine:3.20", "ghcr.io/acme/charts/shop:1.4.0"] {
            site.ok(&format!("verify -q {there}/{path}"));
        }
        // In the store, too.
        site.ok(&format!("import -q site{number}.tar oci:store"));
    }
}
