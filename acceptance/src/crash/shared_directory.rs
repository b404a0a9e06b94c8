//! Two servers and a loop of `tag`, over one directory at once: what was acknowledged stays, and is
//! seen by the others at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;

use anyhow::{Result, ensure};
use longshore_fixture::{Content, Draft};
use longshore_spec::Digest;

use super::{dir, longshore, succeed};
use crate::client::Client;
use crate::server::{ANY_PORT, Server};

const REPOSITORY: &str = "team/app";
/// What the loop gives further names to.
const SEED: &str = "seed";
/// One tag in so many that a server takes is deleted again by the other.
const DELETED: usize = 10;
/// One tag in so many that a server takes stood for something else before.
const MOVED: usize = 4;

/// What each tag stands for in the end; `None` for one that was deleted.
type Tags = BTreeMap<String, Option<Digest>>;

/// Makes `changes` changes: a third by each server, and a third by `tag`.
pub(super) fn run(program: &Path, work: &Path, changes: usize) -> Result<()> {
    println!("\n== {changes} changes by two servers and `tag`, over one directory");
    let layout = work.join("shared");
    let start = |log: &str| {
        let words = ["serve", "--writable", "--json", "--listen", ANY_PORT];
        Server::ours(longshore(program, &words).arg(dir(&layout)), &work.join(log))
    };
    let seed = Artifact::new("seed");
    let first = start("first.log")?;
    seed.push(&mut Client::connect(first.address())?, SEED)?;
    let second = start("second.log")?;

    let share = changes / 3;
    let (one, other) = (first.address(), second.address());
    let by_tag = changes - 2 * share;
    let tags = thread::scope(|scope| -> Result<Tags> {
        let workers = [
            scope.spawn(move || push(one, other, "a", share)),
            scope.spawn(move || push(other, one, "b", share)),
            scope.spawn(|| tag(program, &layout, [one, other], &seed.digest, by_tag)),
        ];
        let mut tags = Tags::from([(SEED.to_owned(), Some(seed.digest.clone()))]);
        for worker in workers {
            tags.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(tags)
    })?;

    let third = start("third.log")?;
    let there = tags.iter().filter_map(|(tag, digest)| digest.as_ref().map(|_| tag.clone()));
    let there: Vec<_> = there.collect();
    for server in [&first, &second, &third] {
        let found = server.tags(REPOSITORY)?;
        ensure!(found == there, "{} tags are listed, not {}", found.len(), there.len());
        let mut client = Client::connect(server.address())?;
        for (tag, digest) in &tags {
            sees(&mut client, tag, digest.as_ref())?;
        }
    }
    println!("  {} tags are there, as every server says, and no other", there.len());
    drop((first, second, third));
    succeed(longshore(program, &["verify", "--quiet", &dir(&layout)]))?;
    Ok(std::fs::remove_dir_all(&layout)?)
}

/// Pushes to the server at `here`, and has the one at `there` asked after each change.
fn push(here: &str, there: &str, prefix: &str, changes: usize) -> Result<Tags> {
    let (mut here, mut there) = (Client::connect(here)?, Client::connect(there)?);
    let mut tags = Tags::new();
    for number in 0..changes {
        let deletes = number % DELETED == DELETED - 1;
        let last = format!("{prefix}-{}", number.saturating_sub(1));
        if deletes && tags.get(&last).is_some_and(Option::is_some) {
            let path = format!("/v2/{REPOSITORY}/manifests/{last}");
            let status = there.ask("DELETE", &path, "", &[])?.status;
            ensure!(status == 202, "DELETE {path} was answered with {status}");
            sees(&mut here, &last, None)?;
            tags.insert(last, None);
            continue;
        }
        let moves = number % MOVED == MOVED - 1;
        let tag = format!("{prefix}-{}", if moves { number / MOVED } else { number });
        let artifact = Artifact::new(&format!("{prefix} {number}"));
        artifact.push(&mut here, &tag)?;
        sees(&mut there, &tag, Some(&artifact.digest))?;
        tags.insert(tag, Some(artifact.digest.clone()));
    }
    println!("  {changes} changes by the server of {prefix}");
    Ok(tags)
}

/// Gives the seed further names by `tag`, and has both servers asked after each.
fn tag(
    program: &Path,
    layout: &Path,
    servers: [&str; 2],
    seed: &Digest,
    changes: usize,
) -> Result<Tags> {
    let [mut one, mut other] = [Client::connect(servers[0])?, Client::connect(servers[1])?];
    let mut tags = Tags::new();
    let place = format!("{}:{REPOSITORY}:{SEED}", dir(layout));
    for number in 0..changes {
        let tag = format!("c-{number}");
        let name = format!("{REPOSITORY}:{tag}");
        succeed(longshore(program, &["tag", "--quiet", &place, &name]))?;
        for client in [&mut one, &mut other] {
            sees(client, &tag, Some(seed))?;
        }
        tags.insert(tag, Some(seed.clone()));
    }
    println!("  {changes} changes by `tag`");
    Ok(tags)
}

/// Fails unless a tag stands for that.
fn sees(client: &mut Client, tag: &str, digest: Option<&Digest>) -> Result<()> {
    let path = format!("/v2/{REPOSITORY}/manifests/{tag}");
    let answer = client.ask("HEAD", &path, "", &[])?;
    let status = answer.status;
    match digest {
        None => ensure!(status == 404, "{tag} was deleted, and is answered with {status}"),
        Some(digest) => {
            ensure!(status == 200, "{tag} was acknowledged, and is answered with {status}");
            ensure!(
                answer.digest == digest.to_string(),
                "{tag} is {}, not {digest}",
                answer.digest
            );
        }
    }
    Ok(())
}

/// A small artifact.
struct Artifact {
    content: Content,
    digest: Digest,
}

impl Artifact {
    fn new(text: &str) -> Self {
        let mut content = Content::new();
        let layer = content.blob("text/plain", text.to_owned());
        content.empty();
        let draft = Draft::artifact("application/vnd.example.shared.v1", &[layer]);
        let digest = content.manifest(&draft).digest;
        Self { content, digest }
    }

    /// Pushes all of it, under a tag.
    fn push(&self, client: &mut Client, tag: &str) -> Result<()> {
        for (digest, bytes) in &self.content.blobs {
            if *digest != self.digest {
                client.push_blob(REPOSITORY, digest, bytes)?;
            }
        }
        client.push_manifest(REPOSITORY, tag, &self.content.blobs[&self.digest])
    }
}
