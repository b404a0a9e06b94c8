//! The program itself, built from this tree and run as its users run it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::run::{self, cargo};

const NAME: &str = "longshore";

/// The package that it is in.
const PACKAGE: &str = "longshore-cli";

/// The program, compiled.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
}

impl Program {
    /// Builds it in the profile for development, which compiles quickly and runs what takes time,
    /// the dependencies, optimised.
    pub fn build() -> Result<Self> {
        #[derive(Deserialize)]
        struct Message {
            executable: Option<PathBuf>,
        }
        let mut build = cargo(["build", "--package", PACKAGE, "--bin", NAME]);
        build.arg("--message-format=json-render-diagnostics");
        let line = run::shown(&build);
        // The first time this takes minutes, and cargo tells how far it is.
        let output = build.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
        ensure!(output.status.success(), "`{line}` failed: {}", output.status);
        let messages = String::from_utf8(output.stdout)?;
        let parsed = messages.lines().filter_map(|line| serde_json::from_str(line).ok());
        match parsed.filter_map(|message: Message| message.executable).next_back() {
            Some(path) => Ok(Self { path }),
            None => bail!("`{line}` did not say where the program lies"),
        }
    }

    /// Returns a command for it that runs in `directory`.
    pub fn command<A>(&self, directory: &Path, args: A) -> Command
    where
        A: IntoIterator<Item: AsRef<OsStr>>,
    {
        let mut command = Command::new(&self.path);
        command.args(args).current_dir(directory);
        command
    }
}
