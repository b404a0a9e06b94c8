//! How far work has come, as it is shown.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::process::Command;

use longshore_fixture::proxy::{Faults, Proxy, Request, Rules, Times};
use serde_json::Value;

use crate::common::{Ran, Site, has, prepare};
use crate::servers::Served;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json.md");

#[test]
fn lines_for_a_log_have_a_beginning_and_an_end() {
    let site = Site::typed();
    site.ok("copy -q oci:site:app oci:full:r.example/team/app:1");
    for (line, first, last) in [
        (
            "copy oci:site:app oci:site:chart oci:dst",
            "copying 0/2 artifacts: 0 B of ",
            "copying 2/2 artifacts: ",
        ),
        ("export oci:full -o b.tar", "exporting 0/1 artifact: 0 B of ", "exporting 1/1 artifact: "),
        ("import b.tar oci:far", "importing 0/1 artifact: 0 B of ", "importing 1/1 artifact: "),
        ("verify oci:dst", "verifying 0/2 artifacts: ", "verifying 2/2 artifacts: "),
    ] {
        let Ran { code, stderr, .. } = site.run(&format!("{line} --progress plain"));
        assert_eq!(code, 0, "{line}: {stderr}");
        assert!(stderr.contains(first), "{line}: {stderr}");
        let end = stderr.lines().rfind(|told| told.starts_with(last)).unwrap_or_default();
        assert!(end.contains(" s, ") && end.ends_with("/s on average"), "{line}: {stderr}");
    }
    // What is there has not come, and says nothing of the speed.
    site.ok("copy -q oci:site:app oci:again");
    let again = site.run("copy oci:site:app oci:again --progress plain").stderr;
    assert!(again.contains(", there already\n") && again.contains(": 0 B in "), "{again}");
    // Where nothing is said of it, short work is not talked about; nor is any where it is not wanted.
    for flags in ["", "--progress none", "-q", "-q --progress none"] {
        let ran = site.run(&format!("copy oci:site:bottle oci:dst {flags}"));
        assert!(!ran.stderr.contains("copying"), "{flags}: {}", ran.stderr);
    }
}

#[test]
fn events_are_what_the_document_says() {
    let site = Site::typed();
    let corrupt = site.fixture("layout-bad-digest");
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let section = text.split("## Progress\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut documented: BTreeSet<(String, String)> = BTreeSet::new();
    let mut event = String::new();
    for cells in section.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<_> = cells.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        if !cells[1].is_empty() {
            cells[1].clone_into(&mut event);
        }
        documented.insert((event.clone(), cells[2].to_owned()));
    }
    let mut printed = BTreeSet::new();
    for line in
        ["copy oci:site:app oci:dst", &format!("copy oci:{corrupt} oci:other"), "verify oci:dst"]
    {
        let ran = site.run(&format!("{line} --progress json"));
        let events = ran.stderr.lines().filter(|line| line.starts_with('{'));
        let events: Vec<Value> = events.map(|line| serde_json::from_str(line).unwrap()).collect();
        let name = |event: &Value| event["event"].as_str().unwrap().to_owned();
        assert_eq!(name(&events[0]), "begun", "{line}");
        assert_eq!(name(events.last().unwrap()), "finished", "{line}");
        assert_eq!(events.iter().filter(|event| name(event) == "finished").count(), 1, "{line}");
        for event in &events {
            let keys = event.as_object().unwrap().keys().filter(|key| *key != "event");
            printed.extend(keys.map(|key| (name(event), key.clone())));
        }
        if line.starts_with("copy oci:site") {
            let moving = events.iter().find(|event| name(event) == "moving").unwrap();
            assert_eq!(moving["artifact"], "app");
            let there = events.iter().find(|event| name(event) == "artifact").unwrap();
            assert_eq!(there["names"][0], "app");
            assert_eq!(events.last().unwrap()["artifacts"], 1);
        }
    }
    let of_others = printed.iter().filter(|(event, _)| event != "failed");
    let undocumented: Vec<_> = of_others.filter(|key| !documented.contains(*key)).collect();
    assert!(undocumented.is_empty(), "{undocumented:?}");
    assert!(printed.iter().any(|(event, key)| event == "failed" && key == "kind"), "{printed:?}");
}

#[test]
fn verify_counts_the_artifacts_that_are_whole() {
    let site = Site::typed();
    site.ok("copy -q oci:site:app oci:site:chart oci:site:bottle oci:dst");
    let layer = site.json("inspect oci:dst:chart")["layers"][0]["digest"].clone();
    let blob = format!("dst/blobs/{}", layer.as_str().unwrap().replace(':', "/"));
    site.file(&blob, "damaged");
    let ran = site.run("verify oci:dst --progress json");
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let events = ran.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let events: Vec<_> = events.collect();
    assert_eq!(events[0]["totalArtifacts"], 3);
    let finished = events.iter().find(|event| event["event"] == "finished").unwrap();
    assert_eq!(finished["artifacts"], 2);
    let mut whole: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "artifact")
        .map(|event| event["names"][0].as_str().unwrap())
        .collect();
    whole.sort_unstable();
    assert_eq!(whole, ["app", "bottle"]);
}

#[test]
fn what_is_sent_once_more_is_counted_once() {
    let site = Site::new();
    longshore_fixture::large(&site.path("src"), 2, 1 << 20).unwrap();
    site.ok("copy -q --all-tags oci:src oci:full:registry.site/acme/app:v1");
    site.ok("export -q oci:full -o b.tar");
    let served = Served::start(&site, "oci:far --writable");
    let is_upload = |request: &Request| matches!(request.method.as_str(), "PATCH" | "PUT");
    let rules = Rules::default().cut_upload(is_upload, 200_000, Times::InAll(2));
    let proxy = Proxy::start(served.address(), Faults::http(rules)).unwrap();
    let ran = site.run(&format!("import b.tar {} --progress json", proxy.address()));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let events = ran.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let events: Vec<_> = events.collect();
    let total = &events[0]["totalBytes"];
    assert!(total.is_u64());
    assert_eq!(&events.last().unwrap()["bytes"], total, "{}", ran.stderr);
}

#[test]
fn a_terminal_shows_a_bar_with_the_artifact_that_moves() {
    if !has("script") {
        return;
    }
    let site = Site::new();
    longshore_fixture::large(&site.path("src"), 4, 1 << 20).unwrap();
    let served = Served::start(&site, "oci:src");
    // Slow enough that it is drawn at all.
    let faults = Faults { rate: NonZero::new(2 << 20), ..Faults::default() };
    let proxy = Proxy::start(served.host().parse().unwrap(), faults).unwrap();
    let program = assert_cmd::cargo::cargo_bin!("longshore");
    let mut command = Command::new("script");
    command
        .arg("-qec")
        .arg(format!("{} copy --all-tags {}/src oci:dst", program.display(), proxy.address()))
        .arg("/dev/null");
    prepare(&mut command, site.root());
    // Without a name of its own a terminal can draw nothing twice.
    command.env("TERM", "xterm");
    let shown = Ran::of(command.output().unwrap());
    assert_eq!(shown.code, 0, "{}", shown.text());
    assert!(shown.text().contains("copying 0/1 artifact"), "{:?}", shown.text());
}
