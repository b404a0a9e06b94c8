//! A mirror that stays.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use longshore_fixture::{Content, artifacts};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::Site;
use crate::servers::Served;

/// How long a test waits for what must come.
const LONGEST: Duration = Duration::from_secs(30);

/// A running `mirror`, which ends with this.
struct Service {
    child: Child,
    lines: Receiver<String>,
}

impl Service {
    fn start(site: &Site, line: &str) -> Self {
        let mut command = site.command(line);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for a line that contains this, and returns it.
    fn until(&self, text: &str) -> String {
        let mut seen = Vec::new();
        let end = Instant::now() + LONGEST;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("no `{text}` ({error}) in\n{}", seen.join("\n")),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn ended(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A near and a far registry, and a mirror from the one to the other.
fn registries() -> (Site, [Served; 2]) {
    let site = Site::new();
    site.put("here", &Content::tagged("v1", |content| artifacts::image(content, 1)));
    site.put("later", &Content::tagged("v2", |content| artifacts::image(content, 2)));
    let servers =
        [Served::start(&site, "oci:near --writable"), Served::start(&site, "oci:far --writable")];
    site.ok(&format!("copy -q oci:here {}/app", servers[0].host()));
    wants(&site, &servers, "1s");
    (site, servers)
}

fn wants(site: &Site, servers: &[Served; 2], schedule: &str) {
    let [near, far] = servers.each_ref().map(Served::host);
    let text =
        format!("target: {far}\nschedule: {schedule}\nartifacts: [{{ repository: {near}/app }}]\n");
    site.file("mirror.yaml", text);
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn passes_are_made_by_the_clock_until_somebody_ends_it() {
    let (site, servers) = registries();
    let far = servers[1].host();
    let service = Service::start(&site, "mirror --listen 127.0.0.1:0");
    let answers = service.until("/metrics answers");
    let address = answers.split("http://").nth(1).unwrap().split('/').next().unwrap();
    service.until("pass 1 is done");
    site.digest(&format!("{far}/app:v1"));
    // No other process makes passes meanwhile.
    let other = site.run("mirror --once");
    assert_eq!(other.code, 2, "{}", other.stderr);
    assert!(other.stderr.contains("another process mirrors by mirror.yaml"), "{}", other.stderr);
    site.ok("mirror --dry-run");
    // What comes later is brought later.
    site.ok(&format!("copy -q oci:later {}/app", servers[0].host()));
    service.until("begins");
    service.until("is done");
    service.until("is done");
    site.digest(&format!("{far}/app:v2"));
    let metrics = get(address, "/metrics");
    for family in
        ["mirror_passes_total{result=\"failed\"} 0", "mirror_artifacts{outcome=\"failed\"} 0"]
    {
        assert!(metrics.contains(family), "{family}: {metrics}");
    }
    assert!(get(address, "/healthz").ends_with("ok\n"));
    service.signal(Signal::TERM);
    service.until("ended as asked");
    assert_eq!(service.ended(), Some(0));
}

#[test]
fn the_file_is_read_again_and_stays_what_it_was_if_it_is_wrong() {
    let (site, servers) = registries();
    let service = Service::start(&site, "mirror");
    service.until("pass 1 is done");
    wants(&site, &servers, "\"0 3 * * *\"");
    service.signal(Signal::HUP);
    service.until("was read again");
    let due = service.until("the next pass is due");
    assert!(due.contains("T03:00:00"), "{due}");
    wants(&site, &servers, "daily");
    service.signal(Signal::HUP);
    let error = service.until("error");
    assert!(error.contains("mirror.yaml:2:11: schedule: `daily` is neither"), "{error}");
    service.until("goes on by what mirror.yaml said before");
    service.signal(Signal::TERM);
    assert_eq!(service.ended(), Some(0));
}

#[test]
fn a_pass_that_fails_is_said_and_the_next_one_is_made() {
    let (site, servers) = registries();
    let [near, far] = servers;
    wants(&site, &[near, far], "1s");
    // Nobody answers at the source any more: it went with its handle.
    let service = Service::start(&site, "mirror --retries 0");
    let first = service.until("pass 1");
    assert!(first.contains("begins"), "{first}");
    service.until("pass 1 could not be made");
    service.until("pass 2 begins");
    service.signal(Signal::TERM);
    assert_eq!(service.ended(), Some(0));
}

#[test]
fn a_service_that_makes_one_pass_has_nothing_to_answer() {
    let (site, _servers) = registries();
    let ran = site.run("mirror --once --listen 127.0.0.1:0");
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("--listen is for a mirror that stays"), "{}", ran.stderr);
    site.ok("mirror --once");
}
