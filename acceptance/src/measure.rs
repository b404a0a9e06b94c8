//! What a process used, by the operating system's own account.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use crate::run::shown;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to write it down
    report: PathBuf,
    /// The command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<OsString>,
}

/// What a process used.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// The largest resident set, in bytes (`ru_maxrss`).
    pub(crate) memory: u64,
    /// Seconds of CPU time, in the program and for it.
    pub(crate) cpu: f64,
    /// Seconds that went by.
    pub(crate) wall: f64,
    /// The exit code; -1 after a signal.
    pub(crate) code: i32,
}

/// The hidden task: runs a command as the only child that this process ever has, since the account
/// is one for all children.
pub(crate) fn run(args: &Args) -> Result<()> {
    let (program, arguments) = args.command.split_first().context("no command")?;
    let begun = Instant::now();
    let status = Command::new(program).args(arguments).status()?;
    let wall = begun.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec().unsigned_abs(), 0).as_secs_f64()
            + f64::from(i32::try_from(time.tv_usec()).unwrap_or(0)) / 1e6
    };
    let usage = Usage {
        memory: usage.max_rss().unsigned_abs() << 10,
        cpu: seconds(usage.user_time()) + seconds(usage.system_time()),
        wall,
        code: status.code().unwrap_or(-1),
    };
    std::fs::write(&args.report, serde_json::to_vec(&usage)?)?;
    Ok(())
}

/// Prints the command, runs it in silence, and returns what it used. Fails if it does.
pub(crate) fn measured(command: &mut Command) -> Result<Usage> {
    println!("$ {}", shown(command));
    let report = tempfile::NamedTempFile::new()?;
    let mut outer = Command::new(std::env::current_exe()?);
    outer.arg("measure").arg(report.path()).arg(command.get_program()).args(command.get_args());
    let output = outer.output()?;
    let usage: Usage = serde_json::from_slice(&std::fs::read(report.path())?)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    if usage.code != 0 {
        bail!(
            "`{}` ended with {}:\n{}",
            shown(command),
            usage.code,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    println!(
        "  {:.1} MiB of memory, {:.2} s of CPU, {:.2} s",
        mib(usage.memory),
        usage.cpu,
        usage.wall
    );
    Ok(usage)
}

/// Returns bytes in MiB, for printing.
#[expect(clippy::cast_precision_loss, reason = "printed with one decimal")]
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Returns the release build of the program.
pub(crate) fn program() -> Result<PathBuf> {
    crate::run::run(&mut crate::run::cargo([
        "build",
        "--release",
        "--locked",
        "--package",
        "longshore-cli",
    ]))?;
    Ok(crate::run::target_directory().join("release/longshore"))
}
