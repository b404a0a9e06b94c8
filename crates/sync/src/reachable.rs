//! What a repository needs, and so what it does not.

use std::collections::HashSet;

use longshore_spec::Digest;
use longshore_spec::artifact_type::TypeFilter;
use longshore_store::{Result, Root, Source};

use crate::{Action, CopyItem, Failure, Filter, Plan, Referring, RootRequest};

/// Returns every digest that is needed: what can be reached from named roots and from unnamed ones
/// without a subject, and what refers to it. A referrer lives as long as its subject.
///
/// If anything of that cannot be looked into, what it needs is not known, and the failures are
/// returned instead.
pub fn reachable(
    repository: &dyn Source,
    jobs: usize,
) -> Result<Result<HashSet<Digest>, Vec<Failure>>> {
    let is_kept = |root: &Root| {
        // What cannot be read is looked into again below, and fails there.
        let is_referrer = || {
            let manifest = repository.child(&root.descriptor);
            manifest.is_ok_and(|manifest| manifest.subject().is_some())
        };
        !root.names.is_empty() || !is_referrer()
    };
    let roots = repository.roots()?.into_iter().filter(is_kept);
    let wanted = roots.map(|Root { descriptor, names }| CopyItem {
        source: repository,
        request: RootRequest::Listed(descriptor),
        target: None,
        names,
        filter: None,
    });
    let filter = Filter { referrers: Referring::Taken(TypeFilter::default()), ..Filter::default() };
    let mut plan = Plan::discover(wanted.collect(), &filter, jobs);
    // What a wrong size belongs to cannot be had, but what it needs is known.
    plan.failures.retain(|failure| failure.action != Action::Check);
    Ok(if plan.failures.is_empty() {
        Ok(plan.digests().cloned().collect())
    } else {
        Err(plan.failures)
    })
}
