//! `serve` as a service: signals, TLS, passwords, the log.

#![cfg(unix)]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::Site;
use crate::schemas::Schemas;

/// A test that waits longer than this has hung.
const PATIENCE: Duration = Duration::from_secs(30);

const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../registry/tests/tls");

/// `ana` with the password `secret`, and with `changed`, as `htpasswd -nbB -C 4` writes them.
pub(crate) const SECRET: &str =
    "ana:$2y$04$JXYLJfVLFx0AFy9LS3dm8OUGRM4xj6F/I2jGBXtoGET3i1fZ5.YYG\n";
const CHANGED: &str = "ana:$2y$04$hOrjEAJrjp0UWTB8Plh3h.GiQZL9gWqGxflINEzg66FKin4fpXWCe\n";

struct Service<'a> {
    site: &'a Site,
    child: Child,
    document: Value,
}

impl<'a> Service<'a> {
    fn start(site: &'a Site, line: &str) -> Self {
        let mut command = site.command(&format!("serve --json {line}"));
        let log = File::create(site.path("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let documents = serde_json::Deserializer::from_reader(stdout);
        let document = documents.into_iter().next().expect("it prints a document").unwrap();
        Self { site, child, document }
    }

    fn host(&self) -> &str {
        self.document["address"].as_str().unwrap()
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Returns what it has said on stderr, once it has said `what`.
    fn log(&self, what: &str) -> String {
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(self.site.path("log")).unwrap();
            if text.contains(what) {
                return text;
            }
            assert!(begun.elapsed() < PATIENCE, "{text}");
            std::thread::yield_now();
        }
    }

    /// Begins to pull a blob that no buffers hold, and returns what is still to come.
    fn half_pull(&self) -> (BufReader<TcpStream>, u64) {
        let blob = vec![7; 32 << 20];
        let digest = longshore_spec::Digest::sha256(&blob);
        let mut push = TcpStream::connect(self.host()).unwrap();
        let head = format!(
            "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
            blob.len()
        );
        push.write_all(head.as_bytes()).unwrap();
        push.write_all(&blob).unwrap();
        let mut created = [0; 12];
        push.read_exact(&mut created).unwrap();
        assert_eq!(&created, b"HTTP/1.1 201");
        let mut pull = TcpStream::connect(self.host()).unwrap();
        let get = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n");
        pull.write_all(get.as_bytes()).unwrap();
        let mut pull = BufReader::new(pull);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert!(pull.read_line(&mut line).unwrap() > 0);
        }
        (pull, blob.len() as u64)
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_pull_under_way_ends_whole_after_sigterm() {
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::new();
        let mut service = Service::start(&site, "oci:store --writable --listen 127.0.0.1:0");
        let (pull, length) = service.half_pull();
        service.signal(signal);
        while TcpStream::connect(service.host()).is_ok() {}
        assert_eq!(std::io::copy(&mut pull.take(length), &mut std::io::sink()).unwrap(), length);
        assert_eq!(service.code(), Some(0));
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let site = Site::new();
        let mut service = Service::start(&site, "oci:store --writable --listen 127.0.0.1:0");
        let pull = service.half_pull();
        service.signal(signal);
        while TcpStream::connect(service.host()).is_ok() {}
        service.signal(signal);
        assert_eq!(service.code(), Some(code));
        drop(pull);
    }
}

#[test]
fn what_does_not_end_in_time_is_broken_off_and_told() {
    let site = Site::new();
    let flags = "--writable --listen 127.0.0.1:0 --grace 1s";
    let mut service = Service::start(&site, &format!("oci:store {flags}"));
    let pull = service.half_pull();
    service.signal(Signal::TERM);
    assert_eq!(service.code(), Some(1));
    let said = "warning: cut off 1 request that did not end within 1 s\n";
    assert_eq!(service.log("warning"), said);
    drop(pull);
}

#[test]
fn images_travel_by_tls_with_a_password_and_without_they_do_not() {
    let site = Site::image();
    site.file("users", SECRET);
    let tls = format!("--tls-cert {CERTIFICATES}/one.crt --tls-key {CERTIFICATES}/one.key");
    let flags = format!("--writable --listen localhost:0 {tls} --htpasswd users --anonymous-pull");
    let mut service = Service::start(&site, &format!("oci:store {flags} --access-log"));
    assert_eq!(service.document["tls"], true);
    assert_eq!(service.document["passwords"], "pushes");
    let port = service.host().rsplit_once(':').unwrap().1.to_owned();
    let place = format!("localhost:{port}/app:1 --tls-ca {CERTIFICATES}/one.crt");
    assert_ne!(site.run(&format!("copy oci:src:app {place}")).code, 0);
    assert_ne!(site.run(&format!("copy oci:src:app {place} --creds ana:wrong")).code, 0);
    site.ok(&format!("copy oci:src:app {place} --creds ana:secret"));
    assert_eq!(site.digest(&place), site.digest("oci:src:app"));
    // Another certificate is not trusted; SIGHUP has this one shown.
    let other = place.replace("one.crt", "two.crt");
    assert_ne!(site.run(&format!("digest {other}")).code, 0);
    site.file("users", CHANGED);
    service.signal(Signal::HUP);
    service.log("users was reloaded");
    assert_ne!(site.run(&format!("tag {place} 2 --creds ana:secret")).code, 0);
    site.ok(&format!("tag {place} 2 --creds ana:changed"));
    service.signal(Signal::TERM);
    assert_eq!(service.code(), Some(0));
    let log = service.log("");
    let lines = log.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut schemas = Schemas::default();
    for line in &lines {
        schemas.check("access-log", line);
    }
    assert!(lines.iter().any(|line| {
        line["user"] == "ana" && line["method"] == "PUT" && line["target"] == "/v2/app/manifests/1"
    }));
    assert!(lines.iter().any(|line| line["user"] == Value::Null && line["status"] == 401));
}

#[test]
fn files_that_change_are_read_again_and_bad_ones_are_not_used() {
    let site = Site::image();
    for name in ["one.crt", "one.key", "two.crt", "two.key"] {
        site.file(name, std::fs::read(format!("{CERTIFICATES}/{name}")).unwrap());
    }
    std::fs::copy(site.path("one.crt"), site.path("crt")).unwrap();
    std::fs::copy(site.path("one.key"), site.path("key")).unwrap();
    let service =
        Service::start(&site, "oci:src --listen 127.0.0.1:0 --tls-cert crt --tls-key key");
    let place = |ca: &str| format!("digest {}/src:app --tls-ca {ca}", service.host());
    site.ok(&place("one.crt"));
    // Nobody says anything, and the certificate comes before its key.
    std::fs::copy(site.path("two.crt"), site.path("crt")).unwrap();
    service.signal(Signal::HUP);
    service.log("do not match");
    site.ok(&place("one.crt"));
    std::fs::copy(site.path("two.key"), site.path("key")).unwrap();
    service.log("crt was reloaded");
    site.ok(&place("two.crt"));
    assert_ne!(site.run(&place("one.crt")).code, 0);
}

#[test]
fn a_line_of_the_log_says_who_asked_for_what() {
    let site = Site::image();
    let mut command = site.command("serve oci:src --listen 127.0.0.1:0 --access-log");
    let log = File::create(site.path("log")).unwrap();
    let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let host = first.split_once("http://").unwrap().1.split(' ').next().unwrap().to_owned();
    let service = Service { site: &site, child, document: Value::Null };
    let mut stream = TcpStream::connect(host).unwrap();
    let evil = "GET /v2/src/tags/list?n=1 HTTP/1.1\r\nhost: x\r\nuser-agent: a\"b\tc\r\n\r\n";
    stream.write_all(evil.as_bytes()).unwrap();
    let line = service.log("tags/list");
    let parts: Vec<_> = line.trim_end().split(' ').collect();
    assert_eq!(parts[0].len(), "2026-11-22T00:00:00.000Z".len());
    assert_eq!(parts[1], stream.local_addr().unwrap().to_string());
    assert_eq!(parts[2..7], ["-", "GET", "/v2/src/tags/list?n=1", "200", "0"]);
    assert_eq!(parts[9], r#""a\"b\tc""#);
}

#[test]
fn an_address_that_others_reach_is_told_of() {
    let site = Site::image();
    site.file("users", SECRET);
    let tls = format!("--tls-cert {CERTIFICATES}/one.crt --tls-key {CERTIFICATES}/one.key");
    for (flags, said) in [
        ("", "answers everybody who reaches it, without TLS or password\n"),
        (&*tls, "answers everybody who reaches it, without a password\n"),
        ("--htpasswd users", "in the clear; --tls-cert and --tls-key encrypt\n"),
        (&*format!("{tls} --htpasswd users"), ""),
    ] {
        let service = Service::start(&site, &format!("oci:src --listen 0.0.0.0:0 {flags}"));
        let log = service.log("");
        assert!(log.ends_with(said) && log.is_empty() == said.is_empty(), "{flags}: {log}");
    }
}

#[test]
fn a_path_that_leads_nowhere_is_not_called_a_registry() {
    let site = Site::image();
    insta::assert_snapshot!(site.errors(&["serve nowhere"]), @r"
    $ longshore serve nowhere
    error: there is no layout at `nowhere`
      hint: check the path; a layout is a directory or a tar archive
    [exit 2]
    ");
}

#[test]
fn bad_files_and_addresses_are_named() {
    let site = Site::image();
    site.file("none", "");
    site.file("md5", "ana:$apr1$a$b\n");
    for name in ["one.crt", "one.key", "two.key"] {
        site.file(name, std::fs::read(format!("{CERTIFICATES}/{name}")).unwrap());
    }
    insta::assert_snapshot!(site.errors(&[
        "serve oci:src --tls-cert one.crt",
        "serve oci:src --tls-cert gone --tls-key one.key",
        "serve oci:src --tls-cert none --tls-key one.key",
        "serve oci:src --tls-cert one.crt --tls-key none",
        "serve oci:src --tls-cert one.crt --tls-key two.key",
        "serve oci:src --htpasswd gone",
        "serve oci:src --htpasswd none",
        "serve oci:src --htpasswd md5",
        "serve oci:src --anonymous-pull",
        "serve oci:src --listen 5000",
        "serve oci:src --listen ::1",
        "serve oci:src --listen http://localhost:5000",
        "serve oci:src --grace 5",
        "serve oci:src --max-requests 0",
    ]), @r"
    $ longshore serve oci:src --tls-cert one.crt
    error: `--tls-key` is missing
      hint: write `longshore serve --tls-cert <FILE> --tls-key <FILE> <PLACE>...`; `--help` says more
    [exit 2]

    $ longshore serve oci:src --tls-cert gone --tls-key one.key
    error: cannot read gone: no such file or directory
      hint: --tls-cert expects certificates in PEM, the server's own first; --tls-key its key
    [exit 2]

    $ longshore serve oci:src --tls-cert none --tls-key one.key
    error: none is not a file of certificates in PEM: there is no `BEGIN CERTIFICATE` in it
      hint: --tls-cert expects certificates in PEM, the server's own first; --tls-key its key
    [exit 2]

    $ longshore serve oci:src --tls-cert one.crt --tls-key none
    error: none is not a key in PEM: there is no `BEGIN PRIVATE KEY` in it
      hint: --tls-cert expects certificates in PEM, the server's own first; --tls-key its key
    [exit 2]

    $ longshore serve oci:src --tls-cert one.crt --tls-key two.key
    error: one.crt and two.key do not match: the key is that of another certificate
      hint: --tls-cert expects certificates in PEM, the server's own first; --tls-key its key
    [exit 2]

    $ longshore serve oci:src --htpasswd gone
    error: cannot read gone: no such file or directory
      hint: --htpasswd expects a file that `htpasswd -B` writes
    [exit 2]

    $ longshore serve oci:src --htpasswd none
    error: none holds no name and bcrypt hash, so nobody could log in
      hint: `htpasswd -B none NAME` adds a name and password
    [exit 2]

    $ longshore serve oci:src --htpasswd md5
    warning: md5:1: the password of `ana` is an MD5 hash, not a bcrypt hash; the line is skipped
    error: md5 holds no name and bcrypt hash, so nobody could log in
      hint: `htpasswd -B md5 NAME` adds a name and password
    [exit 2]

    $ longshore serve oci:src --anonymous-pull
    error: `--htpasswd` is missing
      hint: write `longshore serve --htpasswd <FILE> --anonymous-pull <PLACE>...`; `--help` says more
    [exit 2]

    $ longshore serve oci:src --listen 5000
    error: `5000` is not an address to listen on
      hint: write `127.0.0.1:5000`, or `:5000` for every address
    [exit 2]

    $ longshore serve oci:src --listen ::1
    error: `::1` is not an address to listen on
      hint: write `[::1]:5000`
    [exit 2]

    $ longshore serve oci:src --listen http://localhost:5000
    error: `http://localhost:5000` is not an address to listen on
      hint: write `HOST:PORT`
    [exit 2]

    $ longshore serve oci:src --grace 5
    error: `5` is not a length of time
      hint: write a number and s, m, h or d, such as `30s`
    [exit 2]

    $ longshore serve oci:src --max-requests 0
    error: `0` is not a number from 1 up
      hint: write 1 or more
    [exit 2]
    ");
}
