//! Platforms that were asked for and that an index does not offer.

use std::collections::HashMap;

use longshore_bundle::Picked;
use longshore_spec::Platform;
use longshore_sync::RootReport;

use crate::output::Output;

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

/// Warns of every platform that was asked for and that none of several indexes has.
pub(crate) fn warn_of_none(wanted: &[Platform], roots: &[RootReport], output: &Output) {
    let offering: Vec<_> = roots.iter().filter(|root| root.offers_platforms()).collect();
    for platform in wanted.iter().filter(|_| !offering.is_empty()) {
        if offering.iter().all(|root| root.lacks(platform)) {
            output.warning(&format!("no index has {platform}"));
        }
    }
}
