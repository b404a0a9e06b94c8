//! `cargo xtask elsewhere`: the tests once more, as on a machine that is not this one.
//!
//! The tests that are built already run as an ordinary user, with other directories, another umask,
//! another language, another time zone and another user in `/etc/passwd`. Mounts that hold for this
//! process alone make it so; the machine is not changed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::unistd::Uid;
use serde::Deserialize;

use xtask::run::{self, capture, cargo, root, target_directory, timed};

/// The user that there is elsewhere, and who runs the tests. No machine has one of this number.
const USER: u32 = 54_321;
const USER_LINE: &str = "elsewhere:x:54321:54321:Somebody Else:/nonexistent:/bin/sh\n";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Mounts hold for this process alone
    #[arg(long, hide = true)]
    inside: bool,
}

/// What is different elsewhere, beside the user.
struct Setting {
    name: &'static str,
    umask: &'static str,
    home: Home,
    environment: &'static [(&'static str, &'static str)],
}

enum Home {
    Missing,
    ReadOnly,
}

const SETTINGS: [Setting; 2] = [
    Setting {
        name: "umask 077, no home, Turkish, UTC+14",
        umask: "077",
        home: Home::Missing,
        environment: &[
            ("LANG", "tr_TR.UTF-8"),
            ("LC_ALL", "tr_TR.UTF-8"),
            ("LANGUAGE", "tr:de"),
            ("TZ", "Pacific/Kiritimati"),
        ],
    },
    Setting {
        name: "umask 000, a home that is read-only, no language, UTC-3:30 with summer time",
        umask: "000",
        home: Home::ReadOnly,
        environment: &[("LC_ALL", "C"), ("TZ", "America/St_Johns")],
    },
];

pub(crate) fn run(args: &Args) -> Result<()> {
    let is_root = Uid::effective().is_root();
    if is_root && !args.inside {
        let mut inside = Command::new("unshare");
        inside.args(["--mount", "--propagation", "private", "--"]);
        inside.arg(std::env::current_exe()?).args(["elsewhere", "--inside"]);
        return run::run(&mut inside);
    }
    let tests = Test::all()?;
    let work = tempfile::Builder::new().prefix("elsewhere").tempdir()?;
    open_to_all(work.path())?;
    if is_root {
        move_there(work.path())?;
    } else {
        println!("mounting takes root: this machine's users and yourself are what they are");
    }
    let mut failed = 0;
    for (number, setting) in SETTINGS.iter().enumerate() {
        println!("\n== {}", setting.name);
        let place = work.path().join(format!("setting {number}"));
        let place = Place::make(&place, setting)?;
        let (results, time) =
            timed(|| tests.iter().map(|test| test.run(&place)).collect::<Result<Vec<_>>>());
        let results = results?;
        let passed: usize = results.iter().flatten().sum();
        failed += results.iter().filter(|result| result.is_none()).count();
        println!(
            "{passed} tests of {} programs passed in {:.0} s",
            tests.len(),
            time.as_secs_f64()
        );
        ensure!(passed > 0, "no test ran");
    }
    ensure!(failed == 0, "{failed} programs of tests depend on the machine");
    Ok(())
}

/// A program of tests.
struct Test {
    program: PathBuf,
    /// Of its package, in which it runs.
    directory: PathBuf,
}

impl Test {
    /// Builds all, and returns them. Those of this program need cargo, which others may not reach.
    fn all() -> Result<Vec<Self>> {
        #[derive(Deserialize)]
        struct Message {
            executable: Option<PathBuf>,
            manifest_path: Option<PathBuf>,
            profile: Option<Profile>,
        }
        #[derive(Deserialize)]
        struct Profile {
            test: bool,
        }
        // All of the workspace, as `cargo xtask test` builds it: with fewer packages dependencies have
        // other features, and are compiled once more.
        let mut build = cargo(["test", "--workspace", "--locked", "--no-run"]);
        build.arg("--message-format=json-render-diagnostics");
        let output = build.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
        ensure!(output.status.success(), "`{}` failed: {}", run::shown(&build), output.status);
        let mut tests = Vec::new();
        for line in String::from_utf8(output.stdout)?.lines() {
            let Ok(message) = serde_json::from_str::<Message>(line) else { continue };
            if let (Some(program), Some(manifest), Some(Profile { test: true })) =
                (message.executable, message.manifest_path, message.profile)
            {
                let directory = manifest.parent().context("a manifest is in a directory")?;
                if directory.ends_with("xtask") || directory.ends_with("acceptance") {
                    continue;
                }
                tests.push(Self { program, directory: directory.to_owned() });
            }
        }
        Ok(tests)
    }

    /// Runs it, and returns how many tests passed; `None`, with what it said, if not all did.
    fn run(&self, place: &Place<'_>) -> Result<Option<usize>> {
        let mut command = place.command(&self.program);
        let output = command.current_dir(&self.directory).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let name = self.program.file_name().unwrap_or_default().display();
        if !output.status.success() {
            println!("{}", tail(&said));
            println!("{}", tail(&String::from_utf8_lossy(&output.stderr)));
            println!("{name} FAILED: {}", output.status);
            return Ok(None);
        }
        let results = said.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
        let counts = results.filter_map(|line| line.split(' ').next()?.parse::<usize>().ok());
        Ok(Some(counts.sum()))
    }
}

/// Where tests run in one setting.
struct Place<'a> {
    setting: &'a Setting,
    home: PathBuf,
    temporary: PathBuf,
}

impl<'a> Place<'a> {
    fn make(at: &Path, setting: &'a Setting) -> Result<Self> {
        let (home, temporary) = (at.join("home"), at.join("temporary files"));
        fs::create_dir_all(&temporary)?;
        open_to_all(at)?;
        if Uid::effective().is_root() {
            chown(&temporary, Some(USER), Some(USER))?;
        }
        if matches!(setting.home, Home::ReadOnly) {
            fs::create_dir(&home)?;
            fs::set_permissions(&home, Permissions::from_mode(0o555))?;
        }
        Ok(Self { setting, home, temporary })
    }

    /// Returns a command that knows nothing of this machine.
    fn command(&self, program: &Path) -> Command {
        let mut command = if Uid::effective().is_root() {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={USER}")).arg(format!("--regid={USER}"));
            command.args(["--clear-groups", "--inh-caps=-all", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        command.args(["-c", r#"umask "$0" && exec "$@""#, self.setting.umask]).arg(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &self.home)
            .env("TMPDIR", &self.temporary)
            // Snapshots are looked for there, which cargo would be asked for.
            .env("INSTA_WORKSPACE_ROOT", root())
            .env("INSTA_UPDATE", "no")
            .envs(self.setting.environment.iter().copied())
            .stdin(Stdio::null());
        command
    }
}

/// Mounts what is different, for this process and those that it starts.
fn move_there(work: &Path) -> Result<()> {
    let passwd = work.join("passwd");
    fs::write(&passwd, fs::read_to_string("/etc/passwd")? + USER_LINE)?;
    fs::set_permissions(&passwd, Permissions::from_mode(0o644))?;
    bind(&passwd, Path::new("/etc/passwd"))?;
    let needed = [root().to_owned(), target_directory(), work.to_owned()];
    let needed =
        needed.map(|path| path.canonicalize()).into_iter().collect::<Result<Vec<_>, _>>()?;
    while let Some(closed) = needed.iter().find_map(|path| closed(path)) {
        open(closed, &needed, &work.join("held"))?;
    }
    Ok(())
}

/// Returns the outermost directory on the way to `path` that not everybody may enter and read.
fn closed(path: &Path) -> Option<&Path> {
    let ways: Vec<_> = path.ancestors().collect();
    let is_closed = |way: &&Path| way.metadata().is_ok_and(|found| found.mode() & 0o5 != 0o5);
    ways.into_iter().rev().find(is_closed)
}

/// Puts an open directory over one that is closed, with what is needed of what was there.
fn open(closed: &Path, needed: &[PathBuf], held: &Path) -> Result<()> {
    fs::create_dir_all(held)?;
    // All of it, if it is needed itself, and otherwise what leads to what is.
    let is_needed = |path: &Path| {
        needed.iter().any(|needed| needed.starts_with(path) || path.starts_with(needed))
    };
    let mut kept = Vec::new();
    for entry in closed.read_dir()? {
        let path = entry?.path();
        if is_needed(&path) && !path.is_symlink() {
            let at = held.join(kept.len().to_string());
            make_like(&path, &at)?;
            bind(&path, &at)?;
            kept.push((path, at));
        }
    }
    capture(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=755", "tmpfs"]).arg(closed))?;
    for (path, at) in kept {
        make_like(&at, &path)?;
        bind(&at, &path)?;
        capture(Command::new("umount").arg(&at))?;
    }
    println!("{} is open to everybody, for these tests", closed.display());
    Ok(())
}

/// Makes what can be mounted over: a directory for a directory, and a file for a file.
fn make_like(path: &Path, at: &Path) -> Result<()> {
    if path.is_dir() {
        fs::create_dir(at)?;
    } else {
        fs::write(at, "")?;
    }
    Ok(())
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    capture(Command::new("mount").arg("--bind").args([from, to])).map(drop)
}

fn open_to_all(directory: &Path) -> Result<()> {
    Ok(fs::set_permissions(directory, Permissions::from_mode(0o755))?)
}

/// Returns the last of what was printed.
fn tail(text: &str) -> String {
    const LINES: usize = 80;
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_closed_on_the_way_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap();
        open_to_all(&path).unwrap();
        let inner = path.join("closed/inner");
        fs::create_dir_all(&inner).unwrap();
        open_to_all(&inner).unwrap();
        open_to_all(&path.join("closed")).unwrap();
        assert_eq!(closed(&inner), closed(&path));
        fs::set_permissions(path.join("closed"), Permissions::from_mode(0o700)).unwrap();
        let expected = closed(&path).map_or(path.join("closed"), Path::to_owned);
        assert_eq!(closed(&inner), Some(expected.as_path()));
    }
}
