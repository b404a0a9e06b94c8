//! What is offered on a command line, as the scripts of the shells ask for it. That real shells insert it
//! is seen by `cargo acceptance interop shells`.

use longshore_fixture::{Content, artifacts};

use crate::common::Site;

/// Returns what zsh and fish are offered for the last of some words.
fn offered(site: &Site, words: &[&str]) -> Vec<String> {
    let mut command = site.command("complete zsh --");
    let output = command.args(words).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let value = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
    text.lines().map(value).collect()
}

/// A layout `site`, an archive of it, and files with a space in their names.
fn furnished() -> Site {
    let site = Site::typed();
    site.ok("copy -q oci:site:app oci-archive:app.tar");
    let full = Content::tagged("r.example:5000/team/app:1", |content| artifacts::image(content, 1));
    site.put("my layouts/full", &full);
    std::fs::create_dir(site.path("empty")).unwrap();
    site.file("notes.txt", "");
    site.file(".hidden", "");
    site.file("app.tar.gz", b"\x1f\x8b\x08");
    site
}

#[test]
fn files_layouts_and_what_they_hold_are_offered() {
    let site = furnished();
    for (words, expected) in [
        (
            &["list", ""][..],
            &[
                "oci:",
                "oci-archive:",
                "app.tar",
                "app.tar.gz",
                "empty/",
                "my layouts/",
                "notes.txt",
                "site/",
            ][..],
        ),
        (&["list", "oci:"], &["oci:empty/", "oci:my layouts/", "oci:site", "oci:site:"]),
        (&["list", "oci:my layouts/"], &["oci:my layouts/full", "oci:my layouts/full:"]),
        (&["list", "oci:my layouts/full:"], &["oci:my layouts/full:r.example:5000/team/app:1"]),
        (&["copy", "oci:site:char"], &["oci:site:chart"]),
        (&["copy", "site:char"], &["site:chart"]),
        (&["copy", "oci-archive:app.tar:"], &["oci-archive:app.tar:app"]),
        // It would have to be unpacked.
        (&["copy", "oci-archive:app.tar.gz:"], &[]),
        (&["copy", "oci:nowhere:"], &[]),
        (&["gc", "oci:s"], &["oci:site"]),
        (&["export", "-o", "oci:s"], &["oci:site"]),
        (&["export", "-f", "n"], &["notes.txt"]),
        (&["find-images", "."], &[".hidden"]),
        (&["man", ""], &["empty/", "my layouts/", "site/"]),
        (&["import", "app"], &["app.tar", "app.tar.gz"]),
        (&["list", "--type", "char"], &["chart"]),
        (&["frobnicate", ""], &[]),
    ] {
        assert_eq!(offered(&site, words), expected, "{words:?}");
    }
    let digest = format!("oci:site@{}", site.digest("oci:site:app"));
    assert!(offered(&site, &["copy", "oci:site@"]).contains(&digest));
}

#[test]
fn bash_is_given_what_it_replaces() {
    let site = furnished();
    let breaks = " \t\n\"'@><=;|&(:";
    let given = |line: &str| {
        let mut command = site.command("complete bash --");
        let output = command.args([line, breaks]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for (line, expected) in [
        ("longshore list oci:my", "my\\ layouts/\n"),
        ("longshore list oci:my\\ layouts/full:r.example:", "5000/team/app:1\n"),
        ("longshore list \"oci:my", "oci:my layouts/full\noci:my layouts/full:\n"),
        ("longshore copy --type=ch", "chart\n"),
        ("longshore types ", ""),
        ("longshore login ", ""),
    ] {
        assert_eq!(given(line), expected, "{line}");
    }
}

#[test]
fn what_cannot_be_completed_is_silence() {
    let site = Site::new();
    site.file("bad.tar", "no archive\n");
    for words in
        [["list", "oci-archive:bad.tar:"], ["list", "/nowhere/x"], ["copy", "oci:bad.tar:"]]
    {
        assert_eq!(offered(&site, &words), [""; 0], "{words:?}");
    }
    assert_eq!(offered(&site, &["copy", "--nothing", "b"]), ["bad.tar"]);
}
