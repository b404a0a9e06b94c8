//! Our registry beside docker-registry, asked by the same client.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use longshore_fixture::{Content, Draft, Random};
use longshore_spec::Digest;

use super::figures::{Figures, Goal, Unit};
use super::tool::Tool;
use super::{Args, JOBS};
use crate::measure::mib;
use crate::run::capture;
use crate::server::{ANY_PORT, Server};

/// Large blobs, and how many bytes each has: `--quick` takes a quarter of them.
const LARGE: usize = 16;
const LARGE_BYTES: usize = 64 << 20;

/// Small blobs, and how many bytes each has.
const SMALL: usize = 1000;
const SMALL_BYTES: usize = 4 << 10;

/// For so long small blobs are asked for.
const WINDOW: Duration = Duration::from_secs(5);

const REPOSITORY: &str = "bench/served";

/// What serving took.
struct Served {
    name: &'static str,
    /// Seconds of CPU of the server, for each GiB of large blobs.
    cpu: f64,
    /// Small blobs a second.
    rate: f64,
    /// The most memory that the server ever had, in MiB.
    memory: f64,
}

pub(super) fn run(args: &Args, ours: &Tool, work: &Path, figures: &mut Figures) -> Result<()> {
    let large = if args.quick { LARGE / 4 } else { LARGE };
    println!("\n== serve: {large} blobs of {} MiB, {SMALL} of 4 KiB", LARGE_BYTES >> 20);
    fs::create_dir_all(work)?;
    let (layout, blobs) = content(large);
    layout.write_directory(&work.join("layout"))?;
    drop(layout);
    let (big, small) = blobs.split_at(large);
    let mut command = Command::new(ours.path());
    command.args(["serve", "oci:ours", "--writable", "--json", "--listen", ANY_PORT]);
    command.current_dir(work);
    let servers = [
        (ours.name(), Server::ours(&mut command, &work.join("log"))?),
        ("docker-registry", Server::distribution(&work.join("theirs"), ANY_PORT, false)?),
    ];
    let mut all = Vec::new();
    for (name, server) in &servers {
        let from = format!("oci:{}:v1", work.join("layout").display());
        let to = server.place(&format!("{REPOSITORY}:v1"));
        capture(Command::new(ours.path()).args(["copy", "--quiet", &from, &to]))?;
        let served = measure(name, server, big, small)?;
        let Served { cpu, rate, memory, .. } = served;
        println!("{name}: {cpu:.2} CPU-s/GiB, {rate:.0} small blobs a second, {memory:.1} MiB");
        all.push(served);
    }
    let values = |value: fn(&Served) -> f64| all.iter().map(move |of| (of.name, value(of)));
    let title = "serve: CPU of the server per GiB";
    figures.compare(title, Unit::Seconds, values(|of| of.cpu), Goal::AtMost(0.45));
    // Fewer seconds are better, as with all other figures.
    let title = "serve: 1,000 blobs of 4 KiB";
    figures.compare(title, Unit::Seconds, values(|of| 1000.0 / of.rate), Goal::OfBest(1.0 / 1.2));
    figures.compare("the same: memory", Unit::Mebibytes, values(|of| of.memory), Goal::None);
    Ok(())
}

/// Returns an artifact of large and small blobs, and the digests of these in this order.
fn content(large: usize) -> (Content, Vec<Digest>) {
    let (mut content, mut random) = (Content::new(), Random::new(11));
    let config = content.empty();
    let lengths = std::iter::repeat_n(LARGE_BYTES, large).chain([SMALL_BYTES; SMALL]);
    let layers: Vec<_> = lengths
        .map(|length| {
            let mut bytes = vec![0; length];
            random.fill(&mut bytes);
            content.blob("application/octet-stream", bytes)
        })
        .collect();
    let manifest = content.manifest(&Draft::image(&config, &layers));
    content.tag(&manifest, "v1");
    (content, layers.into_iter().map(|layer| layer.digest).collect())
}

fn measure(
    name: &'static str,
    server: &Server,
    big: &[Digest],
    small: &[Digest],
) -> Result<Served> {
    // Once to bring it into the memory, and what the server prepares.
    pull(server, big, || false)?;
    let before = server.processor()?;
    let bytes = pull(server, big, || false)?;
    let cpu = server.processor()? - before;
    let begun = Instant::now();
    let pulled = pull(server, small, || begun.elapsed() < WINDOW)?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let (count, gib) = (pulled as f64 / SMALL_BYTES as f64, mib(bytes) / 1024.0);
    let rate = count / begun.elapsed().as_secs_f64();
    Ok(Served { name, cpu: cpu / gib, rate, memory: mib(server.peak_memory()?) })
}

/// Pulls every blob once, and again as long as `again` says so, over several connections at once;
/// returns how many bytes came.
fn pull(server: &Server, blobs: &[Digest], again: impl Fn() -> bool + Sync) -> Result<u64> {
    let next = AtomicUsize::new(0);
    let client = || -> Result<u64> {
        let mut client = Client::connect(server)?;
        let mut bytes = 0;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= blobs.len() && !again() {
                return Ok(bytes);
            }
            bytes += client.get(&blobs[at % blobs.len()])?;
        }
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..JOBS).map(|_| scope.spawn(client)).collect();
        let bytes = clients
            .into_iter()
            .map(|client| client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        bytes.sum()
    })
}

/// A connection that is used again and again.
struct Client<'s> {
    server: &'s Server,
    stream: BufReader<TcpStream>,
    buffer: Vec<u8>,
}

impl<'s> Client<'s> {
    fn connect(server: &'s Server) -> Result<Self> {
        let stream = TcpStream::connect(server.address())?;
        stream.set_nodelay(true)?;
        Ok(Self { server, stream: BufReader::new(stream), buffer: vec![0; 256 << 10] })
    }

    /// Reads a blob, throws it away, and returns how long it is.
    fn get(&mut self, digest: &Digest) -> Result<u64> {
        let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
        let host = self.server.address();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (mut line, mut length) = (String::new(), None);
        self.stream.read_line(&mut line)?;
        ensure!(line.contains(" 200 "), "GET {path} was answered with {line}");
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let header = line.trim_end();
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse::<u64>().ok();
            }
        }
        let length = length.with_context(|| format!("{path} has no length"))?;
        let mut left = length;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let count = self.stream.read(&mut self.buffer[..most])?;
            ensure!(count > 0, "{path} broke off");
            left -= count as u64;
        }
        Ok(length)
    }
}
