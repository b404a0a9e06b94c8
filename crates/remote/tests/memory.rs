//! The memory of uploads. This is a program of its own, since the system counts for a whole process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what tests share belongs to them")]
#![allow(clippy::print_stderr, reason = "a measurement is told")]

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use longshore_remote::{Client, Config, PushMode};
use longshore_spec::{Descriptor, Hasher, MediaType};
use longshore_store::{Blob, Result, Target as _, Verifying};

/// How many blobs are uploaded at once.
const JOBS: usize = 16;
/// The size of each blob.
const SIZE: u64 = 48 << 20;
/// The minimum chunk size that the server asks for.
const CHUNK: u64 = 24 << 20;
/// The limit for the whole process, with this test and its server.
const MOST: u64 = 64 << 20;

/// Any number of zeros.
struct Zeros(Descriptor);

impl Blob for Zeros {
    fn descriptor(&self) -> &Descriptor {
        &self.0
    }

    fn open(&self, prefix: Option<Hasher>) -> Result<Verifying<'_>> {
        let prefix = prefix.unwrap_or_else(Hasher::sha256);
        let rest = io::repeat(0).take(self.0.size - prefix.count());
        Ok(Verifying::resume(Box::new(rest), &self.0, prefix))
    }
}

#[test]
fn uploads_take_little_memory_whole_in_chunks_and_cut() {
    let mut hasher = Hasher::sha256();
    io::copy(&mut io::repeat(0).take(SIZE), &mut Hashing(&mut hasher)).unwrap();
    let blob = Zeros(Descriptor::new(MediaType::new("a/b"), hasher.finish(), SIZE));
    for (mode, push, cuts) in [
        ("whole", PushMode::Whole, 0),
        ("chunks", PushMode::Chunks, 0),
        ("cut", PushMode::Whole, 3),
    ] {
        let host = serve(cuts * JOBS as u64);
        let config =
            Config { push, retries: 10, backoff: Duration::from_millis(1), ..Config::default() };
        let registry = Client::new(&config).unwrap().registry(&host).unwrap();
        thread::scope(|scope| {
            for number in 0..JOBS {
                let remote = registry.remote_repository(&format!("r{number}").parse().unwrap());
                let blob = &blob;
                scope.spawn(move || remote.push_blob(blob).unwrap());
            }
        });
        let peak = peak();
        eprintln!("{mode}: at most {} KiB at {JOBS} jobs so far", peak >> 10);
        assert!(peak < MOST, "{mode}: {peak} bytes");
    }
}

/// Returns the peak memory of this process, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

struct Hashing<'a>(&'a mut Hasher);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts a registry that stores nothing and cuts the first `cuts` bodies in the middle.
fn serve(cuts: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let cuts = AtomicU64::new(cuts);
        thread::scope(|scope| {
            for stream in listener.incoming().map_while(io::Result::ok) {
                let cuts = &cuts;
                scope.spawn(move || answer(&stream, cuts));
            }
        });
    });
    host
}

/// Answers the requests of a connection. The number of received bytes is in the location.
fn answer(stream: &TcpStream, cuts: &AtomicU64) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut request, mut length) = (String::new(), 0);
        reader.read_line(&mut request).ok()?;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().ok()?;
            }
        }
        let (method, target) = request.split_once(' ')?;
        let had: u64 =
            target.strip_prefix("/up/").map_or(0, |rest| number(rest).parse().unwrap_or(0));
        let cut = length > 0
            && cuts
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok();
        let wanted = if cut { length / 2 } else { length };
        let came = io::copy(&mut (&mut reader).take(wanted), &mut io::sink()).ok()?;
        if cut || came < length {
            return None;
        }
        let has = had + length;
        let more = format!(
            "Location: /up/{has}\r\nRange: 0-{}\r\nOCI-Chunk-Min-Length: {CHUNK}\r\n",
            has.saturating_sub(1)
        );
        let status = match method {
            "POST" | "PATCH" => "202 Accepted",
            "PUT" => "201 Created",
            _ => "204 No Content",
        };
        write!({ stream }, "HTTP/1.1 {status}\r\n{more}Content-Length: 0\r\n\r\n").ok()?;
    }
}

fn number(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default()
}
