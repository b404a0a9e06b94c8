//! `cargo xtask demo`: artifacts of many types go from a registry across a gap in one file, into a store
//! that is served, and nothing has changed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use longshore_fixture::{Content, Draft, Node, Random, Tree};
use serde_json::Value;

use xtask::program::Program;
use xtask::run::{self, capture};
use xtask::server::{ANY_PORT, Server};

/// What may be asked of this task.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave the files where they are, and say where that is
    #[arg(long)]
    keep: bool,
}

/// What happens, as it would be typed. `NEAR` and `FAR` stand for the addresses of two registries:
/// FAR is none before what came is served.
const STEPS: [(&str, Act); 16] = [
    ("A directory answers as a registry.", Act::Serve("near", &["oci:near", "--writable"])),
    (
        "Artifacts of many types lie in another one, a model with them.",
        Act::Run(&["list", "oci:here"]),
    ),
    (
        "All of them go to the registry, with what refers to them,",
        Act::Run(&["copy", "--all", "oci:here", "NEAR/harbour"]),
    ),
    (
        "which has tags for those with a name, and knows who refers to them.",
        Act::Run(&["list", "NEAR/harbour"]),
    ),
    (
        "`bundle.yaml` wants all that it lists, which goes into one file.",
        Act::Run(&["export", "-f", "bundle.yaml", "-o", "bundle.tar"]),
    ),
    (
        "The file says what it holds, without being unpacked,",
        Act::Run(&["tree", "oci-archive:bundle.tar"]),
    ),
    (
        "and proves that nothing is missing or changed.",
        Act::Run(&["verify", "oci-archive:bundle.tar"]),
    ),
    (
        "On the far side, where nothing else is installed, it goes into the store,",
        Act::Run(&["import", "bundle.tar"]),
    ),
    ("which is served,", Act::Serve("far", &[])),
    (
        "and everything is pulled from there,",
        Act::Run(&["copy", "--all-tags", "--referrers", "FAR/harbour", "oci:arrived"]),
    ),
    ("as whole as it was at first.", Act::Run(&["verify", "oci:arrived"])),
    (
        "A month later the registry has one artifact more.",
        Act::Run(&["copy", "oci:new:news", "NEAR/harbour:news"]),
    ),
    (
        "The site writes down what it holds, each piece proven to be there.",
        Act::Run(&["receipt", "--site", "far", "-o", "far.receipt"]),
    ),
    (
        "So the second file carries only what is new,",
        Act::Run(&["export", "-f", "bundle.yaml", "--base", "far.receipt", "-o", "delta.tar"]),
    ),
    (
        "and is imported once all that it takes for granted has been found there.",
        Act::Run(&["import", "delta.tar"]),
    ),
    ("Nothing is missing.", Act::Run(&["verify", "oci:store"])),
];

/// One command of the demonstration.
enum Act {
    /// It runs to its end.
    Run(&'static [&'static str]),
    /// `serve`, in the background, with these words more. It has a name for its log.
    Serve(&'static str, &'static [&'static str]),
}

/// What the artifact that comes later is made of: no other is made of this.
const NEWS: u64 = 4242;

/// How large the model is: enough to see it move.
const MODEL: usize = 128 << 20;

/// Runs the program on artifacts made for this, and compares what arrives with what was sent.
pub(crate) fn run(args: &Args) -> Result<()> {
    let program = Program::build()?;
    let mut workdir = tempfile::Builder::new().prefix("longshore-demo-").tempdir()?;
    workdir.disable_cleanup(args.keep);
    if args.keep {
        println!("what is made stays in {}", workdir.path().display());
    }
    let directory = workdir.path();
    artifacts().write_directory(&directory.join("here"))?;
    let new = Content::tagged("news", |content| longshore_fixture::artifacts::image(content, NEWS));
    new.write_directory(&directory.join("new"))?;
    let mut servers: Vec<Server> = Vec::new();
    for (story, act) in STEPS {
        println!("# {story}");
        match act {
            Act::Run(words) => {
                let address = |number: usize| servers.get(number).map_or("", Server::address);
                let place =
                    |word: &&str| word.replace("NEAR", address(0)).replace("FAR", address(1));
                let words: Vec<_> = words.iter().map(place).collect();
                show(&program, directory, &words)?;
            }
            Act::Serve(name, words) => {
                let server = serve(&program, directory, name, words)?;
                if servers.is_empty() {
                    let wanted =
                        format!("artifacts:\n  - repository: {}\n", server.place("harbour"));
                    fs::write(directory.join("bundle.yaml"), wanted)?;
                }
                servers.push(server);
            }
        }
        println!();
    }
    let size = |name: &str| fs::metadata(directory.join(name)).map(|found| found.len());
    let (first, second) = (size("bundle.tar")?, size("delta.tar")?);
    ensure!(second * 10 < first, "the second visit carries {second} bytes, the first {first}");
    println!("the first visit carried {first} bytes, the second {second}");
    compare(&program, directory)
}

/// Returns what is carried: an artifact of each type, and a model that is larger than all of them.
fn artifacts() -> Content {
    let mut content = longshore_fixture::typed();
    let mut weights = vec![0; MODEL];
    Random::new(1).fill(&mut weights);
    let config = content.empty();
    let weights = content.blob("application/vnd.cncf.model.weight.v1.raw", weights);
    let draft = Draft::image(&config, &[weights]);
    let draft = draft.artifact_type("application/vnd.cncf.model.manifest.v1+json");
    let model = content.manifest(&draft);
    content.tag(&model, "weights");
    content
}

/// Returns a command of the program. Its store is a directory here, not the user's own.
fn command<A>(program: &Program, directory: &Path, args: A) -> Command
where
    A: IntoIterator<Item: AsRef<OsStr>>,
{
    let mut command = program.command(directory, args);
    command.env("LONGSHORE_STORE", "store");
    command
}

/// Starts a registry.
fn serve(program: &Program, directory: &Path, name: &str, words: &[&str]) -> Result<Server> {
    let words = ["serve"].iter().chain(words).chain(&["--listen", ANY_PORT, "--json"]);
    let mut command = command(program, directory, words);
    println!("$ {} &", run::shown(&command));
    let server = Server::ours(&mut command, &directory.join(format!("{name}.log")))?;
    println!("{}", server.address());
    Ok(server)
}

/// Runs one command, with all that it prints.
fn show(program: &Program, directory: &Path, args: &[String]) -> Result<()> {
    let mut command = command(program, directory, args);
    println!("$ {}", run::shown(&command));
    // What is printed here and what the program prints must come in this order.
    io::stdout().flush()?;
    let status = command.status().context("cannot run the program")?;
    ensure!(status.success(), "`{}` failed: {status}", run::shown(&command));
    Ok(())
}

/// Fails unless the last directory holds what the first does.
fn compare(program: &Program, directory: &Path) -> Result<()> {
    let [before, after] = ["here", "arrived"].map(|name| Side::read(program, directory, name));
    let (before, after) = (before?, after?);
    equal("what `longshore list --all --json` says", &before.listed, &after.listed)?;
    equal("the files under blobs/", &before.blobs, &after.blobs)?;
    let untagged = before.listed.keys().filter(|key| key.starts_with("- ")).count();
    println!(
        "{} artifacts, {untagged} of them without a tag, and {} blobs: equal digests",
        before.listed.len(),
        before.blobs.len()
    );
    Ok(())
}

/// What is compared of a directory: things by the text that names them.
struct Side {
    listed: BTreeMap<String, String>,
    blobs: BTreeMap<String, String>,
}

impl Side {
    fn read(program: &Program, directory: &Path, name: &str) -> Result<Self> {
        let mut list = program.command(directory, ["list", "--all", "--json"]);
        let listed = capture(list.arg(format!("oci:{name}")))?;
        let listed: Vec<Value> = serde_json::from_str(&listed)?;
        let blobs = Tree::read(&directory.join(name).join("blobs"))?;
        Ok(Self {
            listed: listed.into_iter().map(keyed).collect(),
            blobs: blobs.nodes().iter().map(|(path, node)| blob(path, node)).collect(),
        })
    }
}

/// Returns all that is said of an artifact by its tag and digest: two may have one of them. What
/// comes from a registry is named by its place there, which ends with the tag.
fn keyed(mut line: Value) -> (String, String) {
    let called = |name: &str| name.rsplit_once("/harbour:").map_or(name, |(_, tag)| tag).to_owned();
    let tag = called(line["name"].as_str().unwrap_or("-"));
    for referrer in line["referrers"].as_array_mut().into_iter().flatten() {
        if let Some(name) = referrer["name"].as_str().map(called) {
            referrer["name"] = name.into();
        }
    }
    let key = format!("{tag} {}", line["digest"].as_str().unwrap_or_default());
    line["name"] = tag.into();
    (key, line.to_string())
}

/// Returns the digest of what a file really holds, by its path.
fn blob(path: &str, node: &Node) -> (String, String) {
    let held = match node {
        Node::File(bytes) => longshore_spec::Digest::sha256(bytes).to_string(),
        other => format!("no file, but {other:?}"),
    };
    (path.to_owned(), held)
}

fn equal(
    what: &str,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Result<()> {
    let differing = |key: &&String| before.get(*key) != after.get(*key);
    let Some(key) = before.keys().chain(after.keys()).find(differing) else { return Ok(()) };
    let said = |side: &BTreeMap<String, String>| {
        side.get(key).map_or_else(|| "nothing".to_owned(), Clone::clone)
    };
    bail!("{what} differs at {key}\n  before: {}\n  after:  {}", said(before), said(after))
}
