//! Ctrl-C while content moves: what has come is kept, and that is said.

use crate::output::Output;

/// From now on Ctrl-C says, before the process ends as it would have without this, that the same command
/// goes on where it stopped. Where the system cannot tell of signals, nothing is said.
#[cfg(unix)]
pub(crate) fn promise_to_go_on(output: &Output) {
    use signal_hook::consts::SIGINT;
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    // What runs behind a script may be told to live through Ctrl-C, and is to.
    if output.is_quiet() || is_ignored() {
        return;
    }
    let Ok(mut signals) = Signals::new([SIGINT]) else { return };
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            Output::parting("interrupted; the same command goes on where it stopped");
            // It ends the process by the signal, so that whoever started it sees that.
            let _ = emulate_default_handler(SIGINT);
        }
    });
}

#[cfg(not(unix))]
pub(crate) fn promise_to_go_on(_: &Output) {}

/// Tells whether the process was started with SIGINT ignored, where the system says so.
#[cfg(unix)]
fn is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal_hook::consts::SIGINT - 1)) != 0
}
