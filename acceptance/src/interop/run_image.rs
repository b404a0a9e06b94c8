//! What was carried runs: an image goes across the gap in a bundle and is started on the far side.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Outcome;
use super::ground::Ground;
use crate::run::{capture, shown};
use crate::server::ANY_PORT;

/// What the image says when it runs.
const SAID: &str = "hello from the far side\n";

/// Runs, with runc and without privileges, an image that came from a registry of ours in a bundle and
/// was pulled from another one.
pub(super) fn check(ground: &Ground<'_>) -> Result<Outcome> {
    if let Err(refusal) = namespaces() {
        return Ok(Outcome::Skipped(format!("nothing can be contained here: {refusal:#}")));
    }
    make(ground)?;
    let near = ground.serve("near", ANY_PORT, &["--writable"])?;
    let image = near.place("team/hello:1");
    ground.ours(&["copy", "--quiet", "oci:made:hello", &image])?;
    ground.ours(&["export", "--quiet", &image, "-o", "bundle.tar"])?;
    drop(near);
    ground.ours(&["import", "--quiet", "bundle.tar", "oci:far"])?;
    let far = ground.serve("far", ANY_PORT, &[])?;
    let from = format!("docker://{}", far.place("team/hello:1"));
    ground.theirs("skopeo", &["copy", "--src-tls-verify=false", &from, "oci:pulled:hello"])?;
    let said = run(ground)?;
    ensure!(said == SAID, "the image was to say {SAID:?}, and said {said:?}");
    Ok(Outcome::Passed("an image from a bundle, pulled from our registry, runs".to_owned()))
}

/// Fails if the system does not let anybody make namespaces.
fn namespaces() -> Result<()> {
    let args = ["--user", "--map-root-user", "--mount", "--pid", "--fork", "true"];
    capture(Command::new("unshare").args(args)).map(drop)
}

/// Makes an image of one program that needs nothing else.
fn make(ground: &Ground<'_>) -> Result<()> {
    let source = format!(
        "#include <unistd.h>\nint main(void) {{ return write(1, {SAID:?}, {}) != {0}; }}\n",
        SAID.len()
    );
    fs::write(ground.path("hello.c"), source)?;
    capture(
        Command::new("cc").args(["-static", "-o", "hello", "hello.c"]).current_dir(ground.path("")),
    )?;
    let umoci = |args: &[&str]| ground.theirs("umoci", args).map(drop);
    umoci(&["init", "--layout", "made"])?;
    umoci(&["new", "--image", "made:hello"])?;
    umoci(&["insert", "--rootless", "--image", "made:hello", "hello", "/hello"])?;
    umoci(&["config", "--image", "made:hello", "--config.cmd", "/hello"])
}

/// Runs the image that was pulled and returns what it printed.
fn run(ground: &Ground<'_>) -> Result<String> {
    ground.theirs("umoci", &["unpack", "--rootless", "--image", "pulled:hello", "bundle"])?;
    let path = ground.path("bundle/config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path)?)?;
    let process = config["process"].as_object_mut().context("an image without a process")?;
    // There is no terminal, and limits may not be raised without privileges.
    process.insert("terminal".to_owned(), json!(false));
    process.remove("rlimits");
    fs::write(&path, config.to_string())?;
    let mut runc = ground.peer_command("runc", &["--root", "state", "run", "--bundle", "bundle"]);
    runc.arg(format!("longshore-{}", std::process::id()));
    capture(&mut runc).with_context(|| format!("`{}` does not run it", shown(&runc)))
}
