//! `cargo xtask fuzz`: input that nobody would send, for as long as one likes.
//!
//! What must hold for any input is in `crates/fuzzing`, and so is the test that runs the seeds.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use xtask::run::{capture, command, on_path, root, shown, without_package};

/// The most memory that a target may take for one input, in MiB.
const MEMORY: u32 = 1024;
/// How long a target may take for one input.
const PATIENCE: Duration = Duration::from_secs(20);
/// A longer line of what a target says is cut, in characters: it holds an input.
const LONGEST_LINE: usize = 500;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only these
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// How long each is run
    #[arg(long, value_name = "N", default_value_t = 600)]
    seconds: u64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if on_path("cargo-fuzz").is_none() {
        bail!("cargo-fuzz is not installed: cargo install cargo-fuzz");
    }
    let all = targets()?;
    if let Some(unknown) = args.targets.iter().find(|target| !all.contains(target)) {
        bail!("`{unknown}` is none of the targets: {}", all.join(", "));
    }
    let chosen = if args.targets.is_empty() { &all } else { &args.targets };
    capture(&mut command("cargo", ["+nightly", "--version"]))
        .context("fuzzing takes a nightly compiler: rustup toolchain install nightly")?;
    // Inputs are written to files, which need no disk.
    let memory = Path::new("/dev/shm");
    let scratch = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let scratch = tempfile::Builder::new().prefix("fuzz").tempdir_in(scratch)?;
    let mut failed = Vec::new();
    for target in chosen {
        if !fuzz(target, args.seconds, scratch.path())? {
            failed.push(target.as_str());
        }
    }
    ensure!(failed.is_empty(), "findings: {}", failed.join(", "));
    Ok(())
}

/// Returns the names of the targets, sorted.
fn targets() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        found.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    found.sort();
    Ok(found)
}

/// Runs a target on its corpus, which grows, and on its seeds; false if an input failed.
fn fuzz(target: &str, seconds: u64, scratch: &Path) -> Result<bool> {
    let [corpus, seeds] = ["corpus", "seeds"].map(|name| format!("fuzz/{name}/{target}"));
    fs::create_dir_all(root().join(&corpus))?;
    let mut fuzz = command("cargo", ["+nightly", "fuzz", "run", target, &corpus, &seeds, "--"]);
    fuzz.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
    // A thread that is about to be gone holds memory when leaks are looked for, and that is none.
    fuzz.arg("-detect_leaks=0");
    fuzz.arg(format!("-rss_limit_mb={MEMORY}")).arg(format!("-timeout={}", PATIENCE.as_secs()));
    println!("$ {}", shown(&fuzz));
    // Cargo would pass on what it was told to build for this program.
    let output = without_cargo(&mut fuzz)
        .env("TMPDIR", scratch)
        .stdin(Stdio::null())
        .stdout(Stdio::inherit())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let figures = Figures::of(&said);
    if !output.status.success() {
        println!("{}", without_progress(&said));
        println!(
            "{target}: FAILED; the input belongs into {seeds}, and then `cargo test -p longshore-fuzzing` fails too"
        );
        ensure!(figures.is_some(), "`{}` did not run", shown(&fuzz));
        return Ok(false);
    }
    let Figures { executions, edges, features, inputs } =
        figures.with_context(|| format!("`{target}` does not say what it did:\n{said}"))?;
    println!(
        "  {target}: {executions} executions, {edges} edges and {features} features covered, {inputs} inputs kept\n"
    );
    Ok(true)
}

/// Takes away what cargo has set for this program.
fn without_cargo(command: &mut Command) -> &mut Command {
    without_package(command);
    for name in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTC", "RUSTDOC"] {
        command.env_remove(name);
    }
    command
}

/// Returns what was said of a failure: no line for each new input, and not every byte of this one.
fn without_progress(said: &str) -> String {
    let is_progress = |line: &&str| line.starts_with('#') || line.starts_with("\tNEW_FUNC");
    let shortened = |line: &str| match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}…\n", &line[..end]),
        None => format!("{line}\n"),
    };
    said.lines().filter(|line| !is_progress(line)).map(shortened).collect()
}

/// What libFuzzer says of its work.
#[derive(Debug, PartialEq, Eq)]
struct Figures {
    executions: u64,
    edges: u64,
    features: u64,
    inputs: u64,
}

impl Figures {
    /// Reads the last line of progress, such as
    /// `#4096 pulse cov: 61 ft: 70 corp: 3/96b lim: 43 exec/s: 2048 rss: 32Mb`.
    fn of(said: &str) -> Option<Self> {
        let line = said.lines().rfind(|line| line.starts_with('#') && line.contains(" cov: "))?;
        let mut words = line.split_whitespace();
        let executions = words.next()?.strip_prefix('#')?.parse().ok()?;
        let after = |name: &str| {
            let number = line.split_whitespace().skip_while(|word| *word != name).nth(1)?;
            number.split('/').next()?.parse().ok()
        };
        let [edges, features, inputs] = ["cov:", "ft:", "corp:"].map(after);
        Some(Self { executions, edges: edges?, features: features?, inputs: inputs? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_read_off_the_last_line_of_progress() {
        let said = "INFO: Seed: 3\n#2\tINITED cov: 5 ft: 6 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                    #409\tNEW    cov: 61 ft: 70 corp: 3/96b lim: 43 exec/s: 20 rss: 32Mb L: 9/9\n\
                    #4096\tDONE   cov: 62 ft: 71 corp: 4/97b lim: 43 exec/s: 20 rss: 32Mb\n\
                    Done 4096 runs in 4 second(s)\nstat::number_of_executed_units: 4096\n";
        let expected = Figures { executions: 4096, edges: 62, features: 71, inputs: 4 };
        assert_eq!(Figures::of(said), Some(expected));
        assert_eq!(Figures::of("error: no such target\n"), None);
    }

    #[test]
    fn a_failure_is_told_without_what_went_before() {
        let bytes = "ab".repeat(LONGEST_LINE);
        let said = format!(
            "#2\tINITED cov: 5\n\tNEW_FUNC[1/1]: 0x5\nthread panicked\n    #0 0x5\n{bytes}"
        );
        let expected = format!("thread panicked\n    #0 0x5\n{}…\n", &bytes[..LONGEST_LINE]);
        assert_eq!(without_progress(&said), expected);
    }

    #[test]
    fn there_are_targets() {
        assert!(targets().unwrap().contains(&"requests".to_owned()));
    }
}
