//! `cargo xtask test`: every check that needs nothing but Rust, as continuous integration runs it.

use anyhow::{Context, Result, bail};

use crate::{fixtures, tidy};
use xtask::run::{self, cargo};

/// One check: what it is called, the command that repeats it, and the work itself.
struct Step {
    name: &'static str,
    repeat: String,
    work: Box<dyn FnOnce() -> Result<()>>,
}

impl Step {
    /// Returns a step that runs cargo with `args`, and with `env` set.
    fn cargo(name: &'static str, env: &[(&str, &str)], args: &'static str) -> Self {
        let mut command = cargo(args.split(' '));
        command.envs(env.iter().copied());
        Self { name, repeat: run::shown(&command), work: Box::new(move || run::run(&mut command)) }
    }

    /// Returns a step that is a task of this program.
    fn task(name: &'static str, args: &'static str, work: fn() -> Result<()>) -> Self {
        Self { name, repeat: format!("cargo xtask {args}"), work: Box::new(work) }
    }

    fn run(self) -> Result<()> {
        let (result, time) = run::timed(self.work);
        let verdict = if result.is_ok() { "passed" } else { "FAILED" };
        println!("{}: {verdict} in {:.1} s\n", self.name, time.as_secs_f64());
        if result.is_err() {
            println!("repeat it with: {}\n", self.repeat);
        }
        result.context(self.name)
    }
}

/// Runs the checks in order and stops at the first that fails.
pub(crate) fn run() -> Result<()> {
    let (result, time) = run::timed(|| steps()?.into_iter().try_for_each(Step::run));
    result?;
    println!("everything passed in {:.1} s", time.as_secs_f64());
    Ok(())
}

/// Cheap steps come first, and those that share compiled code follow one another.
fn steps() -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if has_component("fmt", "rustfmt")? {
        steps.push(Step::cargo("format", &[], "fmt --all --check"));
    }
    if has_component("clippy", "clippy")? {
        let args = "clippy --workspace --all-targets --locked -- -D warnings";
        steps.push(Step::cargo("lints", &[], args));
    }
    steps.push(Step::cargo("tests", &[], "test --workspace --locked"));
    let strict = [("RUSTDOCFLAGS", "-Dwarnings")];
    steps.push(Step::cargo("docs", &strict, "doc --workspace --no-deps --locked"));
    steps.push(Step::task("tidy", "tidy", tidy::run));
    steps.push(Step::task("fixtures", "fixtures --check", fixtures::check));
    Ok(steps)
}

/// Returns whether cargo has a subcommand that a component of the toolchain brings.
///
/// Where it is missing its step is left out, and that is said; in continuous integration it is an
/// error.
fn has_component(subcommand: &str, component: &str) -> Result<bool> {
    if run::capture(&mut cargo([subcommand, "--version"])).is_ok() {
        return Ok(true);
    }
    let missing = format!("{component} is not installed: rustup component add {component}");
    if run::in_ci() {
        bail!("{missing}");
    }
    println!("{missing}\nits step is SKIPPED\n");
    Ok(false)
}
