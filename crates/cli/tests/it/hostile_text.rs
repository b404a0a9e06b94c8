//! What others wrote, on the terminal.

use longshore_fixture::{Content, Draft, artifacts};
use longshore_spec::{Descriptor, MediaType, is_printable};
use serde_json::Value;

use crate::common::{Ran, Site};

/// Turns the direction of writing, speaks to the terminal, takes no width, ends a paragraph.
const HOSTILE: &str =
    "a\u{202e}\u{2066}\u{200f}\u{61c}\u{9b}2J\u{1b}[31m\u{200b}\u{feff}\u{2028}\u{2029}z";

fn site() -> Site {
    let mut content = Content::new();
    let layer = content.blob(format!("application/{HOSTILE}").as_str(), &b"layer"[..]);
    let title = longshore_fixture::with_annotation(
        layer.clone(),
        "org.opencontainers.image.title",
        HOSTILE,
    );
    let artifact_type = format!("application/{HOSTILE}");
    content.empty();
    let draft = Draft::artifact(&artifact_type, &[title]).annotation(HOSTILE, HOSTILE);
    let artifact = content.manifest(&draft);
    content.tag(&artifact, HOSTILE);
    let damaged = content.manifest(&Draft::index(&[Descriptor {
        media_type: MediaType::new(format!("application/{HOSTILE}")),
        size: 1,
        ..artifact.clone()
    }]));
    content.tag(&damaged, &format!("damaged-{HOSTILE}"));
    let other = artifacts::image(&mut content, 1);
    content.tag(&other, "other");
    let site = Site::new();
    site.put("src", &content);
    site
}

/// Begins lines of its own, which look like words of the program.
const LINES: &str = "a\nerror: all is lost\n\thint: give up";

/// Returns whether a line of what was printed is what somebody else wrote.
fn is_fooled(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    lines.any(|line| line.starts_with("error: all is lost") || line.starts_with("hint: give up"))
}

#[test]
fn what_others_wrote_begins_no_line() {
    let mut content = Content::new();
    let layer = content.blob(format!("application/{LINES}").as_str(), &b"layer"[..]);
    let title = longshore_fixture::with_annotation(layer, "org.opencontainers.image.title", LINES);
    content.empty();
    let draft = Draft::artifact(&format!("application/{LINES}"), &[title]);
    let artifact = content.manifest(&draft.annotation(LINES, LINES));
    content.tag(&artifact, LINES);
    let lost = content.manifest(&Draft::index(&[Descriptor {
        platform: Some(Box::new(longshore_spec::Platform {
            os: LINES.to_owned(),
            architecture: LINES.to_owned(),
            ..longshore_spec::Platform::default()
        })),
        digest: longshore_spec::Digest::sha256("it is not here"),
        ..artifact.clone()
    }]));
    content.tag(&lost, "lost");
    let site = Site::new();
    site.put("src", &content);
    for line in [
        "list oci:src",
        "tree oci:src",
        "verify oci:src",
        "copy --all oci:src oci:dst",
        "copy --all --dry-run -vv oci:src oci:other",
        "copy --all oci:src oci-archive:-",
        "inspect oci:src",
        "inspect oci:src:los",
        &format!("inspect 'oci:src:{LINES}'"),
        &format!("inspect 'oci:src:x{LINES}'"),
        &format!("copy 'oci:none{LINES}' oci:dst"),
        &format!("tag oci:src:lost 'a{LINES}'"),
        &format!("untag 'oci:src:{LINES}'"),
        "import oci:src oci:dst",
    ] {
        let ran = site.run(line);
        for text in [&ran.text(), &ran.stderr] {
            assert!(!is_fooled(text), "{line}: {text}");
        }
    }
}

fn check(line: &str, ran: &Ran) {
    for text in [&ran.text(), &ran.stderr] {
        let hostile = text.chars().find(|c| !is_printable(*c) && !matches!(c, '\n' | '\t'));
        assert_eq!(hostile, None, "{line}: {text:?}");
    }
}

#[test]
fn nothing_that_does_not_print_reaches_a_terminal() {
    let site = site();
    for line in [
        "list --all oci:src",
        "tree oci:src",
        "verify oci:src",
        "copy --all oci:src oci:dst",
        "copy --all --dry-run -v oci:src oci:other",
        "inspect oci:src",
        "inspect oci:src:oth",
        "import oci:src oci:dst",
        "gc oci:src --older-than 0",
        &format!("tag oci:src:other 'a{HOSTILE}'"),
        &format!("inspect 'oci:src:{HOSTILE}'"),
        &format!("copy 'oci:none{HOSTILE}' oci:dst"),
        &format!("'{HOSTILE}'"),
        &format!("list '--{HOSTILE}'"),
        &format!("list oci:src '{HOSTILE}'"),
        &format!("copy --jobs '{HOSTILE}' oci:src oci:dst"),
    ] {
        for json in ["", " --json"] {
            let line = format!("{line}{json}");
            check(&line, &site.run(&line));
        }
    }
}

#[test]
fn json_and_raw_bytes_are_exact() {
    let site = site();
    let list = site.run("list oci:src --json");
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let names: Vec<_> =
        list.as_array().unwrap().iter().filter_map(|line| line["name"].as_str()).collect();
    assert!(names.contains(&HOSTILE), "{names:?}");
    let digest = list.as_array().unwrap().iter().find(|line| line["name"] == HOSTILE).unwrap();
    let raw = site.run(&format!("inspect --raw oci:src@{}", digest["digest"].as_str().unwrap()));
    let manifest: Value = serde_json::from_slice(&raw.stdout).unwrap();
    assert_eq!(manifest["annotations"][HOSTILE], HOSTILE);
    assert!(raw.text().contains('\u{202e}'));
}
