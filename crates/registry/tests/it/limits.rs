//! Clients that want too much.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_registry::Handler;
use longshore_registry::front::{RequestObserver, RequestRecord, Server, ServerOptions};
use longshore_spec::Digest;

use crate::client::{Client, PATIENCE, started};
use crate::support::{begin, push_blob, writable};

#[test]
fn idle_connections_lock_nobody_out() {
    let options = ServerOptions { max_connections: 64, ..ServerOptions::default() };
    let server = started(&Arc::new(writable()), options);
    // Some have sent one request and are in the middle of another.
    let asking = (0..20).map(|_| {
        let mut client = Client::to(&server);
        assert_eq!(client.ask("GET /v2/", "", b"").status, 200);
        client.send(b"GET /v2/ HTTP/1.1\r\nhost:");
        client
    });
    let mut idle: Vec<_> = asking.collect();
    idle.extend((0..130).map(|_| Client::to(&server)));
    assert_eq!(Client::to(&server).ask("GET /v2/", "", b"").status, 200);
    // The first ones were closed long before their timeout.
    idle.swap_remove(0).ends();
    idle.swap_remove(60).ends();
}

#[test]
fn a_connection_that_works_is_not_closed_in_a_crowd() {
    let registry = Arc::new(writable());
    let options = ServerOptions { max_connections: 8, ..ServerOptions::default() };
    let server = started(&registry, options);
    let mut busy = Client::to(&server);
    let location = begin(&registry, "a");
    let digest = Digest::sha256("abcdef");
    let put = format!(
        "PUT {location}?digest={digest} HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nabc"
    );
    busy.send(put.as_bytes());
    // On one connection: of many, one without a request would be closed for the next. Whoever asked for the upload
    // itself might be in the way of the request that is waited for.
    let mut other = Client::to(&server);
    wait_for_requests(&mut other, 1);
    let crowd: Vec<_> = (0..40).map(|_| Client::to(&server)).collect();
    assert_eq!(Client::to(&server).ask("GET /v2/", "", b"").status, 200);
    drop(crowd);
    busy.send(b"def");
    assert_eq!(busy.receive(true).status, 201);
}

#[test]
fn f46_requests_that_nobody_has_time_for_are_told_when_to_come_again() {
    let registry = Arc::new(writable());
    let options = ServerOptions { max_requests: 1, max_waiting: 0, ..ServerOptions::default() };
    let server = started(&registry, options);
    let location = begin(&registry, "a");
    let mut busy = Client::to(&server);
    let patch = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\na");
    busy.send(patch.as_bytes());
    let mut other = Client::to(&server);
    wait_for_requests(&mut other, 1);
    let refused = other.ask("GET /v2/", "", b"");
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    assert!(String::from_utf8(refused.body).unwrap().contains("TOOMANYREQUESTS"));
    assert_eq!(other.ask("GET /healthz", "", b"").status, 200);
    busy.send(b"b");
    assert_eq!(busy.receive(true).status, 202);
    // The thread is free a moment after the answer.
    while other.ask("GET /v2/", "", b"").status != 200 {}
}

#[test]
fn a_body_that_comes_a_byte_at_a_time_is_refused() {
    let registry = Arc::new(writable());
    let options = ServerOptions {
        idle_timeout: Duration::from_millis(100),
        min_rate: 1 << 30,
        ..ServerOptions::default()
    };
    let server = started(&registry, options);
    let location = begin(&registry, "a");
    let mut slow = Client::to(&server);
    let patch = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n");
    slow.send(patch.as_bytes());
    let stream = slow.0.get_ref().try_clone().unwrap();
    let drip = std::thread::spawn(move || while (&stream).write_all(b"x").is_ok() {});
    assert_eq!(slow.receive(true).status, 408);
    slow.ends();
    drip.join().unwrap();
}

#[test]
fn clients_that_stand_still_make_room_for_those_that_wait() {
    let registry = Arc::new(writable());
    let options = ServerOptions {
        max_requests: 2,
        idle_timeout_while_others_wait: Duration::from_millis(100),
        ..ServerOptions::default()
    };
    let server = started(&registry, options);
    let still = stalled_uploads(&registry, &server, 2);
    let mut other = Client::to(&server);
    wait_for_requests(&mut other, 2);
    assert_eq!(other.ask("GET /v2/", "", b"").status, 200);
    drop(still);
}

/// Begins uploads whose bodies never end.
fn stalled_uploads(registry: &Handler, server: &Server, count: usize) -> Vec<Client> {
    let upload = |_| {
        let location = begin(registry, "a");
        let mut client = Client::to(server);
        let length = "content-length: 9\r\n";
        let patch = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\n{length}\r\na");
        client.send(patch.as_bytes());
        client
    };
    (0..count).map(upload).collect()
}

/// Waits until so many other requests are in flight. The metrics need no thread.
pub(crate) fn wait_for_requests(client: &mut Client, count: usize) {
    let line = format!("longshore_http_requests_in_flight {}\n", count + 1);
    while !String::from_utf8(client.ask("GET /metrics", "", b"").body).unwrap().contains(&line) {}
}

#[test]
fn paths_and_headers_have_an_end() {
    let server = started(&Arc::new(writable()), ServerOptions::default());
    let mut client = Client::to(&server);
    let long = format!("GET /v2/{}/tags/list", "a".repeat(10_000));
    let reply = client.ask(&long, "", b"");
    assert_eq!(reply.status, 414);
    assert!(String::from_utf8(reply.body).unwrap().contains("UNSUPPORTED"));
    assert_eq!(client.ask("GET /v2/", "", b"").status, 200);
    for headers in ["x: y\r\n".repeat(101), format!("x: {}\r\n", "y".repeat(70_000))] {
        let mut client = Client::to(&server);
        client.send(format!("GET /v2/ HTTP/1.1\r\nhost: x\r\n{headers}\r\n").as_bytes());
        let mut reply = [0; 12];
        client.0.read_exact(&mut reply).unwrap();
        assert_eq!(&reply, b"HTTP/1.1 431");
    }
    // A body that never ends is not waited for.
    let mut endless = Client::to(&server);
    endless.send(b"GET /v2/");
    let stream = endless.0.get_ref().try_clone().unwrap();
    let more = std::thread::spawn(move || while (&stream).write_all(&[b'a'; 4096]).is_ok() {});
    endless.ends();
    more.join().unwrap();
}

#[test]
fn what_is_no_http_gets_no_answer_but_an_end() {
    let server = started(&Arc::new(writable()), ServerOptions::default());
    for nonsense in [
        &b"\r\n\r\n\r\n\r\n nonsense\r\n\r\n"[..],
        b"GET /v2/ HTTP/9.9\r\n\r\n",
        b"\x00\x01\x02\x03\xff\xfe\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthese are no frames of HTTP/2, however long",
    ] {
        let mut client = Client::to(&server);
        client.send(nonsense);
        client.ends();
    }
    assert_eq!(Client::to(&server).ask("GET /v2/", "", b"").status, 200);
}

#[test]
fn requests_are_counted_and_told_of() {
    let registry = Arc::new(writable());
    let digest = push_blob(&registry, "a", &vec![1; 1000]);
    let records = Arc::new(Mutex::new(Vec::<RequestRecord>::new()));
    let seen = Arc::clone(&records);
    let observer =
        RequestObserver(Arc::new(move |record| seen.lock().unwrap().push(record.clone())));
    let server =
        started(&registry, ServerOptions { observer: Some(observer), ..ServerOptions::default() });
    let mut client = Client::to(&server);
    let blob = format!("/v2/a/blobs/{digest}");
    assert_eq!(client.ask(&format!("GET {blob}?x=y"), "user-agent: me\r\n", b"").status, 200);
    assert_eq!(client.ask(&format!("HEAD {blob}"), "", b"").status, 200);
    let content = "content-length: 4\r\n";
    let post = format!("POST /v2/a/blobs/uploads/?digest={}", Digest::sha256("abcd"));
    assert_eq!(client.ask(&post, content, b"abcd").status, 201);
    assert_eq!(client.ask("GET /nowhere", "", b"").status, 404);
    begin(&registry, "a");
    let text = String::from_utf8(client.ask("GET /metrics", "", b"").body).unwrap();
    for line in [
        "longshore_http_requests_total{method=\"GET\",endpoint=\"blob\",status=\"2xx\"} 1",
        "longshore_http_requests_total{method=\"HEAD\",endpoint=\"blob\",status=\"2xx\"} 1",
        "longshore_http_requests_total{method=\"POST\",endpoint=\"upload\",status=\"2xx\"} 1",
        "longshore_http_requests_total{method=\"GET\",endpoint=\"other\",status=\"4xx\"} 1",
        "longshore_http_request_seconds_bucket{endpoint=\"blob\",le=\"+Inf\"} 2",
        "longshore_http_request_seconds_count{endpoint=\"blob\"} 2",
        "longshore_http_received_bytes_total 4",
        "longshore_http_requests_in_flight 1",
        "longshore_http_requests_waiting 0",
        "longshore_http_connections 1",
        "longshore_uploads_open 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    drop(client);
    assert_eq!(server.stop(PATIENCE), 0);
    let records = records.lock().unwrap();
    let first = &records[0];
    assert_eq!((first.method.as_str(), first.status, first.sent), ("GET", Some(200), 1000));
    assert_eq!(first.target, format!("{blob}?x=y"));
    assert_eq!(first.user_agent.as_deref(), Some("me"));
    assert!(first.is_whole);
    assert_eq!((records[1].sent, records[1].is_whole), (0, true));
    assert_eq!((records[2].received, records[2].status), (4, Some(201)));
    assert_eq!(records.len(), 5);
}

#[test]
fn an_answer_that_was_not_taken_whole_is_told_of_as_such() {
    let registry = Arc::new(writable());
    let digest = push_blob(&registry, "a", &vec![7; 32 << 20]);
    let records = Arc::new(Mutex::new(Vec::<RequestRecord>::new()));
    let seen = Arc::clone(&records);
    let observer =
        RequestObserver(Arc::new(move |record| seen.lock().unwrap().push(record.clone())));
    let server =
        started(&registry, ServerOptions { observer: Some(observer), ..ServerOptions::default() });
    let mut client = Client::to(&server);
    client.send(format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
    client.0.read_exact(&mut [0; 1000]).unwrap();
    drop(client);
    assert_eq!(server.stop(PATIENCE), 0);
    let records = records.lock().unwrap();
    assert!(!records[0].is_whole && records[0].sent < 32 << 20, "{records:?}");
}

#[test]
fn readers_that_stand_still_hold_no_thread() {
    let registry = Arc::new(writable());
    let digest = push_blob(&registry, "a", &vec![7; 32 << 20]);
    let options = ServerOptions { max_requests: 1, ..ServerOptions::default() };
    let server = started(&registry, options);
    let get = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n");
    let still: Vec<_> = (0..8)
        .map(|_| {
            let mut still = Client::to(&server);
            still.send(get.as_bytes());
            still.0.read_exact(&mut [0; 1000]).unwrap();
            still
        })
        .collect();
    assert_eq!(Client::to(&server).ask("GET /v2/", "", b"").status, 200);
    // They may continue when they like.
    for mut still in still {
        let mut rest = 32 << 20;
        let mut piece = vec![0; 1 << 20];
        while rest > 1 << 20 {
            rest -= still.0.read(&mut piece).unwrap();
        }
    }
}

#[test]
fn bodies_that_do_not_come_leave_threads_to_those_that_read() {
    let registry = Arc::new(writable());
    let server = started(&registry, ServerOptions { max_requests: 4, ..ServerOptions::default() });
    let still = stalled_uploads(&registry, &server, 8);
    let mut other = Client::to(&server);
    wait_for_requests(&mut other, 8);
    assert_eq!(other.ask("GET /v2/", "", b"").status, 200);
    drop(still);
}

#[test]
fn heads_that_do_not_end_share_a_bound() {
    let options = ServerOptions { max_memory: 1 << 20, ..ServerOptions::default() };
    let server = started(&Arc::new(writable()), options);
    let head = format!("GET /v2/ HTTP/1.1\r\nhost: x\r\nx: {}", "y".repeat(50_000));
    let halves: Vec<_> = (0..8)
        .map(|_| {
            let mut half = Client::to(&server);
            // The connection may be closed by then.
            let _ = half.0.get_mut().write_all(head.as_bytes());
            half
        })
        .collect();
    // Two of them take half of the memory, or only one does if this client needs some just then. The
    // others are closed. This client's request is the third.
    let mut other = Client::to(&server);
    let mut open = || {
        let figures = String::from_utf8(other.ask("GET /metrics", "", b"").body).unwrap();
        let mut lines = figures.lines();
        let count = lines.find_map(|line| line.strip_prefix("longshore_http_connections "));
        count.unwrap().parse::<usize>().unwrap()
    };
    while open() > 3 {}
    assert_eq!(other.ask("GET /v2/", "", b"").status, 200);
    drop(halves);
}
