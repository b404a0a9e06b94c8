//! `types`: what is known by name.

use longshore_spec::artifact_type::TABLE;

use crate::documents::KnownType as Known;
use crate::output::{Output, table};
use crate::problem::{Exit, Problem};

pub(crate) fn run(output: &Output) -> Result<Exit, Problem> {
    let mut known: Vec<_> = TABLE
        .iter()
        .map(|known| Known {
            name: known.name,
            family: known.family.as_str(),
            title: known.title,
            types: known.types,
            prefixes: known.prefixes,
        })
        .collect();
    tracing::debug!("{} types are known by name; others go by their media type", known.len());
    known.sort_unstable_by_key(|known| (known.family, known.name));
    output.result(&known, || {
        let mut rows = vec![["NAME", "FAMILY", "WHAT", "TYPE"].map(ToOwned::to_owned).to_vec()];
        for known in &known {
            let Known { name, family, title, types, prefixes } = known;
            let prefix = || prefixes.first().map(|prefix| format!("{prefix}*"));
            let media_type = types.first().map(|text| (*text).to_owned()).or_else(prefix);
            let cells = [
                (*name).to_owned(),
                (*family).to_owned(),
                (*title).to_owned(),
                media_type.unwrap_or_default(),
            ];
            rows.push(cells.to_vec());
        }
        table(&rows)
    })?;
    Ok(Exit::Done)
}
