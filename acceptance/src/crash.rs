//! Kills, full disks, disks that turn read-only, errors from the disk: nothing complete is harmed,
//! and the next run goes on. Servers that share a directory: nothing is lost. Layouts that are traps: nothing beside them is read or harmed.

mod bundle;
mod delta;
mod disk;
pub(crate) mod hostile;
mod kill;
mod serve;
mod shared_directory;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use longshore_spec::Digest;

use crate::measure::program;
use crate::run::shown;

/// What is harmed, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Copies between directories and archives, killed
    Copy,
    /// Exports and imports of bundles, killed
    Bundle,
    /// Receipts, deltas and their imports, killed; and on sticks that are full or read-only
    Delta,
    /// A server, killed
    Serve,
    /// Two servers and `tag`, over one directory at once
    Shared,
    /// Disks that are full, read-only or fail
    Disk,
    /// Layouts with links, pipes and devices where files should be
    Hostile,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Harm only these
    #[arg(value_name = "PART")]
    parts: Vec<Part>,
    /// How often a copy is killed; exports and imports three quarters as often each, a server half
    #[arg(long, value_name = "N", default_value = "40")]
    kills: NonZero<usize>,
    /// How many changes are made to a directory that is shared
    #[arg(long, value_name = "N", default_value = "500")]
    changes: NonZero<usize>,
    /// The seed of the moments
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Harm this build of the program, not a release build of the tree
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let program = args.program.clone().map_or_else(program, Ok)?.canonicalize()?;
    let work = tempfile::tempdir()?;
    let kills = args.kills.get();
    for part in Part::value_variants() {
        if !args.parts.is_empty() && !args.parts.contains(part) {
            continue;
        }
        match part {
            Part::Copy => kill::run(&program, work.path(), kills, args.seed)?,
            Part::Bundle => bundle::run(&program, work.path(), of_bundles(kills), args.seed)?,
            Part::Delta => delta::run(&program, work.path(), of_bundles(kills), args.seed)?,
            Part::Serve => serve::run(&program, work.path(), of_servers(kills), args.seed)?,
            Part::Shared => shared_directory::run(&program, work.path(), args.changes.get())?,
            Part::Disk => disk::run(&program, work.path())?,
            Part::Hostile => hostile::start(&program, work.path())?,
        }
    }
    println!("crash: nothing complete was harmed");
    Ok(())
}

/// Returns how often exports are killed, and how often imports, where copies are `kills` times.
fn of_bundles(kills: usize) -> usize {
    (kills * 3).div_ceil(4)
}

/// Returns how often a server is killed, where copies are `kills` times.
fn of_servers(kills: usize) -> usize {
    kills.div_ceil(2)
}

/// Returns a command of the program.
fn longshore(program: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words);
    command
}

/// Runs a command that must succeed, and returns what it printed.
fn succeed(mut command: Command) -> Result<String> {
    let output = command.output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`{}` failed: {}\n{complaint}",
        shown(&command),
        output.status
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a command that must fail with `code` and say `told`; prints what it said.
fn refuse(mut command: Command, code: i32, told: &str) -> Result<()> {
    let Output { status, stderr, .. } = command.output()?;
    let said = String::from_utf8_lossy(&stderr);
    println!("$ {}", shown(&command));
    for line in said.lines() {
        println!("  {line}");
    }
    println!("  exit code {}", status.code().unwrap_or(-1));
    ensure!(status.code() == Some(code), "it must end with {code}");
    ensure!(said.contains(told), "it must say `{told}`");
    ensure!(!said.contains("panicked"), "it must not panic");
    Ok(())
}

/// Returns the digest of every file below a directory, by path; parts and locks do not count.
fn tree(root: &Path) -> Result<BTreeMap<String, Digest>> {
    let mut found = BTreeMap::new();
    let mut next = vec![root.to_owned()];
    while let Some(directory) = next.pop() {
        for entry in directory.read_dir().with_context(|| directory.display().to_string())? {
            let path = entry?.path();
            if path.ends_with(".longshore") {
                continue;
            }
            if path.is_dir() {
                next.push(path);
            } else {
                let name = path.strip_prefix(root)?.display().to_string();
                found.insert(name, Digest::sha256(std::fs::read(&path)?));
            }
        }
    }
    Ok(found)
}

/// Fails unless every file of `before` is still there, unchanged.
fn unharmed(before: &BTreeMap<String, Digest>, root: &Path) -> Result<()> {
    let after = tree(root)?;
    for (name, digest) in before {
        ensure!(after.get(name) == Some(digest), "{name} was there before and is not what it was");
    }
    println!("  {} files that were there before are what they were", before.len());
    Ok(())
}

fn dir(path: &Path) -> String {
    format!("oci:{}", path.display())
}

fn tar(path: &Path) -> String {
    format!("oci-archive:{}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_killed_never() {
        assert_eq!((of_bundles(40), of_servers(40)), (30, 20));
        assert_eq!((of_bundles(1), of_servers(1)), (1, 1));
    }
}
