//! Copies one artifact, tells how much has come, and ends after so many bytes: `progress FROM TO BYTES`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::sync::atomic::{AtomicU64, Ordering};

use longshore::{CopyOptions, Observer, PlaceError, Places, copy};

/// Counts what comes.
struct Counter {
    came: AtomicU64,
    most: u64,
}

impl Observer for Counter {
    fn advanced(&self, bytes: u64) {
        let came = self.came.fetch_add(bytes, Ordering::Relaxed) + bytes;
        println!("{came} bytes");
    }

    fn is_cancelled(&self) -> bool {
        self.came.load(Ordering::Relaxed) >= self.most
    }
}

fn main() -> Result<(), PlaceError> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, most] = &words[..] else {
        return Err(PlaceError::Text("write where from, where to, and a number".to_owned()));
    };
    run(from, to, most.parse().unwrap_or(u64::MAX)).map(drop)
}

/// Copies an artifact until `most` bytes have come; tells whether all of it is there.
pub(crate) fn run(from: &str, to: &str, most: u64) -> Result<bool, PlaceError> {
    let places = Places::new(&longshore::remote::Config::default())?;
    let counter = Counter { came: AtomicU64::new(0), most };
    let (from, to) = (places.source(from)?, places.target(to)?);
    Ok(copy(&from, &to, &CopyOptions::default(), &counter)?.is_complete())
}
