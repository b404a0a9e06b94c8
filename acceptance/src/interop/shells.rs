//! Completion in real shells: keys are typed on a terminal, and the completed command line is run.

use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use longshore_fixture::{Content, artifacts};

use super::Outcome;
use super::ground::Ground;

/// How long a shell may take to start, or to run a line.
const PATIENCE: Duration = Duration::from_secs(20);

/// The prompt of every shell.
const READY: &str = "READY> ";

/// The last line of the log that the stand-in for the program writes: all arguments are there.
const END: &str = "END\n";

/// The keys that are typed, where `\t` asks for completion, and the arguments that the program must then
/// get.
const LINES: [(&str, &[&str]); 12] = [
    ("longshore veri\toci:si\t:char\t", &["verify", "oci:site:chart"]),
    (
        "longshore list oci:my\tfu\t:r.ex\t",
        &["list", "oci:my layouts/full:r.example:5000/team/app:1"],
    ),
    ("longshore list \"oci:my layouts/fu\t\"", &["list", "oci:my layouts/full"]),
    (
        "longshore copy oci-arch\tapp.t\t:a\t oci:em\t",
        &["copy", "oci-archive:app.tar:app", "oci:empty/"],
    ),
    (
        "longshore copy --type char\t --sparse-ind\tst\tx y",
        &["copy", "--type", "chart", "--sparse-index", "strip", "x", "y"],
    ),
    ("longshore copy --type=char\tx y", &["copy", "--type=chart", "x", "y"]),
    ("longshore find-images no\t", &["find-images", "notes.txt"]),
    ("longshore import app.t\toci:em\t", &["import", "app.tar", "oci:empty/"]),
    ("longshore login \tr.example", &["login", "r.example"]),
    ("longshore types \t", &["types"]),
    ("longshore tag oci:site:app \tv1", &["tag", "oci:site:app", "v1"]),
    ("longshore list \t", &["list"]),
];

/// A shell on a terminal of its own.
struct Shell {
    child: Child,
    shown: Receiver<Vec<u8>>,
    text: String,
}

impl Shell {
    /// Starts the shell of a command line, on a terminal that util-linux's `script` makes.
    fn start(ground: &Ground<'_>, line: &str) -> Result<Self> {
        let mut command = ground.peer_command("script", &["-qfc", line, "/dev/null"]);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", ground.path("bin").display()));
        command.env("HOME", ground.path("home")).env("TERM", "vt100").env_remove("BASH_ENV");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut stdout = child.stdout.take().context("no terminal")?;
        let (sender, shown) = mpsc::channel();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut piece) {
                if sender.send(piece[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let mut shell = Self { child, shown, text: String::new() };
        shell.wait("the shell does not start", |shell| shell.text.contains(READY))?;
        Ok(shell)
    }

    /// Collects what the shell shows until `is_there` holds.
    fn wait(&mut self, failure: &str, is_there: impl Fn(&Self) -> bool) -> Result<()> {
        let begun = Instant::now();
        while !is_there(self) {
            if let Ok(piece) = self.shown.recv_timeout(Duration::from_millis(50)) {
                self.text.push_str(&String::from_utf8_lossy(&piece));
            }
            ensure!(begun.elapsed() < PATIENCE, "{failure}; it showed:\n{:?}", self.text);
        }
        Ok(())
    }

    /// Types a line and runs it; returns the arguments that the program got.
    fn run(&mut self, line: &str, log: &Path) -> Result<Vec<String>> {
        let _ = fs::remove_file(log);
        self.text.clear();
        let stdin = self.child.stdin.as_mut().context("no keyboard")?;
        write!(stdin, "{line}\r")?;
        stdin.flush()?;
        let is_run = |_: &Self| fs::read_to_string(log).is_ok_and(|text| text.ends_with(END));
        self.wait(&format!("{line:?} is not run"), is_run)?;
        let text = fs::read_to_string(log)?;
        Ok(text.trim_end_matches(END).lines().map(ToOwned::to_owned).collect())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Types all lines in bash, zsh and fish.
pub(super) fn check(ground: &Ground<'_>) -> Result<Outcome> {
    set_up(ground)?;
    let mut told = Vec::new();
    for (name, line) in [
        ("bash", "bash --rcfile bashrc -i"),
        ("zsh", "env ZDOTDIR=. zsh -i"),
        ("fish", "fish --no-config --init-command 'source fishrc' -i"),
    ] {
        let typed = drive(ground, line).with_context(|| format!("in {name}"))?;
        told.push(format!("{name} {typed}"));
    }
    Ok(Outcome::Passed(format!("lines completed: {}", told.join(", "))))
}

/// Types all lines in one shell; returns how many there were.
fn drive(ground: &Ground<'_>, line: &str) -> Result<usize> {
    let mut shell = Shell::start(ground, line)?;
    let log = ground.path("given");
    for (typed, expected) in LINES {
        let given = shell.run(typed, &log)?;
        if given != expected {
            bail!("{typed:?} became {given:?} and not {expected:?}; it showed:\n{:?}", shell.text);
        }
    }
    Ok(LINES.len())
}

/// Makes the layouts and files to complete, the stand-in for the program, and the files that shells read
/// when they start.
fn set_up(ground: &Ground<'_>) -> Result<()> {
    ground.layout("site", &longshore_fixture::typed())?;
    let full = Content::tagged("r.example:5000/team/app:1", |content| artifacts::image(content, 1));
    ground.layout("my layouts/full", &full)?;
    ground.ours(&["copy", "-q", "oci:site:app", "oci-archive:app.tar"])?;
    for directory in ["bin", "home", "empty"] {
        fs::create_dir(ground.path(directory))?;
    }
    fs::write(ground.path("notes.txt"), "")?;
    for shell in ["bash", "zsh", "fish"] {
        fs::write(
            ground.path(&format!("completion.{shell}")),
            ground.ours(&["completions", shell])?,
        )?;
    }
    // The stand-in asks the real program for completions. It runs no other command, and logs its arguments.
    let program = ground.command(&[]).get_program().to_owned();
    let wrapper = format!(
        "#!/bin/sh\nif [ \"$1\" = complete ]; then exec {} \"$@\"; fi\nprintf '%s\\n' \"$@\" {} >given\n",
        Path::new(&program).display(),
        END.trim_end()
    );
    let file = ground.path("bin/longshore");
    fs::write(&file, wrapper)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    fs::write(
        ground.path("bashrc"),
        format!("PS1='{READY}'\nbind 'set bell-style none'\nsource completion.bash\n"),
    )?;
    fs::write(
        ground.path(".zshrc"),
        format!(
            "PS1='{READY}'\nautoload -U compinit\ncompinit -D -u\nsource ./completion.zsh\nunsetopt beep\n"
        ),
    )?;
    fs::write(
        ground.path("fishrc"),
        format!(
            "function fish_prompt\n    echo -n '{READY}'\nend\nset -g fish_greeting\nsource completion.fish\n"
        ),
    )?;
    Ok(())
}
