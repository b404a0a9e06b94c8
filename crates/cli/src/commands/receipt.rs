//! `receipt`: what a site holds, as a file.

mod listed;

use std::collections::BTreeSet;
use std::path::Path;

use longshore::OpenPlace;
use longshore::location::{Location, PlaceKind};
use longshore_bundle::{
    Holdings, MAX_RECEIPT, Receipt, ReceiptPlace, ReceiptRequest, SiteName, repositories_below,
};
use longshore_layout::{check_writable, write_file};
use longshore_remote::Registry;
use longshore_spec::{RepositoryName, Size};
use longshore_store::Error;
use longshore_sync::{Failure, Proof, Silent};

use crate::args::{self, Global, Reading, SitePlace};
use crate::documents::ReceiptDocument;
use crate::human;
use crate::input;
use crate::open;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::Registries;
use crate::store;

/// A place that is open.
enum Open {
    Layout(Box<OpenPlace>),
    Registry(Registry, Option<RepositoryName>),
}

pub(crate) fn run(args: &args::Receipt, global: &Global, output: &Output) -> Result<Exit, Problem> {
    if output.is_json() && args.output.is_none() {
        let text = "--json describes a receipt that is written to a file";
        return Err(Problem::new(Exit::Usage, text).hint("write it to one with -o FILE"));
    }
    let next = NextReceipt::of(args.output.as_deref(), args.site.as_ref())?;
    let proof = if args.verify { Proof::Content } else { Proof::FirstByte };
    let found = match (&args.file, args.places.as_slice()) {
        (Some(file), _) => listed::holdings(args, file, proof, global, output)?,
        (None, []) => holdings(&[the_store()?], proof, &args.reading, global, output)?,
        (None, places) => holdings(places, proof, &args.reading, global, output)?,
    };
    let names = if args.digests_only { Names::LeftOut } else { Names::Said };
    if let Some((document, text)) = next.write(found, names, output)? {
        output.summary(&document, || text)?;
    }
    Ok(Exit::Done)
}

/// Whether a receipt says the names of repositories and tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Said,
    LeftOut,
}

/// The receipt of a site that is to be written.
pub(super) struct NextReceipt<'a> {
    /// Where it goes; stdout without one.
    path: Option<&'a Path>,
    site: SiteName,
    number: u64,
    /// The one that it replaces.
    pub(super) before: Option<Receipt>,
}

impl<'a> NextReceipt<'a> {
    /// Finds out which receipt of which site comes next, and that it can be written.
    pub(super) fn of(path: Option<&'a Path>, site: Option<&SiteName>) -> Result<Self, Problem> {
        let before = match path {
            Some(path) if path.exists() => Some(read(path)?),
            _ => None,
        };
        let site = match (site, &before, path) {
            (Some(site), ..) => site.clone(),
            (None, Some(before), _) => before.site.clone(),
            (None, None, Some(path)) => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                stem.parse().map_err(|_| nameless())?
            }
            (None, None, None) => return Err(nameless()),
        };
        let number = match &before {
            Some(before) if before.site != site => {
                let path = path.unwrap_or(Path::new("-")).display();
                let text = format!("{path} is a receipt of {}, not of {site}", before.site);
                return Err(Problem::new(Exit::Usage, text)
                    .hint("write another file with -o, or leave out --site"));
            }
            Some(before) => before.number.saturating_add(1),
            None => 1,
        };
        if let Some(path) = path {
            check_writable(path).map_err(Problem::of)?;
        }
        Ok(Self { path, site, number, before })
    }

    /// Writes it; returns what there is to say of a file.
    pub(super) fn write(
        self,
        mut found: Holdings,
        names: Names,
        output: &Output,
    ) -> Result<Option<(ReceiptDocument, String)>, Problem> {
        let absent = std::mem::take(&mut found.absent);
        for failure in &absent {
            output.warning(&format!("not in the receipt: {failure}"));
        }
        let receipt = found.into_receipt(self.site, self.number);
        let receipt = if names == Names::LeftOut { receipt.digests_only() } else { receipt };
        let mut text = Vec::new();
        let written = receipt.write(&mut text);
        written.map_err(|error| Problem::of(Error::io("write", "the receipt")(error)))?;
        if text.len() as u64 > MAX_RECEIPT {
            let [length, limit] = [text.len() as u64, MAX_RECEIPT].map(Size);
            let text = format!("the receipt would have {length}, and readers take {limit}");
            return Err(Problem::new(Exit::Usage, text).hint("write one for each part of the site"));
        }
        let Some(path) = self.path else {
            Output::bytes(&text)?;
            return Ok(None);
        };
        write_file(path, &text).map_err(|error| Problem::of(error).because(Exit::Failed))?;
        let document = document(&receipt, &absent);
        let text = format!(
            "wrote {}: receipt {} of {}, {} in {}, {}\n",
            path.display(),
            receipt.number,
            receipt.site,
            human::count(document.blobs, "blob"),
            match document.repositories {
                1 => "1 repository".to_owned(),
                many => format!("{many} repositories"),
            },
            Size(document.bytes),
        );
        Ok(Some((document, text)))
    }
}

/// Returns what places hold. If one does not answer, nobody knows, and that is the end.
pub(super) fn holdings(
    places: &[SitePlace],
    proof: Proof,
    reading: &Reading,
    global: &Global,
    output: &Output,
) -> Result<Holdings, Problem> {
    let registries = Registries::reading(reading);
    let opened: Vec<Open> =
        places.iter().map(|place| open(place, reading, &registries)).collect::<Result<_, _>>()?;
    let parts: Vec<ReceiptPlace<'_>> =
        opened.iter().map(|open| part(open, output)).collect::<Result<_, _>>()?;
    holdings_of(&parts, proof, global)
}

/// The same of places that are open.
pub(super) fn holdings_of(
    parts: &[ReceiptPlace<'_>],
    proof: Proof,
    global: &Global,
) -> Result<Holdings, Problem> {
    let request = ReceiptRequest { places: parts, proof, jobs: global.jobs() };
    let found = request.run(&Silent).map_err(Problem::of)?;
    if !found.failures.is_empty() {
        let first = &found.failures[0];
        let more = match found.failures.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let text = format!("nobody knows what the site holds: {first}{more}");
        return Err(Problem::new(Exit::Failed, text).hint("try again when the site answers"));
    }
    Ok(found)
}

fn nameless() -> Problem {
    Problem::new(Exit::Usage, "the site has no name yet")
        .hint("say what it is called with --site NAME")
}

/// Reads a receipt that is there.
fn read(path: &Path) -> Result<Receipt, Problem> {
    let bytes = input::bytes(path, MAX_RECEIPT).map_err(Problem::of)?;
    Receipt::read(&bytes[..]).map_err(|error| {
        let text = format!("{} is no receipt that can be replaced: {error}", path.display());
        Problem::new(Exit::Usage, text).hint("write another file with -o, or remove this one")
    })
}

fn the_store() -> Result<SitePlace, Problem> {
    let path = store::path().ok_or_else(|| {
        let text = "no place was named, and there is no home directory to keep a store in";
        Problem::new(Exit::Usage, text)
            .hint(format!("write HOST[/PREFIX] or `oci:DIR`, or set {}", store::VARIABLE))
    })?;
    Ok(SitePlace::Layout(Location::at(PlaceKind::Directory(path))))
}

fn open(
    place: &SitePlace,
    reading: &Reading,
    registries: &Registries<'_>,
) -> Result<Open, Problem> {
    match place {
        SitePlace::Layout(location) => open::place_unbelieving(location, reading, registries)
            .map(|opened| Open::Layout(Box::new(opened))),
        SitePlace::Registry { host, repository } => {
            let registry = registries.registry(host)?;
            registry.ping().map_err(Problem::of)?;
            Ok(Open::Registry(registry, repository.clone()))
        }
    }
}

/// Returns a place with what is meant of it.
fn part<'a>(open: &'a Open, output: &Output) -> Result<ReceiptPlace<'a>, Problem> {
    match open {
        Open::Layout(layout) => Ok(ReceiptPlace::Layout(layout.layout().ok_or_else(|| {
            let text = "a receipt says what a layout or the repositories of a registry hold";
            Problem::new(Exit::Usage, text)
        })?)),
        Open::Registry(registry, prefix) => {
            let (names, unlisted) =
                repositories_below(registry, prefix.as_ref()).map_err(|error| {
                    Problem::of(error).hint(
                        "where a registry does not list its repositories, name each: HOST/REPOSITORY, or what was imported: -f FILE",
                    )
                })?;
            if let (Some(error), Some(name)) = (unlisted, names.first()) {
                output.warning(&format!("only {name} is looked into: {error}"));
            }
            Ok(ReceiptPlace::Repositories(registry, names))
        }
    }
}

fn document(receipt: &Receipt, absent: &[Failure]) -> ReceiptDocument {
    let contents = receipt.contents();
    let subjects = |is_missing: bool| {
        let those = absent.iter().filter(|failure| failure.error.is_not_found() == is_missing);
        let subjects: BTreeSet<_> = those.map(|failure| failure.subject.clone()).collect();
        subjects.into_iter().collect()
    };
    ReceiptDocument {
        site: receipt.site.to_string(),
        number: receipt.number,
        repositories: receipt.repositories.len() as u64,
        blobs: contents.len() as u64,
        bytes: contents.values().fold(0, |sum, size| sum.saturating_add(*size)),
        missing: subjects(true),
        damaged: subjects(false),
    }
}
