//! `cargo acceptance interop`: the program beside other programs that read and write image layouts, and
//! beside other registries and what talks with them.
//!
//! Each check works in a directory of its own, runs the program and its peers as users do, and
//! says what it has compared. A peer that is not installed is a skipped check, and in continuous
//! integration a failure.

mod bundles;
mod cargo;
mod carry;
mod clients;
mod crane;
mod docker;
mod engines;
mod environment;
mod ground;
mod helm;
mod lock;
mod oras;
mod packages;
mod page;
mod quirks;
mod readers;
mod readme;
mod real_files;
mod refusals;
mod regctl;
mod registry;
mod run_image;
mod samples;
mod shells;
mod sides;
mod skopeo;
mod stock;
mod subsets;
mod tar;
mod tls_registry;
mod umoci;
mod visits;
mod volumes;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::program::Program;
use crate::{peers, run};
use ground::Ground;

/// What may be asked of this task.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only the checks whose names contain one of these
    #[arg(value_name = "CHECK")]
    checks: Vec<String>,
    /// Where layouts that others made lie [default: shared/samples beside the checkout]
    #[arg(long, value_name = "DIR")]
    samples: Option<PathBuf>,
    /// Leave the files where they are, and say where that is
    #[arg(long)]
    keep: bool,
}

/// What is compared with whom.
struct Check {
    name: &'static str,
    /// The programs without which it cannot run.
    peers: &'static [&'static str],
    work: fn(&Ground<'_>) -> Result<Outcome>,
}

/// How a check ended that did not fail.
enum Outcome {
    /// All was as it should be; with what was compared.
    Passed(String),
    /// It could not run; with the reason.
    Skipped(String),
}

/// A check that has run.
struct Line {
    name: &'static str,
    result: Result<Outcome>,
    time: Duration,
}

const CHECKS: &[Check] = &[
    Check { name: "jobs-and-days", peers: &[], work: environment::jobs_and_days },
    Check { name: "environment", peers: &[], work: environment::surroundings },
    Check { name: "skopeo-writes", peers: &["skopeo"], work: skopeo::writes },
    Check { name: "skopeo-archives", peers: &["skopeo"], work: skopeo::archives },
    Check { name: "skopeo-docker-archive", peers: &["skopeo"], work: skopeo::docker_archive },
    Check { name: "skopeo-reads", peers: &["skopeo"], work: skopeo::reads },
    Check { name: "umoci-writes", peers: &["umoci"], work: umoci::writes },
    Check { name: "umoci-reads", peers: &["umoci"], work: umoci::reads },
    Check { name: "tar-reads", peers: &["tar"], work: tar::reads },
    Check { name: "tar-writes", peers: &["tar"], work: tar::writes },
    Check { name: "tar-gzip", peers: &["tar", "gzip"], work: tar::gzip },
    Check { name: "tar-zstd", peers: &["tar", "zstd"], work: tar::zstd },
    Check { name: "registry-round-trip", peers: &["docker-registry"], work: registry::round_trip },
    Check { name: "registry-3-round-trip", peers: &["registry"], work: registry::round_trip_3 },
    Check { name: "registry-refusals", peers: &["docker-registry"], work: refusals::check },
    Check {
        name: "registry-same-archive",
        peers: &["docker-registry"],
        work: registry::same_archive,
    },
    Check {
        name: "registry-guarded",
        peers: &["docker-registry", "htpasswd", "openssl", "skopeo"],
        work: tls_registry::check,
    },
    Check { name: "registry-skopeo", peers: &["skopeo"], work: registry::skopeo },
    Check { name: "registry-delete", peers: &["docker-registry"], work: registry::delete },
    Check { name: "bundle-crossing", peers: &["docker-registry"], work: bundles::crossing },
    Check { name: "bundle-skopeo", peers: &["docker-registry", "skopeo"], work: readers::skopeo },
    Check { name: "bundle-oras", peers: &["docker-registry", "tar", "oras"], work: readers::oras },
    Check {
        name: "bundle-regctl",
        peers: &["docker-registry", "tar", "regctl"],
        work: readers::regctl,
    },
    Check { name: "bundle-platforms", peers: &["docker-registry", "skopeo"], work: subsets::check },
    Check { name: "bundle-lock", peers: &["docker-registry"], work: lock::check },
    Check { name: "second-visit", peers: &["docker-registry", "tar"], work: visits::second },
    Check { name: "second-visit-3", peers: &["registry", "tar"], work: visits::second_3 },
    Check {
        name: "volumes",
        peers: &["docker-registry", "skopeo", "oras", "tar"],
        work: volumes::check,
    },
    Check { name: "oras", peers: &["oras"], work: oras::copies },
    Check { name: "oras-referrers", peers: &["oras"], work: oras::referrers },
    Check { name: "crane", peers: &["crane"], work: crane::copies },
    Check { name: "regctl", peers: &["regctl"], work: regctl::copies },
    Check { name: "helm", peers: &["helm"], work: helm::check },
    Check { name: "podman", peers: &["podman"], work: engines::podman },
    Check { name: "docker", peers: &["skopeo", "podman"], work: docker::check },
    Check { name: "containerd", peers: &["containerd", "ctr"], work: engines::containerd },
    Check { name: "quirks", peers: &["docker-registry", "skopeo", "oras"], work: quirks::check },
    Check { name: "running", peers: &["skopeo", "umoci", "runc"], work: run_image::check },
    Check { name: "page", peers: &["chromium"], work: page::check },
    Check { name: "shells", peers: &["script", "bash", "zsh", "fish"], work: shells::check },
    Check { name: "samples", peers: &[], work: samples::check },
    Check {
        name: "readme",
        peers: &["docker-registry", "openssl", "htpasswd"],
        work: readme::check,
    },
    Check { name: "help", peers: &["docker-registry"], work: readme::help },
    Check { name: "real-tree", peers: &["tar", "gzip"], work: real_files::check },
];

/// Runs the checks, all of them whatever fails, and lists how they ended.
pub(crate) fn run(args: &Args) -> Result<()> {
    let wanted = |check: &&Check| {
        args.checks.is_empty() || args.checks.iter().any(|part| check.name.contains(part.as_str()))
    };
    let checks: Vec<_> = CHECKS.iter().filter(wanted).collect();
    if checks.is_empty() {
        let names: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        bail!("no check is called that; there are {}", names.join(", "));
    }
    let program = Program::build()?;
    let mut workdir = tempfile::Builder::new().prefix("longshore-interop-").tempdir()?;
    workdir.disable_cleanup(args.keep);
    if args.keep {
        println!("what is made stays in {}", workdir.path().display());
    }
    let mut lines = Vec::new();
    for check in checks {
        let line = check.run(&program, workdir.path(), args)?;
        line.tell();
        lines.push(line);
    }
    summarize(&lines)
}

impl Check {
    fn run(&self, program: &Program, workdir: &Path, args: &Args) -> Result<Line> {
        let ground = Ground::new(program, workdir, self.name, args.samples.clone())?;
        let (result, time) = run::timed(|| match missing(self.peers)? {
            Some(peer) => Ok(Outcome::Skipped(format!("{peer} is not installed"))),
            None => (self.work)(&ground),
        });
        if !args.keep {
            ground.clear()?;
        }
        Ok(Line { name: self.name, result, time })
    }
}

/// Returns the first of the peers that is not here.
fn missing(peers: &[&'static str]) -> Result<Option<&'static str>> {
    for &name in peers {
        if peers::required(name)?.is_none() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

impl Line {
    fn tell(&self) {
        let Self { name, result, time } = self;
        let time = time.as_secs_f64();
        match result {
            Ok(Outcome::Passed(what)) => println!("{name}: passed in {time:.1} s: {what}"),
            Ok(Outcome::Skipped(reason)) => println!("{name}: skipped: {reason}"),
            Err(error) => println!("{name}: FAILED after {time:.1} s\n{error:#}\n"),
        }
    }
}

/// Lists the checks and fails if one of them did.
fn summarize(lines: &[Line]) -> Result<()> {
    println!();
    for Line { name, result, time } in lines {
        let (verdict, reason) = match result {
            Ok(Outcome::Passed(_)) => ("passed", String::new()),
            Ok(Outcome::Skipped(reason)) => ("skipped", format!("  {reason}")),
            Err(_) => ("FAILED", String::new()),
        };
        println!("{verdict:<8}{:>6.1} s  {name}{reason}", time.as_secs_f64());
    }
    let count =
        |is: fn(&Result<Outcome>) -> bool| lines.iter().filter(|line| is(&line.result)).count();
    let failed = count(Result::is_err);
    let skipped = count(|result| matches!(result, Ok(Outcome::Skipped(_))));
    println!("{} passed, {skipped} skipped, {failed} failed", lines.len() - skipped - failed);
    if failed > 0 {
        bail!("{failed} failed; `cargo acceptance interop CHECK` repeats one check");
    }
    Ok(())
}
