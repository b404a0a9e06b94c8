//! When a mirror makes its passes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;

/// When a mirror makes its passes: at times of the clock, or at an interval.
#[derive(Debug, Clone)]
pub struct Schedule(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// At an interval between the beginnings of passes.
    Every(Duration),
    /// At the times that a cron expression of five fields says.
    Cron(Box<Cron>),
}

/// No interval is shorter: what is not mirrored within it never would be.
const LEAST: Duration = Duration::from_secs(1);

impl Schedule {
    /// Returns when the first pass of a service is due that begins `now`: at an interval, at once. `None` if
    /// that is never.
    pub fn first(&self, now: &Zoned) -> Option<Zoned> {
        match &self.0 {
            Kind::Every(_) => Some(now.clone()),
            Kind::Cron(cron) => cron.find_next_occurrence(now, false).ok(),
        }
    }

    /// Returns when the next pass is due, if the last one began at `began` and it is `now`: what was missed
    /// meanwhile is not made up for. `None` if that is never.
    pub fn next(&self, began: &Zoned, now: &Zoned) -> Option<Zoned> {
        match &self.0 {
            Kind::Every(interval) => {
                let due = began.checked_add(*interval).ok()?;
                Some(due.max(now.clone()))
            }
            Kind::Cron(cron) => cron.find_next_occurrence(now, false).ok(),
        }
    }
}

impl FromStr for Schedule {
    type Err = String;

    /// Reads `15m`, an interval in s, m, h or d, or a cron expression of five fields, in the time of the
    /// machine.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(interval) = interval(text) {
            if interval < LEAST {
                return Err(format!("`{text}` is no interval: write at least `1s`"));
            }
            return Ok(Self(Kind::Every(interval)));
        }
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|_| {
            format!(
                "`{text}` is neither an interval, such as `15m`, nor a cron expression, such as `0 3 * * *`"
            )
        })?;
        Ok(Self(Kind::Cron(Box::new(cron))))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Every(interval) => write!(f, "every {} s", interval.as_secs()),
            Kind::Cron(cron) => f.write_str(cron.as_str()),
        }
    }
}

/// Reads a number with `s`, `m`, `h` or `d`.
fn interval(text: &str) -> Option<Duration> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    let number: u64 = text[..text.len() - 1].parse().ok()?;
    number.checked_mul(unit).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    #[test]
    fn an_interval_begins_at_once_and_counts_from_beginnings() {
        let schedule: Schedule = "15m".parse().unwrap();
        let now = time("2026-03-01T10:00:00[UTC]");
        assert_eq!(schedule.first(&now), Some(now.clone()));
        let soon = time("2026-03-01T10:02:00[UTC]");
        assert_eq!(schedule.next(&now, &soon), Some(time("2026-03-01T10:15:00[UTC]")));
        // One pass took longer than that.
        let late = time("2026-03-01T11:07:00[UTC]");
        assert_eq!(schedule.next(&now, &late), Some(late.clone()));
    }

    #[test]
    fn a_cron_expression_is_in_the_time_of_the_machine() {
        let schedule: Schedule = "0 3 * * *".parse().unwrap();
        let now = time("2026-03-01T10:00:00[Europe/Berlin]");
        assert_eq!(schedule.first(&now), Some(time("2026-03-02T03:00:00[Europe/Berlin]")));
        // What was missed is not made up for.
        let late = time("2026-03-05T12:00:00[Europe/Berlin]");
        assert_eq!(schedule.next(&now, &late), Some(time("2026-03-06T03:00:00[Europe/Berlin]")));
        // An hour that there is not on this day: at 3 it has just become so.
        let spring: Schedule = "30 2 * * *".parse().unwrap();
        let before = time("2026-03-28T23:00:00[Europe/Berlin]");
        let next = spring.first(&before).unwrap();
        assert!(next <= time("2026-03-29T04:00:00[Europe/Berlin]"), "{next}");
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in ["", "daily", "0s", "m", "-1m", "1.5h", "60 * * * *", "* * * *", "0 0 3 * * *"]
        {
            let error = text.parse::<Schedule>().unwrap_err();
            assert!(error.contains(text), "{error}");
        }
        for text in ["1s", "7d", "*/5 * * * *", "0 3 * * MON-FRI", "0 0 1 1 *"] {
            text.parse::<Schedule>().unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }
}
