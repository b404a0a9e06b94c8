//! Running a command until its moment has come.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use longshore_fixture::Random;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often it is looked whether the moment has come.
const STEP: Duration = Duration::from_micros(500);
/// How long a run may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long after a run has begun, or all has passed, is still of interest: in milliseconds.
const SHORT: usize = 60;

/// When a command is killed.
pub(super) enum Moment {
    /// So long after it has begun.
    Early(Duration),
    /// When so many bytes have passed.
    Passed(u64),
    /// So long after so many bytes have passed, which are all.
    Late(u64, Duration),
}

impl Moment {
    /// Returns one in ten of each end, and otherwise one inside the transfer of `left` bytes, in which
    /// it will be killed so many `times`.
    pub(super) fn random(random: &mut Random, left: u64, times: usize) -> Self {
        let place = random.below(10);
        let short = Duration::from_millis(random.below(SHORT) as u64);
        let share = random.below(1000) as u64;
        match place {
            0 => Self::Early(short),
            1 => Self::Late(left, short),
            _ => Self::Passed(left * share / 1000 / times as u64),
        }
    }
}

/// Runs a command and kills it when its moment has come; what has `passed` by then is returned.
/// `None` if it was done before, as it must be. Once it is stopped, and before it is dead,
/// `stopped` is told.
pub(super) fn run_until(
    mut command: Command,
    moment: Moment,
    passed: impl Fn() -> u64,
    stopped: impl FnOnce(),
) -> Result<Option<u64>> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let begun = Instant::now();
    let mut all_since = None;
    loop {
        if is_over(&mut child)? {
            return Ok(None);
        }
        let is_due = match &moment {
            Moment::Early(after) => begun.elapsed() >= *after,
            Moment::Passed(bytes) => passed() >= *bytes,
            Moment::Late(bytes, after) => {
                let since = *all_since.get_or_insert_with(Instant::now);
                if passed() < *bytes {
                    all_since = None;
                }
                all_since.is_some() && since.elapsed() >= *after
            }
        };
        if is_due {
            break;
        }
        ensure!(begun.elapsed() < PATIENCE, "it does not come to its end");
        sleep(STEP);
    }
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    // Stopped first, so that what is said of it is still so when it dies.
    kill(pid, Signal::SIGSTOP)?;
    let bytes = passed();
    stopped();
    kill(pid, Signal::SIGKILL)?;
    // It may have come to its end just before.
    Ok((!child.wait()?.success()).then_some(bytes))
}

/// Tells whether a process is over; it must have succeeded.
fn is_over(child: &mut Child) -> Result<bool> {
    let Some(status) = child.try_wait()? else { return Ok(false) };
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut said)?;
    }
    ensure!(status.success(), "it ended with {status}: {said}");
    Ok(true)
}
