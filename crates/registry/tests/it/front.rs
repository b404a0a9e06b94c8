//! The server over a socket, with a client that sends bytes.

use std::io::{BufRead as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use longshore_registry::front::ServerOptions;
use longshore_spec::Digest;

use crate::client::{Client, PATIENCE, started};
use crate::limits::wait_for_requests;
use crate::support::{get, image, push_blob, push_image, writable};

fn chunked(pieces: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()).chain([&&b""[..]]) {
        write!(body, "{:x}\r\n", piece.len()).unwrap();
        body.extend_from_slice(piece);
        body.extend_from_slice(b"\r\n");
    }
    body
}

#[test]
fn an_image_is_pulled_over_one_connection() {
    let registry = Arc::new(writable());
    // Several pieces, and not a whole number of them.
    let layer: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();
    let descriptor = push_image(&registry, "a/b", "v1", &layer);
    let server = started(&registry, ServerOptions::default());
    let mut client = Client::to(&server);
    assert_eq!(client.ask("GET /v2/", "", b"").status, 200);
    let head = client.ask("HEAD /v2/a/b/manifests/v1", "", b"");
    assert_eq!(head.header("content-length"), descriptor.size.to_string());
    assert_eq!(head.header("docker-content-digest"), descriptor.digest.to_string());
    let manifest = client.ask("GET /v2/a/b/manifests/v1", "", b"");
    assert_eq!(manifest.body, image(b"{}", &[&layer], None));
    let blob = format!("/v2/a/b/blobs/{}", Digest::sha256(&layer));
    let head = client.ask(&format!("HEAD {blob}"), "", b"");
    assert_eq!((head.status, head.header("content-length")), (200, "1000003"));
    assert!(client.ask(&format!("GET {blob}"), "", b"").body == layer);
    let part = client.ask(&format!("GET {blob}"), "range: bytes=300000-\r\n", b"");
    assert!(part.status == 206 && part.body == layer[300_000..]);
    assert_eq!(client.ask("GET /v2/a/b/manifests/v2", "", b"").status, 404);
    assert_eq!(client.ask("GET /nowhere", "", b"").status, 404);
    drop(client);
    assert_eq!(server.stop(PATIENCE), 0);
}

#[test]
fn f15_f23_an_image_is_pushed_in_chunks_of_http() {
    let registry = Arc::new(writable());
    let server = started(&registry, ServerOptions::default());
    let mut client = Client::to(&server);
    let chunks = "transfer-encoding: chunked\r\n";
    let layer: Vec<u8> = (0..700_001_u32).map(|n| (n % 253) as u8).collect();
    for content in [&b"{}"[..], &layer] {
        let post = client.ask("POST /v2/a/blobs/uploads/", "content-length: 0\r\n", b"");
        let location = post.header("location").to_owned();
        let (one, two) = content.split_at(content.len() / 3);
        let body = chunked(&[one, two]);
        let patch = client.ask(&format!("PATCH {location}"), chunks, &body);
        assert_eq!(
            (patch.status, patch.header("range")),
            (202, &*format!("0-{}", content.len() - 1))
        );
        let digest = Digest::sha256(content).to_string().replace(':', "%3A");
        let put = client.ask(&format!("PUT {location}?digest={digest}"), chunks, &chunked(&[]));
        assert_eq!(put.status, 201);
    }
    let manifest = image(b"{}", &[&layer], None);
    let body = chunked(&[&manifest]);
    assert_eq!(client.ask("PUT /v2/a/manifests/v1", chunks, &body).status, 201);
    assert_eq!(client.ask("GET /v2/a/manifests/v1", "", b"").body, manifest);
    assert!(get(&registry, &format!("/v2/a/blobs/{}", Digest::sha256(&layer))).body == layer);
}

#[test]
fn f52_many_clients_push_the_same_and_pull_it() {
    const CLIENTS: u8 = 16;
    let registry = Arc::new(writable());
    // Fewer threads than clients: they take turns.
    let options = ServerOptions { max_requests: 4, ..ServerOptions::default() };
    let server = started(&registry, options);
    let shared: Vec<u8> = (0..600_000_u32).map(|n| (n % 241) as u8).collect();
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (server, shared) = (&server, &shared);
            scope.spawn(move || {
                let mut client = Client::to(server);
                let own = vec![number; 300_000];
                for content in [shared, &own] {
                    let digest = Digest::sha256(content);
                    let length = format!("content-length: {}\r\n", content.len());
                    let post = format!("POST /v2/a/blobs/uploads/?digest={digest}");
                    assert_eq!(client.ask(&post, &length, content).status, 201);
                    let get = client.ask(&format!("GET /v2/a/blobs/{digest}"), "", b"");
                    assert!(get.body == *content);
                }
            });
        }
    });
    assert_eq!(server.stop(PATIENCE), 0);
}

#[test]
fn f49_a_cut_connection_leaves_an_upload_that_goes_on() {
    let registry = Arc::new(writable());
    let server = started(&registry, ServerOptions::default());
    let location = crate::support::begin(&registry, "a");
    let digest = Digest::sha256(b"0123456789");
    for (headers, body) in [
        ("content-length: 10\r\n", &b"0123"[..]),
        ("transfer-encoding: chunked\r\n", b"4\r\n4567\r\n"),
    ] {
        let mut client = Client::to(&server);
        let put = format!("PUT {location}?digest={digest} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        client.send(put.as_bytes());
        client.send(body);
        client.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
        client.ends();
    }
    assert_eq!(get(&registry, &format!("/v2/a/blobs/{digest}")).status, 404);
    let mut client = Client::to(&server);
    // The server may not have noticed the end of the last connection yet.
    let status = loop {
        let status = client.ask(&format!("GET {location}"), "", b"");
        if status.status != 429 {
            break status;
        }
    };
    assert_eq!((status.status, status.header("range")), (204, "0-7"));
    let rest = "content-range: 8-9\r\ncontent-length: 2\r\n";
    let put = client.ask(&format!("PUT {location}?digest={digest}"), rest, b"89");
    assert_eq!(put.status, 201);
}

#[test]
fn f14_a_refused_chunk_does_not_break_the_connection() {
    let registry = Arc::new(writable());
    let server = started(&registry, ServerOptions::default());
    let mut client = Client::to(&server);
    let location = crate::support::begin(&registry, "a");
    let body = vec![0; 3 << 20];
    let headers =
        format!("content-range: 5-{}\r\ncontent-length: {}\r\n", body.len() + 4, body.len());
    assert_eq!(client.ask(&format!("PATCH {location}"), &headers, &body).status, 416);
    assert_eq!(client.ask(&format!("GET {location}"), "", b"").status, 204);
}

#[test]
fn f27_an_endless_manifest_is_refused_while_it_comes() {
    let registry = Arc::new(writable());
    let server = started(&registry, ServerOptions::default());
    let mut client = Client::to(&server);
    let body = chunked(&[&vec![b' '; 9 << 20]]);
    let put = client.ask("PUT /v2/a/manifests/v1", "transfer-encoding: chunked\r\n", &body);
    assert_eq!(put.status, 413);
}

#[test]
fn clients_that_say_nothing_are_hung_up_on() {
    let registry = Arc::new(writable());
    let brief = Duration::from_millis(50);
    let options =
        ServerOptions { header_timeout: brief, idle_timeout: brief, ..ServerOptions::default() };
    let server = started(&registry, options);
    Client::to(&server).ends();
    let mut half = Client::to(&server);
    half.send(b"GET /v2/ HTTP/1.1\r\nhost:");
    half.ends();
    let location = crate::support::begin(&registry, "a");
    let mut silent = Client::to(&server);
    let patch = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc");
    silent.send(patch.as_bytes());
    assert_eq!(silent.receive(true).status, 408);
    silent.ends();
}

#[test]
fn a_client_that_takes_nothing_is_hung_up_on_and_others_are_served() {
    let registry = Arc::new(writable());
    let large = vec![7; 32 << 20];
    let digest = push_blob(&registry, "a", &large);
    let options = ServerOptions {
        max_requests: 1,
        idle_timeout: Duration::from_millis(100),
        ..ServerOptions::default()
    };
    let server = started(&registry, options);
    let mut lazy = Client::to(&server);
    lazy.send(format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
    // There is one place, and the lazy client loses it.
    assert_eq!(Client::to(&server).ask("GET /v2/", "", b"").status, 200);
    drop(lazy);
}

#[test]
fn a_server_that_stops_ends_what_is_under_way() {
    let registry = Arc::new(writable());
    let server = started(&registry, ServerOptions::default());
    let mut idle = Client::to(&server);
    assert_eq!(idle.ask("GET /v2/", "", b"").status, 200);
    let location = crate::support::begin(&registry, "a");
    let mut busy = Client::to(&server);
    let digest = Digest::sha256(b"abcdef");
    let put = format!(
        "PUT {location}?digest={digest} HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nabc"
    );
    busy.send(put.as_bytes());
    wait_for_requests(&mut idle, 1);
    let address = server.addresses()[0];
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| server.stop(PATIENCE));
        idle.ends();
        busy.send(b"def");
        assert_eq!(busy.receive(true).status, 201);
        busy.ends();
        assert_eq!(stopping.join().unwrap(), 0);
    });
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_client_that_waits_to_be_told_is_told_to_go_on() {
    let registry = Arc::new(writable());
    let server = started(&registry, ServerOptions::default());
    let mut client = Client::to(&server);
    let digest = Digest::sha256(b"abc");
    let headers = "host: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n";
    let post = format!("POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\n{headers}\r\n");
    client.send(post.as_bytes());
    let mut line = String::new();
    client.0.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    client.0.read_line(&mut line).unwrap();
    client.send(b"abc");
    assert_eq!(client.receive(true).status, 201);
}
