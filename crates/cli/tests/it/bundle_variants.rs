//! Bundles under other names, through pipes, and compared with what would be written.

use std::io::Write as _;
use std::process::Stdio;

use longshore_fixture::{TarOptions, Tree};
use longshore_spec::Digest;
use serde_json::Value;

use crate::bundles::{bytes, record, registry, wanted};
use crate::common::{Ran, Site};
use crate::servers::Served;

#[test]
fn everything_goes_under_a_prefix() {
    let (site, near) = registry();
    let host = near.host().to_owned();
    site.ok(&format!("export -q {host}/acme/app:v1 {host}/charts/shop:1.4.0 -o b.tar"));
    let far = Served::start(&site, "oci:far --writable");
    let rule = format!("--map {host}/charts={}/helm", far.host());
    site.ok(&format!("import -q b.tar {}/base {rule} --prefix /plant-7/", far.host()));
    let there = |path: &str| site.digest(&format!("{}/{path}", far.host()));
    assert_eq!(there("base/plant-7/acme/app:v1"), site.digest("oci:site:app"));
    assert_eq!(there("plant-7/helm/shop:1.4.0"), site.digest("oci:site:chart"));
    site.ok("import -q b.tar oci:layout --prefix plant-7");
    let name = format!("oci:layout:{host}/plant-7/acme/app:v1");
    assert_eq!(site.digest(&name), site.digest("oci:site:app"));
    let wrong = site.run(&format!("import b.tar {} --prefix Plant", far.host()));
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("`Plant` cannot begin a path"), "{}", wrong.stderr);
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_all_else() {
    let (site, near) = registry();
    site.ok(&format!("export -q {}/acme/app:v1 -o b.tar", near.host()));
    let before = site.files();
    for (report, told) in
        [("gone/report.json", "the directory gone is not there"), ("site", "site exists")]
    {
        let ran = site.run(&format!("import b.tar oci:far --report {report}"));
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
        assert!(site.files() == before, "{report}");
    }
}

#[test]
fn a_bundle_is_looked_at_before_its_target() {
    let site = Site::typed();
    let nowhere = "registry.site.invalid";
    for (bundle, told) in
        [("gone.tar", "cannot open gone.tar"), ("oci:site", "not a full reference")]
    {
        let ran = site.run(&format!("import {bundle} {nowhere}"));
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
}

#[test]
fn what_comes_through_a_pipe_goes_straight_to_its_place_and_is_named_last() {
    let (site, near) = registry();
    site.ok(&format!("export -q {0}/acme/app:v1 {0}/charts/shop:2.0.0 -o b.tar", near.host()));
    let whole = bytes(&site, "b.tar");
    let import = |part: &[u8], line: &str| {
        let mut command = site.command(line);
        // Nothing can be kept elsewhere.
        command.env("TMPDIR", site.path("nowhere")).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.as_mut().unwrap().write_all(part);
        child
    };
    let ran = |mut child: std::process::Child| {
        drop(child.stdin.take());
        Ran::of(child.wait_with_output().unwrap())
    };
    let is_named = || {
        std::fs::read(site.path("far/index.json")).is_ok_and(|index| {
            let index: Value = serde_json::from_slice(&index).unwrap();
            !index["manifests"].as_array().unwrap().is_empty()
        })
    };
    let mut killed = import(&whole[..whole.len() - 2000], "import - oci:far");
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(!is_named());
    let cut = ran(import(&whole[..whole.len() / 2 + 100], "import - oci:far"));
    assert_eq!(cut.code, 2, "{}", cut.stderr);
    assert!(!is_named());
    let done = ran(import(&whole, "import - oci:far --json"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let document: Value = serde_json::from_slice(&done.stdout).unwrap();
    let count = |key: &str| document[key].as_u64().unwrap();
    assert!(count("existed") > 0, "what the first had brought is not written again");
    assert_eq!(count("written") + count("existed"), count("blobs"));
    site.ok("verify -q oci:far");

    // What is damaged on the way is named, and the rest comes.
    let chart = site.digest("oci:site:policy");
    let manifest = bytes(&site, &format!("far/blobs/{}", chart.replace(':', "/")));
    let at = whole.windows(manifest.len()).position(|part| part == manifest).unwrap();
    let mut damaged = whole.clone();
    damaged[at + 20] ^= 1;
    let some = ran(import(&damaged, "import - oci:other"));
    assert_eq!(some.code, 1, "{}", some.stderr);
    assert!(some.stderr.contains(&chart), "{}", some.stderr);
    assert!(site.ok("list oci:other").contains("/acme/app:v1"));
    // Nothing needs this, so that nobody would have looked at it in a file.
    let mut tree = Tree::new();
    tree.file(&format!("blobs/sha256/{}", Digest::sha256("x").encoded()), "y");
    let more = [&whole[..whole.len() - 1024], &tree.tar(&TarOptions::default())].concat();
    let with_more = ran(import(&more, "import - oci:more"));
    assert_eq!(with_more.code, 0, "{}", with_more.stderr);
    let warned = with_more
        .stderr
        .lines()
        .any(|line| line.starts_with("warning: sha256:") && line.ends_with("; nothing lacks it"));
    assert!(warned, "{}", with_more.stderr);
    // What is refused has come all the same, and that is not denied.
    let mut gap = whole.clone();
    let last = gap.iter().rposition(|byte| *byte != 0).unwrap();
    gap[last] ^= 1;
    let refused = ran(import(&gap, "import - oci:gap"));
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("the bundle is not complete"), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("`longshore gc` removes what has arrived"),
        "{}",
        refused.stderr
    );
    // Elsewhere it is kept on the way, in a place that has to be there.
    let kept = ran(import(&whole, &format!("import - {}/x", near.host())));
    assert_eq!(kept.code, 2, "{}", kept.stderr);
    assert!(kept.stderr.contains("nowhere"), "{}", kept.stderr);
}

#[test]
fn a_directory_is_compared_with_what_would_be_written() {
    let (site, near) = registry();
    wanted(&site, &near);
    site.ok("export -q -f bundle.yaml -o oci:b");
    let check = "export -f bundle.yaml --check -o oci:b";
    assert!(site.ok(check).contains("it is the same: sha256:"));
    let differences = |told: &str| {
        let before = site.files();
        let ran = site.run(&format!("{check} --json"));
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
        let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(document["same"], false);
        assert!(site.files() == before, "something was written");
        document["differences"].as_array().unwrap().len()
    };
    let text = bytes(&site, "b/bundle.json");
    site.file("b/bundle.json", [&text[..], b" "].concat());
    assert_eq!(differences("`bundle.json` is another"), 1);
    site.file("b/bundle.json", &text);
    site.file("b/manifest.json", "[]");
    assert_eq!(differences("`manifest.json` is there, and would not be"), 1);
    std::fs::remove_file(site.path("b/manifest.json")).unwrap();
    let record = record(&site, "b");
    let layer = record["blobs"].as_array().unwrap().last().unwrap();
    let layer = layer["digest"].as_str().unwrap().to_owned();
    let path = format!("b/blobs/{}", layer.replace(':', "/"));
    let whole = bytes(&site, &path);
    let mut flipped = whole.clone();
    flipped[0] ^= 1;
    site.file(&path, &flipped);
    assert_eq!(differences(&layer), 1);
    std::fs::remove_file(site.path(&path)).unwrap();
    assert_eq!(differences(&layer), 1);
    site.file(&path, &whole);
    let stray = Digest::sha256("stray");
    site.file(&format!("b/blobs/sha256/{}", stray.encoded()), "stray");
    assert_eq!(differences("needed by nothing"), 1);
    std::fs::remove_file(site.path(&format!("b/blobs/sha256/{}", stray.encoded()))).unwrap();
    site.ok(&format!("copy -q oci:site:rules {}/acme/app:v1", near.host()));
    assert!(differences("/acme/app:v1 is sha256:") > 1);
    let none = site.run("export -f bundle.yaml --check -o oci:none");
    assert_eq!(none.code, 2, "{}", none.stderr);
}

#[test]
fn an_archive_that_cannot_be_read_is_not_called_the_same() {
    let (site, near) = registry();
    wanted(&site, &near);
    std::fs::create_dir(site.path("b.tar")).unwrap();
    let ran = site.run("export -f bundle.yaml --check -o oci-archive:b.tar");
    assert_eq!(ran.code, 2, "{}{}", ran.text(), ran.stderr);
    assert!(ran.stderr.contains("b.tar is a directory"), "{}", ran.stderr);
}
