//! Types what the README and `--help` say, command by command.
//!
//! Their hosts become registries of Debian's on this machine, their paths lie in the directory of the check,
//! and the README's `bundle.yaml` is the one that is exported. A command that is added there is typed here
//! too.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use longshore_fixture::{Content, artifacts};

use super::Outcome;
use super::ground::Ground;
use crate::run::{self, capture, shown};
use crate::server::{ANY_PORT, Server};

/// Asks for a password at a terminal; the check `registry-guarded` types it.
const LOGIN: &str = "longshore login ";

/// Writes an example, which is made one's own then: it becomes the README's.
const INIT: &str = "longshore init";

/// What has to be on the far side when all has been typed.
const ARRIVED: [(&str, &[&str]); 4] = [
    ("mirror/library/alpine", &["3.20"]),
    ("mirror/acme/tool", &["2"]),
    ("mirror/acme/charts/shop", &["1.5.0", "1.6.0", "1.7.0"]),
    ("team/app", &["1"]),
];

pub(super) fn check(ground: &Ground<'_>) -> Result<Outcome> {
    let readme = fs::read_to_string(run::root().join("README.md")).context("README.md")?;
    let registries = Registries::start(ground)?;
    let here = |text: &str| registries.here(text);
    let wanted = ground.path("bundle.yaml");
    let mut yours = String::new();
    let mut typed = 0;
    for block in blocks(&readme) {
        match block.language {
            "yaml" if block.text.starts_with("# bundle.yaml") => {
                yours = here(&block.text);
            }
            "console" => {
                for line in commands(&block.text) {
                    if line.starts_with("cargo ") || line.starts_with(LOGIN) {
                        continue;
                    }
                    enter(ground, &here(line)).with_context(|| format!("README.md: {line}"))?;
                    if line == INIT {
                        fs::write(&wanted, &yours)?;
                    }
                    typed += 1;
                }
            }
            _ => {}
        }
    }
    for (repository, tags) in ARRIVED {
        let mut found = registries.far.tags(repository)?;
        found.retain(|tag| !super::registry::is_fallback(tag));
        ensure!(found == tags, "{repository} has {found:?} on the far side, not {tags:?}");
    }
    Ok(Outcome::Passed(format!("{typed} commands of the README, to the far registry's tags")))
}

/// Types the examples of `--help`, of all commands that have some.
pub(super) fn help(ground: &Ground<'_>) -> Result<Outcome> {
    let registries = Registries::start(ground)?;
    let image = Content::tagged("app", |content| artifacts::multi_platform(content, 1));
    ground.layout("site", &image)?;
    let full = "registry.site/team/app:1";
    ground.ours(&["tag", "oci:site:app", full])?;
    fs::write(ground.path("wanted.txt"), "oci:site:app\n")?;
    let wanted = "artifacts: [{ ref: docker.io/library/alpine:3.20, platforms: [linux/amd64] }]\n";
    fs::write(ground.path("bundle.yaml"), registries.here(wanted))?;
    fs::write(ground.path("images.txt"), registries.here("docker.io/library/alpine:3.20\n"))?;
    let mut typed = 0;
    for command in ["copy", "export", "import"] {
        let help = ground.ours(&[command, "--help"])?;
        let (_, examples) = help.split_once("Examples:\n").context("no examples")?;
        if command == "export" {
            remove(&ground.path("app.tar"))?;
            ground.ours(&["copy", "-q", &format!("oci:site:{full}"), "oci-archive:app.tar"])?;
        }
        if command == "import" {
            ground.ours(&["export", "-q", "-f", "bundle.yaml", "-o", "bundle.tar"])?;
        }
        for line in examples.lines().filter_map(|line| line.strip_prefix("  longshore ")) {
            // What an example writes is not there before it; what another reads is.
            for made in ["site.tar", "bundle.tar"] {
                if line.contains(&format!("-o {made}")) || line.ends_with(&format!(":{made}")) {
                    remove(&ground.path(made))?;
                }
            }
            let line = format!("longshore {line}");
            let local = registries.here(&line).replace(" alpine:", " docker.io/library/alpine:");
            let local = registries.here(&local).replace("| ssh site ", "| ");
            let local = local.split(" && longshore serve").next().unwrap_or_default();
            enter(ground, local).with_context(|| format!("--help: {line}"))?;
            typed += 1;
        }
    }
    ensure!(typed > 10, "{typed} examples were found");
    Ok(Outcome::Passed(format!("{typed} examples of --help")))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// The registries that the hosts of examples become.
struct Registries {
    near: Server,
    far: Server,
}

impl Registries {
    /// Starts them, with what examples take for granted.
    fn start(ground: &Ground<'_>) -> Result<Self> {
        let near = ground.distribution()?;
        let far = Server::distribution(&ground.path("far"), ANY_PORT, false)?;
        stock(ground, &near, &far)?;
        Ok(Self { near, far })
    }

    /// Returns a text with hosts and paths of here.
    fn here(&self, text: &str) -> String {
        text.replace("docker.io", self.near.address())
            .replace("ghcr.io", self.near.address())
            .replace("registry.site.local", self.far.address())
            .replace("/media/stick", "stick")
            .replace("oci:/srv", "oci:srv")
            .replace(" /srv", " srv")
            .replace("--listen :5000", &format!("--listen {ANY_PORT}"))
    }
}

/// Brings what examples take for granted.
fn stock(ground: &Ground<'_>, near: &Server, far: &Server) -> Result<()> {
    for directory in ["stick", "srv"] {
        fs::create_dir(ground.path(directory))?;
    }
    let push = |content: &Content, to: String| {
        let layout = format!("stock-{}", to.replace(['/', ':'], "-"));
        ground.layout(&layout, content)?;
        ground.ours(&["copy", "-q", &format!("oci:{layout}"), &to]).map(drop)
    };
    let image = Content::tagged("app", |content| artifacts::multi_platform(content, 1));
    push(&image, near.place("library/alpine:3.20"))?;
    push(&image, near.place("acme/tool:2"))?;
    push(&image, far.place("team/app:1"))?;
    for (seed, tag) in (1..).zip(["1.3.0", "1.4.2", "1.5.0", "1.6.0", "1.7.0", "2.0.0"]) {
        let chart = Content::tagged("chart", |content| artifacts::helm_chart(content, seed));
        push(&chart, near.place(&format!("acme/charts/shop:{tag}")))?;
    }
    ground.layout("images", &image)?;
    let subject = ["-subj", "/CN=localhost", "-days", "1", "-nodes"];
    let files = ["-newkey", "rsa:2048", "-keyout", "site.key", "-out", "site.crt"];
    let words = [&["req", "-x509"][..], &subject, &files].concat();
    capture(&mut ground.peer_command("openssl", &words))?;
    capture(&mut ground.peer_command("htpasswd", &["-bcB", "users", "ada", "lovelace"]))?;
    Ok(())
}

/// A fenced block.
struct Block<'a> {
    language: &'a str,
    text: String,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push(Block { language, text: inside.join("\n") });
    }
    blocks
}

/// Returns what is typed in a block, without the remarks behind it.
fn commands(block: &str) -> impl Iterator<Item = &str> {
    let typed = block.lines().filter_map(|line| line.strip_prefix("$ "));
    typed.map(|line| line.split("  #").next().unwrap_or(line).trim_end())
}

/// Types a line into a shell; a server is ended when it has said where it listens.
fn enter(ground: &Ground<'_>, line: &str) -> Result<()> {
    let home = ground.path("home");
    let shell = |line: &str| -> Result<Command> {
        let program = ground.command(&[]);
        let directory = Path::new(program.get_program()).parent().context("a program nowhere")?;
        let mut path = directory.as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = ground.peer_command("sh", &["-c", line]);
        command.env("PATH", path).env("HOME", &home).env_remove("XDG_DATA_HOME");
        command.stdin(Stdio::null());
        Ok(command)
    };
    if !line.starts_with("longshore serve") {
        return capture(&mut shell(line)?).map(drop);
    }
    let mut command = shell(&format!("exec {line} --json"))?;
    let server = Server::ours(&mut command, &ground.path("serve.log"))?;
    let status = server.end()?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(&command));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_in_blocks() {
        let text =
            "a\n```console\n$ longshore list x  # what is there\nx\n$ ls\n```\n```yaml\n# y\n```\n";
        let blocks = blocks(text);
        assert_eq!(
            blocks.iter().map(|block| block.language).collect::<Vec<_>>(),
            ["console", "yaml"]
        );
        assert_eq!(commands(&blocks[0].text).collect::<Vec<_>>(), ["longshore list x", "ls"]);
    }
}
