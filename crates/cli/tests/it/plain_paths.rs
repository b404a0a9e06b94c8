//! Layouts and archives by their plain paths, in every command.

use crate::common::Site;
use crate::served::Served;

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
    assert!(ran.stderr.contains("`alpine` is a directory here, and no layout"), "{}", ran.stderr);
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
    assert!(ran.stderr.contains("is not a reference"), "{}", ran.stderr);
    there.file("x.tar.xz", b"\xfd7zXZ\0and so on");
    let ran = there.run("verify x.tar.xz");
    assert!(ran.stderr.contains("compressed with xz"), "{}", ran.stderr);
    assert!(ran.stderr.contains("`xz -dk FILE`"), "{}", ran.stderr);
}
