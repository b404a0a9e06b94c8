//! Memory and speed between registries and archives.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::{copy, dir, rate, sparse_files, tar};
use crate::measure::{measured, mib};
use crate::peers;
use crate::run::capture;
use crate::server::{ANY_PORT, Server};

const BLOBS: usize = 32;

/// 32 large blobs go from our registry by an archive to Debian's, and from there to another of ours.
///
/// They are holes, and what was copied becomes one again: the disk holds one copy at a time.
pub(super) fn run(program: &Path, work: &Path, size: u64) -> Result<()> {
    println!("\n== {BLOBS} blobs of {} MiB between registries", size >> 20);
    if peers::required("docker-registry")?.is_none() {
        return Ok(());
    }
    let (near, far) = (work.join("near"), work.join("far"));
    let (archive, theirs) = (work.join("registries.tar"), work.join("distribution"));
    let total = size * BLOBS as u64;
    sparse_files::layout(&near, BLOBS, size)?;
    let sent = digest(program, &format!("{}:disk", dir(&near)))?;

    let server = serve(program, &near, &[])?;
    rate(&copy(program, &server.place("disks"), &tar(&archive))?, total);
    told("the registry that it came from", &server)?;
    drop(server);
    sparse_files::dig(&archive)?;

    let distribution = Server::distribution(&theirs, ANY_PORT, false)?;
    let place = distribution.place("disks");
    rate(&copy(program, &tar(&archive), &place)?, total);
    fs::remove_file(&archive)?;
    sparse_files::dig(&theirs.join("store"))?;

    let server = serve(program, &far, &["--writable"])?;
    rate(&copy(program, &place, &server.place("disks"))?, total);
    told("the registry that it came to", &server)?;
    let arrived = digest(program, &format!("{}:disk", server.place("disks")))?;
    ensure!(arrived == sent, "{sent} went out, and {arrived} arrived");
    drop((server, distribution));
    measured(Command::new(program).args(["verify", "--quiet"]).arg(dir(&far)))?;
    for directory in [near, far, theirs] {
        fs::remove_dir_all(&directory)?;
    }
    Ok(())
}

/// Starts a registry for a directory, in which names say no repository.
fn serve(program: &Path, layout: &Path, more: &[&str]) -> Result<Server> {
    let mut command = Command::new(program);
    command.args(["serve", "--json", "--listen", ANY_PORT, "--repository", "disks"]);
    Server::ours(command.args(more).arg(dir(layout)), &layout.with_extension("log"))
}

/// Says how much memory a registry has used, by the account of the operating system.
fn told(which: &str, server: &Server) -> Result<()> {
    let most = server.peak_memory()?;
    println!("  {which}: {:.1} MiB of memory", mib(most));
    Ok(())
}

fn digest(program: &Path, place: &str) -> Result<String> {
    capture(Command::new(program).args(["digest", place]))
}
