//! Exports from a registry, and imports into another, that are killed again and again.

mod content;
mod import;
mod kill;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use longshore_fixture::Random;
use longshore_fixture::proxy::{Counts, Faults, Proxy, Rules};
use longshore_spec::Digest;

use self::content::Bundle;
use self::kill::{Moment, run_until};
use super::kill::{beside, remove};
use super::{dir, longshore, succeed, tar, tree};
use crate::measure::mib;
use crate::peers;
use crate::server::{ANY_PORT, Server};

const JOBS: u64 = 2;
/// How much may be fetched again after a kill, for each job.
const TWICE: u64 = 16 << 20;
/// Beyond that, one part in this many of the content.
const PART: u64 = 100;
/// The most that passes in one run beside blobs: requests, headers and manifests.
const BESIDE: u64 = 256 << 10;
/// How many bytes a second the proxy passes: about as many as are written, so that few wait in sockets,
/// where a kill would lose them.
const RATE: u64 = 160 << 20;
/// How often one export or import is killed at most, before it may finish.
const MOST_KILLS: usize = 3;

/// Kills exports `kills` times and imports as often; two thirds of the kills must hit a transfer.
pub(super) fn run(program: &Path, work: &Path, kills: usize, seed: u64) -> Result<()> {
    println!("\n== SIGKILL of exports and imports, {kills} each; {JOBS} jobs, seed {seed}");
    if peers::required("docker-registry")?.is_none() {
        println!("a registry of ours takes its place");
    }
    let bundle = Bundle::write(&work.join("bundle-content"))?;
    let near = Line::start(program, &work.join("bundle-near"))?;
    succeed(import(program, &bundle.layout, near.server.address()))?;
    let wanted = bundle.wanted(&near.host());
    println!(
        "  {} artifacts, {:.1} MiB of blobs, the largest has {:.1} MiB; {} passes a proxy",
        wanted.len(),
        mib(bundle.bytes),
        mib(bundle.largest),
        near.kind
    );
    let begun = Instant::now();
    let archive = exports(program, work, &near, &wanted, &bundle, kills, seed)?;
    drop(near);
    import::imports(program, work, &archive, &bundle, kills, seed)?;
    println!("  {:.0} s in all", begun.elapsed().as_secs_f64());
    std::fs::remove_dir_all(work.join("bundle-near"))?;
    std::fs::remove_dir_all(&bundle.layout)?;
    Ok(std::fs::remove_file(archive)?)
}

/// A registry behind a proxy that counts bytes.
struct Line {
    server: Server,
    proxy: Proxy,
    kind: &'static str,
}

impl Line {
    /// Starts Debian's registry where it is installed, and otherwise one of ours.
    fn start(program: &Path, directory: &Path) -> Result<Self> {
        let (server, kind) = if peers::find("docker-registry")?.is_some() {
            (Server::distribution(directory, ANY_PORT, false)?, "docker-registry")
        } else {
            let words = ["serve", "--writable", "--json", "--listen", ANY_PORT];
            let mut command = longshore(program, &words);
            let log = directory.with_extension("log");
            (Server::ours(command.arg(dir(directory)), &log)?, "a registry of ours")
        };
        let faults = Faults { rate: RATE.try_into().ok(), ..Faults::http(Rules::default()) };
        let proxy = Proxy::start(server.address().parse()?, faults)?;
        Ok(Self { server, proxy, kind })
    }

    /// Returns the host and port of the proxy.
    fn host(&self) -> String {
        self.proxy.address().to_string()
    }
}

/// The results of all rounds.
#[derive(Default)]
struct Tally {
    kills: usize,
    /// The kills that hit a transfer.
    inside: usize,
    rounds: usize,
    /// The most bytes that passed twice, in the mean of a round's kills.
    worst: u64,
}

impl Tally {
    /// Records a round of so many `kills`, in which `twice` bytes passed twice.
    fn round(&mut self, kills: usize, twice: u64) {
        self.rounds += 1;
        self.worst = self.worst.max(twice / (kills as u64).max(1));
    }

    /// Prints the results, and fails unless two thirds of the kills hit a transfer.
    fn judge(&self, what: &str) -> Result<()> {
        let Self { kills, inside, rounds, worst } = self;
        println!(
            "  {inside} of {kills} kills of {what} were inside a transfer; all {rounds} were done in \
             the end, and at most {:.1} MiB a kill passed twice",
            mib(*worst)
        );
        ensure!(inside * 3 >= kills * 2, "too few were inside a transfer");
        Ok(())
    }
}

/// A place that a bundle is exported to.
struct Output {
    place: String,
    path: PathBuf,
    /// What an undisturbed export wrote there.
    expected: BTreeMap<String, Digest>,
}

impl Output {
    /// Exports without a kill, and records the files that this wrote.
    fn whole(program: &Path, wanted: &[String], place: String, path: PathBuf) -> Result<Self> {
        let output = Self { place, path, expected: BTreeMap::new() };
        succeed(export(program, wanted, &output))?;
        Ok(Self { expected: output.files()?, ..output })
    }

    /// Returns the digests of the files under final names.
    fn files(&self) -> Result<BTreeMap<String, Digest>> {
        if self.path.is_dir() {
            return tree(&self.path);
        }
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(BTreeMap::from([(String::new(), Digest::sha256(bytes))])),
            Err(_) => Ok(BTreeMap::new()),
        }
    }

    /// Fails if, after a kill, a file under its final name is not complete.
    fn check_half(&self, program: &Path) -> Result<()> {
        let found = self.files()?;
        for (name, digest) in &found {
            if let Some(encoded) = name.strip_prefix("blobs/sha256/") {
                ensure!(digest.encoded() == encoded, "{name} is visible, and is {digest}");
            }
        }
        if self.path.is_file() {
            ensure!(found == self.expected, "a file has the name of the archive, and is another");
        }
        if found.contains_key("index.json") {
            succeed(longshore(program, &["verify", "--quiet", &self.place]))?;
        }
        Ok(())
    }

    /// Fails unless the files are those of the undisturbed export, with no partial file left.
    fn check_whole(&self, program: &Path) -> Result<()> {
        ensure!(self.files()? == self.expected, "{} is another bundle", self.place);
        for suffix in [".partial", ".partial.journal"] {
            let part = beside(&self.path, suffix);
            ensure!(!part.exists(), "{} is left", part.display());
        }
        let parts = self.path.join(".longshore/partial");
        let left = if parts.exists() { tree(&parts)? } else { BTreeMap::new() };
        ensure!(left.is_empty(), "parts of blobs are left: {left:?}");
        succeed(longshore(program, &["verify", "--quiet", &self.place])).map(drop)
    }
}

/// Kills exports; returns the archive that an undisturbed export wrote.
fn exports(
    program: &Path,
    work: &Path,
    near: &Line,
    wanted: &[String],
    bundle: &Bundle,
    kills: usize,
    seed: u64,
) -> Result<PathBuf> {
    let [whole, killed] = ["whole", "killed"].map(|name| work.join(format!("bundle-{name}")));
    let (whole_tar, killed_tar) = (whole.with_extension("tar"), killed.with_extension("tar"));
    let before = near.proxy.counts().bytes_down;
    let to_archive = Output::whole(program, wanted, tar(&whole_tar), whole_tar.clone())?;
    let undisturbed = near.proxy.counts().bytes_down - before;
    let to_directory = Output::whole(program, wanted, dir(&whole), whole.clone())?;
    std::fs::remove_dir_all(&whole)?;
    let outputs = [
        Output { place: tar(&killed_tar), path: killed_tar.clone(), ..to_archive },
        Output { place: dir(&killed), path: killed.clone(), ..to_directory },
    ];

    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    while tally.kills < kills {
        // Two rounds into an archive, one into a directory.
        let output = &outputs[usize::from(tally.rounds % 3 == 2)];
        remove(&output.path)?;
        let most = (1 + random.below(MOST_KILLS)).min(kills - tally.kills);
        let begun = near.proxy.counts().bytes_down;
        let came = |counts: &Counts| counts.bytes_down.saturating_sub(begun);
        let (mut times, mut is_done) = (Vec::new(), false);
        while times.len() < most && !is_done {
            let so_far = came(&near.proxy.counts());
            let left = undisturbed.saturating_sub(so_far);
            let moment = Moment::random(&mut random, left, most - times.len());
            let passed = || came(&near.proxy.counts()).saturating_sub(so_far);
            let command = export(program, wanted, output);
            let Some(passed) = run_until(command, moment, passed, || ())? else {
                is_done = true;
                continue;
            };
            let is_inside = passed > BESIDE && so_far + passed < undisturbed;
            tally.inside += usize::from(is_inside);
            times.push(format!("{:.1}", mib(passed)));
            output.check_half(program)?;
            // A kill may come between the archive's final name and the end of the process.
            is_done = output.path.is_file();
        }
        tally.kills += times.len();
        if !is_done {
            succeed(export(program, wanted, output))?;
        }
        let twice = came(&near.proxy.counts()).saturating_sub(undisturbed);
        println!(
            "  {:>3}  export to {:<22}  killed after {} MiB; {:>5.1} MiB twice",
            tally.kills,
            if output.path.is_dir() { "a directory" } else { "an archive" },
            times.join(", "),
            mib(twice)
        );
        let runs = times.len() as u64;
        let allowed = BESIDE + runs * (JOBS * TWICE + BESIDE + bundle.bytes / PART);
        ensure!(twice <= allowed, "that is more than {:.1} MiB", mib(allowed));
        output.check_whole(program)?;
        tally.round(times.len(), twice);
    }
    tally.judge("exports")?;
    for path in [killed_tar, killed] {
        remove(&path)?;
    }
    Ok(whole_tar)
}

fn export(program: &Path, wanted: &[String], output: &Output) -> Command {
    let mut command = longshore(program, &["export", "--quiet", "--jobs", &JOBS.to_string()]);
    command.args(wanted).args(["-o", &output.place]);
    command
}

fn import(program: &Path, layout: &Path, to: &str) -> Command {
    let from = if layout.is_dir() { dir(layout) } else { layout.display().to_string() };
    longshore(program, &["import", "--quiet", "--jobs", &JOBS.to_string(), &from, to])
}
