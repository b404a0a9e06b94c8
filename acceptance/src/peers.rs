//! `cargo acceptance peers`: the programs that longshore is checked against.

mod go;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::run;
use go::Module;

/// What may be asked of this task.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Install those that are missing: with apt-get, or built by Go into the target directory
    #[arg(long)]
    install: bool,
}

/// `peers.toml`, which says what each member means.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Peers {
    debian: Vec<Package>,
    go: Vec<Module>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "Debian calls it a package")]
struct Package {
    program: String,
    package: String,
    version: String,
    #[serde(rename = "for")]
    purpose: String,
}

/// Shows which peers are here, after installing the missing ones if asked to.
pub(crate) fn run(args: &Args) -> Result<()> {
    let peers = parse()?;
    if args.install {
        install(&peers.debian)?;
        go::install(&peers.go)?;
    }
    for Package { program, package, version, purpose } in &peers.debian {
        if let Some(path) = required(program)? {
            println!("{program}: {} (checked with {package} {version}): {purpose}", path.display());
        }
    }
    for Module { program, version, purpose, .. } in &peers.go {
        if let Some(path) = required(program)? {
            println!("{program}: {} ({version}): {purpose}", path.display());
        }
    }
    Ok(())
}

/// Finds a program that a check needs beside longshore.
///
/// Returns `None`, after saying what is skipped and how to get it, when it is not there. In
/// continuous integration that is an error, unless nothing there could build it or its sources are
/// not to be had.
pub(crate) fn required(program: &str) -> Result<Option<PathBuf>> {
    if let Some(path) = find(program)? {
        return Ok(Some(path));
    }
    let peers = parse()?;
    let remedy = if let Some(peer) = peers.debian.iter().find(|peer| peer.program == program) {
        format!("Debian has it as `{}`: cargo acceptance peers --install", peer.package)
    } else if let Some(peer) = peers.go.iter().find(|peer| peer.program == program && peer.scarce) {
        let version = &peer.version;
        println!(
            "NOT RUN: {program} ({version}) cannot be had here: it is not built, and not every module \
             proxy has its sources. What needs it is skipped; one on the PATH is taken"
        );
        return Ok(None);
    } else if !peers.go.iter().any(|peer| peer.program == program) {
        "acceptance/peers.toml does not know where it comes from".to_owned()
    } else if go::toolchain()?.is_some() {
        "Go builds it: cargo acceptance peers --install".to_owned()
    } else {
        println!("{program} cannot be had here: what needs it is skipped. {}", go::WANTED);
        return Ok(None);
    };
    if run::in_ci() {
        bail!("{program} is not here, and nothing may be skipped. {remedy}");
    }
    println!("{program} is not here: what needs it is skipped. {remedy}");
    Ok(None)
}

/// Returns where a program lies: the one that was built for these checks goes before the PATH.
pub(crate) fn find(program: &str) -> Result<Option<PathBuf>> {
    let built = built(program)?.map(|peer| peer.built());
    Ok(built.or_else(|| run::on_path(program)))
}

/// Returns the version of a program that was built for these checks, which seldom knows it itself.
pub(crate) fn built_version(program: &str) -> Result<Option<String>> {
    Ok(built(program)?.map(|peer| peer.version))
}

fn built(program: &str) -> Result<Option<Module>> {
    let mut peers = parse()?.go.into_iter();
    Ok(peers.find(|peer| peer.program == program && peer.built().is_file()))
}

fn parse() -> Result<Peers> {
    toml::from_str(include_str!("../peers.toml")).context("acceptance/peers.toml cannot be read")
}

fn install(peers: &[Package]) -> Result<()> {
    let missing = peers.iter().filter(|peer| run::on_path(&peer.program).is_none());
    let missing: Vec<&str> = missing.map(|peer| peer.package.as_str()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let apt = ["apt-get", "install", "--yes", "--no-install-recommends"];
    let mut words = if is_superuser()? { Vec::new() } else { vec!["sudo"] };
    words.extend(apt.iter().chain(&missing));
    run::run(&mut run::command(words[0], &words[1..]))
}

fn is_superuser() -> Result<bool> {
    Ok(run::capture(&mut run::command("id", ["-u"]))?.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_listed_once() {
        let Peers { debian, go } = parse().unwrap();
        let programs = debian.iter().map(|peer| &peer.program);
        let mut programs: Vec<_> = programs.chain(go.iter().map(|peer| &peer.program)).collect();
        let count = programs.len();
        programs.sort_unstable();
        programs.dedup();
        assert_eq!(programs.len(), count, "{programs:?}");
    }

    #[test]
    fn what_is_not_listed_is_found_on_the_path() {
        assert_eq!(find("sh").unwrap(), run::on_path("sh"));
        assert_eq!(find("no-such-program").unwrap(), None);
    }
}
