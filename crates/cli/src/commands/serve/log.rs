//! The log of requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, SystemTime};

use longshore_registry::front::{RequestObserver, RequestRecord};

use crate::documents::RequestLine;
use crate::output::Output;

/// So many lines wait for whoever reads the log; what comes then is counted and not shown.
const MAX_WAITING: usize = 1 << 13;

/// So long the last lines may take at the end.
const LAST: Duration = Duration::from_secs(1);

/// Writes a line for each request, on a thread of its own: whoever reads slowly holds up no request.
#[derive(Debug)]
pub(super) struct Log {
    lines: SyncSender<Message>,
    lost: Arc<AtomicU64>,
    is_json: bool,
}

#[derive(Debug)]
enum Message {
    Line(String),
    /// All that came before is to be out; then this is dropped.
    Flush(#[expect(dead_code, reason = "dropping it is the answer")] SyncSender<()>),
}

impl Log {
    pub(super) fn start(is_json: bool) -> Self {
        let (lines, waiting) = sync_channel(MAX_WAITING);
        let lost = Arc::<AtomicU64>::default();
        let seen = Arc::clone(&lost);
        std::thread::spawn(move || write(&waiting, &seen));
        Self { lines, lost, is_json }
    }

    /// Returns what is to be told of requests.
    pub(super) fn observer(&self) -> RequestObserver {
        let (lines, lost, is_json) = (self.lines.clone(), Arc::clone(&self.lost), self.is_json);
        RequestObserver(Arc::new(move |record| {
            let line = if is_json { as_json(record) } else { as_text(record) };
            if let Err(TrySendError::Full(_)) = lines.try_send(Message::Line(line)) {
                lost.fetch_add(1, Ordering::Relaxed);
            }
        }))
    }

    /// Waits until all lines are out, but not for long.
    pub(super) fn finish(self) {
        let (done, flushed) = sync_channel(0);
        if self.lines.try_send(Message::Flush(done)).is_ok() {
            // Ends with an error when the other end is dropped, which is what is waited for.
            let _ = flushed.recv_timeout(LAST);
        }
    }
}

fn write(waiting: &Receiver<Message>, lost: &AtomicU64) {
    while let Ok(message) = waiting.recv() {
        if let Message::Line(line) = message {
            Output::log(&line);
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            Output::log(&format!(
                "{lost} lines of this log were lost: they were read too slowly\n"
            ));
        }
    }
}

/// Time, client, user, method, target, status, bytes received and sent, milliseconds, client
/// program; `-` for what there is not. What clients say is escaped.
fn as_text(record: &RequestRecord) -> String {
    let RequestRecord { client, method, received, sent, .. } = record;
    let time = rfc3339(record.begun);
    let user = record.user.as_deref().map_or("-".to_owned(), quoted);
    let target = record.target.escape_debug();
    let status = record.status.map_or("-".to_owned(), |status| status.to_string());
    let millis = record.time.as_millis();
    let agent = record.user_agent.as_deref().map_or("-".to_owned(), quoted);
    let cut = if record.is_whole { "" } else { " cut" };
    format!(
        "{time} {client} {user} {method} {target} {status} {received} {sent} {millis} {agent}{cut}\n"
    )
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

fn as_json(record: &RequestRecord) -> String {
    let line = RequestLine {
        time: rfc3339(record.begun),
        client: record.client.to_string(),
        user: record.user.as_deref(),
        method: record.method.as_str(),
        target: &record.target,
        status: record.status,
        received: record.received,
        sent: record.sent,
        whole: record.is_whole,
        millis: u64::try_from(record.time.as_millis()).unwrap_or(u64::MAX),
        user_agent: record.user_agent.as_deref(),
    };
    // It holds nothing that JSON cannot say.
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}

/// Returns a time in UTC as RFC 3339 has it, to the millisecond.
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Returns year, month and day of a day counted from the first of 1970. Years begin in March here, so
/// that the day that some have more is their last.
fn date(day: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    // From the first of March of the year 0.
    let day = day + 719_468;
    let (cycle, day) = (day / DAYS_OF_400_YEARS, day % DAYS_OF_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + later, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        // As `date -u -d @SECONDS` says.
        for (seconds, shown) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_798_761_599, "2026-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn a_line_is_one_line_whatever_clients_say() {
        let record = RequestRecord {
            begun: SystemTime::UNIX_EPOCH,
            client: "[::1]:9".parse().unwrap(),
            user: Some("a\"b\n".into()),
            method: "GET".parse().unwrap(),
            target: "/v2/\u{1b}[31m".to_owned(),
            status: None,
            received: 1,
            sent: 2,
            is_whole: false,
            time: Duration::from_millis(3),
            user_agent: Some("x\r\ny".to_owned()),
        };
        assert_eq!(
            as_text(&record),
            "1970-01-01T00:00:00.000Z [::1]:9 \"a\\\"b\\n\" GET /v2/\\u{1b}[31m - 1 2 3 \"x\\r\\ny\" cut\n"
        );
        assert_eq!(as_json(&record).lines().count(), 1);
    }
}
