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

mod dist;
mod fixtures;
mod peers;
mod run;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Everything around the program")]
enum Task {
    /// Build the static program, its completions and its man pages into `dist/`
    Dist,
    /// Write `testdata/`, or check that it is what would be written
    Fixtures(fixtures::Args),
    /// Show or install the programs that longshore is checked against
    Peers(peers::Args),
    /// Run every check that needs nothing but Rust: format, lints, tests, docs, tidy
    Test,
    /// Check the architecture: who depends on whom, and what must not be where
    Tidy,
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Dist => dist::run(),
        Task::Fixtures(args) => fixtures::run(&args),
        Task::Peers(args) => peers::run(&args),
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
