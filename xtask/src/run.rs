//! Running other programs, and saying so.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Returns the directory of the workspace.
pub fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    // It lies in the workspace.
    xtask.parent().unwrap_or(xtask)
}

/// Returns the directory that cargo builds into.
pub fn target_directory() -> PathBuf {
    let directory = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root().join(directory)
}

/// Returns whether this is continuous integration, where nothing may be skipped.
pub fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// Returns a command that runs in the workspace's directory.
pub fn command<A>(program: impl AsRef<OsStr>, args: A) -> Command
where
    A: IntoIterator<Item: AsRef<OsStr>>,
{
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// Returns a command for the cargo that runs this task.
pub fn cargo<A>(args: A) -> Command
where
    A: IntoIterator<Item: AsRef<OsStr>>,
{
    let mut command = command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), args);
    without_package(&mut command);
    command
}

/// Takes away what cargo has set for this program as one of its package. Build scripts of dependencies
/// look at the same variables, and much is compiled once more where those differ.
pub fn without_package(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
}

/// Prints the command, runs it, and fails if it does.
pub fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    println!("$ {line}");
    let status = command.status().with_context(|| format!("cannot run `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    Ok(())
}

/// Runs the command in silence and returns what it printed, or fails with what it complained of.
pub fn capture(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let output = command.output().with_context(|| format!("cannot run `{line}`"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` failed: {}\n{}", output.status, complaint.trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` did not print UTF-8"))
}

/// Returns what `work` returned and how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = work();
    (value, start.elapsed())
}

/// Returns the command as a person would type it: what was set in its environment, the program
/// without its directory, the arguments.
pub fn shown(command: &Command) -> String {
    let settings = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.display(), quoted(value?))));
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let words = [program].into_iter().chain(command.get_args()).map(quoted);
    settings.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./:=+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Returns where the PATH leads for a program's name.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = command("/usr/bin/env", ["-u", "two words", "it's", ""]);
        command.env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(shown(&command), r"RUSTDOCFLAGS='-D warnings' env -u 'two words' 'it'\''s' ''");
    }

    #[test]
    fn cargo_is_not_told_of_this_package() {
        let env = cargo(["env"]);
        let told: Vec<_> = env.get_envs().map(|(name, value)| (name.to_owned(), value)).collect();
        assert!(told.contains(&("CARGO_PKG_NAME".into(), None)), "{told:?}");
        assert!(told.iter().all(|(_, value)| value.is_none()), "{told:?}");
    }

    #[test]
    fn a_failed_command_says_why() {
        let error = capture(&mut command("sh", ["-c", "echo no room >&2; exit 3"])).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("no room"), "{error}");
    }
}
