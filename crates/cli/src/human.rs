//! Figures as people read and write them.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::problem::Mistake;

/// Returns a number with its noun, which takes an `s` unless there is one.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Returns a number of entries.
pub(crate) fn entries(number: usize) -> String {
    format!("{number} {}", if number == 1 { "entry" } else { "entries" })
}

/// Reads an age: a number with `s`, `m`, `h` or `d`, or `0`.
pub(crate) fn age(text: &str) -> Result<Duration, Mistake> {
    time(text).ok_or_else(|| {
        Mistake::new(
            format!("`{text}` is not an age"),
            "write a number and s, m, h or d, such as `12h`",
        )
    })
}

/// Reads how long something may take, written like an age.
pub(crate) fn patience(text: &str) -> Result<Duration, Mistake> {
    time(text).ok_or_else(|| {
        Mistake::new(
            format!("`{text}` is not a length of time"),
            "write a number and s, m, h or d, such as `30s`",
        )
    })
}

fn time(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
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

/// Reads how many there may be of something.
pub(crate) fn bound(text: &str) -> Result<NonZeroUsize, Mistake> {
    text.parse()
        .map_err(|_| Mistake::new(format!("`{text}` is not a number from 1 up"), "write 1 or more"))
}

/// Reads how much is done at once.
pub(crate) fn jobs(text: &str) -> Result<NonZeroUsize, Mistake> {
    text.parse()
        .map_err(|_| Mistake::new(format!("`{text}` is not a number of jobs"), "write 1 or more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_a_unit() {
        assert_eq!(age("0"), Ok(Duration::ZERO));
        assert_eq!(age("2h"), Ok(Duration::from_hours(2)));
        for wrong in ["", "2", "h", "-1d", "1.5d", "99999999999999999999d", "1d1h", "5µ"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
