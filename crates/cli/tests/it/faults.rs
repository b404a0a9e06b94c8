//! A bad network between the program and a registry.

use std::process::Stdio;
use std::time::{Duration, Instant};

use longshore_fixture::proxy::{Answer, Class, Faults, Proxy, Request, Rules, Times};

use crate::common::Site;
use crate::served::Served;

/// How many layers the image has.
const LAYERS: usize = 8;
/// How long each of them is.
const SIZE: u64 = 4 << 20;
/// What may be read twice beside one percent, for each job: less than would be if one began anew.
const TWICE: u64 = 4 << 20;
/// How much is done at once.
const JOBS: u64 = 2;
/// How long a test waits for what must come.
const LONGEST: Duration = Duration::from_secs(30);

/// Returns a site with the image `large` in the layout `src`.
fn site() -> Site {
    let site = Site::new();
    longshore_fixture::large(&site.path("src"), LAYERS, SIZE).unwrap();
    site
}

fn is_read(request: &Request) -> bool {
    matches!(request.method.as_str(), "GET" | "HEAD")
}

/// What may come in all, where the content comes once.
fn most() -> u64 {
    let content = LAYERS as u64 * SIZE;
    content + content / 100 + TWICE * JOBS
}

#[test]
fn a_copy_goes_on_where_each_blob_was_cut_off() {
    let site = site();
    let served = Served::start(&site, "oci:src");
    let rules = Rules::default().cut_body(
        |request| request.class() == Class::Blob,
        SIZE / 3 + 77,
        Times::PerTarget(1),
    );
    let proxy = Proxy::start(served.address(), Faults::http(rules)).unwrap();
    site.ok(&format!("copy --jobs {JOBS} {}/src:large oci:dst", proxy.address()));
    site.ok("verify oci:dst");
    assert_eq!(site.digest("oci:dst"), site.digest("oci:src"));
    let counts = proxy.counts();
    assert_eq!(counts.cuts, LAYERS as u64);
    assert!(counts.bytes_down < most(), "{}", counts.bytes_down);
    // None was begun anew.
    let goes_on = proxy.log().into_iter().filter(|exchange| exchange.range.is_some()).count();
    assert_eq!(goes_on, LAYERS);
}

#[test]
fn a_copy_waits_as_it_is_asked_to() {
    let site = Site::typed();
    let served = Served::start(&site, "oci:site");
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
    let site = site();
    let served = Served::start(&site, "oci:src");
    let faults = Faults { rate: (24 << 20).try_into().ok(), ..Faults::http(Rules::default()) };
    let proxy = Proxy::start(served.address(), faults).unwrap();
    let line = format!("copy -q --jobs {JOBS} {}/src:large oci-archive:dst.tar", proxy.address());
    let mut copy = site.command(&line).stderr(Stdio::null()).spawn().unwrap();
    let end = Instant::now() + LONGEST;
    while proxy.counts().bytes_down < LAYERS as u64 * SIZE / 2 && Instant::now() < end {
        assert!(copy.try_wait().unwrap().is_none(), "it ended before it could be killed");
        std::thread::yield_now();
    }
    copy.kill().unwrap();
    copy.wait().unwrap();
    assert!(!site.path("dst.tar").exists());
    proxy.faults().rate = None;
    site.ok(&line);
    site.ok("verify oci-archive:dst.tar");
    assert_eq!(site.digest("oci-archive:dst.tar"), site.digest("oci:src"));
    let came = proxy.counts().bytes_down;
    assert!(came < most(), "{came}");
}
