//! `delete`: a manifest goes, with every name on it, or a name alone.

use longshore_spec::printable_line;
use longshore_store::Selector;

use super::tag::{self, open_to_change};
use crate::args::Delete;
use crate::documents::Deleted as Gone;
use crate::open;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::shell;

pub(crate) fn run(args: &Delete, output: &Output) -> Result<Exit, Problem> {
    let mut gone = Vec::new();
    for place in &args.places {
        let opened = open_to_change(place, &args.reading)?;
        let repository = || opened.repository();
        let done = match &place.selector {
            // The name is what was asked for: what it stands for may have others (row E-111).
            Some(Selector::Name(name)) => repository().and_then(|of| of.untag(name)),
            Some(Selector::Digest(digest)) => repository().and_then(|of| of.remove(digest)),
            None => {
                let text = format!("`{place}` does not say what to delete");
                let [digest, name] =
                    ["@DIGEST", ":NAME"].map(|end| shell::word(format!("{place}{end}")));
                let hint = format!("write `{digest}`, or `{name}` for the name alone");
                return Err(Problem::new(Exit::Usage, text).hint(hint));
            }
        };
        done.and_then(|()| opened.commit()).map_err(|error| {
            let is_gone = error.is_not_found();
            let whole = place.whole();
            let digest = tag::stays(&error).then(|| open::select(&opened, place).ok()).flatten();
            let problem = Problem::of(error).because(Exit::Failed);
            if let Some(root) = digest {
                return problem.hint(tag::by_digest(&whole, &root.descriptor.digest));
            }
            if !is_gone {
                return problem;
            }
            problem.hint(format!(
                "it may have gone already; `longshore list {}` shows what is there",
                shell::word(whole)
            ))
        })?;
        gone.push(Gone { place: place.to_string() });
    }
    output.summary(&gone, || {
        gone.iter().map(|gone| format!("{}\n", printable_line(&gone.place))).collect()
    })?;
    Ok(Exit::Done)
}
