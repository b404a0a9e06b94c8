//! What is said when something is not as it must be: what, what is wrong with it, what to do.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use longshore_fixture::{Content, Draft, artifacts};
use longshore_spec::{Descriptor, Digest, MediaType};

use crate::common::{Ran, Site, has, prepare, redacted, words};

#[test]
fn content_that_is_not_what_it_should_be_is_named() {
    let site = Site::new();
    let missing = site.fixture("layout-missing-blob");
    let corrupt = site.fixture("layout-bad-digest");
    let short = site.fixture("layout-short-blob");
    let lines = [missing, corrupt, short].map(|name| format!("copy -q oci:{name} oci:dst"));
    insta::assert_snapshot!(site.errors(&lines.each_ref().map(String::as_str)), @r"
    $ longshore copy -q oci:layout-missing-blob oci:dst
    error: sha256:d5991443… is not in layout-missing-blob
      hint: this copy is incomplete; fetch it again from its source
    error: `app` is not complete
    [exit 1]

    $ longshore copy -q oci:layout-bad-digest oci:dst
    error: sha256:d5991443… is corrupt: its content hashes to sha256:d759af29…
      hint: this copy is damaged; fetch it again from its source
    error: `app` is not complete
    [exit 1]

    $ longshore copy -q oci:layout-short-blob oci:dst
    error: sha256:d5991443… is corrupt: its size is 2071 bytes, but its content has 100
      hint: this copy is damaged; fetch it again from its source
    error: `app` is not complete
    [exit 1]
    ");
}

#[test]
fn an_archive_that_is_larger_than_files_may_be_is_refused_with_a_way_out() {
    let site = Site::image();
    let mut shell = Command::new("sh");
    // What a file system such as FAT32 answers, from a limit of the system's own.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\""]);
    shell.arg(assert_cmd::cargo::cargo_bin!("longshore"));
    shell.args(words("copy -q --all oci:src oci-archive:a.tar"));
    prepare(&mut shell, site.root());
    let Ran { code, stderr, .. } = Ran::of(shell.output().unwrap());
    insta::assert_snapshot!(format!("{}[exit {code}]", redacted(&stderr)), @r"
    error: cannot write a.tar.partial: file too large
      hint: no file can be that large there: FAT32 ends at 4 GiB, exFAT and ext4 do not; a directory, `oci:DIR`, has a file for each blob
    [exit 2]
    ");
    assert!(!site.path("a.tar").exists());
}

#[test]
fn files_that_are_not_what_they_should_be_are_named() {
    let site = Site::image();
    let cut = site.fixture("tar-truncated-in-blob");
    let corrupt = site.fixture("layout-index-corrupt");
    site.file("notes.txt", "not an archive\n");
    std::fs::create_dir(site.path("documents")).unwrap();
    std::fs::write(site.path("documents/letter"), "Dear\n").unwrap();
    insta::assert_snapshot!(site.errors(&[
        &format!("list oci-archive:{cut}"),
        &format!("list oci:{corrupt}"),
        "list oci-archive:notes.txt",
        "list oci:notes.txt",
        "list oci-archive:src",
        "list oci:documents",
        "copy oci:src oci:documents",
        "list oci:nowhere",
        "list oci-archive:nowhere.tar",
    ]), @r"
    $ longshore list oci-archive:tar-truncated-in-blob.tar
    error: tar-truncated-in-blob.tar is malformed: its member `blobs/sha256/d5991443…` is cut off: it has 2071 bytes, and the file ends after 1035 of them
      hint: the file is incomplete; copy it again from its source
    [exit 2]

    $ longshore list oci:layout-index-corrupt
    error: layout-index-corrupt/index.json is malformed: EOF while parsing a string at line 1 column 149
      hint: it is damaged, or was created wrongly; fetch it again from its source
    [exit 2]

    $ longshore list oci-archive:notes.txt
    error: notes.txt is not a tar archive
      hint: an archive is a tar file, plain or compressed with gzip or zstd; check the path
    [exit 2]

    $ longshore list oci:notes.txt
    error: notes.txt is not a directory
      hint: write `oci-archive:FILE` if it is a tar file
    [exit 2]

    $ longshore list oci-archive:src
    error: src is a directory, not an archive
      hint: a layout directory is given as `oci:DIR`
    [exit 2]

    $ longshore list oci:documents
    error: documents has no `oci-layout`, so it is not an image layout
      hint: give the directory that holds `oci-layout`, or an empty or new one to write to
    [exit 2]

    $ longshore copy oci:src oci:documents
    error: documents is not empty and has no `oci-layout`, so it is not an image layout
      hint: give the directory that holds `oci-layout`, or an empty or new one to write to
    [exit 2]

    $ longshore list oci:nowhere
    error: cannot open nowhere: no such file or directory
      hint: check the path: it, or a directory in it, does not exist
    [exit 2]

    $ longshore list oci-archive:nowhere.tar
    error: cannot open nowhere.tar: no such file or directory
      hint: check the path: it, or a directory in it, does not exist
    [exit 2]
    ");
}

#[test]
fn names_that_are_not_there_or_mean_several_things_are_named() {
    let site = Site::typed();
    site.put("full", &full_names());
    insta::assert_snapshot!(site.errors(&[
        "copy oci:site:ap oci:dst",
        "copy -q oci:site:ap oci:site:chart oci:dst",
        "inspect oci:site:App",
        "inspect oci:site",
        "copy oci:site oci:dst",
        "digest oci:full:1.0",
        "untag oci:site:nope",
        "digest oci:site@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ]), @r"
    $ longshore copy oci:site:ap oci:dst
    error: `ap` is not in oci:site
      hint: it has `app`, `bottle`, `built`, `bundle`, `chart` and 12 more; `longshore list oci:site` shows all
    [exit 1]

    $ longshore copy -q oci:site:ap oci:site:chart oci:dst
    error: ap is not in site
      hint: `longshore list` shows what is there
    [exit 1]

    $ longshore inspect oci:site:App
    error: `App` is not in oci:site
      hint: it has `app`, `bottle`, `built`, `bundle`, `chart` and 12 more; `longshore list oci:site` shows all
    [exit 1]

    $ longshore inspect oci:site
    error: oci:site holds 17 artifacts, so say which one
      hint: write `oci:site:NAME`; it has `app`, `bottle`, `built`, `bundle`, `chart` and 12 more; `longshore list oci:site` shows all
    [exit 2]

    $ longshore copy oci:site oci:dst
    error: oci:site holds 17 artifacts, so say which one
      hint: write `oci:site:NAME`; it has `app`, `bottle`, `built`, `bundle`, `chart` and 12 more; `longshore list oci:site` shows all; or take all with --all-tags or --all
    [exit 2]

    $ longshore digest oci:full:1.0
    error: `1.0` is ambiguous in full: it may be `ghcr.io/acme/app:1.0` or `quay.io/acme/app:1.0`
      hint: give the full name or the digest
    [exit 1]

    $ longshore untag oci:site:nope
    error: `nope` is not in oci:site
      hint: it has `app`, `bottle`, `built`, `bundle`, `chart` and 12 more; `longshore list oci:site` shows all
    [exit 1]

    $ longshore digest oci:site@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    error: `sha256:e3b0c442…` is not in oci:site
      hint: it has `app`, `bottle`, `built`, `bundle`, `chart` and 12 more; `longshore list oci:site` shows all
    [exit 1]
    ");
}

fn full_names() -> Content {
    let mut content = Content::new();
    for (seed, name) in [(1, "ghcr.io/acme/app:1.0"), (2, "quay.io/acme/app:1.0")] {
        let image = artifacts::empty_config(&mut content, seed);
        content.tag(&image, name);
    }
    content
}

#[test]
fn what_is_in_the_way_is_named() {
    let site = Site::image();
    site.put("other", &Content::tagged("app", |content| artifacts::image(content, 2)));
    site.put("empty", &Content::new());
    site.file("there.tar", "precious\n");
    insta::assert_snapshot!(site.errors(&[
        "copy oci:src oci-archive:there.tar",
        "copy oci:src oci:there.tar",
        "copy oci:src oci-archive:other",
        "copy oci:src oci-archive:nowhere/new.tar",
        "copy oci:src oci:other oci-archive:new.tar",
        "copy oci:src oci:other oci:new:app",
        "copy oci:src oci:src",
        "copy oci:src/ oci:./src",
        "copy oci:empty oci-archive:new.tar",
        "copy oci:new oci:src",
    ]), @r"
    $ longshore copy oci:src oci-archive:there.tar
    error: there.tar exists already
      hint: choose another name; --force replaces it
    [exit 2]

    $ longshore copy oci:src oci:there.tar
    error: there.tar is not a directory
      hint: write `oci-archive:FILE` if it is a tar file
    [exit 2]

    $ longshore copy oci:src oci-archive:other
    error: other is a directory, where an archive is a file
      hint: write `oci:other`, or choose another name
    [exit 2]

    $ longshore copy oci:src oci-archive:nowhere/new.tar
    error: cannot write nowhere/new.tar: the directory nowhere is not there
      hint: `mkdir -p nowhere` makes it; or choose another path
    [exit 2]

    $ longshore copy oci:src oci:other oci-archive:new.tar
    error: `app` would stand for both sha256:a368c1fe… and sha256:9f7c2bc4…
      hint: copy them to different names, one at a time
    [exit 2]

    $ longshore copy oci:src oci:other oci:new:app
    error: 2 artifacts cannot all be called `app`
      hint: write to `oci:new`: they keep their names
    [exit 2]

    $ longshore copy oci:src oci:src
    error: oci:src would be copied onto itself
      hint: `longshore tag` gives an artifact a further name
    [exit 2]

    $ longshore copy oci:src/ oci:./src
    error: oci:src/ would be copied onto itself
      hint: `longshore tag` gives an artifact a further name
    [exit 2]

    $ longshore copy oci:empty oci-archive:new.tar
    error: oci:empty is empty
      hint: check the path, or copy something to it first
    [exit 2]

    $ longshore copy oci:new oci:src
    error: cannot open new: no such file or directory
      hint: the source comes first: check its path, or turn it round: `longshore copy oci:src oci:new`
    [exit 2]
    ");
}

#[test]
fn a_platform_or_type_that_is_not_there_is_named() {
    let site = Site::typed();
    insta::assert_snapshot!(site.errors(&[
        "copy -q --platform linux/s390x oci:site:app oci-archive:new.tar",
        "copy --platform linux oci:site:app oci-archive:new.tar",
        "copy --type imgae oci:site:app oci-archive:new.tar",
        "copy --referrers=sbmo oci:site:app oci-archive:new.tar",
        "list --type chrat oci:site",
    ]), @r"
    $ longshore copy -q --platform linux/s390x oci:site:app oci-archive:new.tar
    error: app: the platform linux/s390x is not in the index sha256:94ab682b…, which has linux/amd64, linux/arm64, linux/arm/v7, windows(10.0.17763.6293)/amd64
      hint: choose one of those that are there; without --platform, all of them are taken
    error: nothing was written to oci-archive:new.tar: an archive is written whole or not at all
      hint: leave out what is not available, or repair it
    [exit 1]

    $ longshore copy --platform linux oci:site:app oci-archive:new.tar
    error: `linux` is not a platform: write OS/ARCH or OS/ARCH/VARIANT, such as linux/amd64 or linux/arm/v7
    [exit 2]

    $ longshore copy --type imgae oci:site:app oci-archive:new.tar
    error: `imgae` is not an artifact type; did you mean `image`?
      hint: see `longshore types`; a media type works too
    [exit 2]

    $ longshore copy --referrers=sbmo oci:site:app oci-archive:new.tar
    error: `sbmo` is not an artifact type; did you mean `sbom`?
      hint: see `longshore types`; a media type works too
    [exit 2]

    $ longshore list --type chrat oci:site
    error: `chrat` is not an artifact type; did you mean `chart`?
      hint: see `longshore types`; a media type works too
    [exit 2]
    ");
}

#[test]
fn a_disk_that_is_too_small_is_named() {
    let site = Site::new();
    let mut content = Content::new();
    let config = content.empty();
    let layer = Descriptor::new(MediaType::LAYER_TAR, Digest::sha256("no such layer"), 1 << 60);
    let draft = Draft::image(&config, &[layer]).artifact_type("application/vnd.example.huge.v1");
    let manifest = content.manifest(&draft);
    content.tag(&manifest, "huge");
    site.put("src", &content);

    for target in ["oci:dst", "oci-archive:dst.tar"] {
        let ran = site.run(&format!("copy oci:src {target}"));
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        let told = ["has no room: 1.0 EiB are needed and", "hint: free 1024.0 PiB"];
        for part in told {
            assert!(ran.stderr.contains(part), "{target}: {part}: {}", ran.stderr);
        }
    }
    assert!(!site.path("dst.tar.partial").exists());
}

#[test]
fn what_may_not_be_read_or_written_is_named() {
    let site = Site::image();
    site.put("locked", &Content::tagged("app", |content| artifacts::image(content, 1)));
    site.file("secret.tar", "x");
    std::fs::create_dir(site.path("closed")).unwrap();
    for (name, mode) in
        [("", 0o755), ("closed", 0o555), ("secret.tar", 0o000), ("locked/index.json", 0o000)]
    {
        std::fs::set_permissions(site.path(name), Permissions::from_mode(mode)).unwrap();
    }
    let lines = [
        "list oci-archive:secret.tar",
        "list oci:locked",
        "copy oci:src oci:closed/new",
        "copy oci:src oci-archive:closed/new.tar",
        "tag oci:src:app other",
        "man closed",
    ];
    // Permissions do not bind the superuser, so somebody else is asked to try.
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0);
    if is_root && !has("setpriv") {
        return;
    }
    let program = site.path("longshore");
    // Copied by a process of its own: a program that this one has open for writing, or that a child
    // started meanwhile has inherited so, cannot be run.
    let mut copy = Command::new("cp");
    copy.arg(assert_cmd::cargo::cargo_bin!("longshore")).arg(&program);
    assert!(copy.status().unwrap().success());
    let run = |line: &&str| {
        let mut command = if is_root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
            command
        } else {
            // What is written here must not be ours to write.
            std::fs::set_permissions(site.path("src"), Permissions::from_mode(0o555)).unwrap();
            Command::new(&program)
        };
        prepare(command.args(words(line)), site.root());
        let Ran { code, stderr, .. } = Ran::of(command.output().unwrap());
        format!("$ longshore {line}\n{}[exit {code}]\n", redacted(&stderr))
    };
    let shown = lines.iter().map(run).collect::<Vec<_>>().join("\n");
    std::fs::set_permissions(site.path("src"), Permissions::from_mode(0o755)).unwrap();
    insta::assert_snapshot!(shown, @"
    $ longshore list oci-archive:secret.tar
    error: cannot open secret.tar: permission denied
      hint: check the permissions
    [exit 2]

    $ longshore list oci:locked
    error: cannot open locked/index.json: permission denied
      hint: check the permissions
    [exit 2]

    $ longshore copy oci:src oci:closed/new
    error: cannot create the directory closed/new: permission denied
      hint: check the permissions
    [exit 2]

    $ longshore copy oci:src oci-archive:closed/new.tar
    error: cannot write closed/new.tar.partial: permission denied
      hint: check the permissions
    [exit 2]

    $ longshore tag oci:src:app other
    error: cannot create the directory src/.longshore: permission denied
      hint: check the permissions
    [exit 2]

    $ longshore man closed
    error: cannot write manual pages into closed: permission denied
      hint: give a directory that can be made and written to
    [exit 2]
    ");
}
