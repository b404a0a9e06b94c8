//! A server of a directory of one size, and a client that asks it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::Kind;
use super::content::{Artifact, HOST, REPOSITORY, repository};
use super::jobs::serve;
use super::table::Spent;
use crate::client::Client;
use crate::run::capture;
use crate::scale::dir;
use crate::server::Server;

/// A request is repeated until it took so many seconds of CPU …
const ENOUGH: f64 = 0.1;
/// … but at least so often.
const LEAST: u32 = 3;

/// How many connections push at once, and how much each.
const CONNECTIONS: usize = 8;
const PUSHES: usize = 10;

/// A digest that nobody has.
const ABSENT: &str = "sha256:00000000000000000000000000000000000000000000000000000000000000ab";
/// The repository that blobs are mounted into.
const NEW: &str = "new/app";

/// A server of a directory of one size.
pub(super) struct Side {
    pub(super) count: usize,
    program: PathBuf,
    layout: PathBuf,
    server: Server,
    client: Client,
    /// A repository that has much beside it or in it, one artifact of it, and its tag.
    repository: String,
    /// What the layout calls it.
    named: String,
    artifact: Artifact,
    tag: String,
    /// How many artifacts were pushed.
    pushed: usize,
    /// An upload that was begun.
    upload: Option<String>,
}

impl Side {
    /// Starts a server of a layout with `count` of something.
    pub(super) fn new(program: &Path, kind: Kind, count: usize, layout: PathBuf) -> Result<Self> {
        let middle = count / 2;
        let (repository, named, tag) = if kind == Kind::Repositories {
            (repository(middle), repository(middle), "v1".to_owned())
        } else {
            (REPOSITORY.to_owned(), format!("{HOST}/{REPOSITORY}"), format!("v{middle}"))
        };
        let server = serve(program, &layout, &["--writable"])?;
        Ok(Self {
            count,
            program: program.to_owned(),
            client: Client::connect(server.address())?,
            server,
            layout,
            repository,
            named,
            artifact: Artifact::new(kind, middle),
            tag,
            pushed: 0,
            upload: None,
        })
    }

    /// Asks a server that has just started, and returns what it took until it had answered.
    pub(super) fn first(mut self, begun: Instant) -> Result<Spent> {
        self.ask("GET", "{here}/manifests/{tag}", 200)?;
        self.spent(self.server.processor()?, begun.elapsed().as_secs_f64(), 1)
    }

    /// Repeats a request at most so often, and returns what it took for one. What prepares it does not count.
    pub(super) fn repeat(
        &mut self,
        most: u32,
        prepare: fn(&mut Self) -> Result<()>,
        ask: fn(&mut Self) -> Result<()>,
    ) -> Result<Spent> {
        // The server may have closed one on which nothing was asked for long.
        self.client = Client::connect(self.server.address())?;
        // The first time others profit from what it finds, and it may be the first change.
        prepare(self)?;
        ask(self)?;
        let (begun, start) = (Instant::now(), self.server.processor()?);
        let (mut cpu, mut asked, mut prepared) = (0.0, 0, 0.0);
        while asked < most && (asked < LEAST || cpu < ENOUGH) {
            let before = self.server.processor()?;
            prepare(self)?;
            prepared += self.server.processor()? - before;
            ask(self)?;
            asked += 1;
            // What a thread does behind its answer counts, too, when it is done.
            cpu = self.server.processor()? - start - prepared;
        }
        self.spent(cpu, begun.elapsed().as_secs_f64(), asked)
    }

    /// Pushes by many connections at once, which may share what is written.
    pub(super) fn push_at_once(&mut self) -> Result<Spent> {
        let (begun, before, first) = (Instant::now(), self.server.processor()?, self.pushed + 1);
        let side = &*self;
        std::thread::scope(|scope| -> Result<()> {
            let push = |connection: usize| -> Result<()> {
                let mut client = Client::connect(side.server.address())?;
                for number in 0..PUSHES {
                    let number = first + connection * PUSHES + number;
                    let artifact = Artifact::pushed(number);
                    artifact.push(&mut client, &side.repository, &tag(number))?;
                }
                Ok(())
            };
            let workers: Vec<_> =
                (0..CONNECTIONS).map(|number| scope.spawn(move || push(number))).collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })?;
        self.pushed += CONNECTIONS * PUSHES;
        let pushed = u32::try_from(CONNECTIONS * PUSHES)?;
        self.spent(self.server.processor()? - before, begun.elapsed().as_secs_f64(), pushed)
    }

    fn spent(&self, cpu: f64, wall: f64, count: u32) -> Result<Spent> {
        let count = f64::from(count);
        let memory = self.server.peak_memory()?;
        Ok(Spent { cpu: cpu / count, wall: wall / count, memory })
    }

    /// Asks for a path with what it names filled in, and fails if it is answered with another status.
    pub(super) fn ask(&mut self, method: &str, path: &str, status: u16) -> Result<()> {
        self.answer(method, path, status).map(drop)
    }

    /// Begins an upload.
    pub(super) fn begin(&mut self, path: &str) -> Result<()> {
        self.upload = Some(self.answer("POST", path, 202)?);
        Ok(())
    }

    /// Gives up the upload that was begun, since only so many may be open.
    pub(super) fn cancel(&mut self) -> Result<()> {
        let Some(upload) = self.upload.take() else { return Ok(()) };
        self.ask("DELETE", &upload, 204)
    }

    /// Returns the location in the answer.
    fn answer(&mut self, method: &str, path: &str, status: u16) -> Result<String> {
        let path = self.filled(path);
        let answer = self.client.ask(method, &path, "", &[])?;
        let found = answer.status;
        ensure!(found == status, "{method} {path} was answered with {found}, not {status}");
        Ok(answer.location)
    }

    fn filled(&self, path: &str) -> String {
        let mut blobs = self.artifact.blobs();
        let blob = blobs
            .find(|(_, bytes)| bytes.starts_with(b"layer"))
            .or_else(|| self.artifact.blobs().next());
        path.replace("{here}", &format!("/v2/{}", self.repository))
            .replace("{new}", &format!("/v2/{NEW}"))
            .replace("{repository}", &self.repository)
            .replace("{host}", HOST)
            .replace("{tag}", &self.tag)
            .replace("{digest}", &self.artifact.digest().to_string())
            .replace("{absent}", ABSENT)
            .replace("{blob}", &blob.map(|(digest, _)| digest.to_string()).unwrap_or_default())
            .replace("{pushed}", &tag(self.pushed))
            .replace("{pushed-digest}", &Artifact::pushed(self.pushed).digest().to_string())
    }

    /// Pushes a small artifact under a tag of its own.
    pub(super) fn push(&mut self) -> Result<()> {
        self.pushed += 1;
        Artifact::pushed(self.pushed).push(&mut self.client, &self.repository, &tag(self.pushed))
    }

    /// The same into a repository of its own.
    pub(super) fn push_elsewhere(&mut self) -> Result<()> {
        self.pushed += 1;
        let repository = format!("new/app-{}", self.pushed);
        Artifact::pushed(self.pushed).push(&mut self.client, &repository, "v1")
    }

    /// Lets a tag stand for what was pushed last.
    pub(super) fn move_tag(&mut self) -> Result<()> {
        let artifact = Artifact::pushed(self.pushed);
        self.client.push_manifest(&self.repository, "moving", artifact.bytes())
    }

    /// Lets another program change the directory.
    pub(super) fn tag_beside(&mut self) -> Result<()> {
        self.pushed += 1;
        let place = format!("{}:{}:{}", dir(&self.layout), self.named, self.tag);
        let name = format!("{}:beside-{}", self.named, self.pushed);
        capture(Command::new(&self.program).args(["tag", "--quiet", &place, &name])).map(drop)
    }
}

/// Pushing by hand.
impl Artifact {
    /// Pushes all of it, under a tag.
    fn push(&self, client: &mut Client, repository: &str, tag: &str) -> Result<()> {
        self.push_blobs(client, repository)?;
        client.push_manifest(repository, tag, self.bytes())
    }

    /// Pushes all that the manifest refers to.
    pub(super) fn push_blobs(&self, client: &mut Client, repository: &str) -> Result<()> {
        self.blobs().try_for_each(|(digest, bytes)| client.push_blob(repository, digest, bytes))
    }
}

/// Returns the tag of an artifact that was pushed.
fn tag(number: usize) -> String {
    format!("pushed-{number}")
}
