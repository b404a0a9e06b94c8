//! `cargo xtask TASK`: everything around the program that is worth repeating.
//!
//! A task is a module with a `run` function, a variant of [`Task`] and an arm in [`main`].
//! Tasks start other programs through [`run`], so that every command line is shown and can be
//! repeated by hand.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task reports to the person who started it"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a task writes build products, which may be made again, not content that must survive a crash"
)]

mod bench;
mod client;
mod conformance;
mod crash;
mod demo;
mod dist;
mod elsewhere;
mod fixtures;
mod fuzz;
mod interop;
mod measure;
mod peers;
mod program;
mod run;
mod scale;
mod server;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Everything around the program")]
enum Task {
    /// Measure the program beside others that copy artifacts
    Bench(bench::Args),
    /// Run the suite of the distribution specification against the registry that `serve` is
    Conformance(conformance::Args),
    /// Show what the program does: artifacts of many types cross a gap in one file
    Demo(demo::Args),
    /// Kill, starve and break copies, and see that nothing complete is harmed
    Crash(crash::Args),
    /// Build the static program, its completions and its man pages into `dist/`
    Dist,
    /// Run the tests once more, as on a machine that is not this one
    Elsewhere(elsewhere::Args),
    /// Write `testdata/`, or check that it is what would be written
    Fixtures(fixtures::Args),
    /// Feed the parsers what nobody would send; takes a nightly compiler and cargo-fuzz
    Fuzz(fuzz::Args),
    /// Run commands in layouts that are traps; for `crash`
    #[command(hide = true)]
    Hostile(crash::hostile::Args),
    /// Run a command and write down what it used; for other tasks
    #[command(hide = true)]
    Measure(measure::Args),
    /// Check the program beside others that read and write layouts
    Interop(interop::Args),
    /// Show or install the programs that longshore is checked against
    Peers(peers::Args),
    /// Measure memory, speed and disk at sizes that matter
    Scale(scale::Args),
    /// Run every check that needs nothing but Rust: format, lints, tests, docs, tidy
    Test,
    /// Check the architecture: who depends on whom, and what must not be where
    Tidy,
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Bench(args) => bench::run(&args),
        Task::Crash(args) => crash::run(&args),
        Task::Conformance(args) => conformance::run(&args),
        Task::Demo(args) => demo::run(&args),
        Task::Dist => dist::run(),
        Task::Elsewhere(args) => elsewhere::run(&args),
        Task::Fixtures(args) => fixtures::run(&args),
        Task::Interop(args) => interop::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Hostile(args) => crash::hostile::run(&args),
        Task::Measure(args) => measure::run(&args),
        Task::Peers(args) => peers::run(&args),
        Task::Scale(args) => scale::run(&args),
        Task::Test => test::run(),
        Task::Tidy => tidy::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
