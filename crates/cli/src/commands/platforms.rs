//! Platforms that were asked for and that an index does not offer.

use longshore_bundle::{Gap, LackingPlatform, UndecidedIndex};
use longshore_spec::Platform;
use longshore_sync::{Action, RootReport, Side};

use crate::documents::{Cause, Failed};
use crate::output::Output;
use crate::problem::{Exit, Problem};

/// Warns of every artifact that is taken for some of the platforms that were asked for, and has none
/// for others.
pub(crate) fn warn(lacking: &[LackingPlatform], output: &Output) {
    for LackingPlatform { reference, platform } in lacking {
        output.warning(&format!("{reference} has nothing for {platform}"));
    }
}

/// Refuses indexes of which platforms were left out where nobody said what becomes of them.
pub(crate) fn refuse_undecided(undecided: &[UndecidedIndex]) -> Result<(), Problem> {
    if undecided.is_empty() { Ok(()) } else { Err(self::undecided(undecided)) }
}

/// Says so of each of them.
pub(crate) fn undecided(undecided: &[UndecidedIndex]) -> Problem {
    let mut refused = Vec::new();
    for UndecidedIndex { reference, gap, platforms } in undecided {
        let others =
            if platforms.is_empty() { "some entries".to_owned() } else { platforms.join(", ") };
        let what = match gap {
            Gap::NotWanted => "is left out",
            Gap::NotAtSource => "its source does not have",
        };
        let message = format!("the index of {reference} lists what {what}: {others}");
        Output::problem(&Problem::new(Exit::Usage, &message));
        let cause = Cause { kind: "sparse-index", status: None, codes: Vec::new() };
        refused.push(Failed {
            side: Side::Source.to_string(),
            action: Action::Resolve.to_string(),
            subject: reference.clone(),
            message,
            cause,
        });
    }
    let hint = "`--sparse-index strip`, or `sparseIndex: strip` in the file, removes the missing platforms from \
                the index: its digest changes, and its signatures no longer fit; `keep` leaves the index as \
                it is, and strict registries refuse it";
    let text = "an index that lists more than is taken needs `--sparse-index`";
    // Who asks for all platforms gets no more of what is not there.
    let is_at_source = undecided.iter().all(|index| index.gap != Gap::NotAtSource);
    let all = if is_at_source { "; without platforms everything is taken" } else { "" };
    let problem = Problem::new(Exit::Usage, text).hint(format!("{hint}{all}"));
    Problem { failures: refused, ..problem }
}

/// Warns of every platform that was asked for and that none of several indexes has.
pub(crate) fn warn_of_none(wanted: &[Platform], roots: &[RootReport], output: &Output) {
    let offering: Vec<_> = roots.iter().filter(|root| root.offers_platforms()).collect();
    for platform in wanted.iter().filter(|_| !offering.is_empty()) {
        if offering.iter().all(|root| root.lacks(platform)) {
            output.warning(&format!("no index offers {platform}"));
        }
    }
}
