//! A mirror that stays, and makes its passes by the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use jiff::{Unit, Zoned};
use longshore_bundle::MirrorFile;
use longshore_registry::front::{self, MoreMetrics, Server};
use longshore_registry::{Access, Handler, RegistryOptions};
use longshore_store::{Error, Memory};

use super::pass::{self, Made};
use super::status::Status;
use super::{NamedTarget, read};
use crate::args::{Global, Listen, Mirror};
use crate::commands::serve::listen;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::signals::{self, Event};

/// How often it is looked at the clock, which may be set meanwhile.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(30);

/// How often it is looked whether a pass has ended.
const LOOK_AT_PASS: Duration = Duration::from_millis(100);

/// How long whoever asks for metrics may take when the service ends.
const GRACE: Duration = Duration::from_secs(2);

/// A mirror that stays.
struct Service<'a> {
    args: &'a Mirror,
    global: &'a Global,
    output: &'a Output,
    status: Arc<Status>,
    events: Receiver<Event>,
    /// How many passes have begun.
    passes: u64,
}

/// Makes passes until somebody ends it. Two are never under way at once.
pub(super) fn run(
    mut file: MirrorFile<NamedTarget>,
    args: &Mirror,
    global: &Global,
    output: &Output,
) -> Result<Exit, Problem> {
    // First of all, so that whoever ends it early ends it as asked.
    let events = signals::events().map_err(Problem::of)?;
    let status = Arc::new(Status::default());
    let server = answer(&args.listen, Arc::clone(&status), output)?;
    let mut service = Service { args, global, output, status, events, passes: 0 };
    let mut due = file.schedule.as_ref().and_then(|schedule| schedule.first(&Zoned::now()));
    loop {
        service.tell_next(due.as_ref());
        match service.wait(due.as_ref()) {
            Wake::Stop => break,
            Wake::Reload => {
                if service.reload(&mut file) {
                    due = file.schedule.as_ref().and_then(|schedule| schedule.first(&Zoned::now()));
                }
            }
            Wake::Due => {
                let began = Zoned::now();
                let (stopped, reload) = service.pass(&file, &began);
                if stopped {
                    break;
                }
                if reload {
                    service.reload(&mut file);
                }
                let next =
                    |schedule: &longshore_bundle::Schedule| schedule.next(&began, &Zoned::now());
                due = file.schedule.as_ref().and_then(next);
            }
        }
    }
    if let Some(server) = server {
        server.stop(GRACE);
    }
    output.note(&format!("{} ended as asked", stamp(&Zoned::now())));
    Ok(Exit::Done)
}

/// Answers `/metrics` and `/healthz`, if that is wanted.
fn answer(
    listen: &[Listen],
    status: Arc<Status>,
    output: &Output,
) -> Result<Option<Server>, Problem> {
    if listen.is_empty() {
        return Ok(None);
    }
    let listeners = listen::bind_all(listen)?;
    let options = front::ServerOptions {
        more_metrics: Some(MoreMetrics(Arc::new(move || status.render()))),
        ..front::ServerOptions::default()
    };
    let nothing = RegistryOptions { access: Access::ReadOnly, ..RegistryOptions::default() };
    let handler = Arc::new(Handler::new(Arc::new(Memory::default()), nothing));
    let server = front::serve(listeners, handler, options)
        .map_err(|error| Problem::of(Error::io("serve", "metrics")(error)))?;
    for address in server.addresses() {
        output.note(&format!("{} http://{address}/metrics answers", stamp(&Zoned::now())));
    }
    Ok(Some(server))
}

/// Why a service that waits goes on.
enum Wake {
    Due,
    Reload,
    Stop,
}

impl Service<'_> {
    /// Says when the next pass is due.
    fn tell_next(&self, due: Option<&Zoned>) {
        self.status.due(due);
        let now = Zoned::now();
        match due {
            Some(due) if *due > now => {
                self.output.note(&format!("{} the next pass is due {}", stamp(&now), stamp(due)));
            }
            Some(_) => {}
            None => self.output.warning("no pass is ever due by the schedule"),
        }
    }

    fn wait(&self, due: Option<&Zoned>) -> Wake {
        loop {
            let now = Zoned::now();
            let left = due.map_or(LOOK_AT_CLOCK, |due| {
                Duration::try_from(due.timestamp().duration_since(now.timestamp()))
                    .unwrap_or_default()
            });
            if left.is_zero() {
                return Wake::Due;
            }
            match self.events.recv_timeout(left.min(LOOK_AT_CLOCK)) {
                Ok(Event::Stop) => return Wake::Stop,
                Ok(Event::Reload) => return Wake::Reload,
                Err(RecvTimeoutError::Timeout) => {}
                // Nobody can ask for anything.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(left.min(LOOK_AT_CLOCK)),
            }
        }
    }

    /// Reads the file again; what is there stays if it cannot be read.
    fn reload(&self, file: &mut MirrorFile<NamedTarget>) -> bool {
        let now = stamp(&Zoned::now());
        let name = self.args.file.display();
        match read(&self.args.file) {
            Ok(new) if new.schedule.is_none() => {
                self.output.warning(&format!(
                    "{now} {name} has no `schedule` any more; it goes on by what it said before"
                ));
                false
            }
            Ok(new) => {
                self.output.note(&format!("{now} {name} was read again"));
                *file = new;
                true
            }
            Err(problem) => {
                Output::problem(&problem);
                self.output.warning(&format!("{now} it goes on by what {name} said before"));
                false
            }
        }
    }

    /// Makes a pass; returns whether somebody asked for the end meanwhile, and whether for the file to be read
    /// again.
    fn pass(&mut self, file: &MirrorFile<NamedTarget>, began: &Zoned) -> (bool, bool) {
        self.passes += 1;
        let (number, begun) = (self.passes, Instant::now());
        self.output.note(&format!("{} pass {number} begins", stamp(began)));
        self.status.begins();
        let stop = AtomicBool::new(false);
        let mut reload = false;
        let Self { args, global, output, .. } = *self;
        let made = std::thread::scope(|scope| {
            let pass = scope.spawn(|| pass::run(file, args, global, output, &stop));
            while !pass.is_finished() {
                match self.events.recv_timeout(LOOK_AT_PASS) {
                    Ok(Event::Stop) => stop.store(true, Ordering::Relaxed),
                    Ok(Event::Reload) => reload = true,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK_AT_PASS),
                }
            }
            pass.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        let stopped = stop.load(Ordering::Relaxed);
        let now = stamp(&Zoned::now());
        match &made {
            Ok(made) => self.tell(made, number, &now, stopped),
            Err(problem) => {
                Output::problem(problem);
                output.warning(&format!("{now} pass {number} could not be made"));
            }
        }
        self.status.ended(made.as_ref().ok(), began, begun.elapsed());
        (stopped, reload)
    }

    /// Says what came of a pass.
    fn tell(&self, made: &Made, number: u64, now: &str, stopped: bool) {
        self.output.lines(&made.document, &made.text);
        let how = match (stopped, made.exit) {
            (true, _) => "was stopped; the next goes on where it stopped",
            (false, Exit::Done) => "is done",
            (false, _) => "is over; not all that is wanted is at the target",
        };
        self.output.note(&format!("{now} pass {number} {how}"));
    }
}

/// Returns a time as logs have it.
fn stamp(time: &Zoned) -> String {
    let time = time.round(Unit::Second).unwrap_or_else(|_| time.clone());
    time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
