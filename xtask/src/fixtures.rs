//! `cargo xtask fixtures`: what tests read from disk is made by code.

use anyhow::{Context, Result, bail};

use xtask::run::root;

/// What may be asked of this task.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing: fail if a file is missing, differs or is not among those that would be
    /// written
    #[arg(long)]
    check: bool,
}

/// Writes or checks `testdata/`.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.check { check() } else { write() }
}

/// Fails if `testdata/` is not what [`write()`] would leave there.
pub(crate) fn check() -> Result<()> {
    let differences = differences();
    for difference in &differences {
        println!("testdata: {difference}");
    }
    if !differences.is_empty() {
        bail!("testdata is not fresh: run `cargo xtask fixtures` and look at what changed");
    }
    println!("testdata is fresh");
    Ok(())
}

/// Returns a line for each way in which `testdata/` is not what the code would write.
pub(crate) fn differences() -> Vec<String> {
    longshore_fixture::check_testdata(&root().join("testdata"))
}

fn write() -> Result<()> {
    let directory = root().join("testdata");
    longshore_fixture::write_testdata(&directory).context("cannot write testdata")?;
    println!("testdata is written");
    Ok(())
}
