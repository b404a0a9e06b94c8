//! SIGKILL at random moments, and the same command again until it is done.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use longshore_fixture::Random;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;

use super::{dir, longshore, succeed, tar};
use crate::measure::mib;

const BLOBS: usize = 24;
const SIZE: u64 = 40 << 20;
const JOBS: u64 = 8;
/// What may be read twice, for each job.
const READ_TWICE: u64 = 16 << 20;
/// What a copy reads beside content: manifests and headers, and the program itself.
const OVERHEAD: u64 = 4 << 20;

/// The part of `copy --json` that is looked at.
#[derive(Deserialize)]
struct Copied {
    read: u64,
}

/// A way that is copied, and killed on.
struct Way<'a> {
    name: &'a str,
    from: String,
    to: String,
    /// What is removed before the first try.
    target: PathBuf,
}

/// Kills `kills` copies, half of them into an archive and half into a directory, of which three
/// quarters must be hit inside a transfer.
pub(super) fn run(program: &Path, work: &Path, kills: usize, seed: u64) -> Result<()> {
    println!(
        "\n== SIGKILL at {kills} random moments; {BLOBS} blobs of {} MiB, {JOBS} jobs, seed {seed}",
        SIZE >> 20
    );
    let [layout, archive] = ["layout", "layout.tar"].map(|name| work.join(name));
    longshore_fixture::large(&layout, BLOBS, SIZE)?;
    succeed(longshore(program, &["copy", "--all-tags", &dir(&layout), &tar(&archive)]))?;
    let expected = std::fs::read(&archive).map(longshore_spec::Digest::sha256)?;
    let [killed_tar, killed_dir] = ["killed.tar", "killed"].map(|name| work.join(name));
    let ways = [
        Way {
            name: "directory → archive",
            from: dir(&layout),
            to: tar(&killed_tar),
            target: killed_tar.clone(),
        },
        Way {
            name: "archive → directory",
            from: tar(&archive),
            to: dir(&killed_dir),
            target: killed_dir.clone(),
        },
    ];
    let whole = [full_run(program, &ways[0])?, full_run(program, &ways[1])?];
    let mut random = Random::new(seed);
    let (mut inside, mut done) = (0, 0);
    while done < kills {
        let (way, whole) = (&ways[done % ways.len()], whole[done % ways.len()]);
        remove(&way.target)?;
        let moment = whole.mul_f64(f64::from(u32::try_from(random.below(1000))?) / 1000.0);
        // One that was through before it could be killed does not count.
        let Some(first) = kill_at(program, way, moment)? else { continue };
        done += 1;
        inside += usize::from(first > OVERHEAD);
        let json = succeed(copy(program, way))?;
        let last: Copied =
            serde_json::from_str(&json).context("`copy --json` printed no document")?;
        let twice = (first + last.read).saturating_sub(SIZE * BLOBS as u64);
        println!(
            "  {done:>3}  {}  killed after {:>4} ms with {:>6.1} MiB read; again {:>6.1} MiB, so {:>5.1} MiB twice",
            way.name,
            moment.as_millis(),
            mib(first),
            mib(last.read),
            mib(twice)
        );
        ensure!(
            twice <= READ_TWICE * JOBS + OVERHEAD,
            "that is more than {} MiB a job",
            READ_TWICE >> 20
        );
        succeed(longshore(program, &["verify", "--quiet", &way.to]))?;
        if way.target == killed_tar {
            let written = std::fs::read(&killed_tar).map(longshore_spec::Digest::sha256)?;
            ensure!(
                written == expected,
                "the archive has other bytes than one that was never killed"
            );
        }
    }
    println!("  {inside} of {done} inside a transfer; all verified in the end");
    ensure!(inside * 4 >= kills * 3, "too few were inside a transfer");
    for path in [layout, archive, killed_tar, killed_dir] {
        remove(&path)?;
    }
    Ok(())
}

fn copy(program: &Path, way: &Way<'_>) -> Command {
    let jobs = JOBS.to_string();
    longshore(program, &["copy", "--all-tags", "--json", "--jobs", &jobs, &way.from, &way.to])
}

/// Returns how long the copy takes when nobody kills it.
fn full_run(program: &Path, way: &Way<'_>) -> Result<Duration> {
    remove(&way.target)?;
    let begun = Instant::now();
    succeed(copy(program, way))?;
    Ok(begun.elapsed())
}

/// Starts a copy and kills it at a moment. Returns how much it had read by then, or `None` if it
/// was done before.
fn kill_at(program: &Path, way: &Way<'_>, moment: Duration) -> Result<Option<u64>> {
    let mut child = copy(program, way).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    sleep(moment);
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    // Stopped first, so that what it has read is still what it had read when it dies.
    kill(pid, Signal::SIGSTOP)?;
    let read = read_so_far(&mut child)?;
    if read.is_some() {
        kill(pid, Signal::SIGKILL)?;
    }
    child.wait()?;
    Ok(read)
}

/// Returns the bytes that a stopped process has read, or `None` if it is over.
fn read_so_far(child: &mut Child) -> Result<Option<u64>> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if child.try_wait()?.is_some() {
            return Ok(None);
        }
        let state = std::fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
        let state = state.rsplit(") ").next().and_then(|rest| rest.chars().next());
        if state == Some('T') {
            let io = std::fs::read_to_string(format!("/proc/{}/io", child.id()))?;
            let read = io.lines().find_map(|line| line.strip_prefix("rchar: "));
            return Ok(Some(read.context("no account of what was read")?.parse()?));
        }
        sleep(Duration::from_millis(1));
    }
    anyhow::bail!("the process does not stop")
}

/// Removes a file or a directory, with what lies beside it while it is not complete.
pub(super) fn remove(path: &Path) -> Result<()> {
    if path.is_dir() {
        std::fs::remove_dir_all(path)?;
    }
    for path in ["", ".partial", ".partial.journal"].map(|suffix| beside(path, suffix)) {
        if path.exists() {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Returns a path with more behind its last name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
