//! Writes a bundle of what a list or `bundle.yaml` names: `export LIST ARCHIVE`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::error::Error;

use longshore::{DockerList, ExportRequest, ExportTarget, Incomplete, Places, Selection, Silent};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (list, archive) = words.next().zip(words.next()).ok_or("write a list, and an archive")?;
    run(&std::fs::read_to_string(list)?, &archive)
}

/// Exports all that `list` names, whatever its form.
pub(crate) fn run(list: &str, archive: &str) -> Result<(), Box<dyn Error>> {
    let places = Places::new(&longshore::remote::Config::default())?;
    let selection = Selection::parse("the list", list)?.selection;
    let layouts = places.layouts(&selection)?;
    let target = places.target(&format!("oci-archive:{archive}"))?;
    let whole = target.whole();
    let request = ExportRequest {
        places: &layouts.select(&selection)?,
        locked: None,
        target: Some(ExportTarget { place: target.place(), whole: &*whole }),
        base: None,
        docker: DockerList::None,
        incomplete: Incomplete::Refused,
        allow_unverified: false,
        jobs: 8,
    };
    let mut bundle = request.prepare(&Silent)?;
    if let Some(failure) = bundle.failures.first() {
        return Err(failure.to_string().into());
    }
    let report = bundle.write(&Silent)?;
    println!("{}: {} blobs", bundle.record().id(), bundle.record().blobs.len());
    if report.is_complete() { Ok(()) } else { Err("not complete".into()) }
}
