//! Bundles of what was locked, from a registry that has changed since, or whose answers have.

use longshore_fixture::proxy::{Answer, Faults, Proxy, Rules};
use longshore_fixture::{Content, Draft, artifacts, with_platform};
use longshore_spec::Descriptor;

use crate::common::{Site, redacted};
use crate::servers::Served;

/// Adds an index of an image for each of these platforms.
fn index(content: &mut Content, platforms: &[&str]) -> Descriptor {
    let entries = platforms.iter().map(|text| {
        let platform = artifacts::platform(text);
        with_platform(artifacts::image_for(content, 1, &platform).manifest, &platform)
    });
    let entries: Vec<_> = entries.collect();
    content.manifest(&Draft::index(&entries))
}

/// An image for two platforms in a registry behind a proxy, locked and exported to `b.tar`.
struct Pinned {
    site: Site,
    near: Served,
    proxy: Proxy,
}

/// What asks whether all is still as it was.
const LOCKED: &str = "export -q -f bundle.yaml --locked -o again.tar --force";
const SAME: &str = "export -f bundle.yaml --locked --check -o b.tar";

impl Pinned {
    fn new() -> Self {
        let site = Site::new();
        let both =
            Content::tagged("both", |content| index(content, &["linux/amd64", "linux/arm64"]));
        site.put("both", &both);
        site.ok("copy -q --platform linux/arm64 oci:both oci:arm");
        site.put("one", &Content::tagged("one", |content| index(content, &["linux/amd64"])));
        let near = Served::start(&site, "oci:near --writable");
        site.ok(&format!("copy -q oci:both {}/team/app:v1", near.host()));
        let proxy = Proxy::start(near.address(), Faults::http(Rules::default())).unwrap();
        let wanted =
            "artifacts: [{ ref: HOST/team/app:v1, platforms: [linux/amd64, linux/arm64] }]";
        site.file("bundle.yaml", wanted.replace("HOST", &proxy.address().to_string()));
        site.ok("lock -q");
        site.ok("export -q -f bundle.yaml --locked -o b.tar");
        Self { site, near, proxy }
    }

    /// Answers every request for some content as if it were something else.
    fn answered(&self, digest: &str, answer: &Answer) {
        let (end, answer) = (format!("/{digest}"), answer.clone());
        self.proxy.faults().rules = Some(
            Rules::default()
                .answer(move |request| request.path().ends_with(&end).then(|| answer.clone())),
        );
    }

    fn blob(&self, digest: &str) -> Vec<u8> {
        std::fs::read(self.site.path("near/blobs").join(digest.replace(':', "/"))).unwrap()
    }

    /// Runs a command that must end with `code` and tell of something.
    fn told(&self, line: &str, code: i32, told: &str) {
        let ran = self.site.run(line);
        let said = format!("{}{}", ran.stderr, ran.text());
        assert_eq!(ran.code, code, "{line}: {said}");
        assert!(said.contains(told), "{line}: {said}");
    }

    fn is_still_the_same(&self) {
        assert_eq!(self.site.run(SAME).code, 0);
        assert_eq!(self.site.run("lock --check").code, 0);
    }
}

#[test]
fn a_byte_that_has_changed_is_noticed_wherever_it_is() {
    let pinned = Pinned::new();
    pinned.is_still_the_same();
    let index = pinned.site.digest("oci:both");
    let image = pinned.site.json("inspect oci:arm");
    let of = |value: &serde_json::Value| value["digest"].as_str().unwrap().to_owned();
    let manifests = [(index, "index"), (of(&image), "manifest")]
        .map(|(digest, kind)| (digest, format!("application/vnd.oci.image.{kind}.v1+json")));
    let blobs = [of(&image["config"]), of(&image["layers"][1])];
    let blobs = blobs.map(|digest| (digest, "application/octet-stream".to_owned()));
    for (digest, media_type) in manifests.into_iter().chain(blobs) {
        let mut bytes = pinned.blob(&digest);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let answer = Answer::status(200)
            .header("Content-Type", &media_type)
            .header("Docker-Content-Digest", &digest)
            .body(bytes);
        pinned.answered(&digest, &answer);
        pinned.told(LOCKED, 1, &digest);
        pinned.told(SAME, 1, &digest);
        assert!(!pinned.site.path("again.tar").exists(), "{digest}");
        // What has come is kept, and would not be asked for again.
        for kept in ["again.tar.partial", "again.tar.partial.journal"] {
            let _ = std::fs::remove_file(pinned.site.path(kept));
        }
    }
    pinned.proxy.faults().rules = Some(Rules::default());
    pinned.is_still_the_same();
    pinned.site.ok(LOCKED);
    let bytes = |name| std::fs::read(pinned.site.path(name)).unwrap();
    assert!(bytes("again.tar") == bytes("b.tar"));
}

#[test]
fn an_index_without_a_platform_that_it_had_is_noticed() {
    let pinned = Pinned::new();
    let (site, host) = (&pinned.site, pinned.near.host());
    let before = site.digest("oci:both");
    site.ok(&format!("copy -q oci:one {host}/team/app:v1"));
    let now = site.digest("oci:one");
    pinned.told("lock --check", 3, &format!("team/app:v1: {before} is {now} now"));
    pinned.told("export -f bundle.yaml --check -o b.tar", 3, "it is another bundle");
    let wanted = "export -f bundle.yaml --dry-run -o c.tar";
    pinned.told(wanted, 0, "team/app:v1 has nothing for linux/arm64");
    // What the tag stood for is still there, by its digest.
    assert_eq!(site.run(SAME).code, 0);
    site.ok(&format!("delete -q {host}/team/app@{before}"));
    pinned.told(LOCKED, 1, &before);
    pinned.told(SAME, 1, &before);
}

#[test]
fn an_image_of_a_platform_that_has_gone_is_noticed() {
    let pinned = Pinned::new();
    pinned.answered(&pinned.site.digest("oci:arm"), &Answer::status(404));
    pinned.told("lock --check", 3, "team/app:v1: other platforms");
    pinned.told(LOCKED, 1, "not as locked: moved");
    pinned.told(SAME, 1, "not as locked: moved");
}

#[test]
fn an_index_that_is_refused_is_told_with_all_that_was_left_out_of_it() {
    let site = Site::new();
    let platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x", "linux/riscv64"];
    let content =
        Content::tagged("registry.site/team/app:v1", |content| index(content, &platforms));
    site.put("src", &content);
    site.ok("copy -q oci:src oci:kept --platform linux/amd64,linux/arm64");
    let far = Served::start(&site, "oci:far --writable");
    let ran = site.run(&format!("import -q oci:kept {}/x", far.host()));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    insta::assert_snapshot!(far.redacted(&redacted(&ran.stderr)), @"
    error: sha256:56f0d8b8…: cannot push HOST/x/team/app:v1: HOST answered 400: MANIFEST_BLOB_UNKNOWN: sha256:02632f6e… is not in this repository; push it first; left out of it are sha256:02632f6e…, sha256:71abc916…, sha256:b27fd160…
      hint: the registry requires everything that a manifest refers to; if platforms of an index were left out, `--sparse-index strip` removes them from it
    error: `HOST/x/team/app:v1` is not complete
    ");
}

#[test]
fn what_is_wanted_for_other_platforms_is_locked_anew_when_something_else_is() {
    let Pinned { site, near, .. } = Pinned::new();
    let host = near.host();
    site.ok(&format!("copy -q oci:arm {host}/team/other:v1"));
    let wanted = |platforms: &str| {
        let app = format!("{{ ref: {host}/team/app:v1, platforms: [{platforms}] }}");
        site.file("bundle.yaml", format!("artifacts: [{app}, {{ ref: {host}/team/other:v1 }}]"));
    };
    wanted("linux/amd64, linux/arm64");
    site.ok("lock -q");
    wanted("linux/amd64");
    site.ok(&format!("lock -q --update {host}/team/other:v1"));
    site.ok("lock --check");
    site.ok("export -q -f bundle.yaml --locked -o fewer.tar");
}

#[test]
fn a_registry_that_lists_no_tags_is_told_with_a_way_out() {
    let Pinned { site, proxy, near: _near } = Pinned::new();
    site.ok("export -q -f bundle.yaml -o listed.tar");
    // It is asked for the tags of cosign's one by one.
    let denies = |is_denied: fn(&str) -> bool| {
        let answer = move |path: &str| is_denied(path).then(|| Answer::status(403));
        Some(Rules::default().answer(move |request| answer(request.path())))
    };
    proxy.faults().rules = denies(|path| path.ends_with("/tags/list"));
    site.ok("export -q -f bundle.yaml -o asked.tar");
    let bytes = |name: &str| std::fs::read(site.path(name)).unwrap();
    assert!(bytes("asked.tar") == bytes("listed.tar"));
    proxy.faults().rules = denies(|path| path.ends_with("/tags/list") || path.contains(".sig"));
    let ran = site.run("export -f bundle.yaml -o denied.tar");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("`--referrers none` leaves them out"), "{}", ran.stderr);
    site.ok("export -q -f bundle.yaml --referrers none -o without.tar");
}

#[test]
fn a_lock_with_a_name_numbers_its_bundles() {
    let site = Site::new();
    site.put("src", &Content::tagged("near.example/a:1", |content| artifacts::image(content, 1)));
    let wanted = |name: &str, more: &str| {
        let text = format!("{name}artifacts: [{{ ref: oci:src:near.example/a:1{more} }}]\n");
        site.file("bundle.yaml", text);
    };
    let lock = || std::fs::read_to_string(site.path("bundle.lock")).unwrap();
    wanted("", "");
    site.ok("lock -q");
    let nameless = lock();
    assert!(
        nameless.contains("\"formatVersion\": 1") && !nameless.contains("sequence"),
        "{nameless}"
    );
    wanted("name: plant-7\n", "");
    let refused = site.run("export -f bundle.yaml --locked -o b.tar");
    assert_eq!(refused.code, 2);
    let told = "bundle.lock is out of date: `name` of the bundle was not given and is `plant-7`";
    assert!(refused.stderr.contains(told), "{}", refused.stderr);
    assert_eq!(site.run("lock --check").code, 3);
    site.ok("lock -q");
    let first = lock();
    assert!(first.contains("\"formatVersion\": 2") && first.contains("\"sequence\": 1"), "{first}");
    site.ok("lock -q");
    assert_eq!(lock(), first, "nothing has changed");
    site.ok("lock -q --update near.example/a");
    assert_eq!(lock(), first, "nothing has changed");
    site.ok("export -q -f bundle.yaml --locked -o one.tar");
    wanted("name: plant-7\n", ", referrers: none");
    site.ok("lock -q");
    assert!(lock().contains("\"sequence\": 2"), "{}", lock());
    wanted("", ", referrers: none");
    site.ok("lock -q");
    assert!(!lock().contains("plant-7"), "{}", lock());
    site.file("bundle.lock", first.replace("  \"sequence\": 1,\n", ""));
    let refused = site.run("lock --check");
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("has a `name` and a `sequence`"), "{}", refused.stderr);
}

#[test]
fn without_a_lock_the_number_is_given_or_there_is_none() {
    let site = Site::new();
    site.put("src", &Content::tagged("near.example/a:1", |content| artifacts::image(content, 1)));
    let named = "name: plant-7\nartifacts: [{ ref: oci:src:near.example/a:1 }]\n";
    site.file("bundle.yaml", named);
    site.file("list.txt", "oci:src:near.example/a:1\n");
    let said = |directory: &str| {
        let record = crate::bundles::record(&site, directory);
        (record["name"].as_str().map(str::to_owned), record["sequence"].as_u64())
    };
    site.ok("export -q -f bundle.yaml -o oci:none");
    assert_eq!(said("none"), (Some("plant-7".to_owned()), None));
    site.ok("export -q -f bundle.yaml --sequence 20261128 -o oci:given");
    assert_eq!(said("given"), (Some("plant-7".to_owned()), Some(20_261_128)));
    site.ok("export -q -f list.txt -o oci:list");
    assert_eq!(said("list"), (None, None));
    for (line, told) in [
        ("export -f list.txt --sequence 1 -o b.tar", "--sequence numbers the bundles of a name"),
        ("export -f bundle.yaml --sequence 0 -o b.tar", "a sequence is a whole number from 1 to"),
        ("export -f bundle.yaml --locked --sequence 1 -o b.tar", "cannot be used with"),
    ] {
        let ran = site.run(line);
        assert_eq!(ran.code, 2, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{line}: {}", ran.stderr);
    }
}
