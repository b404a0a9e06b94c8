//! Bundles in volumes.

use std::path::Path;

use longshore_fixture::{Content, Draft, Random, artifacts};
use serde_json::Value;

use crate::common::{Site, has};
use crate::servers::Served;

/// How long the largest blob is.
const LARGE: usize = 400_000;

/// Sizes of volumes, and those by which the largest blob lies in one, two and more.
const SIZES: [&str; 5] = ["150000", "200KiB", "300KB,200KB", "120000,500000", "10MiB"];

/// A near layout of twelve repositories that share some content, one with a large blob, one signed; returns what
/// exports all of it.
fn twelve() -> (Site, String) {
    let site = Site::new();
    let mut content = Content::new();
    let mut random = Random::new(15);
    let mut blob = |content: &mut Content, size: usize| {
        let mut bytes = vec![0; size];
        random.fill(&mut bytes);
        content.blob("application/vnd.oci.image.layer.v1.tar", bytes)
    };
    let shared = blob(&mut content, 20_000);
    let mut wanted = Vec::new();
    for number in 0..12 {
        let config = content.empty();
        let own = blob(&mut content, if number == 11 { LARGE } else { 9_000 + number * 500 });
        let layers = if number < 8 { vec![shared.clone(), own] } else { vec![own] };
        let image = content.manifest(&Draft::image(&config, &layers));
        let name = format!("registry.example/app{number}:v1");
        content.tag(&image, &name);
        if number == 3 {
            let signature = artifacts::sigstore_bundle(&mut content, &image, 1);
            content.untagged(&signature);
        }
        wanted.push(format!("oci:near:{name}"));
    }
    site.put("near", &content);
    let wanted = wanted.join(" ");
    (site, format!("export -q {wanted}"))
}

fn volumes(site: &Site, directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(site.path(directory)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut volumes: Vec<_> = names
        .filter(|name| {
            name.contains(".v") && Path::new(name).extension().is_some_and(|e| e == "tar")
        })
        .map(|name| format!("{directory}/{name}"))
        .collect();
    volumes.sort();
    volumes
}

fn bytes(site: &Site, name: &str) -> Vec<u8> {
    std::fs::read(site.path(name)).unwrap()
}

fn put(site: &Site, name: &str, bytes: impl AsRef<[u8]>) {
    std::fs::write(site.path(name), bytes).unwrap();
}

#[test]
fn volumes_of_any_size_are_together_what_one_archive_is() {
    let (site, export) = twelve();
    site.ok(&format!("{export} -o one.tar"));
    site.ok("import -q one.tar oci:far");
    let (listed, tree) = (site.ok("list one.tar --json"), site.ok("tree one.tar"));
    let mut counts = Vec::new();
    for (number, sizes) in SIZES.iter().enumerate() {
        std::fs::create_dir(site.path(&number.to_string())).unwrap();
        let said = site.json(&format!("{export} -o {number}/site.tar --volume-size {sizes}"));
        let volumes = volumes(&site, &number.to_string());
        let told = said["volumes"].as_array().unwrap();
        assert_eq!(told.len(), volumes.len());
        counts.push(volumes.len());
        let mut whole = 0;
        for (volume, told) in volumes.iter().zip(told) {
            let length = bytes(&site, volume).len() as u64;
            assert_eq!(
                (told["file"].as_str(), told["bytes"].as_u64()),
                (Some(&**volume), Some(length))
            );
            assert!(length <= 10 << 20);
            let names = site.json(&format!("list {volume}"));
            assert_eq!(names.as_array().unwrap().len() as u64, told["roots"].as_u64().unwrap());
            whole += told["roots"].as_u64().unwrap();
        }
        assert!(whole >= 3, "{sizes}: {told:?}");
        let all = volumes.join(" ");
        site.ok(&format!("verify -q {all}"));
        assert_eq!(site.ok(&format!("list {all} --json")), listed, "{sizes}");
        assert_eq!(site.ok(&format!("tree {all}")), tree, "{sizes}");
        let backwards = volumes.iter().rev().cloned().collect::<Vec<_>>().join(" ");
        site.ok(&format!("import -q {backwards} oci:far{number}"));
        assert_eq!(
            site.ok(&format!("list oci:far{number} --json")),
            site.ok("list oci:far --json")
        );
        site.ok(&format!("verify -q oci:far{number}"));
        site.ok(&format!("copy -q {all} oci:copy{number} --all"));
        site.ok(&format!("copy -q {all}:registry.example/app11:v1 oci:large{number}:v1"));
        let large = site.digest(&format!("oci:large{number}:v1"));
        assert_eq!(large, site.digest("one.tar:registry.example/app11:v1"));
    }
    assert_eq!(counts[4], 1, "all fits into one");
    assert!(counts[..3].iter().all(|count| *count > 2), "{counts:?}");
    assert_eq!(bytes(&site, "4/site.v001.tar"), bytes(&site, "one.tar"), "it is a plain bundle");
}

#[test]
fn volumes_are_the_same_for_any_number_of_jobs_and_written_alone() {
    let (site, export) = twelve();
    for jobs in ["1", "2", "16", "only"] {
        std::fs::create_dir(site.path(jobs)).unwrap();
    }
    let line = |directory: &str, more: &str| {
        format!("{export} -o {directory}/site.tar --volume-size 200KiB {more}")
    };
    for jobs in ["1", "2", "16"] {
        site.ok(&line(jobs, &format!("--jobs {jobs}")));
    }
    let names = volumes(&site, "1");
    for name in &names {
        for other in ["2/", "16/"] {
            assert_eq!(bytes(&site, name), bytes(&site, &name.replacen("1/", other, 1)), "{name}");
        }
    }
    for number in [3, 1, names.len()] {
        site.ok(&line("only", &format!("--only-volume {number}")));
        let name = format!("only/site.v{number:03}.tar");
        assert_eq!(bytes(&site, &name), bytes(&site, &name.replacen("only", "1", 1)));
    }
    assert_eq!(volumes(&site, "only").len(), 3);
    let again = site.run(&line("only", "--only-volume 3"));
    assert_eq!(again.code, 0, "{}", again.stderr);
    let none = site.run(&line("only", "--only-volume 99"));
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("there is no volume 99"), "{}", none.stderr);
}

#[test]
fn other_tools_read_what_is_whole_in_a_volume() {
    let (site, export) = twelve();
    if !has("skopeo") {
        return;
    }
    std::fs::create_dir(site.path("d")).unwrap();
    site.ok(&format!("{export} -o d/site.tar --volume-size 150000"));
    let inspect = |volume: &str, name: &str| {
        let place = format!("oci-archive:{volume}:{name}");
        let mut command = std::process::Command::new("skopeo");
        command.current_dir(site.root()).args(["inspect", "--raw", &place]);
        command.output().unwrap().status.success()
    };
    for volume in volumes(&site, "d") {
        let listed = site.json(&format!("list {volume}"));
        let names = listed.as_array().unwrap().iter().map(|line| line["name"].as_str().unwrap());
        let names: Vec<_> = names.collect();
        for number in 0..12 {
            let name = format!("registry.example/app{number}:v1");
            assert_eq!(inspect(&volume, &name), names.contains(&&*name), "{volume} {name}");
        }
    }
}

/// Returns what `verify` says of each faulty volume: its number, whether it is missing, and the names that need it.
fn faults(site: &Site, files: &str) -> Vec<(u64, bool, usize)> {
    let ran = site.run(&format!("verify --json {files}"));
    assert_eq!(ran.code, 3, "{files}: {}", ran.stderr);
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let faults = document["volumes"]["faults"].as_array().unwrap().iter().map(|fault| {
        let roots = fault["roots"].as_array().unwrap().len();
        (fault["number"].as_u64().unwrap(), fault["missing"].as_bool().unwrap(), roots)
    });
    faults.collect()
}

#[test]
fn lost_damaged_cut_and_foreign_volumes_are_named() {
    let (site, export) = twelve();
    std::fs::create_dir(site.path("d")).unwrap();
    site.ok(&format!("{export} -o d/site.tar --volume-size 200KiB"));
    let all = volumes(&site, "d");
    let but = |number: usize| {
        let rest = all.iter().enumerate().filter(|(place, _)| place + 1 != number);
        rest.map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(" ")
    };
    // The first volume has a part of the large blob.
    assert_eq!(faults(&site, &but(1)), [(1, true, 1)]);
    let ran = site.run(&format!("verify {}", but(1)));
    let told = String::from_utf8(ran.stdout).unwrap();
    assert!(told.contains("is missing; needed by registry.example/app11:v1"), "{told}");
    let listed = site.ok(&format!("list {}", but(1)));
    assert!(listed.contains("app0:v1") && !listed.contains("app11:v1"), "{listed}");
    site.ok(&format!("copy -q --all {} oci:some", but(1)));
    site.ok("verify -q oci:some");
    let alone = faults(&site, &all[all.len() - 1]);
    assert_eq!(alone.len(), all.len() - 1, "{alone:?}");

    // A changed byte of a part, and one of a manifest, which the others have.
    let first = bytes(&site, &all[0]);
    let parts = first.len() - 2000;
    let manifest = first.windows(15).position(|window| window == b"{\"schemaVersion").unwrap();
    let manifest =
        manifest + first[manifest..].windows(12).position(|w| w == b"\"mediaType\":").unwrap();
    for (at, is_manifest) in [(parts, false), (manifest, true)] {
        let mut damaged = first.clone();
        damaged[at] ^= 1;
        put(&site, "damaged.tar", &damaged);
        let ran = site.run(&format!("verify --json {} damaged.tar", but(1)));
        // What `index.json` says of the volume may be what has changed.
        assert_eq!(ran.code, 3, "{is_manifest}: {}", ran.stderr);
    }
    put(&site, "cut.tar", &first[..first.len() - 5000]);
    let files = format!("{} cut.tar", but(1));
    assert_eq!(faults(&site, &files), [(1, true, 1)]);
    assert!(site.run(&format!("verify {files}")).stderr.contains("cut.tar is malformed"));

    std::fs::create_dir(site.path("other")).unwrap();
    site.ok(&format!("{export} -o other/site.tar --volume-size 150000"));
    for command in ["verify", "list", "import", "copy --all"] {
        let to = if matches!(command, "verify" | "list") { "" } else { "oci:none" };
        let ran = site.run(&format!("{command} {} other/site.v001.tar {to}", but(1)));
        assert_eq!(ran.code, 2, "{command}: {}", ran.stderr);
        assert!(ran.stderr.contains("other/site.v001.tar is of another bundle"), "{}", ran.stderr);
    }
    site.ok(&format!("{export} -o one.tar"));
    let ran = site.run(&format!("verify {} one.tar", but(1)));
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

#[test]
fn volumes_never_overwrite_others_half_way() {
    let (site, export) = twelve();
    let line = |size: &str| format!("{export} -o site.tar --volume-size {size}");
    site.ok(&line("200KiB"));
    let before = site.files();
    assert!(site.json(&line("200KiB"))["same"].as_bool().unwrap());
    for (line, told) in [
        (line("150000"), "site.v001.tar exists already"),
        (line("10MiB --force"), "this bundle has fewer volumes"),
        (line("10000"), "too small"),
        (line("200KiB --only-volume 0"), "zero"),
        (line("4G"), "not a size of a volume"),
        (line("200KiB --check"), "cannot be used with"),
        (format!("{export} -o oci:site --volume-size 200KiB"), "volumes are archive files"),
        (format!("{export} -o - --volume-size 200KiB"), "volumes are archive files"),
        (format!("{export} -o none/site.tar --volume-size 200KiB"), "none"),
        ("list site.v001.tar oci:near".to_owned(), "not volumes of one bundle"),
        ("tree site.v001.tar:a site.v002.tar:b".to_owned(), "both select an artifact"),
    ] {
        let ran = site.run(&line);
        assert_eq!(ran.code, 2, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{line}: {}", ran.stderr);
    }
    assert_eq!(site.files(), before);
    site.ok(&line("150000 --force"));
    site.ok(&format!("verify -q {}", volumes(&site, ".").join(" ")));
    let dry = site.json(&format!("{} --dry-run", line("140000 --force")));
    assert!(dry["id"].is_null() && dry["volumes"].as_array().unwrap().len() > 1);
}

#[test]
fn a_delta_lies_in_volumes_too() {
    let (site, export) = twelve();
    site.ok(
        "export -q oci:near:registry.example/app1:v1 oci:near:registry.example/app8:v1 -o old.tar",
    );
    site.ok("import -q old.tar oci:far");
    site.ok(&format!("{export} -o site.tar --base old.tar --volume-size 200KiB"));
    let all = volumes(&site, ".").join(" ");
    let document: Value =
        serde_json::from_str(&site.ok(&format!("verify --json {all} --base old.tar"))).unwrap();
    assert!(document["assumed"]["blobs"].as_u64().unwrap() > 0, "{document}");
    let listed = site.ok(&format!("list {all}"));
    assert!(!listed.contains("app8:v1") && listed.contains("app9:v1"), "{listed}");
    site.ok(&format!("import -q {all} oci:far"));
    site.ok("verify -q oci:far");
    site.ok(&format!("{export} -o one.tar"));
    site.ok("import -q one.tar oci:whole");
    assert_eq!(site.ok("list oci:far --json"), site.ok("list oci:whole --json"));
    let ran = site.run(&format!("import {all} oci:empty"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
}

#[test]
fn volumes_come_one_by_one_in_any_order() {
    let (site, export) = twelve();
    site.ok(&format!("{export} -o one.tar"));
    site.ok("import -q one.tar oci:far");
    let listed = site.ok("list oci:far --json");
    site.ok(&format!("{export} -o site.tar --volume-size 200KiB"));
    let all = volumes(&site, ".");
    assert!(all.len() >= 4);
    for turn in 0..all.len() {
        let to = format!("oci:far{turn}");
        let status = |code: i32| {
            let ran = site.run(&format!("import --status --json {} --to {to}", all[0]));
            assert_eq!(ran.code, code, "{}", ran.stderr);
            let status: Value = serde_json::from_slice(&ran.stdout).unwrap();
            let to_come = status["volumesToCome"].as_array().unwrap().iter();
            to_come.map(|number| number.as_u64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(status(4).len(), all.len());
        assert!(!site.path(&format!("far{turn}")).exists(), "nothing is written");
        let (early, late) = all.split_at(turn);
        let mut order: Vec<_> = late.iter().chain(early).collect();
        let last = order.pop().unwrap();
        for volume in &order {
            let ran = site.run(&format!("import {volume} {to}"));
            assert_eq!(ran.code, 4, "{volume}: {}", ran.stderr);
            assert!(ran.stderr.contains("still to come"), "{}", ran.stderr);
            site.ok(&format!("verify -q {to}"));
        }
        // A second time changes nothing.
        assert_eq!(site.run(&format!("import -q {} {to}", order[0])).code, 4);
        let number = all.iter().position(|volume| volume == last).unwrap() as u64 + 1;
        assert_eq!(status(4), [number]);
        let document = site.json(&format!("import {last} {to}"));
        assert!(document["volumesToCome"].is_null());
        assert_eq!(status(0), [0; 0]);
        assert_eq!(site.ok(&format!("list {to} --json")), listed);
        site.ok(&format!("verify -q {to}"));
        assert!(!site.path(&format!("far{turn}/.longshore/parts/sha256")).exists());
    }
    let some = site.run(&format!("import --json {} {} oci:some", all[0], all[1]));
    assert_eq!(some.code, 4);
    let document: Value = serde_json::from_slice(&some.stdout).unwrap();
    assert!(document["volumesToCome"].as_array().unwrap().len() <= all.len() - 2);
    assert!(document["roots"].as_array().unwrap().iter().any(|root| root["outcome"] == "waiting"));
}

#[test]
fn volumes_come_one_by_one_into_a_registry() {
    let (site, export) = twelve();
    site.ok(&format!("{export} -o site.tar --volume-size 200KiB"));
    let all = volumes(&site, ".");
    let far = Served::start(&site, "oci:far --writable");
    let to = format!("{}/mirror", far.host());
    let refused = site.run(&format!("import {} {to}", all[0]));
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("give --scratch DIR"), "{}", refused.stderr);
    for (number, volume) in all.iter().rev().enumerate() {
        let code = if number + 1 == all.len() { 0 } else { 4 };
        let ran = site.run(&format!("import -q {volume} {to} --scratch parts"));
        assert_eq!(ran.code, code, "{volume}: {}", ran.stderr);
    }
    for number in 0..12 {
        let name = format!("app{number}:v1");
        let near = site.digest(&format!("oci:near:registry.example/{name}"));
        assert_eq!(site.digest(&format!("{to}/{name}")), near);
        site.ok(&format!("verify -q {to}/{name}"));
    }
    assert!(!site.path("parts/longshore-parts/sha256").exists());
    site.ok(&format!("import -q --status {} {to} --scratch parts", all[0]));
}

#[test]
fn parts_that_are_wrong_are_refused_and_come_again() {
    let (site, export) = twelve();
    site.ok(&format!("{export} -o site.tar --volume-size 200KiB"));
    let all = volumes(&site, ".");
    let mut damaged = bytes(&site, &all[0]);
    let at = damaged.len() - 3000;
    damaged[at] ^= 1;
    put(&site, "damaged.tar", &damaged);
    let ran = site.run("import damaged.tar oci:far");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("is corrupt"), "{}", ran.stderr);
    // One that rots while it waits is noticed when the blob is put together, and is asked for again.
    assert_eq!(site.run(&format!("import -q {} oci:far", all[0])).code, 4);
    let parts = site.path("far/.longshore/parts/sha256");
    let part = std::fs::read_dir(&parts).unwrap().next().unwrap().unwrap().path();
    let mut rotten = std::fs::read(&part).unwrap();
    rotten[0] ^= 1;
    std::fs::write(&part, rotten).unwrap();
    let rest = all[1..].join(" ");
    let ran = site.run(&format!("import -q {rest} oci:far"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    site.ok("verify -q oci:far");
    let status = site.run(&format!("import --status {} --to oci:far", all[1]));
    assert_eq!(status.code, 4);
    assert!(status.stdout.starts_with(b"volumes 1, "), "{status:?}");
    let ran = site.run(&format!("import -q {} oci:far", all.join(" ")));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    site.ok("verify -q oci:far");
    for (line, told) in [
        ("import --status one.tar --to oci:far", "is no volume of a bundle"),
        ("import --status --dry-run site.v001.tar --to oci:far", "cannot be used with"),
    ] {
        site.ok(&format!("{export} -o one.tar"));
        let ran = site.run(line);
        assert_eq!(ran.code, 2, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{line}: {}", ran.stderr);
    }
    std::fs::create_dir(site.path("unpacked")).unwrap();
    let mut tar = std::process::Command::new("tar");
    tar.current_dir(site.path("unpacked")).args(["xf", "../site.v001.tar"]);
    assert!(tar.status().unwrap().success());
    for line in ["verify oci:unpacked", "import oci:unpacked --to oci:far"] {
        let ran = site.run(line);
        assert_eq!(ran.code, 2, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains("was unpacked into a directory"), "{line}: {}", ran.stderr);
    }
    let mut piped = site.command("import - oci:far");
    piped.stdin(std::fs::File::open(site.path("site.v001.tar")).unwrap());
    let ran = piped.output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8(ran.stderr).unwrap().contains("cannot be imported from stdin"));
}
