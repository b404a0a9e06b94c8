//! What a site is known to hold: receipts, and bundles that were sent to it.

use std::path::Path;

use longshore_bundle::{Base, MAX_RECEIPT, MAX_RECORD, Receipt, Record};
use longshore_sync::Proof;

use super::{bundle, receipt};
use crate::args::{BaseInput, DiffInput, Global, Reading, SitePlace};
use crate::input;
use crate::open;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::Registries;

/// Returns what all of these hold; `None` if there are none.
pub(crate) fn common(
    inputs: &[BaseInput],
    reading: &Reading,
    output: &Output,
) -> Result<Option<Base>, Problem> {
    let mut bases = Vec::new();
    for input in inputs {
        match input {
            BaseInput::Folder(path) => bases.extend(newest(path, output)?),
            BaseInput::File(input) => bases.push(one(input, reading)?),
        }
    }
    Ok(Base::common(bases))
}

/// Returns what the newest receipt of each site in a directory says.
fn newest(directory: &Path, output: &Output) -> Result<Vec<Base>, Problem> {
    let failed =
        |error| Problem::of(longshore_store::Error::io("read", directory.display())(error));
    let mut receipts = Vec::new();
    let mut paths = Vec::new();
    for entry in directory.read_dir().map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort_unstable();
    for path in paths.iter().filter(|path| path.is_file()) {
        let text = path.display().to_string();
        match text.parse() {
            Ok(DiffInput::Receipt(path)) => receipts.push(read_receipt(&path)?),
            _ => output.note(&format!("{text} is no receipt, and not used")),
        }
    }
    if receipts.is_empty() {
        let text = format!("there is no receipt in {}", directory.display());
        return Err(Problem::new(Exit::Usage, text).hint("`longshore receipt` writes them"));
    }
    Ok(Receipt::newest(receipts).iter().map(Base::of_receipt).collect())
}

/// Returns what a place holds, each piece of content proven by its first byte.
pub(crate) fn of_place(
    place: &SitePlace,
    reading: &Reading,
    global: &Global,
    output: &Output,
) -> Result<Base, Problem> {
    let places = std::slice::from_ref(place);
    let found = receipt::holdings(places, Proof::FirstByte, reading, global, output)?;
    Ok(found.to_base())
}

fn one(input: &DiffInput, reading: &Reading) -> Result<Base, Problem> {
    match input {
        DiffInput::Receipt(path) => Ok(Base::of_receipt(&read_receipt(path)?)),
        DiffInput::Json(path) => {
            let bytes = input::bytes(path, MAX_RECORD).map_err(Problem::of)?;
            let record = Record::parse(&bytes).map_err(|error| unusable(path, &error))?;
            Ok(Base::of_record(&record))
        }
        DiffInput::Place(SitePlace::Layout(location)) => {
            let registries = Registries::reading(reading);
            let opened = open::place(location, reading, &registries)?;
            let record = bundle::record(&opened)?.ok_or_else(|| {
                let text = format!("{location} is no bundle: it has no `bundle.json`");
                Problem::new(Exit::Usage, text).hint("`longshore receipt` says what a layout holds")
            })?;
            Ok(Base::of_record(&record))
        }
        DiffInput::Place(SitePlace::Registry { host, .. }) => {
            let text = format!("{host} is a registry, and what it holds may change");
            let hint = "write down what it holds with `longshore receipt`, and give that";
            Err(Problem::new(Exit::Usage, text).hint(hint))
        }
    }
}

fn read_receipt(path: &Path) -> Result<Receipt, Problem> {
    let bytes = input::bytes(path, MAX_RECEIPT).map_err(Problem::of)?;
    Receipt::read(&bytes[..]).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Problem {
    let text = format!("{} does not say what a site holds: {error}", path.display());
    Problem::new(Exit::Usage, text)
        .hint("give receipts, bundles or the `bundle.json` of one, as they were written")
}
