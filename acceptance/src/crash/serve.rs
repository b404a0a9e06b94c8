//! A server that is killed while clients push to it.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Result, ensure};
use longshore_fixture::Random;
use longshore_spec::Digest;

use super::{dir, longshore, succeed, tree};
use crate::client::{Client, IMAGE, INDEX};
use crate::server::{ANY_PORT, Server};

/// How many clients push at once.
const CLIENTS: usize = 16;
/// The largest layer that is pushed.
const LAYER: usize = 2 << 20;
/// So many tags are there before the first server is killed: `index.json` is so long then that changes
/// go into its journal.
const TAGS: usize = 500;
/// A server is killed so many milliseconds after it listens, at most.
const LIFE: usize = 700;

const REPOSITORY: &str = "/v2/team/app";

const JOURNAL: &str = ".longshore/index.journal";

/// What clients were told.
#[derive(Default)]
struct Told {
    /// Paths that were answered with 201, and the digest of what was pushed there.
    created: Mutex<Vec<(String, Digest)>>,
    /// How many pushes are under way: their bodies are sent, or wait for an answer.
    sending: AtomicUsize,
    /// Whether the server was killed: from then on, failures are expected.
    killed: AtomicBool,
}

/// Kills a server `kills` times, of which three quarters must be inside a transfer. Each server goes
/// on with what the one before left.
pub(super) fn run(program: &Path, work: &Path, kills: usize, seed: u64) -> Result<()> {
    println!(
        "\n== SIGKILL of a server at {kills} random moments; {CLIENTS} clients push, seed {seed}"
    );
    let layout = work.join("served");
    let mut random = Random::new(seed);
    let (mut inside, mut left) = (0, 0);
    let mut all = begin(program, &layout, work)?;
    for number in 0..kills {
        let told = Told::default();
        let server = start(program, &layout, work)?;
        // From the second time on, a push must not trip over what the last kill left.
        let moment = Duration::from_millis(random.below(LIFE) as u64);
        let address = &server.address().to_owned();
        let sending = thread::scope(|scope| -> Result<usize> {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let told = &told;
                    let seed = seed ^ (number * CLIENTS + client) as u64;
                    scope.spawn(move || push_until_killed(address, seed, told))
                })
                .collect();
            sleep(moment);
            told.killed.store(true, Ordering::SeqCst);
            let sending = told.sending.load(Ordering::SeqCst);
            server.kill();
            for client in clients {
                client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            Ok(sending)
        })?;
        inside += usize::from(sending > 0);
        let created = told.created.into_inner().unwrap_or_default();
        println!(
            "  {:>3}  killed after {:>4} ms with {sending:>2} pushes under way; {:>4} were answered",
            number + 1,
            moment.as_millis(),
            created.len()
        );
        all.extend(created);
        left += usize::from(layout.join(JOURNAL).exists());
        check(program, &layout, work, &all)?;
    }
    println!(
        "  {inside} of {kills} inside a transfer, {left} left a journal; all {} pushes are there",
        all.len()
    );
    ensure!(inside * 4 >= kills * 3, "too few were inside a transfer");
    ensure!(left > 0, "none was killed between the journal and `index.json`");
    Ok(std::fs::remove_dir_all(&layout)?)
}

/// Pushes an image under many tags, and lets the server end well.
fn begin(program: &Path, layout: &Path, work: &Path) -> Result<Vec<(String, Digest)>> {
    let server = start(program, layout, work)?;
    let (mut client, told) = (Client::connect(server.address())?, Told::default());
    let manifest = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#);
    for number in 0..TAGS {
        let path = format!("{REPOSITORY}/manifests/v{number}");
        push(&mut client, &path, INDEX, manifest.as_bytes(), &told)?;
        told.note(path, Digest::sha256(&manifest));
    }
    ensure!(server.end()?.success(), "the server did not end well");
    ensure!(!layout.join(JOURNAL).exists(), "a server that ends leaves its journal");
    Ok(told.created.into_inner().unwrap_or_default())
}

fn start(program: &Path, layout: &Path, work: &Path) -> Result<Server> {
    let mut command = longshore(program, &["serve", "--writable", "--json", "--listen", ANY_PORT]);
    Server::ours(command.arg(dir(layout)), &work.join("serve.log"))
}

/// Checks that all that was answered is there, that what is there is whole, and that what the dead
/// server was at goes.
fn check(program: &Path, layout: &Path, work: &Path, created: &[(String, Digest)]) -> Result<()> {
    if layout.join("oci-layout").exists() {
        succeed(longshore(program, &["verify", "--quiet", &dir(layout)]))?;
        for (path, digest) in tree(layout)? {
            if let Some(encoded) = path.strip_prefix("blobs/sha256/") {
                ensure!(digest.encoded() == encoded, "{path} is visible, and is {digest}");
            }
        }
    }
    let server = start(program, layout, work)?;
    let mut client = Client::connect(server.address())?;
    for (path, digest) in created {
        let answer = client.ask("HEAD", path, "", &[])?;
        ensure!(
            answer.status == 200,
            "{path} was answered with 201 and now with {}",
            answer.status
        );
        ensure!(answer.digest == digest.to_string(), "{path} is {}", answer.digest);
    }
    let begun = client.ask("POST", &format!("{REPOSITORY}/blobs/uploads/"), "", &[])?;
    ensure!(begun.status == 202, "an upload begins with {}", begun.status);
    let left = layout.join(".longshore/partial/uploads").read_dir()?.count();
    ensure!(left == 1, "{left} files of uploads are there, of which one is alive");
    Ok(())
}

/// Pushes images, each with a layer of its own, until the server is gone.
fn push_until_killed(address: &str, seed: u64, told: &Told) -> Result<()> {
    let mut random = Random::new(seed);
    loop {
        let pushed = Client::connect(address).and_then(|mut client| {
            loop {
                push_image(&mut client, &mut random, told)?;
            }
        });
        let Err::<(), _>(error) = pushed else { continue };
        if told.killed.load(Ordering::SeqCst) {
            return Ok(());
        }
        return Err(error.context("a push failed before the server was killed"));
    }
}

fn push_image(client: &mut Client, random: &mut Random, told: &Told) -> Result<()> {
    let mut layer = vec![0; random.below(LAYER) + 1];
    random.fill(&mut layer);
    let mut entries = Vec::new();
    for content in [&b"{}"[..], &layer] {
        let digest = Digest::sha256(content);
        let begun = client.ask("POST", &format!("{REPOSITORY}/blobs/uploads/"), "", &[])?;
        ensure!(begun.status == 202, "an upload begins with {}", begun.status);
        let put = format!("{}?digest={digest}", begun.location);
        push(client, &put, "application/octet-stream", content, told)?;
        told.note(format!("{REPOSITORY}/blobs/{digest}"), digest.clone());
        entries.push(format!(
            r#"{{"mediaType":"application/octet-stream","digest":"{digest}","size":{}}}"#,
            content.len()
        ));
    }
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{},"layers":[{}]}}"#,
        entries[0], entries[1]
    );
    let digest = Digest::sha256(&manifest);
    let path = format!("{REPOSITORY}/manifests/t{}", &digest.encoded()[..16]);
    push(client, &path, IMAGE, manifest.as_bytes(), told)?;
    told.note(path, digest);
    Ok(())
}

/// Puts content that must be taken.
fn push(client: &mut Client, path: &str, media_type: &str, body: &[u8], told: &Told) -> Result<()> {
    told.sending.fetch_add(1, Ordering::SeqCst);
    let answer = client.ask("PUT", path, media_type, body);
    told.sending.fetch_sub(1, Ordering::SeqCst);
    let status = answer?.status;
    ensure!(status == 201, "PUT {path} was answered with {status}");
    Ok(())
}

impl Told {
    fn note(&self, path: String, digest: Digest) {
        self.created.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((path, digest));
    }
}
