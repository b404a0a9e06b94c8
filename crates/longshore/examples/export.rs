//! Writes a bundle of what a list or `bundle.yaml` names: `export LIST ARCHIVE`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::error::Error;

use longshore::{ExportOptions, Places, Selection, Silent, export};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (list, archive) = words.next().zip(words.next()).ok_or("write a list, and an archive")?;
    run(&std::fs::read_to_string(list)?, &archive)
}

/// Exports all that `list` names, whatever its form.
pub(crate) fn run(list: &str, archive: &str) -> Result<(), Box<dyn Error>> {
    let places = Places::new(&longshore::remote::Config::default())?;
    let selection = Selection::parse("the list", list)?.selection;
    let target = places.target(&format!("oci-archive:{archive}"))?;
    let exported = export(&places, &selection, &target, &ExportOptions::default(), &Silent)?;
    println!("{}: {} blobs", exported.record.id(), exported.record.blobs.len());
    if exported.report.is_complete() { Ok(()) } else { Err("not complete".into()) }
}
