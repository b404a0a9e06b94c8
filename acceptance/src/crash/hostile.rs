//! Layouts that somebody else prepared: at every path that the program opens lies something that is
//! no file or directory of a layout.
//!
//! Outside of the layout lies what nobody gave the program to read or to change. Each run is one
//! command beside one trap at one path. A finding is what of the outside is shown, copied, changed,
//! made or removed, and a command that does not end, panics or takes too much memory.

mod commands;
mod links;
mod outside;
mod paths;
mod scene;
mod server;
mod template;
mod trap;
mod watch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};

use self::commands::{COMMANDS, Subject};
use self::outside::Outside;
use self::scene::Spot;
use self::template::Template;
use self::trap::Trap;
use self::watch::Launch;
use super::disk::Tmpfs;
use crate::measure::mib;
use crate::run::timed;

/// How many runs go on at once: each mostly waits for its own process.
const WORKERS: usize = 4;
/// The most memory that a command may take beside a trap.
const MEMORY: u64 = 300 << 20;
/// How many findings are printed.
const SHOWN: usize = 100;

/// The hidden task: the runs are children of a process of their own, since the account of memory is
/// one for all children.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The program
    program: PathBuf,
    /// A directory to work in
    work: PathBuf,
}

/// Starts the hidden task.
pub(super) fn start(program: &Path, work: &Path) -> Result<()> {
    println!("\n== layouts that somebody else prepared");
    let mut command = Command::new(std::env::current_exe()?);
    let status = command.arg("hostile").args([program, work]).status()?;
    ensure!(status.success(), "the program is led out of a layout, or held up by one");
    Ok(())
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let work = args.work.join("hostile");
    // Most of what a run waits for is syncing to a disk, which tells nothing here.
    let _disk = Tmpfs::mount(&work, "size=512m")?;
    let launch = Launch::new(&args.program);
    let template = Template::write(&launch, &work)?;
    let mut findings = links::check(&launch, &work, &template)?;
    let traps = Trap::all(&work)?;
    let spots = paths::all(&launch, &work, &template)?;
    let (result, time) = timed(|| all_runs(&launch, &work, &template, &spots, &traps));
    let (count, found) = result?;
    findings.extend(found);
    for finding in findings.iter().take(SHOWN) {
        println!("  FOUND {finding}");
    }
    println!(
        "  {} paths × {} kinds × {} commands, as far as they apply: {count} runs in {:.0} s, at most \
         {:.0} MiB of memory, {} findings",
        spots.iter().flatten().collect::<BTreeSet<_>>().len(),
        traps.len(),
        COMMANDS.len(),
        time.as_secs_f64(),
        mib(memory()?),
        findings.len()
    );
    ensure!(findings.is_empty(), "{} findings", findings.len());
    Ok(())
}

/// One command beside one trap.
struct Run<'a> {
    command: &'a Subject,
    trap: Trap,
    spot: &'a Spot,
}

/// Runs every command beside every trap at every path; returns how many runs that were, and what
/// was found.
fn all_runs(
    launch: &Launch<'_>,
    work: &Path,
    template: &Template,
    spots: &[BTreeSet<Spot>],
    traps: &[Trap],
) -> Result<(usize, Vec<String>)> {
    let mut runs = Vec::new();
    for (command, spots) in COMMANDS.iter().zip(spots) {
        for spot in spots {
            runs.extend(traps.iter().map(|&trap| Run { command, trap, spot }));
        }
    }
    let next = AtomicUsize::new(0);
    let work_through = |number: usize| -> Result<(usize, Vec<String>)> {
        let root = work.join(format!("run-{number}"));
        let (mut count, mut findings) = (0, Vec::new());
        while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(found) = run.carry_out(launch, &root, template)? {
                count += 1;
                findings.extend(found.into_iter().map(|found| format!("{run}: {found}")));
            }
        }
        Ok((count, findings))
    };
    let mut all = (0, Vec::new());
    thread::scope(|scope| {
        let work_through = &work_through;
        let workers: Vec<_> =
            (0..WORKERS).map(|number| scope.spawn(move || work_through(number))).collect();
        for worker in workers {
            let worked = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let (count, findings) = worked?;
            all.0 += count;
            all.1.extend(findings);
        }
        anyhow::Ok(())
    })?;
    all.1.sort();
    Ok(all)
}

impl Run<'_> {
    /// Returns what was found, or `None` where there is no such trap.
    fn carry_out(
        &self,
        launch: &Launch<'_>,
        root: &Path,
        template: &Template,
    ) -> Result<Option<Vec<String>>> {
        let scene = template.set(root)?;
        let path = scene.path(self.spot);
        if !self.trap.set(&scene, &path).with_context(|| self.to_string())? {
            return Ok(None);
        }
        let outside = Outside::look(&scene)?;
        let before = memory()?;
        let mut found = self.command.carry_out(launch, &scene, template)?;
        let after = memory()?;
        if after > MEMORY.max(before) {
            found.push(format!("takes {:.0} MiB of memory", mib(after)));
        }
        found.extend(outside.changes(&scene)?);
        found.extend(outside.copies(&scene)?);
        Ok(Some(found))
    }
}

impl std::fmt::Display for Run<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, trap, spot } = self;
        write!(f, "`{}` with {trap} at {spot}", command.words)
    }
}

/// Returns the most memory that any run took so far, in bytes.
fn memory() -> Result<u64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok(usage.max_rss().unsigned_abs() << 10)
}
