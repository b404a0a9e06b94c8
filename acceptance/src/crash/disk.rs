//! Disks that are full, turn read-only, or fail.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{dir, longshore, refuse, succeed, tar, tree, unharmed};
use crate::{peers, run};

const BLOBS: usize = 12;
const SIZE: u64 = 4 << 20;
/// How many more files a disk takes that fills up on the way.
const FEW_FILES: u64 = 6;

pub(super) fn run(program: &Path, work: &Path) -> Result<()> {
    let [layout, archive] = ["source", "source.tar"].map(|name| work.join(name));
    longshore_fixture::large(&layout, BLOBS, SIZE)?;
    succeed(longshore(program, &["copy", "--all-tags", &dir(&layout), &tar(&archive)]))?;
    let small = work.join("small");
    longshore_fixture::typed().write_directory(&small)?;
    let content = Content { program, layout, archive, small };
    match Tmpfs::mount(&work.join("mounted"), "size=16m")? {
        None => println!("full and read-only disks: skipped"),
        Some(disk) => {
            full(&content, &disk)?;
            read_only(&content, &disk)?;
        }
    }
    failing(&content, work)
}

/// What is copied.
struct Content<'a> {
    program: &'a Path,
    /// One image of some size.
    layout: PathBuf,
    /// The same.
    archive: PathBuf,
    /// Some artifacts that are there before anything goes wrong.
    small: PathBuf,
}

impl Content<'_> {
    fn copy(&self, from: &str, to: &str) -> Command {
        longshore(self.program, &["copy", "--all", "--quiet", from, to])
    }

    /// Returns a copy in one thread, whose calls come in one order.
    fn copy_in_order(&self, from: &str, to: &str) -> Command {
        longshore(self.program, &["copy", "--all", "--quiet", "--jobs", "1", from, to])
    }

    /// Puts the small artifacts into a layout and returns what its files are.
    fn settle(
        &self,
        target: &Path,
    ) -> Result<std::collections::BTreeMap<String, longshore_spec::Digest>> {
        succeed(self.copy(&dir(&self.small), &dir(target)))?;
        tree(target)
    }

    fn verify(&self, place: &str) -> Result<()> {
        succeed(longshore(self.program, &["verify", "--quiet", place])).map(drop)
    }
}

/// A small disk of its own.
pub(super) struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounts it; `None`, said aloud, where that is not allowed. In CI it must be.
    pub(super) fn mount(at: &Path, options: &str) -> Result<Option<Self>> {
        std::fs::create_dir_all(at)?;
        let mounted = mount(&["-t", "tmpfs", "-o", options, "tmpfs"], at);
        if let Err(error) = mounted {
            ensure!(!run::in_ci(), "a small disk cannot be mounted: {error}");
            println!("mounting a small disk is not allowed here");
            return Ok(None);
        }
        Ok(Some(Self(at.to_owned())))
    }

    /// Returns where it is mounted.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn remount(&self, options: &str) -> Result<()> {
        mount(&["-o", &format!("remount,{options}")], &self.0)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn mount(words: &[&str], at: &Path) -> Result<()> {
    run::capture(Command::new("mount").args(words).arg(at)).map(drop)
}

/// A disk that is too small, and one that fills up on the way.
fn full(content: &Content<'_>, disk: &Tmpfs) -> Result<()> {
    println!("\n== a full disk");
    let target = disk.0.join("layout");
    let before = content.settle(&target)?;
    let (from, to) = (dir(&content.layout), dir(&target));
    refuse(content.copy(&from, &to), 2, "has no room")?;
    refuse(content.copy(&from, &tar(&disk.0.join("full.tar"))), 2, "has no room")?;
    ensure!(
        !disk.0.join("full.tar.partial").exists(),
        "nothing must be written where there is no room"
    );
    unharmed(&before, &target)?;

    // Room enough, but no more files: that is noticed only on the way.
    println!("-- that fills up on the way");
    let files = run::capture(
        Command::new("stat").args(["--file-system", "--format", "%c %d"]).arg(&disk.0),
    )?;
    let (all, free) = files.trim().split_once(' ').context("`stat` says something else")?;
    let used = all.parse::<u64>()? - free.parse::<u64>()?;
    disk.remount(&format!("size=512m,nr_inodes={}", used + FEW_FILES))?;
    refuse(content.copy(&from, &to), 1, "no space left on device")?;
    unharmed(&before, &target)?;
    content.verify(&to)?;
    disk.remount("size=512m,nr_inodes=0")?;
    succeed(content.copy(&from, &to))?;
    content.verify(&to)?;
    println!("  with room again, the same command goes on and is done");
    Ok(std::fs::remove_dir_all(&target)?)
}

/// A disk that turns read-only between two runs.
fn read_only(content: &Content<'_>, disk: &Tmpfs) -> Result<()> {
    println!("\n== a disk that turns read-only");
    let target = disk.0.join("layout");
    let before = content.settle(&target)?;
    disk.remount("ro")?;
    let (from, to) = (dir(&content.layout), dir(&target));
    refuse(content.copy(&from, &to), 2, "read-only")?;
    refuse(content.copy(&from, &tar(&disk.0.join("new.tar"))), 2, "read-only")?;
    refuse(longshore(content.program, &["tag", &format!("{to}:app"), "other"]), 2, "read-only")?;
    unharmed(&before, &target)?;
    content.verify(&to)?;
    disk.remount("rw")?;
    succeed(content.copy(&from, &to))?;
    content.verify(&to)?;
    println!("  writable again, the same command is done");
    Ok(std::fs::remove_dir_all(&target)?)
}

/// A disk that fails: each call by which a file is written and named ends with EIO once. A file is
/// renamed by one of several calls.
fn failing(content: &Content<'_>, work: &Path) -> Result<()> {
    println!("\n== a disk that fails");
    let Some(strace) = peers::required("strace")? else { return Ok(()) };
    let target = work.join("failing");
    let archive = work.join("failing.tar");
    for (call, when) in
        [("fsync", 1), ("fsync", 4), ("/^rename", 2), ("/^rename", 5), ("pwrite64", 30)]
    {
        let before = content.settle(&target)?;
        let copy = content.copy_in_order(&tar(&content.archive), &dir(&target));
        refuse(inject(&strace, call, when, &copy), 1, "input/output error")?;
        unharmed_but_named(&before, &target)?;
        content.verify(&dir(&target))?;
        succeed(content.copy(&tar(&content.archive), &dir(&target)))?;
        content.verify(&dir(&target))?;
        std::fs::remove_dir_all(&target)?;
    }
    for (call, when) in
        [("pwrite64", 9), ("fdatasync", 1), ("fsync", 1), ("fsync", 2), ("/^rename", 1)]
    {
        let copy = content.copy_in_order(&dir(&content.layout), &tar(&archive));
        refuse(inject(&strace, call, when, &copy), 1, "input/output error")?;
        ensure!(!archive.exists(), "an archive that is not complete must not have its name");
        succeed(content.copy(&dir(&content.layout), &tar(&archive)))?;
        ensure!(
            std::fs::read(&archive)? == std::fs::read(&content.archive)?,
            "the archive has other bytes"
        );
        std::fs::remove_file(&archive)?;
    }
    Ok(())
}

/// `index.json` may have been replaced by a later one; everything else is what it was.
fn unharmed_but_named(
    before: &std::collections::BTreeMap<String, longshore_spec::Digest>,
    target: &Path,
) -> Result<()> {
    let mut blobs = before.clone();
    blobs.remove("index.json");
    unharmed(&blobs, target)
}

/// Returns a command whose `when`th call of a kind fails with EIO.
fn inject(strace: &Path, call: &str, when: u32, command: &Command) -> Command {
    let mut traced = Command::new(strace);
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={call}"));
    traced.arg("-e").arg(format!("inject={call}:error=EIO:when={when}"));
    traced.arg(command.get_program()).args(command.get_args());
    traced
}
