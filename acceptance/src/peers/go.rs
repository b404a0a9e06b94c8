//! Programs that Go builds of their sources.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::run::{self, capture, command};

/// The oldest Go that builds all of them: some say so in their `go.mod`.
const OLDEST: (u32, u32) = (1, 25);
/// What is said where there is no such Go.
pub(super) const WANTED: &str = "Building it takes Go 1.25 or newer on the PATH";

/// A program, and the module that it is in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "Go calls it a module")]
pub(super) struct Module {
    pub(super) program: String,
    module: String,
    folder: String,
    pub(super) version: String,
    /// Whether there are module proxies that do not have it.
    #[serde(default)]
    pub(super) scarce: bool,
    #[serde(rename = "for")]
    pub(super) purpose: String,
}

impl Module {
    /// Returns where the program lies once it is built: where another version is not.
    pub(super) fn built(&self) -> PathBuf {
        let directory = format!("{}-{}", self.program, self.version);
        run::target_directory().join("peers").join(directory).join(&self.program)
    }

    /// Builds the program as its own `go.mod` and `go.sum` say, which `go install` does only for
    /// modules that replace and exclude nothing and whose other versions can be listed.
    fn build(&self, go: &PathBuf) -> Result<()> {
        let directory = self.fetched(go)?.join(&self.folder);
        let finished = self.built();
        fs::create_dir_all(finished.parent().context("a file in no directory")?)?;
        // It gets its name when it is whole.
        let unfinished = finished.with_extension("unfinished");
        let mut build = command(go, ["build", "-C"]);
        build.arg(directory).args([
            "-mod=readonly",
            "-buildvcs=false",
            "-trimpath",
            "-ldflags=-s -w",
        ]);
        // All of them do without C, and then it takes less time and no compiler.
        build.arg("-o").arg(&unfinished).arg(".").env("CGO_ENABLED", "0");
        run::run(&mut build)?;
        Ok(fs::rename(unfinished, finished)?)
    }

    /// Returns where Go keeps the sources of a module, after fetching them if it must.
    fn fetched(&self, go: &PathBuf) -> Result<PathBuf> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Fetched {
            dir: PathBuf,
        }
        let module = format!("{}@{}", self.module, self.version);
        let said = capture(&mut command(go, ["mod", "download", "-json", &module]))?;
        let fetched: Fetched = serde_json::from_str(&said)
            .with_context(|| format!("`go mod download -json {module}` printed {said}"))?;
        Ok(fetched.dir)
    }
}

/// Builds what is not built yet, if there is a Go for it; says which of the scarce ones cannot be.
pub(super) fn install(modules: &[Module]) -> Result<()> {
    let Some(go) = toolchain()? else { return Ok(()) };
    for module in modules.iter().filter(|module| !module.built().is_file()) {
        let (result, time) = run::timed(|| module.build(&go));
        let Module { program, version, .. } = module;
        let result = result.with_context(|| format!("{program} {version} cannot be built"));
        match result {
            Ok(()) => println!("{program} {version} was built in {:.1} s", time.as_secs_f64()),
            Err(error) if module.scarce => println!("{error:#}"),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Returns a Go that is new enough, if one is on the PATH.
pub(super) fn toolchain() -> Result<Option<PathBuf>> {
    let Some(go) = run::on_path("go") else { return Ok(None) };
    let said = capture(&mut command(&go, ["env", "GOVERSION"]))?;
    Ok((version(&said) >= Some(OLDEST)).then_some(go))
}

/// Returns the first two numbers in what Go says of its version.
fn version(said: &str) -> Option<(u32, u32)> {
    let (major, rest) = said.trim().strip_prefix("go")?.split_once('.')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((major.parse().ok()?, rest[..end].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_are_compared_by_their_numbers() {
        assert_eq!(version("go1.26.8\n"), Some((1, 26)));
        assert_eq!(version("go1.25rc1"), Some((1, 25)));
        assert_eq!(version("devel go1.27-0123abc"), None);
        assert!(version("go1.9.2") < Some(OLDEST) && version("go1.100") > Some(OLDEST));
    }
}
