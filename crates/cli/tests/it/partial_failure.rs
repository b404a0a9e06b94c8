//! One tag, manifest or permission that fails among others that do not: it is named, the others are taken,
//! and the command ends with 1.

use longshore_fixture::proxy::{Answer, Faults, Proxy, Rules};
use serde_json::Value;

use crate::common::{Ran, Site};
use crate::servers::Served;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A repository with the tags `v1`, `bad` and `v2` behind a proxy that answers for `bad`.
struct Among {
    site: Site,
    _near: Served,
    proxy: Proxy,
}

impl Among {
    fn new() -> Self {
        let site = Site::typed();
        let near = Served::start(&site, "oci:near --writable");
        for (name, tag) in [("exact", "v1"), ("model", "bad"), ("chart", "v2")] {
            site.ok(&format!("copy -q oci:site:{name} {}/team/app:{tag}", near.host()));
        }
        let proxy = Proxy::start(near.address(), Faults::http(Rules::default())).unwrap();
        Self { site, _near: near, proxy }
    }

    fn answers(&self, end: impl Into<String>, answer: Answer) {
        let end = end.into();
        self.proxy.faults().rules = Some(
            Rules::default()
                .answer(move |request| request.path().ends_with(&end).then(|| answer.clone())),
        );
    }

    fn place(&self) -> String {
        format!("{}/team/app", self.proxy.address())
    }

    /// Runs a command that must name `bad`, and the others, and end with `code`.
    fn told(&self, line: &str, bad: &str, code: i32) -> Ran {
        let line = line.replace("PLACE", &self.place());
        let ran = self.site.run(&line);
        let said = format!("{}{}", ran.stderr, ran.text());
        assert_eq!(ran.code, code, "{line}: {said}");
        assert!(said.contains(bad), "{line}: {said}");
        ran
    }

    /// Returns the tags of what a layout lists.
    fn tags(&self, layout: &str) -> Vec<String> {
        let lines = self.site.json(&format!("list {layout}"));
        let name =
            |line: &Value| line["name"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        let mut tags: Vec<_> = lines.as_array().unwrap().iter().map(name).collect();
        tags.sort();
        tags
    }

    /// Holds that every command goes on past `bad`; `verify` ends with `verified`.
    fn goes_on(&self, bad: &str, verified: i32) {
        for line in ["list PLACE", "tree PLACE"] {
            let text = self.told(line, bad, 1).text();
            assert!(text.contains("v1 ") && text.contains("v2 "), "{line}: {text}");
        }
        self.told("verify PLACE", bad, verified);
        for to in ["oci:far", "oci-archive:far.tar"] {
            for all in ["--all-tags", "--all"] {
                self.told(&format!("copy {all} PLACE {to}"), bad, 1);
                assert_eq!(self.tags(to), ["v1", "v2"], "{bad}");
                self.site.ok(&format!("verify {to}"));
                let path = self.site.path(to.split_once(':').unwrap().1);
                let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
            }
        }
        let wanted = format!("artifacts: [{{ repository: {} }}]", self.place());
        self.site.file("bundle.yaml", wanted);
        self.told("lock", bad, 1);
        let lock = std::fs::read_to_string(self.site.path("bundle.lock")).unwrap();
        assert!(lock.contains(":v1") && lock.contains(":v2") && !lock.contains(":bad"), "{lock}");
        self.site.ok("export -q -f bundle.yaml --locked -o locked.tar");
        assert_eq!(self.tags("oci-archive:locked.tar"), ["v1", "v2"]);
        self.told("export -f bundle.yaml -o far.tar", bad, 1);
        assert!(!self.site.path("far.tar").exists());
        self.told("export -f bundle.yaml -o far.tar --keep-going", bad, 1);
        assert_eq!(self.tags("oci-archive:far.tar"), ["v1", "v2"]);
        for file in ["bundle.lock", "locked.tar", "far.tar"] {
            std::fs::remove_file(self.site.path(file)).unwrap();
        }
    }
}

#[test]
fn content_that_is_no_manifest_is_named() {
    let among = Among::new();
    let answer = |body: &str| Answer::status(200).header("Content-Type", MANIFEST).body(body);
    for body in ["{", "[]", "{}", "<html>"] {
        among.answers("/manifests/bad", answer(body));
        among.goes_on("bad", 3);
    }
    let schema1 =
        r#"{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[],"signatures":[]}"#;
    let schema1 = Answer::status(200)
        .header("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws")
        .body(schema1);
    among.answers("/manifests/bad", schema1);
    among.goes_on("schema 1", 3);
}

#[test]
fn content_of_another_digest_is_named() {
    let among = Among::new();
    let digest = among.site.digest("oci:site:model");
    let other = among.site.run("inspect --raw oci:site:chart").stdout;
    let answer = Answer::status(200)
        .header("Content-Type", MANIFEST)
        .header("Docker-Content-Digest", &digest)
        .body(other);
    among.answers(format!("/manifests/{digest}"), answer);
    among.told(&format!("copy PLACE@{digest} oci:far"), &digest, 1);
    among.told(&format!("inspect PLACE@{digest}"), &digest, 1);
    // Its tag still brings what it stands for.
    for line in ["list", "tree", "verify"] {
        among.site.ok(&format!("{line} {}", among.place()));
    }
    for to in ["oci:all", "oci-archive:all.tar"] {
        among.site.ok(&format!("copy --all-tags {} {to}", among.place()));
        assert_eq!(among.tags(to), ["bad", "v1", "v2"]);
        among.site.ok(&format!("verify {to}"));
    }
}

#[test]
fn what_may_not_be_read_is_named() {
    let among = Among::new();
    for (status, verified) in [(401, 1), (403, 1), (404, 3), (400, 1)] {
        among.answers("/manifests/bad", Answer::status(status));
        among.goes_on("bad", verified);
    }
}

#[test]
fn what_is_no_tag_is_named() {
    let among = Among::new();
    let tags = r#"{"name":"team/app","tags":["v1","-bad:tag","v2"]}"#;
    let answer = Answer::status(200).header("Content-Type", "application/json").body(tags);
    among.answers("/tags/list", answer);
    for line in ["list PLACE", "tree PLACE", "verify PLACE"] {
        among.told(line, "-bad:tag", 1);
    }
    among.told("copy --all-tags PLACE oci:far", "-bad:tag", 1);
    assert_eq!(among.tags("oci:far"), ["v1", "v2"]);
}

#[test]
fn what_is_no_repository_is_named() {
    let among = Among::new();
    let names = r#"{"repositories":["team/app","UPPER",null]}"#;
    let answer = Answer::status(200).header("Content-Type", "application/json").body(names);
    among.answers("/_catalog", answer);
    let host = among.proxy.address();
    let ran = among.site.run(&format!("list {host}"));
    assert_eq!(ran.code, 1);
    assert_eq!(ran.text(), format!("{host}/team/app\n"));
    for named in ["`UPPER`", "`null` is no text"] {
        assert!(ran.stderr.contains(named), "{}", ran.stderr);
    }
}

#[test]
fn where_nothing_answers_nothing_is_listed() {
    let among = Among::new();
    let mut proxy = Proxy::start(among.proxy.address(), Faults::http(Rules::default())).unwrap();
    let host = proxy.address();
    proxy.stop();
    let ran = among.site.run(&format!("list {host}/team/app"));
    assert_ne!(ran.code, 0);
    assert_eq!(ran.text(), "");
}

#[test]
fn a_damaged_manifest_of_a_layout_keeps_nothing_from_the_others() {
    let site = Site::typed();
    let digest = site.digest("oci:site:chart");
    let blob = format!("site/blobs/{}", digest.replace(':', "/"));
    let whole = std::fs::read(site.path(&blob)).unwrap();
    for damaged in [&whole[..20], b"{}", b"", &whole.to_ascii_uppercase()] {
        site.file(&blob, damaged);
        for line in ["list oci:site", "tree oci:site"] {
            let ran = site.run(line);
            assert_eq!(ran.code, 1, "{line}");
            assert!(ran.text().contains("app") && ran.text().contains('!'), "{}", ran.text());
        }
        assert_eq!(site.run("verify oci:site").code, 3);
        let ran = site.run("copy --all-tags oci:site oci-archive:far.tar --force");
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        assert!(ran.stderr.contains(&digest), "{}", ran.stderr);
        let names = site.json("list far.tar");
        assert_eq!(names.as_array().unwrap().len(), 16, "{names}");
        site.ok("verify far.tar");
    }
}

#[test]
fn what_cannot_be_had_now_stays_as_it_was_locked() {
    let among = Among::new();
    let wanted = format!("artifacts: [{{ repository: {} }}]", among.place());
    among.site.file("bundle.yaml", wanted);
    among.site.ok("lock -q");
    let lock = std::fs::read(among.site.path("bundle.lock")).unwrap();
    among.answers("/manifests/bad", Answer::status(403));
    among.told("lock", "bad", 1);
    assert!(std::fs::read(among.site.path("bundle.lock")).unwrap() == lock);
    among.answers("/tags/list", Answer::status(403));
    let ran = among.site.run("lock");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("nothing is locked"), "{}", ran.stderr);
    assert!(std::fs::read(among.site.path("bundle.lock")).unwrap() == lock);
}

#[test]
fn an_update_moves_nothing_else_and_asks_for_nothing_else() {
    let among = Among::new();
    let site = &among.site;
    let host = among.proxy.address();
    site.ok(&format!("copy -q oci:site:app {host}/other/app:v1"));
    let wanted = |more: &str| {
        let text = format!(
            "artifacts:\n  - repository: {host}/team/app\n  - ref: {host}/other/app:v1\n{more}"
        );
        site.file("bundle.yaml", text);
    };
    wanted("");
    site.ok("lock -q");
    let pins = || -> Value {
        let lock = std::fs::read(site.path("bundle.lock")).unwrap();
        serde_json::from_slice::<Value>(&lock).unwrap()["artifacts"].take()
    };
    let before = pins();
    // Everything moves, there is a tag more, and what is not named cannot even be read.
    for (name, to) in
        [("policy", "team/app:v1"), ("policy", "team/app:v3"), ("rules", "other/app:v1")]
    {
        site.ok(&format!("copy -q oci:site:{name} {host}/{to}"));
    }
    among.answers("/team/app/tags/list", Answer::status(403));
    site.ok(&format!("lock -q --update {host}/other/app:v1"));
    let after = pins();
    let name = format!("{host}/other/app:v1");
    assert_eq!(after[&name]["digest"], site.digest("oci:site:rules"));
    for (reference, pinned) in before.as_object().unwrap() {
        assert!(*reference == name || after[reference] == *pinned, "{reference} has moved");
    }
    assert_eq!(after.as_object().unwrap().len(), before.as_object().unwrap().len());
    // What is asked for anew comes along; what was locked keeps its digest.
    among.proxy.faults().rules = Some(Rules::default());
    wanted(&format!("  - ref: {host}/team/app:v3\n"));
    site.ok(&format!("lock -q --update {host}/other/app"));
    let v3 = &pins()[format!("{host}/team/app:v3")]["digest"];
    assert_eq!(*v3, site.digest("oci:site:policy"));
    assert_eq!(pins()[format!("{host}/team/app:v1")], before[format!("{host}/team/app:v1")]);
    site.ok(&format!("lock -q --update {host}/team/app"));
    assert_ne!(pins()[format!("{host}/team/app:v1")], before[format!("{host}/team/app:v1")]);
}

#[test]
fn the_same_referrers_for_whatever_is_asked_end() {
    let among = Among::new();
    let signature = "application/vnd.dev.cosign.simplesigning.v1+json";
    let entry = |tag: &str| {
        let raw = among.site.run(&format!("inspect --raw {}:{tag}", among.place())).stdout;
        let digest = longshore_spec::Digest::sha256(&raw).to_string();
        serde_json::json!({
            "mediaType": MANIFEST, "digest": digest, "size": raw.len(), "artifactType": signature,
        })
    };
    let entries: Vec<_> = ["v1", "v2", "bad"].map(entry).into();
    let list = serde_json::json!({"schemaVersion": 2, "manifests": entries}).to_string();
    let answer = Answer::status(200)
        .header("Content-Type", "application/vnd.oci.image.index.v1+json")
        .body(list);
    among.proxy.faults().rules = Some(
        Rules::default()
            .answer(move |request| request.path().contains("/referrers/").then(|| answer.clone())),
    );
    let tree = among.site.ok(&format!("tree {}", among.place()));
    // Of three, each has the two others.
    assert_eq!(tree.matches("referrer ").count(), 6, "{tree}");
    among.site.ok(&format!("copy --all-tags --referrers {} oci:far", among.place()));
    assert_eq!(among.tags("oci:far"), ["bad", "v1", "v2"]);
}

#[test]
fn referrers_that_cannot_be_listed_are_not_none() {
    let among = Among::new();
    let digest = among.site.digest(&format!("{}:v1", among.place()));
    for answer in [Answer::status(500), Answer::status(200).body("{\"manifests\": [")] {
        among.answers(format!("/referrers/{digest}"), answer);
        let ran = among.told("list PLACE --json", "its referrers cannot be listed", 1);
        let lines: Value = serde_json::from_slice(&ran.stdout).unwrap();
        let named = |name: &str| lines.as_array().unwrap().iter().find(|line| line["name"] == name);
        assert!(named("v1").unwrap()["problem"].is_string());
        assert!(named("v2").unwrap()["problem"].is_null());
    }
}
