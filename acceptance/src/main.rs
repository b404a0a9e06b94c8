//! `cargo acceptance RUN`: the program among others, in numbers, and in trouble.
//!
//! A run is a module with a `run` function, a variant of [`Run`] and an arm in [`main`].
//!
//! | module | |
//! |---|---|
//! | `interop` | Registries, layouts and archives of other tools; the README, the book and the examples of `--help`, typed; command lines in shells; a table of the ways in which registries behave. A scenario is a function in `interop/`, on a `Ground` with its registries and directories. |
//! | `conformance` | The suite of the distribution specification, against `serve`. |
//! | `crash` | What is killed, starved and broken; and layouts that are traps (`crash/hostile`). |
//! | `scale` | Memory, speed and disk at sizes that matter; what ten times as much costs (`scale/growth`). |
//! | `bench` | Speed beside other tools. A course is what is run, a tool who runs it. |
//! | `peers` | The other programs: which there are, whether they are here, and how to get them. |
//! | `client` | A client of registries that is not the program's, so that it cannot share its faults. |
//! | `measure` | What a command used: run as a process of its own, which writes it down. |
//!
//! The program is built, run and shown as `xtask` does it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a run reports to the person who started it"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a run writes what may be made again, not content that must survive a crash"
)]

mod bench;
mod client;
mod conformance;
mod crash;
mod interop;
mod measure;
mod peers;
mod scale;

use std::process::ExitCode;

use clap::Parser;
use xtask::{program, run, server};

#[derive(Parser)]
#[command(
    name = "cargo acceptance",
    bin_name = "cargo acceptance",
    about = "The program among others, in numbers, and in trouble"
)]
enum Run {
    /// Measure the program beside others that copy artifacts
    Bench(bench::Args),
    /// Run the suite of the distribution specification against the registry that `serve` is
    Conformance(conformance::Args),
    /// Kill, starve and break copies, and see that nothing complete is harmed
    Crash(crash::Args),
    /// Run commands in layouts that are traps; for `crash`
    #[command(hide = true)]
    Hostile(crash::hostile::Args),
    /// Check the program beside others that read and write layouts
    Interop(interop::Args),
    /// Run a command and write down what it used; for other runs
    #[command(hide = true)]
    Measure(measure::Args),
    /// Show or install the programs that longshore is checked against
    Peers(peers::Args),
    /// Measure memory, speed and disk at sizes that matter
    Scale(scale::Args),
}

fn main() -> ExitCode {
    let result = match Run::parse() {
        Run::Bench(args) => bench::run(&args),
        Run::Conformance(args) => conformance::run(&args),
        Run::Crash(args) => crash::run(&args),
        Run::Hostile(args) => crash::hostile::run(&args),
        Run::Interop(args) => interop::run(&args),
        Run::Measure(args) => measure::run(&args),
        Run::Peers(args) => peers::run(&args),
        Run::Scale(args) => scale::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
