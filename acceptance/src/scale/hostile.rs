//! A registry among clients that ask for more than they take, or send less than they say.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::dir;
use crate::measure::mib;
use crate::server::{ANY_PORT, Server};

/// What a registry may take whatever is done to it.
const MEMORY: u64 = 128 << 20;
/// How long others may have to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often they ask.
const QUESTIONS: usize = 20;
/// How large the blob is that nobody takes.
const BLOB: u64 = 64 << 20;
/// What a client of HTTP/2 says first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Does something to a registry that has a blob, and returns what must stay open.
type Attack = fn(&Server, &str) -> Result<Vec<TcpStream>>;

const ATTACKS: [(&str, Attack); 11] = [
    ("640 streams of HTTP/2 whose windows are closed", closed_windows),
    ("600 answers that are not taken", still_readers),
    ("2000 heads of 60 KB that do not end", endless_heads),
    ("1400 uploads that are begun and left", left_uploads),
    ("256 manifests of 8 MiB that nearly come", long_manifests),
    ("16 floods of streams that are reset at once", resets),
    ("16 floods of pings whose answers are not taken", pings),
    ("16 floods of settings whose answers are not taken", settings),
    ("16 heads of HTTP/2 that go on and on", continuations),
    ("16 uploads of extensions of a chunk", chunk_extensions),
    ("16 uploads of trailers", trailers),
];

/// Under each attack, memory is bounded and others are answered.
pub(super) fn run(program: &Path, work: &Path) -> Result<()> {
    let layout = work.join("hostile");
    longshore_fixture::large(&layout, 1, BLOB)?;
    let blobs = by_size(&layout.join("blobs/sha256"))?;
    let at = |blob: Option<&String>| {
        let blob = blob.context("there is no blob")?;
        anyhow::Ok(format!("/v2/hostile/blobs/sha256:{blob}"))
    };
    let (small, large) = (at(blobs.first())?, at(blobs.last())?);
    for (what, attack) in ATTACKS {
        println!("\n== {what}");
        let mut command = Command::new(program);
        command.args(["serve", "--writable", "--json", "--listen", ANY_PORT]).arg(dir(&layout));
        let server = Server::ours(&mut command, &work.join("hostile.log"))?;
        let open = attack(&server, &large)?;
        let mut longest = Duration::ZERO;
        // What takes no content, and what does.
        for path in ["/v2/", &small].into_iter().cycle().take(QUESTIONS) {
            let begun = Instant::now();
            let status = ask(&mut connect(&server)?, &format!("GET {path}"), "")?;
            longest = longest.max(begun.elapsed());
            ensure!(status == "200", "another client is answered {status} to {path}");
        }
        let most = server.peak_memory()?;
        println!("  {:.1} MiB; others waited {:.2} s at most", mib(most), longest.as_secs_f64());
        ensure!(most < MEMORY, "that is more than {:.0} MiB", mib(MEMORY));
        ensure!(longest < PATIENCE, "that is more than {} s", PATIENCE.as_secs());
        drop(open);
    }
    Ok(fs::remove_dir_all(&layout)?)
}

/// Returns the names of the files in a directory, the smallest first.
fn by_size(directory: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        found.push((entry.metadata()?.len(), entry.file_name().to_string_lossy().into_owned()));
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

fn connect(server: &Server) -> Result<TcpStream> {
    let stream = TcpStream::connect(server.address())?;
    stream.set_read_timeout(Some(PATIENCE * 2))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Asks for something and returns the status.
fn ask(stream: &mut TcpStream, request: &str, headers: &str) -> Result<String> {
    write!(stream, "{request} HTTP/1.1\r\nHost: a\r\n{headers}\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    Ok(String::from_utf8_lossy(&head[9..]).into_owned())
}

/// Ten connections whose client never lets anything of an answer come.
fn closed_windows(server: &Server, path: &str) -> Result<Vec<TcpStream>> {
    const STREAMS: u32 = 64;
    // RFC 9113, section 6.5.2: the windows of streams are closed from the first moment.
    const SETTINGS: [u8; 6] = [0, 4, 0, 0, 0, 0];
    let block = head(path)?;
    let mut open = Vec::new();
    for _ in 0..10 {
        let mut stream = connect(server)?;
        stream.write_all(PREFACE)?;
        stream.write_all(&frame(4, 0, 0, &SETTINGS)?)?;
        for number in 0..STREAMS {
            // END_STREAM and END_HEADERS.
            stream.write_all(&frame(1, 5, 2 * number + 1, &block)?)?;
        }
        open.push(stream);
    }
    Ok(open)
}

/// Returns a head that asks for something by HTTP/2.
fn head(path: &str) -> Result<Vec<u8>> {
    // RFC 7541, appendix A: GET, http, then a path and an authority that are spelled out.
    let mut block = vec![0x82, 0x86, 0x04];
    block.push(u8::try_from(path.len())?);
    block.extend(path.as_bytes());
    block.extend([0x01, 1, b'a']);
    Ok(block)
}

/// Returns a frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<Vec<u8>> {
    let mut frame = u32::try_from(payload.len())?.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    Ok(frame)
}

fn still_readers(server: &Server, path: &str) -> Result<Vec<TcpStream>> {
    let reader = |_| {
        let mut stream = connect(server)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")?;
        Ok(stream)
    };
    (0..600).map(reader).collect()
}

fn endless_heads(server: &Server, _: &str) -> Result<Vec<TcpStream>> {
    let head = format!("GET /v2/ HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(60_000));
    let half = |_| {
        let mut stream = connect(server)?;
        // It may be closed by then.
        let _ = stream.write_all(head.as_bytes());
        Ok(stream)
    };
    (0..2000).map(half).collect()
}

fn left_uploads(server: &Server, _: &str) -> Result<Vec<TcpStream>> {
    let upload = |_| {
        let mut stream = connect(server)?;
        ask(&mut stream, "POST /v2/bad/blobs/uploads/", "Content-Length: 0\r\n")?;
        Ok(stream)
    };
    (0..1400).map(upload).collect()
}

fn long_manifests(server: &Server, _: &str) -> Result<Vec<TcpStream>> {
    const SIZE: usize = 8 << 20;
    let content = vec![b' '; SIZE - 1];
    let mut open = Vec::new();
    for _ in 0..256 {
        let mut stream = connect(server)?;
        write!(
            stream,
            "PUT /v2/bad/manifests/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"
        )?;
        stream.set_nonblocking(true)?;
        open.push(stream);
    }
    // A piece of each in turn, as far as it is taken.
    for piece in content.chunks(256 << 10) {
        for stream in &mut open {
            let _ = stream.write(piece);
        }
    }
    Ok(open)
}

/// Sends `first` on some connections, and then what `more` returns on each in turn, as far as it is taken.
fn flood(
    server: &Server,
    first: &[u8],
    more: impl Fn(u32) -> Result<Vec<u8>>,
) -> Result<Vec<TcpStream>> {
    const CONNECTIONS: usize = 16;
    const ROUNDS: u32 = 400;
    let begin = |_| {
        let mut stream = connect(server)?;
        stream.write_all(first)?;
        stream.set_nonblocking(true)?;
        anyhow::Ok(stream)
    };
    let mut open = (0..CONNECTIONS).map(begin).collect::<Result<Vec<_>>>()?;
    for round in 0..ROUNDS {
        let more = more(round)?;
        for stream in &mut open {
            let _ = stream.write(&more);
        }
    }
    Ok(open)
}

/// Floods with frames of HTTP/2, of which so many are sent at once.
fn flood_of_frames(
    server: &Server,
    count: u32,
    frames: impl Fn(u32) -> Result<Vec<u8>>,
) -> Result<Vec<TcpStream>> {
    let first = [PREFACE, &frame(4, 0, 0, &[])?].concat();
    let several = |round| {
        let numbers = round * count..(round + 1) * count;
        Ok(numbers.map(&frames).collect::<Result<Vec<_>>>()?.concat())
    };
    flood(server, &first, several)
}

fn resets(server: &Server, path: &str) -> Result<Vec<TcpStream>> {
    let block = head(path)?;
    // A number that was used before ends the connection, as a piece that is not taken does.
    flood_of_frames(server, 100, |number| {
        let stream = 2 * number + 1;
        Ok([frame(1, 5, stream, &block)?, frame(3, 0, stream, &[0, 0, 0, 8])?].concat())
    })
}

fn pings(server: &Server, _: &str) -> Result<Vec<TcpStream>> {
    flood_of_frames(server, 1000, |_| frame(6, 0, 0, b"are you?"))
}

fn settings(server: &Server, _: &str) -> Result<Vec<TcpStream>> {
    flood_of_frames(server, 1000, |_| frame(4, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]))
}

fn continuations(server: &Server, path: &str) -> Result<Vec<TcpStream>> {
    let block = head(path)?;
    // END_STREAM, and never END_HEADERS.
    flood_of_frames(server, 1, |number| match number {
        0 => frame(1, 1, 1, &block),
        _ => frame(9, 0, 1, &[0, 1, b'a', 1, b'b'].repeat(3000)),
    })
}

fn chunk_extensions(server: &Server, _: &str) -> Result<Vec<TcpStream>> {
    flood_of_chunks(server, "1;a=", "y")
}

fn trailers(server: &Server, _: &str) -> Result<Vec<TcpStream>> {
    flood_of_chunks(server, "0\r\n", "X-Trailer: y\r\n")
}

/// Pushes a manifest in chunks, which go on with the same again and again.
fn flood_of_chunks(server: &Server, begin: &str, more: &str) -> Result<Vec<TcpStream>> {
    let first = format!(
        "PUT /v2/bad/manifests/v1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n{begin}"
    );
    let more = more.repeat(5000);
    flood(server, first.as_bytes(), |_| Ok(more.clone().into_bytes()))
}
