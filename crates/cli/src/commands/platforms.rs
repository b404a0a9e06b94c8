//! Platforms that were asked for and that an index does not offer.

use std::collections::{BTreeSet, HashMap, HashSet};

use longshore_bundle::{Picked, SparseIndex};
use longshore_spec::Platform;
use longshore_sync::{Plan, RootReport};

use crate::output::Output;
use crate::problem::{Exit, Problem};

/// Warns of every artifact that is taken for some of the platforms that were asked for, and has none
/// for others. One that is for no platform at all, or does not say, is taken as it is.
pub(crate) fn warn(picked: &[Picked<'_>], roots: &[RootReport], output: &Output) {
    let mut offered: HashMap<&str, Vec<&Platform>> = HashMap::new();
    for root in roots.iter().filter(|root| root.subject.is_none()) {
        for name in &root.names {
            let platforms = root.platforms.iter().map(|(_, platform)| platform);
            offered.entry(name.as_str()).or_default().extend(platforms);
        }
    }
    for picked in picked {
        let name = picked.reference.to_string();
        let Some(offered) = offered.get(name.as_str()).filter(|offered| !offered.is_empty()) else {
            continue;
        };
        let is_lacking = |wanted: &&Platform| !offered.iter().any(|one| wanted.accepts(one));
        for wanted in picked.item.platforms.iter().filter(is_lacking) {
            output.warning(&format!("{name} has nothing for {wanted}"));
        }
    }
}

/// Refuses indexes of which platforms were left out where nobody said what becomes of them: the far side
/// would find out, and cannot help it there.
pub(crate) fn refuse_sparse(picked: &[Picked<'_>], plan: &Plan<'_>) -> Result<(), Problem> {
    let undecided = picked.iter().filter(|of| of.item.sparse_index == SparseIndex::Refuse);
    let undecided: HashSet<String> = undecided.map(|of| of.reference.to_string()).collect();
    let mut is_refused = false;
    for (number, root) in plan.roots().iter().enumerate() {
        let Some(name) = root.names.iter().find(|name| undecided.contains(name.as_str())) else {
            continue;
        };
        let Some(left_out) = plan.left_out_of(number) else { continue };
        let others: BTreeSet<_> = left_out.iter().map(ToString::to_string).collect();
        let others: Vec<_> = others.into_iter().collect();
        let others = if others.is_empty() { "some entries".to_owned() } else { others.join(", ") };
        let text =
            format!("{name} would come with an index that points to what stays behind: {others}");
        Output::problem(&Problem::new(Exit::Usage, text));
        is_refused = true;
    }
    if !is_refused {
        return Ok(());
    }
    let text = "nobody has said what becomes of an index of which platforms are left out";
    Err(Problem::new(Exit::Usage, text).hint(
        "`sparseIndex: strip` in the file, or `--sparse-index strip`, writes it anew without them: its \
         digest changes, and signatures of it no longer fit; `keep` leaves it as it is, and strict \
         registries refuse it; without platforms all of it is taken",
    ))
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
