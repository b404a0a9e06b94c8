//! `cargo xtask demo`: artifacts of many types cross a gap in one file, and nothing has changed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use longshore_fixture::{Node, Tree};
use serde_json::Value;

use crate::program::Program;
use crate::run::{self, capture};

/// What may be asked of this task.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave the files where they are, and say where that is
    #[arg(long)]
    keep: bool,
}

/// The steps, as they would be typed.
const STEPS: [(&str, &[&str]); 6] = [
    ("Artifacts of many types lie in a layout, a directory.", &["list", "oci:here"]),
    (
        "All of them go into one file, with what refers to them.",
        &["copy", "--all", "oci:here", "oci-archive:bundle.tar"],
    ),
    ("The file says what it holds, without being unpacked,", &["tree", "oci-archive:bundle.tar"]),
    ("and proves that nothing is missing or changed.", &["verify", "oci-archive:bundle.tar"]),
    (
        "On the far side it becomes a directory again,",
        &["copy", "--all", "oci-archive:bundle.tar", "oci:arrived"],
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
    for (story, step) in STEPS {
        println!("# {story}");
        show(&program, directory, step)?;
    }
    compare(&program, directory)
}

/// Runs one command, with all that it prints.
fn show(program: &Program, directory: &Path, args: &[&str]) -> Result<()> {
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
    equal("what index.json lists", &before.entries, &after.entries)?;
    equal("the files under blobs/", &before.blobs, &after.blobs)?;
    println!("{} artifacts, {} blobs: equal digests", before.entries.len(), before.blobs.len());
    Ok(())
}

/// What is compared of a directory: things by the text that names them.
struct Side {
    listed: BTreeMap<String, String>,
    entries: BTreeMap<String, String>,
    blobs: BTreeMap<String, String>,
}

impl Side {
    fn read(program: &Program, directory: &Path, name: &str) -> Result<Self> {
        let mut list = program.command(directory, ["list", "--all", "--json"]);
        let listed = capture(list.arg(format!("oci:{name}")))?;
        let listed: Vec<Value> = serde_json::from_str(&listed)?;
        let path = directory.join(name);
        let index: Value = serde_json::from_slice(&fs::read(path.join("index.json"))?)?;
        let entries = index["manifests"].as_array().context("index.json lists nothing")?;
        let blobs = Tree::read(&path.join("blobs"))?;
        Ok(Self {
            listed: listed.iter().map(|line| keyed(line, &line["name"])).collect(),
            entries: entries.iter().map(entry).collect(),
            blobs: blobs.nodes().iter().map(|(path, node)| blob(path, node)).collect(),
        })
    }
}

fn entry(entry: &Value) -> (String, String) {
    keyed(entry, &entry["annotations"]["org.opencontainers.image.ref.name"])
}

/// Returns all of `value` by its name and digest: two artifacts may have one name or one digest.
fn keyed(value: &Value, name: &Value) -> (String, String) {
    let name = name.as_str().unwrap_or("-");
    (format!("{name} {}", value["digest"].as_str().unwrap_or_default()), value.to_string())
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
