//! A bad network between the program and a registry.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use longshore_fixture::Random;
use longshore_fixture::proxy::{Answer, Faults, Proxy, Request, Rules, Times};

use crate::common::Site;
use crate::servers::Served;

/// How many layers the image has.
const LAYERS: usize = 8;
/// How long each of them is: longer than the chunks in which uploads go that are cut off again and
/// again.
const SIZE: u64 = 5 << 20;
/// What may be read twice beside one percent, for each job: less than would be if blobs began anew.
const TWICE: u64 = 4 << 20;
/// How much is done at once.
const JOBS: u64 = 2;
/// How long a test waits for what must come.
const LONGEST: Duration = Duration::from_secs(30);

/// Returns a site with the image `large` in the layout `src`, and the digests of its layers.
fn site() -> (Site, Vec<String>) {
    let site = Site::new();
    longshore_fixture::large(&site.path("src"), LAYERS, SIZE).unwrap();
    let image = site.json("inspect oci:src:large");
    let layers = image["layers"].as_array().unwrap().iter();
    let digests = layers.map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect();
    (site, digests)
}

/// Returns numbers that are others each time. Which they were is printed where a test fails;
/// `LONGSHORE_SEED` gives the same again.
fn random() -> Random {
    let given = std::env::var("LONGSHORE_SEED").ok().map(|seed| seed.parse().unwrap());
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let seed = given.unwrap_or(now);
    eprintln!("LONGSHORE_SEED={seed} does the same again");
    Random::new(seed)
}

/// Returns a number of bytes below `limit`, which is one of this test's sizes.
fn bytes(random: &mut Random, limit: u64) -> u64 {
    random.below(usize::try_from(limit).unwrap()) as u64
}

/// What may come of so much content that comes once.
fn most(content: u64) -> u64 {
    content + content / 100 + TWICE * JOBS
}

#[test]
fn a_pull_goes_on_where_each_blob_was_cut_off_twice() {
    let mut random = random();
    for target in ["oci:dst", "oci-archive:dst.tar"] {
        let (site, layers) = site();
        let served = Served::start(&site, "oci:src");
        let rules = layers.iter().fold(Rules::default(), |rules, digest| {
            let first = bytes(&mut random, SIZE);
            // Of what is left then.
            let second = bytes(&mut random, SIZE - first);
            [first, second].into_iter().fold(rules, |rules, at| {
                let path = format!("/blobs/{digest}");
                let is_read = move |request: &Request| {
                    request.method == "GET" && request.path().ends_with(&path)
                };
                rules.cut_body(is_read, at, Times::InAll(1))
            })
        });
        let proxy = Proxy::start(served.address(), Faults::http(rules)).unwrap();
        site.ok(&format!("copy --jobs {JOBS} {}/src:large {target}", proxy.address()));
        site.ok(&format!("verify {target}"));
        assert_eq!(site.digest(target), site.digest("oci:src"));
        let counts = proxy.counts();
        assert_eq!(counts.cuts, 2 * LAYERS as u64);
        let content = LAYERS as u64 * SIZE;
        assert!(counts.bytes_down < most(content), "{}", counts.bytes_down);
    }
}

#[test]
fn a_push_ends_right_where_each_blob_was_cut_off_twice() {
    let mut random = random();
    let (site, layers) = site();
    let served = Served::start(&site, "oci:store --writable");
    let mut rules = Rules::default();
    for digest in &layers {
        for at in [bytes(&mut random, SIZE), bytes(&mut random, SIZE)] {
            let with = format!("digest={digest}");
            let is_written =
                move |request: &Request| request.method == "PUT" && request.target.contains(&with);
            rules = rules.cut_upload(is_written, at, Times::InAll(1));
        }
    }
    // What goes in chunks then is cut off too.
    for _ in 0..LAYERS / 2 {
        let at = bytes(&mut random, 1 << 20);
        rules = rules.cut_upload(|request| request.method == "PATCH", at, Times::InAll(1));
    }
    let proxy = Proxy::start(served.address(), Faults::http(rules)).unwrap();
    let place = format!("{}/app:v1", proxy.address());
    site.ok(&format!("copy --jobs {JOBS} oci:src:large {place}"));
    assert_eq!(proxy.counts().cuts, (2 * LAYERS + LAYERS / 2) as u64);
    let place = format!("{}/app:v1", served.host());
    site.ok(&format!("verify {place}"));
    assert_eq!(site.digest(&place), site.digest("oci:src"));
    site.ok("verify oci:store");
}

#[test]
fn every_third_request_may_be_refused_for_a_while() {
    let site = Site::typed();
    let served = Served::start(&site, "oci:store --writable");
    let count = AtomicU64::new(0);
    // With a word on how long to wait, and without.
    let rules =
        Rules::default().answer(move |_| match (count.fetch_add(1, Ordering::Relaxed) + 1) % 12 {
            3 => Some(Answer::status(429).header("Retry-After", "0")),
            6 => Some(Answer::status(503).header("Retry-After", "0")),
            9 => Some(Answer::status(429)),
            0 => Some(Answer::status(503)),
            _ => None,
        });
    let proxy = Proxy::start(served.address(), Faults::http(rules)).unwrap();
    let place = format!("{}/all/app:v1", proxy.address());
    // One job, so that no request is the third again and again.
    site.ok(&format!("copy --jobs 1 --referrers oci:site:app {place}"));
    let before = proxy.counts();
    site.ok(&format!("copy --jobs 1 --referrers {place} oci:dst"));
    for place in ["oci:store", "oci:dst"] {
        site.ok(&format!("verify {place}"));
    }
    assert_eq!(site.digest("oci:dst"), site.digest("oci:site:app"));
    let after = proxy.counts();
    for status in [429, 503] {
        let (before, after) = (before.answered(status), after.answered(status));
        assert!(before > 0 && after > before, "{status}: {before}, {after}");
    }
}

#[test]
fn a_copy_waits_as_it_is_asked_to() {
    let site = Site::typed();
    let served = Served::start(&site, "oci:site");
    let is_read = |request: &Request| matches!(request.method.as_str(), "GET" | "HEAD");
    let rules = Rules::default()
        .answer_every(50, is_read, Answer::status(429).header("Retry-After", "1"))
        .answer_every(3, is_read, Answer::status(503).header("Retry-After", "0"))
        .answer_every(7, is_read, Answer::status(429).header("Retry-After", "0"));
    let proxy = Proxy::start(served.address(), Faults::http(rules)).unwrap();
    site.ok(&format!("copy --jobs {JOBS} {}/site:app oci:dst", proxy.address()));
    site.ok("verify oci:dst");
    assert_eq!(site.digest("oci:dst"), site.digest("oci:site:app"));
    let counts = proxy.counts();
    assert!(counts.answered(503) > 0 && counts.answered(429) > 0, "{counts:?}");
}

#[test]
fn what_was_killed_goes_on_in_the_archive() {
    goes_on("oci-archive:dst.tar", "dst.tar.partial");
}

#[test]
fn what_was_killed_goes_on_in_the_directory() {
    goes_on("oci:dst", "dst");
}

/// Kills a copy in its middle and runs it again; `begun` is where what has come lies.
fn goes_on(target: &str, begun: &str) {
    let (site, _) = site();
    let content = LAYERS as u64 * SIZE;
    let served = Served::start(&site, "oci:src");
    let faults = Faults { rate: (24 << 20).try_into().ok(), ..Faults::http(Rules::default()) };
    let proxy = Proxy::start(served.address(), faults).unwrap();
    let line = format!("copy -q --jobs {JOBS} {}/src:large {target}", proxy.address());
    let mut copy = site.command(&line).stderr(Stdio::null()).spawn().unwrap();
    let end = Instant::now() + LONGEST;
    while proxy.counts().bytes_down < content / 2 && Instant::now() < end {
        assert!(copy.try_wait().unwrap().is_none(), "it ended before it could be killed");
        std::thread::yield_now();
    }
    copy.kill().unwrap();
    copy.wait().unwrap();
    assert!(!site.path("dst.tar").exists());
    let (came, present) = (proxy.counts().bytes_down, on_disk(&site.path(begun)));
    proxy.faults().rate = None;
    site.ok(&line);
    site.ok(&format!("verify {target}"));
    assert_eq!(site.digest(target), site.digest("oci:src"));
    let more = proxy.counts().bytes_down - came;
    eprintln!(
        "{target}: killed with {present} bytes of {content} present, of {came} that had come; \
         the second run fetched {more}"
    );
    assert!(present > content / 4, "{present} bytes were kept of {came}");
    assert!(came + more < most(content), "{came} bytes, then {more}");
    assert!(present + more < most(content), "{present} bytes were there, then came {more}");
}

/// Returns how many bytes of content lie on the disk in a file, or in what is below a directory.
fn on_disk(path: &Path) -> u64 {
    let found = std::fs::symlink_metadata(path).unwrap();
    if !found.is_dir() {
        // What is not written yet is a hole, and takes no block.
        const BLOCK: u64 = 512;
        return found.len().min(found.blocks() * BLOCK);
    }
    std::fs::read_dir(path).unwrap().map(|entry| on_disk(&entry.unwrap().path())).sum()
}

#[test]
fn ctrl_c_says_that_the_same_command_goes_on() {
    // What is started behind a script lives through Ctrl-C, and so does what it starts.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    if ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 2 != 0) {
        eprintln!("skipped: SIGINT is ignored here");
        return;
    }
    let (site, _) = site();
    let served = Served::start(&site, "oci:src");
    let faults = Faults { rate: (4 << 20).try_into().ok(), ..Faults::http(Rules::default()) };
    let proxy = Proxy::start(served.address(), faults).unwrap();
    for (line, says) in [
        (format!("copy {}/src:large oci:dst", proxy.address()), true),
        (format!("export {}/src:large -o dst.tar", proxy.address()), true),
        (format!("copy -q {}/src:large oci:quiet", proxy.address()), false),
        (format!("copy {}/src:large oci-archive:-", proxy.address()), false),
    ] {
        let before = proxy.counts().bytes_down;
        let mut command = site.command(&line);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let end = Instant::now() + LONGEST;
        while proxy.counts().bytes_down < before + (1 << 20) && Instant::now() < end {
            assert!(child.try_wait().unwrap().is_none(), "{line}: it ended before it could be");
            std::thread::yield_now();
        }
        let id = child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(2));
        let told = String::from_utf8(output.stderr).unwrap();
        let lines = told.matches("the same command goes on where it stopped").count();
        assert_eq!(lines, usize::from(says), "{line}: {told}");
    }
}
