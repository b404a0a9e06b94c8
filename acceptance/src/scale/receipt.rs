//! The receipt of a registry with many blobs, over a wire that takes its time, beside a bare client.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use longshore_fixture::proxy::{Class, Faults, Proxy, Rules};

use super::{JOBS, bounded, dir};
use crate::client::Client;
use crate::server::{ANY_PORT, Server};

/// How long each way takes.
const DELAY: Duration = Duration::from_millis(10);
/// How many times as long a receipt may take, and as many requests it may need, as a bare client.
const SLACK: f64 = 1.3;
/// The repository: the name of the layout.
const REPOSITORY: &str = "many";

/// Writes the receipt of a registry with `count` blobs, and asks for the first byte of each with a client
/// that does nothing else, by as many connections.
pub(super) fn run(program: &Path, work: &Path, count: usize) -> Result<()> {
    println!("\n== a receipt of {count} blobs, {} ms each way", DELAY.as_millis());
    let layout = work.join(REPOSITORY);
    longshore_fixture::many(&layout, count)?;
    let mut serve = Command::new(program);
    serve.args(["serve", "--json", "--listen", ANY_PORT]).arg(dir(&layout));
    let server = Server::ours(&mut serve, &work.join("many.log"))?;
    let faults = Faults { delay: DELAY, ..Faults::http(Rules::default()) };
    let proxy = Proxy::start(server.address().parse()?, faults)?;
    let host = proxy.address().to_string();

    let receipt = work.join("many.receipt");
    let place = format!("{host}/{REPOSITORY}");
    let mut command = Command::new(program);
    let command = command.args(["receipt", "--quiet", "--jobs", JOBS, &place, "-o"]).arg(&receipt);
    let usage = bounded(command)?;
    let counts = proxy.counts();
    let text = std::fs::read_to_string(&receipt)?;
    let blobs = text.lines().filter_map(|line| line.trim().strip_prefix("blob "));
    let blobs: Vec<&str> = blobs.filter_map(|line| line.split(' ').next()).collect();
    ensure!(blobs.len() > count, "the receipt has {} blobs, not {count} and a config", blobs.len());
    let asked = counts.requests.iter().filter(|((_, class), _)| *class == Class::Blob);
    let asked: u64 = asked.map(|(_, count)| count).sum();
    println!(
        "  {} requests, {asked} of them for blobs; {} connections",
        counts.all_requests(),
        counts.connections
    );

    let bare = bare(&host, &blobs)?.as_secs_f64();
    println!("  a bare client: {} requests, {bare:.2} s", blobs.len());
    let (ratio, requests) = (usage.wall / bare, ratio(counts.all_requests(), blobs.len()));
    println!("  {ratio:.2} of its time, {requests:.2} of its requests");
    ensure!(ratio <= SLACK && requests <= SLACK, "that is more than {SLACK} of it");
    drop((proxy, server));
    Ok(std::fs::remove_dir_all(&layout)?)
}

/// Asks for the first byte of each blob, and returns how long that took.
fn bare(host: &str, blobs: &[&str]) -> Result<Duration> {
    let left = Mutex::new(blobs.iter());
    let begun = Instant::now();
    let work = || -> Result<()> {
        let mut client = Client::connect(host)?;
        loop {
            let next = left.lock().ok().and_then(|mut left| left.next());
            let Some(blob) = next else { return Ok(()) };
            client.first_byte(&format!("/v2/{REPOSITORY}/blobs/{blob}"))?;
        }
    };
    let jobs: usize = JOBS.parse()?;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().ok().context("a panic")?)
    })?;
    Ok(begun.elapsed())
}

#[expect(clippy::cast_precision_loss, reason = "no run makes that many requests")]
fn ratio(ours: u64, bare: usize) -> f64 {
    ours as f64 / bare as f64
}
