//! A registry among clients that mean it no good.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{MEMORY, dir};
use crate::measure::mib;
use crate::run::capture;
use crate::server::{ANY_PORT, Server};

/// Connections on which nothing is ever said.
const IDLE: usize = 2000;
/// Connections on which a request never ends, and on which an upload never comes.
const HALF: usize = 64;
/// So much is announced of each of these uploads, and so much of it sent.
const ANNOUNCED: u64 = 1 << 40;
const SENT: usize = 256 << 10;
/// How long one who works may have to wait for a copy among them.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client pushes and pulls among thousands that hold connections, halves of requests and uploads;
/// memory and files stay bounded, and what they leave is gone with them.
pub(super) fn run(program: &Path, work: &Path) -> Result<()> {
    println!("\n== {IDLE} idle connections, {HALF} halves of requests, {HALF} stalled uploads");
    let files = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, files.1, files.1)?;
    let (source, layout) = (work.join("crowd-source"), work.join("crowd"));
    longshore_fixture::many(&source, 100)?;
    let mut command = Command::new(program);
    command.args(["serve", "--writable", "--json", "--listen", ANY_PORT]).arg(dir(&layout));
    let server = Server::ours(&mut command, &work.join("crowd.log"))?;

    let mut crowd = Vec::new();
    for _ in 0..IDLE {
        crowd.push(connect(&server)?);
    }
    for _ in 0..HALF {
        let mut half = connect(&server)?;
        write!(half, "GET /v2/ HTTP/1.1\r\nHost: a\r\nX-Endless: ")?;
        crowd.push(half);
    }
    for _ in 0..HALF {
        crowd.push(stalled(&server)?);
    }
    ensure!(partial(&layout)? > 0, "the uploads are nowhere");

    let place = server.place("good/many:all");
    let begun = Instant::now();
    let source_of_all = format!("{}:all", dir(&source));
    for (from, to) in
        [(source_of_all.clone(), place.clone()), (place, dir(&work.join("crowd-target")))]
    {
        capture(Command::new(program).args(["copy", "--quiet", &from, &to]))?;
    }
    let (took, most) = (begun.elapsed(), server.peak_memory()?);
    println!("  a push and a pull of 100 blobs in {:.2} s", took.as_secs_f64());
    println!("  the registry: {:.1} MiB of memory", mib(most));
    ensure!(took < PATIENCE, "that is more than {} s", PATIENCE.as_secs());
    ensure!(most < MEMORY, "that is more than {:.0} MiB", mib(MEMORY));

    drop(crowd);
    drop(server);
    // Another server is the first that can know that nobody goes on with them.
    let server = Server::ours(&mut command, &work.join("crowd.log"))?;
    capture(
        Command::new(program)
            .args(["copy", "--quiet"])
            .args([source_of_all, server.place("good/again:all")]),
    )?;
    drop(server);
    let left = partial(&layout)?;
    ensure!(left == 0, "{left} files of uploads are left");
    capture(Command::new(program).args(["verify", "--quiet"]).arg(dir(&layout)))?;
    for directory in [source, layout, work.join("crowd-target")] {
        fs::remove_dir_all(directory)?;
    }
    Ok(())
}

fn connect(server: &Server) -> Result<TcpStream> {
    let stream = TcpStream::connect(server.address())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Begins an upload of a terabyte, sends a little of it, and stops.
fn stalled(server: &Server) -> Result<TcpStream> {
    let mut stream = connect(server)?;
    write!(
        stream,
        "POST /v2/bad/uploads/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answer.extend(byte);
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let location = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("location").then_some(value)
    });
    let location = location.with_context(|| format!("no upload was begun: {answer}"))?;
    write!(stream, "PATCH {location} HTTP/1.1\r\nHost: a\r\nContent-Length: {ANNOUNCED}\r\n\r\n")?;
    stream.write_all(&vec![7; SENT])?;
    Ok(stream)
}

/// Counts the files of uploads in a layout.
fn partial(layout: &Path) -> Result<usize> {
    let mut count = 0;
    let mut left = vec![layout.join(".longshore")];
    while let Some(directory) = left.pop() {
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                left.push(path);
            } else if path.components().any(|part| part.as_os_str() == "partial") {
                count += 1;
            }
        }
    }
    Ok(count)
}
