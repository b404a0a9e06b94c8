//! Many small artifacts over a wire that takes its time.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use longshore_fixture::proxy::{Class, Counts, Faults, Proxy, Rules};

use super::corpus::{self, ARTIFACTS};
use super::figures::{Figures, Goal, Unit};
use super::place::Place;
use super::tool::Tool;
use super::{Args, JOBS, course};
use crate::measure::measured;
use crate::run::shown;
use crate::server::{ANY_PORT, Server};

/// How long each way takes.
const DELAY: Duration = Duration::from_millis(10);
/// How much longer it may take than the wire alone would.
const SLACK: f64 = 1.5;

/// What a copy took.
#[derive(Debug, Clone, Copy)]
struct Pass {
    wall: f64,
    requests: u64,
    /// Requests for blobs, of any method.
    blobs: u64,
}

pub(super) fn run(args: &Args, tools: &[Tool], work: &Path, figures: &mut Figures) -> Result<()> {
    let milliseconds = DELAY.as_millis();
    println!("\n== small: {ARTIFACTS} artifacts, {milliseconds} ms each way");
    fs::create_dir_all(work)?;
    let (ours, peers) = tools.split_first().context("ours is always there")?;
    let server = Server::distribution(&work.join("registry"), ANY_PORT, false)?;
    corpus::push_small(ours, &server, work)?;

    let [ours_first, ours_again] = try_ours(if args.quick { 2 } else { 3 }, ours, &server, work)?;
    let mut others = Vec::new();
    for tool in peers {
        // A peer takes most of a minute, and knows nothing of what it did before: once is enough.
        match passes_of(tool, &server, work, 1) {
            Ok(passes) => others.extend(passes.first().map(|first| (tool.name(), *first))),
            Err(error) => println!("  {} is left out: {error:#}", tool.name()),
        }
    }
    let first = |value: fn(&Pass) -> f64| {
        let all = [(ours.name(), ours_first)].into_iter().chain(others.iter().copied());
        all.map(move |(name, pass)| (name, value(&pass)))
    };
    let wire = count(ours_first.requests) * 2.0 * DELAY.as_secs_f64() / f64::from(JOBS);
    let (seconds, number) = (Unit::Seconds, Unit::Number);
    let title = format!("small, registry → directory, {milliseconds} ms each way: wall");
    figures.compare(&title, seconds, first(|pass| pass.wall), Goal::AtMost(2.0));
    let bound = "the same, against 1.5 × requests × round trip ÷ jobs";
    figures.alone(bound, seconds, ours_first.wall, Goal::AtMost(SLACK * wire));
    figures.alone("the same: requests", number, count(ours_first.requests), Goal::None);
    let title = "small, unchanged, a second time: wall";
    figures.alone(title, seconds, ours_again.wall, Goal::AtMost(1.0));
    figures.alone("the same: requests", number, count(ours_again.requests), Goal::None);
    let title = "the same: requests for blobs";
    figures.alone(title, number, count(ours_again.blobs), Goal::AtMost(0.0));
    Ok(())
}

/// Returns the quickest of each pass.
fn try_ours(tries: usize, ours: &Tool, server: &Server, work: &Path) -> Result<[Pass; 2]> {
    let mut best: Option<[Pass; 2]> = None;
    for _ in 0..tries {
        let passes = passes_of(ours, server, work, 2)?;
        let [first, again] = passes.try_into().ok().context("two passes were asked for")?;
        best = Some(match best {
            Some(best) => [quicker(best[0], first), quicker(best[1], again)],
            None => [first, again],
        });
    }
    best.context("at least one try is made")
}

fn quicker(one: Pass, other: Pass) -> Pass {
    if other.wall < one.wall { other } else { one }
}

/// Copies everything into a new directory, `times` times.
fn passes_of(tool: &Tool, server: &Server, work: &Path, times: usize) -> Result<Vec<Pass>> {
    // Some peers try TLS first, which a proxy that reads HTTP does not pass on.
    let rules = tool.is_ours().then(Rules::default);
    let faults = Faults { delay: DELAY, rules, ..Faults::default() };
    let proxy = Proxy::start(server.address().parse()?, faults)?;
    let host = proxy.address().to_string();
    let run = work.join("run");
    fs::create_dir_all(&run)?;
    let target = run.join("target");
    let passes = command(tool, &host, &run, &target)
        .and_then(|mut command| (0..times).map(|_| pass(&mut command, &proxy)).collect());
    let arrived = course::files(&target);
    fs::remove_dir_all(&run)?;
    if passes.is_ok() {
        ensure!(arrived > ARTIFACTS as u64 * 4, "only {arrived} files arrived");
    }
    passes
}

fn pass(command: &mut Command, proxy: &Proxy) -> Result<Pass> {
    let before = proxy.counts();
    let usage = measured(command)?;
    let after = proxy.counts();
    for (asked, count) in &after.requests {
        let (method, class) = asked;
        let count = count - before.requests.get(asked).copied().unwrap_or_default();
        if count > 0 {
            println!("  {count} × {method} of {class:?}");
        }
    }
    let requests = after.all_requests() - before.all_requests();
    let blobs = blobs(&after) - blobs(&before);
    let connections = after.connections - before.connections;
    println!("  {connections} connections");
    Ok(Pass { wall: usage.wall, requests, blobs })
}

/// Returns one command for everything: with a list, or else a script that starts the program for
/// each artifact in turn, as a person would have to.
fn command(tool: &Tool, host: &str, run: &Path, target: &Path) -> Result<Command> {
    let sources = corpus::small(host);
    let mut text = String::new();
    if tool.is_ours() {
        for source in sources {
            writeln!(text, "{}", source.prefixed("", "", ""))?;
        }
        let list = written(run, "list", &text)?;
        return Ok(tool.copy_list(&list, target));
    }
    writeln!(text, "set -e")?;
    if let Some(directory) = tool.path().parent() {
        writeln!(text, "PATH='{}':$PATH", directory.display())?;
    }
    for source in sources {
        let Place::Registry { tag, .. } = &source else { continue };
        let to = Place::Directory { path: target.to_owned(), tag: tag.clone() };
        let copy = tool.copy(&source, &to, run).context("it does not write directories")?;
        writeln!(text, "{}", shown(&copy))?;
    }
    let mut command = Command::new("sh");
    command.arg(written(run, "script", &text)?);
    Ok(command)
}

fn written(run: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = run.join(name);
    fs::write(&path, text)?;
    Ok(path)
}

fn blobs(counts: &Counts) -> u64 {
    let requests = counts.requests.iter();
    requests.filter(|((_, class), _)| *class == Class::Blob).map(|(_, count)| count).sum()
}

#[expect(clippy::cast_precision_loss, reason = "no run makes that many requests")]
fn count(requests: u64) -> f64 {
    requests as f64
}
