//! Where a check does its work, and the ways in which it runs programs there.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use longshore_fixture::Content;
use longshore_spec::{Digest, Hasher};
use serde_json::Value;

use crate::peers;
use crate::program::Program;
use crate::run::{capture, shown};
use crate::server::Server;

/// How registries are reached that speak TLS and ask for passwords: paths in the directory.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    pub(super) authority: &'static str,
    pub(super) authfile: &'static str,
}

/// A directory of its own, and the program.
pub(super) struct Ground<'a> {
    program: &'a Program,
    directory: PathBuf,
    /// What registries demand: nothing, or what is said of them here.
    reach: Option<Reach>,
    /// Where samples lie, if that was said.
    pub(super) samples: Option<PathBuf>,
}

impl<'a> Ground<'a> {
    /// Makes the directory `name` in `parent`.
    pub(super) fn new(
        program: &'a Program,
        parent: &Path,
        name: &str,
        samples: Option<PathBuf>,
    ) -> Result<Self> {
        let directory = parent.join(name);
        fs::create_dir(&directory)?;
        Ok(Self { program, directory, reach: None, samples })
    }

    /// Returns the same, with registries of another kind. For commands that may speak with some.
    pub(super) fn reaching(&self, reach: Reach) -> Self {
        Self {
            program: self.program,
            directory: self.directory.clone(),
            reach: Some(reach),
            samples: self.samples.clone(),
        }
    }

    /// Makes the directory `name` in this one, as ground of its own.
    pub(super) fn part(&self, name: &str) -> Result<Self> {
        let part = Self::new(self.program, &self.directory, name, self.samples.clone())?;
        Ok(Self { reach: self.reach, ..part })
    }

    /// Removes all that the check has made.
    pub(super) fn clear(&self) -> Result<()> {
        let what = || format!("cannot remove {}", self.directory.display());
        fs::remove_dir_all(&self.directory).with_context(what)
    }

    /// Returns where a file or directory of the check lies.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a layout to the directory `name`, with code that is not the program's.
    pub(super) fn layout(&self, name: &str, content: &Content) -> Result<()> {
        content.write_directory(&self.path(name)).with_context(|| format!("cannot write {name}"))
    }

    /// Returns a command for the program.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program.command(&self.directory, args);
        if let Some(Reach { authority, authfile }) = self.reach {
            command.args(["--tls-ca", authority, "--authfile", authfile]);
        }
        command
    }

    /// Returns a command for another program.
    pub(super) fn peer_command(&self, program: &str, args: &[&str]) -> Command {
        // What is not found fails when it is run, and is named then.
        let path = peers::find(program).ok().flatten().unwrap_or_else(|| program.into());
        let mut command = Command::new(path);
        command.args(args).current_dir(&self.directory);
        command
    }

    /// Runs the program and returns what it printed.
    pub(super) fn ours(&self, args: &[&str]) -> Result<String> {
        capture(&mut self.command(args))
    }

    /// Runs another program and returns what it printed.
    pub(super) fn theirs(&self, program: &str, args: &[&str]) -> Result<String> {
        capture(&mut self.peer_command(program, args))
    }

    /// Runs a client of registries that sees no settings and passwords of the user, and returns what it
    /// printed.
    pub(super) fn client(&self, program: &str, args: &[&str]) -> Result<String> {
        let home = self.path("home");
        let mut command = self.peer_command(program, args);
        capture(command.env("HOME", &home).env("DOCKER_CONFIG", home.join("docker")))
    }

    /// Returns what `list --all` says of a place.
    pub(super) fn listed(&self, place: &str) -> Result<Vec<Value>> {
        let printed = self.ours(&["list", "--all", "--json", place])?;
        serde_json::from_str(&printed)
            .with_context(|| format!("`longshore list --all --json {place}` printed {printed}"))
    }

    /// Verifies a place and returns how many blobs are in it.
    pub(super) fn verified(&self, place: &str) -> Result<u64> {
        let printed = self.ours(&["verify", "--json", place])?;
        let document: Value = serde_json::from_str(&printed)?;
        let none = |member: &str| document[member].as_array().is_some_and(Vec::is_empty);
        ensure!(
            none("missing") && none("damaged"),
            "`longshore verify --json {place}` passed, and yet it says\n{printed}"
        );
        document["checked"].as_u64().context("verify does not say how much it has checked")
    }

    /// Returns the tags that a registry lists, in their order, without asking the program.
    pub(super) fn tags(&self, server: &Server, repository: &str) -> Result<Vec<String>> {
        let Some(Reach { authority, authfile }) = self.reach else {
            return server.tags(repository);
        };
        let directory = Path::new(authority).parent().context("an authority in no directory")?;
        let place = format!("docker://{}", server.place(repository));
        let mut skopeo = self.peer_command("skopeo", &["list-tags", "--authfile", authfile]);
        let printed = capture(skopeo.arg("--cert-dir").arg(directory).arg(place))?;
        let document: Value = serde_json::from_str(&printed)?;
        let tags = document["Tags"].as_array().context("skopeo lists no tags")?;
        let mut tags: Vec<_> =
            tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
        tags.sort();
        Ok(tags)
    }

    /// Copies all of one place to another.
    pub(super) fn copied(&self, from: &str, to: &str) -> Result<()> {
        self.ours(&["copy", "--quiet", "--all", from, to]).map(drop)
    }

    /// Returns the sha256 of a file.
    pub(super) fn sha256(&self, name: &str) -> Result<Digest> {
        let mut file =
            File::open(self.path(name)).with_context(|| format!("{name} is not there"))?;
        let mut hasher = Hasher::sha256();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Runs a command that must fail, and whose complaint must hold `expected`.
pub(super) fn refused(command: &mut Command, expected: &str) -> Result<()> {
    let line = shown(command);
    let output = command.output().with_context(|| format!("cannot run `{line}`"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        bail!("`{line}` was to fail with \"{expected}\", and did not");
    }
    ensure!(
        complaint.contains(expected),
        "`{line}` was to fail with \"{expected}\", and said\n{complaint}"
    );
    Ok(())
}

/// Runs a command that must fail with an exit code, and whose complaint must hold `expected`.
pub(super) fn failed(command: &mut Command, code: i32, expected: &str) -> Result<()> {
    let line = shown(command);
    let output = command.output().with_context(|| format!("cannot run `{line}`"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(code) && complaint.contains(expected),
        "`{line}` was to fail with exit status {code} and \"{expected}\"; {}, and it said\n{complaint}",
        output.status
    );
    Ok(())
}

/// Returns a member of a line of `list --json`, if it is there.
pub(super) fn text<'a>(line: &'a Value, member: &str) -> Option<&'a str> {
    line[member].as_str()
}

/// Returns what selects the artifact of a line of `list --json` in `place`.
pub(super) fn selected(place: &str, line: &Value) -> String {
    match text(line, "name") {
        Some(name) => format!("{place}:{name}"),
        None => format!("{place}@{}", text(line, "digest").unwrap_or_default()),
    }
}

/// Returns the digest that archives of one content have, and fails unless that is one.
pub(super) fn same_digest(archives: &[(String, Digest)]) -> Result<&Digest> {
    let (_, first) = &archives[0];
    let lines: Vec<_> = archives.iter().map(|(name, digest)| format!("{digest}  {name}")).collect();
    ensure!(
        archives.iter().all(|(_, digest)| digest == first),
        "one content became several archives:\n{}",
        lines.join("\n")
    );
    Ok(first)
}
