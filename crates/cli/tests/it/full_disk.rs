//! Bundles on sticks: small disks that are full or may only be read.

use std::fs::Metadata;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use longshore_fixture::{Node, Tree};
use longshore_spec::Digest;

use crate::common::{Ran, Site, has, prepare, redacted, words};
use crate::servers::Served;

/// A small disk at `stick`, which only commands see that are run through it. It is gone with this.
struct Stick<'s> {
    site: &'s Site,
    holder: Child,
    /// The holder ends when this does.
    _stdin: ChildStdin,
}

impl<'s> Stick<'s> {
    /// Returns a disk of so many KiB; `None`, said aloud, where that is not allowed. In CI it must be.
    fn new(site: &'s Site, kib: u32) -> Option<Self> {
        if !has("unshare") || !has("nsenter") {
            return None;
        }
        std::fs::create_dir_all(site.path("stick")).unwrap();
        let script = format!("mount -t tmpfs -o size={kib}k tmpfs stick && echo mounted && cat");
        let mut command = Command::new("unshare");
        command.args(Self::namespaces()).args(["--propagation", "private", "sh", "-c", &script]);
        command.current_dir(site.root()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.stderr(Stdio::piped()).spawn().unwrap();
        let stdin = holder.stdin.take().unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
        if said == "mounted\n" {
            return Some(Self { site, holder, _stdin: stdin });
        }
        drop(stdin);
        let complaint = holder.wait_with_output().unwrap().stderr;
        let complaint = String::from_utf8_lossy(&complaint);
        let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        assert!(!in_ci, "a small disk cannot be mounted: {complaint}");
        eprintln!("skipped: a small disk cannot be mounted here: {complaint}");
        None
    }

    /// The superuser needs no namespace of users, and may not be allowed one.
    fn namespaces() -> &'static [&'static str] {
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|found: Metadata| found.uid() == 0);
        if is_root { &["--mount"] } else { &["--user", "--map-root-user", "--mount"] }
    }

    /// Returns a command that sees the disk.
    fn command(&self, program: &std::path::Path, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        let namespaces = Self::namespaces().iter().filter(|flag| **flag != "--map-root-user");
        command.arg("--target").arg(self.holder.id().to_string()).args(namespaces);
        // The directory is entered there: here it leads to what the disk is mounted over.
        command.args(["--preserve-credentials", "sh", "-c", "cd \"$0\" && exec \"$@\""]);
        command.arg(self.site.root()).arg(program).args(words(line));
        prepare(&mut command, self.site.root());
        command
    }

    fn longshore(&self, line: &str) -> Command {
        self.command(assert_cmd::cargo::cargo_bin!("longshore"), line)
    }

    fn run(&self, line: &str) -> Ran {
        Ran::of(self.longshore(line).output().unwrap())
    }

    fn ok(&self, line: &str) {
        let ran = self.run(line);
        assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
    }

    /// Mounts it with other options.
    fn remount(&self, options: &str) {
        // The options that it has name its owner by a number that a namespace of users does not know.
        let line = format!("--options-mode ignore -o remount,{options} stick");
        let ran = Ran::of(self.command("mount".as_ref(), &line).output().unwrap());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }

    /// Returns the disk as this process can see it.
    fn path(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.site.path("stick").strip_prefix("/").unwrap())
    }

    /// Runs commands that must leave the disk as it is; returns what is said.
    fn refused(&self, served: &Served, lines: &[&str]) -> String {
        let before = Tree::read(&self.path()).unwrap();
        let shown = lines.iter().map(|line| {
            let Ran { code, stderr, .. } = self.run(&line.replace("HOST", served.host()));
            format!("$ longshore {line}\n{}[exit {code}]\n", redacted(&served.redacted(&stderr)))
        });
        let shown = shown.collect::<Vec<_>>().join("\n");
        assert!(before == Tree::read(&self.path()).unwrap(), "the disk was touched");
        without_room(&shown)
    }
}

impl Drop for Stick<'_> {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Returns what was said without how much is free, which is not the same on all systems.
fn without_room(said: &str) -> String {
    let said = said.lines().map(|line| match line.split_once(" are needed and ") {
        Some((needed, _)) => format!("{needed} are needed and ROOM are free"),
        None => line.to_owned(),
    });
    said.collect::<Vec<_>>().join("\n")
}

/// A registry with an image of some MiB.
fn registry() -> (Site, Served) {
    const LAYERS: usize = 4;
    const SIZE: u64 = 1 << 20;
    let site = Site::new();
    longshore_fixture::large(&site.path("near"), LAYERS, SIZE).unwrap();
    let served = Served::start(&site, "oci:near --repository acme/app");
    (site, served)
}

#[test]
fn a_stick_that_is_full_is_told_before_anything_is_written() {
    let (site, near) = registry();
    let Some(stick) = Stick::new(&site, 2048) else { return };
    std::fs::write(stick.path().join("precious"), "yesterday's\n").unwrap();
    insta::assert_snapshot!(stick.refused(&near, &[
        "export -q HOST/acme/app:large -o stick/b.tar",
    ]), @r"
    $ longshore export -q HOST/acme/app:large -o stick/b.tar
    error: stick has no room: 4.0 MiB are needed and ROOM are free
      hint: free 2.0 MiB, or choose another disk
    [exit 2]
    ");
    let onto = stick.run(&format!("export -q {}/acme/app:large -o oci:stick/b", near.host()));
    insta::assert_snapshot!(without_room(&redacted(&onto.stderr)), @r"
    error: stick has no room: 4.0 MiB are needed and ROOM are free
      hint: free 2.0 MiB, or choose another disk
    ");
    stick.remount("size=16m");
    stick.ok(&format!("export -q {}/acme/app:large -o stick/b.tar", near.host()));
    stick.ok("verify -q oci-archive:stick/b.tar");
}

#[test]
fn a_stick_that_fills_up_keeps_what_has_come() {
    // Room for the bytes, but not for all files: that is noticed only on the way.
    const FEW_FILES: u32 = 16;
    let (site, near) = registry();
    let Some(stick) = Stick::new(&site, 16 << 10) else { return };
    let archive = format!("export -q {}/acme/app:large -o stick/b.tar", near.host());
    let directory = format!("export -q {}/acme/app:large -o oci:stick/b --jobs 1", near.host());
    stick.remount("nr_inodes=2");
    let full = stick.run(&archive);
    insta::assert_snapshot!(redacted(&near.redacted(&full.stderr)), @r"
    error: cannot write stick/b.tar.partial.journal: no space left on device
      hint: free some room and run the same command again: it goes on where it stopped
    ");
    assert!(full.code != 0 && !stick.path().join("b.tar").exists());
    stick.remount(&format!("nr_inodes={FEW_FILES}"));
    let full = stick.run(&directory);
    insta::assert_snapshot!(redacted(&near.redacted(&full.stderr)), @r"
    error: sha256:44136fa3…: cannot write stick/b/.longshore/partial/sha256/44136fa3…: no space left on device
      hint: free some room and run the same command again: it goes on where it stopped
    error: `HOST/acme/app:large` is not complete
    ");
    assert_eq!(full.code, 1);
    for (path, node) in Tree::read(&stick.path().join("b/blobs")).unwrap().nodes() {
        let Node::File(bytes) = node else { continue };
        assert!(path.ends_with(&Digest::sha256(bytes).encoded()), "{path} is not whole");
    }
    stick.remount("nr_inodes=0");
    for (line, place) in [(archive, "oci-archive:stick/b.tar"), (directory, "oci:stick/b")] {
        stick.ok(&line);
        stick.ok(&format!("verify -q {place}"));
    }
    let left = std::fs::read_dir(stick.path()).unwrap().count();
    assert_eq!(left, 2, "nothing lies beside them");
}

#[test]
fn a_stick_that_may_only_be_read_is_read_and_refused_as_a_target() {
    let (site, near) = registry();
    let Some(stick) = Stick::new(&site, 32 << 10) else { return };
    for target in ["stick/b.tar", "oci:stick/b"] {
        stick.ok(&format!("export -q {}/acme/app:large -o {target}", near.host()));
    }
    stick.remount("ro");
    insta::assert_snapshot!(stick.refused(&near, &[
        "export -q HOST/acme/app:large -o stick/new.tar",
        "export -q HOST/acme/app:large -o oci:stick/new",
        "export -q HOST/acme/app:large -o oci:stick/b",
        "export -q HOST/acme/app:large --referrers none -o stick/b.tar --force",
        "import stick/b.tar oci:stick/new",
        "import stick/b.tar oci:there --report stick/report.json",
        "serve --writable --listen 127.0.0.1:0 oci:stick/b",
        "serve --writable --listen 127.0.0.1:0 oci:stick/new/deep",
    ]), @r"
    $ longshore export -q HOST/acme/app:large -o stick/new.tar
    error: cannot write stick/new.tar.partial: read-only file system
      hint: the disk cannot be written to; choose another, or mount it writable
    [exit 2]

    $ longshore export -q HOST/acme/app:large -o oci:stick/new
    error: cannot create the directory stick/new: read-only file system
      hint: the disk cannot be written to; choose another, or mount it writable
    [exit 2]

    $ longshore export -q HOST/acme/app:large -o oci:stick/b
    error: cannot write stick/b/.longshore/lock: read-only file system
      hint: the disk cannot be written to; choose another, or mount it writable
    [exit 2]

    $ longshore export -q HOST/acme/app:large --referrers none -o stick/b.tar --force
    error: cannot write stick/b.tar.partial: read-only file system
      hint: the disk cannot be written to; choose another, or mount it writable
    [exit 2]

    $ longshore import stick/b.tar oci:stick/new
    error: cannot create the directory stick/new: read-only file system
      hint: the disk cannot be written to; choose another, or mount it writable
    [exit 2]

    $ longshore import stick/b.tar oci:there --report stick/report.json
    error: cannot write stick/report.json: read-only file system
      hint: the disk cannot be written to; choose another, or mount it writable
    [exit 2]

    $ longshore serve --writable --listen 127.0.0.1:0 oci:stick/b
    error: cannot write to stick/b: read-only file system
      hint: the disk cannot be written to; choose another, or mount it writable
    [exit 2]

    $ longshore serve --writable --listen 127.0.0.1:0 oci:stick/new/deep
    error: cannot write to stick/new/deep: read-only file system
      hint: the disk cannot be written to; choose another, or mount it writable
    [exit 2]
    ");
    let far = Served::start(&site, "oci:far --writable");
    for (bundle, place) in
        [("stick/b.tar", "oci-archive:stick/b.tar"), ("oci:stick/b", "oci:stick/b")]
    {
        stick.ok(&format!("verify -q {place}"));
        stick.ok(&format!("import -q {bundle} {}/mirror", far.host()));
        let arrived = site.digest(&format!("{}/mirror/acme/app:large", far.host()));
        assert_eq!(arrived, site.digest("oci:near:large"));
        let served = stick.longshore(&format!("serve --listen 127.0.0.1:0 --json {place}"));
        let served = Served::spawn(served);
        let served = format!("{}/acme/app:large", served.host());
        assert_eq!(site.digest(&served), arrived);
        site.ok(&format!("verify -q {served}"));
    }
}
