//! Large copies from one kind of place to another.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::place::Place;
use super::tool::Tool;
use crate::measure::{Usage, measured, mib};
use crate::run::capture;
use crate::server::{ANY_PORT, Server};

const LAYERS: usize = 5;
const REPOSITORY: &str = "bench/large";
/// The name that the fixture gives.
const TAG: &str = "large";
/// How often the disk is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Registry to directory.
    Pull,
    /// Registry to archive.
    Archive,
    /// Directory to registry.
    Push,
    /// Registry to registry.
    Across,
}

/// The best of what one program did on one route.
#[derive(Debug)]
pub(super) struct Best {
    pub(super) tool: &'static str,
    cpu: f64,
    wall: f64,
    /// The most that any try took, in bytes.
    memory: u64,
    /// The most that lay on the disk in any try, as a multiple of the content.
    disk: f64,
}

impl Best {
    pub(super) fn cpu(&self) -> f64 {
        self.cpu
    }

    pub(super) fn wall(&self) -> f64 {
        self.wall
    }

    pub(super) fn memory(&self) -> f64 {
        mib(self.memory)
    }

    pub(super) fn disk(&self) -> f64 {
        self.disk
    }
}

/// The artifact, in a directory and in a registry, and room for its copies.
pub(super) struct Course {
    work: PathBuf,
    source: PathBuf,
    server: Server,
    size: u64,
    tries: usize,
}

impl Course {
    /// Makes the artifact of layers with `layer` bytes each.
    pub(super) fn prepare(work: PathBuf, layer: u64, tries: usize) -> Result<Self> {
        let size = layer * LAYERS as u64;
        println!("\n== large: {LAYERS} layers, {:.0} MiB, best of {tries}", mib(size));
        fs::create_dir_all(&work)?;
        let source = work.join("source");
        longshore_fixture::large(&source, LAYERS, layer)?;
        let server = Server::distribution(&work.join("registry"), ANY_PORT, false)?;
        Ok(Self { work, source, server, size, tries })
    }

    /// Puts the artifact into the registry, once.
    fn fill(&self, longshore: &Tool) -> Result<()> {
        let (from, to) = (self.directory(), Self::registry(&self.server));
        capture(&mut longshore.copy(&from, &to, &self.work).context("ours copies anything")?)?;
        Ok(())
    }

    /// Runs all programs in turn, as often as there are tries, so that a busy moment of the
    /// machine does not fall on one alone.
    pub(super) fn run(&self, route: Route, tools: &[Tool]) -> Result<Vec<Best>> {
        println!("\n== large, {route:?}");
        let ours = tools.iter().find(|tool| tool.is_ours()).context("ours is always there")?;
        self.fill(ours)?;
        let mut all: Vec<Best> = Vec::new();
        let mut failed: Vec<&str> = Vec::new();
        for _ in 0..self.tries {
            for tool in tools {
                let name = tool.name();
                if failed.contains(&name) {
                    continue;
                }
                let (usage, disk) = match self.attempt(route, tool) {
                    Ok(Some(done)) => done,
                    Ok(None) => continue,
                    Err(error) if tool.is_ours() => return Err(error),
                    Err(error) => {
                        println!("  {name} is left out: {error:#}");
                        failed.push(name);
                        continue;
                    }
                };
                let Usage { cpu, wall, memory, .. } = usage;
                let disk = mib(disk) / mib(self.size);
                if let Some(best) = all.iter_mut().find(|best| best.tool == name) {
                    best.cpu = best.cpu.min(cpu);
                    best.wall = best.wall.min(wall);
                    best.memory = best.memory.max(memory);
                    best.disk = best.disk.max(disk);
                } else {
                    all.push(Best { tool: name, cpu, wall, memory, disk });
                }
            }
        }
        Ok(all)
    }

    /// Returns what one run used and the most that lay on the disk meanwhile, or `None` if the
    /// program cannot go that way.
    fn attempt(&self, route: Route, tool: &Tool) -> Result<Option<(Usage, u64)>> {
        let run = self.work.join("run");
        fs::create_dir(&run)?;
        let scratch = run.join("scratch");
        fs::create_dir(&scratch)?;
        // A registry that has had the content once is quicker the second time, so each run gets
        // one of its own.
        let server = match route {
            Route::Push | Route::Across => {
                Some(Server::distribution(&run.join("registry"), ANY_PORT, false)?)
            }
            Route::Pull | Route::Archive => None,
        };
        let from = match route {
            Route::Push => self.directory(),
            _ => Self::registry(&self.server),
        };
        let to = match (&server, route) {
            (Some(server), _) => Self::registry(server),
            (None, Route::Archive) => {
                Place::Archive { path: run.join("target.tar"), tag: TAG.to_owned() }
            }
            (None, _) => Place::Directory { path: run.join("target"), tag: TAG.to_owned() },
        };
        let done = tool.copy(&from, &to, &scratch).map(|mut command| {
            // What the run before left to be written must not slow this one down.
            capture(&mut Command::new("sync"))?;
            let (usage, peak) = watched(&run, || measured(&mut command))?;
            let arrived = bytes(&run, &|found| found.len());
            ensure!(arrived >= self.size, "only {:.1} MiB arrived", mib(arrived));
            Ok((usage, peak))
        });
        drop(server);
        fs::remove_dir_all(&run)?;
        done.transpose()
    }

    fn directory(&self) -> Place {
        Place::Directory { path: self.source.clone(), tag: TAG.to_owned() }
    }

    fn registry(server: &Server) -> Place {
        Place::registry(server.address(), REPOSITORY, TAG)
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        // The next measurements need the room; the directory around this one goes at the end.
        let _ = fs::remove_dir_all(&self.work);
    }
}

/// Returns the most that lay under `directory` while `job` ran, in bytes on the disk.
fn watched<T>(directory: &Path, job: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
    const SECTOR: u64 = 512;
    let (peak, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let look =
        || peak.fetch_max(bytes(directory, &|found| found.blocks() * SECTOR), Ordering::Relaxed);
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                look();
                thread::sleep(LOOK);
            }
        });
        let result = job();
        over.store(true, Ordering::Relaxed);
        result
    });
    look();
    Ok((result?, peak.into_inner()))
}

/// Returns how many files there are under `directory`.
pub(super) fn files(directory: &Path) -> u64 {
    bytes(directory, &|_| 1)
}

/// Returns the sum of `measure` over all files under `directory`. What goes away meanwhile is
/// nothing.
fn bytes(directory: &Path, measure: &dyn Fn(&fs::Metadata) -> u64) -> u64 {
    let entries = directory.read_dir().into_iter().flatten().flatten();
    let each = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes(&entry.path(), measure),
        Ok(found) if found.is_file() => measure(&found),
        _ => 0,
    });
    each.sum()
}
