//! What `serve` serves: several places, the store, and what other processes write meanwhile.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use longshore_fixture::{Content, artifacts};

use crate::common::{Ran, Site, has, redacted};
use crate::servers::Served;

/// A change of another process is to be seen within this long.
const SECOND: Duration = Duration::from_secs(1);

/// Returns a site with the layouts `a` and `b`, whose names are full references.
fn two_layouts() -> Site {
    let site = Site::new();
    for (layout, names) in [
        ("a", &["docker.io/library/app:v1", "docker.io/library/app:v2"][..]),
        ("b", &["quay.io/library/app:v1", "docker.io/library/other:v1"]),
    ] {
        let mut content = Content::new();
        for (number, name) in (1..).zip(names) {
            let image = artifacts::image(&mut content, number + u64::from(layout == "b") * 10);
            content.tag(&image, name);
        }
        site.put(layout, &content);
    }
    site
}

#[test]
fn f53_several_layouts_are_one_registry() {
    let site = two_layouts();
    site.ok("copy --all oci:b oci-archive:b.tar");
    let served = Served::start(&site, "oci:a oci-archive:b.tar");
    let host = served.host();
    let digest = |name: &str| site.digest(&format!("{host}/{name}"));
    let [one, other] = ["oci:a:docker.io/library/app:v1", "oci:b:quay.io/library/app:v1"];
    assert_eq!(digest("docker.io/library/app:v1"), site.digest(one));
    assert_eq!(digest("quay.io/library/app:v1"), site.digest(other));
    assert_eq!(digest("library/app:v2"), site.digest("oci:a:docker.io/library/app:v2"));
    assert_eq!(digest("library/other:v1"), site.digest("oci:b:docker.io/library/other:v1"));
    site.ok(&format!("copy {host}/library/other:v1 oci:copied:v1"));
    assert_eq!(site.run(&format!("copy oci:a:docker.io/library/app:v1 {host}/new:v1")).code, 1);
    let answer = served.get("/v2/library/app/manifests/v1");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    for name in ["docker.io/library/app:v1", "quay.io/library/app:v1"] {
        assert!(answer.contains(name), "{answer}");
    }
    let answer = served.get("/v2/library/app/manifests/v1?ns=quay.io");
    assert!(answer.contains("oci-namespace: quay.io") && answer.contains(&site.digest(other)));
}

#[test]
fn names_that_clash_are_told_before_anything_is_served() {
    let site = two_layouts();
    site.ok("copy oci:b:quay.io/library/app:v1 oci:c:docker.io/library/app:v1");
    insta::assert_snapshot!(site.errors(&["serve oci:a oci:c", "serve --writable oci-archive:x.tar oci:a"]), @"
    $ longshore serve oci:a oci:c
    error: `docker.io/library/app:v1` would be sha256:a368c1fe… in oci:a and sha256:7f79a07c… in oci:c
      hint: serve them apart, `longshore untag` one, or copy them to one directory under full names
    [exit 2]

    $ longshore serve --writable oci-archive:x.tar oci:a
    error: oci-archive:x.tar is an archive, which is never changed
      hint: name a directory first, which pushes are written to: `oci:DIR`
    [exit 2]
    ");
    // What is written to comes first.
    let served = Served::start(&site, "--writable oci:c oci:a");
    assert_eq!(
        site.digest(&format!("{}/docker.io/library/app:v1", served.host())),
        site.digest("oci:c:docker.io/library/app:v1")
    );
}

#[test]
fn what_is_pushed_goes_to_the_first_place_and_is_whole_there() {
    let site = two_layouts();
    let before = site.files();
    let served = Served::start(&site, "--writable oci:store oci:a oci:b");
    let host = served.host();
    // Its content is in the place that is only read, so nothing is sent but the manifest.
    site.ok(&format!("copy oci:a:docker.io/library/app:v1 {host}/docker.io/library/app:mine"));
    site.ok(&format!("tag {host}/docker.io/library/app:v2 also"));
    site.ok("verify oci:store");
    let store = "oci:store:docker.io/library/app";
    assert_eq!(
        site.digest(&format!("{store}:mine")),
        site.digest("oci:a:docker.io/library/app:v1")
    );
    assert_eq!(
        site.digest(&format!("{store}:also")),
        site.digest("oci:a:docker.io/library/app:v2")
    );
    let after = site.files();
    assert!(before.iter().all(|(path, node)| after.get(path) == Some(node)));
}

#[test]
fn the_store_is_served_where_no_place_is_named() {
    let site = Site::image();
    let environment = |store: bool| {
        let variable = if store { "LONGSHORE_STORE" } else { "XDG_DATA_HOME" };
        [(variable, "data")]
    };
    for (named, layout) in [(true, "data"), (false, "data/longshore")] {
        let mut command = site.command("serve --listen 127.0.0.1:0");
        command.env_remove("LONGSHORE_STORE");
        command.env(environment(named)[0].0, site.path("none"));
        let ran = Ran::of(command.output().unwrap());
        assert!(ran.code == 2 && ran.stderr.contains("--writable"), "{}", ran.stderr);

        let served = Served::start_with(&site, "--writable", &environment(named));
        site.ok(&format!("copy oci:src:app {}/app:v1", served.host()));
        drop(served);
        let served = Served::start_with(&site, "", &environment(named));
        assert_eq!(site.digest(&format!("{}/app:v1", served.host())), site.digest("oci:src:app"));
        assert_eq!(site.digest(&format!("oci:{layout}:app:v1")), site.digest("oci:src:app"));
        std::fs::remove_dir_all(site.path("data")).unwrap();
    }
}

/// Waits until a name stands for a digest, and fails if that takes more than a second.
fn soon(site: &Site, served: &Served, name: &str, digest: &str) {
    let begun = Instant::now();
    let line = format!("digest {}/{name}", served.host());
    loop {
        // Of what was asked for in time, the answer counts, however long it took.
        let is_late = begun.elapsed() > SECOND;
        let ran = site.run(&line);
        if ran.code == 0 && ran.text().trim_end() == digest {
            return;
        }
        assert!(!is_late, "{name} is not {digest}: {}{}", ran.text(), ran.stderr);
    }
}

#[test]
fn what_another_process_writes_is_seen_within_a_second() {
    let site = Site::image();
    site.put("more", &Content::tagged("app", |content| artifacts::image(content, 2)));
    site.ok("copy oci:src:app oci:live:v1");
    let served = Served::start(&site, "oci:live");
    let [first, second] = ["oci:src:app", "oci:more:app"].map(|place| site.digest(place));
    soon(&site, &served, "live:v1", &first);
    site.ok("copy oci:more:app oci:live:v2");
    soon(&site, &served, "live:v2", &second);
    site.ok("tag oci:live:v2 v1");
    soon(&site, &served, "live:v1", &second);
    if has("skopeo") {
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["copy", "--quiet", "oci:src:app", "oci:live:v3"]).current_dir(site.root());
        let ran = Ran::of(skopeo.output().unwrap());
        assert_eq!(ran.code, 0, "{}", redacted(&ran.stderr));
        soon(&site, &served, "live:v3", &first);
    }
    site.ok("untag oci:live:v2");
    assert_eq!(site.run(&format!("digest {}/live:v2", served.host())).code, 1);
}

#[test]
fn a29_f38_referrers_are_the_same_however_a_layout_stores_them() {
    let site = Site::new();
    let answers = ["referrers-untagged", "referrers-fallback-tag"].map(|name| {
        let path = site.fixture(name);
        let subject = site.digest(&format!("oci:{path}:app"));
        let served = Served::start(&site, &format!("oci:{path} --repository a"));
        let target = |digest: &str| format!("/v2/a/referrers/{digest}");
        let list = |digest: &str| {
            let answer = served.get(&target(digest));
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            let document: serde_json::Value = serde_json::from_str(body).unwrap();
            document["manifests"].as_array().unwrap().clone()
        };
        let [sbom] = &list(&subject)[..] else { panic!("{name}: one refers to the image") };
        let signatures = list(sbom["digest"].as_str().unwrap());
        assert_eq!(signatures.len(), 1, "{name}");
        (sbom.clone(), signatures)
    });
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn what_to_type_next_is_printed() {
    let site = two_layouts();
    let mut command = site.command("serve oci:a --listen 127.0.0.1:0");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        lines.push(line.unwrap());
        if lines.last().is_some_and(|line| line.contains("only this machine")) {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let text = lines.join("\n");
    let (_, rest) = text.split_once("http://").unwrap();
    let host = rest.split(' ').next().unwrap();
    insta::assert_snapshot!(text.replace(host, "HOST"), @r#"
    serving oci:a at http://HOST for pulls
      HOST/docker.io/library/app:v1
      HOST/docker.io/library/app:v2
    next:
      docker pull HOST/docker.io/library/app:v1
      look at http://HOST/ in a browser
    containerd asks here first with this in /etc/containerd/certs.d/docker.io/hosts.toml:
      [host."http://HOST"]
        capabilities = ["pull", "resolve"]
    k3s with this in /etc/rancher/k3s/registries.yaml, after a restart:
      mirrors:
        docker.io:
          endpoint: ["http://HOST"]
    Podman with this in /etc/containers/registries.conf.d/docker.io.conf:
      [[registry]]
      location = "docker.io"
      [[registry.mirror]]
      location = "HOST/docker.io"
      insecure = true
    only this machine reaches it; `--listen :5000` serves other machines too
    "#);
}
