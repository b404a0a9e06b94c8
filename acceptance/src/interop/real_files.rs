//! Hundreds of megabytes of real files, from a directory to an archive and back, and again.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::carry::same_list;
use super::ground::Ground;
use super::{Outcome, packages};
use crate::run::{capture, timed};

const MIB: f64 = 1_048_576.0;

/// How often the disk is looked at while an archive is written.
const GLANCE: Duration = Duration::from_millis(10);

/// What may lie beside an archive while it is written: the journal, and blocks that are begun.
const BESIDE: u64 = 1 << 20;

/// Carries the layout, and looks at the clock and at the disk.
pub(super) fn check(ground: &Ground<'_>) -> Result<Outcome> {
    let (what, making) = timed(|| packages::layout(ground, "real"));
    let what = what?;
    let size = disk(&ground.path("real"));
    let listed = ground.listed("oci:real")?;
    let mut steps =
        vec![format!("{what}, {:.0} MiB, made in {:.1} s", mib(size), making.as_secs_f64())];
    fs::create_dir(ground.path("out"))?;

    let (first, peak, time) = archive(ground, "oci:real", "first.tar")?;
    ensure!(
        peak <= first + BESIDE,
        "writing an archive of {first} bytes took {peak} bytes of the disk at the same time"
    );
    steps.push(format!(
        "directory to archive {}, at most {:.3} times the archive on disk",
        rate(first, time),
        ratio(peak, first)
    ));
    // One copy at a time: a temporary directory may be small.
    fs::remove_dir_all(ground.path("real"))?;
    let (result, time) = timed(|| ground.verified("oci-archive:out/first.tar"));
    let blobs = result?;
    steps.push(format!("verify the archive ({blobs} blobs) {}", rate(first, time)));
    let (result, time) = timed(|| ground.copied("oci-archive:out/first.tar", "oci:back"));
    result?;
    steps.push(format!("archive to directory {}", rate(first, time)));
    let (result, time) = timed(|| ground.verified("oci:back"));
    ensure!(result? == blobs, "oci:back has not the {blobs} blobs of the archive");
    steps.push(format!("verify the directory {}", rate(first, time)));
    same_list(ground, "oci:real", &listed, "oci:back")?;
    let before = ground.sha256("out/first.tar")?;
    fs::remove_file(ground.path("out/first.tar"))?;
    let (_, _, time) = archive(ground, "oci:back", "second.tar")?;
    steps.push(format!("directory to archive again {}", rate(first, time)));
    let after = ground.sha256("out/second.tar")?;
    ensure!(before == after, "first.tar is {before}, second.tar {after}: they should be one file");
    steps.push(format!("both archives {before}"));
    Ok(Outcome::Passed(steps.join("\n    ")))
}

/// Archives a layout and returns the size of the archive, the most that lay on the disk meanwhile,
/// and the time.
fn archive(ground: &Ground<'_>, from: &str, name: &str) -> Result<(u64, u64, Duration)> {
    let to = format!("oci-archive:out/{name}");
    let mut command = ground.command(&["copy", "--quiet", "--all", from, &to]);
    // What the program might put among temporary files counts too.
    command.env("TMPDIR", ground.path("out"));
    let (result, time) = timed(|| watched(&mut command, &ground.path("out")));
    let peak = result?;
    let size = fs::metadata(ground.path("out").join(name))?.len();
    Ok((size, peak, time))
}

/// Runs a command and returns the most that a directory held meanwhile.
fn watched(command: &mut Command, directory: &Path) -> Result<u64> {
    thread::scope(|scope| {
        let work = scope.spawn(|| capture(command));
        let mut peak = 0;
        while !work.is_finished() {
            peak = peak.max(disk(directory));
            thread::sleep(GLANCE);
        }
        work.join().expect("nothing panics there")?;
        Ok(peak.max(disk(directory)))
    })
}

/// Returns how much of the disk the files in a directory take. What is just being removed counts
/// nothing.
fn disk(directory: &Path) -> u64 {
    const BLOCK: u64 = 512;
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk(&entry.path()),
        Ok(metadata) => metadata.blocks() * BLOCK,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

fn rate(bytes: u64, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!("{seconds:.1} s, {:.0} MiB/s", mib(bytes) / seconds)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}

fn ratio(part: u64, whole: u64) -> f64 {
    mib(part) / mib(whole)
}
