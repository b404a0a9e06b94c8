//! `cargo xtask peers`: the programs that longshore is checked against.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::run;

/// What may be asked of this task.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Install those that are missing, with apt-get
    #[arg(long)]
    install: bool,
}

/// `peers.toml`, which says what each member means.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Peers {
    peer: Vec<Peer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Peer {
    program: String,
    package: String,
    version: String,
    #[serde(rename = "for")]
    purpose: String,
}

/// Shows which peers are here, after installing the missing ones if asked to.
pub(crate) fn run(args: &Args) -> Result<()> {
    let peers = parse()?.peer;
    if args.install {
        install(&peers)?;
    }
    for Peer { program, package, version, purpose } in &peers {
        if let Some(path) = run::peer(program)? {
            println!("{program}: {} (checked with {package} {version}): {purpose}", path.display());
        }
    }
    Ok(())
}

/// Returns the Debian package that holds a program, if `peers.toml` knows it.
pub(crate) fn package_of(program: &str) -> Result<Option<String>> {
    Ok(parse()?.peer.into_iter().find(|peer| peer.program == program).map(|peer| peer.package))
}

fn parse() -> Result<Peers> {
    toml::from_str(include_str!("../peers.toml")).context("xtask/peers.toml cannot be read")
}

fn install(peers: &[Peer]) -> Result<()> {
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
    fn peers_name_their_packages() {
        assert_eq!(package_of("skopeo").unwrap().as_deref(), Some("skopeo"));
        assert_eq!(package_of("no-such-program").unwrap(), None);
    }
}
