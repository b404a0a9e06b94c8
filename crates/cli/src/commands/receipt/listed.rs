//! `receipt -f`: the repositories of a registry by what was imported into it.

use std::path::Path;

use longshore_bundle::{
    Holdings, Mapping, MoveError, ReceiptPlace, SelectedRepositories, Selection,
};
use longshore_sync::Proof;

use super::holdings_of;
use crate::args::{Global, Receipt, SitePlace};
use crate::commands::selection;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::Registries;

/// Returns what the repositories hold that the artifacts of a file were imported to. The registry is asked for no
/// list of them; one that is not there is empty.
pub(super) fn holdings(
    args: &Receipt,
    file: &Path,
    proof: Proof,
    global: &Global,
    output: &Output,
) -> Result<Holdings, Problem> {
    let [SitePlace::Registry { host, repository }] = &args.places[..] else {
        let text = "-f names the repositories of one registry";
        let hint = "write the PLACE that `import` was given: `HOST` or `HOST/PREFIX`";
        return Err(Problem::new(Exit::Usage, text).hint(hint));
    };
    let elsewhere = match repository {
        Some(prefix) => format!("{host}/{prefix}"),
        None => host.clone(),
    };
    let mapping = Mapping::new(args.map.clone(), Some(elsewhere)).under(args.prefix.clone());
    let selection = selection::read(file, output)?;
    let found = selected(&selection, &mapping, host)?;
    for rule in mapping.idle(&found.references) {
        output.warning(&format!("--map {rule} matches nothing in {}", file.display()));
    }
    for layout in &found.unknown {
        output.warning(&format!(
            "the receipt is without what came from {layout}: {} does not say what it is called",
            file.display()
        ));
    }
    let registries = Registries::reading(&args.reading);
    let registry = registries.registry(host)?;
    registry.ping().map_err(Problem::of)?;
    holdings_of(&[ReceiptPlace::Repositories(&registry, found.repositories)], proof, global)
}

fn selected(
    selection: &Selection,
    mapping: &Mapping,
    host: &str,
) -> Result<SelectedRepositories, Problem> {
    SelectedRepositories::find(selection, mapping, host).map_err(|error| {
        let hint = match &error {
            MoveError::OtherRegistry { .. } => "write a receipt of each registry",
            _ => "give the rules that `import` was given",
        };
        Problem::new(Exit::Usage, error.to_string()).hint(hint)
    })
}
