//! The same command once more: with nothing new, after a run that broke off, and as a dry run.

use crate::bundles::{bytes, registry, wanted};
use crate::common::{Site, has};

#[test]
fn an_export_with_nothing_new_is_done() {
    let (site, near) = registry();
    wanted(&site, &near);
    site.ok("export -q -f bundle.yaml -o b.tar");
    let before = bytes(&site, "b.tar");
    for flags in ["", "--force", "--dry-run", "--jobs 1"] {
        let text = site.ok(&format!("export -f bundle.yaml -o b.tar {flags}"));
        assert!(text.starts_with("nothing new: b.tar is this bundle already: sha256:"), "{text}");
    }
    assert_eq!(site.json("export -f bundle.yaml -o b.tar")["same"], true);
    site.ok("export -q -f bundle.yaml -o oci:b");
    site.ok("export -q -f bundle.yaml -o oci:b");
    // Another bundle stays, unless it may be replaced; so does what is none.
    site.ok(&format!("copy -q oci:site:rules {}/acme/app:v1", near.host()));
    let ran = site.run("export -f bundle.yaml -o b.tar");
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("b.tar exists already") && ran.stderr.contains("--force"));
    assert!(bytes(&site, "b.tar") == before);
    site.ok("export -q -f bundle.yaml -o b.tar --force");
    assert!(bytes(&site, "b.tar") != before);
    site.file("text.tar", "text");
    assert_eq!(site.run("export -f bundle.yaml -o text.tar").code, 2);
}

#[test]
fn an_export_over_a_damaged_archive_does_not_take_it_for_done() {
    use std::os::unix::fs::FileExt as _;
    let (site, near) = registry();
    wanted(&site, &near);
    let line = "export -f bundle.yaml -o b.tar";
    site.ok(&format!("{line} -q"));
    let whole = bytes(&site, "b.tar");
    let header = |name: &str| {
        let at = whole.windows(name.len()).position(|part| part == name.as_bytes()).unwrap();
        at - at % 512
    };
    let index: serde_json::Value =
        serde_json::from_str(&site.ok("inspect --raw oci:site:app")).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap().replace(':', "/");
    let of_blob = header(&format!("blobs/{digest}"));
    for damage in ["cut off", "longer", "no header", "another index"] {
        let file = std::fs::File::options().write(true).open(site.path("b.tar")).unwrap();
        match damage {
            "cut off" => file.set_len(whole.len() as u64 - 2048).unwrap(),
            "longer" => file.set_len(whole.len() as u64 + 10_240).unwrap(),
            "no header" => file.write_all_at(&[b'x'; 100], of_blob as u64).unwrap(),
            _ => file.write_all_at(b" ", header("index.json") as u64 + 513).unwrap(),
        }
        drop(file);
        let ran = site.run(line);
        assert_ne!(ran.code, 0, "{damage}: {}", ran.text());
        assert!(ran.stderr.contains("--force"), "{damage}: {}", ran.stderr);
        site.ok(&format!("{line} -q --force"));
        assert!(bytes(&site, "b.tar") == whole, "{damage}");
    }
    // What is not read is not said to be right.
    assert!(site.ok(line).contains("`longshore verify b.tar`"));
}

#[test]
fn a_dry_run_counts_what_a_run_before_has_left() {
    let site = Site::typed();
    // What is named must be had, so that nothing of it is left out.
    let named = site.json("list oci:site");
    let named = named.as_array().unwrap().iter().map(|line| line["name"].as_str().unwrap());
    let named: String = named.map(|name| format!("oci:site:{name} ")).collect();
    let all = &format!("copy {named}oci-archive:all.tar");
    let missing = || {
        let document = site.json(&format!("{all} --dry-run"));
        (document["missingBytes"].as_u64().unwrap(), document["bytes"].as_u64().unwrap())
    };
    let (before, bytes) = missing();
    assert_eq!(before, bytes);
    // What cannot be had at the end keeps what has come.
    let layer = site.json("inspect oci:site:model")["layers"][0]["digest"].clone();
    let blob = format!("site/blobs/{}", layer.as_str().unwrap().replace(':', "/"));
    let content = std::fs::read(site.path(&blob)).unwrap();
    std::fs::remove_file(site.path(&blob)).unwrap();
    assert_eq!(site.run(all).code, 1);
    site.file(&blob, &content);
    let files = site.files();
    let (after, _) = missing();
    assert!(after < bytes / 4 && after >= content.len() as u64, "{after} of {bytes}");
    assert!(site.files() == files, "a dry run changes nothing");
    site.ok(all);
}

#[test]
fn a_dry_run_goes_on_with_a_layout_that_a_run_has_only_begun() {
    let site = Site::image();
    let digest = site.json("inspect oci:src:app")["layers"][0]["digest"].clone();
    let blob = digest.as_str().unwrap().replace(':', "/");
    // What a run leaves that is killed before it has written `oci-layout`.
    std::fs::create_dir_all(site.path("half/blobs/sha256")).unwrap();
    std::fs::create_dir_all(site.path("half/.longshore/partial")).unwrap();
    std::fs::copy(
        site.path(&format!("src/blobs/{blob}")),
        site.path(&format!("half/blobs/{blob}")),
    )
    .unwrap();
    site.ok("copy -q oci:src:app oci:full:registry.site/acme/app:v1");
    site.ok("export -q full -o b.tar");
    let files = site.files();
    for line in ["copy oci:src:app oci:half", "export full -o oci:half", "import b.tar oci:half"] {
        let document = site.json(&format!("{line} --dry-run"));
        let (bytes, missing) = (&document["bytes"], &document["missingBytes"]);
        assert!(missing.as_u64() < bytes.as_u64(), "{line}: {document}");
        assert!(site.files() == files, "{line}");
    }
    // What is no layout is refused as a run without the flag would do.
    std::fs::create_dir(site.path("other")).unwrap();
    site.file("other/notes.txt", "");
    for flag in ["", "--dry-run"] {
        let ran = site.run(&format!("copy oci:src:app oci:other {flag}"));
        assert_eq!(ran.code, 2, "{}", ran.text());
        assert!(ran.stderr.contains("oci-layout"), "{}", ran.stderr);
    }
    site.ok("copy -q oci:src:app oci:half");
}

#[test]
fn a_compressed_name_is_refused_with_what_to_do() {
    let (site, near) = registry();
    wanted(&site, &near);
    for (name, plain, program) in [
        ("x.tar.gz", "x.tar", "gzip"),
        ("x.tgz", "x.tar", "gzip"),
        ("X.TAR.ZST", "X.TAR", "zstd"),
        ("x.tar.xz", "x.tar", "xz"),
        ("x.tbz2", "x.tar", "bzip2"),
    ] {
        for line in ["copy oci:site:app oci-archive:NAME", "export -f bundle.yaml -o NAME"] {
            let ran = site.run(&line.replace("NAME", name));
            assert_eq!(ran.code, 2, "{}", ran.stderr);
            let told = format!("run `{program} {plain}");
            assert!(ran.stderr.contains(&told), "{name}: {}", ran.stderr);
            assert!(!site.path(name).exists());
        }
    }
}

#[test]
fn a_finished_archive_whose_last_sync_failed_is_not_in_the_way() {
    if !has("strace") {
        return;
    }
    let site = Site::image();
    let line = "copy oci:src:app oci-archive:app.tar";
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync"]);
    // The file, and then its directory.
    command.args(["-e", "inject=fsync:error=EIO:when=2"]);
    command.arg(assert_cmd::cargo::cargo_bin!("longshore")).args(crate::common::words(line));
    crate::common::prepare(&mut command, site.root());
    let ran = crate::common::Ran::of(command.output().unwrap());
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("input/output error"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("error: ").count(), 1, "{}", ran.stderr);
    assert!(ran.text().contains("copied 0 artifacts"), "{}", ran.text());
    assert!(!site.path("app.tar").exists());
    site.ok(line);
    site.ok("verify app.tar");
}
