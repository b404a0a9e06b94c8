//! Imports that are killed.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use longshore_fixture::Random;
use longshore_fixture::proxy::{Exchange, Proxy};
use longshore_spec::Digest;

use super::content::Bundle;
use super::kill::{Moment, run_until};
use super::{BESIDE, Line, MOST_KILLS, PART, Tally, import};
use crate::client::Client;
use crate::crash::kill::remove;
use crate::crash::{longshore, succeed};
use crate::measure::mib;

/// How long a registry may take to notice that a client is gone.
const SETTLING: Duration = Duration::from_millis(20);

/// Kills imports of a bundle, each round into a new registry.
pub(super) fn imports(
    program: &Path,
    work: &Path,
    archive: &Path,
    bundle: &Bundle,
    kills: usize,
    seed: u64,
) -> Result<()> {
    let directory = work.join("bundle-far");
    let undisturbed = {
        let far = Line::start(program, &directory)?;
        succeed(import(program, archive, &far.host()))?;
        check_whole(program, &far, bundle)?;
        far.proxy.counts().bytes_up
    };
    let mut random = Random::new(seed ^ 1);
    let (mut tally, mut again, mut most_again) = (Tally::default(), 0, 0);
    while tally.kills < kills {
        remove(&directory)?;
        let far = Line::start(program, &directory)?;
        let proxy = &far.proxy;
        let most = (1 + random.below(MOST_KILLS)).min(kills - tally.kills);
        let mut pushes = Pushes::default();
        let (mut times, mut tags) = (Vec::new(), 0);
        while times.len() < most {
            let (so_far, from) = (proxy.counts().bytes_up, proxy.log().len());
            let left = undisturbed.saturating_sub(so_far);
            let moment = Moment::random(&mut random, left, most - times.len());
            let passed = || proxy.counts().bytes_up.saturating_sub(so_far);
            let mut stopped = Vec::new();
            let run = run_until(import(program, archive, &far.host()), moment, passed, || {
                stopped = proxy.log();
            })?;
            let Some(passed) = run else { break };
            sleep(SETTLING);
            let in_flight = pushes.killed(from, &stopped, &proxy.log());
            tally.inside += usize::from(in_flight > 0 && passed > BESIDE);
            times.push(format!("{:.1} ({in_flight} in flight)", mib(passed)));
            tags += closures(&far, bundle)?;
        }
        tally.kills += times.len();
        succeed(import(program, archive, &far.host()))?;
        let twice = proxy.counts().bytes_up.saturating_sub(undisturbed);
        let pushed_again = pushes.check(proxy)?;
        println!(
            "  {:>3}  import  killed after {} MiB; {pushed_again} blobs and {:.1} MiB twice; {tags} tags \
             were there before the end",
            tally.kills,
            times.join(", "),
            mib(twice)
        );
        let runs = 1 + times.len() as u64;
        let allowed = pushes.bytes(bundle)? + runs * (BESIDE + bundle.bytes / PART);
        ensure!(twice <= allowed, "that is more than {:.1} MiB", mib(allowed));
        check_whole(program, &far, bundle)?;
        tally.round(times.len(), twice);
        (again, most_again) = (again + pushed_again, most_again.max(pushed_again));
    }
    remove(&directory)?;
    println!(
        "  {again} blobs were pushed again, at most {most_again} in one import; each was in flight \
         when it was killed"
    );
    tally.judge("imports")
}

/// Fails unless all that has a tag is there. Returns how many tags there are.
///
/// Debian's registry lists a tag a moment before it stands for anything, and for ever if its client dies
/// in that moment: such a one is not there.
fn closures(far: &Line, bundle: &Bundle) -> Result<usize> {
    let mut client = Client::connect(far.server.address())?;
    let mut count = 0;
    for repository in bundle.repositories() {
        for tag in far.server.tags(repository)? {
            let path = format!("/v2/{repository}/manifests/{tag}");
            if client.ask("HEAD", &path, "", &[])?.status != 404 {
                client.closure(repository, &tag)?;
                count += 1;
            }
        }
    }
    Ok(count)
}

/// Fails unless every byte is there, under every name.
fn check_whole(program: &Path, far: &Line, bundle: &Bundle) -> Result<()> {
    let tags = closures(far, bundle)?;
    let wanted = bundle.wanted(far.server.address());
    ensure!(tags >= wanted.len(), "{tags} tags are there, and {} are wanted", wanted.len());
    for place in wanted {
        succeed(longshore(program, &["verify", "--quiet", &place]))?;
        let name = place.split_once('/').context("a place without a path")?.1;
        let sent = bundle.place(name);
        let digests = [sent, place].map(|place| succeed(longshore(program, &["digest", &place])));
        let [sent, arrived] = digests;
        ensure!(sent? == arrived?, "something else has arrived");
    }
    Ok(())
}

/// The blobs that were in flight at a kill.
#[derive(Default)]
struct Pushes(BTreeMap<String, usize>);

impl Pushes {
    /// Takes note of what was in flight when a run was stopped, which began with the request `from`:
    /// what had not been answered then. Returns how much that is.
    fn killed(&mut self, from: usize, stopped: &[Exchange], after: &[Exchange]) -> usize {
        let answered = |number: usize| stopped.get(number).is_some_and(|of| of.status.is_some());
        let pushes = after.iter().enumerate().skip(from);
        let pushes = pushes.filter(|(number, _)| !answered(*number));
        let in_flight: Vec<_> = pushes.filter_map(|(_, exchange)| pushed(exchange)).collect();
        for digest in &in_flight {
            *self.0.entry(digest.clone()).or_default() += 1;
        }
        in_flight.len()
    }

    /// Fails if anything was pushed again that was not in flight. Returns how much was.
    fn check(&self, proxy: &Proxy) -> Result<usize> {
        let mut pushes: BTreeMap<String, usize> = BTreeMap::new();
        for digest in proxy.log().iter().filter_map(pushed) {
            *pushes.entry(digest).or_default() += 1;
        }
        let mut again = 0;
        for (digest, count) in pushes {
            let in_flight = self.0.get(&digest).copied().unwrap_or_default();
            ensure!(
                count <= 1 + in_flight,
                "{digest} was pushed {count} times, and was in flight at {in_flight} kills"
            );
            again += count - 1;
        }
        Ok(again)
    }

    /// Returns how many bytes were in flight at most.
    fn bytes(&self, bundle: &Bundle) -> Result<u64> {
        let size = |(digest, count): (&String, &usize)| {
            let digest: Digest = digest.parse()?;
            let blob = bundle.layout.join("blobs/sha256").join(digest.encoded());
            Ok(blob.metadata()?.len() * *count as u64)
        };
        self.0.iter().map(size).sum()
    }
}

/// Returns the digest of the blob whose content a request carries.
fn pushed(exchange: &Exchange) -> Option<String> {
    let (path, query) = exchange.target.split_once('?')?;
    if exchange.method != "PUT" || !path.contains("/blobs/uploads/") {
        return None;
    }
    let digest = query.split('&').find_map(|pair| pair.strip_prefix("digest="))?;
    Some(digest.replace("%3A", ":"))
}
