//! `cargo xtask demo`: artifacts of many types go from registry to registry across a gap in one file,
//! and nothing has changed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use longshore_fixture::{Node, Tree};
use serde_json::Value;

use crate::program::Program;
use crate::run::{self, capture};
use crate::server::{ANY_PORT, Server};

/// What may be asked of this task.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave the files where they are, and say where that is
    #[arg(long)]
    keep: bool,
}

/// The steps, as they would be typed. `NEAR` and `FAR` stand for the addresses of two registries.
const STEPS: [(&str, &[&str]); 9] = [
    ("Artifacts of many types lie in a layout, a directory.", &["list", "oci:here"]),
    (
        "All of them go to a registry, with what refers to them,",
        &["copy", "--all", "oci:here", "NEAR/harbour"],
    ),
    (
        "which has tags for those with a name, and knows who refers to them.",
        &["list", "NEAR/harbour"],
    ),
    (
        "`bundle.yaml` wants all that it lists, which goes into one file.",
        &["export", "-f", "bundle.yaml", "-o", "bundle.tar"],
    ),
    ("The file says what it holds, without being unpacked,", &["tree", "oci-archive:bundle.tar"]),
    ("and proves that nothing is missing or changed.", &["verify", "oci-archive:bundle.tar"]),
    ("On the far side it goes to another registry,", &["import", "bundle.tar", "FAR"]),
    (
        "and from there it becomes a directory again,",
        &["copy", "--quiet", "--all-tags", "--referrers", "FAR/harbour", "oci:arrived"],
    ),
    ("which is as whole as the first.", &["verify", "oci:arrived"]),
];

/// Runs the program on artifacts made for this, and compares what arrives with what was sent.
pub(crate) fn run(args: &Args) -> Result<()> {
    let program = Program::build()?;
    let mut workdir = tempfile::Builder::new().prefix("longshore-demo-").tempdir()?;
    workdir.disable_cleanup(args.keep);
    if args.keep {
        println!("what is made stays in {}", workdir.path().display());
    }
    let directory = workdir.path();
    longshore_fixture::typed().write_directory(&directory.join("here"))?;
    println!("# Two directories answer as registries.");
    let near = serve(&program, directory, "near")?;
    let far = serve(&program, directory, "far")?;
    println!();
    let wanted = format!("artifacts:\n  - repository: {}\n", near.place("harbour"));
    fs::write(directory.join("bundle.yaml"), wanted)?;
    for (story, step) in STEPS {
        println!("# {story}");
        let place =
            |word: &&str| word.replace("NEAR", near.address()).replace("FAR", far.address());
        let step: Vec<_> = step.iter().map(place).collect();
        show(&program, directory, &step)?;
    }
    compare(&program, directory)
}

/// Starts a registry for the directory `name`.
fn serve(program: &Program, directory: &Path, name: &str) -> Result<Server> {
    let place = format!("oci:{name}");
    let words = ["serve", &place, "--writable", "--listen", ANY_PORT, "--json"];
    let mut command = program.command(directory, words);
    println!("$ {} &", run::shown(&command));
    let server = Server::ours(&mut command, &directory.join(format!("{name}.log")))?;
    println!("{}", server.address());
    Ok(server)
}

/// Runs one command, with all that it prints.
fn show(program: &Program, directory: &Path, args: &[String]) -> Result<()> {
    let mut command = program.command(directory, args);
    println!("$ {}", run::shown(&command));
    // What is printed here and what the program prints must come in this order.
    io::stdout().flush()?;
    let status = command.status().context("cannot run the program")?;
    ensure!(status.success(), "`{}` failed: {status}", run::shown(&command));
    println!();
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
    let name = line["name"].as_str().unwrap_or("-");
    let tag = name.rsplit_once("/harbour:").map_or(name, |(_, tag)| tag).to_owned();
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
