//! Several processes at one layout.

use std::fs::File;
use std::process::{Child, Stdio};

use longshore_fixture::{Content, artifacts};

use crate::common::{Ran, Site};

/// How often each of two processes names something.
const TIMES: usize = 100;

#[test]
fn two_who_tag_at_once_lose_nothing() {
    let site = Site::image();
    let tag = |who: char| {
        for number in 0..TIMES {
            site.ok(&format!("tag -q oci:src:app {who}-{number}"));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| tag('a'));
        scope.spawn(|| tag('b'));
    });
    assert_eq!(site.json("list oci:src").as_array().unwrap().len(), 2 * TIMES + 1);
    site.ok("verify oci:src");
}

#[test]
fn two_who_copy_at_once_lose_nothing() {
    let site = Site::typed();
    let copies: Vec<Child> = (0..4)
        .map(|number| {
            let from = ["app", "chart", "model", "bundle"][number];
            let mut command = site.command(&format!("copy -q oci:site:{from} oci:dst"));
            command.stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for copy in copies {
        let ran = Ran::of(copy.wait_with_output().unwrap());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    assert_eq!(site.json("list oci:dst").as_array().unwrap().len(), 4);
    site.ok("verify oci:dst");
}

#[test]
fn gc_refuses_while_another_writes() {
    let site = Site::image();
    site.ok("tag oci:src:app v1");
    let lock = File::open(site.path("src/.longshore/lock")).unwrap();
    lock.lock_shared().unwrap();
    insta::assert_snapshot!(site.errors(&["gc --older-than 0 oci:src"]), @r#"
    $ longshore gc --older-than 0 oci:src
    error: src is in use by another process
      hint: wait until it is done, or stop it
    [exit 2]
    "#);
    // Others may write, as the lock is shared.
    site.ok("tag oci:src:app v2");
    // A process that another test is about to start may have the file, too, so closing it is not enough.
    lock.unlock().unwrap();
    site.ok("gc --older-than 0 oci:src");
    site.ok("verify oci:src");
}

#[test]
fn gc_beside_a_running_copy_takes_nothing_away() {
    let site = Site::image();
    longshore_fixture::large(&site.path("large"), 8, 16 << 20).unwrap();
    let mut command = site.command("copy -q --jobs 1 oci:large oci:src");
    let mut copy = command.stderr(Stdio::piped()).spawn().unwrap();
    // What has come has no name yet, so it must be kept for the copy alone.
    let (mut refused, mut done) = (0, 0);
    while copy.try_wait().unwrap().is_none() {
        match site.run("gc --older-than 0 oci:src").code {
            0 => done += 1,
            2 => refused += 1,
            code => panic!("gc ended with {code}"),
        }
    }
    let ran = Ran::of(copy.wait_with_output().unwrap());
    assert_eq!(
        ran.code, 0,
        "after gc ran {done} times and was refused {refused} times: {}",
        ran.stderr
    );
    site.ok("gc --older-than 0 oci:src");
    site.ok("verify oci:src");
    assert_eq!(site.json("list oci:src").as_array().unwrap().len(), 2);
}

#[test]
fn a_copy_waits_for_gc() {
    let site = Site::image();
    site.put("dst", &Content::tagged("old", |content| artifacts::image(content, 2)));
    site.ok("tag oci:dst:old v1");
    let lock = File::open(site.path("dst/.longshore/lock")).unwrap();
    lock.lock().unwrap();
    let mut command = site.command("copy -q -v oci:src oci:dst");
    let mut copy = command.stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(site.run("list oci:dst").code, 0, "readers do not wait");
    assert!(copy.try_wait().unwrap().is_none(), "it did not wait");
    drop(lock);
    assert!(copy.wait().unwrap().success());
    site.ok("digest oci:dst:app");
}
