//! A directory in which the program is run, and what came of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use longshore_fixture::{Content, Draft, Fixture, Node, Tree, artifacts, catalog};
use serde_json::Value;

/// A directory of its own, in which commands are run with relative paths.
pub(crate) struct Site {
    directory: tempfile::TempDir,
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// Returns a site with one artifact of every type in the layout `site`, some with referrers.
    pub(crate) fn typed() -> Self {
        let site = Self::new();
        site.put("site", &longshore_fixture::typed());
        site
    }

    /// Returns a site with the image `app` in the layout `src`.
    pub(crate) fn image() -> Self {
        let site = Self::new();
        site.put("src", &Content::tagged("app", |content| artifacts::image(content, 1)));
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a layout directory.
    pub(crate) fn put(&self, name: &str, content: &Content) {
        content.write_directory(&self.path(name)).unwrap();
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Writes a fixture under its own name, which is returned.
    pub(crate) fn fixture(&self, name: &str) -> String {
        let found = catalog().into_iter().find(|fixture| fixture.name == name);
        let fixture: Fixture = found.unwrap_or_else(|| panic!("there is no fixture {name}"));
        fixture.write(self.root()).unwrap();
        fixture.file_name()
    }

    /// Returns all that there is, by path, without what the program keeps for itself.
    pub(crate) fn files(&self) -> BTreeMap<String, Node> {
        let mut files = Tree::read(self.root()).unwrap().nodes().clone();
        files.retain(|path, _| !path.split('/').any(|part| part == ".longshore"));
        files
    }

    /// Returns a command that is not run yet. What is between quotes is one word.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("longshore"));
        command.args(words(line));
        prepare(&mut command, self.root());
        command
    }

    /// Runs a command, whatever comes of it.
    pub(crate) fn run(&self, line: &str) -> Ran {
        Ran::of(self.command(line).output().unwrap())
    }

    /// Runs a command that must succeed; returns its stdout.
    pub(crate) fn ok(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
        ran.text()
    }

    /// Runs a command with `--json` that must succeed; returns the document.
    pub(crate) fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("{line} --json"))).unwrap()
    }

    /// Returns the digest of what a place selects.
    pub(crate) fn digest(&self, place: &str) -> String {
        self.ok(&format!("digest {place}")).trim_end().to_owned()
    }

    /// Runs commands and returns what a terminal would show, with only stderr of each.
    pub(crate) fn errors(&self, lines: &[&str]) -> String {
        let shown = lines.iter().map(|line| {
            let Ran { code, stderr, .. } = self.run(line);
            format!("$ longshore {line}\n{}[exit {code}]\n", redacted(&stderr))
        });
        shown.collect::<Vec<_>>().join("\n")
    }

    /// Runs commands that must succeed and returns what a terminal would show.
    pub(crate) fn shown(&self, lines: &[&str]) -> String {
        let shown = lines.iter().map(|line| {
            let ran = self.run(line);
            assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
            format!("$ longshore {line}\n{}{}", redacted(&ran.stderr), redacted(&ran.text()))
        });
        shown.collect::<Vec<_>>().join("\n")
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let Output { status, stdout, stderr } = output;
        let stderr = String::from_utf8(stderr).unwrap();
        Self { code: status.code().unwrap_or(-1), stdout, stderr }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }
}

/// Sets what a command depends on: where it runs, and that it is not in a terminal.
pub(crate) fn prepare(command: &mut Command, directory: &Path) {
    command.current_dir(directory).stdin(Stdio::null());
    command.env("COLUMNS", "100").env("NO_COLOR", "1").env_remove("TMPDIR");
    let proxies =
        ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"];
    for name in proxies {
        command.env_remove(name);
    }
}

/// Returns a host on which nothing listens.
pub(crate) fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Tells whether a program that a test needs is here; says so if it is not.
pub(crate) fn has(program: &str) -> bool {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let here = std::env::split_paths(&directories).any(|path| path.join(program).is_file());
    if !here {
        eprintln!("skipped: `{program}` is not installed");
    }
    here
}

/// Returns an index of two platforms, one of whose images has a layer of its own.
pub(crate) fn two_platforms(content: &mut Content) -> longshore_spec::Descriptor {
    let entries = ["linux/amd64", "linux/arm64"].map(|text| {
        let platform = artifacts::platform(text);
        let image = artifacts::image_for(content, 1, &platform).manifest;
        longshore_fixture::with_platform(image, &platform)
    });
    content.manifest(&Draft::index(&entries))
}

/// Takes a command line apart at white space; what is between quotes is one word.
pub(crate) fn words(line: &str) -> Vec<&OsStr> {
    let parts = line.split('\'').enumerate().flat_map(|(number, part)| {
        if number % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }
    });
    parts.map(OsStr::new).collect()
}

/// Returns what was printed with digests cut short and without durations.
pub(crate) fn redacted(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let (before, from) = rest.split_at(at);
        let end = from.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        shown.push_str(before);
        shown.push_str(if run.len() >= 64 { &run[..8] } else { run });
        if run.len() >= 64 {
            shown.push('…');
        }
        rest = after;
    }
    without_durations(&(shown + rest))
}

fn without_durations(text: &str) -> String {
    let mut parts = text.split(" in ");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str(" in ");
        let number = part.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(part.len());
        match part[number..].strip_prefix(" s") {
            Some(after) if number > 0 => {
                shown.push_str("TIME");
                shown.push_str(after);
            }
            _ => shown.push_str(part),
        }
    }
    shown
}
