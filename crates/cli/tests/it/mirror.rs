//! Registries that are kept equal by a file.

use longshore_fixture::proxy::{Class, Faults, Proxy, Rules};
use longshore_fixture::{Content, artifacts};
use serde_json::Value;

use crate::common::Site;
use crate::servers::Served;

/// How many tags the mirrored repository has.
const TAGS: u64 = 5;

/// A near registry with a repository `fleet/app` of five images, a far one, and `mirror.yaml`; returns them, and
/// proxies that count.
struct Mirrored {
    site: Site,
    near: Proxy,
    far: Proxy,
    _servers: [Served; 2],
}

impl Mirrored {
    fn new() -> Self {
        let site = Site::new();
        let mut content = Content::new();
        for tag in 1..=TAGS {
            let image = artifacts::image(&mut content, tag);
            content.tag(&image, &format!("v{tag}"));
        }
        site.put("here", &content);
        let servers = [
            Served::start(&site, "oci:near --writable"),
            Served::start(&site, "oci:far --writable"),
        ];
        let [near, far] = servers
            .each_ref()
            .map(|served| Proxy::start(served.address(), Faults::http(Rules::default())).unwrap());
        let mirrored = Self { site, near, far, _servers: servers };
        mirrored.site.ok(&format!("copy -q --all-tags oci:here {}/fleet/app", mirrored.near()));
        mirrored.wants("");
        mirrored
    }

    fn near(&self) -> String {
        self.near.address().to_string()
    }

    fn far(&self) -> String {
        self.far.address().to_string()
    }

    /// Writes `mirror.yaml`, with more lines for what is wanted.
    fn wants(&self, more: &str) {
        let (near, far) = (self.near(), self.far());
        let text = format!(
            "target: {far}/mirror\n\
             artifacts:\n- repository: {near}/fleet/app\n  referrers: none\n{more}"
        );
        self.site.file("mirror.yaml", text);
    }

    /// Moves a tag of the near registry to another image.
    fn moves(&self, tag: &str, seed: u64) {
        let content = Content::tagged(tag, |content| artifacts::image(content, seed));
        self.site.put(&format!("moved-{seed}"), &content);
        self.site.ok(&format!("copy -q oci:moved-{seed}:{tag} {}/fleet/app:{tag}", self.near()));
    }

    fn pass(&self) -> Value {
        self.site.json("mirror")
    }

    fn is_equal(&self) {
        for tag in 1..=TAGS {
            let [near, far] = [self.near() + "/fleet/app", self.far() + "/mirror/fleet/app"]
                .map(|repository| self.site.digest(&format!("{repository}:v{tag}")));
            assert_eq!(near, far, "v{tag}");
        }
    }
}

/// Counts the requests of a kind that pass a proxy meanwhile.
fn requests(proxy: &Proxy, work: impl FnOnce()) -> Vec<(String, Class, u64)> {
    let before = proxy.counts().requests;
    work();
    let after = proxy.counts().requests;
    let new = after.into_iter().map(|((method, class), count)| {
        let known = before.get(&(method.clone(), class)).copied().unwrap_or_default();
        (method, class, count - known)
    });
    new.filter(|(.., count)| *count > 0).collect()
}

#[test]
fn a_pass_brings_what_has_changed_and_nothing_else() {
    let mirrored = Mirrored::new();
    let first = mirrored.pass();
    assert_eq!((&first["unchanged"], first["roots"].as_array().unwrap().len()), (&0.into(), 5));
    mirrored.is_equal();
    mirrored.moves("v2", 77);
    let second = mirrored.pass();
    assert_eq!(second["unchanged"], 4, "{second}");
    let roots = second["roots"].as_array().unwrap();
    assert_eq!(roots.len(), 1, "{second}");
    assert!(roots[0]["to"].as_str().unwrap().ends_with("/mirror/fleet/app:v2"), "{second}");
    assert_eq!(second["moved"].as_array().unwrap().len(), 1, "{second}");
    mirrored.is_equal();
    assert_eq!(mirrored.pass()["unchanged"], 5);
}

#[test]
fn an_unchanged_tag_costs_a_head_on_either_side() {
    let mirrored = Mirrored::new();
    mirrored.pass();
    let mut near = Vec::new();
    let far = requests(&mirrored.far, || {
        near = requests(&mirrored.near, || assert_eq!(mirrored.pass()["unchanged"], 5));
    });
    let head = ("HEAD".to_owned(), Class::Manifest, TAGS);
    let beside = |found: Vec<(String, Class, u64)>| -> Vec<_> {
        assert!(found.contains(&head), "{found:?}");
        found.into_iter().filter(|found| *found != head).collect()
    };
    assert_eq!(beside(near), [("GET".to_owned(), Class::Tags, 1)]);
    assert_eq!(beside(far), [("GET".to_owned(), Class::Base, 1)]);
}

#[test]
fn what_would_change_is_told_and_not_written() {
    let mirrored = Mirrored::new();
    for (flag, code) in [("--dry-run", 0), ("--check", 3)] {
        let written = requests(&mirrored.far, || {
            let ran = mirrored.site.run(&format!("mirror {flag}"));
            assert_eq!(ran.code, code, "{}", ran.stderr);
            assert!(ran.text().contains("would bring 5 artifacts"), "{}", ran.text());
        });
        assert!(written.iter().all(|(method, ..)| method == "GET" || method == "HEAD"));
    }
    mirrored.pass();
    mirrored.site.ok("mirror --check");
    mirrored.moves("v3", 78);
    let ran = mirrored.site.run("mirror --check");
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("/mirror/fleet/app:v3 would move from"), "{}", ran.stderr);
}

#[test]
fn a_second_name_of_what_is_there_is_new() {
    let mirrored = Mirrored::new();
    mirrored.pass();
    mirrored.site.ok(&format!("tag -q {}/fleet/app:v1 latest", mirrored.near()));
    let pass = mirrored.pass();
    assert_eq!((&pass["unchanged"], &pass["written"]), (&5.into(), &1.into()), "{pass}");
    let far = format!("{}/mirror/fleet/app:", mirrored.far());
    assert_eq!(
        mirrored.site.digest(&format!("{far}latest")),
        mirrored.site.digest(&format!("{far}v1"))
    );
}

#[test]
fn one_that_fails_costs_the_others_nothing() {
    let mirrored = Mirrored::new();
    mirrored.wants(&format!("- ref: {}/fleet/none:v1\n", mirrored.near()));
    let ran = mirrored.site.run("mirror --json");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("fleet/none"), "{}", ran.stderr);
    let pass: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let outcomes = pass["roots"].as_array().unwrap().iter().map(|root| &root["outcome"]);
    assert_eq!(outcomes.filter(|outcome| **outcome == "done").count(), 5, "{pass}");
    mirrored.is_equal();
}

#[test]
fn names_may_be_others_and_a_layout_keeps_them() {
    let mirrored = Mirrored::new();
    let (near, far) = (mirrored.near(), mirrored.far());
    let wanted = format!("artifacts:\n- ref: {near}/fleet/app:v1\n");
    let map = format!("map:\n  {near}/fleet/: {far}/ships/\n");
    mirrored.site.file("mapped.yaml", format!("target: {far}/mirror\n{map}{wanted}"));
    mirrored.site.ok("mirror -q -f mapped.yaml");
    mirrored.site.digest(&format!("{far}/ships/app:v1"));
    mirrored.site.file("layout.yaml", format!("target: oci:kept\n{wanted}"));
    mirrored.site.ok("mirror -q -f layout.yaml");
    mirrored.site.ok("mirror --check -f layout.yaml");
    mirrored.site.digest(&format!("oci:kept:{near}/fleet/app:v1"));
}

#[test]
fn what_is_no_mirror_is_refused_by_line() {
    let mirrored = Mirrored::new();
    let (near, far) = (mirrored.near(), mirrored.far());
    let wanted = format!("artifacts:\n- ref: {near}/fleet/app:v1\n");
    let other = format!("map: {{ {near}/: other.example/x/ }}\n");
    for (text, expected) in [
        (wanted.clone(), "wrong.yaml:1:1: missing field `target`"),
        (format!("target: {far}/a:v1\n{wanted}"), "wrong.yaml:1:9: target: "),
        (format!("target: {far}\n{other}{wanted}"), "is another registry"),
        (format!("target: {far}\nartifacts: []\n"), "names no artifact"),
        (format!("target: {far}\nschedule: daily\n{wanted}"), "schedule"),
    ] {
        mirrored.site.file("wrong.yaml", &text);
        let ran = mirrored.site.run("mirror -f wrong.yaml");
        assert_eq!(ran.code, 2, "{text}\n{}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{text}\n{}", ran.stderr);
    }
    let ran = mirrored.site.run("mirror -f none.yaml");
    assert!(ran.code != 0 && ran.stderr.contains("none.yaml"), "{}", ran.stderr);
}

#[test]
fn the_example_can_be_written() {
    let site = Site::new();
    site.ok("init -q --mirror");
    let ran = site.run("mirror --dry-run --retries 0");
    // Nobody answers here; but the file is read.
    assert!(!ran.stderr.contains("mirror.yaml:"), "{}", ran.stderr);
}
