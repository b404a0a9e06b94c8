//! Platforms that were asked for and that an index does not offer.

use longshore_bundle::{Gap, LackingPlatform, UndecidedIndex};
use longshore_spec::Platform;
use longshore_sync::RootReport;

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
    for UndecidedIndex { reference, gap, platforms } in undecided {
        let others =
            if platforms.is_empty() { "some entries".to_owned() } else { platforms.join(", ") };
        let what = match gap {
            Gap::NotWanted => "what stays behind",
            Gap::NotAtSource => "what its source does not have",
        };
        let text = format!("{reference} would come with an index that points to {what}: {others}");
        Output::problem(&Problem::new(Exit::Usage, text));
    }
    let hint = "`sparseIndex: strip` in the file, or `--sparse-index strip`, writes it anew without them: its \
                digest changes, and signatures of it no longer fit; `keep` leaves it as it is, and strict \
                registries refuse it";
    // Who asks for all platforms gets no more of what is not there.
    if undecided.iter().any(|index| index.gap == Gap::NotAtSource) {
        let text = "nobody has said what becomes of an index that points to what does not come";
        return Problem::new(Exit::Usage, text).hint(hint);
    }
    let text = "nobody has said what becomes of an index of which platforms are left out";
    Problem::new(Exit::Usage, text).hint(format!("{hint}; without platforms all of it is taken"))
}

/// Warns of every platform that was asked for and that none of several indexes has.
pub(crate) fn warn_of_none(wanted: &[Platform], roots: &[RootReport], output: &Output) {
    let offering: Vec<_> = roots.iter().filter(|root| root.offers_platforms()).collect();
    for platform in wanted.iter().filter(|_| !offering.is_empty()) {
        if offering.iter().all(|root| root.lacks(platform)) {
            output.warning(&format!("no index has {platform}"));
        }
    }
}
