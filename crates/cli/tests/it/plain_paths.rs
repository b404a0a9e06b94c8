//! Layouts and archives by their plain paths, in every command.

use crate::common::Site;
use crate::servers::Served;

#[test]
fn every_command_takes_the_plain_path_of_a_layout() {
    let site = Site::typed();
    let path = site.path("site").display().to_string();
    site.ok("copy -q oci:site:app oci:full:registry.site/acme/app:v1");
    let digest = site.digest("oci:site:app");
    site.ok("copy -q --all ./site all.tar");
    for place in
        ["site:app", "./site:app", &format!("'{path}:app'"), "all.tar:app", "./all.tar:app"]
    {
        for command in ["digest", "inspect", "tree", "verify", "list"] {
            site.ok(&format!("{command} {place}"));
        }
        assert_eq!(site.digest(place), digest);
        site.ok(&format!("copy -q {place} ./dst:app"));
    }
    assert_eq!(site.digest(&format!("./all.tar@{digest}")), digest);
    site.file("list.txt", "./site:chart\nall.tar:rules\n");
    site.ok("copy -q -f list.txt ./dst");
    for line in
        ["list ./site", "list all.tar", "tree all.tar", "verify ./site", "tag ./dst:app new"]
    {
        site.ok(line);
    }
    for line in ["untag dst:new", "delete ./dst:chart", "gc ./dst", "copy dst:app other.tar"] {
        site.ok(line);
    }
    site.ok("export -q ./full -o bundle.tar");
    site.ok("export -q full:registry.site/acme/app:v1 -o ./b");
    assert!(site.path("b").is_file());
    site.ok("import -q ./bundle.tar ./far");
    site.ok("import -q bundle.tar far");
    site.ok("import -q far ./farther");
    site.ok("export -q full -o far");
    let served = Served::start(&site, "./site");
    site.ok(&format!("copy -q {}/site:app ./from", served.host()));
}

#[test]
fn a_registry_is_meant_where_nothing_lies_and_where_it_is_said() {
    let site = Site::new();
    std::fs::create_dir(site.path("alpine")).unwrap();
    let ran = site.run("copy alpine:3.20 oci:dst");
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("`alpine` is a directory here, but not a layout"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("`docker://alpine:3.20`"), "{}", ran.stderr);
    // A layout of the same name is meant first.
    let host = "127.0.0.1:1/acme";
    let there = Site::typed();
    let nested = there.path("127.0.0.1:1");
    std::fs::create_dir(&nested).unwrap();
    let ran = there.run(&format!("list {host}/app"));
    assert!(ran.stderr.contains("127.0.0.1:1"), "{}", ran.stderr);
    std::fs::create_dir(there.path("acme")).unwrap();
    std::fs::rename(there.path("site"), there.path("acme/app")).unwrap();
    assert!(there.ok("list acme/app").contains("chart"));
    let ran = there.run("digest docker://127.0.0.1:1/acme/app:1");
    assert_ne!(ran.code, 0);
    // A file is one if it begins as archives do, and what else is there is none.
    there.ok("copy -q acme/app:chart chart.tar");
    std::fs::rename(there.path("chart.tar"), there.path("chart")).unwrap();
    there.ok("verify chart");
    there.file("Dockerfile", "FROM scratch");
    let ran = there.run("verify Dockerfile");
    assert!(ran.stderr.contains("`Dockerfile` is a file here"), "{}", ran.stderr);
    there.file("x.tar.xz", b"\xfd7zXZ\0and so on");
    let ran = there.run("verify x.tar.xz");
    assert!(ran.stderr.contains("compressed with xz"), "{}", ran.stderr);
    assert!(ran.stderr.contains("`xz -dk FILE`"), "{}", ran.stderr);
}

#[test]
fn lists_and_bundle_yaml_take_plain_paths_too() {
    let site = Site::typed();
    std::fs::create_dir(site.path("media")).unwrap();
    site.ok("copy -q oci:site:app oci:media/full:registry.site/acme/app:v1");
    site.ok("copy -q oci:site:chart oci-archive:media/c.tar:registry.site/acme/chart:v2");
    site.ok("copy -q oci:media/full oci:media/d");
    std::fs::rename(site.path("media/c.tar"), site.path("media/12:30.tar")).unwrap();
    std::fs::rename(site.path("media/d"), site.path("media/a:b")).unwrap();
    let absolute = site.path("media/full").display().to_string();
    site.ok("copy -q oci:media/full oci:media/d");
    std::fs::rename(site.path("media/d"), site.path("media/with a space")).unwrap();
    let places = [
        "./media/with a space",
        "./media/full",
        "media/full:registry.site/acme/app:v1",
        "media/12:30.tar",
        "./media/12:30.tar:registry.site/acme/chart:v2",
        "media/a:b",
        "oci:media/a:b:registry.site/acme/app:v1",
        &absolute,
    ];
    for (number, place) in places.iter().enumerate() {
        let yaml = format!("artifacts:\n- ref: {place}\n");
        for (name, text) in [("list.txt", format!("{place}\n")), ("bundle.yaml", yaml)] {
            site.file(name, text);
            site.ok(&format!("export -q -f {name} -o {number}-{name}.tar"));
        }
        site.ok(&format!("export -q '{place}' -o {number}.tar"));
        site.ok(&format!("verify '{place}'"));
    }
    site.file("all.yaml", "artifacts:\n- repository: ./media/full\n  tags: [v1]\n");
    site.ok("export -q -f all.yaml -o all.tar");
    // A new path with `:` in it ends as archives do.
    site.ok("copy -q ./site:app ./media/new:1.tar");
    site.ok("verify media/new:1.tar");
    // In a file a short name is an image, whatever directory is here by chance.
    std::fs::create_dir(site.path("alpine")).unwrap();
    site.file("list.txt", "alpine:3.20\n./media/full\nnotes.txt\n");
    site.file("notes.txt", "read me");
    let ran = site.run("export -f list.txt -o x.tar");
    assert!(ran.stderr.contains("list.txt:3:1: `notes.txt` is a file here"), "{}", ran.stderr);
}

#[test]
fn a_host_with_a_port_is_a_registry_whatever_lies_there() {
    let site = Site::typed();
    std::fs::create_dir(site.path("localhost:1")).unwrap();
    site.ok("copy -q oci:site:app oci:there");
    std::fs::rename(site.path("there"), site.path("localhost:1/team")).unwrap();
    for place in ["localhost:1/team", "localhost:1/team:app"] {
        let ran = site.run(&format!("digest {place}"));
        assert!(ran.stderr.contains("nothing listens on port 1"), "{}", ran.stderr);
    }
    site.ok("digest ./localhost:1/team:app");
}

#[test]
fn what_is_no_layout_is_named_and_asked_of_no_registry() {
    let site = Site::new();
    for (name, text) in [
        ("notes.txt", "read me"),
        ("a.zip", "PK\x03\x04 and so on"),
        ("bundle.yaml", "artifacts: []\n"),
        ("alpine", "#!/bin/sh\n"),
    ] {
        site.file(name, text);
    }
    insta::assert_snapshot!(site.errors(&[
        "list bundle.yaml",
        "copy a.zip oci:x",
        "copy ./notes.txt oci:x",
        "verify notes.txt",
        "export a.zip -o x.tar",
        "export alpine:3.20 -o x.tar",
        "import bundle.yaml oci:x",
        "list oci:nothere:1",
        "list oci-archive:nothere.tar:1",
        "tree ./nothere:1",
    ]));
}

#[test]
fn a_host_without_a_repository_and_an_address_are_told_what_to_write() {
    let site = Site::image();
    site.file("list.txt", "localhost:5000\n");
    site.file("bundle.yaml", "artifacts:\n- repository: registry.site\n");
    site.ok("copy -q oci:src oci-archive:b.tar");
    insta::assert_snapshot!(site.errors(&[
        "copy localhost:5000 oci:x",
        "copy oci:src localhost:5000",
        "copy oci:src LOCALHOST:5000/",
        "export ghcr.io -o x.tar",
        "export -f list.txt -o x.tar",
        "lock",
        "import https://ghcr.io/Acme/bundle.tar",
        "import b.tar https://GHCR.io/Acme/",
        "import b.tar GHCR.io/Acme",
        "list HTTPS://GHCR.io/",
        "list https://ghcr.io/Acme/app",
        "login https://GHCR.io/",
    ]));
}
