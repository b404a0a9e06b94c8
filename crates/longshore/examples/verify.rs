//! Proves that all of a bundle is there, and as its record says: `verify ARCHIVE`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::error::Error;

use longshore::{Places, Record, Silent, VerifyRequest};

fn main() -> Result<(), Box<dyn Error>> {
    run(&std::env::args().nth(1).ok_or("write an archive")?)
}

/// Verifies a bundle, and names all that is wrong with it.
pub(crate) fn run(archive: &str) -> Result<(), Box<dyn Error>> {
    let places = Places::new(&longshore::remote::Config::default())?;
    let source = places.source(&format!("oci-archive:{archive}"))?;
    let layout = source.layout().ok_or("no layout")?;
    let record = Record::read(layout)?;
    let view = source.whole();
    let request = VerifyRequest {
        view: &*view,
        layout: Some(layout),
        record: record.as_ref(),
        allow_unverified: false,
        jobs: 8,
    };
    let verified = request.prepare(view.known_roots()?, &Silent).run(2, &Silent);
    let orphans = verified.orphans()?;
    let differences = verified.differences(&orphans)?;
    let mut wrong: Vec<_> = differences.iter().map(ToString::to_string).collect();
    wrong.extend(verified.into_failures().map(|failure| failure.to_string()));
    for wrong in &wrong {
        eprintln!("{wrong}");
    }
    if wrong.is_empty() { Ok(()) } else { Err("not whole".into()) }
}
