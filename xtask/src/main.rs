//! `cargo xtask TASK`: what is around the program and needs nothing but Rust. What meets other programs,
//! and takes its time, is in `acceptance`.
//!
//! A task is a module with a `run` function, a variant of [`Task`] and an arm in [`main`].
//! Tasks start other programs through [`xtask::run`], so that every command line is shown and can be
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

mod demo;
mod dist;
mod elsewhere;
mod fixtures;
mod fuzz;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "What is around the program")]
enum Task {
    /// Show what the program does: artifacts of many types cross a gap in one file
    Demo(demo::Args),
    /// Build the static program, its completions and its man pages into `dist/`
    Dist,
    /// Run the tests once more, as on a machine that is not this one
    Elsewhere(elsewhere::Args),
    /// Write `testdata/`, or check that it is what would be written
    Fixtures(fixtures::Args),
    /// Feed the parsers what nobody would send; takes a nightly compiler and cargo-fuzz
    Fuzz(fuzz::Args),
    /// Run every check that needs nothing but Rust: format, lints, tests, docs, tidy
    Test,
    /// Check the architecture: who depends on whom, and what must not be where
    Tidy,
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Demo(args) => demo::run(&args),
        Task::Dist => dist::run(),
        Task::Elsewhere(args) => elsewhere::run(&args),
        Task::Fixtures(args) => fixtures::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
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
