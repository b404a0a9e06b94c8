//! What the operating system asks of a command that stays.

use std::sync::mpsc::Receiver;

use longshore_store::Result;

/// What a command that stays is asked for by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Files that may have changed are to be read again.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there is no such signal"))]
    Reload,
    /// It is to end, politely.
    #[cfg_attr(not(unix), expect(dead_code, reason = "the system ends it at once"))]
    Stop,
}

/// Returns what is asked for. SIGTERM and SIGINT ask to stop; if they come again, the process ends
/// at once with 128 and their number, as programs do that know no signals. SIGHUP asks to reload.
#[cfg(unix)]
pub(crate) fn events() -> Result<Receiver<Event>> {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use longshore_store::Error;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::{flag, iterator::Signals};

    let heard = Arc::new(AtomicBool::new(false));
    let register = || {
        for signal in [SIGTERM, SIGINT] {
            // In this order: what ends the process looks at what the time before has set.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&heard))?;
            flag::register(signal, Arc::clone(&heard))?;
        }
        Signals::new([SIGHUP, SIGINT, SIGTERM])
    };
    let mut signals = register().map_err(Error::io("listen to", "signals"))?;
    let (sender, events) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let event = if signal == SIGHUP { Event::Reload } else { Event::Stop };
            if sender.send(event).is_err() {
                return;
            }
        }
    });
    Ok(events)
}

#[cfg(not(unix))]
pub(crate) fn events() -> Result<Receiver<Event>> {
    Ok(std::sync::mpsc::channel().1)
}
