//! Slow peers: bytes that come, or are taken, a few at a time.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use longshore_remote::credentials::Credential;
use longshore_remote::{Client, Config, Limits, PlainHttp, RemoteRepository, Secret};
use longshore_spec::Descriptor;
use longshore_store::{Error, Selector, Source as _, Target as _};

use crate::stub::{Response, Stub};
use crate::support::{Piece, config, noise};

/// Whatever is wrong with a peer, a test ends well before this.
const SOON: Duration = Duration::from_secs(10);

/// The pause between two bytes of a drip.
const DROP: Duration = Duration::from_millis(10);

/// A server that hands each connection to a function.
struct Raw {
    host: String,
    connections: Arc<AtomicUsize>,
}

impl Raw {
    fn new(speak: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, speak) = (Arc::clone(&connections), Arc::new(speak));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                let speak = Arc::clone(&speak);
                thread::spawn(move || speak(stream));
            }
        });
        Self { host, connections }
    }

    /// A server that answers every request with `head`, and drips bytes.
    fn dripping(head: &'static str) -> Self {
        Self::new(move |mut stream| {
            read_head(&stream);
            let _ = stream.write_all(head.as_bytes());
            drip(&stream, b" ", DROP);
        })
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn read_head(stream: &TcpStream) {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).for_each(drop);
}

/// Sends `piece` again and again until the client hangs up.
fn drip(mut stream: &TcpStream, piece: &[u8], pause: Duration) {
    while stream.write_all(piece).is_ok() {
        thread::sleep(pause);
    }
}

/// The least speed in bytes a second, checked five times a second. A drip has a tenth of it.
fn impatient() -> Config {
    let limits = Limits {
        window: Duration::from_millis(200),
        least_speed: 1000,
        least_speed_of_documents: 1000,
        explanation: Duration::from_millis(100),
        ..Limits::default()
    };
    Config { idle_timeout: Duration::from_millis(200), retries: 5, limits, ..config() }
}

fn remote_with(config: &Config, host: &str) -> RemoteRepository {
    let registry = Client::new(config).unwrap().registry(host).unwrap();
    registry.remote_repository(&"library/app".parse().unwrap())
}

fn read(remote: &RemoteRepository, blob: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    remote.open(&Descriptor::of("a/b", blob), 0)?.read_to_end(&mut content)?;
    Ok(content)
}

#[test]
fn a_drip_ends_whatever_was_asked_for() {
    let server = Raw::dripping("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    let begun = Instant::now();
    let remote = remote_with(&impatient(), &server.host);
    let by_name = Selector::Name("v1".into());
    let errors = [
        remote.manifest(&by_name).unwrap_err(),
        remote.names().unwrap_err(),
        remote.referrers(&Descriptor::empty().digest).unwrap_err(),
        read(&remote, &noise(100_000)).map_err(Error::io("read", "it")).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().ends_with("the connection is too slow"), "{error}");
    }
    // Nothing is requested again: it would come as slowly.
    assert_eq!(server.connections(), 4);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn a_drip_of_chunks_ends() {
    let server = Raw::new(|mut stream| {
        read_head(&stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        drip(&stream, b"1\r\nx\r\n", DROP);
    });
    let begun = Instant::now();
    let remote = remote_with(&impatient(), &server.host);
    remote.manifest(&Selector::Name("v1".into())).unwrap_err();
    read(&remote, &noise(100_000)).unwrap_err();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn a_token_that_comes_in_drips_is_not_waited_for() {
    let service = Raw::dripping("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    let realm = format!("http://{}/token", service.host);
    let stub = Stub::new(move |_| {
        Response::new(401).header("www-authenticate", format!("Bearer realm=\"{realm}\""))
    });
    let credential = Credential::Identity(Secret::new("id"));
    let begun = Instant::now();
    let config = Config { credentials: Arc::new(credential), ..impatient() };
    remote_with(&config, &stub.host).manifest(&Selector::Name("v1".into())).unwrap_err();
    assert_eq!(service.connections(), 1);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn what_a_refusal_says_is_not_waited_for_long() {
    for head in [
        "HTTP/1.1 500 No\r\nContent-Length: 60000\r\n\r\nbroken",
        "HTTP/1.1 418 No\r\nContent-Length: 60000\r\n\r\nbroken",
    ] {
        let server = Raw::dripping(head);
        let begun = Instant::now();
        let error = remote_with(&impatient(), &server.host)
            .manifest(&Selector::Name("v1".into()))
            .unwrap_err();
        assert!(error.to_string().contains(": broken"), "{error}");
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
}

#[test]
fn a_head_that_comes_in_drips_is_not_waited_for() {
    for start in ["HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\nx: "] {
        let server = Raw::dripping(start);
        let begun = Instant::now();
        let remote = remote_with(&impatient(), &server.host);
        remote.manifest(&Selector::Name("v1".into())).unwrap_err();
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        assert!(server.connections() <= 2, "who says nothing is asked once more");
    }
    // Informational answers before the answer do not go on forever either.
    let server = Raw::new(|stream| {
        read_head(&stream);
        drip(&stream, b"HTTP/1.1 102 Wait\r\n\r\n", DROP);
    });
    let begun = Instant::now();
    let remote = remote_with(&impatient(), &server.host);
    remote.manifest(&Selector::Name("v1".into())).unwrap_err();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn a_handshake_is_not_waited_for() {
    let server = Raw::new(|stream| drip(&stream, &[22], DROP));
    let config = Config {
        plain_http: PlainHttp::Never,
        connect_timeout: Duration::from_millis(100),
        ..impatient()
    };
    let begun = Instant::now();
    remote_with(&config, &server.host).manifest(&Selector::Name("v1".into())).unwrap_err();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn headers_without_end_are_refused() {
    for (header, count) in [("x: y\r\n", 200), (&*format!("x: {}\r\n", "y".repeat(10_000)), 90)] {
        let head = format!("HTTP/1.1 200 OK\r\n{}\r\n", header.repeat(count));
        let server = Raw::new(move |mut stream| {
            read_head(&stream);
            let _ = stream.write_all(head.as_bytes());
        });
        let config = Config { retries: 0, ..impatient() };
        let remote = remote_with(&config, &server.host);
        remote.manifest(&Selector::Name("v1".into())).unwrap_err();
        assert_eq!(server.connections(), 1);
    }
}

#[test]
fn a_slow_line_goes_on() {
    let blob = noise(8000);
    let sent = blob.clone();
    let server = Raw::new(move |mut stream| {
        read_head(&stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8000\r\n\r\n");
        for piece in sent.chunks(100) {
            if stream.write_all(piece).is_err() {
                return;
            }
            thread::sleep(DROP);
        }
    });
    let remote = remote_with(&impatient(), &server.host);
    assert!(read(&remote, &blob).unwrap() == blob);
    assert_eq!(server.connections(), 1);
}

/// A server that reads a request in pieces, with pauses, and then answers.
fn taking(piece: usize, pause: Duration) -> Raw {
    Raw::new(move |stream| {
        let mut reader = BufReader::with_capacity(piece.max(100), &stream);
        loop {
            let (mut line, mut first, mut length) = (String::new(), String::new(), 0);
            while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
                if first.is_empty() {
                    first.clone_from(&line);
                } else if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut taken = vec![0; piece];
            while length > 0 {
                let wanted = length.min(piece);
                if reader.read_exact(&mut taken[..wanted]).is_err() {
                    return;
                }
                length -= wanted;
                thread::sleep(pause);
            }
            let head: &[u8] = match first.split(' ').next() {
                Some("POST") => b"HTTP/1.1 202 Go\r\nLocation: /up\r\nContent-Length: 0\r\n\r\n",
                Some("PUT") => b"HTTP/1.1 201 Done\r\nContent-Length: 0\r\n\r\n",
                _ => return,
            };
            if (&stream).write_all(head).is_err() {
                return;
            }
        }
    })
}

#[test]
fn an_upload_that_is_taken_in_drips_ends() {
    for pause in [DROP, Duration::from_hours(1)] {
        let server = taking(1, pause);
        let begun = Instant::now();
        let remote = remote_with(&impatient(), &server.host);
        let error = remote.push_blob(&Piece::new(vec![7; 24 << 20])).unwrap_err();
        assert!(error.to_string().contains("the connection is too slow"), "{error}");
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
}

#[test]
fn a_slow_upload_goes_on() {
    // The whole transfer takes longer than anybody may be silent.
    let server = taking(64 << 10, Duration::from_millis(5));
    let remote = remote_with(&impatient(), &server.host);
    remote.push_blob(&Piece::new(vec![7; 12 << 20])).unwrap();
    assert!(server.connections() <= 2);
}

#[test]
fn a_registry_that_takes_a_byte_of_each_chunk_is_given_up() {
    let count = AtomicUsize::new(0);
    let stub = Stub::new(move |request| match request.method.as_str() {
        "POST" => Response::new(202).header("location", "/up"),
        "PATCH" => {
            let taken = count.fetch_add(1, Ordering::SeqCst) + 1;
            Response::new(202).header("location", "/up").header("range", format!("0-{taken}"))
        }
        "PUT" => Response::new(413),
        _ => Response::new(404),
    });
    let config = Config { chunk_size: 100_000, ..impatient() };
    let error =
        remote_with(&config, &stub.host).push_blob(&Piece::new(noise(1 << 20))).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert!(stub.count("PATCH") < 10, "{}", stub.count("PATCH"));
}

#[test]
fn a_blob_that_is_cut_again_and_again_ends_unless_it_gets_further() {
    let blob = noise(1 << 20);
    for (step, ends) in [(100, true), (40_000, false)] {
        let whole = blob.clone();
        let stub = Stub::new(move |request| {
            let range = request.header("range").and_then(|range| range.strip_prefix("bytes="));
            let start = range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap());
            let end = whole.len() - 1;
            let answer = Response::new(if start == 0 { 200 } else { 206 })
                .header("content-range", format!("bytes {start}-{end}/{}", whole.len()))
                .body(&whole[start..]);
            if whole.len() - start > step { answer.cut_after(step) } else { answer }
        });
        let found = read(&remote_with(&impatient(), &stub.host), &blob);
        assert_eq!(found.is_err(), ends, "{step}");
        assert_eq!(stub.log().len() < 10, ends, "{step}");
        assert!(ends || found.unwrap() == blob);
    }
}

#[test]
fn a_blob_that_begins_anew_behind_each_cut_ends() {
    let blob = noise(4 << 20);
    let whole = blob.clone();
    let count = AtomicUsize::new(0);
    let stub = Stub::new(move |_| {
        let end = 20_000 * (count.fetch_add(1, Ordering::SeqCst) + 1);
        Response::ok(whole.clone()).cut_after(end.min(whole.len()))
    });
    let error = read(&remote_with(&impatient(), &stub.host), &blob).unwrap_err();
    assert!(error.to_string().contains("16 times its size"), "{error}");
    assert!(stub.log().len() < 120, "{}", stub.log().len());
}
