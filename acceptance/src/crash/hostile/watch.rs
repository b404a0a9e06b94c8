//! Processes that are ended when they do not end.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::scene::{MARK, Scene, holds_mark};

/// How long a command may take that has next to nothing to do, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much a command may print.
const PRINTED: u64 = 1 << 20;

/// How the program is started.
pub(super) struct Launch<'a> {
    program: &'a Path,
    /// By whom its calls are written down.
    strace: Option<PathBuf>,
}

impl<'a> Launch<'a> {
    pub(super) fn new(program: &'a Path) -> Self {
        Self { program, strace: None }
    }

    /// Returns one that writes down what is opened.
    pub(super) fn traced(&self, strace: PathBuf) -> Self {
        Self { program: self.program, strace: Some(strace) }
    }

    /// Returns where that is written down.
    pub(super) fn trace(scene: &Scene) -> PathBuf {
        scene.root.join("trace")
    }

    /// Returns a command of the program that knows nothing beyond the scene.
    pub(super) fn command(&self, scene: &Scene) -> Command {
        let mut command = match &self.strace {
            None => Command::new(self.program),
            Some(strace) => {
                let mut command = Command::new(strace);
                command.args(["-f", "-y", "-qq", "-e", "trace=%file", "-o"]);
                command.arg(Self::trace(scene)).arg(self.program);
                command
            }
        };
        command
            .current_dir(&scene.root)
            .env_clear()
            .env("HOME", scene.home())
            .env("TMPDIR", scene.temporary())
            .env("UNASKED", String::from_utf8_lossy(MARK).as_ref());
        command
    }
}

/// A process that runs.
pub(super) struct Watched {
    pub(super) child: Child,
    /// What it printed that was read already.
    pub(super) printed: Vec<u8>,
    stderr: Option<JoinHandle<io::Result<Vec<u8>>>>,
    deadline: Deadline,
}

impl Watched {
    /// Starts a command that is ended when it takes too long.
    pub(super) fn start(mut command: Command, stdin: Option<&Path>) -> Result<Self> {
        let stdin = stdin.map_or(Ok(Stdio::null()), |path| File::open(path).map(Stdio::from))?;
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let stderr = child.stderr.take().map(collect);
        let deadline = Deadline::begin(group(&child)?);
        Ok(Self { child, printed: Vec::new(), stderr, deadline })
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) -> Result<()> {
        // It may have ended.
        _ = killpg(group(&self.child)?, Signal::SIGTERM);
        Ok(())
    }

    /// Waits until it has ended.
    pub(super) fn wait(mut self) -> Result<Ended> {
        let stdout = self.child.stdout.take().map(collect);
        let mut printed = self.printed;
        for stream in [stdout, self.stderr].into_iter().flatten() {
            let bytes = stream.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            printed.extend(bytes?);
        }
        let code = self.child.wait()?.code();
        Ok(Ended { code, hung: self.deadline.was_missed(), printed })
    }
}

/// What came of a process.
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    hung: bool,
    printed: Vec<u8>,
}

impl Ended {
    /// Runs a command to its end.
    pub(super) fn of(command: Command, stdin: Option<&Path>) -> Result<Self> {
        Watched::start(command, stdin)?.wait()
    }

    /// Returns what it printed, to both streams.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.printed).into_owned()
    }

    /// Returns what is wrong with that.
    pub(super) fn findings(&self) -> Vec<String> {
        /// What a Rust program ends with that panicked.
        const PANICKED: i32 = 101;
        let mut found = Vec::new();
        if self.hung {
            found.push("does not end".to_owned());
        } else if self.code.is_none() {
            found.push("is ended by a signal".to_owned());
        }
        if self.code == Some(PANICKED) || self.text().contains("panicked") {
            found.push("panics".to_owned());
        }
        if holds_mark(&self.printed) {
            found.push("shows what lies outside".to_owned());
        }
        if self.printed.len() as u64 >= PRINTED {
            found.push("prints without end".to_owned());
        }
        found
    }
}

/// Ends a group of processes when it takes too long.
struct Deadline {
    done: mpsc::Sender<()>,
    thread: JoinHandle<bool>,
}

impl Deadline {
    fn begin(group: Pid) -> Self {
        let (done, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            let missed = ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout);
            if missed {
                _ = killpg(group, Signal::SIGKILL);
            }
            missed
        });
        Self { done, thread }
    }

    fn was_missed(self) -> bool {
        drop(self.done);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Reads all that comes, so far as it is believed.
fn collect(stream: impl Read + Send + 'static) -> JoinHandle<io::Result<Vec<u8>>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.take(PRINTED).read_to_end(&mut bytes)?;
        Ok(bytes)
    })
}

fn group(child: &Child) -> Result<Pid> {
    Ok(Pid::from_raw(i32::try_from(child.id())?))
}
