//! Memory, speed and disk at sizes that matter, by the release build.

mod bundle;
mod crowd;
mod delta;
mod growth;
mod hostile;
mod receipt;
mod registries;
mod sparse_files;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::ValueEnum;
use longshore_spec::Hasher;

use crate::measure::{Usage, measured, mib, program};
use crate::{peers, run};

/// The bound on memory, at [`JOBS`].
const MEMORY: u64 = 64 << 20;
/// How much is done at once.
const JOBS: &str = "16";
/// How fast `verify` must be, against SHA-256 alone on all cores.
const VERIFY_SPEED: f64 = 0.75;

/// What is measured, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Large blobs between registries and archives
    Registries,
    /// A bundle of 500 artifacts
    Bundle,
    /// Large blobs between directories and archives
    Large,
    /// A plan of many blobs
    Many,
    /// A receipt of many blobs, over a slow wire
    Receipt,
    /// A bundle of many blobs, and the delta of the next visit
    Delta,
    /// The speed of `verify`
    Verify,
    /// A blob of more than 8 GiB
    Sparse,
    /// A registry among clients that stall, and ask for more than they take
    Crowd,
    /// What ten times as many tags, repositories, names, blobs and entries cost
    Growth,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure only these
    #[arg(value_name = "PART")]
    parts: Vec<Part>,
    /// Smaller content, for machines that have other things to do
    #[arg(long)]
    quick: bool,
    /// Measure only what contains this in its name, of `growth`
    #[arg(long, value_name = "TEXT", default_value = "")]
    row: String,
    /// Where to work; needs four times the content [default: the directory for temporary files]
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Measure this build of the program, not a release build of the tree
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let program = args.program.clone().map_or_else(program, Ok)?.canonicalize()?;
    let work = match &args.directory {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let [size, beyond] = if args.quick { [64 << 20, (8 << 30) + 1] } else { [512 << 20, 9 << 30] };
    let layer = if args.quick { 16 << 10 } else { 40 << 20 };
    let between = if args.quick { 32 << 20 } else { size };
    for part in Part::value_variants() {
        if !args.parts.is_empty() && !args.parts.contains(part) {
            continue;
        }
        match part {
            Part::Registries => registries::run(&program, work.path(), between)?,
            Part::Bundle => bundle::run(&program, work.path(), layer)?,
            Part::Large => large(&program, work.path(), size)?,
            Part::Many => many(&program, work.path())?,
            Part::Receipt => {
                receipt::run(&program, work.path(), if args.quick { 5_000 } else { 50_000 })?;
            }
            Part::Delta => {
                delta::run(&program, work.path(), if args.quick { 5_000 } else { 50_000 })?;
            }
            Part::Verify => verify_speed(&program, work.path())?,
            Part::Sparse => sparse(&program, work.path(), beyond)?,
            Part::Crowd => {
                crowd::run(&program, work.path())?;
                hostile::run(&program, work.path())?;
            }
            Part::Growth => growth::run(&program, work.path(), args.quick, &args.row)?,
        }
    }
    println!("scale: all bounds hold");
    Ok(())
}

/// 32 large blobs go round; memory stays bounded and the disk holds one copy.
fn large(program: &Path, work: &Path, size: u64) -> Result<()> {
    const BLOBS: usize = 32;
    println!("\n== {BLOBS} blobs of {} MiB", size >> 20);
    let [first, archive, second] = ["first", "large.tar", "second"].map(|name| work.join(name));
    longshore_fixture::large(&first, BLOBS, size)?;
    let total = size * BLOBS as u64;
    let (usage, peak) = watched(work, &first, || copy(program, &dir(&first), &tar(&archive)))?;
    rate(&usage, total);
    let length = archive.metadata()?.len();
    println!("  peak disk {:.1} MiB for an archive of {:.1} MiB", mib(peak), mib(length));
    ensure!(peak <= length + (1 << 20), "the disk held more than one copy");
    std::fs::remove_dir_all(&first)?;
    rate(&copy(program, &tar(&archive), &dir(&second))?, total);
    measured(Command::new(program).args(["verify", "--jobs", JOBS]).arg(dir(&second)))?;
    std::fs::remove_dir_all(&second)?;
    Ok(std::fs::remove_file(&archive)?)
}

/// A plan of 50,000 blobs; memory stays bounded.
fn many(program: &Path, work: &Path) -> Result<()> {
    const BLOBS: usize = 50_000;
    println!("\n== a plan of {BLOBS} blobs");
    let [first, archive, second] = ["first", "many.tar", "second"].map(|name| work.join(name));
    longshore_fixture::many(&first, BLOBS)?;
    copy(program, &dir(&first), &tar(&archive))?;
    copy(program, &tar(&archive), &dir(&second))?;
    measured(Command::new(program).args(["verify", "--quiet"]).arg(tar(&archive)))?;
    measured(
        Command::new(program)
            .args(["copy", "--all-tags", "--quiet"])
            .args([tar(&archive), dir(&second)]),
    )?;
    std::fs::remove_dir_all(&first)?;
    std::fs::remove_dir_all(&second)?;
    Ok(std::fs::remove_file(&archive)?)
}

/// `verify` of 2 GB in cache, against SHA-256 alone in the same run.
fn verify_speed(program: &Path, work: &Path) -> Result<()> {
    const BLOBS: usize = 8;
    const SIZE: u64 = 256 << 20;
    const TRIES: usize = 5;
    println!("\n== verify of {} MiB in cache", (SIZE * BLOBS as u64) >> 20);
    let layout = work.join("cached");
    longshore_fixture::large(&layout, BLOBS, SIZE)?;
    let mut best = 0_f64;
    for _ in 0..TRIES {
        let alone = sha256_alone(std::thread::available_parallelism()?.get());
        let usage = measured(Command::new(program).args(["verify", "--quiet"]).arg(dir(&layout)))?;
        let speed = mib(SIZE * BLOBS as u64) / usage.wall;
        println!(
            "  {speed:.0} MiB/s; SHA-256 alone on all cores {alone:.0} MiB/s: ratio {:.2}",
            speed / alone
        );
        best = best.max(speed / alone);
    }
    std::fs::remove_dir_all(&layout)?;
    ensure!(
        best >= VERIFY_SPEED,
        "verify reaches {best:.2} of SHA-256 alone, and must reach {VERIFY_SPEED}"
    );
    Ok(())
}

/// Returns how many MiB/s so many cores hash together, with nothing else to do.
fn sha256_alone(cores: usize) -> f64 {
    const PIECE: usize = 256 << 10;
    const ENOUGH: Duration = Duration::from_secs(1);
    let begun = Instant::now();
    let hash = || {
        let (piece, mut hasher) = (vec![7; PIECE], Hasher::sha256());
        while begun.elapsed() < ENOUGH {
            hasher.update(&piece);
        }
        let count = hasher.count();
        std::hint::black_box(hasher.finish());
        count
    };
    let hashed: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(hash)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_default()).sum()
    });
    mib(hashed) / begun.elapsed().as_secs_f64()
}

/// A blob of more than 8 GiB, mostly holes, goes into an archive, is read by GNU tar and by us.
fn sparse(program: &Path, work: &Path, size: u64) -> Result<()> {
    println!("\n== a sparse blob of {:.2} GiB", mib(size) / 1024.0);
    let [layout, archive, back] = ["sparse", "sparse.tar", "back"].map(|name| work.join(name));
    let digest = sparse_files::layout(&layout, 1, size)?.remove(0);
    copy(program, &dir(&layout), &tar(&archive))?;
    std::fs::remove_dir_all(&layout)?;
    if let Some(gnu) = peers::required("tar")? {
        let listing = run::capture(Command::new(&gnu).arg("-tvf").arg(&archive))?;
        let line = listing.lines().find(|line| line.contains(&digest.encoded()));
        println!("  GNU tar: {}", line.unwrap_or("the blob is not listed"));
        ensure!(
            line.is_some_and(|line| line.contains(&format!(" {size} "))),
            "GNU tar sees another size"
        );
        let member = format!("blobs/sha256/{}", digest.encoded());
        let mut child = Command::new(&gnu)
            .arg("-xOf")
            .arg(&archive)
            .arg(member)
            .stdout(std::process::Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().expect("it is piped");
        ensure!(
            sparse_files::hash(out)? == digest && child.wait()?.success(),
            "GNU tar extracts something else"
        );
        println!("  GNU tar extracts {digest}");
    }
    measured(Command::new(program).arg("verify").arg(tar(&archive)))?;
    copy(program, &tar(&archive), &dir(&back))?;
    let blob = back.join("blobs/sha256").join(digest.encoded());
    ensure!(blob.metadata()?.len() == size, "the blob came back with another size");
    std::fs::remove_dir_all(&back)?;
    Ok(std::fs::remove_file(&archive)?)
}

/// Copies everything from one place to another, within the bound on memory.
fn copy(program: &Path, from: &str, to: &str) -> Result<Usage> {
    let mut command = Command::new(program);
    bounded(command.args(["copy", "--all-tags", "--quiet", "--jobs", JOBS, from, to]))
}

/// Runs a command within the bound on memory.
fn bounded(command: &mut Command) -> Result<Usage> {
    let usage = measured(command)?;
    ensure!(
        usage.memory <= MEMORY,
        "{:.1} MiB of memory are over the bound of {:.0}",
        mib(usage.memory),
        mib(MEMORY)
    );
    Ok(usage)
}

fn rate(usage: &Usage, bytes: u64) {
    println!(
        "  {:.0} MiB/s, {:.2} s of CPU a GiB",
        mib(bytes) / usage.wall,
        usage.cpu / (mib(bytes) / 1024.0)
    );
}

/// Returns the most that lay in `work` beside `source` while `job` ran, in bytes on the disk.
fn watched<T>(work: &Path, source: &Path, job: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
    let (peak, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                peak.fetch_max(used(work, source), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let result = job();
        over.store(true, Ordering::Relaxed);
        result
    });
    peak.fetch_max(used(work, source), Ordering::Relaxed);
    Ok((result?, peak.into_inner()))
}

/// Returns the bytes that files directly in `work` take on the disk; `source` does not count.
fn used(work: &Path, source: &Path) -> u64 {
    const SECTOR: u64 = 512;
    let files =
        work.read_dir().into_iter().flatten().flatten().filter(|entry| entry.path() != source);
    files.filter_map(|entry| entry.metadata().ok()).map(|found| found.blocks() * SECTOR).sum()
}

fn dir(path: &Path) -> String {
    format!("oci:{}", path.display())
}

fn tar(path: &Path) -> String {
    format!("oci-archive:{}", path.display())
}
