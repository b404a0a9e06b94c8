//! Takes a bundle to a registry: `import ARCHIVE HOST/PREFIX`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::error::Error;

use longshore::{
    ImportRequest, ImportTarget, Mapping, OpenBundle, Places, Routes, Silent, SparseIndex,
    TargetKind,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (archive, to) = words.next().zip(words.next()).ok_or("write an archive, and where to")?;
    run(&archive, &to)
}

/// Imports a bundle: what it has of `HOST/PATH` goes to `PREFIX/PATH`.
pub(crate) fn run(archive: &str, prefix: &str) -> Result<(), Box<dyn Error>> {
    let places = Places::new(&longshore::remote::Config::default())?;
    let source = places.source(&format!("oci-archive:{archive}"))?;
    let bundle = OpenBundle::read(source.layout().ok_or("no layout")?)?;
    let moves =
        bundle.moves(&Mapping::new(Vec::new(), Some(prefix.to_owned())), TargetKind::Registry)?;
    let host = prefix.split('/').next().unwrap_or_default();
    let registry = places.registry(host)?;
    let target = ImportTarget::Registry { place: &registry, content: &registry, host };
    let routes = Routes::open(&bundle, &moves, target, None)?;
    let request = ImportRequest {
        bundle: &bundle,
        routes: &routes,
        sparse_index: SparseIndex::Keep,
        allow_unverified: false,
        jobs: 8,
    };
    let import =
        request.prepare(&Silent).check(&Silent).map_err(|refusal| format!("{refusal:?}"))?;
    let report = import.run(&Silent)?;
    println!("{} blobs written, {} there before", report.moved, report.existed);
    if report.is_complete() { Ok(()) } else { Err("not complete".into()) }
}
