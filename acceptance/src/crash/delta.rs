//! Receipts, deltas and their imports, killed; and sticks that are too small, or read-only.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use longshore_fixture::Random;
use longshore_spec::Digest;

use super::disk::Tmpfs;
use super::kill::{beside, remove};
use super::{dir, longshore, refuse, succeed, tree};
use crate::measure::mib;
use crate::run;
use crate::server::{ANY_PORT, Server};

/// How many small layers there are at the first visit, and how many more at the second.
const LAYERS: usize = 1500;
const MORE: usize = 500;
/// How large the artifact is that is new at the second visit: so many blobs of so many bytes.
const LARGE: usize = 12;
const SIZE: u64 = 2 << 20;
/// How often each is killed before it may finish.
const MOST_KILLS: usize = 2;

/// A near registry, and a site that has imported the first bundle of it.
struct Visit<'a> {
    program: &'a Path,
    work: PathBuf,
    near: Server,
}

/// Kills receipts, exports of a delta and imports of it, `kills` in all.
pub(super) fn run(program: &Path, work: &Path, kills: usize, seed: u64) -> Result<()> {
    println!("\n== SIGKILL of receipts, deltas and their imports, {kills} in all, seed {seed}");
    let visit = Visit::first(program, work)?;
    let delta = visit.work.join("delta.tar");
    succeed(visit.export(&delta))?;
    println!("  the delta has {:.1} MiB", mib(delta.metadata()?.len()));
    let mut random = Random::new(seed);
    let each = kills.div_ceil(3);
    visit.receipts(each, &mut random)?;
    visit.exports(each, &delta, &mut random)?;
    visit.imports(each, &delta, &mut random)?;
    visit.sticks(&delta)?;
    let Visit { work, near, .. } = visit;
    drop(near);
    Ok(std::fs::remove_dir_all(work)?)
}

impl<'a> Visit<'a> {
    fn first(program: &'a Path, work: &Path) -> Result<Self> {
        let work = work.join("visit");
        let content = work.join("near");
        std::fs::create_dir(&work)?;
        longshore_fixture::many(&content, LAYERS)?;
        let mut serve =
            longshore(program, &["serve", "--json", "--listen", ANY_PORT, &dir(&content)]);
        let near = Server::ours(&mut serve, &work.join("near.log"))?;
        let visit = Self { program, work, near };
        visit.wants()?;
        let first = visit.work.join("first.tar");
        succeed(visit.bundle(&first))?;
        succeed(visit.import(&first, &visit.site()))?;
        // A month later.
        longshore_fixture::many(&content, LAYERS + MORE)?;
        let large = visit.work.join("large");
        longshore_fixture::large(&large, LARGE, SIZE)?;
        succeed(longshore(program, &["copy", "-q", &dir(&large), &dir(&content)]))?;
        Ok(visit)
    }

    /// Writes what is wanted of the near registry.
    fn wants(&self) -> Result<()> {
        let place = self.near.place("near");
        let text = format!("artifacts:\n  - repository: {place}\n");
        Ok(std::fs::write(self.work.join("bundle.yaml"), text)?)
    }

    fn site(&self) -> PathBuf {
        self.work.join("site")
    }

    fn command(&self, words: &[&str], paths: &[&Path]) -> Command {
        let mut command = longshore(self.program, words);
        command.args(paths).current_dir(&self.work).stdout(Stdio::null());
        command
    }

    fn bundle(&self, to: &Path) -> Command {
        self.command(&["export", "-q", "-f", "bundle.yaml", "-o"], &[to])
    }

    fn export(&self, to: &Path) -> Command {
        self.command(&["export", "-q", "-f", "bundle.yaml", "--base", "first.tar", "-o"], &[to])
    }

    fn import(&self, bundle: &Path, site: &Path) -> Command {
        let mut command = self.command(&["import", "-q"], &[bundle]);
        command.arg(dir(site));
        command
    }

    fn receipt(&self, to: &Path) -> Command {
        let place = self.near.place("near");
        self.command(&["receipt", "-q", "--site", "near", &place, "-o"], &[to])
    }

    /// Kills receipts: the one that was there stays, or the next has its name.
    fn receipts(&self, kills: usize, random: &mut Random) -> Result<()> {
        let path = self.work.join("near.receipt");
        let whole = timed(self.receipt(&path))?;
        let lines = |path: &Path| -> Result<Vec<String>> {
            let text = std::fs::read_to_string(path)?;
            let content = text.lines().filter(|line| line.starts_with("  "));
            Ok(content.map(str::to_owned).collect())
        };
        let expected = lines(&path)?;
        for _ in 0..kills {
            killed(random, whole, || self.receipt(&path))?;
            succeed(self.command(&["diff", "-q"], &[&path, &path]))?;
            ensure!(lines(&path)? == expected, "a receipt lists something else after a kill");
        }
        println!("  {kills} receipts were killed; the one that is there is whole, each time");
        Ok(())
    }

    /// Kills exports of the delta, which end with the bytes that they would have had.
    fn exports(&self, kills: usize, delta: &Path, random: &mut Random) -> Result<()> {
        let expected = Digest::sha256(std::fs::read(delta)?);
        let path = self.work.join("killed.tar");
        let whole = timed(self.export(&path))?;
        for _ in 0..kills.div_ceil(MOST_KILLS) {
            remove(&path)?;
            for _ in 0..MOST_KILLS {
                killed(random, whole, || {
                    let _ = remove(&path);
                    self.export(&path)
                })?;
            }
            succeed(self.export(&path))?;
            ensure!(Digest::sha256(std::fs::read(&path)?) == expected, "the delta has other bytes");
            let part = beside(&path, ".partial");
            ensure!(!part.exists(), "{} is left", part.display());
        }
        println!("  {kills} exports of a delta were killed; each had the same bytes in the end");
        remove(&path)
    }

    /// Kills imports of the delta: the site is whole each time, and has all in the end.
    fn imports(&self, kills: usize, delta: &Path, random: &mut Random) -> Result<()> {
        let fresh = |name: &str| -> Result<PathBuf> {
            let copy = self.work.join(name);
            remove(&copy)?;
            run::capture(Command::new("cp").arg("-r").args([&self.site(), &copy]))?;
            Ok(copy)
        };
        let undisturbed = fresh("undisturbed")?;
        let whole = timed(self.import(delta, &undisturbed))?;
        let mut expected = tree(&undisturbed)?;
        expected.remove("index.json");
        for _ in 0..kills.div_ceil(MOST_KILLS) {
            let site = fresh("killed")?;
            for _ in 0..MOST_KILLS {
                killed(random, whole, || self.import(delta, &site))?;
                succeed(longshore(self.program, &["verify", "-q", &dir(&site)]))?;
            }
            succeed(self.import(delta, &site))?;
            let mut found = tree(&site)?;
            found.remove("index.json");
            ensure!(found == expected, "the site has other content after kills");
            succeed(longshore(self.program, &["diff", &dir(&undisturbed), &dir(&site)]))?;
        }
        println!("  {kills} imports of a delta were killed; the site was whole each time");
        Ok(())
    }

    /// Writes receipts and deltas to sticks that are too small, or read-only.
    fn sticks(&self, delta: &Path) -> Result<()> {
        println!("\n== receipts and deltas on sticks that are full or read-only");
        let Some(stick) = Tmpfs::mount(&self.work.join("stick"), "size=1m")? else { return Ok(()) };
        let [on_stick, receipt] = ["delta.tar", "near.receipt"].map(|name| stick.path().join(name));
        succeed(self.receipt(&receipt))?;
        let before = std::fs::read(&receipt)?;
        refuse(self.export(&on_stick), 2, "has no room")?;
        ensure!(!on_stick.exists(), "a delta has a name where it has no room");
        std::fs::write(stick.path().join("filler"), vec![0; 1 << 20]).unwrap_or_default();
        refuse(self.receipt(&receipt), 1, "no space left on device")?;
        ensure!(std::fs::read(&receipt)? == before, "a receipt was harmed by a full stick");
        std::fs::remove_file(stick.path().join("filler"))?;
        stick.remount("size=256m,ro")?;
        refuse(self.receipt(&receipt), 2, "read-only")?;
        refuse(self.export(&on_stick), 2, "read-only")?;
        stick.remount("rw")?;
        std::fs::copy(delta, &on_stick).context("the delta does not fit")?;
        stick.remount("ro")?;
        // What is read needs nothing written beside it.
        succeed(self.command(&["verify", "-q", "--base", "first.tar"], &[&on_stick]))?;
        Ok(())
    }
}

/// Returns how long a command takes that succeeds.
fn timed(command: Command) -> Result<Duration> {
    let begun = Instant::now();
    succeed(command)?;
    Ok(begun.elapsed())
}

/// Runs commands until one was killed before its end, at a random moment of so long.
fn killed(random: &mut Random, whole: Duration, command: impl Fn() -> Command) -> Result<()> {
    loop {
        let moment = whole.mul_f64(f64::from(u32::try_from(random.below(900))?) / 1000.0);
        let mut child = command().stderr(Stdio::null()).spawn()?;
        sleep(moment);
        let is_over = child.try_wait()?.is_some();
        let _ = child.kill();
        child.wait()?;
        if !is_over {
            return Ok(());
        }
    }
}
