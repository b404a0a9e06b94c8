//! A registry kept equal to another, tag by tag, over a wire that takes its time: beside regsync.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use longshore_fixture::proxy::{Class, Counts, Faults, Proxy, Rules};
use longshore_fixture::{Content, Draft};
use longshore_spec::MediaType;
use serde_json::json;

use super::figures::{Figures, Goal, Unit};
use super::tool::Tool;
use super::{Args, JOBS};
use crate::measure::{Usage, measured};
use crate::peers;
use crate::run::capture;
use crate::server::{ANY_PORT, Server};

/// How long each way takes.
const DELAY: Duration = Duration::from_millis(10);
/// How many tags each repository has.
const TAGS: usize = 50;
/// What an unchanged pass may take, beside the peer.
const UNCHANGED: f64 = 0.5;

/// A mirror from one registry to another, both behind the wire.
struct Mirror {
    name: &'static str,
    near: Proxy,
    far: Proxy,
    _far: Server,
    command: Box<dyn Fn() -> Command>,
}

/// What a pass took.
struct Pass {
    usage: Usage,
    /// Requests by kind, at the source and at the target.
    requests: [BTreeMap<String, u64>; 2],
}

pub(super) fn run(args: &Args, ours: &Tool, work: &Path, figures: &mut Figures) -> Result<()> {
    let repositories = if args.quick { 20 } else { 200 };
    let tags = repositories * TAGS;
    println!(
        "\n== mirror: {repositories} repositories, {tags} tags, {} ms each way",
        DELAY.as_millis()
    );
    fs::create_dir_all(work)?;
    let server = Server::distribution(&work.join("near"), ANY_PORT, true)?;
    let layout = work.join("content");
    content(repositories).write_directory(&layout)?;
    let source = format!("oci:{}", layout.display());
    let mut fill = Command::new(ours.path());
    capture(fill.args(["import", "--quiet", "--jobs", "32", &source, server.address()]))?;

    let mut mirrors = vec![by_us(ours.path(), &server, work, repositories)?];
    match peers::required("regsync")? {
        Some(regsync) => mirrors.push(by_regsync(&regsync, &server, work, repositories)?),
        None => println!("  regsync is left out: it is not here"),
    }
    let first = passes("first", &mirrors)?;
    let unchanged = passes("unchanged", &mirrors)?;
    let moved = work.join("moved");
    one_image(4242).write_directory(&moved)?;
    let mut move_one = Command::new(ours.path());
    move_one.args(["copy", "--quiet", &format!("oci:{}:moved", moved.display())]);
    capture(move_one.arg(format!("{}/r-0:v0", server.address())))?;
    let one = passes("one tag moved", &mirrors)?;

    for (name, passes, goal) in [
        ("mirror, first pass: wall", &first, Goal::None),
        ("mirror, unchanged: wall", &unchanged, Goal::OfBest(UNCHANGED)),
        ("mirror, one tag moved: wall", &one, Goal::OfBest(UNCHANGED)),
    ] {
        let walls = mirrors.iter().zip(passes).map(|(mirror, pass)| (mirror.name, pass.usage.wall));
        figures.compare(name, Unit::Seconds, walls, goal);
    }
    let heads = |pass: &Pass| -> u64 {
        pass.requests.iter().filter_map(|side| side.get("HEAD Manifest")).sum()
    };
    let number = |pass: &Pass| count(heads(pass));
    let head_goal = Goal::AtMost(count(2 * tags as u64));
    figures.alone(
        "mirror, unchanged: HEAD on both sides",
        Unit::Number,
        number(&unchanged[0]),
        head_goal,
    );
    let memory = mib(&unchanged[0].usage);
    figures.alone("mirror, unchanged: memory", Unit::Mebibytes, memory, Goal::AtMost(64.0));
    ensure!(
        unchanged[0].requests.iter().all(|side| !side.keys().any(|kind| writes(kind))),
        "an unchanged pass wrote something"
    );
    Ok(())
}

fn writes(kind: &str) -> bool {
    ["PUT", "POST", "PATCH", "DELETE"].iter().any(|method| kind.starts_with(method))
}

/// Makes a pass of each, and says what it took.
fn passes(what: &str, mirrors: &[Mirror]) -> Result<Vec<Pass>> {
    let pass = |mirror: &Mirror| {
        println!("-- {what}, {}", mirror.name);
        let before = [mirror.near.counts(), mirror.far.counts()];
        let usage = measured(&mut (mirror.command)())?;
        let after = [mirror.near.counts(), mirror.far.counts()];
        let requests = [0, 1].map(|side| new_requests(&before[side], &after[side]));
        for (side, requests) in ["source", "target"].iter().zip(&requests) {
            let told: Vec<_> =
                requests.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            println!("  {side}: {}", told.join(", "));
        }
        Ok(Pass { usage, requests })
    };
    mirrors.iter().map(pass).collect()
}

fn new_requests(before: &Counts, after: &Counts) -> BTreeMap<String, u64> {
    let mut new = BTreeMap::new();
    for (asked, count) in &after.requests {
        let (method, class): &(String, Class) = asked;
        let count = count - before.requests.get(asked).copied().unwrap_or_default();
        if count > 0 {
            new.insert(format!("{method} {class:?}"), count);
        }
    }
    new
}

/// Starts an empty registry, and the wires to both.
fn wires(near: &Server, far: &Path) -> Result<(Proxy, Proxy, Server)> {
    let faults = || Faults { delay: DELAY, ..Faults::http(Rules::default()) };
    let server = Server::distribution(far, ANY_PORT, true)?;
    let [near, far] = [near.address(), server.address()]
        .map(|address| anyhow::Ok(Proxy::start(address.parse()?, faults())?));
    Ok((near?, far?, server))
}

fn by_us(program: &Path, server: &Server, work: &Path, repositories: usize) -> Result<Mirror> {
    let (near, far, server) = wires(server, &work.join("far-ours"))?;
    let mut text =
        format!("target: {}\ndefaults: {{ referrers: none }}\nartifacts:\n", far.address());
    for repository in 0..repositories {
        let _ = writeln!(text, "- repository: {}/r-{repository}", near.address());
    }
    let file = work.join("mirror.yaml");
    fs::write(&file, text)?;
    let program = program.to_owned();
    let command = Box::new(move || {
        let mut command = Command::new(&program);
        command.args(["mirror", "--quiet", "--jobs", &JOBS.to_string(), "-f"]).arg(&file);
        command
    });
    Ok(Mirror { name: "longshore", near, far, _far: server, command })
}

fn by_regsync(program: &Path, server: &Server, work: &Path, repositories: usize) -> Result<Mirror> {
    let (near, far, server) = wires(server, &work.join("far-regsync"))?;
    let mut text = "version: 1\ncreds:\n".to_owned();
    for host in [near.address(), far.address()] {
        let _ = writeln!(
            text,
            "- registry: {host}\n  tls: disabled\n  reqConcurrent: {JOBS}\n  reqPerSec: 100000"
        );
    }
    let _ = writeln!(text, "defaults:\n  parallel: {JOBS}\nsync:");
    for repository in 0..repositories {
        let _ = writeln!(
            text,
            "- source: {}/r-{repository}\n  target: {}/r-{repository}\n  type: repository",
            near.address(),
            far.address()
        );
    }
    let file = work.join("regsync.yaml");
    fs::write(&file, text)?;
    let (program, home): (PathBuf, PathBuf) = (program.to_owned(), work.to_owned());
    let command = Box::new(move || {
        let mut command = Command::new("env");
        command.arg(format!("HOME={}", home.display())).arg(&program);
        command.args(["once", "--verbosity", "error", "-c"]).arg(&file);
        command
    });
    Ok(Mirror { name: "regsync", near, far, _far: server, command })
}

/// Returns all repositories, each with its tags, under full references.
fn content(repositories: usize) -> Content {
    let mut content = Content::new();
    let layer = content.blob(MediaType::LAYER_TAR, vec![7; 4096]);
    for repository in 0..repositories {
        for tag in 0..TAGS {
            let number = repository * TAGS + tag;
            let config = config(&mut content, number as u64);
            let image = content.manifest(&Draft::image(&config, &[layer.clone()]));
            content.tag(&image, &format!("harbour.example/r-{repository}:v{tag}"));
        }
    }
    content
}

fn one_image(seed: u64) -> Content {
    let mut content = Content::new();
    let config = config(&mut content, u64::MAX - seed);
    let layer = content.blob(MediaType::LAYER_TAR, vec![8; 4096]);
    let image = content.manifest(&Draft::image(&config, &[layer]));
    content.tag(&image, "moved");
    content
}

fn config(content: &mut Content, seed: u64) -> longshore_spec::Descriptor {
    let config = json!({ "architecture": "amd64", "os": "linux", "author": seed.to_string(),
        "rootfs": { "type": "layers", "diff_ids": [] } });
    content.json(MediaType::IMAGE_CONFIG, &config)
}

fn mib(usage: &Usage) -> f64 {
    crate::measure::mib(usage.memory)
}

#[expect(clippy::cast_precision_loss, reason = "no run makes that many requests")]
fn count(requests: u64) -> f64 {
    requests as f64
}
