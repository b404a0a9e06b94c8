//! The programs that are measured, and what to type for them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::JOBS;
use super::place::Place;
use crate::peers;
use crate::run::capture;

/// A program that copies artifacts.
#[derive(Debug)]
pub(super) struct Tool {
    kind: Kind,
    path: PathBuf,
    version: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Longshore,
    Skopeo,
    Oras,
    Crane,
    Regctl,
}

const PEERS: [Kind; 4] = [Kind::Oras, Kind::Crane, Kind::Regctl, Kind::Skopeo];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Longshore => "longshore",
            Self::Skopeo => "skopeo",
            Self::Oras => "oras",
            Self::Crane => "crane",
            Self::Regctl => "regctl",
        }
    }

    fn version_argument(self) -> &'static str {
        match self {
            Self::Longshore | Self::Skopeo => "--version",
            Self::Oras | Self::Crane | Self::Regctl => "version",
        }
    }
}

impl Tool {
    /// Returns `longshore` and then every peer that is here.
    pub(super) fn all(longshore: PathBuf) -> Result<Vec<Self>> {
        let mut tools = vec![Self::found(Kind::Longshore, longshore)?];
        for kind in PEERS {
            match peers::find(kind.name())? {
                Some(path) => tools.push(Self::found(kind, path)?),
                None => println!("{} is not here and not measured", kind.name()),
            }
        }
        Ok(tools)
    }

    fn found(kind: Kind, path: PathBuf) -> Result<Self> {
        if let Some(version) = peers::built_version(kind.name())? {
            return Ok(Self { kind, path, version });
        }
        let said = capture(Command::new(&path).arg(kind.version_argument()))?;
        let line = said.lines().find(|line| line.contains(|c: char| c.is_ascii_digit()));
        let word = line.and_then(|line| {
            line.split_whitespace().find(|word| word.contains(|c: char| c.is_ascii_digit()))
        });
        Ok(Self { kind, path, version: word.unwrap_or("of unknown version").to_owned() })
    }

    pub(super) fn name(&self) -> &'static str {
        self.kind.name()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Returns whether this is the program that all of this is about.
    pub(super) fn is_ours(&self) -> bool {
        self.kind == Kind::Longshore
    }

    /// Returns the command that reads sources from a list, which only ours has.
    pub(super) fn copy_list(&self, list: &Path, to: &Path) -> Command {
        let mut command = Command::new(&self.path);
        command.args(["copy", "--quiet", "--jobs", &JOBS.to_string(), "-f"]).arg(list);
        command.arg(format!("oci:{}", to.display()));
        command
    }

    /// Returns the command that copies one artifact, unchanged, or `None` if this cannot.
    /// What it keeps for a while, it keeps in `scratch` if it can be told.
    pub(super) fn copy(&self, from: &Place, to: &Place, scratch: &Path) -> Option<Command> {
        let mut command = Command::new(&self.path);
        let jobs = JOBS.to_string();
        match self.kind {
            Kind::Longshore => {
                command.args(["copy", "--quiet", "--jobs", &jobs]);
                command.args([from, to].map(|place| place.prefixed("", "oci:", "oci-archive:")));
            }
            Kind::Skopeo => {
                command.args(["--insecure-policy", "--tmpdir"]).arg(scratch);
                command.args(["copy", "--quiet", "--preserve-digests"]);
                command.args(["--src-tls-verify=false", "--dest-tls-verify=false"]);
                let place = |place: &Place| place.prefixed("docker://", "oci:", "oci-archive:");
                command.args([from, to].map(place));
            }
            Kind::Oras => {
                command.args(["cp", "--no-tty", "--concurrency", &jobs]);
                for (side, place) in [("from", from), ("to", to)] {
                    command.arg(match place {
                        Place::Registry { .. } => format!("--{side}-plain-http"),
                        Place::Directory { .. } => format!("--{side}-oci-layout"),
                        Place::Archive { .. } => return None,
                    });
                }
                command.args([from, to].map(|place| place.prefixed("", "", "")));
            }
            Kind::Crane => {
                command.arg("--insecure");
                match (from, to) {
                    (Place::Registry { .. }, Place::Registry { .. }) => {
                        command.args(["copy", "--jobs", &jobs]);
                        command.args([from, to].map(|place| place.prefixed("", "", "")));
                    }
                    (Place::Registry { .. }, Place::Directory { path, .. }) => {
                        command.args(["pull", "--format=oci"]);
                        command.arg(from.prefixed("", "", "")).arg(path);
                    }
                    (Place::Directory { path, .. }, Place::Registry { .. }) => {
                        command.arg("push").arg(path).arg(to.prefixed("", "", ""));
                    }
                    _ => return None,
                }
            }
            Kind::Regctl => {
                for host in [from, to].into_iter().filter_map(Place::host) {
                    command.arg("--host").arg(format!("reg={host},tls=disabled"));
                }
                command.arg("image");
                if let Place::Archive { path, .. } = to {
                    command.arg("export").arg(from.prefixed("", "ocidir://", "")).arg(path);
                } else {
                    command.arg("copy");
                    command.args([from, to].map(|place| place.prefixed("", "ocidir://", "")));
                }
            }
        }
        Some(command)
    }
}
