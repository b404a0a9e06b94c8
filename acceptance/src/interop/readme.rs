//! Types what the README, the book and `--help` say, command by command.
//!
//! Their hosts become registries of Debian's on this machine, and their paths lie in the directory of the
//! check. A block that begins with `# NAME` is the file NAME. A command that is added to a page is typed here
//! too; what needs more than there is here has `<!-- not typed: WHY -->` before its block.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use longshore_fixture::{Content, Draft, Random, artifacts};

use super::Outcome;
use super::ground::{Ground, failed};
use crate::run::{self, capture, shown};
use crate::server::{ANY_PORT, Server};

/// How the line before a block says that it is not typed, and why.
const NOT_TYPED: &str = "<!-- not typed: ";

/// How long the file of the model is that examples take for granted, in bytes: three volumes of 2 MB hold it.
const MODEL: usize = 4_500_000;

/// Where the server of the pages listens.
const SERVED: &str = "localhost:5000";

/// What has to be on the far side when a page has been typed.
const ARRIVED: [(&str, &str, &[&str]); 9] = [
    ("README.md", "mirror/library/alpine", &["3.20"]),
    ("docs/tutorials/first-crossing.md", "mirror/library/alpine", &["3.20"]),
    ("docs/tutorials/first-crossing.md", "mirror/pause", &["3.10"]),
    ("docs/tutorials/usb.md", "mirror/library/alpine", &["3.20"]),
    ("docs/tutorials/usb.md", "mirror/acme/model", &["1"]),
    ("docs/how-to/mirror.md", "mirror/acme/charts/shop", &["1.6.0", "1.7.0"]),
    ("docs/how-to/import.md", "mirror/acme/charts/shop", &["1.6.0"]),
    ("docs/how-to/import.md", "hub/library/alpine", &["3.20"]),
    ("docs/how-to/import.md", "plant-7/library/alpine", &["3.20"]),
];

/// Types the commands of the README and of the book, each page on ground of its own.
pub(super) fn check(ground: &Ground<'_>) -> Result<Outcome> {
    let mut paths = vec!["README.md".to_owned()];
    pages("docs", &mut paths)?;
    let (mut typed, mut pages) = (0, 0);
    for path in paths {
        let page = fs::read_to_string(run::root().join(&path)).with_context(|| path.clone())?;
        let blocks = blocks(&page);
        if blocks.iter().any(|block| block.commands().next().is_some()) {
            let ground = ground.part(&path.replace(['/', '.'], "-"))?;
            typed += type_page(&ground, &path, &blocks).with_context(|| path.clone())?;
            pages += 1;
        }
    }
    ensure!(typed > 50, "{typed} commands were found");
    Ok(Outcome::Passed(format!("{typed} commands of {pages} pages")))
}

/// Adds the pages of a directory, in their order.
fn pages(directory: &str, paths: &mut Vec<String>) -> Result<()> {
    let entries = fs::read_dir(run::root().join(directory))?;
    let mut entries = entries.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = format!("{directory}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            pages(&path, paths)?;
        } else if Path::new(&path).extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Types the blocks of a page, and returns how many commands they have.
fn type_page(ground: &Ground<'_>, path: &str, blocks: &[Block<'_>]) -> Result<usize> {
    let registries = Registries::start(ground)?;
    let mut typed = 0;
    // It answers until the next one is started, or the page ends.
    let mut server: Option<Server> = None;
    for block in blocks {
        if let Some((name, text)) = block.file() {
            fs::write(ground.path(name), registries.here(&text))?;
        }
        for line in block.commands() {
            let mut here = registries.here(line);
            if let Some(server) = &server {
                here = here.replace(SERVED, server.address());
            }
            let entered = if line.starts_with("longshore serve") {
                end(server.take()).and_then(|()| serve(ground, &here).map(|new| server = Some(new)))
            } else {
                capture(&mut shell(ground, &here)?).map(drop)
            };
            entered.with_context(|| line.to_owned())?;
            typed += 1;
        }
    }
    end(server)?;
    for (_, repository, tags) in ARRIVED.iter().filter(|(page, ..)| *page == path) {
        let mut found = registries.far.tags(repository)?;
        found.retain(|tag| !super::cargo::is_fallback(tag));
        ensure!(found == *tags, "{repository} has {found:?} on the far side, not {tags:?}");
    }
    Ok(typed)
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
    let mirror = format!("target: registry.site.local/mirrored\n{wanted}");
    fs::write(ground.path("mirror.yaml"), registries.here(&mirror))?;
    for command in ["copy", "export", "import", "mirror", "receipt"] {
        let help = ground.ours(&[command, "--help"])?;
        let (_, examples) = help.split_once("Examples:\n").context("no examples")?;
        if command == "export" {
            remove(&ground.path("app.tar"))?;
            ground.ours(&["copy", "-q", &format!("oci:site:{full}"), "oci-archive:app.tar"])?;
        }
        if command == "import" {
            ground.ours(&["export", "-q", "-f", "bundle.yaml", "-o", "bundle.tar"])?;
            repair(ground)?;
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

/// Makes a delta, and what repairs it at a site that has lost its base.
fn repair(ground: &Ground<'_>) -> Result<()> {
    let export = ["export", "-q", "-f", "bundle.yaml"];
    ground.ours(&[&export[..], &["--base", "bundle.tar", "-o", "delta.tar"]].concat())?;
    let import = ["import", "delta.tar", "oci:lost", "--missing", "missing.txt"];
    failed(&mut ground.command(&import), 1, "for granted")?;
    ground.ours(&[&export[..], &["--only", "missing.txt", "-o", "repair.tar"]].concat()).map(drop)
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
        let far = Server::distribution(&ground.path("far"), ANY_PORT, true)?;
        stock(ground, &near, &far)?;
        Ok(Self { near, far })
    }

    /// Returns a text with hosts and paths of here.
    fn here(&self, text: &str) -> String {
        let near = ["docker.io", "ghcr.io", "registry.k8s.io"];
        let text =
            near.iter().fold(text.to_owned(), |text, host| text.replace(host, self.near.address()));
        text.replace("registry.site.local", self.far.address())
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
    push(&image, near.place("pause:3.10"))?;
    push(&image, far.place("team/app:1"))?;
    for (seed, tag) in (1..).zip(["1.3.0", "1.4.2", "1.5.0", "1.6.0", "1.7.0", "2.0.0"]) {
        let chart = Content::tagged("chart", |content| artifacts::helm_chart(content, seed));
        push(&chart, near.place(&format!("acme/charts/shop:{tag}")))?;
    }
    let mut model = Content::new();
    let mut weights = vec![0; MODEL];
    Random::new(7).fill(&mut weights);
    let weights = model.blob("application/vnd.acme.weights.v1", weights);
    let config = model.empty();
    let draft = Draft::image(&config, &[weights]).artifact_type("application/vnd.acme.model.v1");
    let root = model.manifest(&draft);
    model.tag(&root, "model");
    push(&model, near.place("acme/model:1"))?;
    ground.layout("images", &image)?;
    Ok(())
}

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
struct Block<'a> {
    language: &'a str,
    lines: Vec<&'a str>,
    is_typed: bool,
}

impl Block<'_> {
    /// Returns the commands that are to be typed, without the remarks behind them.
    fn commands(&self) -> impl Iterator<Item = &str> {
        let lines = self.lines.iter().filter(|_| self.is_typed);
        let typed = lines.filter_map(|line| match self.language {
            "sh" if line.is_empty() || line.starts_with('#') => None,
            "sh" => Some(*line),
            "console" => line.strip_prefix("$ "),
            _ => None,
        });
        // The program is built already, and the other tasks are steps of the gate.
        typed
            .map(|line| line.split("  #").next().unwrap_or(line).trim_end())
            .filter(|line| !line.starts_with("cargo "))
    }

    /// Returns the name and the text of the file that the block is.
    fn file(&self) -> Option<(&str, String)> {
        let name = self.lines.first()?.strip_prefix("# ")?;
        let is_name = name.contains('.') && !name.contains(['/', ' ']);
        let is_file = is_name && matches!(self.language, "yaml" | "text");
        is_file.then(|| (name, format!("{}\n", self.lines.join("\n"))))
    }
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    let mut before = "";
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let lines = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block { language, lines, is_typed: !before.starts_with(NOT_TYPED) });
        }
        before = line;
    }
    blocks
}

/// Types a line into a shell; a server is ended when it has said where it listens.
fn enter(ground: &Ground<'_>, line: &str) -> Result<()> {
    if line.starts_with("longshore serve") {
        return end(Some(serve(ground, line)?));
    }
    capture(&mut shell(ground, line)?).map(drop)
}

/// Returns a shell that is to run a line, and finds the program.
fn shell(ground: &Ground<'_>, line: &str) -> Result<Command> {
    let program = ground.command(&[]);
    let directory = Path::new(program.get_program()).parent().context("a program nowhere")?;
    let mut path = directory.as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = ground.peer_command("sh", &["-c", line]);
    command.env("PATH", path).env("HOME", ground.path("home")).env("PASSWORD", "lovelace");
    command.env_remove("XDG_DATA_HOME").stdin(Stdio::null());
    Ok(command)
}

/// Starts a server, on any port.
fn serve(ground: &Ground<'_>, line: &str) -> Result<Server> {
    let listen = if line.contains("--listen") { "" } else { &format!(" --listen {ANY_PORT}") };
    let mut command = shell(ground, &format!("exec {line}{listen} --json"))?;
    Server::ours(&mut command, &ground.path("serve.log")).with_context(|| shown(&command))
}

fn end(server: Option<Server>) -> Result<()> {
    let Some(server) = server else { return Ok(()) };
    let status = server.end()?;
    if !status.success() {
        bail!("the server ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_in_blocks() {
        let text = "a\n```console\n$ longshore list x  # what is there\nx\n$ ls\n```\n\
                    ```sh\n# first\nls\ncargo xtask demo\n\nlongshore tree x\n```\n\
                    <!-- not typed: needs Docker -->\n```sh\ndocker pull x\n```\n";
        let blocks = blocks(text);
        let commands: Vec<Vec<_>> = blocks.iter().map(|block| block.commands().collect()).collect();
        assert_eq!(
            commands,
            [vec!["longshore list x", "ls"], vec!["ls", "longshore tree x"], vec![]]
        );
    }

    #[test]
    fn files_are_found_in_blocks() {
        let text =
            "```yaml\n# x.yaml\na: b\n```\n```yaml\n# of a file\n```\n```text\nx.yaml\n```\n";
        let blocks = blocks(text);
        let files: Vec<_> = blocks.iter().filter_map(Block::file).collect();
        assert_eq!(files, [("x.yaml", "# x.yaml\na: b\n".to_owned())]);
    }
}
