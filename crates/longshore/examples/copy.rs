//! Copies one artifact: `copy FROM TO`, each `oci:DIR:REF`, `oci-archive:FILE:REF` or `HOST/REPO:TAG`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use longshore::{CopyOptions, PlaceError, Places, Silent, copy};

fn main() -> Result<(), PlaceError> {
    let mut words = std::env::args().skip(1);
    let (Some(from), Some(to)) = (words.next(), words.next()) else {
        return Err(PlaceError::Text("write where from, and where to".to_owned()));
    };
    run(&from, &to)
}

/// Copies an artifact, and says what came of it.
pub(crate) fn run(from: &str, to: &str) -> Result<(), PlaceError> {
    let places = Places::new(&longshore::remote::Config::default())?;
    let (from, to) = (places.source(from)?, places.target(to)?);
    let report = copy(&from, &to, &CopyOptions::default(), &Silent)?;
    for failure in &report.failures {
        eprintln!("{failure}");
    }
    println!("{} blobs written, {} there before", report.moved, report.existed);
    if report.is_complete() { Ok(()) } else { Err(PlaceError::Text("not complete".to_owned())) }
}
